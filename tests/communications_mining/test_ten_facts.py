"""The ten facts that break clients of this API, one test each."""

import contextlib
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from cm_world import (
    DATASET,
    SOURCE,
    STREAMS,
    Trained,
    annotate,
    comment,
    make_dataset,
    make_source,
    trained,
    upload,
)
from starlette.testclient import TestClient

from conftest import client_of, ok
from headrace.app import Application
from headrace.settings import Settings

__all__ = ["trained"]

ZONED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
TIMES = {"created", "created_at", "updated_at", "last_modified", "timestamp", "sent_at", "trained_time"}


def leaves(value: Any) -> list[tuple[str, Any]]:
    """Every value inside an answer with the key it stands under."""
    if isinstance(value, dict):
        return [item for key, inner in value.items() for item in [(key, inner), *leaves(inner)]]
    return [item for inner in value for item in leaves(inner)] if isinstance(value, list) else []


@pytest.fixture
def uid(api: TestClient) -> str:
    """A comment in a dataset with a stream that began before it."""
    source = make_source(api)
    make_dataset(api, source, has_sentiment=False)
    ok(api.put(STREAMS, json={"stream": {"name": "all"}}))
    sent = comment("a", user_properties={"number:Count": 3}) | {"timestamp": "2026-01-02T03:04:05"}
    upload(api, sent | {"messages": [{"body": {"text": "hi"}, "sent_at": "2026-01-02T03:04"}]})
    return f"{source}.a"


@pytest.mark.parametrize("name", ["default/topics", "default%2Ftopics", "default%2ftopics", "id:{}"])
def test_fact_1_escaped_slashes_reach_the_same_handler(api: TestClient, uid: str, name: str) -> None:
    """`owner/name` as two segments, as one with an escaped slash, and an id lead to the same object."""
    dataset = ok(api.get(f"/api/v1/datasets/{DATASET}"))["dataset"]
    stem = f"/api/v1/datasets/{name.format(dataset['id'])}"
    assert ok(api.get(stem))["dataset"] == dataset
    assert [stream["name"] for stream in ok(api.get(f"{stem}/streams"))["streams"]] == ["all"]
    fetched = ok(api.post(f"{stem}/streams/all/fetch", json={"size": 1}))
    assert fetched["results"][0]["comment"]["uid"] == uid
    assert ok(api.get(f"/api/v1/sources/{SOURCE.replace('/', '%2F')}/comments/a"))["comment"]["uid"] == uid


