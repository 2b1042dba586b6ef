"""Statements of jobs: a leased queue that behaves alike on both databases."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, bindparam, func, insert, or_, select, update

from headrace.core.jobs import LEASE_SECONDS, Job, JobState, LostLease
from headrace.storage.schema import jobs
from headrace.storage.session import Repository, Session, dumps, loads

_COLUMNS = tuple(
    jobs.c[name]
    for name in (
        "id",
        "kind",
        "payload",
        "state",
        "attempt",
        "done",
        "total",
        "error",
        "created_at",
        "updated_at",
    )
)
WAITING = select(jobs.c.id).where(jobs.c.key == bindparam("wanted"), jobs.c.state == JobState.QUEUED)


def _job(row: Row[Any]) -> Job:
    return Job(**row._asdict() | {"payload": loads(row.payload), "state": JobState(row.state)})


class JobRepository(Repository):
    """See `core.jobs.Jobs`. `due` is when a queued job may start, or when a running one's lease ends."""

    def __init__(self, session: Session, wake: Callable[[], None]) -> None:
        super().__init__(session)
        self._wake = wake

    def enqueue(self, kind: str, payload: Mapping[str, object], *, key: str | None = None, delay: float = 0.0) -> int:
        if key is not None:
            row = self.session.first(WAITING, {"wanted": key})
            if row:
                return int(row.id)
        now = self.session.now()
        job_id = self.session.insert_id(
            insert(jobs).values(
                kind=kind,
                payload=dumps(payload),
                key=key,
                state=JobState.QUEUED,
                attempt=0,
                due=self.session.database_now() + delay,
                done=0,
                total=0,
                created_at=now,
                updated_at=now,
            )
        )
        self.session.after_commit(self._wake)
        return job_id

    def claim(self, owner: str, *, kinds: Sequence[str] = (), job_id: int | None = None) -> Job | None:
        now = self.session.database_now()
        free = or_(jobs.c.state == JobState.QUEUED, and_(jobs.c.state == JobState.RUNNING, jobs.c.due <= now))
        statement = select(jobs.c.id).where(free).order_by(jobs.c.due, jobs.c.id).limit(1)
        if job_id is None:
            statement = statement.where(jobs.c.due <= now, jobs.c.kind.in_(kinds))
        else:
            statement = statement.where(jobs.c.id == job_id)
        row = self.session.first(statement.with_for_update(skip_locked=True))
        if row is None:
            return None
        taken = update(jobs).where(jobs.c.id == row.id)
        self.session.run(
            taken.values(
                state=JobState.RUNNING,
                owner=owner,
                attempt=jobs.c.attempt + 1,
                due=now + LEASE_SECONDS,
                updated_at=self.session.now(),
            )
        )
        return self.get(row.id)

    def renew(self, job: Job) -> None:
        self._fenced(job, due=self.session.database_now() + LEASE_SECONDS)

    def heartbeat(self, job: Job, *, done: int, total: int) -> None:
        self._fenced(job, due=self.session.database_now() + LEASE_SECONDS, done=done, total=total)

    def finish(self, job: Job, *, error: str | None = None) -> None:
        self._fenced(job, state=JobState.FAILED if error else JobState.DONE, error=error)

    def retry(self, job: Job, *, error: str, delay: float) -> None:
        self._fenced(job, state=JobState.QUEUED, key=None, error=error, due=self.session.database_now() + delay)

    def reclaim(self) -> int:
        running = update(jobs).where(jobs.c.state == JobState.RUNNING)
        return self.session.run(running.values(due=self.session.database_now()))

    def get(self, job_id: int) -> Job | None:
        row = self.session.first(select(*_COLUMNS).where(jobs.c.id == job_id))
        return _job(row) if row else None

    def next_due(self, kinds: Sequence[str]) -> float | None:
        waiting = (jobs.c.state.in_([JobState.QUEUED, JobState.RUNNING]), jobs.c.kind.in_(kinds))
        due = self.session.conn.execute(select(func.min(jobs.c.due)).where(*waiting)).scalar()
        return None if due is None else max(0.0, float(due) - self.session.database_now())

    def _fenced(self, job: Job, **changes: object) -> None:
        """Change a job only while this attempt still holds it."""
        mine = (jobs.c.id == job.id, jobs.c.attempt == job.attempt, jobs.c.state == JobState.RUNNING)
        changed = self.session.run(update(jobs).where(*mine).values(**changes, updated_at=self.session.now()))
        if changed != 1:
            raise LostLease(f"job {job.id} is not held by attempt {job.attempt} any more")
