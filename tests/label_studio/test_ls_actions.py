"""Actions on many tasks, views, columns, PATCH task: what they do, to whom, and that a retry is harmless."""

import json
from typing import Any

import pytest
from label_studio_api import choice, errors_of, imported, make_project, task_count
from starlette.testclient import TestClient

from conftest import ok

pytestmark = pytest.mark.server("shared")

EVERYTHING = {"all": True, "excluded": []}


def act(api: TestClient, project: int, name: str, selected: Any = EVERYTHING, query: str = "", **body: Any) -> Any:
    """The answer to an action."""
    path = f"/api/dm/actions/?id={name}&project={project}{query}"
    return api.post(path, json={"selectedItems": selected, **body})


def filtered(column: str, operator: str, value: Any) -> dict[str, Any]:
    """Filters with one condition."""
    item = {"filter": f"filter:tasks:{column}", "operator": operator, "type": "Unknown", "value": value}
    return {"conjunction": "and", "items": [item]}


def make_view(api: TestClient, project: int, **data: Any) -> Any:
    """A new view."""
    return ok(api.post("/api/dm/views/", json={"project": project, "data": data}))


def ids(api: TestClient, project: int, **query: Any) -> list[int]:
    """The ids of the tasks listed."""
    return [task["id"] for task in ok(api.get("/api/tasks/", params={"project": project, **query}))["tasks"]]


def test_tasks_are_deleted_as_selected(both: TestClient) -> None:
    """delete_tasks goes for what is selected of what the view and the filters want, and counts it."""
    project = make_project(both)
    made = imported(both, project, [{"text": "a"}, {"text": "b"}, {"text": "c"}, {"text": "c"}])["task_ids"]
    told = ok(act(both, project, "delete_tasks", {"all": False, "included": made[:1]}))
    assert told == {"processed_items": 1, "reload": False, "detail": "Deleted 1 tasks"}
    view = make_view(both, project, filters=filtered("data.text", "equal", "c"))["id"]
    ok(act(both, project, "delete_tasks", {"all": True, "excluded": made[3:]}, f"&view={view}"))
    assert ids(both, project) == [made[1], made[3]]
    ok(act(both, project, "delete_tasks", filters=filtered("data.text", "equal", "b")))
    assert ids(both, project) == [made[3]]
    assert ok(act(both, project, "delete_tasks"))["reload"] is True


def test_all_tasks_of_a_project_go_and_their_ids_do_not_come_back(both: TestClient) -> None:
    """DELETE takes every task, more than one chunk of them, with what was said; the next id is a new one."""
    project, other = make_project(both), make_project(both)
    made = imported(both, project, [{"text": "x"}] * 2_050)["task_ids"]
    kept = imported(both, other, [{"text": "y"}])["task_ids"]
    ok(both.post(f"/api/tasks/{made[0]}/annotations/", json={"result": choice("Positive")}))
    assert both.delete(f"/api/projects/{project}/tasks/").status_code == 204
    assert (task_count(both, project), ids(both, other)) == (0, kept)
    assert ok(both.get(f"/api/projects/{project}/"))["total_annotations_number"] == 0
    assert imported(both, project, [{"text": "z"}])["task_ids"][0] > kept[0]


def test_predictions_become_annotations_once(both: TestClient) -> None:
    """Each prediction becomes an annotation of the caller's, however often asked for, of one version or all."""
    project = make_project(both)
    told = [{"result": choice("Positive"), "model_version": name} for name in ("a", "b")]
    task = imported(both, project, [{"data": {"text": "x"}, "predictions": told}])["task_ids"][0]
    counts = [
        ok(act(both, project, "predictions_to_annotations", model_version=version))["processed_items"]
        for version in ("a", "a", None, None)
    ]
    annotations = ok(both.get(f"/api/tasks/{task}/"))["annotations"]
    assert (counts, [one["result"] for one in annotations]) == ([1, 0, 1, 0], [choice("Positive")] * 2)


def test_annotations_and_predictions_are_deleted(both: TestClient) -> None:
    """What was said of the tasks goes, the tasks stay, unfinished again; the counts follow."""
    project = make_project(both)
    said = [{"result": choice("Positive")}]
    made = imported(both, project, [{"data": {"text": "x"}, "annotations": said, "predictions": said}] * 3)["task_ids"]
    one = {"all": False, "included": made[:1]}
    assert ok(act(both, project, "delete_tasks_annotations", one))["processed_items"] == 1
    assert ok(act(both, project, "delete_tasks_predictions", one))["processed_items"] == 1
    tasks = ok(both.get("/api/tasks/", params={"project": project}))
    assert (tasks["total"], tasks["total_annotations"], tasks["total_predictions"]) == (3, 2, 2)
    assert [task["is_labeled"] for task in tasks["tasks"]] == [False, True, True]


