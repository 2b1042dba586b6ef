"""What a new version would change for each stream, asked before it is promoted."""

import pytest
from cm_world import DATASET, WORDS, Trained, learn, make_trained
from starlette.testclient import TestClient

from conftest import client_of, ok
from headrace.app import Application
from headrace.learning.values import Example

COMPARE = f"/headrace/v1/datasets/{DATASET}/models/compare"
STREAMS = f"/api/v1/datasets/{DATASET}/streams"


@pytest.fixture
def world(application: Application, api: TestClient) -> Trained:
    """Two versions, of which the second has unlearned one label, and a stream for that label."""
    made = make_trained(application, api)
    words = {label: text for label, text in WORDS.items() if not label.startswith("Card")}
    texts = [Example(text=f"{text} number{n}", labels=(label,)) for label, text in words.items() for n in range(10)]
    learn(application, made.dataset["id"], texts)
    model = {"version": made.version, "label_thresholds": [{"name": ["Card"], "threshold": 0.3}]}
    ok(api.put(STREAMS, json={"stream": {"name": "cards", "model": model}}))
    return made


def test_what_a_stream_would_lose_is_shown(world: Trained) -> None:
    """A version that no longer knows a label passes nothing to the stream that waits for it."""
    found = ok(world.api.get(COMPARE, params={"from": world.version, "to": world.version + 1}))
    assert (found["records"], found["dataset"]) == (40, DATASET)
    stream = found["streams"][0]
    assert stream["from"]["passed"] >= 10
    assert stream["to"] == {"passed": 0, "held": 40, "labels": {}}
    assert stream["changed"] == {"gained": 0, "lost": stream["from"]["passed"], "relabelled": 0}
    assert {record["uid"] for record in stream["lost"]} <= set(world.uids.values())


def test_the_same_version_changes_nothing(world: Trained) -> None:
    """A version beside itself gains and loses nothing."""
    found = ok(world.api.get(COMPARE, params={"from": "1", "to": "1"}))
    assert found["from"] == found["to"]
    assert found["streams"][0]["changed"] == {"gained": 0, "lost": 0, "relabelled": 0}


def test_comparing_changes_nothing(world: Trained) -> None:
    """The stream keeps its version and its cursor."""
    before = ok(world.api.get(f"{STREAMS}/cards"))
    ok(world.api.get(COMPARE, params={"from": 1, "to": 2, "records": 5}))
    assert ok(world.api.get(f"{STREAMS}/cards")) == before


def test_bad_requests_are_refused(world: Trained) -> None:
    """A missing or unknown version and a silly number of records are told; strangers see nothing."""
    for query, status in (({}, 400), ({"from": "9"}, 404), ({"from": "no"}, 404), ({"from": "1", "records": "0"}, 400)):
        assert world.api.get(COMPARE, params=query).status_code == status
    assert client_of(world.application, None).get(COMPARE, params={"from": "1"}).status_code == 401
