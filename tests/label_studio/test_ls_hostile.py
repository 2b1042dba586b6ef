"""Hostile values at every endpoint: each is refused or taken as data, and none brings a crash."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import Any, TypeVar

import pytest
from label_studio_api import CONFIG, choice, imported, make_project
from starlette.testclient import TestClient

from conftest import ok
from everything import Target, targets

T = TypeVar("T")
VALUES = ("\0", "x" * 70_000, -1, 0, 2**63 - 1, 1e308, None, True, [], {}, [[{}]], {"a": {"b": [None]}}, "9" * 30)
RAW = (
    b"",
    b"{",
    b"\xff\xfe",
    b'"\\ud800"',
    b'{"\\u0000":1}',
    b"NaN",
    b"18446744073709551616",
    b"[" * 101,
    b"null",
    b"7",
)
QUERY_NAMES = (
    *("page", "page_size", "project", "view", "task", "query", "selectedItems", "fields", "include", "ids", "ids[]"),
    *("ordering", "title", "export_type", "exportType", "since", "format", "all", "id", "only_annotated", "search"),
    *("return_task_ids", "commit_to_project", "preannotated_from_fields", "external_id", "on_error", "dry_run"),
)
QUERY_VALUES = (
    "",
    "\0",
    "-1",
    "9" * 30,
    "1" * 5_000,
    "[",
    '{"filters":{"items":[1]}}',
    "\U000e0000",
    "{}",
    "null",
    "NaN",
)
ITEM = {"filter": "filter:tasks:data.text", "operator": "contains", "type": "String", "value": "a"}
FILTERS = {"filters": {"conjunction": "and", "items": [ITEM]}, "ordering": ["-tasks:data.text"]}
RESULT = choice("Positive")
AUTHOR = {"email": "admin@example.org"}


def bodies(ids: dict[str, int]) -> dict[str, Any]:
    """A body that each handler takes."""
    selected = {"all": False, "included": [ids["task"]]}
    annotation = {"result": RESULT, "lead_time": 1.5, "completed_by": AUTHOR, "unique_id": "u", "draft_id": 999}
    prediction = {"task": ids["task"], "result": RESULT, "score": 0.5, "model_version": "v"}
    drafts = [{"result": RESULT, "lead_time": 1}]
    task = {"data": {"text": "a"}, "meta": {"a": 1}, "annotations": [annotation], "predictions": [prediction]}
    return {
        "create_project": {"title": "Some", "label_config": CONFIG, "maximum_annotations": 1, "control_weights": {}},
        "update_project": {
            "description": "d",
            "sampling": "Uniform sampling",
            "model_version": "v",
            "color": "#FFFFFF",
        },
        "validate_config": {"label_config": CONFIG},
        "validate_project_config": {"label_config": CONFIG},
        "create_task": {"project": ids["project"], "data": {"text": "a"}, "meta": {}},
        "update_task": {"data": {"text": "a"}, "meta": {}},
        "start_import": [task | {"drafts": drafts, "external_id": "k"}],
        "import_predictions": [prediction],
        "create_prediction": prediction,
        "update_prediction": prediction,
        "delete_model_version": {"model_version": "v"},
        "create_annotation": annotation,
        "update_annotation": {"result": RESULT, "was_cancelled": False, "ground_truth": True, "reason": "r"},
        "create_annotations": {"tasks": [ids["task"]], "result": RESULT, "project": ids["project"]},
        "delete_annotations": {"ids": [999], "project": ids["project"]},
        "create_draft": drafts[0] | {"was_postponed": False},
        "update_draft": drafts[0],
        "create_view": {"project": ids["project"], "data": {"title": "V", **FILTERS}},
        "update_view": {"data": {"title": "V", **FILTERS}},
        "order_views": {"project": ids["project"], "ids": [ids["view"]]},
        "delete_views": {"project": ids["project"]},
        "take_action": {**FILTERS, "selectedItems": selected, "model_version": "v"},
        "create_snapshot": {
            "title": "S",
            "task_filter_options": {"view": ids["view"], "skipped": "only"},
            "serialization_options": {"drafts": {"only_id": True}},
        },
        "convert_snapshot": {"export_type": "CSV"},
        "start_reimport": {"file_upload_ids": [1], "files_as_tasks_list": True},
        "delete_file_uploads": {"file_upload_ids": [999]},
        "create_webhook": {"url": "http://10.0.0.1/", "project": ids["project"], "headers": {"a": "b"}, "actions": []},
        "update_webhook": {"headers": {"a": "b"}, "actions": ["TASKS_CREATED"], "is_active": False},
        "replay": {"from": "2026-11-01T00:00:00Z"},
        "replay_dead_letters": {"ids": [1]},
        "create_user": {"username": "x", "email": "x@example.org", "first_name": "F"},
        "update_user": {"first_name": "F", "phone": "1"},
        "update_current_user": {"last_name": "L"},
        "update_hotkeys": {"custom_hotkeys": {"a": {"key": "b"}}},
        "refresh_token": {"refresh": "x.y.z"},
        "blacklist_token": {"refresh": "x.y.z"},
        "rotate_token": {"refresh": "x.y.z"},
        "change_token_settings": {"api_tokens_enabled": True, "api_token_ttl_days": 200},
    }


def mutated(value: Any) -> Iterator[Any]:
    """A body with each of its parts replaced by every hostile value, one at a time."""
    yield from VALUES
    if isinstance(value, dict):
        for name, item in value.items():
            yield from ({**value, name: changed} for changed in mutated(item))
        yield value | {"\0": "\0"}
    elif isinstance(value, list) and value:
        yield from ([changed, *value[1:]] for changed in mutated(value[0]))


@pytest.fixture(scope="module")
def ids(shared_api: TestClient) -> dict[str, int]:
    """Something of each kind that a path can name."""
    project = make_project(shared_api)
    item = {"data": {"text": "a"}, "annotations": [{"result": RESULT}], "predictions": [{"result": RESULT}]}
    (task,) = imported(shared_api, project, [item])["task_ids"]
    found = ok(shared_api.get(f"/api/tasks/{task}/"))
    return {
        "project": project,
        "task": task,
        "annotation": found["annotations"][0]["id"],
        "prediction": found["predictions"][0]["id"],
        "draft": ok(shared_api.post(f"/api/tasks/{task}/drafts", json={"result": RESULT}))["id"],
        "view": ok(shared_api.post("/api/dm/views/", json={"project": project, "data": {}}))["id"],
        "export": ok(shared_api.post(f"/api/projects/{project}/exports/", json={}))["id"],
        "import": 1,
        "user": 1,
        "organization": 1,
    }


ALL = [target for target in targets("label_studio") if target.handler not in ("not_built", "refuse_login")]
RUINOUS = {"delete_views", "delete_model_version", "reset_opaque_token"}
ONE_IN = pytest.mark.parametrize("one_in", [43, pytest.param(1, marks=pytest.mark.acceptance)])
"""The default suite asks a sample, the acceptance tests everything."""


def asked(api: TestClient, target: Target, ids: dict[str, int], **options: Any) -> None:
    """Ask, and look only at whether the server kept its head."""
    answer = api.request(target.method, target.url({name: str(number) for name, number in ids.items()}), **options)
    assert answer.status_code < 500 or answer.status_code == 501, f"{target} {str(options)[:300]}: {answer.text[:300]}"


def every(items: Iterable[T], one_in: int) -> Iterator[T]:
    """The items, or a sample of them."""
    return islice(items, 0, None, one_in)


@ONE_IN
def test_hostile_bodies(shared_api: TestClient, ids: dict[str, int], one_in: int) -> None:
    """Whatever stands in a body, in its place or out of it, the answer is no crash."""
    options: Any = {"headers": {"Content-Type": "application/json"}}
    options["params"] = {"id": "predictions_to_annotations", "project": ids["project"]}
    found = {item.handler: item for item in ALL if item.method in ("POST", "PUT", "PATCH")}
    cases = (
        (target, text) for target in found.values() if target.handler not in RUINOUS for text in texts(target, ids)
    )
    for target, text in every(cases, one_in):
        asked(shared_api, target, ids, content=text, **options)


def texts(target: Target, ids: dict[str, int]) -> Iterator[bytes]:
    """Hostile bodies for an endpoint."""
    yield from RAW
    yield from (json.dumps(body).encode() for body in mutated(bodies(ids).get(target.handler, {})))


@ONE_IN
def test_hostile_queries(shared_api: TestClient, ids: dict[str, int], one_in: int) -> None:
    """Nor does any query parameter of a list or a download bring one."""
    readers = [target for target in ALL if target.method == "GET"]
    for target, name, value in every(product(readers, QUERY_NAMES, QUERY_VALUES), one_in):
        asked(shared_api, target, ids, params={"project": ids["project"], name: value})


@ONE_IN
def test_hostile_paths(shared_api: TestClient, ids: dict[str, int], one_in: int) -> None:
    """Nor do ids that are none, in every place of every path."""
    numbers = ("0", "-1", "9" * 40, "x%00y", "%ff", "1.5")
    for target, number in every(product(ALL, numbers), -(-one_in // 8)):
        path = re.sub(r"\{\w+\}", number, target.path) + "/"
        asked(shared_api, target._replace(path=path), ids)
