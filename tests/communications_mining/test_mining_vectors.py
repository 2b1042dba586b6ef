"""The documented examples, replayed against a server that holds what they speak of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import client_of, ok
from headrace.app import Application
from mining import Mailbox, add_model, comment, is_error, new_mailbox, serving

FIXTURES = Path(__file__).parent / "fixtures"
VECTORS = json.loads((FIXTURES / "vectors.json").read_text())
LIMITS = json.loads((FIXTURES / "limit_vectors.json").read_text())
BY_ID = {vector["id"]: vector for vector in VECTORS}

PROJECT = "project1"
SERVER_KEYS = ("context", "created_at", "last_modified", "source_id", "uid", "has_annotations")
LABELS = ("Some Label", "Another Label", "Parent Label > Child Label")
FETCHED = ("Some Top-Level Label", "Another Top-Level Label > Child Label")
EXPORTED = ("Another Parent Label", "Another Parent Label > Another Child Label")
FOLDERS = {"user_properties": {"string:Folder": {"one_of": ["Sent (/ Sent)", "Inbox (/ Inbox)"]}}}
VERSIONS = 8


def sent(example: dict[str, Any]) -> dict[str, Any]:
    """A comment of an example as its uploader sent it."""
    return {key: value for key, value in example.items() if key not in SERVER_KEYS}


def example_comments(vector: str) -> list[dict[str, Any]]:
    """The comments of an example's answer."""
    body = BY_ID[vector]["response_body"]
    return [sent(item["comment"]) for item in body.get("results", body.get("comments", ()))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A server with the examples' project."""
    with serving(tmp_path_factory.mktemp("vectors") / "data") as application:
        ok(client_of(application).put(f"/api/_private/projects/{PROJECT}", json={"project": {}}))
        yield application


@pytest.fixture(scope="module")
def collateral(server: Application) -> Mailbox:
    """The dataset of the stream examples: eight versions, and a queue of two matches with six misses between."""
    box = new_mailbox(client_of(server), PROJECT, "collateral")
    first, second = example_comments("stream-fetch")
    box.sync(first)
    box.upload(*(f"filtered{number}" for number in range(6)))
    box.sync(second)
    box.upload("next")
    said = {first["id"]: [0.0] * 5, second["id"]: [0.0] * 3 + [0.8374786376953125, 0.6164003014564514]}
    add_model(server, box, [*LABELS, *FETCHED], said, times=VERSIONS)
    return box


@pytest.fixture
def dispute(collateral: Mailbox) -> Mailbox:
    """The stream examples' dataset with its stream, filter, model and thresholds, at the start of the queue."""
    collateral.api.delete(f"{collateral.dataset}/streams/dispute")
    thresholds = [{"name": name.split(" > "), "threshold": 0.5} for name in FETCHED]
    model = {"version": VERSIONS, "label_thresholds": thresholds}
    collateral.put_stream("dispute", comment_filter=FOLDERS, model=model)
    ok(collateral.api.post(f"{collateral.dataset}/streams/dispute/reset", json={"to_comment_created_at": "2018-01-01"}))
    return collateral


@pytest.fixture
def example(server: Application) -> Mailbox:
    """The dataset of the dataset examples, made anew: two comments, one labelled, versions up to 7 and two tags."""
    api = client_of(server)
    for path in (f"/api/v1/datasets/{PROJECT}/example", f"/api/v1/sources/{PROJECT}/example"):
        api.delete(path)
    box = new_mailbox(api, PROJECT, "example")
    (only,) = example_comments("dataset-export")
    box.sync(only, comment("another"))
    box.label(only["id"], "Parent Label > Child Label")
    add_model(server, box, EXPORTED, {only["id"]: [0.95, 0.77], "another": [0.0, 0.0]}, sentiment=-0.43, times=7)
    for name, version in (("prod", 5), ("staging", 7)):
        ok(api.put(f"{box.dataset}/model-tags/{name}", json={"model_tag": {"version": version}}))
    return box


def prepared(vector: dict[str, Any], box: Mailbox) -> Any:
    """The body of an example's request with this server's ids; what the example makes is removed first."""
    body = json.loads(json.dumps(vector["request_body"]))
    match vector["id"]:
        case "stream-create":
            ok(box.api.delete(f"{box.dataset}/streams/dispute"))
        case "stream-fetch-all-filtered":
            box.put_stream("dispute", comment_filter={"user_properties": {"string:Folder": {"one_of": ["none"]}}})
        case "stream-advance":
            body["sequence_id"] = box.fetch(8, stream="dispute")["sequence_id"]
        case "stream-exceptions-tag":
            for item in body["exceptions"]:
                item["uid"] = box.uid(item["uid"].partition(".")[2])
        case "dataset-create":
            ok(box.api.delete(box.dataset))
            body["dataset"]["source_ids"] = [box.source_id]
    return body


def query_of(vector: dict[str, Any], box: Mailbox) -> list[tuple[str, str]]:
    """The query of an example with this server's uids."""
    return [(name, box.uid(uid.partition(".")[2])) for name, uid in vector.get("query", ())]


def path_of(vector: dict[str, Any]) -> str:
    """The path of an example with its placeholders filled in."""
    return str(vector["path"].replace("<project>", PROJECT).replace("<dataset>", "example"))


def expected_body(vector: dict[str, Any]) -> Any:
    """The documented answer, corrected where the document is known to slip."""
    body = json.loads(json.dumps(vector["response_body"]))
    if vector["id"] == "stream-list":
        body["streams"] = [body.pop("stream")]
    if vector["id"] == "stream-fetch-all-filtered":
        body["is_end_sequence"] = False
    return body


def conforms(expected: Any, actual: Any, path: str = "") -> list[str]:
    """Where an answer lacks a key of the example or holds another type; more keys than there are harmless."""
    if type(expected) is not type(actual):
        return [f"{path}: {type(actual).__name__} instead of {type(expected).__name__}"]
    if isinstance(expected, dict):
        lacking = [f"{path}.{key} is missing" for key in expected if key not in actual]
        shared = [key for key in expected if key in actual]
        return lacking + [fault for key in shared for fault in conforms(expected[key], actual[key], f"{path}.{key}")]
    if isinstance(expected, list) and len(expected) != len(actual):
        return [f"{path}: {len(actual)} items instead of {len(expected)}"]
    if isinstance(expected, list):
        pairs = zip(expected, actual, strict=True)
        return [fault for n, (one, two) in enumerate(pairs) for fault in conforms(one, two, f"{path}[{n}]")]
    return []


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_documented_example(request: pytest.FixtureRequest, vector: dict[str, Any]) -> None:
    """The documented request is answered with the documented status, keys and types."""
    box = request.getfixturevalue({"streams": "dispute", "datasets": "example"}[vector["api"]])
    body = prepared(vector, box)
    options: dict[str, Any] = {"params": query_of(vector, box)} | ({} if body is None else {"json": body})
    answer = box.api.request(vector["method"], path_of(vector), **options)
    assert answer.status_code == vector["response_status"], answer.text
    found = answer.json()
    if vector["id"] == "dataset-list":
        found["datasets"] = [dataset for dataset in found["datasets"] if dataset["name"] == "example"]
    assert conforms(expected_body(vector), found) == []


def test_fetch_example_to_the_letter(dispute: Mailbox) -> None:
    """The documented fetch: two results, six filtered, more to come, the comments as they were uploaded."""
    batch = dispute.fetch(8, stream="dispute")
    assert (batch["filtered"], batch["is_end_sequence"]) == (6, False)
    assert [sent(item["comment"]) for item in batch["results"]] == example_comments("stream-fetch")
    documented = BY_ID["stream-fetch"]["response_body"]["results"]
    assert [item["labels"] for item in batch["results"]] == [item["labels"] for item in documented]
    assert batch["sequence_id"] == batch["results"][-1]["sequence_id"]


def test_export_example_to_the_letter(example: Mailbox) -> None:
    """The documented export: the comment as uploaded, its labels with their parent as text."""
    page = example.export(limit=1)
    assert [sent(item["comment"]) for item in page["comments"]] == example_comments("dataset-export")
    documented = BY_ID["dataset-export"]["response_body"]["comments"][0]
    assert page["comments"][0]["annotations"] == documented["annotations"]
    found, said = (body["predictions"]["labels"] for body in (page["comments"][0], documented))
    assert [label["name"] for label in found] == [label["name"] for label in said]


def repeated(body: dict[str, Any]) -> dict[str, Any]:
    """A request body with its `$repeat` lists written out."""
    return {
        key: [value["$repeat"].format(i=number) for number in range(value["count"])]
        if isinstance(value, dict) and "$repeat" in value
        else value
        for key, value in body.items()
    }


@pytest.mark.parametrize("vector", LIMITS, ids=lambda vector: vector["id"])
def test_documented_limit(request: pytest.FixtureRequest, vector: dict[str, Any]) -> None:
    """A request at a documented limit is served; one beyond it gets 4xx in the envelope and changes nothing."""
    box = request.getfixturevalue("dispute" if "/streams" in vector["path"] else "example")
    before = ok(box.api.get(f"{box.dataset}/streams")), ok(box.api.get(box.dataset))
    answer = box.api.request(vector["method"], path_of(vector), json=repeated(vector["request_body"]))
    if vector["expect"] == "ok":
        assert ok(answer)["status"] == "ok"
    else:
        assert is_error(answer, 400, 413, 422)
    assert (ok(box.api.get(f"{box.dataset}/streams")), ok(box.api.get(box.dataset))) == before
