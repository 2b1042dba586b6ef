"""Keeping a run's tags and its labels in step, in the same transaction and in both directions.

What is said of a run through its document becomes an annotation of whoever said it (`core.runs`). A label that is
put on it, or taken away, in the dataset it belongs to becomes a tag, or takes one away: that is done here, and
called by `core.annotations` after each of its writes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.core import run_values
from headrace.core.content import Kind
from headrace.core.records import NewRecord, Record
from headrace.core.run_content import dumps
from headrace.core.run_values import Document
from headrace.core.times import parse_timestamp

if TYPE_CHECKING:
    from headrace.core.datasets import Dataset
    from headrace.core.store import Tx

SETTING = "run_task"
RATING = "Rating"
SEPARATOR = " > "
MAX_ID = 2**63 - 1


class RunFacts(NamedTuple):
    """What can be asked of a run without reading its document; `labels` are those it stands for as an annotation."""

    record_id: int
    parent_id: int | None
    rated: bool
    labels: tuple[str, ...]
    tags: tuple[str, ...]


def facts_of(record_id: int, document: Mapping[str, Any], labels: Iterable[str] = ()) -> RunFacts:
    """The facts of a run."""
    parent = document.get("parent_task_run_id") or ""
    known = parent.isascii() and parent.isdigit() and len(parent) < 20 and int(parent) <= MAX_ID
    return RunFacts(
        record_id=record_id,
        parent_id=int(parent) if known else None,
        rated=run_values.rating_of(document) is not None,
        labels=tuple(labels),
        tags=tuple(dict.fromkeys(document.get("tags") or ())),
    )


def row_of(document: Document, external_id: str | None = None, meta: str | None = None) -> NewRecord:
    """The record that holds a run; its timestamp is the run's own date."""
    return NewRecord(external_id, Kind.RUN, dumps(document), meta, parse_timestamp(document["created_at"]))


def follow(tx: "Tx", dataset: "Dataset", record_ids: Sequence[int]) -> None:
    """Let the tags of those records that are runs of the dataset follow the labels of their current annotations."""
    if SETTING not in dataset.settings or dataset.own_source_id is None:
        return
    before = tx.runs.labels(dataset.own_source_id, record_ids)
    if not before:
        return
    current = tx.annotations.current(dataset.id, sorted(before))
    after = {
        record_id: tuple(label.name for label in current[record_id].judgement.labels) if record_id in current else ()
        for record_id in before
    }
    moved = sorted(record_id for record_id, names in before.items() if set(names) != set(after[record_id]))
    judged = _judged_names(dataset)
    for record in tx.runs.locked(dataset.own_source_id, moved):
        if record.kind == Kind.RUN:
            _retag(tx, record, before[record.id], after[record.id], judged)


def _judged_names(dataset: "Dataset") -> frozenset[str]:
    """The names under which ratings stand among the labels; they are no tags."""
    definition = dataset.settings[SETTING]
    requirements = definition.get("requirements") or () if isinstance(definition, Mapping) else ()
    return frozenset({RATING, *(item["name"] for item in requirements)})


def _retag(tx: "Tx", record: Record, before: Sequence[str], after: Sequence[str], judged: frozenset[str]) -> None:
    document = json.loads(record.body)
    gone, new = _leaves(set(before) - set(after), judged), _leaves(set(after) - set(before), judged)
    add = [run_values.tag_of(name) for name in after if name in new]
    tags = run_values.retagged(document["tags"], add=add, remove=map(run_values.tag_of, gone))
    tx.runs.update(record.source_id, facts_of(record.id, document | {"tags": tags}, after), retag=True)
    if tags != document["tags"]:
        changed = row_of(document | {"tags": tags}, record.external_id, record.meta)
        tx.records.replace([(record.id, changed)])


def _leaves(names: set[str], judged: frozenset[str]) -> set[str]:
    """Those of the labels that stand for tags: neither ratings, nor parents of another one."""
    tags = {name for name in names if name.partition(SEPARATOR)[0] not in judged}
    return {name for name in tags if not any(other.startswith(name + SEPARATOR) for other in tags)}
