"""Views of a record: exact for its own kind, sensible for the other."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.content import Facts, Kind, as_comment, as_run, as_task, facts, lookup, masked, task_text, text

COMMENT = {
    "id": "a",
    "timestamp": "2024-05-06T07:08:09Z",
    "messages": [
        {
            "subject": {"text": "Card"},
            "body": {"text": "It is lost"},
            "from": "ann@example.org",
            "to": ["bob@example.org", "cy@example.org"],
            "cc": ["dee@example.org"],
        },
        {"body": {"text": "Found it"}, "from": "bob@example.org", "bcc": ["eve@example.org"]},
    ],
    "user_properties": {"string:Country": "uk", "number:Spend": 1.5},
    "attachments": [{"name": "a.pdf", "size": 1, "content_type": "application/pdf"}],
}
BODY = json.dumps(COMMENT)
INSTANT = 1_714_979_289_000_000

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(allow_nan=False)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
data = st.dictionaries(st.text(max_size=8), values, max_size=5)


def test_text_of_a_comment() -> None:
    """A classifier reads subject and body of every message, in order, and nothing else."""
    assert text(Kind.COMMENT, BODY) == "Card\nIt is lost\nFound it"


@pytest.mark.parametrize(
    ("task", "keys", "expected"),
    [
        ({"text": "one", "n": 2, "more": "two"}, (), "one\ntwo"),
        ({"text": "one", "more": "two"}, ("more",), "two"),
        ({"talk": [{"text": "hi"}, {"content": "ho"}, "hey", {"x": "no"}]}, ("talk",), "hi\nho\nhey"),
        ({"a": {"b": "deep"}}, ("a.b",), "deep"),
        ({"a.b": "flat", "a": {"b": "deep"}}, ("a.b",), "flat"),
        ({"n": 7, "yes": True, "none": None}, ("n", "yes", "none", "gone"), "7"),
        (["a", {"text": "b"}], (), "a\nb"),
    ],
)
def test_text_of_a_task(task: Any, keys: tuple[str, ...], expected: str) -> None:
    """A task's text is what its named keys hold, or every string when none is named."""
    assert text(Kind.TASK, json.dumps(task), keys) == task_text(task, keys) == expected


def test_facts_of_a_comment() -> None:
    """A filter sees the properties as sent, every message's addresses by role, and the attachments' types."""
    assert facts(Kind.COMMENT, BODY) == Facts(
        properties={"string:Country": "uk", "number:Spend": 1.5},
        senders=["ann@example.org", "bob@example.org"],
        to=["bob@example.org", "cy@example.org"],
        cc=["dee@example.org"],
        bcc=["eve@example.org"],
        attachments=["application/pdf"],
    )


def test_facts_of_a_task() -> None:
    """A task's scalar fields beside its text are typed properties; the rest is none of a filter's business."""
    task = {"text": "hi", "lang": "de", "n": 1, "f": 0.5, "ok": True, "none": None, "list": [1], "dict": {}}
    expected = {"string:lang": "de", "number:n": 1, "number:f": 0.5, "string:ok": "true"}
    assert facts(Kind.TASK, json.dumps(task), ("text",)) == Facts(properties=expected)


def test_own_kind_is_exact() -> None:
    """A record seen as what it was sent as is the text that was sent."""
    odd = '{ "text": "x" ,"n":1.0}'
    assert as_task(Kind.TASK, odd) == odd
    assert as_comment(Kind.COMMENT, BODY, "ignored", 0) == BODY


def test_comment_as_task() -> None:
    """A comment seen as a task has its text under the project's text key and its properties beside it."""
    seen = json.loads(as_task(Kind.COMMENT, BODY, ("body",)))
    assert seen == {"Country": "uk", "Spend": 1.5, "body": "Card\nIt is lost\nFound it"}


@given(task=data, keys=st.lists(st.text(max_size=4), max_size=2).map(tuple))
def test_any_task_is_a_comment(task: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Whatever a task holds, as a comment it is whole: one message with its text, and well-typed properties."""
    body = json.dumps(task)
    seen = json.loads(as_comment(Kind.TASK, body, "0001", INSTANT, keys))
    assert (seen["id"], seen["timestamp"], seen["text_format"]) == ("0001", "2024-05-06T07:08:09.000000Z", "plain")
    assert seen["messages"] == [{"body": {"text": text(Kind.TASK, body, keys)}}]
    for name, value in seen["user_properties"].items():
        kind, _, key = name.partition(":")
        assert isinstance(value, str) if kind == "string" else isinstance(value, (int, float))
        assert key in task
    assert facts(Kind.COMMENT, json.dumps(seen)).properties == facts(Kind.TASK, body, keys).properties


@given(task=data, path=st.text(max_size=8))
def test_lookup_prefers_the_whole_key(task: dict[str, Any], path: str) -> None:
    """A key that contains dots is found as it stands; a path through the data otherwise, or nothing."""
    if path in task:
        assert lookup(task, path) is task[path]
    elif "." not in path:
        assert lookup(task, path) is None


RUN = {
    "input": "Where is it?",
    "input_source": {"type": "human", "properties": {"created_by": "ann", "row": 3}},
    "output": {
        "output": "On its way.",
        "source": {"type": "synthetic", "properties": {"model_name": "m", "temperature": 0.5}},
        "rating": {"type": "five_star", "value": 4.0},
    },
    "tags": [],
}
KINDS = {Kind.TASK: '{"text":"hello","n":1}', Kind.COMMENT: BODY, Kind.RUN: json.dumps(RUN)}


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_has_every_view(kind: Kind) -> None:
    """Whatever a record was sent as, it is a task, a comment and a run, with its text in each of them."""
    body, words = KINDS[kind], text(kind, KINDS[kind])
    comment = json.loads(as_comment(kind, body, "a", INSTANT))
    run = json.loads(as_run(kind, body, INSTANT))
    assert text(Kind.COMMENT, json.dumps(comment)) == text(Kind.RUN, json.dumps(run)) == words
    assert all(part in json.dumps(json.loads(as_task(kind, body))) for part in words.split("\n"))


def test_views_of_a_run() -> None:
    """A run is itself as it was sent; its texts, what made them and its rating are there in the other views."""
    body = KINDS[Kind.RUN]
    made_by = {"string:created_by": "ann", "number:row": 3, "string:model_name": "m", "number:temperature": 0.5}
    assert as_run(Kind.RUN, body, INSTANT) == body
    assert facts(Kind.RUN, body).properties == made_by | {"number:rating": 4.0}
    task = json.loads(as_task(Kind.RUN, body))
    assert (task["input"], task["output"], task["model_name"]) == ("Where is it?", "On its way.", "m")


def test_run_hides_properties() -> None:
    """Properties that are not for everybody are hidden in the run's sources, by either spelling of their name."""
    hidden = json.loads(masked(Kind.RUN, KINDS[Kind.RUN], ["string:model_name", "row"]))
    assert hidden["output"]["source"]["properties"] == {"model_name": "***", "temperature": 0.5}
    assert hidden["input_source"]["properties"] == {"created_by": "ann"}


def test_task_with_both_texts_is_a_whole_run() -> None:
    """A task's `input` and `output` are the run's; anything else is all input."""
    run = json.loads(as_run(Kind.TASK, '{"input":"a","output":"b"}', INSTANT))
    assert (run["input"], run["output"]["output"], run["created_at"]) == ("a", "b", "2024-05-06T07:08:09.000000Z")
