"""Correcting: who may see the open corrections of a run task, who gets the next one, and what becomes of the answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import datasets, run_tasks, runs, work
from headrace.core.correction_rules import CORRECT, SETTING, Correction, Ending, Rules, rules_of
from headrace.core.errors import Conflict, NotFound
from headrace.core.feedback import Feedback
from headrace.core.records import Record, shown
from headrace.core.rights import Permission, Principal
from headrace.core.run_tasks import VIEW, RunTask
from headrace.core.runs import Outcome, Place, Writing
from headrace.core.work import NewWork, Work, WorkState

if TYPE_CHECKING:
    from headrace.core.store import Tx

WINDOW = 100
NEEDS = (*VIEW, Permission.REVIEW)


class Standing(NamedTuple):
    """A correction with its run, what was said of that, and who has it on lease."""

    correction: Correction
    record: Record
    feedback: Sequence[Feedback]
    lease: Work | None


def get_rules(tx: "Tx", who: Principal, place: Place) -> Rules:
    """The rules of a run task."""
    return rules_of(run_tasks.load(tx, who, *place).dataset.settings)


def put_rules(tx: "Tx", who: Principal, place: Place, rules: Rules) -> Rules:
    """Replace the rules of a run task; they are looked at from now on."""
    task = run_tasks.load(tx, who, *place, Permission.DATASETS_ADMIN)
    datasets.update(tx, who, task.dataset.id, {"settings": {SETTING: asdict(rules)}})
    return rules


def page(tx: "Tx", who: Principal, place: Place, ending: Ending | None, after: int, limit: int) -> list[Standing]:
    """Corrections that ended so (None: that are still open) behind an id, oldest first."""
    task = run_tasks.load(tx, who, *place)
    return _standing(tx, who, task, tx.corrections.page(task.dataset.id, ending, after, limit))


def take(tx: "Tx", who: Principal, place: Place) -> Standing | None:
    """Lease the next open correction to the caller, or the one they hold already anew; None when there is none.

    Nobody gets what somebody else has on lease, nor what they skipped themselves.
    """
    task = run_tasks.load(tx, who, *place, *NEEDS)
    for held in tx.work.live_of(task.dataset.id, who.user_id, CORRECT):
        opened = tx.corrections.open_of(held.record_id or 0)
        if opened is not None and tx.work.renew(held, work.LEASE_SECONDS):
            return _standing(tx, who, task, [opened])[0]
    for candidate in _candidates(tx, who, task):
        if not tx.work.hold(candidate.record_id, wait=False):
            continue
        # Only under the hold is it sure that nobody ended it, or took it, in the meantime.
        still = tx.corrections.open_of(candidate.record_id)
        if still is not None and not tx.work.live(task.dataset.id, [candidate.record_id], CORRECT):
            wanted = NewWork(kind=CORRECT, person_id=who.user_id, record_id=candidate.record_id)
            work.offer(tx, who, task.dataset, wanted)
            return _standing(tx, who, task, [still])[0]
    return None


def _candidates(tx: "Tx", who: Principal, task: RunTask) -> Iterator[Correction]:
    after = 0
    while found := tx.corrections.page(task.dataset.id, None, after, WINDOW):
        record_ids = [item.record_id for item in found]
        leased = {item.record_id for item in tx.work.live(task.dataset.id, record_ids, CORRECT)}
        skipped = {
            item.record_id: item.updated_at
            for item in tx.work.answered(task.dataset.id, who.user_id, record_ids)
            if item.kind == CORRECT and item.state in (WorkState.REFUSED, WorkState.EXPIRED)
        }
        for item in found:
            if item.record_id not in leased and skipped.get(item.record_id, -1) < item.opened_at:
                yield item
        after = found[-1].id


def answer(
    tx: "Tx", who: Principal, place: Place, correction_id: int, change: Mapping[str, object], writing: Writing
) -> Outcome:
    """Store a repair on the run, which ends the correction and the caller's work on it.

    Raises NotFound, Conflict when it has ended or somebody else has it on lease, or what the check raises.
    """
    task, opened = _opened(tx, who, place, correction_id)
    tx.runs.locked(task.source_id, [opened.record_id])
    if tx.corrections.open_of(opened.record_id) is None:
        raise ended(opened)
    if any(item.person_id != who.user_id for item in tx.work.live(task.dataset.id, [opened.record_id], CORRECT)):
        raise Conflict("somebody else is correcting this run", fields={"correction": correction_id})
    return runs.patch(tx, who, place, opened.record_id, dict(change), writing)


def give_back(tx: "Tx", who: Principal, place: Place, correction_id: int, reason: str | None, *, skip: bool) -> None:
    """Give the caller's lease back; with `skip` they do not get this correction again. Raises NotFound, Conflict."""
    task, opened = _opened(tx, who, place, correction_id)
    held = [
        item for item in tx.work.live(task.dataset.id, [opened.record_id], CORRECT) if item.person_id == who.user_id
    ]
    if not held:
        raise Conflict("you do not have this correction on lease", fields={"correction": correction_id})
    for item in held:
        if skip:
            work.refuse(tx, who, task.dataset, item, reason)
        else:
            work.release(tx, who, task.dataset, item)


def ended(correction: Correction) -> Conflict:
    """What is said of a correction that is not open any more."""
    return Conflict("this correction has ended already", fields={"correction": correction.id})


def _opened(tx: "Tx", who: Principal, place: Place, correction_id: int) -> tuple[RunTask, Correction]:
    task = run_tasks.load(tx, who, *place, *NEEDS)
    found = tx.corrections.get(task.dataset.id, correction_id)
    if found is None:
        raise NotFound("there is no such correction", fields={"correction": correction_id})
    if found.closed_at is not None:
        raise ended(found)
    return task, found


def _standing(tx: "Tx", who: Principal, task: RunTask, found: Sequence[Correction]) -> list[Standing]:
    record_ids = [item.record_id for item in found]
    stored = shown(tx, who, tx.records.by_ids(record_ids, [task.source_id]))
    records = {record.id: record for record in stored}
    said = tx.feedback.of_records(record_ids)
    leases = {item.record_id: item for item in tx.work.live(task.dataset.id, record_ids, CORRECT)}
    return [
        Standing(item, records[item.record_id], said.get(item.record_id, []), leases.get(item.record_id))
        for item in found
        if item.record_id in records
    ]
