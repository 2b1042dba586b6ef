"""Exceptions: a consumer's word that a record was not usable. They come back to people as work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core import records, streams
from headrace.core.errors import Invalid, NotFound
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_TYPE = 256
MAX_BATCH = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamException:
    """One tagged record of a stream; `answered_at` is set when somebody has labelled the record since."""

    id: int
    stream_id: int
    dataset_id: int
    record_id: int
    type: str
    created_at: int
    answered_at: int | None


class Exceptions(Protocol):
    """Storage of exceptions; one per stream and record."""

    def tag(self, stream_id: int, dataset_id: int, rows: Sequence[tuple[int, str]]) -> None:
        """Tag (record id, type); tagging again replaces the type and opens the exception anew."""

    def untag(self, stream_id: int, record_ids: Sequence[int]) -> int:
        """Remove tags; answers how many there were."""

    def of_records(self, dataset_id: int, record_ids: Sequence[int]) -> list[StreamException]:
        """The exceptions of these records in the dataset, by id."""

    def open(self, dataset_id: int, limit: int) -> list[StreamException]:
        """Exceptions nobody has answered, oldest first."""

    def answer(self, dataset_id: int, record_ids: Sequence[int]) -> list[StreamException]:
        """Mark the open exceptions of these records answered and return them."""


Uid = tuple[int, str]
"""A record as a consumer names it: source id, and the record's key there."""


def tag(tx: "Tx", who: Principal, ref: Ref, name: str, rows: Sequence[tuple[Uid, str]]) -> None:
    """Tag records of a stream's dataset as exceptions; raises NotFound for a record that is not in it."""
    dataset, stream = streams.load(tx, who, ref, name, Permission.CONSUME_STREAMS, Permission.VIEW_SOURCES)
    if len(rows) > MAX_BATCH:
        raise Invalid(f"exceptions holds more than {MAX_BATCH} items", fields={"exceptions": len(rows)})
    for _, kind in rows:
        if len(kind) > MAX_TYPE:
            raise Invalid(f"metadata.type is longer than {MAX_TYPE} characters", fields={"type": len(kind)})
    found = locate(tx, dataset.source_ids, [uid for uid, _ in rows])
    tagged = {found[uid]: kind for uid, kind in rows}
    tx.exceptions.tag(stream.id, dataset.id, list(tagged.items()))
    for record_id, kind in tagged.items():
        tx.events.add(
            "exception.tagged",
            actor_id=who.user_id,
            project_id=dataset.project_id,
            dataset_id=dataset.id,
            subject_id=record_id,
            data={"stream": stream.name, "type": kind},
        )


def untag(tx: "Tx", who: Principal, ref: Ref, name: str, uids: Sequence[Uid]) -> None:
    """Remove tags; a record without one is no error, an unknown record is NotFound."""
    dataset, stream = streams.load(tx, who, ref, name, Permission.CONSUME_STREAMS, Permission.VIEW_SOURCES)
    found = locate(tx, dataset.source_ids, uids)
    if tx.exceptions.untag(stream.id, list(found.values())):
        tx.events.add(
            "exception.untagged",
            actor_id=who.user_id,
            project_id=dataset.project_id,
            dataset_id=dataset.id,
            data={"stream": stream.name, "records": sorted(found.values())},
        )


def locate(tx: "Tx", source_ids: Sequence[int], uids: Sequence[Uid]) -> dict[Uid, int]:
    """The ids of records named by source and key, in the sources given; raises NotFound naming the first unknown."""
    wanted: dict[int, list[str]] = {}
    for source_id, key in uids:
        wanted.setdefault(source_id, []).append(key)
    found: dict[Uid, int] = {}
    for source_id in wanted.keys() & set(source_ids):
        for key, record in records.by_keys(tx, source_id, wanted[source_id]).items():
            found[source_id, key] = record.id
    for uid in uids:
        if uid not in found:
            raise NotFound("uid names no comment of the dataset", fields={"uid": f"{uid[0]:016x}.{uid[1]}"})
    return found
