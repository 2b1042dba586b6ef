"""Projects: the body, its counters, the rules of titles and label configs, pages, rights."""

import re
from typing import Any

import pytest
from label_studio_api import CONFIG, choice, errors_of, imported, make_project
from starlette.testclient import TestClient

from conftest import ok
from headrace.dialects.label_studio.unbuilt import UNBUILT

pytestmark = pytest.mark.server("shared")

COUNTERS = (
    "task_number",
    "total_annotations_number",
    "skipped_annotations_number",
    "ground_truth_number",
    "useful_annotation_number",
    "num_tasks_with_annotations",
    "total_predictions_number",
    "finished_task_number",
    "queue_total",
    "queue_done",
)
FIELDS = [
    "id",
    "title",
    "description",
    "label_config",
    "expert_instruction",
    "show_instruction",
    "show_skip_button",
    "enable_empty_annotation",
    "show_annotation_history",
    "organization",
    "color",
    "maximum_annotations",
    "is_published",
    "model_version",
    "is_draft",
    "created_by",
    "created_at",
    "min_annotations_to_start_training",
    "start_training_on_annotation_update",
    "show_collab_predictions",
    "num_tasks_with_annotations",
    "task_number",
    "useful_annotation_number",
    "ground_truth_number",
    "skipped_annotations_number",
    "total_annotations_number",
    "total_predictions_number",
    "sampling",
    "show_ground_truth_first",
    "annotator_evaluation_enabled",
    "show_overlap_first",
    "overlap_cohort_percentage",
    "task_data_login",
    "task_data_password",
    "control_weights",
    "parsed_label_config",
    "evaluate_predictions_automatically",
    "config_has_control_tags",
    "skip_queue",
    "reveal_preannotations_interactively",
    "pinned_at",
    "finished_task_number",
    "queue_total",
    "queue_done",
    "config_suitable_for_bulk_annotation",
    "state",
]


def test_every_field_is_optional_and_answered(both: TestClient) -> None:
    """An empty body makes a project with all fields of the original and its defaults."""
    answer = both.post("/api/projects/", json={})
    assert answer.status_code == 201
    body = answer.json()
    assert sorted(body) == sorted(FIELDS)
    assert (body["title"], body["label_config"], body["maximum_annotations"]) == ("", "<View></View>", 1)
    assert (body["task_number"], body["created_by"]["email"]) == (None, "admin@example.org")


def test_the_label_config_is_parsed_for_clients(api: TestClient) -> None:
    """parsed_label_config and control_weights follow from the XML."""
    body = ok(api.get(f"/api/projects/{make_project(api)}/"))
    parsed = body["parsed_label_config"]["sentiment"]
    assert (parsed["type"], parsed["to_name"], parsed["labels"]) == ("Choices", ["text"], ["Positive", "Negative"])
    assert body["control_weights"]["sentiment"]["labels"] == {"Positive": 1.0, "Negative": 1.0}
    assert body["config_has_control_tags"] is True


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"title": "x" * 51}, {"title": ["Ensure this field has no more than 50 characters."]}),
        ({"title": "xx"}, {"title": ["Ensure this field has at least 3 characters."]}),
        ({"label_config": "<View><Text"}, {"label_config": ["unclosed token: line 1, column 6"]}),
        (
            {"label_config": '<View><Choices name="c" toName="nope"/></View>'},
            {"label_config": ["toName=\"nope\" not found in names: ['c']"]},
        ),
        ({"title": 7}, {"title": ["expected string or null, got integer"]}),
    ],
)
def test_faults_are_told_under_their_field(api: TestClient, fields: Any, errors: Any) -> None:
    """A bad title or label config is refused at creation and change alike, and nothing is made."""
    project = make_project(api)
    before = ok(api.get("/api/projects/"))
    assert errors_of(api.post("/api/projects/", json=fields)) == errors
    assert errors_of(api.patch(f"/api/projects/{project}/", json=fields)) == errors
    assert ok(api.get("/api/projects/")) == before


def test_choices_that_cannot_be_labels_are_refused(api: TestClient) -> None:
    """A choice longer than a label's part is told under label_config, at creation and change."""
    config = CONFIG.replace("Positive", "x" * 65)
    project = make_project(api)
    assert list(errors_of(api.post("/api/projects/", json={"label_config": config}))) == ["label_config"]
    assert list(errors_of(api.patch(f"/api/projects/{project}/", json={"label_config": config}))) == ["label_config"]


