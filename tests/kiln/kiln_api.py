"""What the tests of this dialect share: a client as Kiln's callers are, projects, tasks and runs."""

from itertools import count
from typing import Any

from starlette.testclient import TestClient

from conftest import ADMIN_TOKEN, ok
from headrace.app import Application

_numbers = count(1)
MODEL = {"model_name": "gpt-4o", "model_provider": "openai", "adapter_name": "kiln_langchain_adapter"}
HUMAN = {"type": "human", "properties": {"created_by": "bob"}}


def kiln_client(application: Application, token: str = ADMIN_TOKEN) -> TestClient:
    """A client that presents its token the way Kiln's callers do."""
    headers = {"Authorization": f"Bearer {token}"}
    return TestClient(application.asgi, headers=headers, raise_server_exceptions=False)


def make_task(api: TestClient, project: str = "", **fields: Any) -> str:
    """The path of a new task, in a new project unless one is named."""
    project = project or ok(api.post("/api/projects", json={"name": f"Support Bot {next(_numbers)}"}))["id"]
    body = {"name": "Answer", "instruction": "Answer the customer.", **fields}
    task = ok(api.post(f"/api/projects/{project}/tasks", json=body))
    return f"/api/projects/{project}/tasks/{task['id']}"


def make_run(api: TestClient, task: str, **fields: Any) -> dict[str, Any]:
    """A new run."""
    body = {"input": "Where is my order?", "output": "It ships today.", **MODEL, **fields}
    run: dict[str, Any] = ok(api.post(f"{task}/runs", json=body))
    return run


def run_path(task: str, run: dict[str, Any]) -> str:
    """Where a run is."""
    return f"{task}/runs/{run['id']}"


def rated(value: float | None, **fields: Any) -> dict[str, Any]:
    """The change that rates a run."""
    return {"output": {"rating": {"value": value, **fields}}}


def faults(answer: Any, status: int = 422) -> list[str]:
    """The messages of an answer that refuses, whose envelope is checked as a whole."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["error_messages", "message", "source_errors"]
    assert body["message"] == ".\n".join(body["error_messages"])
    assert all(list(item) == ["type", "loc", "msg", "input", "ctx"] for item in body["source_errors"])
    return list(body["error_messages"])
