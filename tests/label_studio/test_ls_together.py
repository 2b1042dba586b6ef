"""What several parts of the dialect have to agree upon: drafts, predictions, leases, uploads, keys, rights."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from label_studio_api import choice, import_path, imported, make_project
from starlette.testclient import TestClient

from conftest import client_of, ok
from everything import rows, send, targets
from headrace.app import Application

Person = Callable[..., TestClient]
KEPT = {"events", "jobs", "idempotency_keys", "clock", "counters", "sqlite_sequence"}


def full_task(api: TestClient, project: int) -> int:
    """The id of a task with an annotation, a pushed prediction, and a draft of the caller's."""
    item = {
        "data": {"text": "a"},
        "annotations": [{"result": choice("Positive"), "ground_truth": False}],
        "predictions": [{"result": choice("Negative"), "model_version": "m", "score": 0.25}],
    }
    (task,) = imported(api, project, [item])["task_ids"]
    ok(api.post(f"/api/tasks/{task}/drafts", json={"result": choice("Negative")}))
    return int(task)


def said(task: dict[str, Any]) -> tuple[Any, ...]:
    """What an answer shows of a task, comparable between lists and exports."""
    drafts, annotations = task["drafts"], task["annotations"]
    return (
        [item["id"] for item in drafts],
        [(item["id"], item["result"], item["completed_by"]) for item in annotations],
        [item if isinstance(item, int) else item["id"] for item in task["predictions"]],
        (task["total_annotations"], task["total_predictions"], task["meta"], task["data"]),
    )


def test_lists_exports_and_the_next_task_agree(api: TestClient, person: Person) -> None:
    """The same drafts, annotations and predictions are in each; of another's drafts nothing is, anywhere."""
    project = make_project(api, maximum_annotations=3)
    author = person("author", default=["annotator"])
    task = full_task(api, project)
    ok(author.post(f"/api/tasks/{task}/drafts", json={"result": []}))
    (listed,) = ok(api.get(f"/api/tasks/?project={project}&fields=all"))["tasks"]
    (exported,) = ok(api.get(f"/api/projects/{project}/export?download_all_tasks=true"))
    offered = ok(author.get(f"/api/projects/{project}/next/"))
    assert said(listed) == said(exported)
    assert (len(listed["drafts"]), len(offered["drafts"])) == (1, 1)
    assert listed["drafts"][0]["id"] != offered["drafts"][0]["id"]
    assert [item["id"] for item in offered["predictions"]] == [item["id"] for item in listed["predictions"]]
    (short,) = ok(api.get(f"/api/tasks/?project={project}"))["tasks"]
    assert short["drafts"] == listed["drafts"]
    assert "annotations" not in short


def test_what_is_deleted_leaves_no_rows(application: Application, api: TestClient) -> None:
    """Drafts, leases, predictions, uploads, views, snapshots and webhooks go with their task or their project."""
    make_project(api)
    before = rows(application)
    project = make_project(api, maximum_annotations=2)
    for _ in range(2):
        full_task(api, project)
    ok(api.post(import_path(project), files={"file": ("a.csv", "text\na\n")}))
    ok(api.get(f"/api/projects/{project}/next/"))
    view = ok(api.post("/api/dm/views/", json={"project": project, "data": {}}))["id"]
    ok(api.post(f"/api/projects/{project}/exports/", json={"task_filter_options": {"view": view}}))
    (first, *_) = ok(api.get(f"/api/tasks/?project={project}&include=id"))["tasks"]
    assert api.delete(f"/api/tasks/{first['id']}/").status_code == 204
    assert api.delete(f"/api/projects/{project}/").status_code == 204
    after = rows(application)
    left = {name: found for name, found in after.items() if len(found) != len(before[name]) and name not in KEPT}
    assert left == {}


def test_a_changed_task_is_offered_as_it_is_now(api: TestClient) -> None:
    """An upsert keeps the task's id, its annotations and its lease; the next task shows the new data."""
    project = make_project(api)
    sent = [{"data": {"text": "old"}, "external_id": "k"}, {"data": {"text": "other"}, "external_id": "l"}]
    first, _ = imported(api, project, sent)["task_ids"]
    assert ok(api.get(f"/api/projects/{project}/next/"))["id"] == first
    again = imported(api, project, [{"data": {"text": "new"}, "external_id": "k"}])
    assert (again["task_ids"], again["updated_task_count"]) == ([first], 1)
    offered = ok(api.get(f"/api/projects/{project}/next/"))
    assert (offered["id"], offered["data"]) == (first, {"text": "new"})
    ok(api.post(f"/api/tasks/{first}/annotations/", json={"result": choice("Positive")}))
    imported(api, project, [{"data": {"text": "newest"}, "external_id": "k"}])
    assert ok(api.get(f"/api/projects/{project}/next/"))["data"] == {"text": "other"}
    assert ok(api.get(f"/api/tasks/{first}/"))["total_annotations"] == 1


def test_ten_people_at_once_do_every_task_once(both: TestClient, either: Application) -> None:
    """Ten annotators who fetch and answer at the same time do all tasks, none twice."""
    project = make_project(both)
    wanted = imported(both, project, [{"text": f"t{number}"} for number in range(30)])["task_ids"]
    people = [made(both, either, f"p{number}") for number in range(10)]

    def work(api: TestClient) -> list[int]:
        done = []
        while (answer := api.get(f"/api/projects/{project}/next/")).status_code == 200:
            task = answer.json()["id"]
            ok(api.post(f"/api/tasks/{task}/annotations/", json={"result": choice("Positive")}))
            done.append(task)
        return done

    with ThreadPoolExecutor(10) as pool:
        done = [task for found in pool.map(work, people) for task in found]
    assert sorted(done) == wanted
    assert ok(both.get(f"/api/projects/{project}/"))["finished_task_number"] == 30


def made(api: TestClient, application: Application, name: str) -> TestClient:
    """A client of a new annotator."""
    body = {"username": name, "email": f"{name}@example.org", "organisation_permissions": {"default": ["annotator"]}}
    user = ok(api.put("/api/_private/users", json={"user": body}))["user"]
    return client_of(application, ok(api.post(f"/api/_private/users/{user['id']}/tokens"))["token"])


def test_a_neighbour_reaches_nothing(application: Application, api: TestClient, person: Person) -> None:
    """Whoever holds all rights elsewhere meets 404, or is refused, at every path that names what is not theirs."""
    ok(api.put("/api/_private/projects/elsewhere", json={"project": {}}))
    neighbour = person("neighbour", elsewhere=["admin"])
    project = make_project(api)
    task = full_task(api, project)
    view = ok(api.post("/api/dm/views/", json={"project": project, "data": {}}))["id"]
    snapshot = ok(api.post(f"/api/projects/{project}/exports/", json={}))["id"]
    ids = {"project": project, "task": task, "view": view, "export": snapshot, "annotation": 1, "prediction": 1}
    values = {name: str(number) for name, number in ids.items()} | {"draft": "1", "import": "1", "user": "1"}
    before = rows(application)
    for target in targets("label_studio"):
        if "{" in target.path and "{organization}" not in target.path:
            for body in ({}, {"project": project, "ids": [view], "data": {}, "result": [], "label_config": "<View/>"}):
                answer = send(neighbour, target, values, body if target.method != "GET" else None)
                assert answer.status_code in (400, 403, 404, 501), f"{target}: {answer.status_code} {answer.text[:200]}"
    assert {**rows(application), "events": []} == {**before, "events": []}
