"""Statements of drafts."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, delete, insert, select, update

from headrace.core.drafts import Draft
from headrace.storage.schema_work import drafts
from headrace.storage.session import Repository, among

# Built once: every page of tasks runs them (benchmark requests).
OF_RECORDS = (
    select(drafts)
    .where(drafts.c.dataset_id == bindparam("dataset"), among(drafts.c.record_id, "records"))
    .order_by(drafts.c.id)
)
OF_AUTHOR = OF_RECORDS.where(drafts.c.author_id == bindparam("author"))


class DraftRepository(Repository):
    """See `core.drafts.Drafts`."""

    def insert(
        self, dataset_id: int, record_id: int, author_id: int, annotation_id: int | None, values: Mapping[str, object]
    ) -> int:
        now = self.session.now()
        row = {"result": "[]", "lead_time": None, "postponed": False, **values}
        whose = {"dataset_id": dataset_id, "record_id": record_id, "author_id": author_id}
        when = {"annotation_id": annotation_id, "created_at": now, "updated_at": now}
        return self.session.insert_id(insert(drafts).values(**row, **whose, **when))

    def update(self, draft_id: int, values: Mapping[str, object]) -> None:
        self.session.run(update(drafts).where(drafts.c.id == draft_id).values(**values, updated_at=self.session.now()))

    def delete(self, draft_id: int) -> None:
        self.session.run(delete(drafts).where(drafts.c.id == draft_id))

    def get(self, draft_id: int, author_id: int) -> Draft | None:
        mine = (drafts.c.id == draft_id, drafts.c.author_id == author_id)
        return next(iter(self._all(select(drafts).where(*mine))), None)

    def of_records(self, dataset_id: int, record_ids: Sequence[int], author_id: int | None = None) -> list[Draft]:
        if not record_ids:
            return []
        given = {"dataset": dataset_id, "records": record_ids, "author": author_id}
        return self._all(OF_RECORDS if author_id is None else OF_AUTHOR, given)

    def _all(self, statement: Select[Any], given: Mapping[str, object] | None = None) -> list[Draft]:
        return [Draft(**row._asdict()) for row in self.session.rows(statement, given)]
