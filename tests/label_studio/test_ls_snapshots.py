"""Snapshots: made in the background, converted, downloaded, deleted, and whole after a crash."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from label_studio_api import CONFIG, choice, errors_of, imported, make_project
from starlette.testclient import TestClient

from conftest import ok
from headrace.core import snapshots, task_views, tasks
from headrace.core.datasets import Dataset
from headrace.core.errors import NotFound
from headrace.core.jobs import Job, JobState, LostLease
from headrace.core.records import NewRecord
from headrace.core.rights import Principal
from headrace.core.snapshots import MAX_SNAPSHOTS, Snapshot, SnapshotState
from headrace.core.store import Store, Tx
from headrace.core.task_export import ExportFormat
from headrace.dialects.label_studio.snapshots import SMALL_TASKS
from headrace.jobs import exports as export_job
from headrace.jobs.worker import ChildPool, JobContext
from headrace.learning.process import Learner

pytestmark = pytest.mark.server("shared")

WAIT_SECONDS = 30.0
FIELDS = [
    "id",
    "title",
    "created_by",
    "created_at",
    "finished_at",
    "status",
    "md5",
    "counters",
    "converted_formats",
    "task_filter_options",
    "annotation_filter_options",
    "serialization_options",
]


def some_tasks(api: TestClient) -> tuple[int, list[int]]:
    """A project with an annotated, a plain and a skipped task, and one of ground truth."""
    project = make_project(api)
    sent = [
        {"data": {"text": "a"}, "annotations": [{"result": choice("Positive"), "ground_truth": False}]},
        {"data": {"text": "b"}, "predictions": [{"result": choice("Negative"), "score": 0.5, "model_version": "m"}]},
        {"data": {"text": "c"}, "annotations": [{"result": [], "was_cancelled": True, "ground_truth": False}]},
        {"data": {"text": "d"}, "annotations": [{"result": choice("Negative")}]},
    ]
    return project, imported(api, project, sent)["task_ids"]


def made(api: TestClient, project: int, **body: Any) -> dict[str, Any]:
    """A new snapshot once it is completed."""
    found: dict[str, Any] = ok(api.post(f"/api/projects/{project}/exports/", json=body))
    return completed(api, project, found["id"])


def completed(api: TestClient, project: int, number: int) -> dict[str, Any]:
    """A snapshot once it is completed."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found: dict[str, Any] = ok(api.get(f"/api/projects/{project}/exports/{number}"))
        if found["status"] in ("completed", "failed") or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def download(api: TestClient, project: int, number: int, wished: str = "JSON") -> Any:
    """The answer to a download."""
    return api.get(f"/api/projects/{project}/exports/{number}/download", params={"exportType": wished})


def content(api: TestClient, project: int, **body: Any) -> list[dict[str, Any]]:
    """The tasks in a new snapshot."""
    found: list[dict[str, Any]] = download(api, project, made(api, project, **body)["id"]).json()
    return found


def test_a_snapshot_holds_all_tasks_of_its_moment(both: TestClient) -> None:
    """It is completed at once while small, has its digest and count, and later tasks are not in it."""
    project, numbers = some_tasks(both)
    found = ok(both.post(f"/api/projects/{project}/exports/", json={"title": "S"}))
    assert list(found) == FIELDS
    assert (found["status"], found["title"], found["counters"]) == ("completed", "S", {"task_number": 4})
    imported(both, project, [{"text": "later"}])
    answer = download(both, project, found["id"])
    assert [task["id"] for task in answer.json()] == numbers
    assert found["md5"] == hashlib.md5(answer.content).hexdigest()
    assert answer.headers["filename"].endswith(f"-{found['md5'][:8]}.json")
    assert ok(both.get(f"/api/projects/{project}/exports/")) == [found]


def test_a_conversion_shows_the_snapshot_and_not_the_present(both: TestClient) -> None:
    """404 until converted; then the table of the snapshot's tasks; asked for twice it is the same file."""
    project, numbers = some_tasks(both)
    number = made(both, project)["id"]
    errors_of(download(both, project, number, "CSV"), 404)
    assert both.delete(f"/api/tasks/{numbers[1]}/").status_code == 204
    path = f"/api/projects/{project}/exports/{number}/convert"
    answers = [ok(both.post(path, json={"export_type": "CSV"})) for _ in range(2)]
    assert (answers[0], answers[0]["export_type"]) == (answers[1], "CSV")
    formats = completed(both, project, number)["converted_formats"]
    assert [(item["id"], item["status"], item["export_type"], item["traceback"]) for item in formats] == [
        (answers[0]["converted_format"], "completed", "CSV", None)
    ]
    lines = download(both, project, number, "CSV").text.splitlines()
    assert (len(lines), '"b"' in lines[2]) == (4, True)


