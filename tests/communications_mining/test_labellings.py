"""Labellings: labels, entities and captures of comments, and how they are read back."""

from typing import Any

import pytest
from cm_world import (
    DATASET,
    Trained,
    annotate,
    comment,
    make_dataset,
    make_source,
    the_dataset,
    the_source,
    trained,
    upload,
)
from starlette.testclient import TestClient

from conftest import ok

__all__ = ["trained"]

LABELLINGS = f"/api/_private/datasets/{DATASET}/labellings"


@pytest.fixture
def uid(api: TestClient) -> str:
    """A comment of one message, with a character outside the basic plane in it."""
    return uid_in(api)


@pytest.fixture
def shared_uid(shared_api: TestClient) -> str:
    """The same on the server that cases share whose labellings are refused."""
    return uid_in(shared_api)


def uid_in(api: TestClient) -> str:
    """A comment that can be labelled; it is made unless an earlier case on a shared server made it."""
    source = the_source(api)
    the_dataset(api, source)
    upload(api, comment("a", "\U0001f600 order 42 please"))
    return f"{source}.a"


def post(api: TestClient, uid: str, **body: Any) -> dict[str, Any]:
    """Set a labelling; answers the annotated comment."""
    return dict(ok(api.post(f"{LABELLINGS}/{uid}", json=body)))


def names(annotated: dict[str, Any], kind: str = "assigned") -> list[str]:
    """The names of the labels of an annotated comment."""
    return [label["name"] for label in annotated["labelling"][0][kind]]


def span(start: int, end: int, **more: Any) -> dict[str, Any]:
    """A span of the body in bytes of UTF-16, as the client sends it."""
    return {
        "content_part": "body",
        "message_index": 0,
        "utf16_byte_start": start,
        "utf16_byte_end": end,
        **more,
    }


def test_an_unknown_label_is_defined(api: TestClient, uid: str) -> None:
    """Assigning a name nobody defined appends it and its parents to the label definitions."""
    assert names(annotate(api, uid, "New > Deeper")) == ["New", "New > Deeper"]
    dataset = ok(api.get(f"/api/v1/datasets/{DATASET}"))["dataset"]
    assert [label["name"] for label in dataset["label_defs"]] == ["New", "New > Deeper"]


def test_a_missing_list_keeps_and_an_empty_one_clears(api: TestClient, uid: str) -> None:
    """Each list stands for itself, of labels and of entities alike."""
    entity = {"name": "order", "formatted_value": "42", "spans": [span(18, 22)]}
    dismissed = {"name": "Junk", "sentiment": "positive"}
    post(api, uid, labelling=[{"assigned": [{"name": "A"}]}], entities={"assigned": [entity]})
    kept = post(api, uid, labelling=[{"dismissed": [dismissed]}], entities={"dismissed": [entity]})
    assert (names(kept), names(kept, "dismissed")) == (["A"], ["Junk"])
    assert len(kept["entities"]["assigned"]) == len(kept["entities"]["dismissed"]) == 1
    cleared = post(api, uid, labelling=[{"assigned": []}], entities={"assigned": []})
    assert (names(cleared), names(cleared, "dismissed")) == ([], ["Junk"])
    assert (cleared["entities"]["assigned"], len(cleared["entities"]["dismissed"])) == ([], 1)


def test_spans_are_completed(api: TestClient, uid: str) -> None:
    """Bytes of UTF-16 give characters and the other way round, counting a smiley as one character of four bytes."""
    by_bytes = {"name": "order", "formatted_value": "42", "spans": [span(18, 22)], "field_id": "00000000000000aa"}
    by_characters = {
        "name": "smiley",
        "formatted_value": ":)",
        "spans": [{"content_part": "body", "message_index": 0, "char_start": 0, "char_end": 1}],
    }
    found = post(api, uid, entities={"assigned": [by_bytes, by_characters]})["entities"]["assigned"]
    assert found[0] == by_bytes | {"spans": [span(18, 22, char_start=8, char_end=10)]}
    assert found[1]["spans"] == [span(0, 4, char_start=0, char_end=1)]
    results = ok(api.get(LABELLINGS))["results"]
    assert results[0]["entities"] == {"assigned": found, "dismissed": []}


@pytest.mark.parametrize(
    "bad",
    [
        span(2, 4),
        span(0, 4000),
        span(4, 0),
        span(-2, 4),
        span(0, 4, message_index=1),
        span(0, 4, message_index=-1),
        span(0, 4, content_part="subject"),
        {"content_part": "body", "message_index": 0, "char_start": 0},
        {"content_part": "body", "message_index": 0, "char_start": 5, "char_end": 99},
    ],
)
def test_spans_outside_the_text_are_refused(shared_api: TestClient, shared_uid: str, bad: dict[str, Any]) -> None:
    """A span must lie in a text of the comment and not begin or end inside a character."""
    entity = {"name": "order", "formatted_value": "42", "spans": [bad]}
    answer = shared_api.post(f"{LABELLINGS}/{shared_uid}", json={"entities": {"assigned": [entity]}})
    assert answer.status_code == 400
    assert ok(shared_api.get(LABELLINGS))["results"] == []


