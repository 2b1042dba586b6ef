"""Streams: a durable cursor over what was uploaded, which moves only when its consumer says so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from building import eventually
from conftest import client_of, ok
from headrace.app import Application
from mining import INSTANT, Mailbox, add_model, comment, is_error, keys_of, new_mailbox, serving

FIXTURES = Path(__file__).parent / "fixtures"
ACCOUNTING = json.loads((FIXTURES / "fetch_accounting.json").read_text())
MATCHING = {"user_properties": {"string:Kind": {"one_of": ["M"]}}}
IN_2024 = {"timestamp": {"minimum": "2024-01-01T00:00:00Z", "maximum": "2024-12-31T00:00:00Z"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A server that the tests of this module share; each has a mailbox of its own."""
    with serving(tmp_path_factory.mktemp("streams") / "data") as application:
        yield application


@pytest.fixture
def box(server: Application) -> Mailbox:
    """A mailbox of the test's own."""
    return new_mailbox(client_of(server))


def test_stream_starts_now(box: Mailbox) -> None:
    """What was uploaded before a stream was created is not delivered, what comes afterwards is, in order."""
    box.upload("before")
    box.put_stream()
    assert box.fetch()["is_end_sequence"] is True
    box.upload("z", "a", "m")
    batch = box.fetch()
    assert (keys_of(batch), batch["filtered"], batch["is_end_sequence"]) == (["z", "a", "m"], 0, True)


def test_fetch_never_moves_the_cursor(box: Mailbox) -> None:
    """The same fetch gives the same answer to the byte, as often as it is asked."""
    box.put_stream()
    box.upload("a", "b")
    path = f"{box.dataset}/streams/s/fetch"
    assert len({box.api.post(path, json={"size": 1}).content for _ in range(3)}) == 1
    assert box.keys() == ["a", "b"]


def test_advance_goes_exactly_there(box: Mailbox) -> None:
    """After advancing to a result the next fetch starts with the one behind it; repeating changes nothing."""
    box.put_stream()
    box.upload("a", "b", "c")
    second = box.fetch()["results"][1]["sequence_id"]
    for _ in range(2):
        assert ok(box.advance(second)) == {"status": "ok", "sequence_id": second}
        assert box.keys() == ["c"]


def test_advance_goes_back(box: Mailbox) -> None:
    """Naming an earlier position goes back to it."""
    box.put_stream()
    box.upload("a", "b", "c")
    batch = box.fetch()
    ok(box.advance(batch["sequence_id"]))
    assert box.keys() == []
    ok(box.advance(batch["results"][0]["sequence_id"]))
    assert box.keys() == ["b", "c"]


def test_empty_read_has_a_position(box: Mailbox) -> None:
    """The position of an empty read can be advanced to, and nothing that comes later is lost by it."""
    box.put_stream()
    empty = box.fetch()
    assert (empty["results"], empty["filtered"], empty["is_end_sequence"]) == ([], 0, True)
    box.upload("a")
    ok(box.advance(empty["sequence_id"]))
    assert box.keys() == ["a"]


def test_batch_position_is_behind_the_last_entry_read(box: Mailbox) -> None:
    """A batch's position counts filtered entries; without a filter it is that of the last result."""
    box.put_stream()
    box.put_stream("picky", comment_filter=MATCHING)
    box.sync(*(comment(key, user_properties={"string:Kind": kind}) for key, kind in (("a", "M"), ("b", "X"))))
    plain, picky = box.fetch(), box.fetch(stream="picky")
    assert plain["sequence_id"] == plain["results"][-1]["sequence_id"]
    assert (keys_of(picky), picky["filtered"]) == (["a"], 1)
    assert picky["results"][0]["sequence_id"] != picky["sequence_id"] == plain["sequence_id"]


