"""Corrections: outputs that people are asked to write anew, opened when what is judged of a run meets a rule.

A run has at most one open correction. It ends as *done* when the run is repaired, through whichever API, and as
*withdrawn* when the rating that opened it is gone.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from headrace.core import ratings, run_values, work
from headrace.core.rights import Principal
from headrace.core.run_tasks import RunTask

if TYPE_CHECKING:
    from headrace.core.store import Tx

SETTING = "feedback_rules"
CORRECT = "correct"
"""The kind of the work that a correction is handed out as."""


class Reason(StrEnum):
    """What opened a correction."""

    RATING = "rating"
    FEEDBACK = "feedback"


class Ending(StrEnum):
    """How a correction ended."""

    DONE = "done"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """A run that is to be corrected, or was; times are microseconds since the epoch. `outcome` is an Ending."""

    id: int
    dataset_id: int
    record_id: int
    reason: str
    opened_by: int
    opened_at: int
    closed_by: int | None
    closed_at: int | None
    outcome: str | None


class Corrections(Protocol):
    """Storage of corrections; one per record is open at most."""

    def insert(self, dataset_id: int, record_id: int, *, reason: str, opened_by: int) -> Correction:
        """Open a correction."""

    def get(self, dataset_id: int, correction_id: int) -> Correction | None:
        """One correction of a dataset."""

    def open_of(self, record_id: int) -> Correction | None:
        """The open correction of a record."""

    def page(self, dataset_id: int, outcome: str | None, after: int, limit: int) -> list[Correction]:
        """Corrections with this outcome (None: those still open) behind an id, oldest first."""

    def close(self, correction_id: int, *, outcome: str, closed_by: int) -> None:
        """End a correction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """When a correction is opened: for an overall rating at or below a value, and for any feedback.

    `rating_at_most` is a share of the scale, 0 to 1, or a value for each scale that the rule is about.
    """

    rating_at_most: float | Mapping[str, float] | None = None
    feedback: bool = False

    def met_by(self, rating: Mapping[str, Any] | None) -> bool:
        """True when the overall rating is as low as that."""
        value = None if rating is None else rating.get("value")
        if rating is None or value is None or self.rating_at_most is None:
            return False
        if isinstance(self.rating_at_most, Mapping):
            limit = self.rating_at_most.get(rating["type"])
            return limit is not None and value <= limit
        share = ratings.normalised(rating["type"], value)
        return share is not None and share <= self.rating_at_most


def rules_of(settings: Mapping[str, object]) -> Rules:
    """The rules in a dataset's settings; none by default."""
    said = settings.get(SETTING)
    return Rules(**said) if isinstance(said, Mapping) else Rules()


def follow(tx: "Tx", who: Principal, task: RunTask, record_id: int, document: Mapping[str, Any]) -> None:
    """Open or end the correction of a run, held or new, after what is judged of it has changed."""
    if SETTING not in task.dataset.settings:
        return
    opened = tx.corrections.open_of(record_id)
    repaired = document.get("repaired_output") is not None
    low = rules_of(task.dataset.settings).met_by(run_values.rating_of(document))
    if opened is None:
        if low and not repaired:
            _open(tx, who, task, record_id, Reason.RATING)
    elif repaired:
        _end(tx, who, task, opened, Ending.DONE)
    elif not low and opened.reason == Reason.RATING:
        _end(tx, who, task, opened, Ending.WITHDRAWN)


def follow_feedback(tx: "Tx", who: Principal, task: RunTask, record_id: int, document: Mapping[str, Any]) -> None:
    """Open the correction of a held run after somebody said something of it, where the rules want that."""
    if not rules_of(task.dataset.settings).feedback or document.get("repaired_output") is not None:
        return
    if tx.corrections.open_of(record_id) is None:
        _open(tx, who, task, record_id, Reason.FEEDBACK)


def _open(tx: "Tx", who: Principal, task: RunTask, record_id: int, reason: Reason) -> None:
    made = tx.corrections.insert(task.dataset.id, record_id, reason=reason, opened_by=who.user_id)
    _tell(tx, who, task, "correction.opened", made)


def _end(tx: "Tx", who: Principal, task: RunTask, opened: Correction, ending: Ending) -> None:
    tx.corrections.close(opened.id, outcome=ending, closed_by=who.user_id)
    _tell(tx, who, task, f"correction.{ending.value}", opened)
    for item in tx.work.live(task.dataset.id, [opened.record_id], CORRECT):
        with suppress(work.NotOpen):  # a lease that runs out in this very moment needs no end
            if item.person_id == who.user_id and ending is Ending.DONE:
                work.finish(tx, who, task.dataset, item, opened.id)
            else:
                work.release(tx, who, task.dataset, item)


def _tell(tx: "Tx", who: Principal, task: RunTask, kind: str, correction: Correction) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=task.dataset.project_id,
        dataset_id=task.dataset.id,
        subject_id=correction.id,
        data={"record_id": correction.record_id, "reason": correction.reason},
    )
