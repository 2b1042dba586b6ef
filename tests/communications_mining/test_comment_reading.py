"""Reading comments back: markup when asked for, bounds, and overwriting with the latest context."""

from typing import Any

import pytest
from cm_world import SOURCE, comment, make_source, the_source, upload
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from conftest import ok

PRIVATE = f"/api/_private/sources/{SOURCE}/comments"
PUBLIC = f"/api/v1/sources/{SOURCE}/comments"
MARKUP = {"text_markup": [{"b": [{"i": 1.5, "π_markup": None}]}], "translated_from_markup": {"x": [[]]}}
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
json_values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner))


def marked(key: str, **more: Any) -> dict[str, Any]:
    """A comment whose texts carry markup."""
    part = {"text": "hello", "translated_from": "hallo", **MARKUP}
    return comment(key, messages=[{"body": part, "subject": part, "signature": part, "to": ["a@b.org"]}], **more)


def plain(key: str) -> list[dict[str, Any]]:
    """Its messages without markup."""
    part = {"text": "hello", "translated_from": "hallo"}
    return [{"body": part, "subject": part, "signature": part, "to": ["a@b.org"]}]


def test_markup_comes_when_it_is_asked_for(api: TestClient) -> None:
    """With `include_markup` messages read back exactly; without it they carry no markup and nothing else is missing."""
    make_source(api)
    upload(api, marked("a"))
    assert ok(api.get(f"{PUBLIC}/a?include_markup=true"))["comment"]["messages"] == marked("a")["messages"]
    assert ok(api.get(f"{PUBLIC}/a?include_markup=false"))["comment"]["messages"] == plain("a")
    assert ok(api.get(f"{PUBLIC}/a"))["comment"]["messages"] == plain("a")


def test_later_pages_remember_the_markup(api: TestClient) -> None:
    """The client names `include_markup` on the first page only, so the continuation carries it."""
    make_source(api)
    upload(api, *(marked(f"c{number}") for number in range(5)))
    for flag, wanted in (("true", marked("c")["messages"]), ("false", plain("c"))):
        found, after = [], ""
        while True:
            first = f"&include_markup={flag}" if not after else f"&after={after}"
            page = ok(api.get(f"{PRIVATE}?limit=2{first}"))
            found += [item["messages"] for item in page["comments"]]
            if "continuation" not in page:
                break
            after = page["continuation"]
        assert found == [wanted] * 5


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(markup=json_values, key=st.sampled_from(["text_markup", "translated_from_markup"]))
def test_any_markup_reads_back_equal(api: TestClient, markup: Any, key: str) -> None:
    """Whatever JSON the markup is, it comes back equal."""
    if api.get(f"/api/v1/sources/{SOURCE}").status_code == 404:
        make_source(api)
    messages = [{"body": {"text": "x", key: markup}}]
    upload(api, comment("a", messages=messages))
    assert ok(api.get(f"{PUBLIC}/a?include_markup=true"))["comment"]["messages"] == messages
    assert ok(api.get(f"{PUBLIC}/a"))["comment"]["messages"] == [{"body": {"text": "x"}}]


def test_an_escaped_markup_key_is_markup_too(api: TestClient) -> None:
    """A key written with an escape is the same key."""
    make_source(api)
    body = (
        b'{"comments":[{"id":"a","timestamp":"2026-01-01T00:00:00Z",'
        b'"messages":[{"body":{"text":"x","\\u0074ext_markup":1}}]}]}'
    )
    ok(api.post(f"/api/v1/sources/{SOURCE}/sync", content=body))
    assert ok(api.get(f"{PUBLIC}/a"))["comment"]["messages"] == [{"body": {"text": "x"}}]
    assert ok(api.get(f"{PUBLIC}/a?include_markup=1"))["comment"]["messages"] == [
        {"body": {"text": "x", "text_markup": 1}}
    ]


