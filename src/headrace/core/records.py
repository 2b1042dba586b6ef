"""Records: pieces of content as they were sent. The caller's own key makes every upload an upsert."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import content, learning, sources
from headrace.core.errors import Conflict, Invalid, NotFound, TooLarge
from headrace.core.positions import Position
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref, Source

if TYPE_CHECKING:
    from headrace.core.datasets import Dataset
    from headrace.core.store import Tx

MAX_BATCH = 16384
ID_KEY = re.compile(r"0[0-9a-f]{15}|[1-7][0-9a-f]{15}")


class Record(NamedTuple):
    """One stored record. `body` and `meta` are JSON text; times are microseconds since the epoch.

    `version` counts changes, `annotated` the datasets in which it has a current annotation.
    """

    id: int
    source_id: int
    external_id: str | None
    kind: str
    body: str
    meta: str | None
    number: int
    timestamp: int
    created_at: int
    modified_at: int
    version: int
    annotated: int
    x: int
    n: int

    @property
    def position(self) -> Position:
        """The record's place in the log, which moves when it changes."""
        return Position(self.x, self.n)


class NewRecord(NamedTuple):
    """A record to store. `timestamp` is the sender's own date."""

    external_id: str | None
    kind: str
    body: str
    meta: str | None
    timestamp: int


class TimeOrder(StrEnum):
    """The clocks by which pages can be ordered."""

    TIMESTAMP = "timestamp"
    CREATED_AT = "created_at"


@dataclass(frozen=True, kw_only=True, slots=True)
class TimePage:
    """A page request by time: both bounds inclusive, `after` a (time, id) key already delivered."""

    order: TimeOrder
    limit: int
    start: int | None = None
    end: int | None = None
    after: tuple[int, int] | None = None


class SyncCounts(NamedTuple):
    """What an upsert did, record by record."""

    new: int
    updated: int
    unchanged: int


class Records(Protocol):
    """Storage of records."""

    def insert(self, source_id: int, rows: Sequence[NewRecord]) -> Sequence[int]:
        """Store new records at new positions and answer their ids in order; Conflict on a key taken."""

    def replace(self, rows: Sequence[tuple[int, NewRecord]]) -> None:
        """Give records a new body, version and position; ids, created_at and annotations stay."""

    def by_external(self, source_id: int, external_ids: Sequence[str]) -> list[Record]:
        """The records of a source with these keys, in no order."""

    def by_ids(self, record_ids: Sequence[int], source_ids: Sequence[int]) -> list[Record]:
        """Those of the records that lie in the sources, in the order asked."""

    def after(self, source_ids: Sequence[int], position: Position, limit: int) -> list[Record]:
        """Records behind a position in log order, at most `limit`, only what nothing can commit before."""

    def head(self) -> Position:
        """The position at which a reader stands that has seen everything readable now."""

    def state(self) -> str:
        """A text that is another one after every commit that put something into the log."""

    def before_created(self, source_ids: Sequence[int], created_at: int) -> Position:
        """The position just before the first record created at or after the instant; the head if there is none."""

    def by_time(self, source_ids: Sequence[int], page: TimePage) -> list[Record]:
        """A page of records in ascending (time, id) order."""

    def numbered(self, source: Source, skip: int, limit: int) -> list[Record]:
        """Records of a source in id order, the first `skip` left out; flat in cost while none was deleted."""

    def delete(self, source_id: int, record_ids: Sequence[int]) -> int:
        """Remove records of the source with all that hangs on them; answers how many there were."""


