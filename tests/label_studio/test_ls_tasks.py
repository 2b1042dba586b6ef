"""Tasks: single ones, the list and its pages, exact data, rights."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_api import choice, errors_of, imported, make_project
from starlette.testclient import TestClient

from conftest import ok

pytestmark = pytest.mark.server("shared")

TASK_FIELDS = [
    "id",
    "data",
    "meta",
    "created_at",
    "updated_at",
    "is_labeled",
    "overlap",
    "inner_id",
    "total_annotations",
    "cancelled_annotations",
    "total_predictions",
    "completed_at",
    "comment_count",
    "unresolved_comment_count",
    "last_comment_updated_at",
    "comment_authors",
    "project",
    "updated_by",
    "file_upload",
    "storage_filename",
    "annotators",
    "annotations_ids",
    "annotations_results",
    "predictions_results",
    "predictions_model_versions",
    "predictions_score",
    "avg_lead_time",
    "draft_exists",
    "annotations",
    "predictions",
    "drafts",
]

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)


def listed(api: TestClient, project: int, **query: Any) -> Any:
    """A page of the task list."""
    return ok(api.get("/api/tasks/", params={"project": project, **query}))


def ids(page: Any) -> list[int]:
    """The ids on a page of tasks."""
    return [task["id"] for task in page["tasks"]]


def test_a_task_is_created_and_shown_whole(both: TestClient) -> None:
    """POST answers the task; GET shows every field of the original."""
    project = make_project(both)
    answer = both.post("/api/tasks/", json={"project": project, "data": {"text": "t"}, "meta": {"a": 1}})
    assert answer.status_code == 201
    task = ok(both.get(f"/api/tasks/{answer.json()['id']}/"))
    assert sorted(task) == sorted(TASK_FIELDS)
    assert (task["data"], task["meta"], task["inner_id"], task["project"]) == ({"text": "t"}, {"a": 1}, 1, project)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"data": {"text": "t"}}, {"project": ["This field is required."]}),
        ({"project": 1}, {"data": ["This field is required."]}),
        ({"project": 1, "data": "t"}, {"data": ["Task[data] must be dict or list"]}),
        ({"project": 1, "data": {"text": "t"}, "meta": 3}, {"meta": ["Task[meta] must be dict"]}),
        (
            {"project": 1, "data": {"zz": "t"}},
            {
                "non_field_errors": [
                    '"text" key is expected in task data [assume: item["data"] = task root with values]'
                ]
            },
        ),
    ],
)
def test_a_task_that_does_not_fit_is_refused(api: TestClient, body: Any, errors: Any) -> None:
    """Missing fields and data that the label config cannot show are 400, and nothing is stored."""
    project = make_project(api)
    named = {"project": project} if "project" in body else {}
    assert errors_of(api.post("/api/tasks/", json=body | named)) == errors
    assert listed(api, project)["total"] == 0


@given(extra=VALUES, text=TEXT)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_storable_value_reads_back_equal(api: TestClient, extra: Any, text: str) -> None:
    """Values and their types survive one by one and in imports, whatever they are."""
    project = make_project(api)
    sent = {"text": text, "extra": extra}
    body = json.dumps({"project": project, "data": sent}).encode()
    task = ok(api.post("/api/tasks/", content=body, headers={"Content-Type": "application/json"}))["id"]
    status = imported(api, project, [sent])
    for number in (task, *status["task_ids"]):
        assert repr(ok(api.get(f"/api/tasks/{number}/"))["data"]) == repr(sent)


def test_pages_cover_all_tasks_once_and_end_with_404(both: TestClient) -> None:
    """Pages are in id order, report the totals, and the one past the end is 404 as clients expect."""
    project = make_project(both)
    made = imported(both, project, [{"text": str(number)} for number in range(7)])["task_ids"]
    pages = [listed(both, project, page=page, page_size=3) for page in (1, 2, 3)]
    assert [number for page in pages for number in ids(page)] == made
    assert {page["total"] for page in pages} == {7}
    answer = both.get("/api/tasks/", params={"project": project, "page": 4, "page_size": 3})
    errors_of(answer, 404)
    assert answer.json()["detail"] == "Invalid page."
    assert ids(listed(both, make_project(both), page=1)) == []


def test_all_tasks_come_in_one_answer_of_any_length(api: TestClient) -> None:
    """page_size=-1 is read piece by piece and is one JSON document, in both orders."""
    project = make_project(api)
    made = imported(api, project, [{"text": str(number)} for number in range(2_345)])["task_ids"]
    assert ids(listed(api, project, page_size=-1, include="id")) == made
    newest = ok(api.get(f"/api/projects/{project}/tasks/?page_size=-1"))
    assert [task["id"] for task in newest] == made[::-1]
    assert ids(listed(api, project, page_size=2_000, page=2, include="id")) == made[2_000:]


def test_deleting_tasks_leaves_no_gap_in_the_pages(both: TestClient) -> None:
    """A deleted task is 404, the others close up, and inner ids stay what they were."""
    project = make_project(both)
    made = imported(both, project, [{"text": str(number)} for number in range(5)])["task_ids"]
    assert both.delete(f"/api/tasks/{made[1]}/").status_code == 204
    assert both.get(f"/api/tasks/{made[1]}/").json()["detail"] == "No Task matches the given query."
    page = listed(both, project, page=2, page_size=2)
    assert (ids(page), [task["inner_id"] for task in page["tasks"]], page["total"]) == (made[3:], [4, 5], 4)


def test_include_and_fields_choose_what_is_shown(api: TestClient) -> None:
    """include names the fields; without fields=all annotations and predictions stay out."""
    project = make_project(api)
    task = imported(api, project, [{"text": "a"}])["task_ids"][0]
    ok(api.post(f"/api/tasks/{task}/annotations/", json={"result": choice("Positive"), "lead_time": 2.0}))
    assert listed(api, project, include="id")["tasks"] == [{"id": task}]
    assert "annotations" not in listed(api, project)["tasks"][0]
    whole = listed(api, project, fields="all")
    assert (whole["total_annotations"], whole["tasks"][0]["annotations"][0]["completed_by"]) == (1, 1)
    assert (whole["tasks"][0]["annotators"], whole["tasks"][0]["avg_lead_time"]) == ([1], 2.0)


def test_queries_that_need_no_filter_are_understood(api: TestClient) -> None:
    """What the older client always sends works; the order by id can be turned round."""
    project = make_project(api)
    made = imported(api, project, [{"text": "a"}, {"text": "b"}])["task_ids"]
    always = {"filters": None, "ordering": [], "selectedItems": {"all": True, "excluded": []}}
    assert ids(listed(api, project, query=json.dumps(always))) == made
    assert ids(listed(api, project, query=json.dumps({"ordering": ["-tasks:id"]}))) == made[::-1]


def test_the_list_needs_a_project(api: TestClient) -> None:
    """Without one the answer is the bare detail of the original; an unknown one is 404."""
    answer = api.get("/api/tasks/")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Neither project nor view id specified"})
    errors_of(api.get("/api/tasks/?project=99"), 404)
    errors_of(api.get("/api/tasks/?project=x"), 400)


@pytest.mark.parametrize("page", ["0", "abc", "-1", "9" * 40])
def test_pages_that_are_none_are_404(api: TestClient, page: str) -> None:
    """Nonsense is answered like a page past the end."""
    errors_of(api.get("/api/tasks/", params={"project": make_project(api), "page": page}), 404)


def test_tasks_of_others_are_not_found_nor_deleted(api: TestClient, person: Any) -> None:
    """A stranger meets 404 everywhere, a viewer may read only."""
    project = make_project(api)
    task = imported(api, project, [{"text": "secret"}])["task_ids"][0]
    stranger, viewer = person("stranger"), person("viewer", default=["viewer"])
    paths = (f"/api/tasks/{task}", f"/api/tasks?project={project}", f"/api/projects/{project}/tasks")
    assert [stranger.get(path).status_code for path in paths] == [404, 404, 404]
    assert stranger.delete(f"/api/tasks/{task}").status_code == 404
    assert stranger.post("/api/tasks", json={"project": project, "data": {"text": "x"}}).status_code == 404
    assert viewer.delete(f"/api/tasks/{task}").status_code == 403
    assert ok(viewer.get(f"/api/tasks/{task}"))["data"] == {"text": "secret"}


@pytest.mark.server("own")
def test_a_comment_in_the_projects_own_source_is_a_task(api: TestClient) -> None:
    """What another API uploads to the source reads as a task with its text under the config's key."""
    project = make_project(api)
    source = ok(api.get("/api/v1/sources"))["sources"][0]["id"]
    comment = {"id": "c1", "timestamp": "2026-01-01T00:00:00Z", "messages": [{"body": {"text": "from mail"}}]}
    ok(api.post(f"/api/v1/sources/id:{source}/sync", json={"comments": [comment]}))
    assert [task["data"] for task in listed(api, project)["tasks"]] == [{"text": "from mail"}]
