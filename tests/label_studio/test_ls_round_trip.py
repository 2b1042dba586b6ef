"""What a JSON export writes is the same project again when it is imported elsewhere."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from label_studio_api import choice, import_path, imported, make_project
from starlette.testclient import TestClient

from conftest import ok

pytestmark = pytest.mark.server("shared")

FULL = {"predictions": {"only_id": False}, "annotations__completed_by": {"only_id": False}}
OWN = ("id", "task", "project", "import_id", "created_at", "updated_at", "inner_id", "annotation", "file_upload")
WHOLE = ("completed_by",)
results = st.sampled_from(["Positive", "Negative"]).map(choice)
annotation = st.fixed_dictionaries(
    {"result": results, "was_cancelled": st.booleans(), "ground_truth": st.booleans()},
    optional={
        "lead_time": st.floats(0, 1e6),
        "unique_id": st.text("abc", min_size=1, max_size=5),
        "completed_by": st.sampled_from([1, {"email": "admin@example.org"}]),
    },
)
prediction = st.fixed_dictionaries(
    {"result": results, "score": st.floats(0, 1), "model_version": st.sampled_from(["m1", "m2"])}
)
draft = st.fixed_dictionaries({"result": results, "lead_time": st.none() | st.floats(0, 100)})
task = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {"text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))}
        ),
        "meta": st.dictionaries(st.text("xyz", min_size=1), st.integers(-9, 9), max_size=2),
        "annotations": st.lists(annotation, max_size=3),
        "predictions": st.lists(prediction, max_size=2),
        "drafts": st.lists(draft, max_size=2),
    }
)


def exported(api: TestClient, project: int) -> list[dict[str, Any]]:
    """All tasks of a project in full, as a snapshot holds them."""
    path = f"/api/projects/{project}/exports/"
    made = ok(api.post(path, json={"serialization_options": FULL}))
    found: list[dict[str, Any]] = ok(api.get(f"{path}{made['id']}/download"))
    return found


def bare(value: Any) -> Any:
    """A value without what the server gives out itself: ids and times."""
    if isinstance(value, list):
        return [bare(item) for item in value]
    if isinstance(value, dict):
        return {name: bare(item) for name, item in value.items() if name not in OWN} | {
            name: value[name] for name in WHOLE if name in value
        }
    return value


def by_version(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tasks whose predictions stand in the order of their text: a project shows its chosen model's first."""
    return [task | {"predictions": sorted(task["predictions"], key=str)} for task in tasks]


@settings(
    max_examples=5, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(task, min_size=1, max_size=4))
def test_an_export_imports_to_the_same_state(api: TestClient, tasks: list[dict[str, Any]]) -> None:
    """Data, meta, annotations, predictions and drafts are the same again, and so is a second export."""
    first, second = make_project(api), make_project(api)
    assert imported(api, first, tasks)["error"] is None
    before = exported(api, first)
    assert sum(len(item["drafts"]) for item in before) == sum(len(item["drafts"]) for item in tasks)
    assert imported(api, second, before)["error"] is None
    assert by_version(bare(exported(api, second))) == by_version(bare(before))


def test_keys_and_the_place_of_drafts_survive(api: TestClient) -> None:
    """A task keeps the caller's own key, an annotation knows its former id, a draft its annotation."""
    first, second = make_project(api), make_project(api)
    sent = {"data": {"text": "a"}, "external_id": "k", "annotations": [{"result": choice("Positive"), "id": 5}]}
    imported(api, first, [{**sent, "drafts": [{"result": [], "annotation": 5}, 7]}])
    before = exported(api, first)
    imported(api, second, before)
    after = exported(api, second)[0]
    assert (after["external_id"], after["annotations"][0]["import_id"]) == ("k", before[0]["annotations"][0]["id"])
    assert after["drafts"][0]["annotation"] == after["annotations"][0]["id"]
    again = imported(api, second, before)
    assert (again["unchanged_task_count"], len(exported(api, second))) == (1, 1)


def test_the_plain_export_comes_in_again(api: TestClient) -> None:
    """With predictions as bare ids the rest is the same."""
    first, second = make_project(api), make_project(api)
    item = {"data": {"text": "a"}, "annotations": [{"result": choice("Positive")}], "predictions": [{"result": []}]}
    imported(api, first, [item])
    text = api.get(f"/api/projects/{first}/export", params={"download_all_tasks": "true"}).content
    made = ok(api.post(import_path(second), content=text, headers={"Content-Type": "application/json"}))
    assert (made["task_count"], made["annotation_count"], made["prediction_count"]) == (1, 1, 0)
    assert json.loads(text)[0]["annotations"][0]["result"] == choice("Positive")
