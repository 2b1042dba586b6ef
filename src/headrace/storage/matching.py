"""Statements of matching: what a filter asks of indexes."""

import heapq
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, exists, func, select, tuple_

from headrace.core.matching import Key, Selection
from headrace.core.positions import Position
from headrace.core.records import Record
from headrace.storage.records import COLUMNS, RecordRepository
from headrace.storage.schema import annotations, predictions, records, sources
from headrace.storage.session import Repository

LEAST_PAGE = 16
CLOCK = (records.c.timestamp, records.c.id)
_FLOAT = struct.Struct("<f")


class QueryRepository(Repository):
    """See `core.matching.Queries`."""

    def count(self, selection: Selection) -> int:
        mine = self.session.among(records.c.source_id, selection.source_ids)
        if (selection.minimum, selection.maximum, selection.reviewed) == (None, None, None):
            held = self.session.among(sources.c.id, selection.source_ids)
            return self._number(select(func.coalesce(func.sum(sources.c.record_count), 0)).where(held))
        return self._number(select(func.count()).select_from(records).where(mine, *self._conditions(selection)))

    def newest(self, selection: Selection, before: Key | None, limit: int) -> list[Record]:
        if len(selection.source_ids) == 1:
            statement = self._page(selection, selection.source_ids[0], COLUMNS, before, limit)
            return list(map(Record._make, self.session.tuples(statement)))
        ids = [key.id for key in self.keys(selection, before, limit)]
        return RecordRepository(self.session).by_ids(ids, selection.source_ids)

    def keys(self, selection: Selection, before: Key | None, limit: int) -> list[Key]:
        if len(selection.source_ids) == 1:
            statement = self._page(selection, selection.source_ids[0], CLOCK, before, limit)
            return list(map(Key._make, self.session.tuples(statement)))
        size = max(limit // max(len(selection.source_ids), 1) + 1, LEAST_PAGE)
        heads = [self._keys(selection, source_id, before, size) for source_id in selection.source_ids]
        return [key for key, _ in zip(heapq.merge(*heads, reverse=True), range(limit), strict=False)]

    def likelihoods(self, model_id: int, label: int, up_to: Position, record_ids: Sequence[int]) -> dict[int, float]:
        joined = predictions.join(records, records.c.id == predictions.c.record_id)
        one = func.substr(predictions.c.probabilities, 4 * label + 1, 4, type_=LargeBinary)
        statement = (
            select(predictions.c.record_id, one.label("probability"))
            .select_from(joined)
            .where(
                predictions.c.model_id == model_id,
                self.session.among(predictions.c.record_id, record_ids),
                tuple_(records.c.x, records.c.n) <= tuple_(*up_to),
            )
        )
        return {row.record_id: _FLOAT.unpack(bytes(row.probability))[0] for row in self.session.rows(statement)}

    def _keys(self, selection: Selection, source_id: int, before: Key | None, size: int) -> Iterator[Key]:
        """The keys of one source, read as they are asked for."""
        while True:
            keys = self.keys(replace(selection, source_ids=(source_id,)), before, size)
            yield from keys
            if len(keys) < size:
                return
            before = keys[-1]

    def _page(
        self, selection: Selection, source_id: int, columns: Sequence[Any], before: Key | None, limit: int
    ) -> Any:
        statement = select(*columns).where(records.c.source_id == source_id, *self._conditions(selection))
        if before is not None:
            statement = statement.where(tuple_(*CLOCK) < tuple_(*before))
        return statement.order_by(*(column.desc() for column in CLOCK)).limit(limit)

    def _conditions(self, selection: Selection) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if selection.minimum is not None:
            found.append(records.c.timestamp >= selection.minimum)
        if selection.maximum is not None:
            found.append(records.c.timestamp <= selection.maximum)
        if selection.reviewed is not None:
            reviewed = self._reviewed(selection.dataset_id)
            found.append(reviewed if selection.reviewed else ~reviewed)
        return found

    def _reviewed(self, dataset_id: int | None) -> ColumnElement[bool]:
        if dataset_id is None:
            return records.c.annotated > 0
        # A bare column on SQLite, as its partial index is written: otherwise the index is not used.
        current = annotations.c.current.is_(True) if self.session.postgres else annotations.c.current
        mine = (annotations.c.dataset_id == dataset_id, annotations.c.record_id == records.c.id)
        return exists().where(*mine, current)

    def _number(self, statement: Any) -> int:
        return int(self.session.conn.execute(statement).scalar_one())
