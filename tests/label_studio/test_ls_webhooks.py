"""Webhooks over the wire: setting them up, and what they are sent."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from label_studio_api import choice, errors_of, imported, make_project
from starlette.testclient import TestClient

from building import eventually
from conftest import ok, settings_in
from headrace.settings import Settings
from listener import Listener, Received, Reply, listening

TASK_KEYS = {
    "id",
    "data",
    "meta",
    "created_at",
    "updated_at",
    "is_labeled",
    "allow_skip",
    "overlap",
    "inner_id",
    "total_annotations",
    "cancelled_annotations",
    "total_predictions",
    "precomputed_agreement",
    "comment_count",
    "unresolved_comment_count",
    "last_comment_updated_at",
    "project",
    "updated_by",
    "file_upload",
    "comment_authors",
}
ANNOTATION_KEYS = {
    "id",
    "result",
    "was_cancelled",
    "ground_truth",
    "created_at",
    "updated_at",
    "draft_created_at",
    "lead_time",
    "prediction",
    "result_count",
    "unique_id",
    "import_id",
    "last_action",
    "bulk_created",
    "task",
    "project",
    "completed_by",
    "updated_by",
    "parent_prediction",
    "parent_annotation",
    "last_created_by",
}
NAMED = ("PROJECT_UPDATED", "TASKS_CREATED", "TASKS_DELETED", "ANNOTATION_CREATED", "ANNOTATION_UPDATED")
COMPLETIONS = ("TASK_COMPLETED", "PROJECT_COMPLETED")


@pytest.fixture
def settings(tmp_path: Path, migrated_sqlite: Path) -> Settings:
    """Settings of a server whose webhooks may reach this machine under its address."""
    return replace(settings_in(tmp_path / "data", migrated_sqlite), allowed_hosts="127.0.0.1")


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Where webhooks point to."""
    with listening() as found:
        yield found


def hook(api: TestClient, listener: Listener, **fields: Any) -> dict[str, Any]:
    """A new webhook."""
    return dict(ok(api.post("/api/webhooks/", json={"url": listener.url, **fields})))


def body_of(received: Received) -> dict[str, Any]:
    """The JSON that was sent."""
    return dict(json.loads(received.body))


def bodies(listener: Listener, count: int) -> list[dict[str, Any]]:
    """The next messages."""
    return [body_of(listener.next()) for _ in range(count)]


def make_task(api: TestClient, project: int, text: str = "good") -> int:
    """The id of a new task."""
    return int(ok(api.post("/api/tasks/", json={"project": project, "data": {"text": text}}))["id"])


def annotate(api: TestClient, task: int, **fields: Any) -> int:
    """The id of a new annotation."""
    body = {"result": choice("Positive"), **fields}
    return int(ok(api.post(f"/api/tasks/{task}/annotations/", json=body))["id"])


