"""What a source says of itself and of its comments' number."""

from typing import Any

import pytest
from cm_world import annotate, comment, make_dataset, make_source, the_source, upload
from starlette.testclient import TestClient

from conftest import ok

SOURCE = "/api/v1/sources/default/mail"


def count(api: TestClient, **filter: Any) -> int:
    """How many comments of the source match."""
    found = ok(api.post(f"{SOURCE}/statistics", json={"comment_filter": filter}))["statistics"]["num_comments"]
    assert isinstance(found, int)
    return found


def test_an_empty_filter_counts_everything(both: TestClient) -> None:
    """The number follows uploads, repeated uploads and deletions, on both databases."""
    make_source(both)
    assert count(both) == 0
    upload(both, comment("a"), comment("b"), comment("c"))
    upload(both, comment("a", "changed"), comment("b"))
    ok(both.delete(f"{SOURCE}/comments?id=c&id=gone"))
    assert count(both, timestamp={}, messages={}) == 2
    assert ok(both.post(f"{SOURCE}/statistics", json={}))["statistics"] == {"num_comments": 2}


def test_filters_narrow_the_number(both: TestClient) -> None:
    """Bounds are inclusive; properties, addresses, sources and reviews count as they do everywhere."""
    source = make_source(both)
    upload(
        both,
        comment("a", user_properties={"string:Team": "red", "number:Size": 1}),
        comment("b") | {"timestamp": "2026-02-01T00:00:00Z", "messages": [{"body": {"text": ""}, "from": "x@b.org"}]},
    )
    make_dataset(both, source)
    annotate(both, f"{source}.a", "Card")
    assert count(both, timestamp={"minimum": "2026-02-01T00:00:00Z"}) == 1
    assert count(both, timestamp={"maximum": "2026-01-31T23:59:59Z"}) == 1
    assert count(both, user_properties={"number:Size": {"one_of": [1.0]}}) == 1
    assert count(both, messages={"from": {"domain_one_of": ["B.org"]}}) == 1
    assert count(both, sources=[source]) == 2
    assert count(both, sources=["00000000000000ff"]) == 0
    assert count(both, reviewed="only_reviewed") == count(both, reviewed="only_unreviewed") == 1


@pytest.mark.parametrize(
    ("filter", "word"),
    [
        ({"annotations": {"labels": {"one_of": ["Card"]}}}, "comment_filter.annotations"),
        ({"trigger_exceptions": {"one_of": ["x"]}}, "comment_filter.trigger_exceptions"),
        ({"attribute_filters": [{"attribute": "labels", "filter": {"kind": "string_any_of", "any_of": []}}]}, "source"),
        ({"timestamp": {"minimum": "yesterday"}}, "comment_filter.timestamp.minimum"),
        ({"colour": 1}, "comment_filter.colour"),
    ],
)
def test_what_a_source_cannot_know_is_refused(shared_api: TestClient, filter: dict[str, Any], word: str) -> None:
    """A filter that needs a dataset, or is malformed, answers 400 naming the field."""
    the_source(shared_api)
    answer = shared_api.post(f"{SOURCE}/statistics", json={"comment_filter": filter})
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert word in answer.json()["message"]


def test_a_source_keeps_what_it_was_given(api: TestClient) -> None:
    """Language is free text, the kind defaults to unknown, and a known transform tag is kept."""
    given = {"language": "xlm", "_kind": "call", "email_transform_tag": "generic.0.CONVKER5"}
    found = ok(api.put(SOURCE, json={"source": given}))["source"]
    assert given.items() <= found.items()
    assert ok(api.put("/api/v1/sources/default/other", json={"source": {}}))["source"]["_kind"] == "unknown"


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("tag", ["not-a-valid-transform-tag.0.ABCDEFGH", "generic", "generic.0.convker5", ""])
def test_an_unknown_transform_tag_is_refused(shared_api: TestClient, method: str, tag: str) -> None:
    """The answer is 422 with exactly the words the client looks for."""
    path = SOURCE if method == "PUT" else f"/api/v1/sources/id:{the_source(shared_api)}"
    answer = shared_api.request(method, path, json={"source": {"email_transform_tag": tag}})
    assert answer.status_code == 422
    assert answer.json() == {"status": "error", "message": f"The value '{tag}' is not a valid transform tag."}


@pytest.mark.parametrize("field", [{"language": ""}, {"language": "x" * 9}, {"_kind": "x" * 257}])
def test_a_source_beyond_its_limits_is_refused(api: TestClient, field: dict[str, str]) -> None:
    """A language has 1 to 8 characters, a kind at most 256."""
    answer = api.put(SOURCE, json={"source": field})
    assert answer.status_code == 400
    assert next(iter(field)) in answer.json()["message"]
