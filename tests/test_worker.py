"""The worker: whatever a job does, it ends with an answer, and the queue goes on; learning runs by itself."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from building import empty_database, eventually
from conftest import client_of, ok
from headrace.app import Application
from headrace.core.errors import Invalid, Unavailable
from headrace.core.jobs import MAX_ATTEMPTS, Job, JobState
from headrace.core.store import Store
from headrace.jobs.worker import Bell, ChildPool, JobContext, JobKind, Worker, scratch_directory
from headrace.learning.process import Learner
from headrace.storage import open_store
from headrace.storage.schema import jobs
from mining import Mailbox, comment, new_mailbox, serving

Run = Callable[[Job, JobContext], None]
TEXTS = {"Card": "my card was lost or stolen {}", "Payment": "the payment of invoice {} is late"}


class Bench:
    """A store with a worker whose one kind of job is given by the test."""

    def __init__(self, store: Store, bell: Bell, worker: Worker) -> None:
        self.store, self.bell, self.worker = store, bell, worker

    def enqueue(self, delay: float = 0.0) -> int:
        """Add a job."""
        return self.store.write(lambda tx: tx.jobs.enqueue("work", {}, delay=delay))

    def run(self, job_id: int) -> Job:
        """One attempt at a job, now; answers how the job stands then."""
        asyncio.run(self.worker.run_now(job_id))
        return self.job(job_id)

    def job(self, job_id: int) -> Job:
        """A job as it stands."""
        job = self.store.read(lambda tx: tx.jobs.get(job_id))
        assert job is not None
        return job


@contextmanager
def bench(path: Path, kind: JobKind, *, started: bool = False) -> Iterator[Bench]:
    """A worker on an empty store; unless it is started it carries out only what it is told to."""
    bell = Bell()
    file = path / "store.db"
    if not file.exists():
        file.write_bytes(empty_database())
    store = open_store(f"sqlite:///{file}", wake=bell.ring)
    context = JobContext(store=store, scratch=scratch_directory(path), pool=ChildPool(), learner=Learner())
    worker = Worker(context, bell, {"work": kind}, [["work"]])
    if started:
        worker.start()
    try:
        yield Bench(store, bell, worker)
    finally:
        if started:
            worker.stop()
        context.learner.close()
        store.close()


def finish(job: Job, context: JobContext) -> None:
    """A job that succeeds."""
    context.store.write(lambda tx: tx.jobs.finish(job))


def stumble(_: Job, __: JobContext) -> None:
    """A job that fails in every attempt."""
    raise ValueError("stumbled")


def test_failing_job_is_retried_and_given_up(tmp_path: Path) -> None:
    """A job that raises is tried again after a pause, and after the last attempt it has failed, with a reason."""
    with bench(tmp_path, JobKind(run=stumble)) as at:
        job_id = at.enqueue()
        states = [at.run(job_id) for _ in range(MAX_ATTEMPTS)]
        assert [job.attempt for job in states] == list(range(1, MAX_ATTEMPTS + 1))
        assert [job.state for job in states] == [JobState.QUEUED] * (MAX_ATTEMPTS - 1) + [JobState.FAILED]
        assert "stumbled" in str(states[0].error)
        assert "ValueError" in str(states[-1].error)
        assert at.run(job_id) == states[-1]


def test_job_waits_longer_after_each_attempt(tmp_path: Path) -> None:
    """The pause before the next attempt doubles, so that a fault that lasts does not keep the worker busy."""
    with bench(tmp_path, JobKind(run=stumble)) as at:
        job_id, waits = at.enqueue(), []
        for _ in range(3):
            at.run(job_id)
            waits.append(at.store.read(lambda tx: tx.jobs.next_due(["work"])) or 0.0)
    assert waits[0] > 1
    assert waits[1] > 1.5 * waits[0]
    assert waits[2] > 1.5 * waits[1]


def test_error_of_the_domain_is_final(tmp_path: Path) -> None:
    """What the domain refuses is refused in the next attempt too: the job fails at once, in its own words."""

    def refuse(_: Job, __: JobContext) -> None:
        raise Invalid("the upload is no JSON")

    with bench(tmp_path, JobKind(run=refuse)) as at:
        job = at.run(at.enqueue())
    assert (job.state, job.error) == (JobState.FAILED, "the upload is no JSON")


def test_want_of_a_resource_is_not_final(tmp_path: Path) -> None:
    """A job that meets a full disk waits for room and is not counted as failed, however often."""

    def full(_: Job, __: JobContext) -> None:
        raise Unavailable("the disk is full")

    with bench(tmp_path, JobKind(run=full)) as at:
        job_id = at.enqueue()
        states = {at.run(job_id).state for _ in range(MAX_ATTEMPTS + 2)}
    assert states == {JobState.QUEUED}


def test_cause_hears_of_the_failure(tmp_path: Path) -> None:
    """Whoever caused the job is told when it is given up; if even that fails the job is taken again later."""
    told: list[str] = []

    def tell(job: Job, context: JobContext, reason: str) -> None:
        told.append(reason)
        if len(told) == 1:
            raise sqlite3.OperationalError("no room to say so")
        context.store.write(lambda tx: tx.jobs.finish(job, error=reason))

    def refuse(_: Job, __: JobContext) -> None:
        raise Invalid("no use")

    with bench(tmp_path, JobKind(run=refuse, failed=tell)) as at:
        job_id = at.enqueue()
        assert at.run(job_id).state == JobState.RUNNING
        at.store.write(lambda tx: tx.jobs.reclaim())
        assert at.run(job_id).state == JobState.FAILED
    assert told == ["no use", "no use"]


def test_lost_lease_is_left_alone(tmp_path: Path) -> None:
    """A worker whose job was taken over meanwhile records nothing about it."""

    def slow(job: Job, context: JobContext) -> None:
        context.store.write(lambda tx: tx.jobs.reclaim())
        other = context.store.write(lambda tx: tx.jobs.claim("another", kinds=["work"]))
        assert other is not None
        finish(job, context)

    with bench(tmp_path, JobKind(run=slow)) as at:
        job = at.run(at.enqueue())
    assert (job.state, job.attempt, job.error) == (JobState.RUNNING, 2, None)


def test_loop_survives_the_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the queue cannot be read nothing is lost, and when it can be again the work goes on by itself."""
    with bench(tmp_path, JobKind(run=finish), started=True) as at:
        rename(tmp_path, "jobs", "hidden")
        at.bell.ring()
        eventually(lambda: "the queue cannot be read" in caplog.text, bool)
        rename(tmp_path, "hidden", "jobs")
        job_id = at.enqueue()
        assert eventually(lambda: at.job(job_id).state, lambda state: state == JobState.DONE)
    assert all(record.levelno <= logging.ERROR for record in caplog.records)


