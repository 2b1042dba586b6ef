"""Drafts: kept for their author alone, until they become an annotation."""

from collections.abc import Callable
from typing import Any

import pytest
from label_studio_api import choice, errors_of, make_project
from starlette.testclient import TestClient

from conftest import ok

pytestmark = pytest.mark.server("shared")

Person = Callable[..., TestClient]
ANNOTATOR = {"default": ["annotator"]}
KEYS = {
    "id",
    "user",
    "created_username",
    "created_ago",
    "result",
    "lead_time",
    "was_postponed",
    "import_id",
    "created_at",
    "updated_at",
    "task",
    "annotation",
}


def new_task(api: TestClient, project: int) -> int:
    """The id of a new task."""
    return int(ok(api.post("/api/tasks/", json={"project": project, "data": {"text": "t"}}))["id"])


@pytest.fixture
def task(api: TestClient) -> int:
    """A task in a project of its own."""
    return new_task(api, make_project(api))


def draft(api: TestClient, task: int, **fields: Any) -> Any:
    """Begin a draft."""
    return ok(api.post(f"/api/tasks/{task}/drafts", json={"result": choice("Negative"), "lead_time": 1.5, **fields}))


def test_draft_is_kept_as_it_was_sent(api: TestClient, task: int) -> None:
    """A draft has the object of the original, is read back alike, listed, shown in its task, changed and deleted."""
    made = draft(api, task)
    assert set(made) == KEYS
    assert (made["user"], made["result"], made["annotation"]) == ("admin@example.org", choice("Negative"), None)
    assert ok(api.get(f"/api/drafts/{made['id']}/")) == made
    shown = ok(api.get(f"/api/tasks/{task}/"))
    assert (shown["drafts"], shown["draft_exists"]) == ([made], True)
    changed = ok(api.patch(f"/api/drafts/{made['id']}/", json={"result": []}))
    assert (changed["result"], changed["lead_time"]) == ([], 1.5)
    assert api.delete(f"/api/drafts/{made['id']}/").status_code == 204
    assert ok(api.get(f"/api/tasks/{task}/drafts")) == []


def test_draft_of_an_annotation_is_listed_with_it(api: TestClient, task: int) -> None:
    """A draft of a change names its annotation and goes with it."""
    annotation = ok(api.post(f"/api/tasks/{task}/annotations/", json={"result": choice("Positive")}))["id"]
    path = f"/api/tasks/{task}/annotations/{annotation}/drafts"
    made = ok(api.post(path, json={"result": []}))
    draft(api, task)
    assert made["annotation"] == annotation
    assert ok(api.get(path)) == [made]
    api.delete(f"/api/annotations/{annotation}/")
    assert api.get(f"/api/drafts/{made['id']}/").status_code == 404


def test_drafts_of_others_do_not_exist(api: TestClient, person: Person, task: int) -> None:
    """Another person, even an administrator, neither sees nor changes a draft."""
    ann = person("ann", **ANNOTATOR)
    made = draft(ann, task)
    one = f"/api/drafts/{made['id']}/"
    for answer in (api.get(one), api.patch(one, json={"result": []}), api.delete(one)):
        assert answer.json()["detail"] == "No AnnotationDraft matches the given query."
    assert ok(api.get(f"/api/tasks/{task}/"))["drafts"] == []
    assert ok(ann.get(one)) == made


def test_annotation_takes_its_draft_over(api: TestClient, task: int) -> None:
    """Annotating with a draft's id removes the draft and keeps when it was begun."""
    made = draft(api, task)
    body = {"result": choice("Positive"), "draft_id": made["id"]}
    annotation = ok(api.post(f"/api/tasks/{task}/annotations/", json=body))
    assert annotation["draft_created_at"] == made["created_at"]
    assert ok(api.get(f"/api/tasks/{task}/drafts")) == []
    changed = ok(api.patch(f"/api/annotations/{annotation['id']}/", json={"lead_time": 2.0}))
    assert changed["draft_created_at"] == made["created_at"]


def test_foreign_draft_is_refused_and_nothing_changes(api: TestClient, person: Person, task: int) -> None:
    """A draft of somebody else, of another task, or of nobody answers 403, and no annotation is made."""
    theirs = draft(person("ann", **ANNOTATOR), task)["id"]
    elsewhere = draft(api, new_task(api, make_project(api)))["id"]
    for draft_id in (theirs, elsewhere, 999_999):
        body = {"result": choice("Positive"), "draft_id": draft_id}
        assert api.post(f"/api/tasks/{task}/annotations/", json=body).status_code == 403
    assert ok(api.get(f"/api/tasks/{task}/annotations/")) == []


def test_drafts_are_exported(api: TestClient, task: int) -> None:
    """An export shows the caller's drafts of its tasks."""
    made = draft(api, task)
    project = ok(api.get(f"/api/tasks/{task}/"))["project"]
    (exported,) = ok(api.get(f"/api/projects/{project}/export?download_all_tasks=true"))
    assert [(item["id"], item["result"]) for item in exported["drafts"]] == [(made["id"], made["result"])]


def test_draft_keeps_the_lease_and_a_postponed_one_gives_it_back(api: TestClient, person: Person) -> None:
    """A task put off with a draft is free for others and comes back to its author last."""
    ann = person("ann", **ANNOTATOR)
    project = make_project(api, maximum_annotations=2)
    first, second = new_task(api, project), new_task(api, project)

    def upcoming() -> Any:
        answer = ann.get(f"/api/projects/{project}/next/").json()
        return answer.get("id"), answer.get("queue")

    assert upcoming() == (first, "Sequence queue")
    made = draft(ann, first)
    assert upcoming() == (first, "Task lock")
    ok(ann.patch(f"/api/drafts/{made['id']}/", json={"was_postponed": True}))
    assert upcoming() == (second, "Sequence queue")
    ok(ann.post(f"/api/tasks/{second}/annotations/", json={"result": choice("Positive")}))
    assert upcoming() == (first, "Postponed draft queue")


def test_misshapen_drafts_are_refused(api: TestClient, task: int) -> None:
    """A result that is not a list is told under its name; so is a task or an annotation that is not there."""
    answer = api.post(f"/api/tasks/{task}/drafts", json={"result": {"a": 1}})
    assert list(errors_of(answer)) == ["result"]
    assert api.post("/api/tasks/999999/drafts", json={"result": []}).status_code == 404
    assert api.post(f"/api/tasks/{task}/annotations/999999/drafts", json={"result": []}).status_code == 404
    assert api.post(f"/api/tasks/{task}/drafts", json={"result": [], "lead_time": "x"}).status_code == 400
    assert ok(api.get(f"/api/tasks/{task}/drafts")) == []


def test_number_of_drafts_is_bounded(api: TestClient, task: int) -> None:
    """Of one task a person may have twenty drafts."""
    made = [api.post(f"/api/tasks/{task}/drafts", json={"result": []}).status_code for _ in range(21)]
    assert made == [201] * 20 + [409]
