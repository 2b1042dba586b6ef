"""The import job: resuming half-done work, failing for good, and cleaning up."""

import json
from pathlib import Path

import pytest
from label_studio_api import CONFIG

from headrace.core import imports, tasks
from headrace.core.datasets import Dataset
from headrace.core.imports import Import, ImportRow, ImportState
from headrace.core.jobs import Job, JobState, LostLease
from headrace.core.rights import Principal
from headrace.core.store import Store, Tx
from headrace.jobs import imports as import_job
from headrace.jobs.worker import ChildPool, JobContext
from headrace.learning.process import Learner

pytestmark = pytest.mark.server("shared")

TASKS = 2_500
OPTIONS = {
    "kind": "json",
    "preannotated_from_fields": None,
    "return_task_ids": True,
    "commit_to_project": True,
    "url": None,
    "file_upload_ids": [],
}


def context(store: Store, folder: Path) -> JobContext:
    """What the job needs, without a worker around it."""
    return JobContext(store=store, scratch=folder, pool=ChildPool(), learner=Learner())


def begin(store: Store, body: bytes) -> tuple[Dataset, Import]:
    """A project with an import of one JSON body."""

    def make(tx: Tx) -> tuple[Dataset, Import]:
        user = tx.users.insert(username="admin", email="admin@example.org", global_permissions=("root",))
        tx.projects.insert(name="default", title="", description="")
        who = Principal(user_id=user.id, username=user.username, email=user.email, is_admin=True)
        dataset = tasks.create_project(tx, who, title="Reviews", config_xml=CONFIG)
        upload_id = tx.imports.add_upload("body.json")
        tx.imports.append(upload_id, 0, body)
        return dataset, imports.start(tx, who, dataset, options=OPTIONS, upload_ids=[upload_id])

    return store.write(make)


def claim(store: Store, known: Import) -> Job:
    """The import's job, taken for one more attempt."""
    job = store.write(lambda tx: tx.jobs.claim("test", job_id=known.job_id))
    assert job is not None
    return job


def state(store: Store, known: Import) -> Import:
    """The import as it is stored now."""
    found = store.read(lambda tx: tx.imports.get(known.id, known.dataset_id))
    assert found is not None
    return found


def body(count: int) -> bytes:
    """A JSON array of so many tasks."""
    return json.dumps([{"text": f"t{number}"} for number in range(count)]).encode()


def test_a_half_done_import_is_resumed_behind_its_last_chunk(store: Store, tmp_path: Path) -> None:
    """Every task is stored exactly once, in the order of the request, when a worker died between two chunks."""
    dataset, known = begin(store, body(TASKS))
    first = claim(store, known)
    rows = [
        ImportRow(data=f'{{"text": "t{number}"}}', meta=None, annotations=(), predictions=()) for number in range(700)
    ]
    store.write(lambda tx: imports.store_rows(tx, first, known, dataset, rows))
    store.write(lambda tx: tx.jobs.retry(first, error="killed", delay=0))
    import_job.run(claim(store, known), context(store, tmp_path))
    done = state(store, known)
    assert (done.state, done.record_count, len(done.record_ids)) == (ImportState.COMPLETED, TASKS, TASKS)
    records = store.read(lambda tx: tx.records.by_ids(done.record_ids, dataset.source_ids))
    assert [json.loads(record.body)["text"] for record in records] == [f"t{number}" for number in range(TASKS)]
    assert store.read(lambda tx: tx.imports.uploads(known.id)) == []


def test_an_attempt_that_was_overtaken_writes_nothing(store: Store, tmp_path: Path) -> None:
    """A worker that wakes up after its job was given to another one loses, and the import is not doubled."""
    dataset, known = begin(store, body(10))
    first = claim(store, known)
    store.write(lambda tx: tx.jobs.retry(first, error="slow", delay=0))
    second = claim(store, known)
    import_job.run(second, context(store, tmp_path))
    with pytest.raises(LostLease):
        import_job.run(first, context(store, tmp_path))
    assert state(store, known).record_count == 10
    assert store.read(lambda tx: tx.datasets.get(dataset.id, None)) is not None


def test_a_refused_import_ends_its_job_and_drops_its_payload(store: Store, tmp_path: Path) -> None:
    """A bad item ends import and job together; no payload and no file is left."""
    _, known = begin(store, b'[{"text": "a"}, {"x": 1}]')
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    import_job.run(claim(store, known), context(store, scratch))
    done = state(store, known)
    job = store.read(lambda tx: tx.jobs.get(known.job_id))
    assert (done.state, done.record_count, done.finished_at is not None) == (ImportState.FAILED, 0, True)
    assert job is not None
    assert (job.state, job.error) == (JobState.FAILED, done.error)
    assert store.read(lambda tx: tx.imports.uploads(known.id)) == []
    assert list(scratch.iterdir()) == []


def test_a_job_that_is_given_up_fails_its_import(store: Store, tmp_path: Path) -> None:
    """The reason reaches the status, so that pollers do not wait for ever."""
    _, known = begin(store, body(1))
    import_job.failed(claim(store, known), context(store, tmp_path), "out of luck")
    done = state(store, known)
    assert (done.state, done.error) == (ImportState.FAILED, "out of luck")


def test_an_import_that_fails_half_way_takes_its_tasks_back(store: Store, tmp_path: Path) -> None:
    """All or nothing also holds when the job is given up between two chunks."""
    dataset, known = begin(store, body(TASKS))
    job = claim(store, known)
    rows = [ImportRow(data='{"text": "t"}', meta=None, annotations=(), predictions=())] * 700
    store.write(lambda tx: imports.store_rows(tx, job, known, dataset, rows))
    import_job.failed(job, context(store, tmp_path), "out of luck")
    done = state(store, known)
    assert (done.state, done.record_count, done.record_ids) == (ImportState.FAILED, 0, [])
    source = store.read(lambda tx: tx.sources.get(known.source_id, None))
    assert source is not None
    assert source.record_count == 0


def test_an_import_of_a_deleted_project_just_ends(store: Store, tmp_path: Path) -> None:
    """The job ends with a reason, and the payload goes."""
    dataset, known = begin(store, body(1))
    job = claim(store, known)
    store.write(lambda tx: tx.datasets.delete(dataset.id))
    import_job.run(job, context(store, tmp_path))
    ended = store.read(lambda tx: tx.jobs.get(job.id))
    assert ended is not None
    assert (ended.state, ended.error) == (JobState.FAILED, "the project was deleted")
    assert store.read(lambda tx: tx.imports.uploads(known.id)) == []


def test_payloads_that_no_import_took_are_swept(store: Store) -> None:
    """What an interrupted upload left behind goes after its time; payloads of imports stay."""
    _, known = begin(store, body(1))
    stray = store.write(lambda tx: tx.imports.add_upload("stray.json"))
    store.write(lambda tx: tx.imports.append(stray, 0, b"x"))
    now = store.read(lambda tx: tx.now())
    assert store.write(lambda tx: tx.imports.sweep(now - 10**12)) == 0
    assert store.write(lambda tx: tx.imports.sweep(now + 1)) == 1
    assert store.read(lambda tx: tx.imports.pieces(stray, -1, 10)) == []
    assert len(store.read(lambda tx: tx.imports.uploads(known.id))) == 1