def test_validate_answers_204_or_the_bare_fault(api: TestClient) -> None:
    """The check of a config stores nothing and does not use the usual error body."""
    assert api.post("/api/projects/validate/", json={"label_config": CONFIG}).status_code == 204
    answer = api.post("/api/projects/validate/", json={"label_config": "<View><Foo"})
    assert (answer.status_code, answer.json()) == (400, {"label_config": ["unclosed token: line 1, column 6"]})


def test_a_change_keeps_what_it_does_not_name(api: TestClient) -> None:
    """PATCH is partial, and unknown fields of a whole object sent back are ignored."""
    project = make_project(api, description="before", maximum_annotations=2)
    body = ok(api.patch(f"/api/projects/{project}/", json={"title": "Renamed", "color": "#112233", "id": 7}))
    assert (body["title"], body["description"], body["maximum_annotations"]) == ("Renamed", "before", 2)
    assert (body["color"], body["id"]) == ("#112233", project)


def test_a_new_label_config_brings_its_labels_to_the_dataset(api: TestClient) -> None:
    """The other API sees the labels of the old config and of the new one."""
    project = make_project(api)
    ok(api.patch(f"/api/projects/{project}/", json={"label_config": CONFIG.replace("Negative", "Neutral")}))
    dataset = ok(api.get(f"/api/v1/datasets/id:{project:016x}"))["dataset"]
    assert [label["name"] for label in dataset["label_defs"]] == ["Positive", "Negative", "Neutral"]


def test_counters_are_exact(both: TestClient) -> None:
    """Skipped, ground truth and ordinary annotations and predictions are counted each in their place."""
    project = make_project(both)
    prediction = {"result": choice("Negative")}
    tasks = imported(both, project, [{"data": {"text": "a"}, "predictions": [prediction]}, *[{"text": "b"}] * 3])
    one, two, three, _ = tasks["task_ids"]
    ok(both.post(f"/api/tasks/{one}/annotations/", json={"result": choice("Positive")}))
    ok(both.post(f"/api/tasks/{one}/annotations/", json={"result": choice("Positive"), "ground_truth": True}))
    ok(both.post(f"/api/tasks/{two}/annotations/", json={"result": [], "was_cancelled": True}))
    ok(both.post(f"/api/tasks/{three}/annotations/", json={"result": choice("Negative"), "ground_truth": True}))
    body = ok(both.get(f"/api/projects/{project}/"))
    assert [body[name] for name in COUNTERS] == [4, 3, 1, 2, 1, 1, 1, 2, 4, 3]


def test_a_task_is_finished_by_enough_different_people(api: TestClient, person: Any) -> None:
    """Two annotations of one person count once; the second person finishes the task."""
    project = make_project(api, maximum_annotations=2)
    task = imported(api, project, [{"text": "a"}])["task_ids"][0]
    colleague = person("colleague", default=["annotator"])
    finished = []
    for client in (api, api, colleague):
        ok(client.post(f"/api/tasks/{task}/annotations/", json={"result": choice("Positive")}))
        finished.append((ok(api.get(f"/api/tasks/{task}/"))["is_labeled"], counted(api, project)))
    assert finished == [(False, 0), (False, 0), (True, 1)]


def counted(api: TestClient, project: int) -> int:
    """How many tasks of a project are finished."""
    return int(ok(api.get(f"/api/projects/{project}/"))["finished_task_number"])


@pytest.mark.server("own")
def test_pages_are_newest_first_and_end_with_404(api: TestClient) -> None:
    """count, next and previous are right, and the page past the end is what clients stop at."""
    made = [make_project(api, title=f"Project {number}") for number in range(3)]
    first = ok(api.get("/api/projects/?page_size=2&include=id"))
    assert (first["count"], first["previous"], [item["id"] for item in first["results"]]) == (3, None, made[:0:-1])
    assert first["next"] == "http://testserver/api/projects/?page_size=2&include=id&page=2"
    second = ok(api.get(first["next"]))
    assert (second["next"], second["results"]) == (None, [{"id": made[0]}])
    answer = api.get("/api/projects/?page_size=2&page=3")
    errors_of(answer, 404)
    assert answer.json()["detail"] == "Invalid page."