def rename(path: Path, table: str, name: str) -> None:
    """Give a table of the store's another name, behind its back."""
    with sqlite3.connect(path / "store.db", timeout=20) as connection:
        connection.execute(f"ALTER TABLE {table} RENAME TO {name}")
    connection.close()


def test_loop_survives_its_jobs(tmp_path: Path) -> None:
    """A job that fails does not keep the ones behind it from being done."""

    def first_fails(job: Job, context: JobContext) -> None:
        if job.id == 1:
            raise ValueError("stumbled")
        finish(job, context)

    with bench(tmp_path, JobKind(run=first_fails), started=True) as at:
        ids = [at.enqueue() for _ in range(3)]
        for job_id in ids[1:]:
            eventually(lambda job_id=job_id: at.job(job_id).state, lambda state: state == JobState.DONE)
        assert eventually(lambda: at.job(ids[0]).state, lambda state: state == JobState.QUEUED)


def test_waiting_for_a_job_that_runs(tmp_path: Path) -> None:
    """Whoever asks for a job that another thread is at gets its end, and the job is done once."""
    entered, release, runs = threading.Event(), threading.Event(), []

    def slow(job: Job, context: JobContext) -> None:
        runs.append(job.attempt)
        entered.set()
        assert release.wait(20)
        finish(job, context)

    with bench(tmp_path, JobKind(run=slow), started=True) as at:
        job_id = at.enqueue()
        assert entered.wait(20)
        waiter = threading.Thread(target=at.run, args=(job_id,))
        waiter.start()
        release.set()
        waiter.join(20)
        assert at.job(job_id).state == JobState.DONE
    assert runs == [1]


