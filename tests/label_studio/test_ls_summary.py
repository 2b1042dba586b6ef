"""What a project comes to: summary, model versions, annotators, counters, and whether a new label config fits."""

from collections.abc import Callable
from typing import Any

import pytest
from label_studio_api import CONFIG, choice, errors_of, imported, make_project
from starlette.testclient import TestClient

from conftest import ok
from headrace.core import summaries

pytestmark = pytest.mark.server("shared")

MORE = CONFIG.replace("</View>", '<Choices name="topic" toName="text"><Choice value="Price"/></Choices></View>')
OTHER = CONFIG.replace('name="sentiment"', 'name="zz"')


def some_tasks(api: TestClient) -> tuple[int, list[int]]:
    """A project with two annotated tasks and a plain one."""
    project = make_project(api)
    sent = [
        {"data": {"text": "a", "n": 1}, "annotations": [{"result": choice("Positive")}]},
        {"data": {"text": "b"}, "annotations": [{"result": choice("Positive") + choice("Negative")}]},
        {"data": {"text": "c"}, "predictions": [{"result": [], "model_version": "m"}]},
    ]
    return project, imported(api, project, sent)["task_ids"]


def summary(api: TestClient, project: int) -> dict[str, Any]:
    """A project's summary."""
    found: dict[str, Any] = ok(api.get(f"/api/projects/{project}/summary/"))
    return found


def test_a_summary_counts_everything(both: TestClient) -> None:
    """Tasks by data key, regions by control, answers by label, all exact."""
    project, _ = some_tasks(both)
    found = summary(both, project)
    assert (found.pop("project"), found.pop("created_at")) == (
        project,
        ok(both.get(f"/api/projects/{project}"))["created_at"],
    )
    assert found == {
        "all_data_columns": {"text": 3, "n": 1},
        "common_data_columns": ["text"],
        "created_annotations": {"sentiment|text|choices": 3},
        "created_labels": {"sentiment": {"Positive": 2, "Negative": 1}},
        "created_labels_drafts": {},
    }


def test_a_summary_follows_every_change(both: TestClient) -> None:
    """It is never older than the last answer to a write: tasks, annotations, their changes and their ends."""
    project, (first, _, third) = some_tasks(both)
    summary(both, project)
    made = ok(both.post(f"/api/tasks/{third}/annotations/", json={"result": choice("Negative")}))
    assert summary(both, project)["created_labels"]["sentiment"] == {"Positive": 2, "Negative": 2}
    ok(both.patch(f"/api/annotations/{made['id']}/", json={"result": choice("Positive")}))
    assert summary(both, project)["created_labels"]["sentiment"] == {"Positive": 3, "Negative": 1}
    assert both.delete(f"/api/tasks/{first}/").status_code == 204
    assert summary(both, project)["all_data_columns"] == {"text": 2}
    assert both.delete(f"/api/annotations/{made['id']}/").status_code == 204
    assert summary(both, project)["created_annotations"] == {"sentiment|text|choices": 2}


def test_a_summary_is_counted_by_chunks(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the chunks, the counts are the same."""
    monkeypatch.setattr(summaries, "CHUNK", 1)
    project, _ = some_tasks(api)
    assert summary(api, project)["all_data_columns"] == {"text": 3, "n": 1}
    assert summary(api, project)["created_annotations"] == {"sentiment|text|choices": 3}


def test_model_versions_and_annotators(api: TestClient) -> None:
    """Predictions are counted by version; annotators are the people who annotated, once each."""
    project, _ = some_tasks(api)
    assert ok(api.get(f"/api/projects/{project}/model-versions/")) == {"m": 1}
    people = ok(api.get(f"/api/projects/{project}/annotators/"))
    assert people == [{"id": 1, "first_name": "", "last_name": "", "email": "admin@example.org", "avatar": None}]
    assert ok(api.get(f"/api/projects/{make_project(api)}/annotators/")) == []


@pytest.mark.server("own")
def test_counters_come_in_pages(api: TestClient) -> None:
    """Oldest project first, with the original's nine fields, a link to the next page, and 404 behind the last."""
    project, _ = some_tasks(api)
    make_project(api)
    found = ok(api.get("/api/projects/counts/?page_size=1"))
    assert (found["count"], found["previous"]) == (2, None)
    assert found["next"].endswith("/api/projects/counts/?page_size=1&page=2")
    assert found["results"] == [
        {
            "id": project,
            "num_tasks_with_annotations": 0,
            "task_number": 3,
            "useful_annotation_number": 0,
            "ground_truth_number": 2,
            "skipped_annotations_number": 0,
            "total_annotations_number": 2,
            "total_predictions_number": 1,
            "finished_task_number": 2,
        }
    ]
    errors_of(api.get("/api/projects/counts/?page=3&page_size=1"), 404)


@pytest.mark.parametrize(("config", "changed"), [(CONFIG, None), (MORE, True)])
def test_a_config_that_fits_says_whether_it_changes_anything(api: TestClient, config: str, changed: bool) -> None:
    """The same questions change nothing, a new one does."""
    project, _ = some_tasks(api)
    answer = ok(api.post(f"/api/projects/{project}/validate/", json={"label_config": config}))
    assert answer == {"config_essential_data_has_changed": changed}


def test_a_config_that_loses_annotations_is_refused(api: TestClient) -> None:
    """The original's text names the controls that annotations still have, with their number."""
    project, _ = some_tasks(api)
    found = errors_of(api.post(f"/api/projects/{project}/validate/", json={"label_config": OTHER}))
    assert found == {
        "non_field_errors": [
            "Created annotations are incompatible with provided labeling schema, we found:\n"
            "3 with from_name=sentiment, to_name=text, type=choices"
        ]
    }
    assert list(errors_of(api.post(f"/api/projects/{project}/validate/", json={"label_config": "<V"}))) == [
        "label_config"
    ]


@pytest.mark.parametrize("path", ["summary", "model-versions", "annotators"])
def test_a_foreign_project_is_absent(api: TestClient, person: Callable[..., TestClient], path: str) -> None:
    """Who has no part in the project learns nothing of it."""
    project, _ = some_tasks(api)
    errors_of(person("nobody").get(f"/api/projects/{project}/{path}"), 404)
    assert person("viewer", default=["viewer"]).get(f"/api/projects/{project}/{path}").status_code == 200
