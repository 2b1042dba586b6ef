"""The rows of an import: what each became, and the records they made or changed.

A row with the caller's own key is an upsert; what comes beside its data is taken only with a new record. Only rows
that made no new record are kept; all others follow from the ranges of ids that the import gave out.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import content, records
from headrace.core.records import NewRecord, Record, ranges

if TYPE_CHECKING:
    from headrace.core.datasets import Dataset
    from headrace.core.imports import Import, ImportRow
    from headrace.core.store import Tx

KEY = re.compile(r"[\w\x21-\x2e\x3a-\x40\x5b-\x60\x7b-\x7e]{1,1024}")
ALL_ROWS = 2**31


class Outcome(StrEnum):
    """What became of a row."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


COUNTS = (Outcome.UPDATED, Outcome.UNCHANGED, Outcome.REJECTED)


class RowNote(NamedTuple):
    """What became of one row, by its number in the request; `before` is what its record was until then, as JSON."""

    row: int
    record_id: int | None
    outcome: Outcome
    reason: str | None = None
    before: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """A chunk's rows by what is to be done with them; `new` and the notes' rows are places in the chunk."""

    rows: Sequence["ImportRow"]
    new: Sequence[int]
    notes: Sequence[RowNote]
    changes: Sequence[tuple[int, NewRecord]]

    def counted(self, before: Mapping[str, int]) -> dict[str, int]:
        """Counts by outcome with this chunk's rows added."""
        return {name: before[name] + sum(note.outcome is name for note in self.notes) for name in COUNTS}


def record_key(value: object) -> str | None:
    """The key of a record that a caller's value stands for, or None when it can be none.

    A comment's id of Communications Mining is the same key, so the same characters are good.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return text if isinstance(text, str) and KEY.fullmatch(text) else None


def sort_out(tx: "Tx", source_id: int, rows: Sequence["ImportRow"]) -> Sorted:
    """Compare a chunk with the records that are there under the same keys."""
    keys = [row.external_id for row in rows if row.external_id is not None and row.rejected is None]
    known = {record.external_id: record for record in tx.records.by_external(source_id, keys)}
    new: list[int] = []
    notes: list[RowNote] = []
    changes: list[tuple[int, NewRecord]] = []
    for place, row in enumerate(rows):
        record = known.get(row.external_id) if row.external_id is not None else None
        if row.rejected is not None:
            notes.append(RowNote(place, None, Outcome.REJECTED, row.rejected))
        elif record is None:
            new.append(place)
        elif (changed := _changed(record, row)) is None:
            notes.append(RowNote(place, record.id, Outcome.UNCHANGED))
        else:
            notes.append(RowNote(place, record.id, Outcome.UPDATED, before=_remembered(record)))
            changes.append((record.id, changed))
    return Sorted(rows=rows, new=new, notes=notes, changes=changes)


def _changed(record: Record, row: "ImportRow") -> NewRecord | None:
    """What the row makes of the record, or None when it says what is known already; meta not sent stays."""
    meta = record.meta if row.meta is None else row.meta
    sent = NewRecord(row.external_id, content.Kind.TASK, row.data, meta, record.timestamp)
    same_meta = meta == record.meta or json.loads(meta or "{}") == json.loads(record.meta or "{}")
    return None if same_meta and records.same(record, sent) else sent


def _remembered(record: Record) -> str:
    return json.dumps([record.version, record.kind, record.body, record.meta, record.timestamp])


def store(tx: "Tx", known: "Import", chunk: Sorted) -> Sequence[int]:
    """Store a chunk's records and what became of its other rows; answers the new records' ids in order."""
    now, first = tx.now(), known.row_count
    rows = [chunk.rows[place] for place in chunk.new]
    new = [NewRecord(row.external_id, content.Kind.TASK, row.data, row.meta, now) for row in rows]
    record_ids = tx.records.insert(known.source_id, new)
    records.change(tx, chunk.changes)
    if chunk.notes:
        tx.imports.note_rows(known.id, [note._replace(row=first + note.row) for note in chunk.notes])
    if known.keeps_files and record_ids:
        _note_files(tx, known, rows, record_ids)
    return record_ids


def _note_files(tx: "Tx", known: "Import", rows: Sequence["ImportRow"], record_ids: Sequence[int]) -> None:
    since = known.first_id or record_ids[0]
    file_ids = known.file_ids
    by_file: dict[int, list[int]] = {}
    for row, record_id in zip(rows, record_ids, strict=True):
        by_file.setdefault(file_ids[row.file], []).append(record_id)
    for file in tx.uploads.of_dataset(known.dataset_id, list(by_file)):
        for low, high in ranges((number, number) for number in by_file[file.id]):
            tx.uploads.add_records(file, low, high, since=since)


def restore(tx: "Tx", known: "Import") -> None:
    """Give back what the import changed, unless somebody has changed it again, and forget its rows."""
    if not any(known.counts.values()):
        return
    notes = tx.imports.noted_rows(known.id, -1, ALL_ROWS)
    before = {note.record_id: json.loads(note.before) for note in notes if note.record_id and note.before}
    back: list[tuple[int, NewRecord]] = []
    for record in tx.records.by_ids([number for number in before if number], [known.source_id]):
        version, kind, body, meta, timestamp = before[record.id]
        if record.version == version + 1:
            back.append((record.id, NewRecord(record.external_id, kind, body, meta, timestamp)))
    records.change(tx, back)
    tx.imports.forget_rows(known.id)


def put_aside(tx: "Tx", known: "Import", dataset: "Dataset") -> None:
    """Delete the records that were made of a reimport's files before it, except for those it found again by key."""
    before = known.first_id or tx.tasks.last_id() + 1
    found_again = {note.record_id for note in tx.imports.noted_rows(known.id, -1, ALL_ROWS)}
    old = tx.uploads.records_before(known.file_ids, known.source_id, before)
    gone = [record_id for record_id in old if record_id not in found_again]
    kept = [record_id for record_id in old if record_id in found_again]
    names = tx.uploads.names_of(dataset.id, kept)
    tx.uploads.forget_records(known.file_ids, before=before)
    for file in tx.uploads.of_dataset(dataset.id, known.file_ids):
        for low, high in ranges((number, number) for number in kept if names[number] == file.name):
            tx.uploads.add_records(file, low, high, since=low)
    if gone:
        tx.records.delete(known.source_id, gone)
        tx.events.add(
            "records.deleted",
            actor_id=known.author_id,
            project_id=dataset.project_id,
            dataset_id=dataset.id,
            data={"records": gone},
        )