def test_bounds_of_a_list_are_inclusive(api: TestClient) -> None:
    """`from_timestamp` and `to_timestamp` both count, with or without a zone."""
    make_source(api)
    upload(api, *(comment(str(day)) | {"timestamp": f"2026-01-0{day}T00:00:00Z"} for day in range(1, 6)))
    query = "from_timestamp=2026-01-02T00:00:00&to_timestamp=2026-01-04T01:00:00%2B01:00"
    assert [item["id"] for item in ok(api.get(f"{PRIVATE}?{query}"))["comments"]] == ["2", "3", "4"]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("from_timestamp=soon", "from_timestamp"),
        ("to_timestamp=2026-13-01", "to_timestamp"),
        ("limit=0", "limit"),
        ("limit=257", "limit"),
        ("after=nonsense", "after"),
        ("after=%00%C3%A9", "NUL"),
        ("include_markup=perhaps", "include_markup"),
    ],
)
def test_a_bad_list_is_refused(shared_api: TestClient, query: str, word: str) -> None:
    """Every bad parameter answers 400 and is named."""
    the_source(shared_api)
    answer = shared_api.get(f"{PRIVATE}?{query}")
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert word in answer.json()["message"]


def test_the_latest_context_overwrites(api: TestClient) -> None:
    """PUT changes a comment whose latest context it names; a stale or missing context is a conflict."""
    make_source(api)
    upload(api, comment("a", "one"))
    context = ok(api.get(f"{PUBLIC}/a"))["comment"]["context"]
    two = comment("a", "two", context=context)
    assert ok(api.put(f"{PRIVATE}?no_charge", json={"comments": [two, comment("b")]})) == {"status": "ok"}
    found = ok(api.get(f"{PUBLIC}/a"))["comment"]
    assert found["messages"][0]["body"]["text"] == "two"
    assert found["context"] != context
    stale = api.put(PRIVATE, json={"comments": [comment("a", "three", context=context), comment("c")]})
    assert stale.status_code == 409
    assert api.put(PRIVATE, json={"comments": [comment("a", "three", context="x")]}).status_code == 409
    assert api.get(f"{PUBLIC}/c").status_code == 404
    assert ok(api.put(PRIVATE, json={"comments": [two]})) == {"status": "ok"}


def test_one_upload_must_not_contradict_itself(api: TestClient) -> None:
    """Two different bodies under one id in one PUT are a conflict, also with the latest context."""
    make_source(api)
    upload(api, comment("a", "one"))
    context = ok(api.get(f"{PUBLIC}/a"))["comment"]["context"]
    twice = [comment("a", text, context=context) for text in ("two", "three")]
    assert api.put(PRIVATE, json={"comments": twice}).status_code == 409
    assert ok(api.put(PRIVATE, json={"comments": [comment("n"), comment("n")]})) == {"status": "ok"}


@pytest.mark.parametrize("query", ["no_charge", "no_charge=true", "no_charge=false"])
def test_no_charge_is_accepted(api: TestClient, query: str) -> None:
    """Uploads may say that they are not to be charged, in any spelling."""
    make_source(api)
    assert ok(api.post(f"/api/v1/sources/{SOURCE}/sync?{query}", json={"comments": [comment("a")]}))["new"] == 1
    assert ok(api.put(f"{PRIVATE}?{query}", json={"comments": [comment("b")]})) == {"status": "ok"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"timestamp": "never"}, "timestamp"),
        ({"messages": [{"body": {"text": ""}, "sent_at": "never"}]}, "sent_at"),
        ({"messages": [{"body": {"text": "x" * 65537}}]}, "body.text"),
        ({"messages": [{"body": {"text": ""}, "from": ""}]}, "from"),
        ({"messages": [{"body": {"text": ""}, "to": ["x" * 513]}]}, "to"),
        ({"messages": [{"body": {"text": ""}, "language": ""}]}, "language"),
        ({"messages": [{"body": {"text": ""}}] * 2049}, "messages"),
        ({"attachments": [{"name": "n", "size": 0, "content_type": "t"}] * 129}, "attachments"),
        ({"attachments": [{"name": "n", "size": -1, "content_type": "t"}]}, "size"),
        ({"id": "a/b"}, "id"),
        ({"id": ""}, "id"),
        ({"user_properties": {"date:X": "1"}}, "user_properties"),
    ],
)
def test_a_comment_beyond_its_limits_is_refused(shared_api: TestClient, change: dict[str, Any], word: str) -> None:
    """The batch is refused as a whole with a message that names the field."""
    the_source(shared_api)
    answer = shared_api.post(
        f"/api/v1/sources/{SOURCE}/sync", json={"comments": [comment("good"), comment("a") | change]}
    )
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert word in answer.json()["message"]
    assert shared_api.get(f"{PUBLIC}/good").status_code == 404
