"""Statements of queued patches of runs."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from headrace.core.jobs import JobState
from headrace.core.run_patches import Batch, Patch
from headrace.storage.schema import jobs
from headrace.storage.schema_kiln import batch_patches, patch_batches
from headrace.storage.session import Repository, Session, dumps, loads


def delete_batches(session: Session, *conditions: ColumnElement[bool]) -> None:
    """Remove batches with their patches."""
    some = select(patch_batches.c.id).where(*conditions)
    session.run(delete(batch_patches).where(batch_patches.c.batch_id.in_(some)))
    session.run(delete(patch_batches).where(*conditions))


class PatchRepository(Repository):
    """See `core.run_patches.Patches`."""

    def insert(self, dataset_id: int, *, author_id: int, patches: Mapping[str, object]) -> int:
        values = {
            "dataset_id": dataset_id,
            "author_id": author_id,
            "job_id": 0,
            "size": len(patches),
            "done": 0,
            "failed": 0,
            "created_at": self.session.now(),
        }
        batch_id = self.session.insert_id(insert(patch_batches).values(values))
        rows = [
            {"batch_id": batch_id, "place": place, "run": run, "change": dumps(change)}
            for place, (run, change) in enumerate(patches.items())
        ]
        self.session.run(insert(batch_patches), rows)
        return batch_id

    def assign(self, batch_id: int, job_id: int) -> None:
        self.session.run(update(patch_batches).where(patch_batches.c.id == batch_id).values(job_id=job_id))

    def get(self, batch_id: int) -> Batch | None:
        row = self.session.first(select(patch_batches).where(patch_batches.c.id == batch_id))
        return Batch(**row._asdict()) if row else None

    def rows(self, batch_id: int, start: int, limit: int) -> list[Patch]:
        mine = (batch_patches.c.batch_id == batch_id, batch_patches.c.place >= start)
        statement = select(batch_patches).where(*mine).order_by(batch_patches.c.place).limit(limit)
        return [
            Patch(row.place, row.run, loads(row.change), loads(row.result) if row.result else None)
            for row in self.session.rows(statement)
        ]

    def settle(self, batch: Batch, results: Sequence[tuple[int, object]], failed: int) -> None:
        mine = (batch_patches.c.batch_id == batch.id, batch_patches.c.place == bindparam("at"))
        rows = [{"at": place, "told": dumps(result)} for place, result in results]
        self.session.run(update(batch_patches).where(*mine).values(result=bindparam("told")), rows)
        changes = {"done": batch.done + len(results), "failed": batch.failed + failed}
        self.session.run(update(patch_batches).where(patch_batches.c.id == batch.id).values(changes))

    def unfinished(self, dataset_id: int) -> int:
        alive = jobs.c.state.in_([JobState.QUEUED, JobState.RUNNING])
        joined = patch_batches.join(jobs, jobs.c.id == patch_batches.c.job_id)
        mine = select(patch_batches.c.id).select_from(joined).where(patch_batches.c.dataset_id == dataset_id, alive)
        return len(self.session.rows(mine))

    def prune(self, dataset_id: int, before: int) -> None:
        delete_batches(self.session, patch_batches.c.dataset_id == dataset_id, patch_batches.c.created_at < before)
