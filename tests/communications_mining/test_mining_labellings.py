"""Labellings: the last word on a comment counts, and the reviewed comments are paged without gaps."""

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import client_of, ok
from headrace.app import Application
from mining import Mailbox, comment, member_of, new_mailbox, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A server that the tests of this module share."""
    with serving(tmp_path_factory.mktemp("labellings") / "data") as application:
        yield application


@pytest.fixture
def box(server: Application) -> Mailbox:
    """A mailbox of the test's own."""
    return new_mailbox(client_of(server))


def reviewed(box: Mailbox, **params: Any) -> list[str]:
    """The keys of the reviewed comments, page by page until a page is empty."""
    found: list[str] = []
    while page := ok(box.api.get(f"{box.private}/labellings", params=params)):
        if not page["results"]:
            return found
        assert page["after"] != params.get("after")
        params["after"] = page["after"]
        found += [item["comment"]["id"] for item in page["results"]]
    raise AssertionError("unreachable")


def assigned(answer: dict[str, Any]) -> list[str]:
    """The names assigned in an annotated comment."""
    return [label["name"] for label in answer["labelling"][0]["assigned"]]


def test_last_word_counts(server: Application, box: Mailbox) -> None:
    """Two people's labellings replace each other; each builds on what stood there last."""
    other = Mailbox(**{**vars(box), "api": member_of(box.api, server, default=["annotator"])})
    box.upload("a")
    assert assigned(box.label("a", "One")) == ["One"]
    assert assigned(other.label("a", "Two")) == ["Two"]
    dismissing = {"labelling": [{"group": "default", "dismissed": [{"name": "Three"}]}]}
    answer = ok(box.api.post(f"{box.private}/labellings/{box.uid('a')}", json=dismissing))
    assert assigned(answer) == ["Two"]
    assert [label["name"] for label in answer["labelling"][0]["dismissed"]] == ["Three"]
    found = box.export()["comments"][0]["annotations"]["labels"]["assigned"]
    assert [label["name"] for label in found] == ["Two"]


def test_pages_have_no_gaps(box: Mailbox) -> None:
    """Every reviewed comment comes once, whatever the page size; cleared and unreviewed ones do not."""
    keys = [f"k{number}" for number in range(9)]
    box.sync(*(comment(key) for key in keys))
    for key in keys[:-1]:
        box.label(key, "Good")
    box.label("k3")
    expected = [key for key in keys[:-1] if key != "k3"]
    assert reviewed(box) == expected
    assert reviewed(box, limit=1) == expected
    assert reviewed(box, limit=3, source_id=box.source_id) == expected


def test_pages_skip_sources_that_left(box: Mailbox) -> None:
    """Labels on comments of a source that left the dataset do not end the list early, and come back with it."""
    other = new_mailbox(box.api)
    both = [box.source_id, other.source_id]
    ok(box.api.post(box.dataset, json={"dataset": {"source_ids": both}}))
    box.upload("a", "b", "c")
    other.upload("z")
    for key in "abc":
        box.label(key, "Good")
    good = {"labelling": [{"group": "default", "assigned": [{"name": "Good"}]}]}
    ok(box.api.post(f"{box.private}/labellings/{other.uid('z')}", json=good))
    ok(box.api.post(box.dataset, json={"dataset": {"source_ids": [other.source_id]}}))
    assert reviewed(box, limit=1) == ["z"]
    ok(box.api.post(box.dataset, json={"dataset": {"source_ids": both}}))
    assert reviewed(box, limit=1) == ["a", "b", "c", "z"]