def test_fact_2_every_answer_has_the_envelope(
    settings: Settings, application: Application, api: TestClient, person: Callable[..., TestClient], uid: str
) -> None:
    """`status` is ok with 2xx, and error with a message for every kind of failure, the framework's own included."""
    nobody, viewer = client_of(application, None), person("viewer", default=["viewer"])
    bad_tag = {"source": {"email_transform_tag": "not-a-valid-transform-tag.0.ABCDEFGH"}}
    failures = [
        (400, api.post(f"{STREAMS}/all/fetch", json={"size": 0})),
        (400, api.post(f"{STREAMS}/all/fetch", content=b"{")),
        (401, nobody.get("/api/v1/datasets")),
        (401, nobody.get("/auth/user", headers={"Authorization": "Bearer wrong"})),
        (403, viewer.put(STREAMS, json={"stream": {"name": "mine"}})),
        (404, api.get("/api/v1/datasets/default/none")),
        (404, api.get("/api/v1/datasets/default/none/no/such/route")),
        (404, api.get("/api/_private/nothing")),
        (405, api.patch(f"/api/v1/datasets/{DATASET}")),
        (413, api.post(f"/api/v1/sources/{SOURCE}/sync", content=b"{}", headers={"Content-Length": str(2**40)})),
        (422, api.put("/api/v1/sources/default/x", json=bad_tag)),
    ]
    for status, answer in failures:
        body = answer.json()
        assert (answer.status_code, body["status"]) == (status, "error"), answer.text
        assert body["message"]
    assert ok(api.get("/api/v1/datasets"))["status"] == "ok"
    guesses = [nobody.get("/auth/user", headers={"X-Auth-Token": "wrong"}) for _ in range(301)]
    assert (guesses[-1].status_code, guesses[-1].json()["status"]) == (429, "error")
    with contextlib.closing(sqlite3.connect(settings.store_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("DROP TABLE tokens")
    crashed = TestClient(application.asgi, client=("elsewhere", 1), raise_server_exceptions=False).get(
        "/api/v1/datasets", headers={"X-Auth-Token": "any"}
    )
    assert (crashed.status_code, crashed.json()["status"]) == (500, "error")
    assert "tokens" not in crashed.text


def test_fact_3_put_comments_answers_only_ok(api: TestClient) -> None:
    """One more key and the client reports a parse error, also for a repeated upload."""
    make_source(api)
    for _ in range(2):
        answer = api.put(f"/api/_private/sources/{SOURCE}/comments", json={"comments": [comment("a")]})
        assert answer.content == b'{"status":"ok"}'


def test_fact_4_stream_objects_are_whole(trained: Trained) -> None:
    """A model always has its list of thresholds, a filter is absent and never null, texts are never null."""
    model = {"version": trained.version}
    for name, body in {"a": {}, "b": {"model": model}, "c": {"model": model | {"label_thresholds": []}}}.items():
        made = ok(trained.api.put(STREAMS, json={"stream": {"name": name, **body}}))["stream"]
        assert "comment_filter" not in made
        assert (made["title"], made["description"]) == ("", "")
        assert ("model" in made) is ("model" in body)
        assert made.get("model", {}).get("label_thresholds", []) == []
    found = ok(trained.api.get(STREAMS))["streams"]
    assert [stream["name"] for stream in found] == ["a", "b", "c"]
    assert [stream.get("model") for stream in found[1:]] == [model | {"label_thresholds": []}] * 2
    for name in "abc":
        ok(trained.api.delete(f"{STREAMS}/{name}"))


def test_fact_5_datasets_and_sources_have_every_key(api: TestClient) -> None:
    """What the client decodes strictly is there from the first answer on."""
    source = make_source(api)
    dataset = make_dataset(api, source)
    lists = ("entity_defs", "general_fields", "label_defs", "label_groups", "_dataset_flags", "source_ids")
    for found in (dataset, ok(api.get("/api/v1/datasets"))["datasets"][0]):
        assert all(isinstance(found[key], list) for key in lists)
        assert found["label_groups"] == [{"name": "default", "label_defs": []}]
        assert (found["model_family"], found["has_sentiment"], found["owner"]) == ("english", True, "default")
    for found in (ok(api.get(f"/api/v1/sources/{SOURCE}"))["source"], ok(api.get("/api/v1/sources"))["sources"][0]):
        assert (found["id"], found["_kind"], found["language"]) == (source, "unknown", "en")
        assert found["should_translate"] is False
        assert {"created_at", "updated_at", "title", "description", "owner", "name"} <= set(found)


def test_fact_6_times_have_a_zone_and_integers_stay_integers(api: TestClient, uid: str) -> None:
    """Times are RFC 3339 with a zone, also those that came without; counts and numbers are not turned into floats."""
    answers = [
        api.get("/api/v1/sources"),
        api.get(f"/api/v1/datasets/{DATASET}"),
        api.get(f"{STREAMS}/all"),
        api.post(f"{STREAMS}/all/fetch", json={"size": 2}),
        api.post(f"{STREAMS}/all/reset", json={"to_comment_created_at": "2020-06-03T16:05:00"}),
        api.get("/auth/user"),
        api.get("/api/_private/projects"),
    ]
    times = [value for answer in answers for key, value in leaves(ok(answer)) if key in TIMES]
    assert len(times) > 15
    assert [value for value in times if not ZONED.fullmatch(value)] == []
    fetched = answers[3].text
    assert '"filtered":0,' in fetched
    assert re.search(r'"number:Count": ?3[,}]', fetched)


def test_fact_7_a_conflict_is_answered_only_where_it_is_meant(api: TestClient, uid: str) -> None:
    """The client retries a 409 for 35 seconds: creating something twice is a 400, other data under an id a 409."""
    assert api.put(f"/api/v1/sources/{SOURCE}", json={"source": {}}).status_code == 400
    assert api.put(f"/api/v1/datasets/{DATASET}", json={"dataset": {"title": "new"}}).status_code == 400
    assert api.put("/api/_private/projects/default", json={"project": {}}).status_code == 400
    assert ok(api.get(f"/api/v1/datasets/{DATASET}"))["dataset"]["title"] == ""
    other = {"comments": [comment("b"), comment("a", "other")]}
    assert api.put(f"/api/_private/sources/{SOURCE}/comments", json=other).status_code == 409
    assert api.get(f"/api/v1/sources/{SOURCE}/comments/b").status_code == 404
    assert api.delete("/api/_private/projects/default").status_code == 409


def test_fact_8_labellings_end_with_an_empty_page(api: TestClient, uid: str) -> None:
    """A page with results names an `after` other than the one sent; the last page is empty, not the last full one."""
    source = uid.split(".")[0]
    upload(api, comment("b"))
    for key in "ab":
        annotate(api, f"{source}.{key}", "A")
    path, asked = f"/api/_private/datasets/{DATASET}/labellings", {"source_id": source, "limit": 2}
    first = ok(api.get(path, params=asked))
    assert len(first["results"]) == 2
    second = ok(api.get(path, params=asked | {"after": first["after"]}))
    assert second["results"] == []
    assert second.get("after") != first["after"]


def test_fact_9_predictions_come_in_the_order_of_the_uids(trained: Trained) -> None:
    """The client zips the two lists, so order and number must be those asked."""
    uids = [trained.uids[key] for key in ("c9", "c3", "c9", "c30", "c1")]
    answer = ok(trained.api.post(f"{trained.labellers}/latest/predict-comments", json={"uids": uids}))
    assert [item["uid"] for item in answer["predictions"]] == uids


def test_fact_10_every_label_carries_a_sentiment(api: TestClient, uid: str) -> None:
    """Assigned and dismissed labels do in every annotation answer, also in a dataset without sentiment."""
    said = {"assigned": [{"name": "A"}], "dismissed": [{"name": "B", "sentiment": "negative"}]}
    path = f"/api/_private/datasets/{DATASET}/labellings"
    answers = [ok(api.post(f"{path}/{uid}", json={"labelling": [said]}))]
    answers += ok(api.get(path, params={"id": uid}))["results"]
    answers += ok(api.get(path))["results"]
    for answer in answers:
        group = answer["labelling"][0]
        assert group["assigned"] == [{"name": "A", "sentiment": "positive"}]
        assert group["dismissed"] == [{"name": "B", "sentiment": "negative"}]
    exported = ok(api.post(f"/api/v1/datasets/{DATASET}/export", json={}))["comments"][0]
    assert exported["annotations"]["labels"]["assigned"] == [{"name": "A", "sentiment": "positive"}]