def test_a_big_snapshot_is_left_to_the_worker(api: TestClient) -> None:
    """The POST answers before it is filled, and all tasks are in it in the end."""
    project = make_project(api)
    imported(api, project, [{"text": f"t{number}"} for number in range(SMALL_TASKS + 1)], "")
    found = ok(api.post(f"/api/projects/{project}/exports/", json={}))
    assert found["status"] in ("created", "in_progress")
    with_count = completed(api, project, found["id"])
    assert with_count["counters"] == {"task_number": SMALL_TASKS + 1}
    assert len(download(api, project, found["id"]).json()) == SMALL_TASKS + 1


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"skipped": "only"}, "c"),
        ({"skipped": "exclude"}, "abd"),
        ({"finished": "only"}, "ad"),
        ({"finished": "exclude"}, "bc"),
        ({"annotated": "only"}, "acd"),
        ({"annotated": "exclude"}, "b"),
        ({"only_with_annotations": True}, "acd"),
    ],
)
def test_tasks_are_chosen_by_how_they_stand(shared_api: TestClient, options: dict[str, Any], texts: str) -> None:
    """Each filter takes only those tasks that have the quality, or all but those."""
    project, _ = some_tasks(shared_api)
    assert "".join(task["data"]["text"] for task in content(shared_api, project, task_filter_options=options)) == texts


@pytest.mark.parametrize(
    ("options", "shown"),
    [({}, [1, 0, 0, 0]), ({"skipped": True}, [1, 0, 1, 0]), ({"usual": False, "ground_truth": True}, [0, 0, 0, 1])],
)
def test_annotations_are_chosen_by_their_kind(api: TestClient, options: dict[str, Any], shown: list[int]) -> None:
    """Usual ones are shown unless refused, the other kinds when asked for; the counters still count all."""
    project, _ = some_tasks(api)
    found = content(api, project, annotation_filter_options=options)
    assert [len(task["annotations"]) for task in found] == shown
    assert [task["total_annotations"] for task in found] == [1, 0, 0, 1]


def test_predictions_and_authors_come_in_full_when_asked_for(api: TestClient) -> None:
    """`only_id` false replaces ids by objects, and such a file imports with its predictions."""
    project, _ = some_tasks(api)
    whole = {"only_id": False}
    found = content(api, project, serialization_options={"predictions": whole, "annotations__completed_by": whole})
    assert found[0]["annotations"][0]["completed_by"]["email"] == "admin@example.org"
    assert (found[1]["predictions"][0]["model_version"], found[1]["predictions"][0]["score"]) == ("m", 0.5)
    assert imported(api, make_project(api), found)["prediction_count"] == 1


def test_what_cannot_be_done_is_refused(api: TestClient) -> None:
    """Unknown words and formats are invalid, unknown snapshots and views absent."""
    project, _ = some_tasks(api)
    path = f"/api/projects/{project}/exports/"
    other = ok(api.post("/api/dm/views/", json={"project": make_project(api), "data": {}}))["id"]
    for view in (other, other + 1):
        answer = api.post(path, json={"task_filter_options": {"view": view}})
        assert (answer.status_code, answer.json()["detail"]) == (404, "No View matches the given query.")
    errors_of(api.post(path, json={"task_filter_options": {"skipped": "sometimes"}}))
    number = made(api, project)["id"]
    errors_of(api.post(f"{path}{number}/convert", json={"export_type": "NOPE"}))
    errors_of(api.post(f"{path}{number}/convert", json={"export_type": "YOLO"}), 501)
    errors_of(api.get(f"{path}{number + 1}"), 404)
    assert api.get(f"{path}{number + 1}").json()["detail"] == "No Export matches the given query."
    assert api.get(f"/api/projects/{make_project(api)}/exports/{number}").status_code == 404


