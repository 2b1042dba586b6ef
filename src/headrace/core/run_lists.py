"""Reading many runs: pages, tag counts, conversations, and the feed of changes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import run_tasks
from headrace.core.content import Kind
from headrace.core.errors import Invalid
from headrace.core.events import Event
from headrace.core.positions import Position
from headrace.core.records import Record, shown
from headrace.core.rights import Principal
from headrace.core.run_tasks import RunTask
from headrace.core.runs import Place, missing

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_CHAIN = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFilter:
    """Which runs a list is about, newest first; `after` is the (timestamp, id) of the last one already seen."""

    limit: int
    after: tuple[int, int] | None = None
    tags: tuple[str, ...] = ()
    rated: bool | None = None
    updated_since: int | None = None
    external_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPage:
    """Records of a run task, and the data keys that hold the text of those that are no runs."""

    task: RunTask
    records: Sequence[Record]
    text_keys: tuple[str, ...]


class Turn(NamedTuple):
    """One turn of a conversation; its part of the trace begins at an index."""

    run_id: int
    trace_start: int


class Chain(NamedTuple):
    """A conversation, root first."""

    turns: Sequence[Turn]
    broken: bool
    followed: bool


class Deleted(NamedTuple):
    """Runs that are gone."""

    record_ids: Sequence[int]


class Said(NamedTuple):
    """A run on which feedback was given or taken back."""

    record_id: int


class Changes(NamedTuple):
    """What happened to the runs of a task behind a position, in order: a run as it is now, deletions, feedback."""

    page: RunPage
    items: Sequence[Record | Deleted | Said]
    position: Position
    at_end: bool


def page(tx: "Tx", who: Principal, place: Place, wanted: RunFilter) -> RunPage:
    """A page of runs."""
    task = run_tasks.load(tx, who, *place)
    return _page(tx, who, task, tx.runs.page(task.source_id, wanted))


def following(wanted: RunFilter, last: Record) -> RunFilter:
    """The filter for what comes behind a record."""
    return replace(wanted, after=(last.timestamp, last.id))


def tag_counts(tx: "Tx", who: Principal, place: Place) -> dict[str, int]:
    """How many runs have each tag."""
    return tx.runs.tag_counts(run_tasks.load(tx, who, *place).source_id)


def chain(tx: "Tx", who: Principal, place: Place, run_id: int) -> Chain:
    """The conversation that ends with a run; raises NotFound, or Invalid when the task has no conversations."""
    task = run_tasks.load(tx, who, *place)
    if not task.multi_turn:
        raise Invalid("Chain is only available for multi-turn tasks.", fields={"turn_mode": "single_turn"})
    found = tx.records.by_ids([run_id], [task.source_id])
    if not found:
        raise missing(run_id)
    followed = bool(tx.runs.followed(task.source_id, [run_id]))
    lengths: dict[int, int] = {}
    parent: int | None = run_id
    while found and parent not in lengths and len(lengths) < MAX_CHAIN:
        lengths[found[0].id] = _trace_length(found[0])
        parent = tx.runs.parents(task.source_id, [found[0].id]).get(found[0].id)
        found = tx.records.by_ids([parent], [task.source_id]) if parent is not None else []
    ids = list(reversed(lengths))
    starts = [0, *(lengths[id_] for id_ in ids[:-1])]
    return Chain([Turn(*pair) for pair in zip(ids, starts, strict=True)], parent is not None, followed)


def changes(tx: "Tx", who: Principal, place: Place, position: Position, limit: int) -> Changes:
    """Runs made or changed, and runs deleted, behind a position of the log."""
    task = run_tasks.load(tx, who, *place)
    head = tx.records.head()
    changed = tx.records.after([task.source_id], position, limit)
    events = tx.events.of_dataset(position, task.dataset.id, limit)
    # What lies behind the last row of a full list is not known yet, so the other list must not run ahead of it.
    full = [rows[-1].position for rows in (changed, events) if len(rows) == limit]
    end = min(full) if full else None
    both: list[Record | Event] = [*changed, *events]
    seen = [item for item in both if end is None or item.position <= end]
    ordered = sorted(seen, key=lambda item: item.position)
    visible = _page(tx, who, task, [item for item in ordered if isinstance(item, Record)])
    shown_by_id = {record.id: record for record in visible.records}
    items = [shown_by_id[item.id] if isinstance(item, Record) else _told(item) for item in ordered]
    return Changes(visible, [item for item in items if item], end or max(position, head), end is None)


def _page(tx: "Tx", who: Principal, task: RunTask, found: list[Record]) -> RunPage:
    source = tx.sources.get(task.source_id, None)
    return RunPage(task=task, records=shown(tx, who, found), text_keys=source.text_keys if source else ())


def _told(event: Event) -> Deleted | Said | None:
    ids, record_id = event.data.get("records"), event.data.get("record_id")
    if event.kind == "records.deleted" and isinstance(ids, list):
        return Deleted([int(id_) for id_ in ids])
    if event.kind in ("feedback.created", "feedback.deleted") and isinstance(record_id, int):
        return Said(record_id)
    return None


def _trace_length(record: Record) -> int:
    trace = json.loads(record.body).get("trace") if record.kind == Kind.RUN else None
    return len(trace) if isinstance(trace, list) else 0
