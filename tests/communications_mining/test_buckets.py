"""Buckets, and the sources that name them."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from conftest import ok

BUCKETS = "/api/_private/buckets"
SOURCE = "/api/v1/sources/default/mail"


def make_bucket(api: TestClient, full: str = "default/inbox", **fields: str) -> str:
    """Create a bucket; answers its id."""
    bucket = ok(api.put(f"{BUCKETS}/{full}", json={"bucket": {"bucket_type": "emails", **fields}}))["bucket"]
    return str(bucket["id"])


def test_a_bucket_lives_from_put_to_delete(both: TestClient) -> None:
    """A bucket is listed, found by name and by id, and gone after its deletion, on both databases."""
    bucket_id = make_bucket(both, title="Inbox", transform_tag="generic.0.CONVKER5")
    found = ok(both.get(f"{BUCKETS}/default%2Finbox"))["bucket"]
    assert found == ok(both.get(f"{BUCKETS}/id:{bucket_id}"))["bucket"] == ok(both.get(BUCKETS))["buckets"][0]
    assert (found["owner"], found["name"], found["title"]) == ("default", "inbox", "Inbox")
    assert found["transform_tag"] == "generic.0.CONVKER5"
    assert found["created_at"].endswith("Z")
    assert ok(both.delete(f"{BUCKETS}/id:{bucket_id}")) == {"status": "ok"}
    assert ok(both.get(BUCKETS))["buckets"] == []
    assert both.get(f"{BUCKETS}/default/inbox").status_code == 404


def test_a_name_that_is_taken_is_refused(api: TestClient) -> None:
    """A second PUT of the same name answers 400 and overwrites nothing."""
    make_bucket(api, title="first")
    again = api.put(f"{BUCKETS}/default/inbox", json={"bucket": {"title": "second"}})
    assert (again.status_code, again.json()["status"]) == (400, "error")
    assert ok(api.get(f"{BUCKETS}/default/inbox"))["bucket"]["title"] == "first"


@pytest.mark.parametrize(
    ("full", "fields", "status", "word"),
    [
        ("default/not a name", {}, 400, "bucket name"),
        ("absent/inbox", {}, 404, "absent"),
        ("default/inbox", {"title": "x" * 129}, 400, "title"),
        ("default/inbox", {"bucket_type": "calls"}, 400, "bucket_type"),
        ("default/inbox", {"colour": "red"}, 400, "colour"),
        ("default/inbox", {"transform_tag": "not-a-valid-transform-tag.0.ABCDEFGH"}, 422, "transform tag"),
    ],
)
def test_a_bad_bucket_is_refused(
    shared_api: TestClient, full: str, fields: dict[str, str], status: int, word: str
) -> None:
    """Every bad field answers in the envelope and is named."""
    answer = shared_api.put(f"{BUCKETS}/{full}", json={"bucket": fields})
    assert (answer.status_code, answer.json()["status"]) == (status, "error")
    assert word in answer.json()["message"]


def test_buckets_have_their_own_rights(api: TestClient, person: Callable[..., TestClient]) -> None:
    """Reading, writing and knowing of a bucket are three different things."""
    bucket_id = make_bucket(api)
    stranger, viewer = person("stranger"), person("viewer", default=["viewer"])
    reader, writer = person("reader", default=["buckets-read"]), person("writer", default=["buckets-write"])
    assert stranger.get(f"{BUCKETS}/id:{bucket_id}").status_code == 404
    assert viewer.get(f"{BUCKETS}/id:{bucket_id}").status_code == 403
    assert [ok(each.get(BUCKETS))["buckets"] for each in (stranger, viewer)] == [[], []]
    assert ok(reader.get(BUCKETS))["buckets"][0]["id"] == bucket_id
    assert reader.delete(f"{BUCKETS}/id:{bucket_id}").status_code == 403
    assert reader.put(f"{BUCKETS}/default/more", json={"bucket": {}}).status_code == 403
    assert writer.delete(f"{BUCKETS}/id:{bucket_id}").status_code == 200


def test_a_source_names_a_bucket_its_maker_may_read(api: TestClient, person: Callable[..., TestClient]) -> None:
    """A bucket that is unknown, or not the caller's to read, cannot be named; null leaves the bucket as it is."""
    bucket_id = make_bucket(api)
    unknown = api.put(SOURCE, json={"source": {"bucket_id": "00000000000000ff"}})
    assert unknown.status_code == 400
    assert "bucket_id" in unknown.json()["message"]
    maker = person("maker", default=["sources-admin"])
    assert maker.put(SOURCE, json={"source": {"bucket_id": bucket_id}}).status_code == 400
    assert ok(api.put(SOURCE, json={"source": {"bucket_id": bucket_id}}))["source"]["bucket_id"] == bucket_id
    assert ok(api.post(SOURCE, json={"source": {"bucket_id": None}}))["source"]["bucket_id"] == bucket_id


def test_a_deleted_bucket_leaves_its_sources(api: TestClient) -> None:
    """Sources stay and name the bucket no more."""
    bucket_id = make_bucket(api)
    ok(api.put(SOURCE, json={"source": {"bucket_id": bucket_id}}))
    ok(api.delete(f"{BUCKETS}/id:{bucket_id}"))
    assert "bucket_id" not in ok(api.get(SOURCE))["source"]


def test_a_project_with_a_bucket_is_not_empty(api: TestClient) -> None:
    """Deleting such a project needs force, which deletes the bucket too."""
    project = "/api/_private/projects/post"
    ok(api.put(project, json={"project": {}, "user_ids": []}))
    make_bucket(api, "post/inbox")
    refused = api.delete(project)
    assert refused.status_code == 409
    assert '{"buckets": 1}' in refused.json()["message"]
    ok(api.delete(f"{project}?force=true"))
    assert ok(api.get(BUCKETS))["buckets"] == []