def view_of(api: TestClient, project: int, operator: str, value: str) -> int:
    """The id of a view of the tasks whose text satisfies an operator."""
    item = {"filter": "filter:tasks:data.text", "operator": operator, "type": "String", "value": value}
    data = {"title": "V", "filters": {"conjunction": "and", "items": [item]}}
    return int(ok(api.post("/api/dm/views/", json={"project": project, "data": data}))["id"])


@pytest.mark.parametrize(("operator", "value", "texts"), [("not_contains", "b", "acd"), ("regex", "^[ac]$", "ac")])
def test_a_snapshot_of_a_view(both: TestClient, operator: str, value: str, texts: str) -> None:
    """It holds what the view shows, counted, and the other options apply beside; conversions show the same."""
    project, _ = some_tasks(both)
    options = {"view": view_of(both, project, operator, value)}
    snapshot = made(both, project, task_filter_options=options)
    assert [task["data"]["text"] for task in download(both, project, snapshot["id"]).json()] == list(texts)
    assert snapshot["counters"] == {"task_number": len(texts)}
    ok(both.post(f"/api/projects/{project}/exports/{snapshot['id']}/convert", json={"export_type": "CSV"}))
    completed(both, project, snapshot["id"])
    rows = download(both, project, snapshot["id"], "CSV").text.splitlines()[1:]
    assert len(rows) == len(texts.replace("c", ""))  # a table has no row for a task that was only skipped
    skipped = content(both, project, task_filter_options={**options, "skipped": "only"})
    assert [task["data"]["text"] for task in skipped] == ["c"]


def test_a_snapshot_whose_view_was_deleted_fails(store: Store, tmp_path: Path) -> None:
    """The reason is told, and nothing is in it."""
    who, dataset, _ = begin(store)

    def viewed(tx: Tx) -> tuple[int, Snapshot]:
        view = task_views.create(tx, who, dataset.id, {})
        options = {"task_filter_options": {"view": view.id}}
        return view.id, snapshots.create(tx, who, dataset.id, title="", options=options)

    view_id, snapshot = store.write(viewed)
    store.write(lambda tx: task_views.delete(tx, who, view_id))
    with pytest.raises(NotFound, match="view"):
        export_job.run(claim(store, snapshot), context(store, tmp_path))


def test_a_deleted_snapshot_is_gone(api: TestClient) -> None:
    """204, then 404 for itself and its file; with its project all of them go."""
    project, _ = some_tasks(api)
    numbers = [made(api, project)["id"] for _ in range(2)]
    assert api.delete(f"/api/projects/{project}/exports/{numbers[0]}").status_code == 204
    assert download(api, project, numbers[0]).status_code == 404
    assert [item["id"] for item in ok(api.get(f"/api/projects/{project}/exports"))] == numbers[1:]
    assert api.delete(f"/api/projects/{project}/").status_code == 204
    assert download(api, project, numbers[1]).status_code == 404


def test_only_who_may_export_sees_snapshots(api: TestClient, person: Callable[..., TestClient]) -> None:
    """Every one of the endpoints asks for the right to export."""
    project, _ = some_tasks(api)
    number = made(api, project)["id"]
    reader = person("annotator", default=["annotator"])
    path = f"/api/projects/{project}/exports"
    answers = [
        reader.get(path),
        reader.post(path, json={}),
        reader.get(f"{path}/{number}"),
        reader.delete(f"{path}/{number}"),
        reader.post(f"{path}/{number}/convert", json={"export_type": "CSV"}),
        download(reader, project, number),
    ]
    assert [answer.status_code for answer in answers] == [403] * 6


def test_one_key_makes_one_snapshot(api: TestClient) -> None:
    """A POST that is repeated under its key gives the same snapshot again."""
    project, _ = some_tasks(api)
    headers = {"Idempotency-Key": "s"}
    numbers = [ok(api.post(f"/api/projects/{project}/exports", json={}, headers=headers))["id"] for _ in range(2)]
    assert (numbers[0], len(ok(api.get(f"/api/projects/{project}/exports")))) == (numbers[1], 1)


