"""How many statements the requests cost that people send all day, and how SQLite answers them: what grows here is paid
for by everybody."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.dialects import sqlite
from starlette.testclient import TestClient

from conftest import ok
from headrace.app import Application
from headrace.core.content import Kind
from headrace.core.records import NewRecord
from headrace.storage import annotations, queue, runs, task_predictions, work

MODEL = {"model_name": "gpt-4o", "model_provider": "openai", "adapter_name": "langchain"}
RUN = {"input": "Where is my order?", "output": "It ships today.", **MODEL}
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="Good"/><Choice value="Bad"/></Choices></View>'
)
RESULT = [{"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": ["Good"]}}]
ANNOTATION_MOST, TASK_PAGE_MOST, PATCH_MOST, RUN_LIST_MOST = 19, 16, 25, 5
WORK_MOST = (14, 8, 29)


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that are executed meanwhile, but for what begins and ends transactions and what the jobs ask."""
    seen: list[str] = []

    def executed(_: Any, __: Any, statement: str, *___: Any) -> None:
        if not statement.startswith("BEGIN") and "jobs" not in statement:
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", executed)
    yield seen
    event.remove(Engine, "before_cursor_execute", executed)


PLANS = {
    "ten annotated": (annotations.AT_LEAST, "ix_annotations_current (dataset_id=?)"),
    "my annotation": (annotations.AUTHORED, "ix_annotations_counts (dataset_id=? AND record_id=? AND author_id=?)"),
    "annotations": (annotations.OF_RECORDS, "ix_annotations_record (record_id=? AND dataset_id=?)"),
    "runs to change": (runs.LOCKED, "PRIMARY KEY (rowid=?)"),
    "a page of runs": (runs.PAGE, "ix_records_timestamp (source_id=?)"),
    "my leases": (work.LIVE_OF_KIND, "ix_work_person (dataset_id=? AND person_id=?)"),
    "people": (queue.PEOPLE, "ix_annotations_counts (dataset_id=? AND record_id=?)"),
    "predictions": (task_predictions.ALL_OF, "ix_predictions_pushed (dataset_id=? AND record_id=? AND model_id=?)"),
}


@pytest.mark.parametrize("name", PLANS)
def test_hot_statements_search_by_an_index(name: str, migrated_sqlite: Path) -> None:
    """What every annotation and every page asks is found by the index that leaves the least to look through."""
    statement, index = PLANS[name]
    compiled = statement.compile(dialect=sqlite.dialect())
    with closing(sqlite3.connect(migrated_sqlite)) as connection:
        given = [None] * len(compiled.positiontup or ())
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}", given)]
    assert any(index in step for step in plan), plan
    assert not any(step.startswith("SCAN") for step in plan if "json_each" not in step and "anon" not in step), plan


def project_with_tasks(application: Application, api: TestClient, count: int) -> tuple[int, list[int]]:
    """A new project with tasks, and their ids."""
    number = ok(api.post("/api/projects/", json={"title": "Reviews", "label_config": CONFIG}))["id"]
    rows = [NewRecord(None, Kind.TASK, '{"text":"good"}', None, 0)] * count
    dataset = application.store.read(lambda tx: tx.datasets.get(number, None))
    assert dataset is not None
    assert dataset.own_source_id is not None
    source_id = dataset.own_source_id
    return number, list(application.store.write(lambda tx: tx.records.insert(source_id, rows)))


def test_an_annotation_costs_few_statements(application: Application, api: TestClient) -> None:
    """Annotating a task is a known number of statements, the caller's identity included."""
    _, ids = project_with_tasks(application, api, 3)
    for task in ids[:2]:
        with statements() as seen:
            ok(api.post(f"/api/tasks/{task}/annotations/", json={"result": RESULT}))
    assert 0 < len(seen) <= ANNOTATION_MOST, seen


def test_a_page_of_tasks_costs_the_same_statements_for_any_number(application: Application, api: TestClient) -> None:
    """A page of tasks is a known number of statements, however many tasks and annotations it shows."""
    number, ids = project_with_tasks(application, api, 60)
    for task in ids[:3]:
        ok(api.post(f"/api/tasks/{task}/annotations/", json={"result": RESULT}))
    costs = []
    for size in (5, 50):
        with statements() as seen:
            page = ok(api.get(f"/api/tasks/?project={number}&page_size={size}&fields=all"))
        assert len(page["tasks"]) == size
        costs.append(len(seen))
    assert costs[0] == costs[1]
    assert 0 < costs[0] <= TASK_PAGE_MOST


def test_rating_a_run_costs_few_statements(application: Application, api: TestClient) -> None:
    """Rating a run that has been rated is a known number of statements; so is a list of runs of any length."""
    project = ok(api.post("/kiln/api/projects", json={"name": "Support"}))["id"]
    task = ok(api.post(f"/kiln/api/projects/{project}/tasks", json={"name": "Answer", "instruction": "Answer."}))["id"]
    path = f"/api/projects/{project}/tasks/{task}/runs"
    made = [ok(api.post(path, json=RUN))["id"] for _ in range(4)]
    for stars in (3, 4, 5):
        with statements() as seen:
            change = {"output": {"rating": {"type": "five_star", "value": stars}}}
            ok(api.patch(f"{path}/{made[0]}", json=change))
    assert 0 < len(seen) <= PATCH_MOST, seen
    with statements() as seen:
        assert len(ok(api.get(path))) == len(made)
    assert 0 < len(seen) <= RUN_LIST_MOST, seen


def test_a_conversation_task_costs_few_statements(api: TestClient) -> None:
    """Being given a task of any kind, taking it and labelling is a known number of statements each."""
    people = [{"id": name, "display_name": name, "auth_method": "local"} for name in ("ann", "bob", "eve")]
    for place, user in enumerate(people):
        task = ok(api.post("/api/v1/tasks/", json={"type": "initial_prompt", "user": user}))
        ok(api.post(f"/api/v1/tasks/{task['id']}/ack", json={"message_id": f"k{place}"}))
        text = {"type": "text_reply_to_message", "text": f"Prompt {place}", "user_message_id": f"m{place}"}
        ok(api.post("/api/v1/tasks/interaction", json={**text, "user": user, "message_id": f"k{place}"}))
    # So that whatever is drawn is a review.
    ok(api.patch("/headrace/v1/conversations/config", json={"init_prompt_disabled_langs": ["en"]}))
    with statements() as asking:
        task = ok(api.post("/api/v1/tasks/", json={"type": "random", "user": people[0], "lang": "en"}))
    with statements() as taking:
        ok(api.post(f"/api/v1/tasks/{task['id']}/ack", json={"message_id": "k9"}))
    said = {"type": "text_labels", "task_id": task["id"], "message_id": task["message_id"], "text": ""}
    labels = dict.fromkeys(task["valid_labels"], 0.0)
    with statements() as labelling:
        ok(api.post("/api/v1/tasks/interaction", json={**said, "labels": labels, "user": people[0]}))
    costs = [len(asking), len(taking), len(labelling)]
    assert all(0 < found <= most for found, most in zip(costs, WORK_MOST, strict=True)), [costs, asking, labelling]