def test_streams_of_a_dataset_are_independent(box: Mailbox) -> None:
    """Advancing one stream leaves the others where they are; a position of one is good for another."""
    box.put_stream("one")
    box.put_stream("two")
    box.upload("a", "b")
    first = box.fetch(1, stream="one")["sequence_id"]
    ok(box.advance(first, stream="one"))
    assert (box.keys(stream="one"), box.keys(stream="two")) == (["b"], ["a", "b"])
    ok(box.advance(first, stream="two"))
    assert box.keys(stream="two") == ["b"]


@pytest.mark.parametrize("bad", ["", "nonsense", "AAAA", "4LvtenIBAAA=", "é", "A" * 38, "=" * 40])
def test_malformed_position_is_refused(box: Mailbox, bad: str) -> None:
    """A position that was never given out is refused and moves nothing."""
    box.put_stream()
    box.upload("a")
    assert is_error(box.advance(bad), 400)
    assert box.keys() == ["a"]


def test_position_of_another_dataset_is_refused(box: Mailbox) -> None:
    """A position given out by another dataset means nothing here, even over the same source."""
    body = {"dataset": {"source_ids": [box.source_id]}}
    ok(box.api.put(f"{box.dataset}-2", json=body))
    ok(box.api.put(f"{box.dataset}-2/streams", json={"stream": {"name": "s"}}))
    box.put_stream()
    box.upload("a")
    foreign = ok(box.api.post(f"{box.dataset}-2/streams/s/fetch", json={"size": 1}))["sequence_id"]
    assert is_error(box.advance(foreign), 400)
    assert box.keys() == ["a"]


def test_changed_comment_comes_again_at_the_end(box: Mailbox) -> None:
    """A comment that changes behind the cursor is delivered once more, after everything else, with its new text."""
    box.put_stream()
    box.upload("a", "b")
    ok(box.advance(box.fetch()["sequence_id"]))
    box.upload("c")
    assert box.sync(comment("a", "other words")) == (0, 1, 0)
    batch = box.fetch()
    assert keys_of(batch) == ["c", "a"]
    assert batch["results"][1]["comment"]["messages"] == [{"body": {"text": "other words"}}]


def test_comment_changed_in_the_queue_comes_once(box: Mailbox) -> None:
    """A comment that changes before it was read is delivered once, at its new place."""
    box.put_stream()
    box.upload("a", "b")
    box.sync(comment("a", "other words"))
    assert box.keys() == ["b", "a"]


def test_unchanged_upload_is_not_delivered_again(box: Mailbox) -> None:
    """Uploading the same data once more puts nothing into the queue."""
    box.put_stream()
    box.upload("a")
    ok(box.advance(box.fetch()["sequence_id"]))
    assert box.sync(comment("a")) == (0, 0, 1)
    assert box.keys() == []


def test_deleted_comment_is_not_delivered(box: Mailbox) -> None:
    """A deleted comment leaves the queue, and a position that pointed at it still works."""
    box.put_stream()
    box.upload("a", "b", "c")
    at_b = box.fetch(2)["sequence_id"]
    box.delete("b")
    assert box.keys() == ["a", "c"]
    ok(box.advance(at_b))
    assert box.keys() == ["c"]
    box.delete("a", "c")
    assert box.keys() == []


def test_source_added_later(box: Mailbox) -> None:
    """Uploads to a source that joins the dataset later are delivered in the order of upload across sources."""
    box.put_stream()
    other = new_mailbox(box.api)
    ok(box.api.post(box.dataset, json={"dataset": {"source_ids": [box.source_id, other.source_id]}}))
    for source, key in ((box, "a"), (other, "b"), (box, "c"), (other, "d")):
        source.upload(key)
    assert box.keys() == ["a", "b", "c", "d"]
    ok(box.advance(box.fetch(3)["sequence_id"]))
    assert box.keys() == ["d"]


