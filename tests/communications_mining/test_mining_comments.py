"""Comments: uploads are upserts by the sender's own id, whole or not at all, and read back exactly."""

import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from conftest import client_of, ok
from mining import INSTANT, Mailbox, comment, is_error, new_mailbox, serving

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
markup = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=20,
)
SERVER_KEYS = {"uid", "source_id", "created_at", "last_modified", "context", "has_annotations"}
FULL = {
    "id": "full",
    "timestamp": "2011-12-11T01:02:03.000000+00:00",
    "messages": [
        {
            "body": {"text": "Hi Bob,\n\nfigures?", "translated_from": "Hallo", "text_markup": {"b": [1, {"c": None}]}},
            "subject": {"text": "Figures", "translated_from": "Zahlen"},
            "signature": {"text": "Thanks"},
            "from": "ann@example.org",
            "to": ["bob@example.org"],
            "cc": [],
            "bcc": ["cy@example.org"],
            "sent_at": "2011-12-11T11:02:03+02:00",
            "language": "en",
        },
        {"body": {"text": ""}},
    ],
    "user_properties": {"string:Folder": "Sent (/ Sent)", "number:Score": 1.0, "number:Count": 2},
    "thread_id": "3c3145",
    "text_format": "markdown",
    "attachments": [{"name": "a.pdf", "size": 0, "content_type": "application/pdf"}],
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The admin's client of a server that the tests of this module share."""
    with serving(tmp_path_factory.mktemp("comments") / "data") as application:
        yield client_of(application)


@pytest.fixture
def box(api: TestClient) -> Mailbox:
    """A mailbox of the test's own."""
    return new_mailbox(api)


def put(box: Mailbox, *comments: dict[str, Any]) -> Any:
    """Upload by PUT; answers the response as it is."""
    return box.api.put(box.comments, json={"comments": list(comments)})


def sent(answer: dict[str, Any]) -> dict[str, Any]:
    """What of a comment its sender said."""
    return {key: value for key, value in answer.items() if key not in SERVER_KEYS}


def listed(box: Mailbox, **params: Any) -> list[str]:
    """The keys of all comments, page by page."""
    found: list[str] = []
    while True:
        page = ok(box.api.get(box.comments, params=params))
        found += [item["id"] for item in page["comments"]]
        if "continuation" not in page:
            return found
        kept = {name: params[name] for name in ("limit", "to_timestamp") if name in params}
        params = {**kept, "after": page["continuation"]}


def test_sync_counts_what_it_did(box: Mailbox) -> None:
    """Sync answers how many comments were new, updated and unchanged; of an id named twice the last one counts."""
    assert box.sync(comment("a"), comment("b")) == (2, 0, 0)
    assert box.sync(comment("a"), comment("b", "changed"), comment("c")) == (1, 1, 1)
    assert box.sync(comment("d", "first"), comment("d", "last")) == (1, 0, 0)
    assert box.get("d")["messages"] == [{"body": {"text": "last"}}]


def test_update_keeps_identity(box: Mailbox) -> None:
    """A changed comment keeps uid and creation time; `last_modified` and `context` move. Unchanged, nothing moves."""
    box.upload("a")
    first = box.get("a")
    assert box.sync(comment("a")) == (0, 0, 1)
    assert box.get("a") == first
    box.sync(comment("a", "changed"))
    second = box.get("a")
    assert second["uid"] == first["uid"] == box.uid("a")
    assert second["created_at"] == first["created_at"]
    assert second["last_modified"] > first["last_modified"]
    assert second["context"] != first["context"]


def test_order_of_keys_is_no_change(box: Mailbox) -> None:
    """The same data with other spacing and another order of keys counts as unchanged, another type as a change."""
    box.sync(comment("a", user_properties={"string:A": "x", "number:B": 1}))
    shuffled = dict(reversed(comment("a", user_properties={"number:B": 1, "string:A": "x"}).items()))
    body = json.dumps({"comments": [shuffled]}, indent=3)
    assert ok(box.api.post(f"{box.source}/sync", content=body))["unchanged"] == 1
    for number in (1.0, 2):
        assert box.sync(comment("a", user_properties={"string:A": "x", "number:B": number})) == (0, 1, 0)


def test_put_answers_the_bare_envelope(box: Mailbox) -> None:
    """PUT answers exactly `{"status":"ok"}`; the same data again is fine, so a retry is."""
    for _ in range(2):
        answer = put(box, comment("a"), comment("b"))
        assert (answer.status_code, answer.content) == (200, b'{"status":"ok"}')
    assert listed(box) == ["a", "b"]


def test_put_of_other_data_stores_nothing(box: Mailbox) -> None:
    """PUT of other data under a known id is a conflict, and nothing of the request is stored."""
    put(box, comment("a"))
    assert is_error(put(box, comment("new"), comment("a", "other")), 409)
    assert is_error(put(box, comment("twice"), comment("twice", "other")), 409)
    assert listed(box) == ["a"]
    assert box.get("a")["messages"] == [{"body": {"text": "hello"}}]


def test_full_comment_reads_back(box: Mailbox) -> None:
    """Every field comes back equal and of the same type, and no message gets a key that was not sent."""
    box.sync(FULL)
    answer = box.get("full")
    assert json.dumps(sent(answer), sort_keys=True) == json.dumps(FULL, sort_keys=True)
    assert set(answer) - set(FULL) == SERVER_KEYS
    assert (answer["uid"], answer["source_id"], answer["has_annotations"]) == (box.uid("full"), box.source_id, False)


@settings(max_examples=25, deadline=None)
@given(value=markup, text=words)
def test_markup_reads_back_exactly(api: TestClient, value: Any, text: str) -> None:
    """Whatever JSON stands in `text_markup` comes back equal and of the same type."""
    box = new_mailbox(api)
    message = {"body": {"text": text, "text_markup": value}}
    box.sync(comment("a") | {"messages": [message]})
    found = box.get("a")["messages"]
    assert json.dumps(found, sort_keys=True) == json.dumps([message], sort_keys=True)


def test_deep_markup_reads_back(box: Mailbox) -> None:
    """Markup nested as deep as the body may be is kept; one level more is refused."""
    for levels, fits in ((94, True), (95, False)):
        deep: Any = "core"
        for _ in range(levels):
            deep = [deep]
        answer = put(box, comment(f"d{levels}") | {"messages": [{"body": {"text": "x", "text_markup": deep}}]})
        assert (answer.status_code == 200) is fits, answer.text
        if fits:
            assert box.get(f"d{levels}")["messages"][0]["body"]["text_markup"] == deep
        else:
            assert is_error(answer, 400)


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ("2011-12-11T11:05:10Z", "2011-12-11T11:05:10Z"),
        ("2011-12-11T11:05:10.25+02:00", "2011-12-11T11:05:10.25+02:00"),
        ("2011-12-11T11:05:10", "2011-12-11T11:05:10.000000Z"),
        ("2011-12-11 11:05:10+0200", "2011-12-11T09:05:10.000000Z"),
        ("2011-12-11T11:05Z", "2011-12-11T11:05:00.000000Z"),
        ("2011-12-11", "2011-12-11T00:00:00.000000Z"),
    ],
)
def test_dates_are_answered_with_a_zone(box: Mailbox, given: str, answered: str) -> None:
    """A date without a zone is read as UTC and answered as RFC 3339; one that is that already stays as it is."""
    box.sync(comment("a") | {"timestamp": given, "messages": [{"body": {"text": "x"}, "sent_at": given}]})
    found = box.get("a")
    assert (found["timestamp"], found["messages"][0]["sent_at"]) == (answered, answered)


