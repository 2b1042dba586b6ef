"""Work: one unit of human work, offered to one person under a lease. Every dialect's tasks are faces of it.

    offered ──> acknowledged ──> done
       ├──> refused (may still be acknowledged or done by the same person)
       └──> released

Offered, acknowledged and refused work whose lease has run out reads as `expired`; that is never written.

`offer` makes it; `acknowledge`, `heartbeat`, `release`, `refuse`, `finish` and `close` move it. Each of them decides in
the statement that writes, so of two requests at once one wins and the other gets `NotOpen`, whose `fields["state"]`
says what the work is instead (`expired` among them). Leases are judged by the database's clock.

A slot of a record is taken like this, in one transaction: `tx.work.hold(record_id)` (others that hold the same record
wait), then `tx.work.live(...)`, and only then count what is done already; if there is room, `offer`. In this order
nobody can slip between the two counts, because whoever finishes leaves the leases before they appear among the done.
Hold the records of one transaction in ascending order of their ids.

Collective work belongs to nobody: many people may answer, `finish` leaves it open and `close` ends it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from headrace.core.datasets import Dataset
from headrace.core.errors import Conflict, NotFound
from headrace.core.rights import Principal, Scope

if TYPE_CHECKING:
    from headrace.core.store import Tx

LEASE_SECONDS = 30 * 60
KEEP_EXPIRED_SECONDS = 7 * 24 * 3600


class WorkState(StrEnum):
    """Where a unit of work stands."""

    OFFERED = "offered"
    ACKNOWLEDGED = "acknowledged"
    DONE = "done"
    REFUSED = "refused"
    RELEASED = "released"
    EXPIRED = "expired"


OPEN = frozenset({WorkState.OFFERED, WorkState.ACKNOWLEDGED})
ANSWERABLE = OPEN | {WorkState.REFUSED}


@dataclass(frozen=True, kw_only=True, slots=True)
class NewWork:
    """Work to be offered. `record_id` is None for work without a record (writing a first prompt), `person_id` a user,
    None for collective work; `lease_seconds` None means that it never expires. `kind`, `key` and `payload` are the
    dialect's own: a word, a name the caller gave it (not unique), JSON text."""

    kind: str
    person_id: int | None
    record_id: int | None = None
    lease_seconds: float | None = LEASE_SECONDS
    collective: bool = False
    key: str | None = None
    payload: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Stored work; times are microseconds since the epoch. `reason` is that of a refusal, `result_id` what was made."""

    id: int
    dataset_id: int
    kind: str
    record_id: int | None
    person_id: int | None
    state: WorkState
    lease_until: int | None
    collective: bool
    key: str | None
    payload: str | None
    reason: str | None
    result_id: int | None
    created_at: int
    updated_at: int


class NotOpen(Conflict):
    """The work is not in a state that allows this; `fields["state"]` is the one it is in."""

    code = "work_not_open"


class Works(Protocol):
    """Storage of work. "Live" means offered or acknowledged under a lease that has not run out."""

    def insert(self, dataset_id: int, wanted: NewWork) -> Work:
        """Store offered work. Some that nobody did, gone for `KEEP_EXPIRED_SECONDS`, is forgotten."""

    def get(self, work_id: int, scope: Scope) -> Work | None:
        """One unit of work of a dataset of the projects in scope."""

    def by_key(self, dataset_id: int, key: str, person_id: int | None = None) -> Work | None:
        """The work under the caller's own name for it: of one person (or collective), or of anybody.

        Of several, the newest that is offered, acknowledged or refused wins, else the newest.
        """

    def move(self, moved: Work, states: Collection[WorkState], **changes: object) -> bool:
        """Change work if it is in one of these states and its lease has not run out; False if not."""

    def renew(self, renewed: Work, lease_seconds: float) -> bool:
        """Let the lease of live work end so many seconds from now; False when it is live no more."""

    def hold(self, record_id: int, *, wait: bool = True) -> bool:
        """Let others that hold the record wait until this transaction ends; False when there is no such record.

        Without `wait`, also False when somebody else holds it.
        """

    def live(self, dataset_id: int, record_ids: Sequence[int], kind: str | None = None) -> list[Work]:
        """Live work on these records, by id."""

    def live_of(self, dataset_id: int, person_id: int, kind: str | None = None) -> list[Work]:
        """Live work of one person, the newest first."""

    def answered(self, dataset_id: int, person_id: int, record_ids: Sequence[int]) -> list[Work]:
        """Work on these records that the person has done or refused, by id."""

    def pending(self, dataset_id: int, person_id: int, since: int) -> int:
        """How much work, expired or not, was offered to the person since an instant and neither ended nor refused."""


def offer(tx: "Tx", who: Principal, dataset: Dataset, wanted: NewWork) -> Work:
    """Offer work of a dataset the caller has loaded; who may have it is the calling rule's business."""
    work = tx.work.insert(dataset.id, wanted)
    _event(tx, who, dataset, "work.offered", work)
    return work


