"""Jobs are leased rows: taken by one worker at a time, fenced by their attempt, never lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from headrace.core.jobs import LEASE_SECONDS, Job, JobState, LostLease
from headrace.core.store import Store, Tx
from headrace.storage import open_store
from headrace.storage.schema import jobs


def enqueue(store: Store, kind: str = "work", *, key: str | None = None, delay: float = 0.0) -> int:
    """Add a job."""
    return store.write(lambda tx: tx.jobs.enqueue(kind, {"n": 1}, key=key, delay=delay))


def claim(store: Store, *kinds: str) -> Job | None:
    """Take the next job of these kinds."""
    return store.write(lambda tx: tx.jobs.claim("me", kinds=kinds or ("work",)))


def claimed(store: Store) -> Job:
    """Take a job that must be there."""
    job = claim(store)
    assert job is not None
    return job


def pass_time(store: Store, job_id: int, seconds: float) -> None:
    """Let that much time pass for a job: its start, or the end of its lease, comes nearer."""
    earlier = update(jobs).where(jobs.c.id == job_id).values(due=jobs.c.due - seconds)
    store.write(lambda tx: tx.session.run(earlier))  # type: ignore[attr-defined]


def state(store: Store, job_id: int) -> Job:
    """The job as it stands."""
    job = store.read(lambda tx: tx.jobs.get(job_id))
    assert job is not None
    return job


def test_job_is_taken_once(store: Store) -> None:
    """A job goes to one worker, with its payload and its first attempt; a second worker finds nothing."""
    job_id = enqueue(store)
    job = claimed(store)
    assert (job.id, job.payload, job.state, job.attempt) == (job_id, {"n": 1}, JobState.RUNNING, 1)
    assert claim(store) is None


def test_workers_never_share_a_job(store: Store) -> None:
    """Of many workers that ask at once each gets another job, and nobody waits for a job that is taken."""
    ids = {enqueue(store) for _ in range(8)}
    start = threading.Barrier(4)

    def take(_: int) -> list[int]:
        start.wait(20)
        return [job.id for _ in range(3) if (job := claim(store)) is not None]

    with ThreadPoolExecutor(4) as threads:
        taken = [job_id for found in threads.map(take, range(4)) for job_id in found]
    while (left := claim(store)) is not None:
        taken.append(left.id)
    assert sorted(taken) == sorted(ids)


def test_jobs_come_in_the_order_due(store: Store) -> None:
    """The job that has been due longest comes first, one that is not due yet does not come, nor another kind."""
    later, sooner = enqueue(store), enqueue(store)
    enqueue(store, delay=100)
    enqueue(store, "other")
    pass_time(store, sooner, 5)
    assert [job.id for job in iter(lambda: claim(store), None)] == [sooner, later]


def test_lease_that_ran_out_is_taken_over(store: Store) -> None:
    """When a worker falls silent its job goes to another under a new attempt, and the first can write no more."""
    enqueue(store)
    first = claimed(store)
    pass_time(store, first.id, LEASE_SECONDS + 1)
    second = claimed(store)
    assert (second.id, second.attempt) == (first.id, 2)
    for late in (
        lambda tx: tx.jobs.renew(first),
        lambda tx: tx.jobs.heartbeat(first, done=1, total=2),
        lambda tx: tx.jobs.finish(first),
        lambda tx: tx.jobs.retry(first, error="late", delay=0),
    ):
        with pytest.raises(LostLease):
            store.write(late)
    store.write(lambda tx: tx.jobs.finish(second))
    assert state(store, first.id).state == JobState.DONE


def test_fence_undoes_the_effect(store: Store) -> None:
    """What a worker wrote beside its progress is undone when the job was taken over."""
    enqueue(store)
    first = claimed(store)
    pass_time(store, first.id, LEASE_SECONDS + 1)
    claimed(store)

    def step(tx: Tx) -> None:
        tx.projects.insert(name="effect", title="", description="")
        tx.jobs.heartbeat(first, done=1, total=1)

    with pytest.raises(LostLease):
        store.write(step)
    assert store.read(lambda tx: tx.projects.all(None)) == []


def test_renewed_lease_holds(store: Store) -> None:
    """A worker that renews in time, or reports progress, keeps its job."""
    enqueue(store)
    job = claimed(store)
    pass_time(store, job.id, LEASE_SECONDS + 1)
    store.write(lambda tx: tx.jobs.renew(job))
    assert claim(store) is None
    pass_time(store, job.id, LEASE_SECONDS + 1)
    store.write(lambda tx: tx.jobs.heartbeat(job, done=3, total=7))
    assert claim(store) is None
    assert (state(store, job.id).done, state(store, job.id).total) == (3, 7)


def test_retry_waits_and_counts_attempts(store: Store) -> None:
    """A job given back is not due before its delay is over, says why, and comes under the next attempt."""
    enqueue(store)
    job = claimed(store)
    store.write(lambda tx: tx.jobs.retry(job, error="tripped", delay=50))
    assert claim(store) is None
    assert (state(store, job.id).state, state(store, job.id).error) == (JobState.QUEUED, "tripped")
    pass_time(store, job.id, 51)
    assert claimed(store).attempt == 2


@pytest.mark.parametrize(("error", "end"), [(None, JobState.DONE), ("no use", JobState.FAILED)])
def test_finished_job_is_final(store: Store, error: str | None, end: JobState) -> None:
    """A finished job says how it ended and is never taken again, nor finished twice."""
    enqueue(store)
    job = claimed(store)
    store.write(lambda tx: tx.jobs.finish(job, error=error))
    assert (state(store, job.id).state, state(store, job.id).error) == (end, error)
    pass_time(store, job.id, 10 * LEASE_SECONDS)
    assert claim(store) is None
    assert store.write(lambda tx: tx.jobs.claim("me", job_id=job.id)) is None
    with pytest.raises(LostLease):
        store.write(lambda tx: tx.jobs.finish(job))


def test_same_key_makes_one_job(store: Store) -> None:
    """While a job of a key waits another is not added; once it runs, the next one is."""
    first = enqueue(store, key="train:1")
    assert enqueue(store, key="train:1") == first
    assert enqueue(store, key="train:2") != first
    assert claimed(store).id == first
    second = enqueue(store, key="train:1")
    assert second != first
    assert enqueue(store, key="train:1") == second


def test_same_key_from_many_threads(store: Store) -> None:
    """Threads that add a job of one key at once all get the same job."""
    start = threading.Barrier(4)

    def add(_: int) -> int:
        start.wait(20)
        return enqueue(store, key="train:1")

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(add, range(4)))) == 1


def test_retried_job_does_not_block_its_key(store: Store) -> None:
    """A job given back while a newer one of its key waits stays in the queue beside it."""
    first = enqueue(store, key="train:1")
    job = claimed(store)
    second = enqueue(store, key="train:1")
    store.write(lambda tx: tx.jobs.retry(job, error="tripped", delay=0))
    assert {claimed(store).id, claimed(store).id} == {first, second}


def test_named_job_is_taken_ahead_of_time(store: Store) -> None:
    """A job asked for by its id may start before it is due, but not while another worker holds it."""
    job_id = enqueue(store, delay=100)
    job = store.write(lambda tx: tx.jobs.claim("me", job_id=job_id))
    assert job is not None
    assert store.write(lambda tx: tx.jobs.claim("you", job_id=job_id)) is None


def test_next_due_tells_how_long_to_wait(store: Store) -> None:
    """The wait is none without jobs, zero when one is due, and reaches to the end of a lease."""
    waits = [store.read(lambda tx: tx.jobs.next_due(["work"]))]
    job_id = enqueue(store, delay=100)
    waits.append(store.read(lambda tx: tx.jobs.next_due(["work"])))
    pass_time(store, job_id, 101)
    waits.append(store.read(lambda tx: tx.jobs.next_due(["work"])))
    claimed(store)
    waits.append(store.read(lambda tx: tx.jobs.next_due(["work"])))
    none, delayed, due, leased = waits
    assert (none, due) == (None, 0.0)
    assert delayed is not None
    assert 90 < delayed <= 100
    assert leased is not None
    assert LEASE_SECONDS - 10 < leased <= LEASE_SECONDS


def test_worker_is_woken_after_the_commit(tmp_path: Path) -> None:
    """Enqueueing rings the bell once the job is stored, and a failed transaction does not."""
    rung: list[int] = []
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", wake=lambda: rung.append(1))

    def fail(tx: Tx) -> None:
        tx.jobs.enqueue("work", {})
        raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        store.write(fail)
    assert rung == []
    enqueue(store)
    assert rung == [1]
    store.close()