@pytest.mark.parametrize("absent", ["user_properties", "thread_id", "text_format", "attachments", "uid", "context"])
def test_null_is_absent(box: Mailbox, absent: str) -> None:
    """A key sent as null counts as not sent: the answer names no key twice and none as null."""
    box.sync({"id": "a", absent: None, **comment("a")})
    text = box.api.get(f"{box.source}/comments/a").text
    answer = dict(json.loads(text, object_pairs_hook=list))
    names, values = zip(*answer["comment"], strict=True)
    assert len(set(names)) == len(names)
    assert None not in values
    assert box.get("a")["text_format"] == "plain"


def test_server_keys_are_dropped(box: Mailbox) -> None:
    """What only the server says may come back with a comment, as after a download, and is not believed."""
    box.upload("a")
    downloaded = box.get("a") | {"created_at": "1999-01-01T00:00:00Z", "has_annotations": True, "uid": "f.f"}
    assert box.sync(downloaded) == (0, 0, 1)
    box.sync(downloaded | {"id": "b"})
    copy = box.get("b")
    assert (copy["uid"], copy["has_annotations"]) == (box.uid("b"), False)
    assert copy["created_at"] > "2020"


@pytest.mark.parametrize("key", ["a.b.c", "~!@#$%^&*()", "id:1", "Ünï-ж-漢", "a" * 1024, "50%", "a?b=c", "_"])
def test_odd_ids_are_addressed(box: Mailbox, key: str) -> None:
    """Any id that is allowed can be read, labelled and deleted by name."""
    box.sync(comment(key))
    assert ok(box.api.get(f"{box.source}/comments/{quote(key, safe='')}"))["comment"]["uid"] == box.uid(key)
    path = f"{box.private}/labellings/{quote(box.uid(key), safe='')}"
    ok(box.api.post(path, json={"labelling": [{"group": "default", "assigned": [{"name": "Good"}]}]}))
    box.delete(key)
    assert listed(box) == []


