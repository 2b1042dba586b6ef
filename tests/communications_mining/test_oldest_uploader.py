"""The two calls of the oldest uploader."""

from collections.abc import Callable
from typing import Any

import pytest
from cm_world import DATASET, STREAMS, make_dataset, make_source, the_dataset, upload
from cm_world import comment as full_comment
from starlette.testclient import TestClient

from conftest import ok
from headrace.core.intake import source_name

VOC = f"/api/voc/datasets/{DATASET}"


def flat(key: str, day: int = 1, source: str = "reviews", **more: Any) -> dict[str, Any]:
    """A comment as that uploader sends it."""
    return {
        "id": key,
        "timestamp": f"2026-03-{day:02d}T10:00:00",
        "original_text": f"text of {key}",
        "user_properties": {"string:Source": source, "number:Stars": 4},
        **more,
    }


def newest(api: TestClient, **body: Any) -> list[str]:
    """The ids of recent comments."""
    return [comment["id"] for comment in ok(api.post(f"{VOC}/recent", json=body))["comments"]]


def test_comments_go_to_the_source_they_name(both: TestClient) -> None:
    """A missing source is made and added to the dataset, a known one used; the counts are those of a sync."""
    make_dataset(both, make_source(both))
    first = ok(both.post(f"{VOC}/sync", json={"comments": [flat("0a"), flat("0b", source="calls")]}))
    assert first == {"status": "ok", "new": 2, "updated": 0, "unchanged": 0}
    again = [flat("0a"), flat("0b", source="calls", original_text="other"), flat("0c")]
    assert ok(both.post(f"{VOC}/sync", json={"comments": again}))["updated"] == 1
    names = {source["name"]: source["id"] for source in ok(both.get("/api/v1/sources"))["sources"]}
    assert set(names) == {"mail", "reviews", "calls"}
    dataset = ok(both.get(f"/api/v1/datasets/{DATASET}"))["dataset"]
    assert dataset["source_ids"] == [names["mail"], names["reviews"], names["calls"]]
    stored = ok(both.get("/api/v1/sources/default/calls/comments/0b"))["comment"]
    assert stored["messages"] == [{"body": {"text": "other"}}]
    assert stored["user_properties"] == {"string:Source": "calls", "number:Stars": 4}
    assert stored["timestamp"] == "2026-03-01T10:00:00.000000Z"


def test_what_is_uploaded_so_is_streamed(api: TestClient) -> None:
    """A stream made before the first upload delivers the comments of the source that the upload made."""
    make_dataset(api)
    ok(api.put(STREAMS, json={"stream": {"name": "all"}}))
    ok(api.post(f"{VOC}/sync", json={"comments": [flat("0a"), flat("0b")]}))
    batch = ok(api.post(f"{STREAMS}/all/fetch", json={"size": 8}))
    assert [result["comment"]["id"] for result in batch["results"]] == ["0a", "0b"]


def test_recent_is_newest_first(both: TestClient) -> None:
    """The newest date comes first, over all sources, as many as asked, only what the filter lets through."""
    make_dataset(both, make_source(both))
    upload(both, full_comment("m", user_properties={"string:Source": "reviews"}))
    assert newest(both, limit=1, filter={"user_properties": {"string:Source": {"one_of": ["none"]}}}) == []
    mixed = [flat("b", 2), flat("d", 4, "calls"), flat("a", 1), flat("c", 3), flat("e", 4, "calls")]
    ok(both.post(f"{VOC}/sync", json={"comments": mixed}))
    assert newest(both, limit=4) == ["e", "d", "c", "b"]
    assert newest(both, limit=512) == newest(both) == ["e", "d", "c", "b", "a", "m"]
    wanted = {"user_properties": {"string:Source": {"one_of": ["reviews"]}}}
    assert newest(both, limit=1, filter=wanted) == ["c"]
    assert newest(both, filter=wanted) == ["c", "b", "a", "m"]


def test_recent_goes_on_behind_the_first_page(api: TestClient) -> None:
    """What matches is found also behind more than a page of what does not."""
    make_dataset(api)
    ok(api.post(f"{VOC}/sync", json={"comments": [flat("old", 1, "calls")]}))
    ok(api.post(f"{VOC}/sync", json={"comments": [flat(f"r{number}", 2) for number in range(1100)]}))
    assert newest(api, limit=1, filter={"user_properties": {"string:Source": {"one_of": ["calls"]}}}) == ["old"]


@pytest.mark.parametrize(
    "change",
    [
        {"user_properties": {}},
        {"user_properties": {"string:Source": " "}},
        {"user_properties": {"Source": "reviews"}},
        {"timestamp": "today"},
        {"id": "a/b"},
        {"original_text": 3},
    ],
)
def test_a_bad_flat_comment_refuses_the_batch(shared_api: TestClient, change: dict[str, Any]) -> None:
    """400, nothing stored and no source made."""
    the_dataset(shared_api)
    answer = shared_api.post(f"{VOC}/sync", json={"comments": [flat("good"), flat("0a") | change]})
    assert answer.status_code == 400
    assert ok(shared_api.get("/api/v1/sources"))["sources"] == []


def test_unknown_datasets_and_bad_limits(api: TestClient) -> None:
    """404 for a dataset that does not exist, 400 for a limit or a filter that cannot be."""
    assert api.post(f"{VOC}/recent", json={"limit": 1}).status_code == 404
    assert api.post(f"{VOC}/sync", json={"comments": [flat("0a")]}).status_code == 404
    make_dataset(api)
    for body in ({"limit": 0}, {"limit": 513}, {"filter": {"user_properties": {"Source": {}}}}, {"order": "x"}):
        assert api.post(f"{VOC}/recent", json=body).status_code == 400
    assert ok(api.post(f"{VOC}/sync", json={"comments": []}))["new"] == 0


def test_rights_are_those_of_the_objects(api: TestClient, person: Callable[..., TestClient]) -> None:
    """Uploading to a known source needs Edit messages; making one needs Sources admin and Datasets admin too."""
    make_dataset(api, make_source(api, "default/reviews"))
    viewer, uploader = person("viewer", default=["viewer"]), person("up", default=["viewer", "sources-add-comments"])
    half = person("half", default=["viewer", "sources-admin"])
    known, missing = {"comments": [flat("0a")]}, {"comments": [flat("0b", source="new one")]}
    assert viewer.post(f"{VOC}/sync", json=known).status_code == 403
    assert newest(viewer) == []
    assert ok(uploader.post(f"{VOC}/sync", json=known))["new"] == 1
    assert uploader.post(f"{VOC}/sync", json=missing).status_code == 403
    assert half.post(f"{VOC}/sync", json=missing).status_code == 403
    assert len(ok(api.get("/api/v1/sources"))["sources"]) == 1
    ok(api.put("/api/_private/projects/other", json={"project": {}}))
    stranger = person("stranger", other=["admin"])
    assert stranger.post(f"{VOC}/sync", json=known).status_code == 404
    assert stranger.post(f"{VOC}/recent", json={}).status_code == 404


def test_any_text_names_a_source() -> None:
    """A text that cannot be a name gives one that can, always the same, and another than its neighbours'."""
    assert source_name("reviews-2_x") == "reviews-2_x"
    texts = ["a b", "a  b", "a/b", "\u00e9t\u00e9", "", "x" * 300, "x" * 301]
    names = [source_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert all(len(name) <= 256 and source_name(name) == name for name in names)
