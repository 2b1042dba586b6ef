"""Runs: one input to a model (or a person), its output, and what people judge of it.

A run is a record of a run task's own source. Its document is what was sent and is changed by partial documents; its
tags, rating and repair are kept in step with an annotation of whoever changed them last, so that every API sees them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from headrace.core import annotations, content, correction_rules, learning, records, run_tasks, run_values
from headrace.core.annotations import Assigned, Judgement
from headrace.core.content import Kind
from headrace.core.errors import Conflict, HeadraceError, NotFound
from headrace.core.records import Record
from headrace.core.rights import Permission, Principal
from headrace.core.run_content import dumps
from headrace.core.run_mirrors import SETTING, RunFacts, facts_of, row_of
from headrace.core.run_tasks import RunTask
from headrace.core.run_values import Document

if TYPE_CHECKING:
    from headrace.core.run_lists import RunFilter
    from headrace.core.store import Tx

Place = tuple[int, int]
"""A project's id and the id of a run task in it."""

Check = Callable[[Document, RunTask], Document]
"""Makes a whole, valid run of a merged document, or raises what the caller's API says of it."""


class Stale(Conflict):
    """The run has changed since the caller read it."""

    code = "stale"


class Runs(Protocol):
    """Storage of what is known of runs beside their documents."""

    def insert(self, source_id: int, rows: Sequence[RunFacts]) -> None:
        """Set the facts of new runs."""

    def update(self, source_id: int, facts: RunFacts, *, retag: bool) -> None:
        """Replace the facts of a run, its tags only where they changed."""

    def labels(self, source_id: int, record_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """The labels that each of these runs of the source stands for."""

    def locked(self, source_id: int, record_ids: Sequence[int]) -> list[Record]:
        """Those of the records that lie in the source, by id; nobody else changes them before this transaction ends."""

    def page(self, source_id: int, wanted: "RunFilter") -> list[Record]:
        """Records of a source, newest first, without those that another run follows."""

    def tag_counts(self, source_id: int) -> dict[str, int]:
        """How many runs have each tag, without those that another run follows."""

    def parents(self, source_id: int, record_ids: Sequence[int]) -> dict[int, int]:
        """The parent of each of these runs that has one in the source."""

    def followed(self, source_id: int, record_ids: Sequence[int]) -> set[int]:
        """Those of the records that a run of the source names as its parent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Writing:
    """How a run is to be written: by whose rules, only if it is still at this version, and whether in earnest."""

    check: Check
    version: int | None = None
    dry: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A run after a write, as the caller may see it."""

    task: RunTask
    record: Record
    created: bool = False


def get(tx: "Tx", who: Principal, place: Place, run_id: int) -> Outcome:
    """One run, or another record of the task's source; raises NotFound."""
    task = run_tasks.load(tx, who, *place)
    found = tx.records.by_ids([run_id], [task.source_id])
    if not found:
        raise missing(run_id)
    return _shown(tx, who, task, found[0])


def by_external_id(tx: "Tx", who: Principal, place: Place, external_id: str) -> Outcome:
    """One run by its caller's own key; raises NotFound."""
    task = run_tasks.load(tx, who, *place)
    found = tx.records.by_external(task.source_id, [external_id])
    if not found:
        raise NotFound("there is no such run", fields={"run": external_id[:80]})
    return _shown(tx, who, task, found[0])


def create(
    tx: "Tx", who: Principal, place: Place, document: Document, writing: Writing, *, external_id: str | None = None
) -> Outcome:
    """Store a new run."""
    task = run_tasks.load(tx, who, *place)
    who.require(task.dataset.project_id, Permission.EDIT_MESSAGES)
    whole = writing.check(document, task)
    if run_values.rating_of(whole) is not None:
        who.require(task.dataset.project_id, Permission.REVIEW)
    if writing.dry:
        return Outcome(task=task, record=_imagined(tx, task, whole, external_id), created=True)
    labels = _labels(task, whole)
    record_id = insert_many(tx, who, task, [(whole, external_id)], labels)[0]
    if any(run_values.judgement_of(whole).values()):
        _say(tx, who, task, record_id, whole, labels)
        correction_rules.follow(tx, who, task, record_id, whole)
    found = tx.records.by_ids([record_id], [task.source_id])[0]
    return replace(_shown(tx, who, task, found), created=True)


def insert_many(
    tx: "Tx",
    who: Principal,
    task: RunTask,
    rows: Sequence[tuple[Document, str | None]],
    labels: Sequence[Assigned] = (),
) -> Sequence[int]:
    """Store new, checked runs (document, external id) of a loaded task without annotations; answers their ids.

    `labels` are those that each of them is about to be given.
    """
    if SETTING not in task.dataset.settings:
        tx.datasets.update(task.dataset.id, {"settings": {SETTING: {}}})
    ids = tx.records.insert(task.source_id, [row_of(document, external_id) for document, external_id in rows])
    names = [label.name for label in labels]
    facts = [facts_of(record_id, document, names) for record_id, (document, _) in zip(ids, rows, strict=True)]
    tx.runs.insert(task.source_id, facts)
    records.created(tx, who, task.dataset, ids)
    learning.records_arrived(tx, task.source_id)
    return ids


def patch(tx: "Tx", who: Principal, place: Place, run_id: int, change: Document, writing: Writing) -> Outcome:
    """Merge a partial document into a run; the whole is checked before anything is written.

    Raises NotFound, Stale, Conflict for a record that is no run, or what the check raises.
    """
    task = run_tasks.load(tx, who, *place)
    found = tx.runs.locked(task.source_id, [run_id])
    if not found:
        raise missing(run_id)
    return _patched(tx, who, task, found[0], change, writing)


def upsert(tx: "Tx", who: Principal, place: Place, external_id: str, change: Document, writing: Writing) -> Outcome:
    """Merge a partial document into the run with the caller's own key, or make that run of it."""
    task = run_tasks.load(tx, who, *place)
    known = tx.records.by_external(task.source_id, [external_id])
    found = tx.runs.locked(task.source_id, [record.id for record in known])
    if found:
        return _patched(tx, who, task, found[0], change, writing)
    if writing.version is not None:
        raise stale()
    return create(tx, who, place, run_values.merged({}, change), writing, external_id=external_id)


def edit_tags(
    tx: "Tx", who: Principal, place: Place, run_ids: Sequence[int], edit: Callable[[Document], Document], check: Check
) -> set[int]:
    """Change the tags of runs by a function from document to change; answers the ids that name no run."""
    task = run_tasks.load(tx, who, *place)
    who.require(task.dataset.project_id, Permission.REVIEW)
    runs = [record for record in tx.runs.locked(task.source_id, run_ids) if record.kind == Kind.RUN]
    for record in runs:
        _patched(tx, who, task, record, edit(json.loads(record.body)), Writing(check=check))
    return set(run_ids) - {record.id for record in runs}


def patch_many(
    tx: "Tx", who: Principal, place: Place, changes: Mapping[int, Document], writing: Callable[[int], Writing]
) -> dict[int, Outcome | HeadraceError]:
    """Merge a partial document into each of many runs; a fault of one leaves the others alone."""
    task = run_tasks.load(tx, who, *place)
    known = {record.id: record for record in tx.runs.locked(task.source_id, sorted(changes))}
    results: dict[int, Outcome | HeadraceError] = {}
    for run_id, change in changes.items():
        try:
            if run_id not in known:
                raise missing(run_id)
            results[run_id] = _patched(tx, who, task, known[run_id], change, writing(run_id))
        except HeadraceError as error:
            results[run_id] = error
    return results


def delete(tx: "Tx", who: Principal, place: Place, run_ids: Sequence[int]) -> set[int]:
    """Delete runs, and ancestors that no other run follows any more; answers the ids that name nothing here."""
    task = run_tasks.load(tx, who, *place)
    who.require(task.dataset.project_id, Permission.EDIT_MESSAGES)
    found = [record.id for record in tx.runs.locked(task.source_id, sorted(set(run_ids)))]
    gone, leaving = set(found), found
    while leaving:
        above = set(tx.runs.parents(task.source_id, leaving).values()) - gone
        _forget(tx, who, task, leaving)
        leaving = sorted(above - tx.runs.followed(task.source_id, sorted(above)))
        gone.update(leaving)
    return set(run_ids) - set(found)


def missing(run_id: int) -> NotFound:
    """What is said of a run that is not there."""
    return NotFound("there is no such run", fields={"run": run_id})


def stale() -> Stale:
    """What is said of a run that is not at the version the caller has seen."""
    return Stale("the run has changed since it was read", fields={"If-Match": ""})


def _patched(tx: "Tx", who: Principal, task: RunTask, record: Record, change: Document, writing: Writing) -> Outcome:
    if writing.version not in (None, record.version):
        raise stale()
    if record.kind != Kind.RUN:
        raise Conflict("this record was not made as a run and can only be read as one", fields={"kind": record.kind})
    before = json.loads(record.body)
    document = writing.check(run_values.merged(before, change), task)
    _require(who, task, before, document)
    if dumps(document) == record.body:
        return _shown(tx, who, task, record)
    if writing.dry:
        return _shown(tx, who, task, record._replace(body=dumps(document)))
    _replace(tx, task, record, document)
    _settle(tx, who, task, record.id, before, document)
    return _shown(tx, who, task, tx.records.by_ids([record.id], [task.source_id])[0])


def _require(who: Principal, task: RunTask, before: Document, after: Document) -> None:
    """Raise Forbidden unless the caller may change what differs: judgements need one right, content another."""
    project_id = task.dataset.project_id
    if run_values.judgement_of(before) != run_values.judgement_of(after):
        who.require(project_id, Permission.REVIEW)
    if run_values.content_of(before) != run_values.content_of(after):
        who.require(project_id, Permission.EDIT_MESSAGES)


def _replace(tx: "Tx", task: RunTask, record: Record, document: Document) -> None:
    row = row_of(document, record.external_id, record.meta)
    if content.text(Kind.RUN, row.body) == content.text(Kind.RUN, record.body):
        tx.records.replace([(record.id, row)])
    else:
        records.change(tx, [(record.id, row)])
        learning.records_arrived(tx, task.source_id)


def _settle(tx: "Tx", who: Principal, task: RunTask, record_id: int, before: Document, after: Document) -> None:
    """Set the run's facts and tell what happened: a judgement as the caller's annotation, anything else as an event."""
    known = tx.runs.labels(task.source_id, [record_id]).get(record_id, ())
    judged = run_values.judgement_of(before) != run_values.judgement_of(after)
    labels = _labels(task, after, known)
    # The facts first: what the annotation says is then known already, and no tag has to follow it.
    names = [label.name for label in labels] if judged else known
    tx.runs.update(task.source_id, facts_of(record_id, after, names), retag=before["tags"] != after["tags"])
    if judged:
        _say(tx, who, task, record_id, after, labels)
        correction_rules.follow(tx, who, task, record_id, after)
    if run_values.content_of(before) != run_values.content_of(after):
        tx.events.add(
            "run.updated",
            actor_id=who.user_id,
            project_id=task.dataset.project_id,
            dataset_id=task.dataset.id,
            subject_id=record_id,
        )


def _labels(task: RunTask, document: Document, known: Sequence[str] = ()) -> tuple[Assigned, ...]:
    """The labels that say what a run's tags and rating say, with their parents."""
    named = run_values.labels_of(document, task.requirements, known)
    return annotations.expanded([Assigned(name) for name in named])


def _say(
    tx: "Tx", who: Principal, task: RunTask, record_id: int, document: Document, labels: tuple[Assigned, ...]
) -> None:
    """Say as the caller's annotation what is judged of a run now."""
    mine = tx.annotations.authored(task.dataset.id, record_id, who.user_id)
    said = run_values.judgement_of(document)
    extra = annotations.merged(mine.judgement.extra if mine else None, {"run": said})
    judgement = Judgement(labels=labels, extra=extra)
    if mine is None:
        annotations.judge(tx, who, task.dataset, record_id, judgement)
    else:
        annotations.rejudge(tx, who, task.dataset, mine, judgement)


def _forget(tx: "Tx", who: Principal, task: RunTask, record_ids: Sequence[int]) -> None:
    tx.records.delete(task.source_id, record_ids)
    tx.events.add(
        "records.deleted",
        actor_id=who.user_id,
        project_id=task.dataset.project_id,
        dataset_id=task.dataset.id,
        subject_id=task.source_id,
        data={"count": len(record_ids), "records": list(record_ids)},
    )


def _imagined(tx: "Tx", task: RunTask, document: Document, external_id: str | None) -> Record:
    """The record that a dry run would have made; its id is 0."""
    row, now = row_of(document, external_id), tx.now()
    return Record(0, task.source_id, *row[:4], 0, row.timestamp, now, now, 0, 0, 0, 0)


def _shown(tx: "Tx", who: Principal, task: RunTask, record: Record) -> Outcome:
    return Outcome(task=task, record=records.shown(tx, who, [record])[0])