def test_duplicates_go_and_no_annotation_with_them(both: TestClient) -> None:
    """Of tasks with the same data the oldest annotated one stays, and has the annotations of all."""
    project = make_project(both)
    made = imported(both, project, [{"text": "a", "n": 1}, {"n": 1, "text": "a"}, {"text": "b"}, {"text": "a", "n": 1}])
    first, kept, single, last = made["task_ids"]
    numbers = [
        ok(both.post(f"/api/tasks/{task}/annotations/", json={"result": choice("Positive")}))["id"]
        for task in (kept, last)
    ]
    assert ok(act(both, project, "remove_duplicates"))["processed_items"] == 2
    assert ids(both, project) == [kept, single]
    assert [one["id"] for one in ok(both.get(f"/api/tasks/{kept}/"))["annotations"]] == numbers
    counters = ok(both.get(f"/api/projects/{project}/"))
    assert (counters["total_annotations_number"], counters["finished_task_number"]) == (2, 1)
    assert both.get(f"/api/tasks/{first}/").status_code == 404


def test_an_action_that_cannot_be_taken_says_why(api: TestClient) -> None:
    """Unknown actions name the known ones, a selection is required, and predictions need a model."""
    project = make_project(api)
    assert "delete_tasks" in errors_of(act(api, project, "nope"))["id"][0]
    errors = errors_of(api.post(f"/api/dm/actions/?id=delete_tasks&project={project}", json={}))
    assert errors == {"selectedItems": ["This field is required."]}
    imported(api, project, [{"text": "a"}])
    assert "model" in errors_of(act(api, project, "retrieve_tasks_predictions"))["id"][0]
    assert errors_of(api.post("/api/dm/actions/?id=delete_tasks", json={}))["project"]


def test_the_next_task_is_an_action_too(api: TestClient) -> None:
    """next_task answers what the label stream would."""
    project = make_project(api)
    task = imported(api, project, [{"text": "a"}])["task_ids"][0]
    assert ok(api.post(f"/api/dm/actions/?id=next_task&project={project}", json={}))["id"] == task


def test_a_repeated_action_is_not_taken_again(api: TestClient) -> None:
    """Under one Idempotency-Key the first answer comes again, and what was added since stays."""
    project = make_project(api)
    imported(api, project, [{"text": "a"}])
    request = {"json": {"selectedItems": EVERYTHING}, "headers": {"Idempotency-Key": "k"}}
    first = ok(api.post(f"/api/dm/actions/?id=delete_tasks&project={project}", **request))
    kept = imported(api, project, [{"text": "b"}])["task_ids"]
    assert ok(api.post(f"/api/dm/actions/?id=delete_tasks&project={project}", **request)) == first
    assert ids(api, project) == kept


@pytest.mark.parametrize("name", ["delete_tasks", "delete_tasks_annotations", "delete_tasks_predictions"])
def test_actions_need_their_rights(api: TestClient, person: Any, name: str) -> None:
    """An annotator may not delete for everybody, is not offered it, and a stranger finds no project."""
    project = make_project(api)
    imported(api, project, [{"text": "a"}])
    annotator, stranger = person("annotator", default=["annotator"]), person("stranger")
    assert act(annotator, project, name).status_code == 403
    assert act(stranger, project, name).status_code == 404
    offered = [action["id"] for action in ok(annotator.get(f"/api/dm/actions/?project={project}"))]
    assert offered == ["retrieve_tasks_predictions", "predictions_to_annotations"]
    assert len(ok(api.get(f"/api/dm/actions/?project={project}"))) == 6


def test_a_view_applies_to_the_list(both: TestClient) -> None:
    """A view's filters and order hold, with the query's beside them, and the view alone names its project."""
    project = make_project(both)
    made = imported(both, project, [{"text": "a"}, {"text": "b"}, {"text": "c"}])["task_ids"]
    view = make_view(both, project, title="V", filters=filtered("inner_id", "less", 3), ordering=["-tasks:id"])
    assert view == {"id": view["id"], "data": view["data"], "order": 0, "user": 1, "project": project}
    shown = ok(both.get("/api/tasks/", params={"view": view["id"]}))["tasks"]
    assert [task["id"] for task in shown] == made[1::-1]
    query = json.dumps({"selectedItems": {"all": False, "included": made[:1]}})
    assert ids(both, project, view=view["id"], query=query) == made[:1]
    errors_of(both.get("/api/tasks/", params={"view": view["id"], "project": make_project(both)}), 404)


