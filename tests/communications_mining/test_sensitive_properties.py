"""Sensitive user properties are hidden from callers without View sensitive data, wherever comments are shown."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cm_world import DATASET, SOURCE, STREAMS, annotate, comment, make_dataset, make_source, upload
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from conftest import ok
from headrace.core.content import Kind, masked

CANARY = "canary-123"
PROPERTIES = {"string:SSN": CANARY, "number:SSN": 987654321, "string:City": "London", "number:Age": 7}
EVERY_WAY: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", f"/api/v1/sources/{SOURCE}/comments/a", {}),
    ("GET", f"/api/_private/sources/{SOURCE}/comments", {}),
    ("POST", f"/api/v1/datasets/{DATASET}/export", {"json": {}}),
    ("POST", f"/api/v1/datasets/{DATASET}/export", {"json": {"comment_uids": ["{uid}"]}}),
    ("GET", f"/api/_private/datasets/{DATASET}/labellings", {}),
    ("GET", f"/api/_private/datasets/{DATASET}/labellings?id={{uid}}", {}),
    (
        "POST",
        f"/api/_private/datasets/{DATASET}/query",
        {"json": {"filter": {}, "limit": 4, "order": {"kind": "recent"}}},
    ),
    ("POST", f"/api/voc/datasets/{DATASET}/recent", {"json": {"limit": 1}}),
    ("POST", f"{STREAMS}/all/fetch", {"json": {"size": 4}}),
]


@pytest.fixture
def world(api: TestClient, person: Callable[..., TestClient]) -> tuple[TestClient, TestClient, str]:
    """A caller who may do everything but see sensitive data, one who may see it too, and a comment's uid."""
    source = make_source(api, sensitive_properties=["string:SSN", "number:SSN"])
    make_dataset(api, source)
    ok(api.put(STREAMS, json={"stream": {"name": "all"}}))
    upload(api, comment("a", user_properties=PROPERTIES))
    annotate(api, f"{source}.a", "A")
    blind = person("blind", default=["developer"])
    sighted = person("sighted", default=["developer", "sources-read-sensitive"])
    return blind, sighted, f"{source}.a"


@pytest.mark.parametrize(("method", "path", "options"), EVERY_WAY)
def test_sensitive_properties_are_hidden(
    world: tuple[TestClient, TestClient, str], method: str, path: str, options: dict[str, Any]
) -> None:
    """Nobody reads the value without the permission; everybody with it does, and the rest stays as it was."""
    blind, sighted, uid = world
    if "comment_uids" in options.get("json", {}):
        options = {"json": {"comment_uids": [uid]}}
    seen = blind.request(method, path.format(uid=uid), **options)
    ok(seen)
    assert CANARY not in seen.text
    assert "987654321" not in seen.text
    assert '"string:SSN":"***"' in seen.text
    assert '"string:City":"London"' in seen.text
    whole = sighted.request(method, path.format(uid=uid), **options)
    ok(whole)
    assert CANARY in whole.text
    assert "987654321" in whole.text


def test_a_label_hides_nothing_new(world: tuple[TestClient, TestClient, str]) -> None:
    """The answer to a labelling is masked as well."""
    blind, _, uid = world
    answer = blind.post(f"/api/_private/datasets/{DATASET}/labellings/{uid}", json={"labelling": [{"assigned": []}]})
    ok(answer)
    assert CANARY not in answer.text


def test_tasks_hide_them_too(api: TestClient, person: Callable[..., TestClient]) -> None:
    """The same record behind another API's door is masked in the same way."""
    project = ok(
        api.post(
            "/api/projects/", json={"title": "Project", "label_config": "<View><Text name='t' value='$text'/></View>"}
        )
    )
    ok(api.post(f"/api/projects/{project['id']}/import", json=[{"text": "hello", "SSN": CANARY}]))
    source = ok(api.get("/api/v1/sources"))["sources"][0]
    ok(api.post(f"/api/v1/sources/id:{source['id']}", json={"source": {"sensitive_properties": ["string:SSN"]}}))
    blind = person("blind", default=["developer"])
    assert CANARY in api.get(f"/api/projects/{project['id']}/tasks/").text
    seen = blind.get(f"/api/projects/{project['id']}/tasks/")
    assert seen.json()[0]["data"] == {"text": "hello", "SSN": "***"}


@given(
    st.dictionaries(st.sampled_from(["string:a", "string:b", "number:a", "number:b"]), st.text() | st.integers()),
    st.sets(st.sampled_from(["string:a", "number:a", "a", "b", "string:c"])),
)
def test_masking_touches_only_what_is_named(properties: dict[str, Any], names: set[str]) -> None:
    """No named value survives and no other changes, whatever the values are."""
    body = json.dumps({"id": "x", "messages": [], "user_properties": properties})
    after = json.loads(masked(Kind.COMMENT, body, names))["user_properties"]
    for key, value in properties.items():
        if key in names or key.partition(":")[2] in names:
            assert after.get(key, "***") == "***"
        else:
            assert after[key] == value
    assert set(after) <= set(properties)
