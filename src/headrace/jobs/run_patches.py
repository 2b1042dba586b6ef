"""The patch job: tries the patches of a batch in order, some in each transaction, and keeps what came of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core import users
from headrace.core.jobs import Job
from headrace.core.rights import Principal
from headrace.core.run_patches import AT_ONCE, Patch, Result
from headrace.core.runs import Place
from headrace.core.store import Tx

if TYPE_CHECKING:
    from headrace.jobs.worker import JobContext

Apply = Callable[[Tx, Principal, Place, Sequence[Patch]], Mapping[int, Result]]
"""Tries patches in the name of somebody; answers the result of each by its place, with its `status`."""
GONE = "the task was deleted"
NOBODY = "the user who sent the patches is gone"


@dataclass(frozen=True, kw_only=True)
class RunPatches:
    """How batches are carried out: `apply` knows how a run is validated and how a result is worded."""

    apply: Apply

    def run(self, job: Job, ctx: "JobContext") -> None:
        """Carry a batch out from where the last attempt came to; raises LostLease when another worker has the job."""
        while ctx.store.write(lambda tx: self._step(tx, job)):
            pass

    def _step(self, tx: Tx, job: Job) -> bool:
        """Try the next patches of the batch, or end the job; answers whether more may follow."""
        batch = tx.patches.get(int(job.payload["batch_id"]))  # type: ignore[call-overload]
        dataset = tx.datasets.get(batch.dataset_id, None) if batch else None
        author = tx.users.get(batch.author_id) if batch else None
        if batch is None or dataset is None or author is None:
            tx.jobs.finish(job, error=GONE if dataset is None else NOBODY)
            return False
        waiting = tx.patches.rows(batch.id, batch.done, AT_ONCE)
        if not waiting:
            tx.jobs.finish(job)
            return False
        results = self.apply(tx, users.principal(author), (dataset.project_id, dataset.id), waiting)
        failed = sum(result["status"] >= 400 for result in results.values())
        tx.patches.settle(batch, [(patch.place, results[patch.place]) for patch in waiting], failed)
        tx.jobs.heartbeat(job, done=batch.done + len(waiting), total=batch.size)
        return True