@pytest.mark.parametrize("key", ["", "a b", "a/b", "a\n", "\n", "a\u00a0", "a" * 1025, 7, None])
def test_bad_ids_are_refused(box: Mailbox, key: Any) -> None:
    """An id with spaces, slashes or line ends, an empty or an endless one is refused, and the batch with it."""
    bad = comment("x") | {"id": key}
    for answer in (put(box, comment("good"), bad), box.api.post(f"{box.source}/sync", json={"comments": [bad]})):
        assert is_error(answer, 400)
    assert listed(box) == []


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "yesterday"},
        {"timestamp": 5},
        {"messages": [{}]},
        {"messages": [{"body": {}}]},
        {"messages": [{"body": {"text": "x" * 65537}}]},
        {"messages": [{"body": {"text": "x"}, "from": ""}]},
        {"messages": [{"body": {"text": "x"}, "sent_at": "noon"}]},
        {"messages": [{"body": {"text": "x"}, "mood": "good"}]},
        {"messages": "hello"},
        {"user_properties": {"colour": "red"}},
        {"user_properties": {"string:A": 1}},
        {"user_properties": {"number:A": "1"}},
        {"user_properties": {"number:A": True}},
        {"user_properties": {"string:": "x"}},
        {"user_properties": {"string:A": None}},
        {"text_format": "html"},
        {"attachments": [{"name": "a", "size": -1, "content_type": "x"}]},
        {"attachments": [{"name": "a"}]},
        {"thread_id": 5},
        {"colour": "red"},
    ],
)
def test_bad_comment_refuses_the_batch(box: Mailbox, change: dict[str, Any]) -> None:
    """One comment with a wrong value refuses the whole batch, by PUT and by sync."""
    batch = {"comments": [comment("good"), comment("bad") | change]}
    assert is_error(box.api.put(box.comments, json=batch), 400)
    assert is_error(box.api.post(f"{box.source}/sync", json=batch), 400)
    assert listed(box) == []


@pytest.mark.parametrize("body", [{"comments": []}, {"comments": {}}, {}, {"comments": [], "more": 1}, []])
def test_bad_batch_is_refused(box: Mailbox, body: Any) -> None:
    """A batch without comments, or of another shape, is refused."""
    assert is_error(box.api.put(box.comments, json=body), 400)
    assert is_error(box.api.post(f"{box.source}/sync", json=body), 400)


def test_a_thousand_comments_at_once(box: Mailbox) -> None:
    """Uploaders send a thousand comments and more in one request, and each is there afterwards."""
    keys = [f"k{number:04}" for number in range(1200)]
    assert box.sync(*(comment(key) for key in keys)) == (1200, 0, 0)
    assert box.sync(*(comment(key) for key in keys)) == (0, 0, 1200)
    assert listed(box, limit=256) == keys


