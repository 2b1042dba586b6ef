"""Statements of corrections."""

from typing import Any

from sqlalchemy import Select, insert, select, update

from headrace.core.correction_rules import Correction
from headrace.storage.schema_kiln import UNCLOSED, corrections
from headrace.storage.session import Repository


class CorrectionRepository(Repository):
    """See `core.correction_rules.Corrections`."""

    def insert(self, dataset_id: int, record_id: int, *, reason: str, opened_by: int) -> Correction:
        values = {
            "dataset_id": dataset_id,
            "record_id": record_id,
            "reason": reason,
            "opened_by": opened_by,
            "opened_at": self.session.now(),
        }
        made = self.session.insert_id(insert(corrections).values(values))
        found = self.get(dataset_id, made)
        assert found is not None
        return found

    def get(self, dataset_id: int, correction_id: int) -> Correction | None:
        mine = (corrections.c.dataset_id == dataset_id, corrections.c.id == correction_id)
        found = self._all(select(corrections).where(*mine))
        return found[0] if found else None

    def open_of(self, record_id: int) -> Correction | None:
        found = self._all(select(corrections).where(corrections.c.record_id == record_id, UNCLOSED))
        return found[0] if found else None

    def page(self, dataset_id: int, outcome: str | None, after: int, limit: int) -> list[Correction]:
        wanted = corrections.c.outcome.is_(None) if outcome is None else corrections.c.outcome == outcome
        statement = select(corrections).where(corrections.c.dataset_id == dataset_id, wanted, corrections.c.id > after)
        return self._all(statement.order_by(corrections.c.id).limit(limit))

    def close(self, correction_id: int, *, outcome: str, closed_by: int) -> None:
        values = {"outcome": outcome, "closed_by": closed_by, "closed_at": self.session.now()}
        self.session.run(update(corrections).where(corrections.c.id == correction_id).values(values))

    def _all(self, statement: Select[Any]) -> list[Correction]:
        return [Correction(**row._asdict()) for row in self.session.rows(statement)]
