"""Jobs: leased rows in the same database, enqueued with their cause, fenced by attempt, resumed after a crash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from headrace.core.errors import HeadraceError

LEASE_SECONDS = 20.0
MAX_ATTEMPTS = 5


class JobState(StrEnum):
    """Where a job stands; the last two are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One unit of background work. `done` of `total` steps are finished; `attempt` fences its worker."""

    id: int
    kind: str
    payload: Mapping[str, object]
    state: JobState
    attempt: int
    done: int
    total: int
    error: str | None
    created_at: int
    updated_at: int


class LostLease(HeadraceError):
    """Another worker has taken the job over; this one must not write any more."""

    code = "lost_lease"


class Jobs(Protocol):
    """Storage of jobs. Times are judged by the database's clock."""

    def enqueue(self, kind: str, payload: Mapping[str, object], *, key: str | None = None, delay: float = 0.0) -> int:
        """Add a job to run after `delay` seconds; with a key, a job of that key still queued serves instead."""

    def claim(self, owner: str, *, kinds: Sequence[str] = (), job_id: int | None = None) -> Job | None:
        """Take one job of these kinds that is due, or the one named, under a new attempt number.

        A running job whose lease has run out counts as due.
        """

    def renew(self, job: Job) -> None:
        """Renew the lease; raises LostLease when the attempt is not the job's any more."""

    def heartbeat(self, job: Job, *, done: int, total: int) -> None:
        """Renew the lease and record progress; raises LostLease when the attempt is not the job's any more."""

    def finish(self, job: Job, *, error: str | None = None) -> None:
        """End the job as done or failed; raises LostLease."""

    def retry(self, job: Job, *, error: str, delay: float) -> None:
        """Give the job back for another attempt after `delay` seconds; raises LostLease."""

    def reclaim(self) -> int:
        """Give back every running job at once: for a process that knows nobody else can hold one."""

    def get(self, job_id: int) -> Job | None:
        """One job."""

    def next_due(self, kinds: Sequence[str]) -> float | None:
        """Seconds until a job of these kinds is due (0 when one is), or None when nothing waits."""