def begin(store: Store) -> tuple[Principal, Dataset, Snapshot]:
    """A project of three tasks with a snapshot that nobody has filled yet."""

    def make(tx: Tx) -> tuple[Principal, Dataset, Snapshot]:
        user = tx.users.insert(username="admin", email="admin@example.org", global_permissions=("root",))
        tx.projects.insert(name="default", title="", description="")
        who = Principal(user_id=user.id, username=user.username, email=user.email, is_admin=True)
        dataset = tasks.create_project(tx, who, title="Reviews", config_xml=CONFIG)
        rows = [NewRecord(None, "task", f'{{"text":"t{number}"}}', None, 0) for number in range(3)]
        tx.records.insert(dataset.own_source_id or 0, rows)
        return who, dataset, snapshots.create(tx, who, dataset.id, title="", options={})

    return store.write(make)


def claim(store: Store, snapshot: Snapshot) -> Job:
    """The job of a snapshot's JSON file, taken for one more attempt."""
    job = store.write(lambda tx: tx.jobs.claim("test", job_id=snapshot.content.job_id))
    assert job is not None
    return job


def context(store: Store, folder: Path) -> JobContext:
    """What the job needs, without a worker around it."""
    return JobContext(store=store, scratch=folder, pool=ChildPool(), learner=Learner())


def pieces(store: Store, file_id: int) -> bytes:
    """A file as it is stored."""
    found, at = b"", 0
    while piece := store.read(lambda tx, at=at: tx.snapshots.piece(file_id, at)):  # type: ignore[misc]
        found, at = found + piece, at + 1
    return found


def test_a_new_attempt_begins_the_file_again(store: Store, tmp_path: Path) -> None:
    """What a crashed attempt left is dropped, and the overtaken attempt can write no more."""
    _, dataset, snapshot = begin(store)
    crashed = claim(store, snapshot)
    store.write(lambda tx: snapshots.keep(tx, crashed, snapshot.content, 0, b"half"))
    job = store.write(lambda tx: tx.jobs.reclaim()) and claim(store, snapshot)
    assert job
    export_job.run(job, context(store, tmp_path))
    found = store.read(lambda tx: tx.snapshots.get(snapshot.id, dataset.id))
    assert found is not None
    assert (found.content.state, found.task_count) == (SnapshotState.COMPLETED, 3)
    assert found.content.size == len(pieces(store, found.content.id))
    with pytest.raises(LostLease):
        store.write(lambda tx: snapshots.keep(tx, crashed, snapshot.content, 9, b"late"))


def test_a_job_without_its_snapshot_ends(store: Store, tmp_path: Path) -> None:
    """A snapshot deleted before its turn leaves nothing to do, and the job says why."""
    who, dataset, snapshot = begin(store)
    job = claim(store, snapshot)
    store.write(lambda tx: snapshots.delete(tx, who, dataset.id, snapshot.id))
    export_job.run(job, context(store, tmp_path))
    ended = store.read(lambda tx: tx.jobs.get(job.id))
    assert ended is not None
    assert (ended.state, ended.error) == (JobState.FAILED, "the snapshot was deleted")


def test_a_failed_conversion_is_told_and_can_be_repeated(store: Store, tmp_path: Path) -> None:
    """The reason stands in the file, the file is not offered, and asking again makes a new attempt."""
    who, dataset, snapshot = begin(store)
    export_job.run(claim(store, snapshot), context(store, tmp_path))
    file = store.write(lambda tx: snapshots.convert(tx, who, dataset.id, snapshot.id, ExportFormat.CSV))
    job = store.write(lambda tx: tx.jobs.claim("test", job_id=file.job_id))
    assert job is not None
    export_job.failed(job, context(store, tmp_path), "no luck")
    told = store.read(lambda tx: tx.snapshots.file(file.id))
    assert told is not None
    assert (told.state, told.error) == (SnapshotState.FAILED, "no luck")
    again = store.write(lambda tx: snapshots.convert(tx, who, dataset.id, snapshot.id, ExportFormat.CSV))
    assert (again.id, again.state, again.job_id != file.job_id) == (file.id, SnapshotState.CREATED, True)


def test_snapshots_are_bounded(store: Store) -> None:
    """A project keeps a limited number; the next one is refused with the reason."""
    who, dataset, _ = begin(store)

    def fill(tx: Tx) -> None:
        for _ in range(MAX_SNAPSHOTS - 1):
            snapshots.create(tx, who, dataset.id, title="", options={})

    store.write(fill)
    with pytest.raises(snapshots.Unacceptable, match="at most"):
        store.write(lambda tx: snapshots.create(tx, who, dataset.id, title="", options={}))
