"""Statements of records. The bulk writes are written by hand for each database: a benchmark pays for it."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, delete, select, tuple_, update

from headrace.core.errors import Conflict
from headrace.core.origins import FEEDBACK
from headrace.core.positions import Position
from headrace.core.records import NewRecord, Record, TimeOrder, TimePage
from headrace.core.sources import Source
from headrace.storage.queue import delete_queued, enqueue
from headrace.storage.schema import (
    annotations,
    attachments,
    exceptions,
    predictions,
    records,
    sources,
)
from headrace.storage.schema_kiln import corrections, feedback, origins, run_tags, runs
from headrace.storage.schema_learning import shortlist
from headrace.storage.schema_trees import OF_RECORDS, ORPHAN, messages
from headrace.storage.schema_work import drafts, work
from headrace.storage.session import Repository, Session, among
from headrace.storage.tallies import forget

COLUMNS = tuple(records.c[name] for name in Record._fields)
NAMES = ", ".join(Record._fields)
SELECT = select(*COLUMNS)
# Built once: every fetch runs it (benchmark fetch).
FOLLOWING = (
    SELECT.where(
        records.c.source_id == bindparam("source_id"),
        tuple_(records.c.x, records.c.n) > tuple_(bindparam("x", type_=BigInteger), bindparam("n", type_=BigInteger)),
    )
    .order_by(records.c.x, records.c.n)
    .limit(bindparam("size"))
)
BY_EXTERNAL = SELECT.where(records.c.source_id == bindparam("source"), among(records.c.external_id, "keys"))
BY_IDS = SELECT.where(among(records.c.id, "those"))
TAKE_NUMBERS = (
    update(sources)
    .where(sources.c.id == bindparam("source"))
    .values(
        next_number=sources.c.next_number + bindparam("taken"),
        record_count=sources.c.record_count + bindparam("taken"),
    )
    .returning(sources.c.next_number)
)

INSERT_SQLITE = f"INSERT INTO records ({NAMES}) VALUES ({', '.join('?' * len(Record._fields))})"
_ARRAYS = [
    "bigint",
    "bigint",
    "text",
    "text",
    "text",
    "text",
    "bigint",
    "bigint",
    "bigint",
    "bigint",
    "bigint",
    "bigint",
    "bigint",
    "bigint",
]
INSERT_POSTGRES = f"INSERT INTO records ({NAMES}) SELECT * FROM unnest(" + (
    ", ".join(f"%s::{kind}[]" for kind in _ARRAYS) + ")"
)
REPLACE_SQLITE = (
    "UPDATE records SET body = ?, meta = ?, kind = ?, timestamp = ?, modified_at = ?, version = version + 1, "
    "x = ?, n = ? WHERE id = ?"
)
REPLACE_POSTGRES = REPLACE_SQLITE.replace("?", "%s")


def delete_dependants(session: Session, matching: Callable[[ColumnElement[int]], ColumnElement[bool]]) -> None:
    """Remove what hangs on records: annotations, predictions, exceptions, attachments, work, run facts, feedback."""
    forget(session, matching(annotations.c.record_id))
    session.run(ORPHAN.where(matching(messages.c.tree_id)))
    session.run(delete(origins).where(origins.c.kind == FEEDBACK, matching(origins.c.scope_id)))
    for table in (
        annotations,
        predictions,
        exceptions,
        attachments,
        work,
        drafts,
        runs,
        run_tags,
        feedback,
        corrections,
        shortlist,
        *OF_RECORDS,
    ):
        session.run(delete(table).where(matching(table.c.record_id)))


class RecordRepository(Repository):
    """See `core.records.Records`."""

    def insert(self, source_id: int, rows: Sequence[NewRecord]) -> Sequence[int]:
        if not rows:
            return []
        now, count = self.session.now(), len(rows)
        x, places = self.session.take_positions(count)
        # Numbers first: they hold the source, so that ids and numbers come in the same order.
        number = self._take_numbers(source_id, count)
        ids = self.session.take_ids("records", count)
        values = [
            (
                record_id,
                source_id,
                row.external_id,
                row.kind,
                row.body,
                row.meta,
                number + step,
                row.timestamp,
                now,
                now,
                1,
                0,
                x,
                place,
            )
            for step, (record_id, place, row) in enumerate(zip(ids, places, rows, strict=True))
        ]
        if self.session.postgres:
            columns = tuple(list(column) for column in zip(*values, strict=True))
            self.session.conn.exec_driver_sql(INSERT_POSTGRES, columns)
        else:
            self.session.conn.exec_driver_sql(INSERT_SQLITE, values)
        enqueue(self.session, source_id, number)
        return ids

    def replace(self, rows: Sequence[tuple[int, NewRecord]]) -> None:
        now = self.session.now()
        x, places = self.session.take_positions(len(rows))
        values = [
            (row.body, row.meta, row.kind, row.timestamp, now, x, place, record_id)
            for (record_id, row), place in zip(rows, places, strict=True)
        ]
        statement = REPLACE_POSTGRES if self.session.postgres else REPLACE_SQLITE
        self.session.conn.exec_driver_sql(statement, values)

    def by_external(self, source_id: int, external_ids: Sequence[str]) -> list[Record]:
        if not external_ids:
            return []
        return self._records(BY_EXTERNAL, {"source": source_id, "keys": external_ids})

    def by_ids(self, record_ids: Sequence[int], source_ids: Sequence[int]) -> list[Record]:
        if not record_ids:
            return []
        allowed = set(source_ids)
        found = self._records(BY_IDS, {"those": record_ids})
        by_id = {record.id: record for record in found if record.source_id in allowed}
        return [by_id[record_id] for record_id in record_ids if record_id in by_id]

    def after(self, source_ids: Sequence[int], position: Position, limit: int) -> list[Record]:
        readable = self.session.readable(records.c.x)
        if len(source_ids) == 1:
            given = {"source_id": source_ids[0], "x": position.x, "n": position.n, "size": limit}
            return self._records(FOLLOWING.where(*readable) if readable else FOLLOWING, given)
        conditions = (tuple_(records.c.x, records.c.n) > tuple_(position.x, position.n), *readable)
        order = (records.c.x, records.c.n)
        heads = [
            self.session.rows(
                select(*order, records.c.id)
                .where(records.c.source_id == source_id, *conditions)
                .order_by(*order)
                .limit(limit)
            )
            for source_id in source_ids
        ]
        wanted = [row.id for row, _ in zip(heapq.merge(*heads), range(limit), strict=False)]
        return self.by_ids(wanted, source_ids)

    def head(self) -> Position:
        return Position(*self.session.head())

    def state(self) -> str:
        return self.session.state()

    def before_created(self, source_ids: Sequence[int], created_at: int) -> Position:
        # Asked first: what is still open now may commit in front of the record that is found.
        head = self.head()
        statement = (
            select(records.c.x, records.c.n)
            .where(self.session.among(records.c.source_id, source_ids), records.c.created_at >= created_at)
            .order_by(records.c.x, records.c.n)
            .limit(1)
        )
        row = self.session.first(statement)
        return min(head, Position(row.x, row.n - 1)) if row else head

    def by_time(self, source_ids: Sequence[int], page: TimePage) -> list[Record]:
        clock = records.c.timestamp if page.order is TimeOrder.TIMESTAMP else records.c.created_at
        conditions = [] if page.start is None else [clock >= page.start]
        if page.end is not None:
            conditions.append(clock <= page.end)
        if page.after is not None:
            conditions.append(tuple_(clock, records.c.id) > tuple_(*page.after))
        keys = [
            self.session.rows(
                select(clock, records.c.id)
                .where(records.c.source_id == source_id, *conditions)
                .order_by(clock, records.c.id)
                .limit(page.limit)
            )
            for source_id in source_ids
        ]
        wanted = [row.id for row, _ in zip(heapq.merge(*keys), range(page.limit), strict=False)]
        return self.by_ids(wanted, source_ids)

    def numbered(self, source: Source, skip: int, limit: int) -> list[Record]:
        statement = SELECT.where(records.c.source_id == source.id).order_by(records.c.number).limit(limit)
        if source.record_count == source.next_number - 1:
            return self._records(statement.where(records.c.number > skip))
        return self._records(statement.offset(skip))

    def delete(self, source_id: int, record_ids: Sequence[int]) -> int:
        if not record_ids:
            return 0
        mine = select(records.c.id).where(
            records.c.source_id == source_id, self.session.among(records.c.id, record_ids)
        )
        # Held in the order in which annotating holds them, so that neither counts what the other changes.
        found = [row.id for row in self.session.rows(mine.order_by(records.c.id).with_for_update())]
        delete_dependants(self.session, lambda column: self.session.among(column, found))
        delete_queued(self.session, source_id, found)
        self.session.run(delete(records).where(self.session.among(records.c.id, found)))
        self._count(source_id, -len(found))
        return len(found)

    def _records(self, statement: Select[Any], parameters: Mapping[str, object] | None = None) -> list[Record]:
        return [Record._make(row) for row in self.session.tuples(statement, parameters)]

    def _take_numbers(self, source_id: int, count: int) -> int:
        row = self.session.first(TAKE_NUMBERS, {"source": source_id, "taken": count})
        if row is None:
            raise Conflict("the source was deleted meanwhile", fields={"source": source_id})
        return int(row.next_number) - count

    def _count(self, source_id: int, change: int) -> None:
        counted = sources.c.record_count + change
        self.session.run(update(sources).where(sources.c.id == source_id).values(record_count=counted))
