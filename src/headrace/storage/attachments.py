"""Statements of attachments."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select

from headrace.core.attachments import Attachment
from headrace.core.records import Record
from headrace.core.rights import Scope
from headrace.storage.projects import in_scope
from headrace.storage.records import COLUMNS
from headrace.storage.schema import attachments, records, sources
from headrace.storage.session import Repository

KNOWN = tuple(column for column in attachments.c if column.name != "data")


def _attachment(row: Row[Any]) -> Attachment:
    return Attachment(**row._asdict())


class AttachmentRepository(Repository):
    """See `core.attachments.Attachments`."""

    def put(self, record_id: int, number: int, digest: str, data: bytes) -> Attachment:
        mine = (attachments.c.record_id == record_id, attachments.c.number == number)
        self.session.run(delete(attachments).where(*mine))
        values = {"record_id": record_id, "number": number, "digest": digest, "size": len(data), "data": data}
        self.session.run(insert(attachments).values(**values, created_at=self.session.now()))
        return self.of_record(record_id)[number]

    def of_record(self, record_id: int) -> dict[int, Attachment]:
        rows = self.session.rows(select(*KNOWN).where(attachments.c.record_id == record_id))
        return {row.number: _attachment(row) for row in rows}

    def delete(self, attachment_ids: Sequence[int]) -> None:
        self.session.run(delete(attachments).where(self.session.among(attachments.c.id, attachment_ids)))

    def read(self, attachment_id: int, scope: Scope) -> tuple[Attachment, Record, bytes] | None:
        visible = in_scope(self.session, sources.c.project_id, scope)
        joined = attachments.join(records, records.c.id == attachments.c.record_id)
        owned = joined.join(sources, sources.c.id == records.c.source_id)
        mine = (attachments.c.id == attachment_id, visible)
        row = self.session.first(select(*COLUMNS).select_from(owned).where(*mine))
        if row is None:
            return None
        kept = self.session.rows(select(*KNOWN).where(attachments.c.id == attachment_id))[0]
        data = self.session.rows(select(attachments.c.data).where(attachments.c.id == attachment_id))[0].data
        return _attachment(kept), Record._make(row), bytes(data)
