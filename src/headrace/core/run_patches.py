"""Batches of patches: partial documents for more runs than one request can wait for, carried out by a job in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from headrace.core import run_tasks
from headrace.core.errors import NotFound, Unavailable
from headrace.core.jobs import Job
from headrace.core.rights import Principal
from headrace.core.run_values import Document
from headrace.core.runs import Place

if TYPE_CHECKING:
    from headrace.core.store import Tx

KIND = "patch"
AT_ONCE = 100
MOST_UNFINISHED = 20
KEEP_SECONDS = 7 * 24 * 3600
RETRY_SECONDS = 30
Result = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Patches that one person sent together: how many, how many are done, and how many of these were refused."""

    id: int
    dataset_id: int
    author_id: int
    job_id: int
    size: int
    done: int
    failed: int
    created_at: int


class Patch(NamedTuple):
    """A partial document for the run that the sender named so; `result` is None until it was tried."""

    place: int
    run: str
    change: Document
    result: Result | None


class Patches(Protocol):
    """Storage of batches and their patches."""

    def insert(self, dataset_id: int, *, author_id: int, patches: Mapping[str, Document]) -> int:
        """Store a batch with its patches, by what names the run; answers its id."""

    def assign(self, batch_id: int, job_id: int) -> None:
        """Say which job carries a batch out."""

    def get(self, batch_id: int) -> Batch | None:
        """One batch."""

    def rows(self, batch_id: int, start: int, limit: int) -> list[Patch]:
        """Patches of a batch from a place on, in order."""

    def settle(self, batch: Batch, results: Sequence[tuple[int, Result]], failed: int) -> None:
        """Keep the results of the batch's next patches by place, of which so many were refused."""

    def unfinished(self, dataset_id: int) -> int:
        """How many batches of a dataset are not carried out to the end."""

    def prune(self, dataset_id: int, before: int) -> None:
        """Forget the batches of a dataset that are older than an instant."""


def submit(tx: "Tx", who: Principal, place: Place, patches: Mapping[str, Document]) -> int:
    """Store a batch and enqueue its job; answers the batch's id. Raises Unavailable when too many are waiting."""
    task = run_tasks.load(tx, who, *place)
    tx.patches.prune(task.dataset.id, tx.now() - KEEP_SECONDS * 1_000_000)
    if tx.patches.unfinished(task.dataset.id) >= MOST_UNFINISHED:
        raise Unavailable("too many batches of patches are waiting", fields={"retry_after": RETRY_SECONDS})
    batch_id = tx.patches.insert(task.dataset.id, author_id=who.user_id, patches=patches)
    tx.patches.assign(batch_id, tx.jobs.enqueue(KIND, {"batch_id": batch_id}))
    return batch_id


def status(
    tx: "Tx", who: Principal, place: Place, batch_id: int, start: int, limit: int
) -> tuple[Batch, Job, list[Patch]]:
    """A batch, its job, and its patches from a place on; raises NotFound."""
    task = run_tasks.load(tx, who, *place)
    batch = tx.patches.get(batch_id)
    job = tx.jobs.get(batch.job_id) if batch else None
    if batch is None or job is None or batch.dataset_id != task.dataset.id:
        raise NotFound("there is no such job", fields={"job": batch_id})
    return batch, job, tx.patches.rows(batch_id, start, limit)