def get(tx: "Tx", who: Principal, work_id: int) -> Work:
    """One unit of work in the caller's projects; raises NotFound."""
    work = tx.work.get(work_id, who.scope)
    if work is None:
        raise NotFound("there is no such work", fields={"work": work_id})
    return work


def acknowledge(tx: "Tx", who: Principal, dataset: Dataset, work: Work, key: str | None = None) -> None:
    """Take the offer, under the caller's own name for it; again under the same name changes nothing. Raises NotOpen."""
    if work.state is WorkState.ACKNOWLEDGED and work.key == key:
        return
    changes: dict[str, object] = {} if key is None else {"key": key}
    _move(tx, who, work, ANSWERABLE - {WorkState.ACKNOWLEDGED}, state=WorkState.ACKNOWLEDGED, **changes)
    _event(tx, who, dataset, "work.acknowledged", work)


def heartbeat(tx: "Tx", who: Principal, work: Work, lease_seconds: float = LEASE_SECONDS) -> None:
    """Renew the lease of live work; it is no event. Raises NotOpen."""
    if not tx.work.renew(work, lease_seconds):
        raise _not_open(tx, who, work)


def release(tx: "Tx", who: Principal, dataset: Dataset, work: Work) -> None:
    """Give live work back without a word. Raises NotOpen."""
    _move(tx, who, work, OPEN, state=WorkState.RELEASED)
    _event(tx, who, dataset, "work.released", work)


def refuse(tx: "Tx", who: Principal, dataset: Dataset, work: Work, reason: str | None = None) -> None:
    """Give live work back for a reason; `tx.work.answered` remembers it. Raises NotOpen."""
    _move(tx, who, work, OPEN, state=WorkState.REFUSED, reason=reason)
    _event(tx, who, dataset, "work.refused", work, {"reason": reason})


def finish(tx: "Tx", who: Principal, dataset: Dataset, work: Work, result_id: int | None = None) -> None:
    """End live (or refused) work with what was made; collective work stays open. Raises NotOpen."""
    changes: dict[str, object] = {"result_id": result_id}
    if not work.collective:
        changes["state"] = WorkState.DONE
    _move(tx, who, work, ANSWERABLE, **changes)
    _event(tx, who, dataset, "work.done", work, {"result_id": result_id})


def close(tx: "Tx", who: Principal, dataset: Dataset, work: Work) -> None:
    """End collective work. Raises NotOpen."""
    _move(tx, who, work, OPEN, state=WorkState.DONE)
    _event(tx, who, dataset, "work.closed", work)


def _move(tx: "Tx", who: Principal, work: Work, states: Collection[WorkState], **changes: object) -> None:
    if not tx.work.move(work, states, **changes):
        raise _not_open(tx, who, work)


def _not_open(tx: "Tx", who: Principal, work: Work) -> NotOpen:
    state = get(tx, who, work.id).state.value
    return NotOpen(f"the work is {state} already", fields={"work": work.id, "state": state})


def _event(
    tx: "Tx", who: Principal, dataset: Dataset, kind: str, work: Work, data: dict[str, object] | None = None
) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=work.id,
        data={"kind": work.kind, "record_id": work.record_id, "person_id": work.person_id, **(data or {})},
    )
