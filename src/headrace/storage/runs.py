"""Statements of runs: what can be asked of them without reading their documents."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, insert, select, tuple_, update

from headrace.core.records import Record
from headrace.core.run_lists import RunFilter
from headrace.core.run_mirrors import RunFacts
from headrace.storage.records import SELECT
from headrace.storage.schema import records, run_tags, runs
from headrace.storage.session import Repository, dumps, loads


def _values(source_id: int, row: RunFacts) -> dict[str, object]:
    return {
        "record_id": row.record_id,
        "source_id": source_id,
        "parent_id": row.parent_id,
        "rated": row.rated,
        "labels": dumps(row.labels),
    }


class RunRepository(Repository):
    """See `core.runs.Runs`."""

    def insert(self, source_id: int, rows: Sequence[RunFacts]) -> None:
        self.session.run(insert(runs), [_values(source_id, row) for row in rows])
        self._tag(source_id, rows)

    def update(self, source_id: int, facts: RunFacts, *, retag: bool) -> None:
        mine = runs.c.record_id == facts.record_id
        if not self.session.run(update(runs).where(mine).values(_values(source_id, facts))):
            self.insert(source_id, [facts])
        elif retag:
            self.session.run(delete(run_tags).where(run_tags.c.record_id == facts.record_id))
            self._tag(source_id, [facts])

    def _tag(self, source_id: int, rows: Sequence[RunFacts]) -> None:
        tags = [{"record_id": row.record_id, "source_id": source_id, "tag": tag} for row in rows for tag in row.tags]
        if tags:
            self.session.run(insert(run_tags), tags)

    def labels(self, source_id: int, record_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        wanted = (runs.c.source_id == source_id, self.session.among(runs.c.record_id, record_ids))
        rows = self.session.rows(select(runs.c.record_id, runs.c.labels).where(*wanted))
        return {row.record_id: tuple(loads(row.labels)) for row in rows}

    def locked(self, source_id: int, record_ids: Sequence[int]) -> list[Record]:
        if not record_ids:
            return []
        statement = SELECT.where(records.c.source_id == source_id, self.session.among(records.c.id, record_ids))
        return self._records(statement.order_by(records.c.id).with_for_update())

    def page(self, source_id: int, wanted: RunFilter) -> list[Record]:
        key = (records.c.timestamp, records.c.id)
        statement = SELECT.where(records.c.source_id == source_id, *self._conditions(wanted), ~self._followed())
        if wanted.after is not None:
            statement = statement.where(tuple_(*key) < tuple_(*wanted.after))
        return self._records(statement.order_by(*(column.desc() for column in key)).limit(wanted.limit))

    def tag_counts(self, source_id: int) -> dict[str, int]:
        child = runs.alias("child")
        follower = exists().where(child.c.parent_id == run_tags.c.record_id, child.c.source_id == source_id)
        statement = (
            select(run_tags.c.tag, func.count().label("number"))
            .where(run_tags.c.source_id == source_id, ~follower)
            .group_by(run_tags.c.tag)
            .order_by(run_tags.c.tag)
        )
        return {row.tag: row.number for row in self.session.rows(statement)}

    def parents(self, source_id: int, record_ids: Sequence[int]) -> dict[int, int]:
        wanted = (runs.c.source_id == source_id, self.session.among(runs.c.record_id, record_ids))
        statement = select(runs.c.record_id, runs.c.parent_id).where(*wanted, runs.c.parent_id.is_not(None))
        return {row.record_id: row.parent_id for row in self.session.rows(statement)}

    def followed(self, source_id: int, record_ids: Sequence[int]) -> set[int]:
        wanted = (runs.c.source_id == source_id, self.session.among(runs.c.parent_id, record_ids))
        return {row.parent_id for row in self.session.rows(select(runs.c.parent_id).where(*wanted).distinct())}

    def _conditions(self, wanted: RunFilter) -> Iterable[ColumnElement[bool]]:
        for tag in wanted.tags:
            yield exists().where(run_tags.c.record_id == records.c.id, run_tags.c.tag == tag)
        if wanted.rated is not None:
            rated = exists().where(runs.c.record_id == records.c.id, runs.c.rated.is_(True))
            yield rated if wanted.rated else ~rated
        if wanted.updated_since is not None:
            yield records.c.modified_at >= wanted.updated_since
        if wanted.external_id is not None:
            yield records.c.external_id == wanted.external_id

    def _followed(self) -> ColumnElement[bool]:
        """The condition that a run of the same source names the record as its parent."""
        child = runs.alias("child")
        return exists().where(child.c.parent_id == records.c.id, child.c.source_id == records.c.source_id)

    def _records(self, statement: Select[Any]) -> list[Record]:
        return [Record._make(row) for row in self.session.tuples(statement)]