def test_a_webhook_is_kept_as_it_was_made(api: TestClient, listener: Listener) -> None:
    """Create, read, change, list and delete answer in the recorded shapes; the secret is shown once."""
    project = make_project(api)
    made = hook(api, listener, project=project, headers={"X-A": "b"})
    secret = made.pop("secret")
    assert made == {
        "id": made["id"],
        "organization": 1,
        "project": project,
        "url": listener.url,
        "send_payload": True,
        "send_for_all_actions": True,
        "headers": {"X-A": "b"},
        "is_active": True,
        "actions": [],
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    path = f"/api/webhooks/{made['id']}/"
    changed = ok(api.patch(path, json={"send_for_all_actions": False, "actions": list(NAMED)}))
    assert (changed["actions"], changed["send_for_all_actions"]) == (list(NAMED), False)
    assert ok(api.get(path)) == changed
    assert ok(api.get("/api/webhooks/", params={"project": project})) == [changed]
    assert ok(api.get("/api/webhooks/", params={"project": project + 1})) == []
    assert ok(api.post(f"{path}secret/"))["secret"] != secret
    assert api.delete(path).status_code == 204
    assert api.get(path).json()["detail"] == "No Webhook matches the given query."


def test_the_actions_are_told(api: TestClient) -> None:
    """All of Label Studio's actions with their names and keys, then our own; filtered when asked."""
    info = ok(api.get("/api/webhooks/info/"))
    assert list(info)[:4] == ["PROJECT_CREATED", "PROJECT_UPDATED", "PROJECT_DELETED", "TASKS_CREATED"]
    assert info["ANNOTATIONS_DELETED"] == {
        "name": "Annotation deleted",
        "description": "",
        "key": "annotations",
        "organization-only": False,
    }
    assert list(info)[-2:] == list(COMPLETIONS)
    only = ok(api.get("/api/webhooks/info/", params={"organization-only": "true"}))
    assert set(only) == {"PROJECT_CREATED", "PROJECT_DELETED"}


def test_predictions_are_told(api: TestClient, listener: Listener) -> None:
    """Pushed ones in full, a changed one with its task, deleted ones by their ids."""
    project = make_project(api)
    task = imported(api, project, [{"text": "a"}])["task_ids"][0]
    names = ["PREDICTIONS_CREATED", "PREDICTION_UPDATED", "PREDICTIONS_DELETED"]
    hook(api, listener, project=project, send_for_all_actions=False, actions=names)
    items = [{"task": task, "result": [], "model_version": version} for version in ("a", "b")]
    ok(api.post(f"/api/projects/{project}/import/predictions", json=items))
    made = bodies(listener, 1)[0]
    assert [item["model_version"] for item in made["predictions"]] == ["a", "b"]
    number = made["predictions"][0]["id"]
    ok(api.patch(f"/api/predictions/{number}/", json={"score": 0.5}))
    changed = bodies(listener, 1)[0]
    assert (changed["action"], changed["prediction"]["score"], changed["task"]["id"]) == (names[1], 0.5, task)
    assert api.delete(f"/api/predictions/{number}/").status_code == 204
    assert bodies(listener, 1)[0]["predictions"] == [{"id": number}]


def test_private_addresses_are_refused_at_creation(api: TestClient, listener: Listener) -> None:
    """403 as Label Studio words it, also when the address is changed later; the allowed host passes."""
    made = hook(api, listener)
    for answer in (
        api.post("/api/webhooks/", json={"url": "http://localhost:9/hook"}),
        api.patch(f"/api/webhooks/{made['id']}/", json={"url": "http://[::1]:9/hook"}),
    ):
        assert answer.status_code == 403
        assert answer.json()["detail"].startswith("URL resolves to a reserved network address (block: ")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"url": "nonsense"}, "url"),
        ({"url": "http://nowhere.invalid/"}, "url"),
        ({"url": "ftp://example.org/"}, "url"),
        ({"url": None}, "url"),
        ({"project": 999}, "project"),
        ({"actions": ["TASKS_EATEN"]}, "actions"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers"),
        ({"headers": {"X A": "a"}}, "headers"),
    ],
)
def test_bad_webhooks_are_refused(api: TestClient, listener: Listener, fields: dict[str, Any], named: str) -> None:
    """400 that names the field."""
    answer = api.post("/api/webhooks/", json={"url": listener.url, **fields})
    assert list(errors_of(answer)) == [named]
    assert ok(api.get("/api/webhooks/")) == []


def test_a_project_webhook_has_no_actions_of_the_server(api: TestClient, listener: Listener) -> None:
    """A project cannot be told of its own creation."""
    body = {"url": listener.url, "project": make_project(api), "actions": ["PROJECT_CREATED"]}
    assert list(errors_of(api.post("/api/webhooks/", json=body))) == ["actions"]


def test_rights_are_those_of_the_project(
    api: TestClient, person: Callable[..., TestClient], listener: Listener
) -> None:
    """Webhooks need Datasets admin; others see none of them, and only an admin has one for the whole server."""
    project = make_project(api)
    of_project, of_all = hook(api, listener, project=project), hook(api, listener)
    ok(api.put("/api/_private/projects/other", json={"project": {}}))
    manager = person("manager", default=["datasets-admin", "sources-read"])
    developer, stranger = person("developer", default=["developer"]), person("stranger", other=["admin"])
    assert [known["id"] for known in ok(manager.get("/api/webhooks/"))] == [of_project["id"]]
    assert (ok(developer.get("/api/webhooks/")), ok(stranger.get("/api/webhooks/"))) == ([], [])
    body = {"url": listener.url, "project": project}
    path = f"/api/webhooks/{of_project['id']}/"
    for client, status in ((manager, 200), (developer, 403), (stranger, 404)):
        assert client.get(path).status_code == status
        assert client.patch(path, json={"is_active": False}).status_code == status
        assert client.get(f"/api/webhooks/{of_all['id']}/").status_code == 404
        assert client.post("/api/webhooks/", json={"url": listener.url}).status_code == 403
    assert [client.post("/api/webhooks/", json=body).status_code for client in (manager, developer, stranger)] == [
        201,
        403,
        400,
    ]


