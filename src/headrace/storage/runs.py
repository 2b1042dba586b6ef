"""Statements of runs: what can be asked of them without reading their documents."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, exists, func, insert, select, tuple_, update

from headrace.core.records import Record
from headrace.core.run_lists import RunFilter
from headrace.core.run_mirrors import RunFacts
from headrace.storage.records import SELECT
from headrace.storage.schema import records
from headrace.storage.schema_kiln import run_tags, runs
from headrace.storage.session import Repository, among, dumps, loads


def _values(source_id: int, row: RunFacts) -> dict[str, object]:
    return {
        "record_id": row.record_id,
        "source_id": source_id,
        "parent_id": row.parent_id,
        "rated": row.rated,
        "labels": dumps(row.labels),
    }


# Built once: every change of a run runs them (benchmark requests).
INSERT, TAG = insert(runs), insert(run_tags)
REPLACE = update(runs).where(runs.c.record_id == bindparam("numbered"))
UNTAG = delete(run_tags).where(run_tags.c.record_id == bindparam("numbered"))
LABELS = select(runs.c.record_id, runs.c.labels).where(
    runs.c.source_id == bindparam("source"), among(runs.c.record_id, "records")
)
# Not by the source too: SQLite would look through all of it.
LOCKED = SELECT.where(among(records.c.id, "records")).order_by(records.c.id).with_for_update()

_CHILD = runs.alias("child")
PAGE = (
    SELECT.where(
        records.c.source_id == bindparam("source"),
        ~exists().where(_CHILD.c.parent_id == records.c.id, _CHILD.c.source_id == records.c.source_id),
    )
    .order_by(records.c.timestamp.desc(), records.c.id.desc())
    .limit(bindparam("size"))
)


class RunRepository(Repository):
    """See `core.runs.Runs`."""

    def insert(self, source_id: int, rows: Sequence[RunFacts]) -> None:
        self.session.run(INSERT, [_values(source_id, row) for row in rows])
        self._tag(source_id, rows)

    def update(self, source_id: int, facts: RunFacts, *, retag: bool) -> None:
        if not self.session.run(REPLACE, _values(source_id, facts) | {"numbered": facts.record_id}):
            self.insert(source_id, [facts])
        elif retag:
            self.session.run(UNTAG, {"numbered": facts.record_id})
            self._tag(source_id, [facts])

    def _tag(self, source_id: int, rows: Sequence[RunFacts]) -> None:
        tags = [{"record_id": row.record_id, "source_id": source_id, "tag": tag} for row in rows for tag in row.tags]
        if tags:
            self.session.run(TAG, tags)

    def labels(self, source_id: int, record_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        rows = self.session.rows(LABELS, {"source": source_id, "records": record_ids})
        return {row.record_id: tuple(loads(row.labels)) for row in rows}

    def locked(self, source_id: int, record_ids: Sequence[int]) -> list[Record]:
        if not record_ids:
            return []
        return [one for one in self._records(LOCKED, {"records": record_ids}) if one.source_id == source_id]

    def page(self, source_id: int, wanted: RunFilter) -> list[Record]:
        conditions = list(self._conditions(wanted))
        if wanted.after is not None:
            conditions.append(tuple_(records.c.timestamp, records.c.id) < tuple_(*wanted.after))
        statement = PAGE.where(*conditions) if conditions else PAGE
        return self._records(statement, {"source": source_id, "size": wanted.limit})

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

    def _records(self, statement: Select[Any], given: Mapping[str, object]) -> list[Record]:
        return [Record._make(row) for row in self.session.tuples(statement, given)]