def test_list_by_timestamp_between_bounds(box: Mailbox) -> None:
    """Comments come by their own date with both bounds inclusive; those of one instant come each once."""
    for day, key in ((3, "c"), (1, "a"), (2, "b2"), (2, "b1"), (4, "d")):
        box.sync(comment(key) | {"timestamp": f"2024-01-0{day}T00:00:00Z"})
    assert listed(box, limit=2) == ["a", "b2", "b1", "c", "d"]
    bounds = {"from_timestamp": "2024-01-02T00:00:00Z", "to_timestamp": "2024-01-03T00:00:00Z"}
    assert listed(box, limit=1, **bounds) == ["b2", "b1", "c"]
    assert listed(box, **bounds) == ["b2", "b1", "c"]


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": 257}, {"limit": "x"}, {"after": "x"}, {"from_timestamp": "x"}]
)
def test_bad_page_is_refused(box: Mailbox, params: dict[str, Any]) -> None:
    """A page size outside 1 to 256, a foreign continuation and a date that is none are refused."""
    assert is_error(box.api.get(box.comments, params=params), 400)


def test_page_has_64_comments(box: Mailbox) -> None:
    """Without a limit a page holds 64; the last page has no continuation."""
    box.sync(*(comment(f"k{number:02}") for number in range(65)))
    first = ok(box.api.get(box.comments))
    assert len(first["comments"]) == 64
    second = ok(box.api.get(box.comments, params={"after": first["continuation"]}))
    assert [item["id"] for item in second["comments"]] == ["k64"]
    assert "continuation" not in second


@pytest.mark.parametrize("seed", range(3))
def test_paging_while_deleting(box: Mailbox, seed: int) -> None:
    """A client that deletes what it has read, and anything else, while it pages misses nothing that stays."""
    chance = random.Random(seed)
    keys = [f"k{number}" for number in range(40)]
    instants = [f"2024-01-0{chance.randint(1, 5)}T00:00:00Z" for _ in keys]
    box.sync(*(comment(key) | {"timestamp": instant} for key, instant in zip(keys, instants, strict=True)))
    seen: list[str] = []
    doomed: set[str] = set()
    params: dict[str, Any] = {"limit": 7}
    while params:
        page = ok(box.api.get(box.comments, params=params))
        read = [item["id"] for item in page["comments"]]
        seen += read
        gone = {*read, *chance.sample(keys, 2)}
        doomed |= gone.difference(seen)
        box.delete(*gone)
        params = {"limit": 7, "after": page["continuation"]} if "continuation" in page else {}
    assert len(seen) == len(set(seen))
    assert set(seen) == set(keys) - doomed


def test_deleting_is_repeatable(box: Mailbox) -> None:
    """Deleting unknown or deleted comments is no error; a deleted one is not found, and its id may be used anew."""
    box.upload("a", "b")
    first = box.get("a")
    for _ in range(2):
        box.delete("a", "never")
    assert is_error(box.api.get(f"{box.source}/comments/a"), 404)
    assert listed(box) == ["b"]
    assert box.sync(comment("a", "anew")) == (1, 0, 0)
    assert box.get("a")["created_at"] > first["created_at"]


def test_annotated_comments_say_so(box: Mailbox) -> None:
    """`has_annotations` is true while some dataset has a word on the comment, and false when it is cleared."""
    box.upload("a", "b")
    box.label("a", "Good")
    assert [box.get(key)["has_annotations"] for key in "ab"] == [True, False]
    ok(box.api.delete(box.dataset))
    assert box.get("a")["has_annotations"] is False


def test_source_can_be_named_by_id(box: Mailbox) -> None:
    """Every comment call takes `id:` and the source's id in the place of its name, and an escaped slash in it."""
    for path in (f"id:{box.source_id}", f"{box.project}%2F{box.name}", f"{box.project}/{box.name}/"):
        stem = path.rstrip("/")
        ok(box.api.post(f"/api/v1/sources/{stem}/sync", json={"comments": [comment("a")]}))
        ok(box.api.put(f"/api/_private/sources/{stem}/comments", json={"comments": [comment("a")]}))
        assert ok(box.api.get(f"/api/v1/sources/{stem}/comments/a"))["comment"]["timestamp"] == INSTANT
        assert len(ok(box.api.get(f"/api/_private/sources/{stem}/comments"))["comments"]) == 1
        assert ok(box.api.get(f"/api/v1/sources/{path}"))["source"]["id"] == box.source_id
