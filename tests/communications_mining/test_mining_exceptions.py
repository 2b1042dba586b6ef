"""Exceptions: what a consumer could not use is tagged, comes back to people, and is answered by a labelling."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from conftest import client_of, ok
from mining import Mailbox, is_error, new_mailbox, serving


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The admin's client of a server that the tests of this module share."""
    with serving(tmp_path_factory.mktemp("exceptions") / "data") as application:
        yield client_of(application)


@pytest.fixture
def box(api: TestClient) -> Mailbox:
    """A mailbox with a stream and three comments."""
    box = new_mailbox(api)
    box.put_stream()
    box.upload("a", "b", "c.d")
    return box


def tag(box: Mailbox, *tagged: tuple[str, str], stream: str = "s") -> Any:
    """Tag comments, by uid, as exceptions of a type."""
    exceptions = [{"uid": uid, "metadata": {"type": kind}} for uid, kind in tagged]
    return box.api.put(f"{box.dataset}/streams/{stream}/exceptions", json={"exceptions": exceptions})


def untag(box: Mailbox, *uids: str) -> Any:
    """Remove tags."""
    return box.api.delete(f"{box.dataset}/streams/s/exceptions", params={"uid": list(uids)})


def tags(box: Mailbox, key: str) -> list[tuple[str, bool]]:
    """The types a labeller sees on a comment, and whether they are answered."""
    answer = ok(box.api.get(f"{box.private}/labellings", params={"id": box.uid(key)}))
    return [(item["type"], item["answered"]) for item in answer["results"][0]["trigger_exceptions"]]


def test_tagged_comment_shows_its_type(box: Mailbox) -> None:
    """A tag is acknowledged with the bare envelope and seen by whoever labels the comment; ids may contain dots."""
    assert ok(tag(box, (box.uid("a"), "No Prediction"), (box.uid("c.d"), "Wrong"))) == {"status": "ok"}
    assert [tags(box, key) for key in ("a", "b", "c.d")] == [[("No Prediction", False)], [], [("Wrong", False)]]


def test_tagging_again_replaces_the_type(box: Mailbox) -> None:
    """The last type counts, also within one request, and any text will do."""
    ok(tag(box, (box.uid("a"), "one"), (box.uid("a"), "two")))
    assert tags(box, "a") == [("two", False)]
    ok(tag(box, (box.uid("a"), "Ünüsable! 😀")))
    assert tags(box, "a") == [("Ünüsable! 😀", False)]


def test_untagging_may_be_repeated(box: Mailbox) -> None:
    """Removing a tag twice, or one that never was, is no error; nobody else's tag goes."""
    ok(tag(box, (box.uid("a"), "x"), (box.uid("b"), "y")))
    for _ in range(2):
        assert ok(untag(box, box.uid("a"), box.uid("c.d"))) == {"status": "ok"}
    assert (tags(box, "a"), tags(box, "b")) == ([], [("y", False)])


def test_streams_tag_apart(box: Mailbox) -> None:
    """Two streams may tag the same comment; deleting one takes only its own tags."""
    box.put_stream("two")
    ok(tag(box, (box.uid("a"), "one")))
    ok(tag(box, (box.uid("a"), "two"), stream="two"))
    assert tags(box, "a") == [("one", False), ("two", False)]
    ok(box.api.delete(f"{box.dataset}/streams/two"))
    assert tags(box, "a") == [("one", False)]


def test_unknown_comment_is_refused_as_a_whole(box: Mailbox) -> None:
    """One uid that names no comment of the dataset refuses the request, and nothing is tagged."""
    stranger = new_mailbox(box.api)
    stranger.upload("a")
    for uid in (box.uid("zzz"), stranger.uid("a"), f"{'f' * 16}.a", "a", f"{box.source_id}.", ""):
        assert is_error(tag(box, (box.uid("a"), "x"), (uid, "x")), 400, 404)
        assert is_error(untag(box, uid), 400, 404)
    assert tags(box, "a") == []


def test_labelling_answers_the_exception(box: Mailbox) -> None:
    """Once somebody labels the comment its exceptions are answered; tagging it again asks anew."""
    ok(tag(box, (box.uid("a"), "x"), (box.uid("b"), "y")))
    box.label("a", "Good")
    assert (tags(box, "a"), tags(box, "b")) == ([("x", True)], [("y", False)])
    ok(tag(box, (box.uid("a"), "x")))
    assert tags(box, "a") == [("x", False)]


def test_exceptions_can_be_filtered_by(box: Mailbox) -> None:
    """A stream may deliver only comments with, or without, an exception of a type."""
    box.put_stream("with", comment_filter={"trigger_exceptions": {"one_of": ["x"]}})
    box.put_stream("without", comment_filter={"trigger_exceptions": {"not_one_of": ["x"]}})
    instant = {"to_comment_created_at": "2020-01-01"}
    for stream in ("with", "without"):
        ok(box.api.post(f"{box.dataset}/streams/{stream}/reset", json=instant))
    ok(tag(box, (box.uid("b"), "x")))
    assert box.keys(stream="with") == ["b"]
    assert box.keys(stream="without") == ["a", "c.d"]


@pytest.mark.parametrize("body", [{}, {"exceptions": [{"uid": "u"}]}, {"exceptions": [{"metadata": {"type": "x"}}]}])
def test_incomplete_exceptions_are_refused(box: Mailbox, body: dict[str, Any]) -> None:
    """An exception needs a uid and a type, and no more than 256 characters of it."""
    assert is_error(box.api.put(f"{box.dataset}/streams/s/exceptions", json=body), 400)
    assert is_error(tag(box, (box.uid("a"), "x" * 257)), 400)
    assert is_error(tag(box, (box.uid("a"), "x"), stream="unknown"), 404)
