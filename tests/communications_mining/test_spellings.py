"""The same call in every spelling that a client may use: prefixes, former names, other headers."""

from collections.abc import Callable

import pytest
from cm_world import DATASET, STREAMS, comment, make_dataset, make_source, upload
from starlette.testclient import TestClient

from conftest import ADMIN_TOKEN, client_of, ok
from headrace.app import Application, canonical

TRIGGERS = STREAMS.replace("/streams", "/triggers")


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("/acme/tenant/reinfer_/api/v1/datasets", "/api/v1/datasets"),
        ("/acme/tenant/reinfer_/api/_private/users/", "/api/_private/users"),
        ("/acme/tenant/reinfer_/auth/user", "/auth/user"),
        ("/acme/reinfer_/api/v1/datasets", "/acme/reinfer_/api/v1/datasets"),
        ("/acme/tenant/reinfer_", "/acme/tenant/reinfer_"),
        ("/acme/tenant/reinfer_/api/projects", "/acme/tenant/reinfer_/api/projects"),
        ("/api/v1/datasets/p/reinfer_/api/v1/datasets", "/api/v1/datasets/p/reinfer_/api/v1/datasets"),
        ("/", "/"),
        ("///", "/"),
    ],
)
def test_only_a_whole_tenant_prefix_is_dropped(path: str, served: str) -> None:
    """A prefix of organisation, tenant and `reinfer_` before a path of this API is dropped, nothing else."""
    assert canonical(path) == served


def test_a_tenant_prefix_changes_no_rights(api: TestClient, person: Callable[..., TestClient]) -> None:
    """Whoever may not see a dataset may not see it behind any organisation's name either."""
    make_dataset(api, make_source(api))
    ok(api.put("/api/_private/projects/other", json={"project": {}}))
    stranger, prefix = person("stranger", other=["admin"]), "/default/default/reinfer_"
    assert ok(api.get(f"{prefix}/api/v1/datasets/{DATASET}"))["dataset"]["name"] == "topics"
    assert stranger.get(f"{prefix}/api/v1/datasets/{DATASET}").status_code == 404
    assert ok(stranger.get(f"{prefix}/api/v1/datasets"))["datasets"] == []
    assert stranger.get(f"{prefix}/api/v1/nothing").status_code == 404


def test_a_prefixed_path_is_not_public(application: Application) -> None:
    """Without a token the prefix opens nothing, and the error has the envelope."""
    answer = client_of(application, None).get("/a/b/reinfer_/api/v1/datasets")
    assert (answer.status_code, answer.json()["status"]) == (401, "error")


def test_x_auth_token_carries_the_token(application: Application) -> None:
    """The header of the oldest client works like Authorization."""
    anonymous = client_of(application, None)
    assert ok(anonymous.get("/auth/user", headers={"X-Auth-Token": ADMIN_TOKEN}))["user"]["username"] == "admin"
    assert anonymous.get("/auth/user", headers={"X-Auth-Token": ADMIN_TOKEN + "x"}).status_code == 401


@pytest.mark.parametrize("spelling", ["default/topics", "default%2Ftopics", "id:{id}"])
def test_triggers_are_streams(api: TestClient, spelling: str) -> None:
    """The former name of streams serves the same objects, with its own word as key, however the dataset is named."""
    source = make_source(api)
    dataset = make_dataset(api, source)
    triggers = f"/api/v1/datasets/{spelling.format(id=dataset['id'])}/triggers"
    made = ok(api.put(triggers, json={"trigger": {"name": "t", "title": "T"}}))["trigger"]
    assert made == ok(api.get(f"{STREAMS}/t"))["stream"] == ok(api.get(f"{triggers}/t"))["trigger"]
    assert ok(api.get(triggers))["triggers"] == [made]
    changed = ok(api.post(f"{triggers}/t", json={"trigger": {"title": "U"}}))["trigger"]
    assert (changed["title"], changed["id"]) == ("U", made["id"])
    upload(api, comment("a"))
    batch = ok(api.post(f"{triggers}/t/fetch", json={"size": 8}))
    assert [item["comment"]["id"] for item in batch["results"]] == ["a"]
    body = {"sequence_id": batch["sequence_id"]}
    assert ok(api.post(f"{triggers}/t/advance", json=body)) == {"status": "ok", **body}
    reset = ok(api.post(f"{triggers}/t/reset", json={"to_comment_created_at": "2020-01-01"}))
    assert reset["trigger"]["id"] == made["id"]
    tagged = {"exceptions": [{"uid": f"{source}.a", "metadata": {"type": "odd"}}]}
    assert ok(api.put(f"{triggers}/t/exceptions", json=tagged)) == {"status": "ok"}
    assert ok(api.delete(f"{triggers}/t/exceptions", params={"uid": f"{source}.a"})) == {"status": "ok"}
    assert ok(api.delete(f"{triggers}/t")) == {"status": "ok"}
    assert api.get(f"{STREAMS}/t").status_code == 404


def test_a_dataset_may_be_called_triggers(api: TestClient) -> None:
    """The word in a name does not decide the key."""
    make_dataset(api, full="default/triggers")
    path = "/api/v1/datasets/default/triggers/streams"
    assert ok(api.put(path, json={"stream": {"name": "triggers"}}))["stream"]["name"] == "triggers"
    assert api.put(path, json={"trigger": {"name": "t"}}).status_code == 400
