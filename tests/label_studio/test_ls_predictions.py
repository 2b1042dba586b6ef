"""Predictions: pushed singly and in bulk, changed, removed; and what the project's own model says."""

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from label_studio_api import choice, errors_of, imported, make_project
from starlette.testclient import TestClient

from conftest import client_of, ok
from headrace.app import Application
from headrace.core.models import Scores
from headrace.core.store import Tx

pytestmark = pytest.mark.server("shared")

FIELDS = [
    "id",
    "result",
    "model_version",
    "created_ago",
    "score",
    "cluster",
    "neighbors",
    "mislabeling",
    "created_at",
    "updated_at",
    "model",
    "model_run",
    "task",
    "project",
]
TOPICS = (
    '<View><Text name="text" value="$text"/><Taxonomy name="topic" toName="text">'
    '<Choice value="Billing"><Choice value="Refund"/></Choice><Choice value="Other"/></Taxonomy></View>'
)


def project_of(api: TestClient, count: int = 2, **fields: Any) -> tuple[int, list[int]]:
    """A project with some tasks, and the tasks' ids."""
    project = make_project(api, **fields)
    return project, imported(api, project, [{"text": f"t{number}"} for number in range(count)])["task_ids"]


def push(api: TestClient, task: int, **body: Any) -> Any:
    """A new prediction of the task."""
    return ok(api.post("/api/predictions/", json={"task": task, "result": choice("Positive"), **body}))


def push_many(api: TestClient, project: int, items: Any, **options: Any) -> Any:
    """The answer to an import of predictions."""
    return api.post(f"/api/projects/{project}/import/predictions", json=items, **options)


def add_own(application: Application, project: int, labels: Sequence[str], said: dict[int, Sequence[float]]) -> None:
    """Give the project a model of its own that has predicted these tasks."""

    def store(tx: Tx) -> None:
        model = tx.models.insert(
            project, family="english", labels=labels, artefact=b"", digest="d", metrics={}, reviewed_size=0
        )
        rows = [(task, 1, Scores(struct.pack(f"<{len(labels)}f", *values), None)) for task, values in said.items()]
        assert tx.predictions.save(model.id, rows) == len(said)

    application.store.write(store)


def test_a_prediction_is_stored_as_sent(both: TestClient) -> None:
    """POST, GET, the two lists and the task agree, with every field of the original; PATCH keeps what it leaves out."""
    project, (task, _) = project_of(both)
    made = push(both, task, score=0.95, model_version="v1")
    assert list(made) == FIELDS
    assert (made["result"], made["score"], made["model_version"]) == (choice("Positive"), 0.95, "v1")
    assert (made["task"], made["project"], made["mislabeling"]) == (task, project, 0.0)
    path = f"/api/predictions/{made['id']}/"
    assert ok(both.get(path)) == ok(both.get(f"/api/predictions/?task={task}"))[0] == made
    changed = ok(both.patch(path, json={"score": 0.5}))
    assert (changed["score"], changed["result"], changed["created_at"]) == (0.5, made["result"], made["created_at"])
    assert changed["updated_at"] > made["updated_at"]
    assert ok(both.get(f"/api/tasks/{task}/"))["predictions"] == [changed]
    assert ok(both.get(f"/api/predictions/?project={project}")) == [changed]
    assert both.delete(path).status_code == 204
    assert both.get(path).json()["detail"] == "No Prediction matches the given query."


@pytest.mark.parametrize("short", ["Negative", {"choices": ["Negative"]}])
def test_a_short_result_is_written_out(api: TestClient, short: Any) -> None:
    """A bare label or a bare value becomes the region that says it."""
    _, (task, _) = project_of(api)
    assert push(api, task, result=short)["result"] == choice("Negative")


@pytest.mark.parametrize(
    "result",
    [
        choice("Nope"),
        [{"from_name": "zz"}],
        [{**choice("Positive")[0], "to_name": "image"}],
        [{**choice("Positive")[0], "type": "labels"}],
        [{**choice("Positive")[0], "value": {"choices": [["Positive", "Nope"]]}}],
        [3],
        None,
        7,
    ],
)
def test_what_does_not_fit_the_config_is_refused(api: TestClient, result: Any) -> None:
    """Everywhere a prediction can be sent; the field or the item is named, and nothing changes."""
    project, (task, other) = project_of(api)
    made = push(api, task)
    assert list(errors_of(api.post("/api/predictions/", json={"task": task, "result": result}))) == ["result"]
    assert list(errors_of(api.patch(f"/api/predictions/{made['id']}/", json={"result": result}))) == ["result"]
    items = [{"task": other, "result": choice("Positive")}, {"task": task, "result": result}]
    told = errors_of(push_many(api, project, items))["non_field_errors"][0]
    assert told.startswith("Error at item 1: ")
    assert ok(api.get(f"/api/predictions/?project={project}")) == [made]


