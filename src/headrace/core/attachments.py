"""Attachments: the files of a record, kept beside it and handed out only as opaque bytes.

What a record's body says of its attachments comes from its sender; once a file has been stored, the server adds the
file's reference and hash there. A sender who repeats the body without them changes nothing (see `records.sync`).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core import learning, records
from headrace.core.content import Kind
from headrace.core.errors import Invalid, NotFound
from headrace.core.rights import Permission, Principal, Scope
from headrace.core.sources import Ref, Source
from headrace.core.sources import load as load_source

if TYPE_CHECKING:
    from headrace.core.records import Record
    from headrace.core.store import Tx

MAX_BYTES = 32 * 1024 * 1024
AUDIO = -1
"""The number under which a record's recording is kept; its attachments count from 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """One stored file of a record; `digest` is the SHA-256 of its bytes in hex."""

    id: int
    record_id: int
    number: int
    digest: str
    size: int
    created_at: int

    @property
    def given(self) -> dict[str, str]:
        """What the server adds to the attachment in the record's body."""
        return {"attachment_reference": f"{self.id:016x}", "content_hash": self.digest}


class Attachments(Protocol):
    """Storage of files, one per record and number."""

    def put(self, record_id: int, number: int, digest: str, data: bytes) -> Attachment:
        """Store a file in place of the one that was there, under a new id."""

    def of_record(self, record_id: int) -> dict[int, Attachment]:
        """What is known of a record's files, by number."""

    def delete(self, attachment_ids: Sequence[int]) -> None:
        """Remove files."""

    def read(self, attachment_id: int, scope: Scope) -> tuple[Attachment, "Record", bytes] | None:
        """A file with its record, when the record's source lies in scope."""


def store(tx: "Tx", who: Principal, ref: Ref, key: str, number: int, data: bytes) -> str:
    """Store the file of a record's attachment, counted from 0; answers its hash in hex.

    The body of the record then names it, which is a change of the record unless the file was there already. Raises
    NotFound for an attachment the record does not have, Invalid above 32 MiB.
    """
    source, record = _load(tx, who, ref, key)
    described = described_attachments(record)
    if not 0 <= number < len(described):
        raise NotFound(f"the comment has no attachment {number}", fields={"attachment": number})
    kept = _keep(tx, record, number, data)
    if described[number] | kept.given != described[number]:
        body = json.loads(record.body)
        body["attachments"][number] |= kept.given
        changed = records.NewRecord(record.external_id, record.kind, _dumps(body), record.meta, record.timestamp)
        tx.records.replace([(record.id, changed)])
        learning.records_arrived(tx, source.id)
        _event(tx, who, source.project_id, record, number)
    return kept.digest


def store_audio(tx: "Tx", who: Principal, ref: Ref, key: str, data: bytes) -> None:
    """Store a record's recording in place of an earlier one; raises Invalid above 32 MiB."""
    source, record = _load(tx, who, ref, key)
    _keep(tx, record, AUDIO, data)
    _event(tx, who, source.project_id, record, AUDIO)


def read(tx: "Tx", who: Principal, attachment_id: int) -> tuple[str, bytes]:
    """The name and the bytes of a stored file the caller may see; raises NotFound."""
    found = tx.attachments.read(attachment_id, who.scope_with(Permission.VIEW_SOURCES))
    if found is None:
        raise NotFound("there is no such attachment", fields={"attachment": f"{attachment_id:016x}"})
    attachment, record, data = found
    described = described_attachments(record)
    name = described[attachment.number].get("name") if 0 <= attachment.number < len(described) else None
    return str(name or "attachment"), data


def read_audio(tx: "Tx", who: Principal, ref: Ref, key: str) -> tuple[str, bytes]:
    """The name and the bytes of a record's recording; raises NotFound."""
    _, record = records.get(tx, who, ref, key)
    kept = tx.attachments.of_record(record.id).get(AUDIO)
    if kept is None:
        raise NotFound("the comment has no audio", fields={"id": key[:80]})
    return f"{key[:200]}.audio", read(tx, who, kept.id)[1]


def described_attachments(record: "Record") -> list[dict[str, object]]:
    """What a comment's body says of its attachments, in order; empty for other records."""
    if record.kind != Kind.COMMENT or '"attachments"' not in record.body:
        return []
    return json.loads(record.body).get("attachments") or []


def _load(tx: "Tx", who: Principal, ref: Ref, key: str) -> tuple[Source, "Record"]:
    """A record as it is stored, also what the caller may not see of it: it is to be written back."""
    source = load_source(tx, who, ref, Permission.EDIT_MESSAGES)
    found = records.by_keys(tx, source.id, [key]).get(key)
    if found is None:
        raise NotFound("there is no such comment in the source", fields={"id": key[:80]})
    return source, found


def _keep(tx: "Tx", record: "Record", number: int, data: bytes) -> Attachment:
    if len(data) > MAX_BYTES:
        raise Invalid(f"file is larger than {MAX_BYTES} bytes", fields={"file": len(data)})
    digest = hashlib.sha256(data).hexdigest()
    known = tx.attachments.of_record(record.id).get(number)
    return known if known and known.digest == digest else tx.attachments.put(record.id, number, digest, data)


def _event(tx: "Tx", who: Principal, project_id: int, record: "Record", number: int) -> None:
    tx.events.add(
        "attachment.stored",
        actor_id=who.user_id,
        project_id=project_id,
        subject_id=record.id,
        data={"number": number},
    )


def _dumps(body: Mapping[str, object]) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