def test_work_is_told_in_order_and_in_the_recorded_shapes(api: TestClient, listener: Listener) -> None:
    """Each change comes once, with task, annotation and project in full."""
    project = make_project(api)
    made = hook(api, listener, project=project, send_for_all_actions=False, actions=[*NAMED, "ANNOTATIONS_DELETED"])
    tasks = imported(api, project, [{"text": "one"}, {"text": "two"}])["task_ids"]
    annotation = annotate(api, tasks[0])
    ok(api.patch(f"/api/annotations/{annotation}/", json={"result": choice("Negative")}))
    assert api.delete(f"/api/annotations/{annotation}/").status_code == 204
    assert api.delete(f"/api/tasks/{tasks[1]}/").status_code == 204
    ok(api.patch(f"/api/projects/{project}/", json={"title": "Changed"}))
    came = bodies(listener, 6)
    assert [body["action"] for body in came] == [
        "TASKS_CREATED",
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATIONS_DELETED",
        "TASKS_DELETED",
        "PROJECT_UPDATED",
    ]
    assert [task["id"] for task in came[0]["tasks"]] == tasks
    assert {body["project"]["id"] for body in came} == {project}
    assert came[3]["annotations"] == [{"id": annotation}]
    assert came[4]["tasks"] == [{"id": tasks[1]}]
    assert came[5]["project"]["title"] == "Changed"
    attempts = ok(api.get(f"/api/webhooks/{made['id']}/attempts/"))
    assert [attempt["status"] for attempt in attempts[-5:]] == [200] * 5


def test_an_annotation_is_told_in_full(api: TestClient, listener: Listener) -> None:
    """Its keys and its task's are the recorded ones."""
    project = make_project(api)
    task = make_task(api, project)
    hook(api, listener, project=project, send_for_all_actions=False, actions=["ANNOTATION_CREATED"])
    annotation = annotate(api, task, lead_time=2.0)
    body = body_of(listener.next())
    assert list(body) == ["action", "annotation", "project", "task"]
    assert set(body["annotation"]) == ANNOTATION_KEYS
    assert set(body["task"]) == TASK_KEYS
    told = body["annotation"]
    assert (told["id"], told["result"], told["result_count"], told["task"]) == (annotation, choice("Positive"), 1, task)
    assert (body["task"]["data"], body["task"]["is_labeled"], body["task"]["total_annotations"]) == (
        {"text": "good"},
        True,
        1,
    )


def test_every_message_is_signed(api: TestClient, listener: Listener) -> None:
    """Both signatures verify with the secret over what was sent, as the documentation says."""
    project = make_project(api)
    made = hook(api, listener, project=project, headers={"X-A": "b"}, send_payload=False)
    make_task(api, project)
    received = listener.next()
    key = base64.b64decode(made["secret"].removeprefix("whsec_"))
    headers = {name.lower(): value for name, value in received.headers.items()}
    stamped = headers["webhook-timestamp"].encode() + b"." + received.body
    plain = "sha256=" + hmac.new(key, stamped, hashlib.sha256).hexdigest()
    standard = hmac.new(key, headers["webhook-id"].encode() + b"." + stamped, hashlib.sha256).digest()
    assert headers["x-headrace-signature"] == plain
    assert headers["webhook-signature"] == "v1," + base64.b64encode(standard).decode()
    assert (headers["x-a"], headers["content-type"]) == ("b", "application/json")
    assert received.body == b'{"action":"TASKS_CREATED"}'


def test_completion_is_told_once(api: TestClient, person: Callable[..., TestClient], listener: Listener) -> None:
    """A task is complete when enough different people have annotated it, a project with its last task."""
    project = make_project(api, maximum_annotations=2)
    first, second = make_task(api, project, "one"), make_task(api, project, "two")
    hook(api, listener, project=project, send_for_all_actions=False, actions=list(COMPLETIONS))
    other = person("other", default=["annotator"])
    annotate(api, first)
    annotate(api, first)
    annotate(other, first, was_cancelled=True)
    annotate(other, first)
    annotate(other, second)
    skipped = annotate(api, second, was_cancelled=True)
    ok(api.patch(f"/api/annotations/{skipped}/", json={"was_cancelled": False}))
    annotate(other, second)
    came = bodies(listener, 3)
    told = [(body["action"], body.get("task", {}).get("id"), body["project"]["id"]) for body in came]
    assert told == [
        ("TASK_COMPLETED", first, project),
        ("TASK_COMPLETED", second, project),
        ("PROJECT_COMPLETED", None, project),
    ]
    hook(api, listener, project=project, send_for_all_actions=False, actions=["PROJECT_UPDATED"])
    ok(api.patch(f"/api/projects/{project}/", json={"title": "Over"}))
    assert body_of(listener.next())["action"] == "PROJECT_UPDATED"


