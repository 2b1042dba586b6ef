"""What is defined in a dataset comes back whole, in order and in the shapes that clients insist on."""

from collections.abc import Callable
from typing import Any

import pytest
from cm_world import DATASET, annotate, comment, make_dataset, make_source, upload
from starlette.testclient import TestClient

from conftest import ok

LABELS = [
    {"name": "Payment > Late", "title": "Late", "instructions": "the money is not there", "external_id": "7"},
    {"name": "Card", "pretrained": {"id": "0123456789abcdef", "name": "Cards"}},
    {"name": "Account", "pretrained": {"id": "fedcba9876543210"}},
    {
        "name": "Move",
        "moon_form": [{"name": "to", "kind": "address"}, {"name": "on", "kind": "date", "instructions": "x"}],
    },
]


def test_label_definitions_keep_their_order(both: TestClient) -> None:
    """Titles and instructions default to nothing, and what was not given is absent."""
    found = make_dataset(both, label_defs=LABELS)["label_defs"]
    assert found == [
        LABELS[0],
        {"name": "Card", "title": "", "instructions": "", "pretrained": LABELS[1]["pretrained"]},
        {
            "name": "Account",
            "title": "",
            "instructions": "",
            "pretrained": {"id": "fedcba9876543210", "name": "Account"},
        },
        {
            "name": "Move",
            "title": "",
            "instructions": "",
            "moon_form": [
                {"name": "to", "kind": "address", "instructions": ""},
                {"name": "on", "kind": "date", "instructions": "x"},
            ],
        },
    ]
    shown = ok(both.get(f"/api/v1/datasets/{DATASET}"))["dataset"]
    assert shown["label_groups"] == [{"name": "default", "label_defs": found}]
    assert shown["label_defs"] == found


def test_definitions_may_come_in_the_default_group(api: TestClient) -> None:
    """Definitions of the default group join the others; another group is honestly refused."""
    groups = [{"name": "default", "label_defs": [{"name": "B"}, {"name": "A"}]}]
    found = make_dataset(api, label_defs=[{"name": "A", "title": "first"}], label_groups=groups)
    assert [(label["name"], label["title"]) for label in found["label_defs"]] == [("A", "first"), ("B", "")]
    body = {"dataset": {"label_groups": [{"name": "other", "label_defs": []}]}}
    assert api.put("/api/v1/datasets/default/second", json=body).status_code == 501


def test_entities_are_completed(both: TestClient) -> None:
    """Every entity definition is answered with an id, a colour and what it inherits; ids survive an update."""
    sent = {"name": "order", "title": "Order", "trainable": True, "inherits_from": ["00000000000000aa"]}
    whole = {"name": "iban", "id": "00000000000000bb", "color": 3, "rules": {"regex": "x"}, "instructions": "y"}
    found = make_dataset(both, entity_defs=[sent, whole])["entity_defs"]
    assert found[0] == sent | {"id": found[0]["id"], "color": 0, "_entity_def_flags": []}
    assert len(found[0]["id"]) == 16
    rest = {"title": "", "trainable": False, "inherits_from": [], "_entity_def_flags": []}
    assert found[1] == whole | rest
    again = ok(both.post(f"/api/v1/datasets/{DATASET}", json={"dataset": {"entity_defs": [sent]}}))["dataset"]
    assert again["entity_defs"] == found[:1]


def test_general_fields_flags_and_configuration_are_kept(api: TestClient) -> None:
    """What this server does not use itself is stored and returned."""
    field = {"api_name": "amount", "field_type_id": "17", "field_type_name": "money"}
    found = make_dataset(
        api, general_fields=[field, {"api_name": "b"}], _dataset_flags=["gpt4", "ixp"], _model_config={"kind": "cm"}
    )
    assert found["general_fields"][0] == field | {"field_id": found["general_fields"][0]["field_id"], "title": ""}
    assert "field_type_id" not in found["general_fields"][1]
    assert (found["_dataset_flags"], found["_model_config"]) == (["gpt4", "ixp"], {"kind": "cm"})
    plain = make_dataset(api, full="default/plain")
    assert "_model_config" not in plain
    assert [plain[key] for key in ("entity_defs", "general_fields", "label_defs", "_dataset_flags")] == [[]] * 4


@pytest.mark.parametrize(
    "fields",
    [
        {"entity_defs": [{"title": "nameless"}]},
        {"entity_defs": [{"name": "a"}, {"name": "a"}]},
        {"entity_defs": [{"name": "a", "id": "x"}]},
        {"entity_defs": [{"name": "a", "colour": 1}]},
        {"general_fields": [{"title": "nameless"}]},
        {"general_fields": [{"api_name": "a"}, {"api_name": "a"}]},
        {"label_defs": [{"name": " "}]},
        {"label_defs": [{"name": "x" * 65}]},
        {"label_defs": [{"name": "A", "color": 1}]},
        {"_dataset_flags": ["nonsense"]},
        {"copy_annotations_from": "nothing"},
    ],
)
def test_bad_definitions_are_refused(shared_api: TestClient, fields: dict[str, Any]) -> None:
    """400, and no dataset is made."""
    assert shared_api.put(f"/api/v1/datasets/{DATASET}", json={"dataset": fields}).status_code == 400
    assert ok(shared_api.get("/api/v1/datasets"))["datasets"] == []


def test_an_unknown_model_family_is_named(api: TestClient) -> None:
    """The message has the words that the client's own tests look for."""
    answer = api.put(f"/api/v1/datasets/{DATASET}", json={"dataset": {"model_family": "klingon"}})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("'klingon' is not one of ")


def test_annotations_are_copied(both: TestClient) -> None:
    """A new dataset takes over what people said of comments that both see, and nothing else."""
    shared, private = make_source(both), make_source(both, "default/private")
    first = make_dataset(both, shared, private)
    upload(both, comment("a"), comment("b"))
    upload(both, comment("c"), full="default/private")
    annotate(both, f"{shared}.a", "Card > Lost", sentiment="negative")
    annotate(both, f"{private}.c", "Secret")
    copied = make_dataset(both, shared, full="default/copy", copy_annotations_from=first["id"])
    results = ok(both.get("/api/_private/datasets/default/copy/labellings"))["results"]
    assert [result["comment"]["id"] for result in results] == ["a"]
    assigned = results[0]["labelling"][0]["assigned"]
    assert {(label["name"], label["sentiment"]) for label in assigned} == {
        ("Card", "negative"),
        ("Card > Lost", "negative"),
    }
    assert [label["name"] for label in copied["label_defs"]] == ["Card", "Card > Lost"]


def test_annotations_of_a_stranger_are_not_copied(api: TestClient, person: Callable[..., TestClient]) -> None:
    """Copying needs a dataset that the caller can see."""
    hidden = make_dataset(api, make_source(api))
    ok(api.put("/api/_private/projects/other", json={"project": {}}))
    body = {"dataset": {"copy_annotations_from": hidden["id"]}}
    other = person("other", other=["admin"])
    assert other.put("/api/v1/datasets/other/copy", json=body).status_code == 404
    assert ok(other.get("/api/v1/datasets"))["datasets"] == []