def test_an_empty_config_checks_nothing(api: TestClient) -> None:
    """Without controls any region is taken, and a relation always."""
    _, (task, _) = project_of(api, label_config="<View></View>")
    assert push(api, task, result=[{"from_name": "zz"}])["result"] == [{"from_name": "zz"}]
    _, (task, _) = project_of(api)
    assert push(api, task, result=[{"type": "relation", "from_id": "a", "to_id": "b"}])["id"]


def test_many_predictions_are_stored_at_once_or_not_at_all(both: TestClient) -> None:
    """The count is told, the last version becomes the project's; a task of elsewhere refuses them all."""
    project, (one, two) = project_of(both)
    _, (foreign, _) = project_of(both)
    items = [{"task": one, "result": choice("Positive")}, {"task": two, "result": [], "model_version": "m", "score": 1}]
    assert ok(push_many(both, project, items)) == {"created": 2}
    assert ok(both.get(f"/api/projects/{project}/"))["model_version"] == "m"
    assert ok(both.get(f"/api/projects/{project}/model-versions/")) == {"m": 1, "undefined": 1}
    told = errors_of(push_many(both, project, [*items, {"task": foreign, "result": []}]))["non_field_errors"][0]
    assert told.startswith(f'Error at item 2: invalid "task" field: corresponding task ID {foreign} ')
    assert ok(both.get(f"/api/projects/{project}/"))["total_predictions_number"] == 2


@pytest.mark.parametrize("body", [{}, 3, ["x"], [{"task": 1}], [{"result": []}], [{"task": "1", "result": []}]])
def test_a_bulk_body_of_another_shape_is_refused(api: TestClient, body: Any) -> None:
    """It must be an array of objects with a task and a result."""
    project, _ = project_of(api)
    errors_of(push_many(api, project, body))


def test_one_key_stores_many_predictions_once(api: TestClient) -> None:
    """A repeated import under its key gives the first answer again."""
    project, (task, _) = project_of(api)
    headers = {"Idempotency-Key": "a"}
    answers = [push_many(api, project, [{"task": task, "result": []}], headers=headers) for _ in range(2)]
    assert [ok(answer) for answer in answers] == [{"created": 1}] * 2
    assert len(ok(api.get(f"/api/predictions/?project={project}"))) == 1


def test_a_model_version_can_be_deleted(both: TestClient) -> None:
    """With all the predictions pushed under it, and no other."""
    project, (one, two) = project_of(both)
    for task, version in ((one, "a"), (two, "a"), (two, "b")):
        push(both, task, model_version=version)
    path = f"/api/projects/{project}/model-versions/"
    assert ok(both.request("DELETE", path, json={"model_version": "a"})) == {"deleted_predictions": 2}
    assert ok(both.get(path)) == {"b": 1}
    assert list(errors_of(both.request("DELETE", path, json={}))) == ["model_version"]


@pytest.mark.server("own")
def test_the_own_model_speaks_to_every_task(either: Application) -> None:
    """In the task, the lists, the export and every counter; its predictions have ids and cannot be changed singly."""
    api = client_of(either)
    project, (one, two) = project_of(api)
    add_own(either, project, ["Negative", "Positive"], {one: (0.25, 0.75), two: (0.5, 0.125)})
    found = [ok(api.get(f"/api/tasks/{task}/"))["predictions"] for task in (one, two)]
    assert [item[0]["result"] for item in found] == [choice("Positive"), choice("Negative")]
    assert (found[0][0]["model_version"], found[0][0]["score"]) == ("reviews v1", 0.75)
    number = found[0][0]["id"]
    assert ok(api.get(f"/api/predictions/{number}/")) == found[0][0]
    assert ok(api.get(f"/api/predictions/?project={project}")) == [found[0][0], found[1][0]]
    errors_of(api.patch(f"/api/predictions/{number}/", json={"score": 1}), 403)
    errors_of(api.delete(f"/api/predictions/{number}/"), 403)
    push(api, two, model_version="m")
    assert ok(api.get(f"/api/projects/{project}/model-versions/")) == {"m": 1, "reviews v1": 2}
    assert ok(api.get(f"/api/projects/{project}/"))["total_predictions_number"] == 3
    page = ok(api.get(f"/api/tasks/?project={project}&fields=all"))
    assert (page["total_predictions"], [task["total_predictions"] for task in page["tasks"]]) == (3, [1, 2])
    exported = ok(api.get(f"/api/projects/{project}/export?export_type=JSON&download_all_tasks=true"))
    assert [len(task["predictions"]) for task in exported] == [1, 2]


@pytest.mark.server("own")
def test_the_version_that_the_project_names_comes_first(application: Application, api: TestClient) -> None:
    """The own model's, or the one pushed under that name."""
    project, (task, _) = project_of(api)
    add_own(application, project, ["Positive"], {task: (0.75,)})
    push(api, task, model_version="m")
    for named in ("m", "reviews v1"):
        ok(api.patch(f"/api/projects/{project}/", json={"model_version": named}))
        assert ok(api.get(f"/api/tasks/{task}/"))["predictions"][0]["model_version"] == named


