"""Statements of shortlists."""

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, delete, exists, insert, or_, select

from headrace.core.shortlist import KEPT, Aim
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

    def offer(self, dataset_id: int, record_ids: Sequence[int], worths: Mapping[Aim, Sequence[float]]) -> None:
        here = shortlist.c.dataset_id == dataset_id
        self.session.run(delete(shortlist).where(here, self.session.among(shortlist.c.record_id, record_ids)))
        self.session.run(delete(shortlist).where(here, REVIEWED))
        for aim, values in worths.items():
            best = sorted(zip(values, record_ids, strict=True), key=lambda pair: (-pair[0], pair[1]))[:KEPT]
            rows = [
                {"dataset_id": dataset_id, "aim": aim, "record_id": record_id, "worth": worth}
                for worth, record_id in best
            ]
            if rows:
                self.session.run(insert(shortlist), rows)
            self._trim(dataset_id, aim)

    def best(self, dataset_id: int, aim: Aim, limit: int) -> list[int]:
        statement = (
            select(shortlist.c.record_id)
            .where(shortlist.c.dataset_id == dataset_id, shortlist.c.aim == aim, ~REVIEWED)
            .order_by(shortlist.c.worth.desc(), shortlist.c.record_id)
            .limit(limit)
        )
        return [row.record_id for row in self.session.rows(statement)]

    def _trim(self, dataset_id: int, aim: Aim) -> None:
        """Drop what comes behind the best KEPT."""
        mine = (shortlist.c.dataset_id == dataset_id, shortlist.c.aim == aim)
        order = (shortlist.c.worth.desc(), shortlist.c.record_id)
        last = self.session.first(select(shortlist).where(*mine).order_by(*order).limit(1).offset(KEPT - 1))
        if last is not None:
            behind = or_(
                shortlist.c.worth < last.worth,
                and_(shortlist.c.worth == last.worth, shortlist.c.record_id > last.record_id),
            )
            self.session.run(delete(shortlist).where(*mine, behind))
