"""Statements of streams and of the exceptions tagged in them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, insert, select, update

from headrace.core.exceptions import StreamException
from headrace.core.positions import Position
from headrace.core.streams import Stream, StreamSpec, Threshold
from headrace.storage.schema import exceptions, streams
from headrace.storage.session import Repository, among, dumps, loads

# Built once: a consumer's every request runs them (benchmark tiny).
NAMED = select(streams).where(streams.c.dataset_id == bindparam("of_dataset"), streams.c.name == bindparam("named"))
MOVE = (
    update(streams)
    .where(streams.c.id == bindparam("numbered"))
    .values(cursor_x=bindparam("x"), cursor_n=bindparam("n"))
)
OPENED = select(exceptions).where(
    exceptions.c.dataset_id == bindparam("dataset"),
    among(exceptions.c.record_id, "records"),
    exceptions.c.answered_at.is_(None),
)


def _stream(row: Row[Any]) -> Stream:
    return Stream(
        id=row.id,
        dataset_id=row.dataset_id,
        name=row.name,
        title=row.title,
        description=row.description,
        filter=None if row.filter is None else loads(row.filter),
        version=row.version,
        thresholds=tuple(Threshold(*item) for item in loads(row.thresholds)),
        cursor=Position(row.cursor_x, row.cursor_n),
        changes=row.changes,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _spec(spec: StreamSpec) -> dict[str, object]:
    return {
        "filter": None if spec.filter is None else dumps(spec.filter),
        "version": spec.version,
        "thresholds": dumps(spec.thresholds),
    }


class StreamRepository(Repository):
    """See `core.streams.Streams`."""

    def insert(self, dataset_id: int, spec: StreamSpec, cursor: Position) -> Stream:
        now = self.session.now()
        self.session.run(
            insert(streams).values(
                dataset_id=dataset_id,
                name=spec.name,
                title=spec.title or "",
                description=spec.description or "",
                **_spec(spec),
                cursor_x=cursor.x,
                cursor_n=cursor.n,
                changes=0,
                created_at=now,
                updated_at=now,
            )
        )
        return self._required(dataset_id, spec.name)

    def update(self, stream_id: int, spec: StreamSpec) -> Stream:
        given = {"title": spec.title, "description": spec.description}
        texts = {name: value for name, value in given.items() if value is not None}
        changes = {**_spec(spec), **texts, "changes": streams.c.changes + 1, "updated_at": self.session.now()}
        self.session.run(update(streams).where(streams.c.id == stream_id).values(**changes))
        row = self.session.first(select(streams).where(streams.c.id == stream_id))
        assert row is not None
        return _stream(row)

    def get(self, dataset_id: int, name: str) -> Stream | None:
        row = self.session.first(NAMED, {"of_dataset": dataset_id, "named": name})
        return _stream(row) if row else None

    def all(self, dataset_id: int) -> list[Stream]:
        statement = select(streams).where(streams.c.dataset_id == dataset_id).order_by(streams.c.name)
        return [_stream(row) for row in self.session.rows(statement)]

    def move(self, stream_id: int, cursor: Position) -> None:
        self.session.run(MOVE, {"numbered": stream_id, "x": cursor.x, "n": cursor.n})

    def delete(self, stream_id: int) -> None:
        self.session.run(delete(exceptions).where(exceptions.c.stream_id == stream_id))
        self.session.run(delete(streams).where(streams.c.id == stream_id))

    def _required(self, dataset_id: int, name: str) -> Stream:
        found = self.get(dataset_id, name)
        assert found is not None
        return found


class ExceptionRepository(Repository):
    """See `core.exceptions.Exceptions`."""

    def tag(self, stream_id: int, dataset_id: int, rows: Sequence[tuple[int, str]]) -> None:
        if not rows:
            return
        self.untag(stream_id, [record_id for record_id, _ in rows])
        now = self.session.now()
        values = [
            {
                "stream_id": stream_id,
                "dataset_id": dataset_id,
                "record_id": record_id,
                "type": kind,
                "created_at": now,
            }
            for record_id, kind in rows
        ]
        self.session.run(insert(exceptions), values)

    def untag(self, stream_id: int, record_ids: Sequence[int]) -> int:
        if not record_ids:
            return 0
        mine = self.session.among(exceptions.c.record_id, record_ids)
        return self.session.run(delete(exceptions).where(exceptions.c.stream_id == stream_id, mine))

    def of_records(self, dataset_id: int, record_ids: Sequence[int]) -> list[StreamException]:
        if not record_ids:
            return []
        mine = self.session.among(exceptions.c.record_id, record_ids)
        return self._all(self._in(dataset_id).where(mine).order_by(exceptions.c.id))

    def open(self, dataset_id: int, limit: int) -> list[StreamException]:
        statement = self._in(dataset_id).where(exceptions.c.answered_at.is_(None))
        return self._all(statement.order_by(exceptions.c.id).limit(limit))

    def answer(self, dataset_id: int, record_ids: Sequence[int]) -> list[StreamException]:
        if not record_ids:
            return []
        given = {"dataset": dataset_id, "records": record_ids}
        opened = [StreamException(**row._asdict()) for row in self.session.rows(OPENED, given)]
        if opened:
            ids = self.session.among(exceptions.c.id, [item.id for item in opened])
            self.session.run(update(exceptions).where(ids).values(answered_at=self.session.now()))
        return opened

    def _in(self, dataset_id: int) -> Select[Any]:
        return select(exceptions).where(exceptions.c.dataset_id == dataset_id)

    def _all(self, statement: Select[Any]) -> list[StreamException]:
        return [StreamException(**row._asdict()) for row in self.session.rows(statement)]