def test_a_taxonomy_shows_all_labels_above_one_half(application: Application, api: TestClient) -> None:
    """The deepest ones as paths; the best one where none is above."""
    project, (one, two) = project_of(api, label_config=TOPICS)
    labels = ["Billing", "Billing > Refund", "Other"]
    add_own(application, project, labels, {one: (0.75, 0.625, 0.5625), two: (0.125, 0.0, 0.25)})
    found = [ok(api.get(f"/api/tasks/{task}/"))["predictions"][0]["result"][0]["value"] for task in (one, two)]
    assert found == [{"taxonomy": [["Billing", "Refund"], ["Other"]]}, {"taxonomy": [["Other"]]}]


def test_only_the_latest_model_speaks_and_only_of_labels_it_knows(application: Application, api: TestClient) -> None:
    """An older one's predictions are gone from the tasks; a model without a label of the config says nothing."""
    project, (task, _) = project_of(api)
    add_own(application, project, ["Positive"], {task: (0.5,)})
    old = ok(api.get(f"/api/tasks/{task}/"))["predictions"][0]
    add_own(application, project, ["Unheard"], {task: (0.5,)})
    assert ok(api.get(f"/api/tasks/{task}/"))["predictions"] == []
    assert ok(api.get(f"/api/projects/{project}/"))["total_predictions_number"] == 0
    assert ok(api.get(f"/api/predictions/{old['id']}/")) == old


def test_a_project_is_listed_by_pages_when_asked(api: TestClient) -> None:
    """In the order of its tasks; a page past the end is 404, and without task or project it is a 400."""
    project, tasks = project_of(api, 3)
    made = [push(api, task, model_version=version)["id"] for task in tasks for version in ("a", "b")]
    path = f"/api/predictions/?project={project}"
    pages = [[item["id"] for item in ok(api.get(f"{path}&page={page}&page_size=4"))] for page in (1, 2)]
    assert pages == [made[:4], made[4:]]
    errors_of(api.get(f"{path}&page=3&page_size=4"), 404)
    assert list(errors_of(api.get("/api/predictions/"))) == ["project"]
    assert ok(api.get(f"/api/predictions/?task={tasks[0]}&project={project + 1}")) == []


def test_predictions_need_rights(api: TestClient, person: Any) -> None:
    """A stranger finds nothing, an annotator may look but not push."""
    project, (task, _) = project_of(api)
    made = push(api, task)
    stranger, annotator = person("stranger"), person("annotator", default=["annotator"])
    for path in (
        f"/api/predictions/{made['id']}/",
        f"/api/predictions/?task={task}",
        f"/api/predictions/?project={project}",
    ):
        errors_of(stranger.get(path), 404)
        ok(annotator.get(path))
    body = {"task": task, "result": []}
    errors_of(stranger.post("/api/predictions/", json=body), 404)
    errors_of(annotator.post("/api/predictions/", json=body), 403)
    errors_of(annotator.delete(f"/api/predictions/{made['id']}/"), 403)
    errors_of(push_many(annotator, project, [body]), 403)
    errors_of(push_many(stranger, project, [body]), 404)


def test_one_annotation_for_many_tasks(api: TestClient) -> None:
    """By ids or all but some; the answer holds the ids, and a task of elsewhere refuses them all."""
    project, tasks = project_of(api, 3)
    _, (foreign, _) = project_of(api)
    body = {"result": choice("Positive"), "project": project}
    made = ok(api.post("/api/annotations/bulk/", json={**body, "tasks": tasks[:2]}))
    assert [ok(api.get(f"/api/annotations/{item['id']}/"))["task"] for item in made] == tasks[:2]
    errors_of(api.post("/api/annotations/bulk/", json={**body, "tasks": [tasks[2], foreign]}))
    rest = {**body, "selected_items": {"all": True, "excluded": tasks[:2]}}
    assert len(ok(api.post("/api/annotations/bulk/", json=rest))) == 1
    assert ok(api.get(f"/api/projects/{project}/"))["total_annotations_number"] == 3
    assert list(errors_of(api.post("/api/annotations/bulk/", json=body))) == ["tasks"]


def test_many_annotations_are_deleted_or_none(api: TestClient) -> None:
    """An id of elsewhere refuses them all."""
    project, tasks = project_of(api)
    made = ok(api.post("/api/annotations/bulk/", json={"result": [], "tasks": tasks, "project": project}))
    ids = [item["id"] for item in made]
    path = "/api/annotations/bulk-delete/"
    assert list(errors_of(api.post(path, json={"ids": [*ids, 999], "project": project}))) == ["ids"]
    assert ok(api.get(f"/api/projects/{project}/"))["total_annotations_number"] == 2
    assert ok(api.post(path, json={"ids": ids, "project": project})) == {"deleted_count": 2}
    assert list(errors_of(api.post(path, json={"ids": ids}))) == ["project"]
