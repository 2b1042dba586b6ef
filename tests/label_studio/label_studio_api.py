"""What the tests of this dialect share: a label config, projects, imports that are waited for."""

import json
import time
from typing import Any

from starlette.testclient import TestClient

from conftest import ok

CONFIG = (
    '<View><Text name="text" value="$text"/>'
    '<Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
WAIT_SECONDS = 30.0


def make_project(api: TestClient, **fields: Any) -> int:
    """The id of a new project, with the label config above unless another is given."""
    return int(ok(api.post("/api/projects/", json={"title": "Reviews", "label_config": CONFIG, **fields}))["id"])


def import_path(project: int, query: str = "") -> str:
    """Where a project's imports go."""
    return f"/api/projects/{project}/import{query}"


def status_of(api: TestClient, project: int, number: int) -> dict[str, Any]:
    """The status of an import once it has ended."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        status: dict[str, Any] = ok(api.get(f"/api/projects/{project}/imports/{number}/"))
        if status["status"] in ("completed", "failed") or time.monotonic() > deadline:
            return status
        time.sleep(0.02)


def imported(api: TestClient, project: int, tasks: Any, query: str = "?return_task_ids=true") -> dict[str, Any]:
    """The status of an import of tasks once it has ended."""
    answer = api.post(
        import_path(project, query), content=json.dumps(tasks), headers={"Content-Type": "application/json"}
    )
    return status_of(api, project, ok(answer)["import"])


def choice(value: str) -> list[dict[str, Any]]:
    """The result that chooses one value."""
    return [{"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [value]}}]


def task_count(api: TestClient, project: int) -> int:
    """How many tasks a project has."""
    return int(ok(api.get(f"/api/projects/{project}/"))["task_number"])


def errors_of(answer: Any, status: int = 400) -> Any:
    """The validation errors of an answer, whose error body is checked as a whole."""
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert list(body)[:5] == ["id", "status_code", "version", "detail", "exc_info"]
    assert (body["status_code"], body["exc_info"]) == (status, None)
    return body.get("validation_errors")