def sync(tx: "Tx", who: Principal, ref: Ref, rows: Sequence[NewRecord]) -> SyncCounts:
    """Insert or update records by their key; of a key that occurs twice in the batch the last one counts."""
    source = sources.load(tx, who, ref, Permission.EDIT_MESSAGES)
    _check_batch(rows)
    unique = {row.external_id: row for row in rows}
    known = _known(tx, source, unique.values())
    unique.update((key, _with_files(tx, record, unique[key])) for key, record in known.items() if _has_files(record))
    new = [row for key, row in unique.items() if key not in known]
    changed = [
        (known[row.external_id].id, row)
        for row in unique.values()
        if row.external_id in known and not same(known[row.external_id], row)
    ]
    _announce(tx, who, source, tx.records.insert(source.id, new))
    change(tx, changed)
    learning.records_arrived(tx, source.id)
    return SyncCounts(len(new), len(changed), len(unique) - len(new) - len(changed))


def put(tx: "Tx", who: Principal, ref: Ref, rows: Sequence[NewRecord], seen: Mapping[str, int] | None = None) -> None:
    """Insert records; repeating one with the same data is fine, another body under a known key is a Conflict.

    Unless the caller has `seen` the record's latest version, by its key: then the record is changed.
    """
    source = sources.load(tx, who, ref, Permission.EDIT_MESSAGES)
    _check_batch(rows)
    known = _known(tx, source, rows)
    written: dict[str | None, NewRecord] = {}
    for row in rows:
        record, earlier = known.get(row.external_id), written.get(row.external_id)
        sent = _with_files(tx, record, row) if record and _has_files(record) else row
        if same(earlier or record, sent):
            continue
        if earlier or (record and (seen or {}).get(str(row.external_id)) != record.version):
            raise Conflict(
                f"the comment '{row.external_id}' exists already with other data; use sync to change it, "
                "or name its latest context",
                fields={"id": row.external_id},
            )
        written[row.external_id] = sent
    change(tx, [(known[key].id, row) for key, row in written.items() if key in known])
    new = tx.records.insert(source.id, [row for key, row in written.items() if key not in known])
    _announce(tx, who, source, new)
    learning.records_arrived(tx, source.id)


def same(known: Record | NewRecord | None, sent: NewRecord) -> bool:
    """True when what was sent says what is known already, whatever the order of its keys or its spacing."""
    if known is None or known.kind != sent.kind or known.timestamp != sent.timestamp:
        return False
    if known.body == sent.body:
        return True
    # The cheap comparison first: it takes 1 and 1.0, or 1 and true, for the same, but never tells equal bodies apart.
    return bool(json.loads(known.body) == json.loads(sent.body)) and _canonical(known.body) == _canonical(sent.body)


def _canonical(body: str) -> str:
    """The same text for bodies that say the same; a number and a truth value, or 1 and 1.0, do not."""
    return json.dumps(json.loads(body), sort_keys=True)


def change(tx: "Tx", rows: Sequence[tuple[int, NewRecord]]) -> None:
    """Replace records; they take a new place at the end of the log and lose the predictions made of the old text."""
    if rows:
        tx.records.replace(rows)
        tx.predictions.forget([record_id for record_id, _ in rows])


def key_of(record: Record) -> str:
    """The record's key in its source: the caller's own, else its id as 16 hex digits."""
    return f"{record.id:016x}" if record.external_id is None else record.external_id


def by_keys(tx: "Tx", source_id: int, keys: Sequence[str]) -> dict[str, Record]:
    """The records of a source by key; keys that name nothing are left out."""
    found = {str(record.external_id): record for record in tx.records.by_external(source_id, keys)}
    ids = [int(key, 16) for key in keys if key not in found and ID_KEY.fullmatch(key)]
    keyless = (record for record in tx.records.by_ids(ids, [source_id]) if record.external_id is None)
    return found | {key_of(record): record for record in keyless}


def get(tx: "Tx", who: Principal, ref: Ref, key: str) -> tuple[Source, Record]:
    """One record of a source by its key; raises NotFound."""
    source = sources.load(tx, who, ref, Permission.VIEW_SOURCES)
    found = by_keys(tx, source.id, [key]).get(key)
    if found is None:
        raise NotFound("there is no such comment in the source", fields={"id": key[:80]})
    return source, shown(tx, who, [found])[0]


