"""Tallies: a dataset's annotations counted as they change, so that nobody counts them all for a page of tasks.

A record adds to one row of its dataset (author 0), by the number of different people who annotated it, and to one row
of each author who annotated or skipped it. What changes annotations takes away what their records add, and adds what
they add afterwards.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, func, select, text

from headrace.core.annotations import AnnotationCounts
from headrace.core.errors import Conflict
from headrace.storage.schema import annotations, records
from headrace.storage.schema_views import tallies
from headrace.storage.session import Session, among

KEYS = ("dataset_id", "author_id", "authors")
SUMS = ("records", "total", "cancelled", "ground_truth", "useful", "annotated")
WHOLE = 0

Sums = tuple[int, ...]


class Key(NamedTuple):
    """What a row of sums is about."""

    dataset_id: int
    author_id: int
    authors: int


class _Counted(NamedTuple):
    """An author's annotations of a record, counted."""

    dataset_id: int
    record_id: int
    author_id: int
    total: int
    cancelled: int
    ground_truth: int
    useful: int


_VALID = annotations.c.cancelled.is_(False)
_COUNTED = select(
    annotations.c.dataset_id,
    annotations.c.record_id,
    annotations.c.author_id,
    func.count().filter(_VALID).label("total"),
    func.count().filter(annotations.c.cancelled).label("cancelled"),
    func.count().filter(annotations.c.ground_truth).label("ground_truth"),
    func.count().filter(and_(_VALID, annotations.c.ground_truth.is_(False))).label("useful"),
).where(annotations.c.blank.is_(False))
_GROUPS = (annotations.c.dataset_id, annotations.c.record_id, annotations.c.author_id)
_TALLIES = select(tallies).where(tallies.c.dataset_id == bindparam("dataset"), among(tallies.c.author_id, "authors"))
_ADD = text(
    f"INSERT INTO tallies ({', '.join((*KEYS, *SUMS))}) VALUES ({', '.join(f':{name}' for name in (*KEYS, *SUMS))}) "
    f"ON CONFLICT ({', '.join(KEYS)}) DO UPDATE SET "
    + ", ".join(f"{name} = tallies.{name} + excluded.{name}" for name in SUMS)
)


class Said(NamedTuple):
    """What an annotation counts as, and its place in the log."""

    x: int
    n: int
    id: int
    record_id: int
    author_id: int
    cancelled: bool
    ground_truth: bool
    blank: bool
    current: bool


_SAID = (
    select(*(annotations.c[name] for name in Said._fields))
    .where(annotations.c.dataset_id == bindparam("dataset"), among(annotations.c.record_id, "records"))
    .order_by(annotations.c.x, annotations.c.n)
)
_HOLD = (
    select(records.c.id).where(among(records.c.id, "records")).order_by(records.c.id).with_for_update(key_share=True)
)


def held(session: Session, dataset_id: int, record_ids: Sequence[int]) -> list[Said]:
    """All that is said of the records in the dataset, the oldest first; nobody else says more before this transaction
    ends. Raises Conflict when one of the records is being deleted by somebody else."""
    _hold(session, record_ids)
    given = {"dataset": dataset_id, "records": record_ids}
    return [Said._make(row) for row in session.tuples(_SAID, given)]


def retell(session: Session, dataset_id: int, before: Iterable[Said], after: Iterable[Said]) -> None:
    """Have the tallies say what is said of some records now, where they said what was."""
    _move(session, _sums(dataset_id, before), _sums(dataset_id, after))


def forget(session: Session, matching: ColumnElement[bool]) -> None:
    """Take away what annotations add that are about to be deleted, with all others of their records."""
    _move(session, _standing(session, matching), {})


def counts(session: Session, dataset_id: int, *, overlap: int, author_id: int) -> AnnotationCounts:
    """See `core.annotations.Annotations.counts`."""
    rows = session.rows(_TALLIES, {"dataset": dataset_id, "authors": [WHOLE, author_id]})
    whole = [row for row in rows if row.author_id == WHOLE]
    mine = [row for row in rows if row.author_id != WHOLE]
    finished = sum(row.records for row in whole if row.authors >= overlap)
    return AnnotationCounts(
        total=sum(row.total for row in whole),
        cancelled=sum(row.cancelled for row in whole),
        ground_truth=sum(row.ground_truth for row in whole),
        useful=sum(row.useful for row in whole),
        annotated=sum(row.annotated for row in whole),
        finished=finished,
        mine=sum(row.records for row in mine),
        finished_by_others=finished - sum(row.records for row in mine if row.authors >= overlap),
    )


def _hold(session: Session, record_ids: Sequence[int]) -> None:
    """Let others that annotate or delete these records wait until this transaction ends: both count before they
    change, and must not count the same state."""
    if not session.postgres:
        return
    wanted = sorted(set(record_ids))
    if len(session.rows(_HOLD, {"records": wanted})) < len(wanted):
        raise Conflict("a record was deleted meanwhile", fields={"records": len(wanted)})


def _standing(session: Session, matching: ColumnElement[bool]) -> dict[Key, Sums]:
    """What the records of these annotations add to each row."""
    found: defaultdict[Key, Sums] = defaultdict(lambda: (0,) * len(SUMS))
    rows = session.rows(_COUNTED.where(matching).group_by(*_GROUPS).order_by(*_GROUPS[:2]))
    for (dataset_id, _), said in groupby(rows, key=lambda row: row[:2]):
        for key, sums in _added(dataset_id, list(said)):
            found[key] = tuple(map(sum, zip(found[key], sums, strict=True)))
    return found


def _sums(dataset_id: int, said: Iterable[Said]) -> dict[Key, Sums]:
    """`_standing` of annotations in hand."""
    counted: dict[tuple[int, int], list[int]] = {}
    for item in said:
        if not item.blank:
            row = counted.setdefault((item.record_id, item.author_id), [0, 0, 0, 0])
            row[0] += not item.cancelled
            row[1] += bool(item.cancelled)
            row[2] += bool(item.ground_truth)
            row[3] += not (item.cancelled or item.ground_truth)
    of_record: dict[int, list[_Counted]] = {}
    for (record_id, author_id), sums in counted.items():
        of_record.setdefault(record_id, []).append(_Counted(dataset_id, record_id, author_id, *sums))
    found: defaultdict[Key, Sums] = defaultdict(lambda: (0,) * len(SUMS))
    for rows in of_record.values():
        for key, added in _added(dataset_id, rows):
            found[key] = tuple(map(sum, zip(found[key], added, strict=True)))
    return found


def _added(dataset_id: int, said: Sequence[Any]) -> Iterator[tuple[Key, Sums]]:
    """What one record adds, of which each author's annotations have been counted."""
    authors = sum(row.total > 0 for row in said)
    total, cancelled, ground_truth, useful = (sum(column) for column in zip(*(row[3:] for row in said), strict=True))
    yield Key(dataset_id, WHOLE, authors), (1, total, cancelled, ground_truth, useful, int(useful > 0))
    for row in said:
        yield Key(dataset_id, row.author_id, authors), (1, 0, 0, 0, 0, 0)


def _move(session: Session, before: dict[Key, Sums], after: dict[Key, Sums]) -> None:
    nothing = (0,) * len(SUMS)
    changes = []
    for key in sorted({*before, *after}):
        pairs = zip(after.get(key, nothing), before.get(key, nothing), strict=True)
        change = [new - old for new, old in pairs]
        if any(change):
            changes.append(dict(zip((*KEYS, *SUMS), (*key, *change), strict=True)))
    if changes:
        session.run(_ADD, changes)