@pytest.mark.parametrize("case", ACCOUNTING, ids=lambda case: f"{case['queue'] or 'empty'}-{case['size']}")
def test_fetch_accounting(box: Mailbox, case: dict[str, Any]) -> None:
    """Misses count towards the size beyond what may be passed over; reading stops there or at the end."""
    box.put_stream(comment_filter=MATCHING)
    queue = [comment(f"k{n}", user_properties={"string:Kind": kind}) for n, kind in enumerate(case["queue"])]
    if queue:
        box.sync(*queue)
    allowance = {} if case["max_filtered"] is None else {"max_filtered": case["max_filtered"]}
    batch = box.fetch(case["size"], **allowance)
    counted = {"results": len(batch["results"]), **{name: batch[name] for name in ("filtered", "is_end_sequence")}}
    assert counted == {name: case[name] for name in counted}
    assert all(item["comment"]["user_properties"]["string:Kind"] == "M" for item in batch["results"])
    ok(box.advance(batch["sequence_id"]))
    rest = box.fetch(1024, max_filtered=1024)
    assert len(rest["results"]) == case["queue"].count("M") - counted["results"]


def test_without_filter_nothing_is_filtered(box: Mailbox) -> None:
    """Without a filter, and with one that says nothing, every comment is delivered and an allowance means nothing."""
    box.put_stream()
    box.put_stream("empty", comment_filter={"timestamp": {}, "messages": {}, "user_properties": {}})
    box.upload("a", "b", "c")
    for stream in ("s", "empty"):
        batch = box.fetch(2, stream=stream, max_filtered=1)
        assert (keys_of(batch), batch["filtered"], batch["is_end_sequence"]) == (["a", "b"], 0, False)


def test_filter_decides_by_content(box: Mailbox) -> None:
    """Properties and dates decide what is delivered: sets, inclusive ranges, and never where a property is missing."""
    conditions = {"number:Spend": {"minimum": 100, "maximum": 200}, "string:Country": {"one_of": ["uk", "de"]}}
    box.put_stream(comment_filter={"user_properties": conditions, **IN_2024})
    rows = {
        "low": ("uk", 99.9),
        "from": ("uk", 100),
        "to": ("de", 200.0),
        "high": ("de", 200.1),
        "abroad": ("fr", 150),
        "none": ("uk", None),
    }
    for key, (country, spend) in rows.items():
        properties = {"string:Country": country} | ({} if spend is None else {"number:Spend": spend})
        box.sync(comment(key, user_properties=properties))
    box.sync(
        comment("old", user_properties={"string:Country": "uk", "number:Spend": 150}) | {"timestamp": "2023-12-31"}
    )
    assert keys_of(box.fetch(max_filtered=1024)) == ["from", "to"]


def test_update_keeps_the_cursor(box: Mailbox) -> None:
    """PUT of an existing name changes it in place: id, creation time and cursor stay, `context` and dates move."""
    before = box.put_stream(title="One", description="first", comment_filter=MATCHING)
    box.upload("a", "b")
    ok(box.advance(box.fetch(1, max_filtered=0)["sequence_id"]))
    after = box.put_stream(title="Two")
    assert [after[name] for name in ("id", "created_at", "dataset_id")] == [
        before[name] for name in ("id", "created_at", "dataset_id")
    ]
    assert (after["title"], after["description"], "comment_filter" in after) == ("Two", "first", False)
    assert (before["context"], after["context"]) == ("0", "1")
    assert after["updated_at"] > before["updated_at"]
    assert box.keys() == ["b"]


def test_partial_update_keeps_what_is_absent(box: Mailbox) -> None:
    """POST changes what it names and keeps the rest, also the filter; a stream cannot be renamed."""
    box.put_stream(title="One", comment_filter=MATCHING)
    path = f"{box.dataset}/streams/s"
    changed = ok(box.api.post(path, json={"stream": {"description": "more"}}))["stream"]
    assert (changed["title"], changed["description"], changed["comment_filter"]) == ("One", "more", MATCHING)
    cleared = ok(box.api.post(path, json={"stream": {"comment_filter": None}}))["stream"]
    assert "comment_filter" not in cleared
    assert is_error(box.api.post(path, json={"stream": {"name": "other"}}), 400)


