"""Statements of shortlists."""

from collections.abc import Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, insert, select, tuple_

from headrace.core.shortlist import KEPT, KEPT_A_LABEL, Aim, Listed
from headrace.storage.schema import annotations
from headrace.storage.schema_learning import shortlist
from headrace.storage.session import Repository

REVIEWED = exists().where(
    annotations.c.dataset_id == shortlist.c.dataset_id,
    annotations.c.record_id == shortlist.c.record_id,
    annotations.c.current.is_(True),
)


class ShortlistRepository(Repository):
    """See `core.shortlist.Shortlists`."""

    def offer(self, dataset_id: int, record_ids: Sequence[int], found: Mapping[Aim, Sequence[Listed]]) -> None:
        here = shortlist.c.dataset_id == dataset_id
        self.session.run(delete(shortlist).where(here, self.session.among(shortlist.c.record_id, record_ids)))
        self.session.run(delete(shortlist).where(here, REVIEWED))
        for aim, listed in found.items():
            best = sorted(listed, key=lambda item: (item.label, -item.worth, item.record_id))
            kept = [
                item for _, group in groupby(best, key=lambda item: item.label) for item in islice(group, _most(aim))
            ]
            rows = [{"dataset_id": dataset_id, "aim": aim, **item._asdict()} for item in kept]
            if rows:
                self.session.run(insert(shortlist), rows)
            self._trim(dataset_id, aim)

    def best(self, dataset_id: int, aim: Aim, limit: int) -> list[int]:
        placed = self._placed(dataset_id, aim, ~REVIEWED).subquery()
        first = func.min(placed.c.place)
        statement = select(placed.c.record_id).group_by(placed.c.record_id)
        ordered = statement.order_by(first, func.max(placed.c.worth).desc(), placed.c.record_id).limit(limit)
        return [row.record_id for row in self.session.rows(ordered)]

    def _placed(self, dataset_id: int, aim: Aim, *conditions: ColumnElement[bool]) -> Select[Any]:
        """The entries of an aim with their place among those of the same label."""
        order = (shortlist.c.worth.desc(), shortlist.c.record_id)
        place = func.row_number().over(partition_by=shortlist.c.label, order_by=order).label("place")
        columns = (shortlist.c.label, shortlist.c.record_id, shortlist.c.worth, place)
        return select(*columns).where(shortlist.c.dataset_id == dataset_id, shortlist.c.aim == aim, *conditions)

    def _trim(self, dataset_id: int, aim: Aim) -> None:
        """Drop what comes behind the best of each label."""
        placed = self._placed(dataset_id, aim).subquery()
        behind = select(placed.c.label, placed.c.record_id).where(placed.c.place > _most(aim))
        mine = (shortlist.c.dataset_id == dataset_id, shortlist.c.aim == aim)
        self.session.run(delete(shortlist).where(*mine, tuple_(shortlist.c.label, shortlist.c.record_id).in_(behind)))


def _most(aim: Aim) -> int:
    return KEPT_A_LABEL if aim is Aim.NEED else KEPT
