"""Annotations: made, changed, deleted; and the same judgement seen through the other API."""

from typing import Any

import pytest
from label_studio_api import choice, errors_of, imported, make_project
from starlette.testclient import TestClient

from conftest import ok

pytestmark = pytest.mark.server("shared")

ANNOTATION_FIELDS = [
    "id",
    "result",
    "created_username",
    "created_ago",
    "completed_by",
    "was_cancelled",
    "ground_truth",
    "created_at",
    "updated_at",
    "draft_created_at",
    "lead_time",
    "unique_id",
    "import_id",
    "last_action",
    "bulk_created",
    "task",
    "project",
    "updated_by",
    "parent_prediction",
    "parent_annotation",
    "last_created_by",
]


def make_task(api: TestClient, **fields: Any) -> tuple[int, int]:
    """A project with one task."""
    project = make_project(api, **fields)
    return project, imported(api, project, [{"text": "a"}])["task_ids"][0]


def annotate(api: TestClient, task: int, **body: Any) -> Any:
    """A new annotation of the task."""
    return ok(api.post(f"/api/tasks/{task}/annotations/", json=body))


def comment_labels(api: TestClient, project: int, task: int) -> list[str]:
    """The labels of the task as the other API shows them."""
    source = ok(api.get(f"/api/v1/datasets/id:{project:016x}"))["dataset"]["source_ids"][0]
    found = ok(api.get(f"/api/_private/datasets/id:{project:016x}/labellings?id={source}.{task:016x}"))
    return [label["name"] for label in found["results"][0]["labelling"][0]["assigned"]]


def test_an_annotation_is_stored_as_sent(both: TestClient) -> None:
    """The answer to POST, the list and GET agree, and have every field of the original."""
    project, task = make_task(both)
    made = annotate(both, task, result=choice("Positive"), lead_time=1.5, unique_id="u")
    assert sorted(made) == sorted(ANNOTATION_FIELDS)
    assert (made["result"], made["lead_time"], made["ground_truth"]) == (choice("Positive"), 1.5, False)
    assert (made["created_username"], made["created_ago"]) == (" admin@example.org, 1", "0 minutes")
    assert (made["task"], made["project"], made["completed_by"]) == (task, project, 1)
    assert ok(both.get(f"/api/tasks/{task}/annotations/")) == [ok(both.get(f"/api/annotations/{made['id']}/"))]


def test_a_choice_is_a_label_in_the_other_api(both: TestClient) -> None:
    """What is chosen here is an assigned label there, and the last word counts."""
    project, task = make_task(both)
    made = annotate(both, task, result=choice("Positive"))
    assert comment_labels(both, project, task) == ["Positive"]
    ok(both.patch(f"/api/annotations/{made['id']}/", json={"result": choice("Negative")}))
    assert comment_labels(both, project, task) == ["Negative"]
    assert both.delete(f"/api/annotations/{made['id']}/").status_code == 204
    assert comment_labels(both, project, task) == []


def test_a_labelling_of_the_other_api_is_an_annotation_here(both: TestClient) -> None:
    """Its labels are shown as the regions that say the same, and it finishes the task; clearing it undoes that."""
    project, task = make_task(both)
    source = ok(both.get(f"/api/v1/datasets/id:{project:016x}"))["dataset"]["source_ids"][0]
    path = f"/api/_private/datasets/id:{project:016x}/labellings/{source}.{task:016x}"
    label = {"name": "Negative", "sentiment": "positive"}
    ok(both.post(path, json={"labelling": [{"group": "default", "assigned": [label]}]}))
    shown = ok(both.get(f"/api/tasks/{task}/"))
    assert (shown["annotations"][0]["result"], shown["is_labeled"]) == (choice("Negative"), True)
    ok(both.post(path, json={"labelling": [{"group": "default", "assigned": []}]}))
    shown = ok(both.get(f"/api/tasks/{task}/"))
    assert (shown["annotations"], shown["is_labeled"], shown["total_annotations"]) == ([], False, 0)


def test_imported_annotations_are_labels_with_their_parents(api: TestClient) -> None:
    """A nested choice in an import assigns its parents in the dataset too."""
    config = (
        '<View><Text name="text" value="$text"/><Taxonomy name="topic" toName="text">'
        '<Choice value="Billing"><Choice value="Refund"/></Choice></Taxonomy></View>'
    )
    project = make_project(api, label_config=config)
    region = {
        "from_name": "topic",
        "to_name": "text",
        "type": "taxonomy",
        "value": {"taxonomy": [["Billing", "Refund"]]},
    }
    status = imported(api, project, [{"data": {"text": "a"}, "annotations": [{"result": [region]}]}])
    assert comment_labels(api, project, status["task_ids"][0]) == ["Billing", "Billing > Refund"]