def test_labels_of_moon_forms_count_as_assigned(api: TestClient, uid: str) -> None:
    """Captures name their labels, which are assigned and defined with their parents; the captures come back."""
    captured = [{"fields": [{"name": "to", "value": {"formatted": "x"}}]}]
    label = {"name": "Move > House", "sentiment": "negative"}
    form = {"group": "default", "assigned": [{"label": label, "captures": captured}]}
    found = post(api, uid, moon_forms=[form])
    assert names(found) == ["Move", "Move > House"]
    assert found["labelling"][0]["assigned"][1] == label
    assert found["moon_forms"] == [form]
    kept = post(api, uid, labelling=[{"dismissed": [{"name": "Junk"}]}])
    assert (names(kept), kept["moon_forms"]) == (["Move", "Move > House"], [form])
    both = post(api, uid, labelling=[{"assigned": [{"name": "B"}]}], moon_forms=[form])
    assert names(both) == ["B", "Move", "Move > House"]
    gone = post(api, uid, labelling=[{"assigned": [], "dismissed": []}], moon_forms=[{"assigned": []}])
    assert (names(gone), "moon_forms" in gone, gone["comment"]["has_annotations"]) == ([], False, False)


def test_has_annotations_follows_every_dataset(both: TestClient) -> None:
    """True while any dataset has the comment labelled, dismissed or marked; false again when the last one clears it."""
    source = make_source(both)
    make_dataset(both, source)
    make_dataset(both, source, full="default/second")
    upload(both, comment("a"))
    uid = f"{source}.a"

    def flag() -> bool:
        return bool(ok(both.get("/api/v1/sources/default/mail/comments/a"))["comment"]["has_annotations"])

    assert not flag()
    post(both, uid, labelling=[{"dismissed": [{"name": "Junk"}]}])
    annotate(both, uid, "A", full="default/second")
    assert flag()
    post(both, uid, labelling=[{"assigned": [], "dismissed": []}], entities={"assigned": [], "dismissed": []})
    assert flag()
    ok(both.delete("/api/v1/datasets/default/second"))
    assert not flag()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"labelling": [{"group": "other", "assigned": []}]}, 501),
        ({"moon_forms": [{"group": "other", "assigned": []}]}, 501),
        ({"labelling": [{"assigned": []}, {"assigned": []}]}, 400),
        ({"labelling": [{"assigned": [{"name": ""}]}]}, 400),
        ({"labelling": [{"assigned": [{"name": "A", "sentiment": "odd"}]}]}, 400),
        ({"labels": []}, 400),
    ],
)
def test_bad_labellings_are_refused(shared_api: TestClient, shared_uid: str, body: dict[str, Any], status: int) -> None:
    """Other groups than the default one are not kept, and said so; malformed lists are 400."""
    assert shared_api.post(f"{LABELLINGS}/{shared_uid}", json=body).status_code == status


def test_an_old_labelling_is_one_object(api: TestClient, uid: str) -> None:
    """Files of older clients carry one object in the place of the list."""
    assert names(post(api, uid, labelling={"assigned": [{"name": "A"}]})) == ["A"]


def test_reviewed_comments_are_paged_to_an_empty_page(trained: Trained) -> None:
    """Every non-empty page names another `after`; the end is an empty page."""
    source = trained.uids["c0"].split(".")[0]
    seen: list[str] = []
    page = ok(trained.api.get(LABELLINGS, params={"source_id": source, "limit": 16}))
    after: list[str] = []
    while page["results"]:
        seen += [result["comment"]["id"] for result in page["results"]]
        assert page["after"] not in after
        after.append(page["after"])
        page = ok(trained.api.get(LABELLINGS, params={"source_id": source, "limit": 16, "after": after[-1]}))
    assert sorted(seen) == sorted(trained.uids)
    assert "after" not in page


def test_predictions_come_when_asked(trained: Trained) -> None:
    """`return_predictions` adds what the latest version says, with names as lists; without it nothing is computed."""
    ids = [trained.uids["c1"], trained.uids["c2"]]
    found = ok(trained.api.get(LABELLINGS, params={"id": ids, "return_predictions": "true"}))["results"]
    assert [result["comment"]["uid"] for result in found] == ids
    predicted = found[0]["labelling"][0]["predicted"]
    assert ["Card", "Lost"] in [label["name"] for label in predicted]
    assert all({"name", "probability", "sentiment"} == set(label) for label in predicted)
    plain = ok(trained.api.get(LABELLINGS, params={"id": ids}))["results"]
    assert "predicted" not in plain[0]["labelling"][0]
