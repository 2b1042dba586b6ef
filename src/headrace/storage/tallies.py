"""Tallies: a dataset's annotations counted as they change, so that nobody counts them all for a page of tasks.

A record adds to one row of its dataset (author 0), by the number of different people who annotated it, and to one row
of each author who annotated or skipped it. What changes annotations takes away what their records add, and adds what
they add afterwards.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, select, text

from headrace.core.annotations import AnnotationCounts
from headrace.core.errors import Conflict
from headrace.storage.schema import annotations, records
from headrace.storage.schema_views import tallies
from headrace.storage.session import Session

KEYS = ("dataset_id", "author_id", "authors")
SUMS = ("records", "total", "cancelled", "ground_truth", "useful", "annotated")
WHOLE = 0

Sums = tuple[int, ...]


class Key(NamedTuple):
    """What a row of sums is about."""

    dataset_id: int
    author_id: int
    authors: int


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
_ADD = text(
    f"INSERT INTO tallies ({', '.join((*KEYS, *SUMS))}) VALUES ({', '.join(f':{name}' for name in (*KEYS, *SUMS))}) "
    f"ON CONFLICT ({', '.join(KEYS)}) DO UPDATE SET "
    + ", ".join(f"{name} = tallies.{name} + excluded.{name}" for name in SUMS)
)


@contextmanager
def tallied(session: Session, dataset_id: int, record_ids: Sequence[int]) -> Iterator[None]:
    """Keep the tallies right while the annotations of these records in the dataset change.

    Raises Conflict when one of the records is being deleted by somebody else.
    """
    _hold(session, record_ids)
    mine = and_(annotations.c.dataset_id == dataset_id, session.among(annotations.c.record_id, record_ids))
    before = _standing(session, mine)
    yield
    _move(session, before, _standing(session, mine))


def forget(session: Session, matching: ColumnElement[bool]) -> None:
    """Take away what annotations add that are about to be deleted, with all others of their records."""
    _move(session, _standing(session, matching), {})


def counts(session: Session, dataset_id: int, *, overlap: int, author_id: int) -> AnnotationCounts:
    """See `core.annotations.Annotations.counts`."""
    wanted = session.among(tallies.c.author_id, [WHOLE, author_id])
    rows = session.rows(select(tallies).where(tallies.c.dataset_id == dataset_id, wanted))
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
    mine = select(records.c.id).where(session.among(records.c.id, wanted)).order_by(records.c.id)
    if len(session.rows(mine.with_for_update(key_share=True))) < len(wanted):
        raise Conflict("a record was deleted meanwhile", fields={"records": len(wanted)})


def _standing(session: Session, matching: ColumnElement[bool]) -> dict[Key, Sums]:
    """What the records of these annotations add to each row."""
    found: defaultdict[Key, Sums] = defaultdict(lambda: (0,) * len(SUMS))
    rows = session.rows(_COUNTED.where(matching).group_by(*_GROUPS).order_by(*_GROUPS[:2]))
    for (dataset_id, _), said in groupby(rows, key=lambda row: row[:2]):
        for key, sums in _added(dataset_id, list(said)):
            found[key] = tuple(map(sum, zip(found[key], sums, strict=True)))
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
