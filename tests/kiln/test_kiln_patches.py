"""Many patches at once as a job, and waiting for changes."""

import time
from pathlib import Path
from typing import Any

from kiln_api import kiln_client, make_run, make_task, rated, run_path
from starlette.testclient import TestClient

from conftest import Application, ok
from headrace.app import RUN_PATCHES
from headrace.core import run_patches
from headrace.core.jobs import Job
from headrace.core.store import Tx
from headrace.core.users import principal
from headrace.jobs.worker import ChildPool, JobContext
from headrace.learning.process import Learner

pytest_plugins = ["kiln_fixtures"]


def many(run: dict[str, Any]) -> dict[str, Any]:
    """Patches of more runs than one request carries out, of which two name the run that is there."""
    return {"77000": {}, run["id"]: rated(4), **{str(900_000 + number): rated(5) for number in range(1_000)}}


def finished(kiln: TestClient, path: str) -> dict[str, Any]:
    """The status of a job at its end."""
    until = time.monotonic() + 20
    while (status := ok(kiln.get(path)))["state"] in ("queued", "running"):
        assert time.monotonic() < until, status
    return dict(status)


def test_patches_become_a_job(kiln: TestClient, task: str) -> None:
    """More than a thousand patches are carried out by a job that tells each result; a retry starts no other."""
    run = make_run(kiln, task)
    body = {"patches": many(run)}
    started = kiln.patch(f"{task}/runs", json=body, headers={"Idempotency-Key": task})
    assert started.status_code == 202
    again = kiln.patch(f"{task}/runs", json=body, headers={"Idempotency-Key": task})
    assert (again.status_code, again.json()) == (202, started.json())
    status = finished(kiln, started.json()["status_url"])
    assert (status["state"], status["done"], status["total"], status["failed"]) == ("done", 1002, 1002, 1001)
    assert status["results"][run["id"]]["status"] == 200
    assert status["results"]["77000"] == {"status": 404, "message": "Run not found. ID: 77000"}
    rest = ok(kiln.get(started.json()["status_url"], params={"after": status["next"]}))
    assert (len(status["results"]) + len(rest["results"]), rest["next"]) == (1002, None)
    assert ok(kiln.get(run_path(task, run)))["output"]["rating"]["value"] == 4


def test_a_job_of_patches_goes_on_where_it_was(either: Application, tmp_path: Path) -> None:
    """An attempt that dies after some patches is followed by one that does the others, and none twice."""
    kiln = kiln_client(either)
    task = make_task(kiln)
    runs = [make_run(kiln, task) for _ in range(3)]
    project_id, task_id = (int(part) for part in task.split("/")[3::2])
    either.worker.stop()

    def begin(tx: Tx) -> tuple[int, Job | None]:
        admin = tx.users.by_username("admin")
        assert admin is not None
        patches = {run["id"]: {"tags": ["a"]} for run in runs}
        batch_id = run_patches.submit(tx, principal(admin), (project_id, task_id), patches)
        batch = tx.patches.get(batch_id)
        assert batch is not None
        tx.patches.settle(batch, [(0, {"status": 200})], 0)
        return batch_id, tx.jobs.claim("test", job_id=batch.job_id)

    batch_id, job = either.store.write(begin)
    assert job is not None
    context = JobContext(store=either.store, scratch=tmp_path, pool=ChildPool(), learner=Learner())
    RUN_PATCHES.run(job, context)
    tags = [ok(kiln.get(run_path(task, run)))["tags"] for run in runs]
    assert tags == [[], ["a"], ["a"]]
    assert ok(kiln.get(f"{task}/patches/{batch_id}"))["state"] == "done"


def test_unknown_jobs_and_places(kiln: TestClient, task: str) -> None:
    """A job that is not there, and a place nobody gave out, are told."""
    assert kiln.get(f"{task}/patches/77").json() == {"message": "Job not found. ID: 77"}
    assert kiln.get(f"{task}/patches/77?after=x").status_code == 422


def test_changes_can_be_waited_for(kiln: TestClient, task: str) -> None:
    """Waiting answers at once what is there, and only after its time when nothing comes; more than a minute is 422."""
    run = make_run(kiln, task)
    first = ok(kiln.get(f"{task}/changes?wait=30"))
    assert [item["run"]["id"] for item in first["changes"]] == [run["id"]]
    began = time.monotonic()
    assert ok(kiln.get(f"{task}/changes?wait=1&cursor={first['cursor']}"))["changes"] == []
    assert time.monotonic() - began >= 1
    assert kiln.get(f"{task}/changes?wait=61").status_code == 422


def test_changes_tell_feedback_to_those_who_ask(kiln: TestClient, task: str) -> None:
    """With `include=feedback` a run comes with what is said of it, and new feedback is a change of its own."""
    run = make_run(kiln, task)
    cursor = ok(kiln.get(f"{task}/changes"))["cursor"]
    said = ok(kiln.post(f"{run_path(task, run)}/feedback", json={"feedback": "hm", "source": "run-page"}))
    assert ok(kiln.get(f"{task}/changes?cursor={cursor}"))["changes"] == []
    [change] = ok(kiln.get(f"{task}/changes?cursor={cursor}&include=feedback"))["changes"]
    assert change == {"type": "feedback", "run_id": run["id"], "feedback": [said | {"origin": None}]}
    assert ok(kiln.get(f"{task}/changes?include=feedback"))["changes"][0]["feedback"] == change["feedback"]
