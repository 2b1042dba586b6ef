"""Entities found by rule: where they appear in answers, what people's corrections do to them, what a rule may be."""

from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from cm_world import DATASET, SOURCE, STREAMS, Trained, comment, make_dataset, trained, upload
from starlette.testclient import TestClient

from conftest import ok
from headrace.core import entities
from headrace.core.entities import Kind

__all__ = ["trained"]

PRIVATE = f"/api/_private/datasets/{DATASET}"
PUBLIC = f"/api/v1/datasets/{DATASET}"
DEFINITIONS = [
    {"name": "when", "inherits_from": ["date"]},
    {"name": "Monetary Quantity"},
    {"name": "order", "rules": {"regex": {"pattern": r"\bAB-\d{4}\b"}}},
    {"name": "unruled", "trainable": True},
]
FIELDS = [{"api_name": "due", "field_type_name": "when"}]
BODY = "\U0001f600 cafe\u0301\r\n12 March 2026: €5"


def mail(key: str) -> dict[str, Any]:
    """A comment of two messages with an order in the subject, and a date and an amount in the second body."""
    first = {"subject": {"text": "About AB-1234"}, "body": {"text": "Nothing here."}}
    return {**comment(key), "messages": [first, {"body": {"text": BODY}}]}


@pytest.fixture(scope="module")
def world(trained: Trained) -> Iterator[Trained]:
    """A dataset with a model and definitions, of which one has no rule."""
    body = {"dataset": {"entity_defs": DEFINITIONS, "general_fields": FIELDS}}
    ok(trained.api.post(PUBLIC, json=body))
    return trained


def uid_of(world: Trained, key: str) -> str:
    """Upload a comment under a new key; answers its uid."""
    upload(world.api, mail(key))
    return world.uids["c0"].replace("c0", key)


