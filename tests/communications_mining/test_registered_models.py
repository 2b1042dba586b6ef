"""Models trained elsewhere: registered by name, pushed to, named by streams, compared."""

from typing import Any

import pytest
from cm_world import DATASET, comment, make_dataset, make_source, upload
from starlette.testclient import TestClient

from conftest import ok

LABELLERS = f"/api/v1/datasets/{DATASET}/labellers"
STREAMS = f"/api/v1/datasets/{DATASET}/streams"
CONFIG = (
    '<View><Text name="text" value="$text"/>'
    '<Choices name="mood" toName="text"><Choice value="good"/><Choice value="bad"/></Choices></View>'
)


def registered(api: TestClient, name: str = "theirs", *labels: str) -> int:
    """The version of a model registered with labels."""
    body = {"labeller": {"name": name, "labels": list(labels) or ["Card > Lost", "Praise"]}}
    return int(ok(api.put(LABELLERS, json=body))["labeller"]["version"])


def said(uid: str, **labels: float) -> dict[str, Any]:
    """A prediction of one comment."""
    return {"uid": uid, "labels": [{"name": name, "probability": value} for name, value in labels.items()]}


@pytest.fixture
def source(api: TestClient) -> str:
    """A source with two comments, viewed by the dataset."""
    made = make_source(api)
    make_dataset(api, made)
    upload(api, comment("a"), comment("b"))
    return made


def test_a_stream_delivers_what_was_pushed(api: TestClient, source: str) -> None:
    """A stream that names a registered version carries its probabilities; what was never pushed has no label."""
    version = registered(api)
    assert registered(api) == version
    ok(api.put(STREAMS, json={"stream": {"name": "s", "model": {"version": version}}}))
    ok(api.post(f"{STREAMS}/s/reset", json={"to_comment_created_at": "2020-01-01T00:00:00Z"}))
    pushed = {"predictions": [said(f"{source}.a", **{"Card > Lost": 0.75})]}
    assert ok(api.put(f"{LABELLERS}/{version}/predictions", json=pushed))["stored"] == 1
    found = ok(api.post(f"{STREAMS}/s/fetch", json={"size": 8}))["results"]
    labels = {
        item["comment"]["id"]: {" > ".join(x["name"]): x["probability"] for x in item["labels"]} for item in found
    }
    assert labels["a"] == {"Card": 0.75, "Card > Lost": 0.75, "Praise": 0}
    assert set(labels["b"].values()) == {0}


def test_pushing_again_replaces(api: TestClient, source: str) -> None:
    """The last word about a comment counts, in predictions on demand too."""
    version = registered(api)
    for probability in (0.9, 0.4):
        pushed = {"predictions": [said(f"{source}.a", Praise=probability)]}
        ok(api.put(f"{LABELLERS}/{version}/predictions", json=pushed))
    body = {"uids": [f"{source}.a"], "threshold": 0.3}
    labels = ok(api.post(f"{LABELLERS}/{version}/predict-comments", json=body))["predictions"][0]["labels"]
    assert [(label["name"], round(label["probability"], 3)) for label in labels] == [(["Praise"], 0.4)]


def test_what_makes_no_sense_is_refused(api: TestClient, source: str) -> None:
    """Unknown labels, comments and versions and impossible numbers change nothing; texts cannot be asked about."""
    version = registered(api)
    uid = f"{source}.a"
    url = f"{LABELLERS}/{version}/predictions"
    for item, status in ((said(uid, Other=0.5), 400), (said(uid, Praise=1.5), 400), (said(f"{source}.z"), 404)):
        assert api.put(url, json={"predictions": [item]}).status_code == status
    assert api.put(f"{LABELLERS}/99/predictions", json={"predictions": []}).status_code == 404
    assert api.put(LABELLERS, json={"labeller": {"name": "", "labels": ["A"]}}).status_code == 400
    assert api.put(LABELLERS, json={"labeller": {"name": "x", "labels": []}}).status_code == 400
    document = {"documents": [{"messages": [{"body": {"text": "x"}}]}]}
    assert api.post(f"{LABELLERS}/{version}/predict", json=document).status_code == 400


def test_label_studio_registers_by_pushing(api: TestClient) -> None:
    """The first predictions under a model version register it, and a stream reads its choices with their score."""
    project = ok(api.post("/api/projects/", json={"title": "Mood", "label_config": CONFIG}))["id"]
    ids = ok(api.post(f"/api/projects/{project}/import?return_task_ids=1", json=[{"text": "x"}, {"text": "y"}]))[
        "task_ids"
    ]
    region = {"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": ["good"]}}
    row = {"task": ids[0], "result": [region], "score": 0.5, "model_version": "theirs"}
    ok(api.post(f"/api/projects/{project}/import/predictions", json=[row]))
    assert ok(api.get(f"/api/projects/{project}/model-versions/")) == {"theirs": 1}
    private = "/api/_private/datasets/default/mood/labellers"
    version = ok(api.post(private, json={}))["labellers"][0]["version"]
    streams = "/api/v1/datasets/default/mood/streams"
    ok(api.put(streams, json={"stream": {"name": "s", "model": {"version": version}}}))
    ok(api.post(f"{streams}/s/reset", json={"to_comment_created_at": "2020-01-01T00:00:00Z"}))
    found = ok(api.post(f"{streams}/s/fetch", json={"size": 8}))["results"]
    assert [{x["name"][0]: x["probability"] for x in item["labels"]} for item in found] == [
        {"good": 0.5, "bad": 0},
        {"good": 0, "bad": 0},
    ]
