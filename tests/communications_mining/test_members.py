"""Projects and who belongs to them."""

from typing import Any

import pytest
from cm_world import annotate, comment, learn, make_dataset, make_source, upload
from starlette.testclient import TestClient

from conftest import client_of, ok
from headrace.app import Application
from headrace.core.rights import Permission
from headrace.learning.values import Example

PROJECT = "/api/_private/projects/team"


def user(api: TestClient, name: str) -> dict[str, Any]:
    """Create a user without rights."""
    body = {"username": name, "email": f"{name}@example.org"}
    return dict(ok(api.put("/api/_private/users", json={"user": body}))["user"])


def test_a_new_project_shows_among_its_members_rights(both: TestClient) -> None:
    """The creator and the users named hold every permission of the new project at once; others hold none."""
    member, other = user(both, "member"), user(both, "other")
    ok(both.put(PROJECT, json={"project": {"title": "Team"}, "user_ids": [member["id"]]}))
    assert ok(both.post("/auth/refresh-user-permissions", json={}))["permissions_refreshed"] is True
    creator = ok(both.get("/auth/user"))["user"]["organisation_permissions"]
    shown = ok(both.get(f"/api/_private/users/{member['id']}"))["user"]["organisation_permissions"]
    assert set(shown["team"]) == set(creator["team"]) == set(Permission)
    assert "team" not in ok(both.get(f"/api/_private/users/{other['id']}"))["user"]["organisation_permissions"]
    assert "team" in [project["name"] for project in ok(both.get("/api/_private/projects"))["projects"]]


def test_a_member_works_at_once(application: Application, api: TestClient) -> None:
    """A token made before the project opens it as soon as its owner is a member."""
    member = user(api, "member")
    client = client_of(application, ok(api.post(f"/api/_private/users/{member['id']}/tokens"))["token"])
    assert client.get(PROJECT).status_code == 404
    ok(api.put(PROJECT, json={"project": {}, "user_ids": [member["id"]]}))
    assert ok(client.get(PROJECT))["project"]["name"] == "team"
    make_source(client, "team/s")
    make_dataset(client, full="team/d")


def test_an_unknown_member_leaves_no_project(api: TestClient) -> None:
    """A user id that names nobody is 400 and nothing is made."""
    for bad in ("00000000000000ff", "nobody"):
        assert api.put(PROJECT, json={"project": {}, "user_ids": [bad]}).status_code == 400
    assert api.get(PROJECT).status_code == 404


def test_a_project_is_changed_partially(api: TestClient) -> None:
    """An empty change is fine, and what is not named stays."""
    ok(api.put(PROJECT, json={"project": {"title": "Team", "description": "D"}}))
    ok(api.post(PROJECT, json={"project": {}}))
    changed = ok(api.post(PROJECT, json={"project": {"title": "New"}}))["project"]
    assert (changed["title"], changed["description"]) == ("New", "D")


@pytest.mark.parametrize("force", ["false", None])
def test_a_project_with_children_stays(api: TestClient, force: str | None) -> None:
    """409 with the words that the client's own tests look for, and everything is still there."""
    ok(api.put(PROJECT, json={"project": {}}))
    make_source(api, "team/s")
    answer = api.delete(PROJECT, params={"force": force} if force else {})
    words = 'Project contains child resources but force deletion was not requested: {"sources": 1}'
    assert (answer.status_code, answer.json()["message"]) == (409, words)
    assert ok(api.get("/api/v1/sources/team/s"))["source"]["name"] == "s"


def test_force_removes_everything_below(either: Application) -> None:
    """Sources, datasets, streams, models and annotations go with the project; a dataset elsewhere loses the source."""
    api = client_of(either)
    ok(api.put(PROJECT, json={"project": {}}))
    source = make_source(api, "team/s")
    dataset = make_dataset(api, source, full="team/d")
    elsewhere = make_dataset(api, source, full="default/elsewhere")
    upload(api, comment("a", "one"), comment("b", "two"), full="team/s")
    annotate(api, f"{source}.a", "A", full="team/d")
    version = learn(either, dataset["id"], [Example(text="one", labels=("A",)), Example(text="two")])
    stream = {"name": "all", "model": {"version": version, "label_thresholds": []}}
    ok(api.put("/api/v1/datasets/team/d/streams", json={"stream": stream}))
    ok(api.delete(PROJECT, params={"force": "true"}))
    for path in (PROJECT, "/api/v1/sources/team/s", "/api/v1/datasets/team/d", f"/api/v1/sources/id:{source}"):
        assert api.get(path).status_code == 404
    assert ok(api.get(f"/api/v1/datasets/id:{elsewhere['id']}"))["dataset"]["source_ids"] == []
    ok(api.put(PROJECT, json={"project": {}}))
    assert ok(api.get("/api/v1/datasets/team"))["datasets"] == []
    assert "team" in ok(api.get("/auth/user"))["user"]["organisation_permissions"]
    ok(api.delete(PROJECT))
