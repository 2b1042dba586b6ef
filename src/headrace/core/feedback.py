"""Feedback: free words on a run, each a record of its own so that two people never overwrite each other."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core import correction_rules, run_tasks
from headrace.core.content import Kind
from headrace.core.errors import NotFound
from headrace.core.records import Record
from headrace.core.rights import Permission, Principal
from headrace.core.runs import Place
from headrace.core.users import User

if TYPE_CHECKING:
    from headrace.core.store import Tx


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """What somebody said of a run, and where it came from; the time in microseconds since the epoch."""

    id: int
    record_id: int
    author_id: int
    text: str
    origin: str
    created_at: int


class Feedbacks(Protocol):
    """Storage of feedback."""

    def insert(self, record_id: int, *, author_id: int, text: str, origin: str) -> Feedback:
        """Store feedback on a run."""

    def of_record(self, record_id: int) -> list[Feedback]:
        """All feedback on a run, oldest first."""

    def of_records(self, record_ids: Sequence[int]) -> dict[int, list[Feedback]]:
        """All feedback on those of the runs that have any, oldest first."""

    def delete(self, record_id: int, feedback_id: int) -> bool:
        """Remove feedback from a run; False when it is not there."""


def add(tx: "Tx", who: Principal, place: Place, run_id: int, *, text: str, origin: str) -> Feedback:
    """Store the caller's feedback on a run; raises NotFound."""
    task, record = _require(tx, who, place, run_id, change=True)
    made = tx.feedback.insert(run_id, author_id=who.user_id, text=text, origin=origin)
    _tell(tx, who, place, task.dataset.id, "feedback.created", made.id, run_id)
    if record.kind == Kind.RUN:
        correction_rules.follow_feedback(tx, who, task, run_id, json.loads(record.body))
    return made


def of_run(tx: "Tx", who: Principal, place: Place, run_id: int) -> tuple[list[Feedback], dict[int, User]]:
    """All feedback on a run, oldest first, with its authors by id; raises NotFound."""
    _require(tx, who, place, run_id)
    found = tx.feedback.of_record(run_id)
    return found, authors(tx, found)


def authors(tx: "Tx", found: Iterable[Feedback]) -> dict[int, User]:
    """Those who gave the feedback, by id."""
    known = ((author_id, tx.users.get(author_id)) for author_id in {item.author_id for item in found})
    return {author_id: user for author_id, user in known if user is not None}


def remove(tx: "Tx", who: Principal, place: Place, run_id: int, feedback_id: int) -> None:
    """Remove feedback; raises NotFound."""
    task, _ = _require(tx, who, place, run_id, change=True)
    if not tx.feedback.delete(run_id, feedback_id):
        raise NotFound("there is no such feedback", fields={"feedback": feedback_id})
    _tell(tx, who, place, task.dataset.id, "feedback.deleted", feedback_id, run_id)


def _require(
    tx: "Tx", who: Principal, place: Place, run_id: int, *, change: bool = False
) -> tuple[run_tasks.RunTask, Record]:
    """The run and its task, after a check of what the caller may do. A writer holds the run."""
    task = run_tasks.load(tx, who, *place)
    if change:
        who.require(task.dataset.project_id, Permission.REVIEW)
        found = tx.runs.locked(task.source_id, [run_id])
    else:
        found = tx.records.by_ids([run_id], [task.source_id])
    if not found:
        raise NotFound("there is no such run", fields={"task_run": run_id})
    return task, found[0]


def _tell(tx: "Tx", who: Principal, place: Place, dataset_id: int, kind: str, feedback_id: int, run_id: int) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=place[0],
        dataset_id=dataset_id,
        subject_id=feedback_id,
        data={"record_id": run_id},
    )