def test_links_never_repeat_a_token(application: Any, api: TestClient) -> None:
    """A token in the address is not given back in `next`."""
    for number in range(2):
        make_project(api, title=f"Project {number}")
    body = ok(TestClient(application.asgi).get("/api/projects/?page_size=1&api_key=admin-token-for-tests"))
    assert "admin-token" not in body["next"]


def test_projects_are_found_by_title_and_ordered(api: TestClient) -> None:
    """title is contained in any case; ordering takes a closed list of fields."""
    for title in ("Beta", "Alpha", "Gamma ALP"):
        make_project(api, title=title)
    body = ok(api.get("/api/projects/?title=alp&ordering=title&include=title"))
    assert [item["title"] for item in body["results"]] == ["Alpha", "Gamma ALP"]


def test_a_deleted_project_is_gone_with_its_tasks(both: TestClient) -> None:
    """DELETE answers 204, then everything under it is 404, and its id is not used again."""
    project = make_project(both)
    task = imported(both, project, [{"text": "a"}])["task_ids"][0]
    assert both.delete(f"/api/projects/{project}/").status_code == 204
    assert [both.get(path).status_code for path in (f"/api/projects/{project}/", f"/api/tasks/{task}/")] == [404, 404]
    assert both.delete(f"/api/projects/{project}/").status_code == 404
    assert make_project(both) > project


def test_strangers_see_nothing_and_viewers_change_nothing(api: TestClient, person: Any) -> None:
    """Foreign looks like absent; a viewer may look but neither change nor delete."""
    project = make_project(api)
    stranger, viewer = person("stranger"), person("viewer", default=["viewer"])
    assert stranger.get(f"/api/projects/{project}/").json()["detail"] == "No Project matches the given query."
    assert ok(stranger.get("/api/projects/"))["count"] == 0
    assert ok(viewer.get(f"/api/projects/{project}/"))["id"] == project
    assert viewer.patch(f"/api/projects/{project}/", json={"title": "Mine"}).status_code == 403
    assert viewer.delete(f"/api/projects/{project}/").status_code == 403


@pytest.mark.parametrize("number", ["abc", "0", "-1", "9" * 30, "1.5"])
def test_ids_that_are_none_are_not_found(api: TestClient, number: str) -> None:
    """Nothing that is not a 64-bit id reaches the database."""
    errors_of(api.get(f"/api/projects/{number}"), 404)


def test_without_a_token_the_scheme_is_named(application: Any) -> None:
    """401 carries WWW-Authenticate: Token and the original's words."""
    answer = TestClient(application.asgi).get("/api/projects/")
    errors_of(answer, 401)
    assert answer.headers["www-authenticate"] == "Token"
    assert answer.json()["detail"] == "Authentication credentials were not provided."


def test_what_is_not_built_is_501(api: TestClient) -> None:
    """The server says honestly which endpoints it lacks, each with a reason and in the dialect's shape."""
    for unbuilt in UNBUILT:
        for path in unbuilt.paths:
            answer = api.request(unbuilt.methods[0], re.sub(r"\{\w+\}", "1", path), json={})
            errors_of(answer, 501)
            assert answer.json()["detail"].endswith(unbuilt.reason)
            assert not path.endswith("/") or api.get(re.sub(r"\{\w+\}", "1", path) + "what/ever").status_code == 501


def test_methods_that_do_not_exist_are_405(api: TestClient) -> None:
    """The error names the method, as the original does."""
    answer = api.put("/api/projects/1/import", json=[])
    errors_of(answer, 405)
    assert answer.json()["detail"] == 'Method "PUT" not allowed.'


def test_the_version_and_the_caller(api: TestClient) -> None:
    """Clients branch on the edition; whoami tells who asks."""
    version = ok(api.get("/api/version/"))
    assert (version["release"], version["edition"], "version" in version["headrace"]) == ("1.23.2", "Community", True)
    assert ok(api.get("/api/current-user/whoami"))["email"] == "admin@example.org"


@pytest.mark.server("own")
def test_one_key_makes_one_project(api: TestClient) -> None:
    """A creating POST that is repeated under its key gives the first answer again."""
    headers = {"Idempotency-Key": "p"}
    answers = [api.post("/api/projects/", json={"title": "Once"}, headers=headers).text for _ in range(2)]
    assert answers[0] == answers[1]
    assert ok(api.get("/api/projects/"))["count"] == 1