def test_the_servers_webhooks_are_told_of_projects(api: TestClient, listener: Listener) -> None:
    """A webhook without a project hears of every project, of its creation and of its end by the id alone."""
    hook(api, listener, send_for_all_actions=False, actions=["PROJECT_CREATED", "PROJECT_DELETED", "TASKS_CREATED"])
    project = make_project(api)
    created = body_of(listener.next())
    make_task(api, project)
    tasks = body_of(listener.next())
    assert api.delete(f"/api/projects/{project}/").status_code == 204
    assert (created["action"], created["project"]["id"]) == ("PROJECT_CREATED", project)
    assert (tasks["action"], tasks["project"]["id"]) == ("TASKS_CREATED", project)
    assert body_of(listener.next()) == {"action": "PROJECT_DELETED", "project": {"id": project}}


def test_what_comes_in_as_comments_is_told_as_tasks(api: TestClient, listener: Listener) -> None:
    """Records written to a project's source through the other API are its tasks."""
    project = make_project(api)
    hook(api, listener, project=project, send_for_all_actions=False, actions=["TASKS_CREATED", "TASKS_DELETED"])
    comment = {"id": "a", "timestamp": "2026-01-01T00:00:00Z", "messages": [{"body": {"text": "hello"}}]}
    ok(api.post("/api/v1/sources/default/reviews/sync", json={"comments": [comment]}))
    ok(api.delete("/api/v1/sources/default/reviews/comments", params={"id": "a"}))
    created, deleted = bodies(listener, 2)
    assert (created["action"], deleted["action"]) == ("TASKS_CREATED", "TASKS_DELETED")
    assert [task["id"] for task in created["tasks"]] == [task["id"] for task in deleted["tasks"]]


def test_an_inactive_webhook_is_silent_and_remembers(api: TestClient, listener: Listener) -> None:
    """What happened while it was switched off is told once it is switched on."""
    project = make_project(api)
    made = hook(api, listener, project=project, is_active=False, send_for_all_actions=False, actions=["TASKS_CREATED"])
    task = make_task(api, project)
    ok(api.patch(f"/api/webhooks/{made['id']}/", json={"is_active": True}))
    assert [row["id"] for row in body_of(listener.next())["tasks"]] == [task]


def test_replay_sends_again_from_a_time_or_an_event(api: TestClient, listener: Listener) -> None:
    """From a cursor of the attempt log, that event and all that follow; from a time, everything since."""
    project = make_project(api)
    made = hook(api, listener, project=project, send_for_all_actions=False, actions=["TASKS_CREATED"])
    path = f"/api/webhooks/{made['id']}/"
    tasks = [make_task(api, project, text) for text in ("one", "two", "three")]
    assert [body["tasks"][0]["id"] for body in bodies(listener, 3)] == tasks
    attempts = eventually(lambda: ok(api.get(f"{path}attempts/")), lambda found: len(found) == 3)
    for start, wanted in ((attempts[1]["cursor"], tasks[1:]), ("2020-01-01T00:00:00Z", tasks)):
        assert api.post(f"{path}replay/", json={"from": start}).status_code == 202
        assert [body["tasks"][0]["id"] for body in bodies(listener, len(wanted))] == wanted
    for bad in ("soon", "AAAA", 5):
        assert api.post(f"{path}replay/", json={"from": bad}).status_code == 400


def test_who_loses_the_right_loses_the_webhook(
    api: TestClient, person: Callable[..., TestClient], listener: Listener
) -> None:
    """A webhook acts for who set it; without their right it is switched off before anything is sent."""
    project = make_project(api)
    manager = person("manager", default=["datasets-admin", "sources-read"])
    made = hook(manager, listener, project=project)
    user = next(user for user in ok(api.get("/api/_private/users"))["users"] if user["username"] == "manager")
    body = {"user": {"organisation_permissions": {"default": []}}}
    ok(api.post(f"/api/_private/users/{user['id']}", json=body))
    make_task(api, project)
    path = f"/api/webhooks/{made['id']}/"
    eventually(lambda: ok(api.get(path))["is_active"], lambda active: not active)
    assert listener.connections == 0


def test_a_failure_is_told_and_does_not_stop_the_server(api: TestClient, listener: Listener) -> None:
    """The attempt log says what was answered; nothing of the answer's body is kept."""
    project = make_project(api)
    listener.answer = lambda _: Reply(500, body=b"canary")
    path = f"/api/webhooks/{hook(api, listener, project=project)['id']}/"
    make_task(api, project)
    listener.next()
    found = eventually(lambda: ok(api.get(f"{path}attempts/")), bool)
    assert (found[0]["status"], found[0]["error"], found[0]["attempt"]) == (500, "answered with 500", 1)
    assert "canary" not in api.get(f"{path}attempts/").text


def test_a_webhook_goes_with_its_project(api: TestClient, listener: Listener) -> None:
    """Deleting the project deletes its webhooks."""
    project = make_project(api)
    made = hook(api, listener, project=project)
    assert api.delete(f"/api/projects/{project}/").status_code == 204
    assert api.get(f"/api/webhooks/{made['id']}/").status_code == 404