def shown(tx: "Tx", who: Principal, found: list[Record]) -> list[Record]:
    """The records as the caller may see them: sensitive properties are hidden without the right to them.

    Where nothing is hidden the answer is the list itself.
    """
    hidden = sources.hidden(tx, who, sorted({record.source_id for record in found}))
    if not hidden:
        return found
    return [
        record._replace(body=content.masked(record.kind, record.body, hidden[record.source_id]))
        if record.source_id in hidden
        else record
        for record in found
    ]


def page(tx: "Tx", who: Principal, ref: Ref, request: TimePage) -> tuple[Source, list[Record]]:
    """A page of a source's records by time."""
    source = sources.load(tx, who, ref, Permission.VIEW_SOURCES)
    return source, shown(tx, who, tx.records.by_time([source.id], request))


def delete(tx: "Tx", who: Principal, ref: Ref, keys: Sequence[str]) -> int:
    """Delete records of a source by key; unknown ones are passed over, so a retry is harmless."""
    source = sources.load(tx, who, ref, Permission.EDIT_MESSAGES)
    record_ids = [record.id for record in by_keys(tx, source.id, keys).values()]
    count = tx.records.delete(source.id, record_ids)
    if count:
        tx.events.add(
            "records.deleted",
            actor_id=who.user_id,
            project_id=source.project_id,
            dataset_id=tx.datasets.owner(source.id),
            subject_id=source.id,
            data={"count": count, "records": record_ids},
        )
    return count


def ranges(pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same numbers in the same order with neighbours joined: (1, 3), (4, 4) becomes (1, 4)."""
    first = last = None
    for low, high in pairs:
        if last is not None and low == last + 1:
            last = high
            continue
        if first is not None and last is not None:
            yield first, last
        first, last = low, high
    if first is not None and last is not None:
        yield first, last


def created(tx: "Tx", who: Principal, dataset: "Dataset", record_ids: Iterable[int]) -> None:
    """Say in the log that tasks of a dataset were made; records elsewhere are told by their own positions."""
    tx.events.add(
        "records.created",
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=dataset.own_source_id,
        data={"ranges": list(ranges((number, number) for number in record_ids))},
    )


def _announce(tx: "Tx", who: Principal, source: Source, record_ids: Sequence[int]) -> None:
    """Say that records came, where they are the tasks of a dataset."""
    owner = tx.datasets.owner(source.id) if record_ids else None
    dataset = tx.datasets.get(owner, None) if owner else None
    if dataset:
        created(tx, who, dataset, record_ids)


def _check_batch(rows: Sequence[NewRecord]) -> None:
    if not rows:
        raise Invalid("comments is empty", fields={"comments": 0})
    if len(rows) > MAX_BATCH:
        raise TooLarge(f"comments holds more than {MAX_BATCH} items", fields={"comments": len(rows)})


def _has_files(known: Record) -> bool:
    return '"content_hash"' in known.body


def _with_files(tx: "Tx", known: Record, sent: NewRecord) -> NewRecord:
    """What was sent, with what the server says of the files it holds; files of other attachments are dropped."""
    before = json.loads(known.body).get("attachments") or []
    body = json.loads(sent.body)
    after = body.get("attachments") or []
    stale = []
    for number, kept in tx.attachments.of_record(known.id).items():
        if number >= 0 and [item["name"] for item in after[number : number + 1]] == [before[number]["name"]]:
            after[number] |= kept.given
        elif number >= 0:
            stale.append(kept.id)
    if stale:
        tx.attachments.delete(stale)
    return sent._replace(body=json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def _known(tx: "Tx", source: Source, rows: Iterable[NewRecord]) -> dict[str | None, Record]:
    keys = [row.external_id for row in rows if row.external_id is not None]
    return {record.external_id: record for record in tx.records.by_external(source.id, keys)}
