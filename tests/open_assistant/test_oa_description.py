"""The published description is complete enough to build a client or a mock from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from conftest import ok
from headrace.core.messages import TaskKind
from headrace.core.uuids import Kind, number_of, uuid_of
from headrace.dialects.open_assistant.examples import TASKS
from headrace.dialects.open_assistant.tasks import SHAPES
from headrace.dialects.open_assistant.wire import UUID

ESSENTIAL = {
    ("post", "/api/v1/tasks/"): "200",
    ("post", "/api/v1/tasks/availability"): "200",
    ("post", "/api/v1/tasks/{task_id}/ack"): "204",
    ("post", "/api/v1/tasks/{task_id}/nack"): "204",
    ("post", "/api/v1/tasks/interaction"): "200",
    ("post", "/api/v1/tasks/close"): "200",
    ("post", "/api/v1/text_labels/"): "204",
    ("get", "/api/v1/text_labels/valid_labels"): "200",
    ("get", "/api/v1/messages/"): "200",
    ("get", "/api/v1/messages/cursor"): "200",
    ("get", "/api/v1/messages/{message_id}"): "200",
    ("post", "/api/v1/frontend_users/"): "200",
}
NEVER_GIVEN = {
    "summarize_story",
    "rate_summary",
    "rank_initial_prompts",
    "reply_to_conversation",
    "rank_conversation_replies",
    "label_conversation_reply",
    "task_done",
}


@pytest.fixture(scope="module")
def document(shared_api: TestClient) -> Any:
    """This dialect's own description, which needs no key."""
    del shared_api.headers["Authorization"]
    return ok(shared_api.get("/api/v1/openapi.json"))


@pytest.mark.parametrize(("method", "path"), ESSENTIAL)
def test_operations_are_described(document: Any, method: str, path: str) -> None:
    """Each operation has its one good status, a body or query where it takes one, the key and the refusals."""
    operation = document["paths"][path][method]
    status = ESSENTIAL[method, path]
    assert [code for code in operation["responses"] if code.startswith("2")] == [status]
    assert ("content" in operation["responses"][status]) is (status == "200")
    assert {"APIKeyHeader": []} in operation["security"]
    assert {"422", "4XX", "5XX"} <= set(operation["responses"])
    assert ("requestBody" in operation) is (method == "post")


def test_task_union_names_every_kind(document: Any) -> None:
    """The answer of POST /tasks/ is told apart by its type, also kinds that are never given."""
    answer = document["paths"]["/api/v1/tasks/"]["post"]["responses"]["200"]["content"]["application/json"]
    union = answer["schema"]
    assert union["discriminator"]["propertyName"] == "type"
    assert set(union["discriminator"]["mapping"]) == NEVER_GIVEN | {kind.value for kind in SHAPES}
    assert len(union["oneOf"]) == len(union["discriminator"]["mapping"])


def test_examples_are_valid(document: Any) -> None:
    """Each example is what the schema says, nulls included, and every kind of task that is given has one."""
    answer = document["paths"]["/api/v1/tasks/"]["post"]["responses"]["200"]["content"]["application/json"]
    validator = Draft202012Validator({**answer["schema"], "components": document["components"]})
    for example in answer["examples"].values():
        validator.validate(example["value"])
    assert answer["examples"]["initial_prompt"]["value"]["hint"] is None
    assert {TaskKind(name) for name in TASKS if name != "task_done"} == set(SHAPES)


def test_both_descriptions_agree(document: Any, shared_api: TestClient) -> None:
    """The server's whole description holds every path of the dialect's own."""
    assert set(document["paths"]) <= set(ok(shared_api.get("/openapi.json"))["paths"])
    assert (document["info"]["title"], document["info"]["version"]) == ("open-assistant backend", "0.1.0")


@given(number=st.integers(1, 2**63 - 1), kind=st.sampled_from(Kind), other=st.integers(1, 2**63 - 1))
def test_ids_are_reversible(number: int, kind: Kind, other: int) -> None:
    """A UUID carries its number, means nothing as another kind of thing, and sorts like the number."""
    text = uuid_of(number, kind)
    assert UUID(text).version == 8
    assert [number_of(UUID(text), each) for each in Kind] == [number if each is kind else 0 for each in Kind]
    assert (text < uuid_of(other, kind)) == (number < other)