@pytest.mark.parametrize("result", [{"a": 1}, "text", 3, ["x"], [{"value": 1}]])
def test_a_result_of_another_shape_is_refused(shared_api: TestClient, result: Any) -> None:
    """It must be a list of regions; the fault stands under `result`, and nothing is stored."""
    _, task = make_task(shared_api)
    assert list(errors_of(shared_api.post(f"/api/tasks/{task}/annotations/", json={"result": result}))) == ["result"]
    made = annotate(shared_api, task, result=[])
    assert list(errors_of(shared_api.patch(f"/api/annotations/{made['id']}/", json={"result": result}))) == ["result"]
    assert len(ok(shared_api.get(f"/api/tasks/{task}/annotations/"))) == 1


def test_an_absent_result_is_null(api: TestClient) -> None:
    """As in the original an annotation may have no result at all, and it counts."""
    _, task = make_task(api)
    assert annotate(api, task)["result"] is None
    assert ok(api.get(f"/api/tasks/{task}/"))["total_annotations"] == 1


def test_a_change_keeps_what_it_does_not_name(api: TestClient) -> None:
    """PATCH of one field leaves result and lead time."""
    _, task = make_task(api)
    made = annotate(api, task, result=choice("Positive"), lead_time=1.5)
    changed = ok(api.patch(f"/api/annotations/{made['id']}/", json={"ground_truth": True}))
    assert (changed["ground_truth"], changed["lead_time"], changed["result"]) == (True, 1.5, choice("Positive"))
    assert (changed["created_at"], changed["updated_at"] > made["updated_at"]) == (made["created_at"], True)


def test_a_skipped_task_is_not_finished(api: TestClient) -> None:
    """A cancelled annotation is counted apart and assigns no labels."""
    project, task = make_task(api)
    annotate(api, task, result=choice("Positive"), was_cancelled=True)
    shown = ok(api.get(f"/api/tasks/{task}/"))
    assert (shown["total_annotations"], shown["cancelled_annotations"], shown["is_labeled"]) == (0, 1, False)
    assert comment_labels(api, project, task) == []


def test_deleting_reverts_is_labeled(api: TestClient) -> None:
    """The task is open again when the only annotation goes."""
    _, task = make_task(api)
    made = annotate(api, task, result=[])
    assert ok(api.get(f"/api/tasks/{task}/"))["completed_at"] == made["created_at"]
    assert api.delete(f"/api/annotations/{made['id']}/").status_code == 204
    assert ok(api.get(f"/api/tasks/{task}/"))["completed_at"] is None
    answer = api.get(f"/api/annotations/{made['id']}/")
    errors_of(answer, 404)
    assert answer.json()["detail"] == "No Annotation matches the given query."


@pytest.mark.server("own")
def test_only_an_admin_of_the_dataset_annotates_for_others(api: TestClient, person: Any) -> None:
    """completed_by may name a member of the project, if the caller administers it; anybody else is refused."""
    _, task = make_task(api)
    colleague = person("colleague", default=["annotator"])
    body = {"result": [], "completed_by": {"email": "colleague@example.org"}}
    made = annotate(api, task, **body)
    assert made["completed_by"] == ok(colleague.get("/api/current-user/whoami"))["id"]
    assert colleague.post(f"/api/tasks/{task}/annotations/", json={"completed_by": 1}).status_code == 403
    assert list(errors_of(api.post(f"/api/tasks/{task}/annotations/", json={"completed_by": 777}))) == ["completed_by"]


def test_annotations_of_others_are_not_found(api: TestClient, person: Any) -> None:
    """A stranger meets the same 404 for a real and an absent annotation; a viewer may not write."""
    _, task = make_task(api)
    made = annotate(api, task, result=[])
    stranger, viewer = person("stranger"), person("viewer", default=["viewer"])
    for number in (made["id"], 999):
        assert stranger.get(f"/api/annotations/{number}/").json()["detail"] == "No Annotation matches the given query."
        assert stranger.delete(f"/api/annotations/{number}/").status_code == 404
    errors_of(stranger.post(f"/api/tasks/{task}/annotations/", json={"result": []}), 404)
    errors_of(viewer.post(f"/api/tasks/{task}/annotations/", json={"result": []}), 403)
    errors_of(viewer.patch(f"/api/annotations/{made['id']}/", json={"result": []}), 403)
    assert ok(viewer.get(f"/api/annotations/{made['id']}/"))["id"] == made["id"]


def test_one_key_makes_one_annotation(api: TestClient) -> None:
    """A repeated POST under its key gives the first answer again."""
    _, task = make_task(api)
    headers = {"Idempotency-Key": "a"}
    path = f"/api/tasks/{task}/annotations/"
    assert len({api.post(path, json={"result": []}, headers=headers).text for _ in range(2)}) == 1
    assert len(ok(api.get(path))) == 1