def test_list_get_delete(box: Mailbox) -> None:
    """Streams are listed by name and found one by one; a deleted one is gone, and its name may be used anew."""
    for name in ("b", "a"):
        box.put_stream(name)
    path = f"{box.dataset}/streams"
    assert [stream["name"] for stream in ok(box.api.get(path))["streams"]] == ["a", "b"]
    first = ok(box.api.get(f"{path}/a"))["stream"]
    assert ok(box.api.delete(f"{path}/a")) == {"status": "ok"}
    for call in (box.api.get, box.api.delete):
        assert is_error(call(f"{path}/a"), 404)
    assert is_error(box.api.post(f"{path}/a/fetch", json={"size": 1}), 404)
    assert box.put_stream("a")["id"] != first["id"]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "not a name"},
        {"name": ""},
        {"name": "n" * 257},
        {"name": "a/b"},
        {"name": "a\n"},
        {},
        {"name": "a", "title": "t" * 129},
        {"name": "a", "description": "d" * 16385},
        {"name": "a", "comment_filter": {"user_properties": {"string:X": {"one_of": [1]}}}},
        {"name": "a", "comment_filter": {"user_properties": {"number:X": {"one_of": ["1"]}}}},
        {"name": "a", "comment_filter": {"user_properties": {"Country": {"one_of": ["uk"]}}}},
        {"name": "a", "comment_filter": {"colour": "red"}},
        {"name": "a", "unknown": 1},
        {"name": "a", "model": {}},
        {"name": "a", "model": {"version": "1"}},
    ],
)
def test_bad_stream_is_refused(box: Mailbox, fields: dict[str, Any]) -> None:
    """A stream with a bad name, text, filter or model is refused, and none is made."""
    assert is_error(box.api.put(f"{box.dataset}/streams", json={"stream": fields}), 400)
    assert ok(box.api.get(f"{box.dataset}/streams"))["streams"] == []


def test_reset_is_inclusive(box: Mailbox) -> None:
    """Reset goes by creation time, backwards and forwards; a comment created at that very instant comes again."""
    box.put_stream()
    box.upload("a", "b", "c")
    created = {item["comment"]["id"]: item["comment"]["created_at"] for item in box.fetch()["results"]}
    ok(box.advance(box.fetch()["sequence_id"]))
    for key, expected in (("b", ["b", "c"]), ("a", ["a", "b", "c"]), ("c", ["c"])):
        answer = ok(box.api.post(f"{box.dataset}/streams/s/reset", json={"to_comment_created_at": created[key]}))
        assert box.keys() == expected
        assert answer["stream"]["name"] == "s"
        ok(box.advance(answer["sequence_id"]))
        assert box.keys() == expected


def test_reset_reaches_before_the_stream(box: Mailbox) -> None:
    """A reset may go back to before the stream was made, also with a time that has no zone; a future one is the end."""
    box.upload("a")
    box.put_stream()
    path = f"{box.dataset}/streams/s/reset"
    for instant, expected in (("2020-06-03T16:05:00", ["a"]), ("2999-01-01T00:00:00Z", []), ("2020-06-03", ["a"])):
        ok(box.api.post(path, json={"to_comment_created_at": instant}))
        assert box.keys() == expected
    assert is_error(box.api.post(path, json={"to_comment_created_at": "yesterday"}), 400)
    assert box.keys() == ["a"]


def test_thresholds_are_strict_and_drop_no_comment(server: Application, box: Mailbox) -> None:
    """Only listed labels strictly above their threshold are returned; a comment below all of them still comes."""
    box.put_stream()
    box.upload("a", "b")
    labels = ["Late", "Lost", "Parent > Child"]
    version = add_model(server, box, labels, {"a": [0.5, 0.75, 0.25], "b": [0.25, 0.125, 0.0]}, sentiment=-0.5)
    thresholds = [{"name": ["Late"], "threshold": 0.5}, {"name": ["Parent", "Child"], "threshold": 0.125}]
    stream = box.put_stream(model={"version": version, "label_thresholds": thresholds})
    assert stream["model"] == {"version": version, "label_thresholds": thresholds}
    first, second = box.fetch()["results"]
    assert first["labels"] == [{"name": ["Parent", "Child"], "probability": 0.25, "sentiment": -0.5}]
    assert second["labels"] == []