def record_ids(tx: "Tx", known: "Import") -> list[int]:
    """The records of an import in the order of the request: those made, changed, and found as they were."""
    if not any(known.counts.values()):
        return known.record_ids
    return [note.record_id for note in receipt(tx, known, 0, known.row_count) if note.record_id is not None]


def receipt(tx: "Tx", known: "Import", first: int, count: int) -> Iterator[RowNote]:
    """What became of the rows from a number on. Where nothing was stored the bad rows are told, with their reasons."""
    problems = _told_problems(known)
    if problems is not None:
        for problem in problems[first : first + count]:
            yield RowNote(int(str(problem["item"])), None, Outcome.REJECTED, str(problem["reason"]))
        return
    end, skip = min(known.row_count, first + count), first
    noted: dict[int, RowNote] = {}
    if any(known.counts.values()):
        noted = {note.row: note for note in tx.imports.noted_rows(known.id, first - 1, count) if note.row < end}
        skip -= tx.imports.count_noted(known.id, first)
    made = _ids_from(known, skip)
    for row in range(first, end):
        yield noted[row] if row in noted else RowNote(row, next(made), Outcome.CREATED)


def row_total(known: "Import") -> int:
    """How many rows `receipt` tells of."""
    problems = _told_problems(known)
    return known.row_count if problems is None else len(problems)


def _told_problems(known: "Import") -> Sequence[Mapping[str, object]] | None:
    """The problems that stand for the rows of an import which stored none; None of one that did."""
    if known.error is None and not known.options.get("dry_run"):
        return None
    return known.found.get("problems") or ()  # type: ignore[return-value]


def _ids_from(known: "Import", skip: int) -> Iterator[int]:
    """The ids of the records that an import made, the first of them left out."""
    for first, last in known.id_ranges:
        length = last - first + 1
        if skip < length:
            yield from range(first + skip, last + 1)
        skip = max(0, skip - length)