def brief(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Names and values."""
    return [(entity["name"], entity["formatted_value"]) for entity in found]


EVERYTHING = [("order", "AB-1234"), ("when", "2026-03-12"), ("due", "2026-03-12"), ("Monetary Quantity", "5.00 EUR")]


def annotated(world: Trained, uid: str) -> dict[str, Any]:
    """The comment's entities as a labeller sees them."""
    found = ok(world.api.get(f"{PRIVATE}/labellings", params={"id": uid, "return_predictions": "true"}))
    return dict(found["results"][0]["entities"])


def test_a_stream_with_a_model_delivers_entities(world: Trained) -> None:
    """Each stands in its message and part, exact in characters and in UTF-16 bytes; without a model there is none."""
    ok(world.api.put(STREAMS, json={"stream": {"name": "s", "model": {"version": world.version}}}))
    ok(world.api.put(STREAMS, json={"stream": {"name": "plain"}}))
    uid_of(world, "streamed")
    found = ok(world.api.post(f"{STREAMS}/s/fetch", json={"size": 8}))["results"][0]["entities"]
    assert brief(found) == EVERYTHING
    assert found[0]["spans"][0] | {"char_start": 6, "utf16_byte_end": 26} == found[0]["spans"][0]
    (span,) = found[3]["spans"]
    assert (span["content_part"], span["message_index"]) == ("body", 1)
    assert BODY[span["char_start"] : span["char_end"]] == "€5"
    encoded = BODY.encode("utf-16-le")[span["utf16_byte_start"] : span["utf16_byte_end"]]
    assert encoded.decode("utf-16-le") == "€5"
    assert ok(world.api.post(f"{STREAMS}/plain/fetch", json={"size": 8}))["results"][0]["entities"] == []


def test_a_general_field_names_itself(world: Trained) -> None:
    """What is found for a field carries its id."""
    definition = ok(world.api.get(PUBLIC))["dataset"]["general_fields"][0]
    found = annotated(world, uid_of(world, "field"))["predicted"]
    assert [entity["name"] for entity in found if entity.get("field_id") == definition["field_id"]] == ["due"]


def test_what_people_judged_is_not_predicted_again(world: Trained) -> None:
    """What they assigned stays theirs, what they dismissed stays away, and lists of both have theirs first."""
    uid = uid_of(world, "judged")
    predicted = annotated(world, uid)["predicted"]
    mine = {**predicted[3], "formatted_value": "5.00 USD"}
    said = {"assigned": [mine], "dismissed": [predicted[0], {**predicted[1], "spans": []}]}
    answer = ok(world.api.post(f"{PRIVATE}/labellings/{uid}", json={"entities": said}))
    assert answer["entities"] == said
    assert annotated(world, uid) == said | {"predicted": [predicted[2]]}
    body = {"uids": [uid, uid]}
    for item in ok(world.api.post(f"{world.labellers}/latest/predict-comments", json=body))["predictions"]:
        assert item["entities"] == [mine, predicted[2]]


def test_exports_and_queries_have_entities(world: Trained) -> None:
    """An export tells what people assigned and what is predicted; a query shows what a labeller would see."""
    uid = uid_of(world, "exported")
    order, *rest = annotated(world, uid)["predicted"]
    ok(world.api.post(f"{PRIVATE}/labellings/{uid}", json={"entities": {"assigned": [order]}}))
    (exported,) = ok(world.api.post(f"{PUBLIC}/export", json={"comment_uids": [uid]}))["comments"]
    assert exported["annotations"]["entities"] == {"assigned": [order]}
    assert exported["predictions"]["entities"] == rest
    assert len(exported["predictions"]["labels"]) > 1
    results = ok(world.api.post(f"{PRIVATE}/query", json={"limit": 512}))["results"]
    shown = {item["comment"]["uid"]: item["entities"] for item in results}
    assert shown[uid] == {"assigned": [order], "dismissed": [], "predicted": rest}
    assert shown[world.uids["c0"]] == {"assigned": [], "dismissed": [], "predicted": []}


def test_documents_that_are_not_stored_have_entities(world: Trained) -> None:
    """One list a document, in order, whether it comes as messages or as an e-mail; the rules' version is told."""
    documents = [{"messages": [{"body": {"text": "nothing"}}]}, {"messages": mail("x")["messages"]}]
    answer = ok(world.api.post(f"{world.labellers}/latest/predict", json={"documents": documents}))
    assert [brief(found) for found in answer["entities"]] == [[], EVERYTHING]
    assert answer["model"]["entity_rules_version"] == entities.ENTITY_RULES_VERSION
    headers = (
        "From: a@example.org\nSubject: AB-1234\nDate: Thu, 12 Mar 2026 10:00:00 +0000\nMessage-ID: <1@example.org>"
    )
    raw = {"raw_email": {"headers": {"raw": headers}, "body": {"plain": "pay €5"}}}
    answer = ok(world.api.post(f"{world.labellers}/latest/predict-raw-emails", json={"documents": [raw]}))
    assert [brief(found) for found in answer["entities"]] == [[("order", "AB-1234"), ("Monetary Quantity", "5.00 EUR")]]


def test_without_a_model_exports_have_entities_and_no_labels(api: TestClient) -> None:
    """Rules need no training."""
    source = ok(api.put(f"/api/v1/sources/{SOURCE}", json={"source": {}}))["source"]["id"]
    make_dataset(api, source, entity_defs=DEFINITIONS[:1])
    upload(api, mail("a"))
    (exported,) = ok(api.post(f"{PUBLIC}/export", json={}))["comments"]
    assert exported["predictions"]["labels"] == []
    assert brief(exported["predictions"]["entities"]) == [("when", "2026-03-12")]


@pytest.mark.parametrize(
    "rules",
    [
        {"regex": {"pattern": "("}},
        {"regex": "(?=x)"},
        {"regex": {"templates": [{"template": "a", "pattern": "["}]}},
        {"regex": {"pattern": "x" * 1001}},
        {"regex": ["x"]},
        {"region": "Germany"},
        {"choices": [{"name": "a", "values": [""]}]},
        {"choices": [{"name": "a"}]},
        {"colour": 1},
        [{"regex": "x"}],
    ],
)
def test_rules_that_cannot_be_followed_are_refused(shared_api: TestClient, rules: Any) -> None:
    """400 in the dialect's words, and no dataset is made."""
    answer = shared_api.put(PUBLIC, json={"dataset": {"entity_defs": [{"name": "a", "rules": rules}]}})
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert shared_api.get(PUBLIC).status_code == 404


def test_rules_come_back_as_they_were_sent(shared_api: TestClient) -> None:
    """Templates, choices and what is not used itself."""
    rules = {
        "suppressors": ["not this"],
        "choices": [{"name": "Gold", "values": ["gold", "golden"]}],
        "regex": {"templates": [{"template": "AB-1", "pattern": "AB-[0-9]"}]},
        "region": "GB",
    }
    found = make_dataset(shared_api, full="default/ruled", entity_defs=[{"name": "a", "rules": rules}])
    assert found["entity_defs"][0]["rules"] == rules


def raw(name: str, key: str, *parents: str, **rules: Any) -> dict[str, Any]:
    """A stored definition."""
    return {"id": key, "name": name, "title": "", "inherits_from": list(parents), "rules": rules}


def test_definitions_inherit() -> None:
    """By name or id, also over several steps and in circles; a name counts only when nothing else does."""
    stored = [
        raw("reference", "1", "2", regex="A"),
        raw("order", "2", "reference", "payment", regex={"pattern": "B"}),
        raw("payment", "3", "money", region="GB"),
        raw("date", "4", regex="C"),
        raw("E-mail_address", "5"),
    ]
    first, second, third, fourth, fifth = entities.definitions({"entity_defs": stored})
    assert (first.kind, first.patterns, first.region) == (Kind.MONEY, ("A", "B"), "GB")
    assert (second.kind, second.patterns) == (Kind.MONEY, ("B", "A"))
    assert (third.kind, fourth.kind, fifth.kind) == (Kind.MONEY, None, Kind.EMAIL)


def test_rules_stored_before_they_were_checked_find_nothing() -> None:
    """Whatever shape they have, they break nothing."""
    shapes: list[dict[str, Any]] = [{"regex": 1}, {"regex": {"templates": [1]}}, {"choices": [1, {"values": 1}]}]
    stored = [raw(str(number), str(number), **rules) for number, rules in enumerate(shapes)]
    assert entities.definitions({"entity_defs": [*stored, raw("x", "x") | {"rules": ["regex"]}]}) == ()


def test_fields_take_the_rules_of_their_type() -> None:
    """The type is an entity by id or name, or a built-in kind; a field of another type finds nothing."""
    fields = [
        {"api_name": name, "field_id": "f", "field_type_id": key, "field_type_name": kind}
        for name, key, kind in (("a", "1", None), ("b", "9", "order"), ("c", None, "Phone number"), ("d", "9", "text"))
    ]
    found = entities.definitions({"entity_defs": [raw("order", "1", regex="A")], "general_fields": fields})
    assert [(item.name, item.patterns, item.kind) for item in found[1:]] == [
        ("a", ("A",), None),
        ("b", ("A",), None),
        ("c", (), Kind.PHONE),
    ]


def test_without_definitions_nothing_is_searched() -> None:
    """A dataset that defines nothing never asks for a search."""

    class Refusing:
        def extract(self, definitions: Any, texts: Any) -> NoReturn:
            raise AssertionError("a search was asked for")

    assert entities.of_comments(entities.definitions({}), ['{"messages": []}'], Refusing()) == [[]]