def test_views_are_kept_changed_arranged_and_deleted(both: TestClient) -> None:
    """What a client keeps in a view comes back; filters stay when they are not named; reset leaves none."""
    project = make_project(both)
    first = make_view(both, project, title="A", filters=filtered("id", "equal", 1), columnsWidth={"id": 3})
    second = make_view(both, project)
    changed = ok(both.patch(f"/api/dm/views/{first['id']}/", json={"data": {"title": "B"}}))
    assert changed["data"] == {"title": "B", "filters": first["data"]["filters"]}
    order = {"project": project, "ids": [second["id"], first["id"]]}
    assert both.post("/api/dm/views/order/", json=order).status_code == 200
    assert [view["id"] for view in ok(both.get(f"/api/dm/views/?project={project}"))] == order["ids"]
    assert both.delete(f"/api/dm/views/{first['id']}/").status_code == 204
    assert both.get(f"/api/dm/views/{first['id']}/").json()["detail"] == "No View matches the given query."
    assert both.request("DELETE", "/api/dm/views/reset/", json={"project": project}).status_code == 204
    assert ok(both.get(f"/api/dm/views/?project={project}")) == []


def test_views_are_guarded(api: TestClient, person: Any) -> None:
    """A view that means nothing is not stored, a viewer changes none, a stranger sees none."""
    project = make_project(api)
    view = make_view(api, project)["id"]
    for data in ({"filters": filtered("nosuch", "equal", 1)}, {"ordering": 3}, []):
        errors_of(api.post("/api/dm/views/", json={"project": project, "data": data}))
    errors_of(api.post("/api/dm/views/order/", json={"project": project, "ids": [view, 99]}))
    viewer, stranger = person("viewer", default=["viewer"]), person("stranger")
    assert viewer.get(f"/api/dm/views/{view}/").status_code == 200
    assert viewer.patch(f"/api/dm/views/{view}/", json={"data": {}}).status_code == 403
    assert stranger.get(f"/api/dm/views/{view}/").status_code == 404
    assert stranger.delete(f"/api/dm/views/{view}/").status_code == 404
    assert ok(stranger.get("/api/dm/views/")) == []


def test_columns_are_those_of_the_list_and_of_the_data(api: TestClient) -> None:
    """Every column that can be filtered is told, with the keys of the tasks' data below `data`."""
    project = make_project(api)
    imported(api, project, [{"text": "a", "n": 1}])
    columns = {column["id"]: column for column in ok(api.get(f"/api/dm/columns/?project={project}"))["columns"]}
    assert columns["data"]["children"] == ["text", "n"]
    assert (columns["n"]["parent"], columns["total_annotations"]["type"]) == ("data", "Number")
    assert {"annotators", "labels", "draft_exists", "completed_at"} <= set(columns)


def test_a_task_is_given_other_data(both: TestClient) -> None:
    """PATCH replaces data or meta, keeps the rest and what was said; what does not fit the config is refused."""
    project = make_project(both)
    task = imported(both, project, [{"data": {"text": "a"}, "meta": {"m": 1}}])["task_ids"][0]
    ok(both.post(f"/api/tasks/{task}/annotations/", json={"result": choice("Positive")}))
    whole = ok(both.get(f"/api/tasks/{task}/"))
    changed = ok(both.patch(f"/api/tasks/{task}/", json={**whole, "data": {"text": "b", "n": 1}}))
    assert (changed["data"], changed["meta"]) == ({"text": "b", "n": 1}, {"m": 1})
    assert len(changed["annotations"]) == 1
    assert "text" in errors_of(both.patch(f"/api/tasks/{task}/", json={"data": {"zz": 1}}))["non_field_errors"][0]
    errors_of(both.patch(f"/api/tasks/{task}/", json={"data": "b"}))
    errors_of(both.patch("/api/tasks/99999/", json={"data": {"text": "b"}}), 404)
    assert ok(both.patch(f"/api/tasks/{task}/", json={"meta": {}}))["meta"] == {}
    assert ok(both.get(f"/api/tasks/{task}/"))["data"] == {"text": "b", "n": 1}


@pytest.mark.server("own")
def test_only_who_sees_all_of_a_task_changes_its_data(api: TestClient, person: Any) -> None:
    """Whoever is shown a mask cannot write it back over what it hides."""
    project = make_project(api)
    task = imported(api, project, [{"text": "a", "who": "Ada"}])["task_ids"][0]
    source = ok(api.get("/api/v1/sources"))["sources"][0]
    body = {"source": {"sensitive_properties": ["string:who"]}}
    ok(api.post(f"/api/v1/sources/{source['owner']}/{source['name']}", json=body))
    developer = person("developer", default=["developer"])
    seen = ok(developer.get(f"/api/tasks/{task}/"))["data"]
    assert developer.patch(f"/api/tasks/{task}/", json={"data": seen}).status_code == 403
    assert ok(api.get(f"/api/tasks/{task}/"))["data"]["who"] == "Ada"