def test_stopped_worker_leaves_jobs_waiting(tmp_path: Path) -> None:
    """What was not begun when the worker stopped is done at the next start."""
    with bench(tmp_path, JobKind(run=finish)) as at:
        job_id = at.enqueue()
        assert at.job(job_id).state == JobState.QUEUED
    with bench(tmp_path, JobKind(run=finish), started=True) as at:
        assert eventually(lambda: at.job(job_id).state, lambda state: state == JobState.DONE)


def settle(application: Application) -> None:
    """Have all jobs done that wait, due or not, and those that follow from them."""
    unfinished = select(jobs.c.id).where(jobs.c.state.in_([JobState.QUEUED, JobState.RUNNING]))

    def look() -> list[Any]:
        ids = application.store.read(lambda tx: [row.id for row in tx.session.rows(unfinished)])  # type: ignore[attr-defined]
        for job_id in ids:
            asyncio.run(application.worker.run_now(job_id))
        return ids

    eventually(look, lambda ids: not ids)


def teach(box: Mailbox, name: str, count: int) -> None:
    """Upload comments and label each by what it speaks of."""
    for number in range(count):
        label = ("Card", "Payment")[number % 2]
        key = f"{name}{number}"
        box.sync(comment(key, TEXTS[label].format(number)))
        box.label(key, label, sentiment=("negative", "positive")[number % 2])


def versions(box: Mailbox) -> list[int]:
    """The model versions, newest first."""
    return [item["version"] for item in ok(box.api.post(f"{box.private}/labellers", json={}))["labellers"]]


def stored(application: Application, box: Mailbox, version: int, *keys: str) -> list[str]:
    """Which of the comments have a stored prediction of the version."""

    def read(tx: Any) -> list[str]:
        model = tx.models.get(int(box.dataset_id, 16), version)
        records = tx.records.by_external(int(box.source_id, 16), keys)
        known = tx.predictions.of(model.id, [record.id for record in records])
        return sorted(record.external_id for record in records if record.id in known)

    return application.store.read(read)


def test_labels_become_predictions(tmp_path: Path) -> None:
    """Labelling trains a version by itself; it predicts old and new comments, and lists those worth labelling. A
    stream keeps to its version: after the next training, and after a restart, it answers the same to the byte."""
    with serving(tmp_path / "data") as application:
        box = new_mailbox(client_of(application))
        box.put_stream()
        box.sync(comment("early", TEXTS["Card"].format("early")))
        teach(box, "a", 9)
        settle(application)
        assert versions(box) == []
        teach(box, "b", 3)
        settle(application)
        assert versions(box) == [1]
        box.sync(comment("late", TEXTS["Payment"].format("late")))
        settle(application)
        assert stored(application, box, 1, "early", "a0", "late") == ["a0", "early", "late"]
        assert top_labels(box) == {"early": "Card", "late": "Payment"}
        assert worth_labelling(box) == {"early", "late"}
        box.put_stream(model={"version": 1})
        before = fetched(box)
        teach(box, "c", 4)
        settle(application)
        assert versions(box) == [2, 1]
        assert fetched(box) == before
    with serving(tmp_path / "data") as application:
        again = Mailbox(**{**vars(box), "api": client_of(application)})
        assert fetched(again) == before
        assert versions(again) == [2, 1]


def worth_labelling(box: Mailbox) -> set[str]:
    """The comments at the head of the order of need."""
    body = {"order": {"kind": "need"}, "limit": 2}
    found = ok(box.api.post(f"{box.private}/query", json=body))
    return {item["comment"]["id"] for item in found["results"]}


def top_labels(box: Mailbox) -> dict[str, str]:
    """The most probable label of two comments that nobody labelled."""
    page = box.export(comment_uids=[box.uid("early"), box.uid("late")])
    return {item["comment"]["id"]: item["predictions"]["labels"][0]["name"] for item in page["comments"]}


def fetched(box: Mailbox) -> bytes:
    """The answer to a fetch of the first ten comments as it came."""
    return bytes(box.api.post(f"{box.dataset}/streams/s/fetch", json={"size": 10}).content)