@pytest.mark.parametrize("thresholds", [{}, {"label_thresholds": []}])
def test_without_thresholds_every_label_comes(server: Application, box: Mailbox, thresholds: dict[str, Any]) -> None:
    """Without thresholds, or with none in the list, every label comes with its probability, most probable first."""
    box.put_stream()
    box.upload("a")
    version = add_model(server, box, ["Late", "Lost"], {"a": [0.25, 0.75]})
    box.put_stream(model={"version": version, **thresholds})
    assert box.fetch()["results"][0]["labels"] == [
        {"name": ["Lost"], "probability": 0.75},
        {"name": ["Late"], "probability": 0.25},
    ]


def test_stream_keeps_its_version(server: Application, box: Mailbox) -> None:
    """A stream answers from the version it names, whatever versions come later; without a model it has no labels."""
    box.put_stream("plain")
    box.put_stream()
    box.upload("a")
    old = add_model(server, box, ["Late"], {"a": [0.25]})
    box.put_stream(model={"version": old})
    add_model(server, box, ["Lost"], {"a": [0.5]})
    assert [label["probability"] for label in box.fetch()["results"][0]["labels"]] == [0.25]
    plain = box.fetch(stream="plain")["results"][0]
    assert (plain["labels"], plain["entities"]) == ([], [])


@pytest.mark.parametrize(
    ("version", "name", "threshold", "status"),
    [(99, ["Late"], 0.5, 404), (1, ["Unheard of"], 0.5, 400), (1, ["Late"], 1.01, 400), (1, ["Late"], -0.1, 400)],
)
def test_bad_model_of_a_stream(
    server: Application, box: Mailbox, version: int, name: list[str], threshold: float, status: int
) -> None:
    """An unknown version is not found; an unknown label and a threshold outside 0 to 1 are refused."""
    assert add_model(server, box, ["Late"]) == 1
    model = {"version": version, "label_thresholds": [{"name": name, "threshold": threshold}]}
    answer = box.api.put(f"{box.dataset}/streams", json={"stream": {"name": "s", "model": model}})
    assert is_error(answer, status)


def test_cursor_survives_a_restart(tmp_path: Path) -> None:
    """After a restart of the server the stream stands where it stood, and positions given out before still work."""
    with serving(tmp_path / "data") as application:
        box = new_mailbox(client_of(application))
        box.put_stream()
        box.upload("a", "b", "c")
        batch = box.fetch()
        ok(box.advance(batch["results"][0]["sequence_id"]))
    with serving(tmp_path / "data") as application:
        again = Mailbox(**{**vars(box), "api": client_of(application)})
        assert again.keys() == ["b", "c"]
        ok(again.advance(batch["results"][1]["sequence_id"]))
        assert again.keys() == ["c"]


def test_consumer_on_either_database(both: TestClient) -> None:
    """Fetch, advance, go back and reset work alike on SQLite and PostgreSQL."""
    box = new_mailbox(both)
    box.upload("before")
    box.put_stream()
    for key in "abcde":
        box.upload(key)
    assert eventually(box.keys, lambda keys: keys[-1:] == ["e"])[-5:] == list("abcde")
    batch = box.fetch()
    third = batch["results"][-3]
    ok(box.advance(third["sequence_id"]))
    assert box.keys() == ["d", "e"]
    instant = third["comment"]["created_at"]
    ok(both.post(f"{box.dataset}/streams/s/reset", json={"to_comment_created_at": instant}))
    assert box.keys() == ["c", "d", "e"]
    ok(both.post(f"{box.dataset}/streams/s/reset", json={"to_comment_created_at": INSTANT}))
    assert box.keys() == ["before", *"abcde"]
