"""Users and the one organization."""

from typing import Any

import pytest
from label_studio_api import errors_of, make_project
from starlette.testclient import TestClient

from conftest import ok
from headrace.core.rights import ROLES, permissions

USERS = "/api/users/"


def make_user(api: TestClient, **fields: Any) -> Any:
    """A new user."""
    return ok(api.post(USERS, json={"email": "bob@example.org", "username": "bob", **fields}))


def test_a_user_is_made_changed_and_deleted(both: TestClient) -> None:
    """With names and phone; the profile is the user's own, and afterwards nobody of that id is there."""
    made = make_user(both, first_name="Bob", phone="1", password="not kept")
    assert (made["username"], made["first_name"], made["last_name"], made["phone"]) == ("bob", "Bob", "", "1")
    path = f"{USERS}{made['id']}/"
    changed = ok(both.patch(path, json={"last_name": "B", "username": "bobby", "custom_hotkeys": {"a": 1}}))
    assert changed == {**made, "last_name": "B", "username": "bobby", "custom_hotkeys": {"a": 1}} == ok(both.get(path))
    assert [user["username"] for user in ok(both.get(USERS))] == ["admin", "bobby"]
    assert both.delete(path).status_code == 204
    assert both.get(path).json()["detail"] == "No User matches the given query."
    assert make_user(both)["id"] > made["id"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"username": "admin"}, "username"),
        ({"email": "ADMIN@example.org"}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": ""}, "email"),
        ({"username": "a b"}, "username"),
        ({"first_name": "x" * 257}, "first_name"),
    ],
)
def test_a_bad_or_known_user_is_refused(api: TestClient, fields: dict[str, str], named: str) -> None:
    """The fault stands under its field, and nobody is made."""
    body = {"email": "bob@example.org", "username": "bob", **fields}
    assert list(errors_of(api.post(USERS, json=body))) == [named]
    assert len(ok(api.get(USERS))) == 1


def test_a_new_user_may_annotate_and_no_more(api: TestClient) -> None:
    """They hold the role annotator in the default project; the address is the name where none is given."""
    made = make_user(api, username="")
    assert made["username"] == "bob@example.org"
    granted = ok(api.get(f"/api/_private/users/{made['id']:016x}"))["user"]["organisation_permissions"]
    assert list(granted) == ["default"]
    assert permissions(granted["default"]) == ROLES["annotator"]


def test_only_an_admin_manages_users(api: TestClient, person: Any) -> None:
    """Others see and change themselves, but neither their name nor anybody else."""
    bob = person("bob", default=["annotator"])
    me = ok(bob.get("/api/current-user/whoami"))
    assert [user["id"] for user in ok(bob.get(USERS))] == [me["id"]]
    assert ok(bob.patch("/api/current-user/", json={"first_name": "B"}))["first_name"] == "B"
    assert ok(bob.patch("/api/current-user/hotkeys/", json={"custom_hotkeys": {"a": {}}})) == {
        "custom_hotkeys": {"a": {}}
    }
    assert ok(bob.get("/api/current-user/hotkeys/")) == {"custom_hotkeys": {"a": {}}}
    errors_of(bob.post(USERS, json={"email": "c@example.org"}), 403)
    errors_of(bob.patch(f"{USERS}{me['id']}/", json={"username": "root"}), 403)
    errors_of(bob.delete(f"{USERS}1/"), 403)
    for request in (bob.get, bob.patch):
        errors_of(request(f"{USERS}1/", **({"json": {}} if request == bob.patch else {})), 404)


def test_the_built_in_admin_stays(api: TestClient) -> None:
    """Nobody deletes or renames it, because the next start would look for it in vain."""
    errors_of(api.delete(f"{USERS}1/"), 403)
    errors_of(api.patch(f"{USERS}1/", json={"username": "other"}), 409)


def test_what_a_deleted_user_said_stays(api: TestClient, person: Any) -> None:
    """Under their id, without a name."""
    project = make_project(api)
    task = ok(api.post("/api/tasks/", json={"project": project, "data": {"text": "a"}}))["id"]
    bob = person("bob", default=["annotator"])
    made = ok(bob.post(f"/api/tasks/{task}/annotations/", json={"result": []}))
    assert api.delete(f"{USERS}{made['completed_by']}/").status_code == 204
    shown = ok(api.get(f"/api/tasks/{task}/"))["annotations"][0]
    assert (shown["id"], shown["completed_by"]) == (made["id"], made["completed_by"])


def test_the_organization_is_the_server(api: TestClient) -> None:
    """There is one, and its members are the users, page by page; a project's are those with rights in it."""
    make_user(api)
    listed = ok(api.get("/api/organizations/"))
    assert [item["id"] for item in listed] == [1]
    assert ok(api.get("/api/organizations/1/")) == listed[0]
    errors_of(api.get("/api/organizations/2/"), 404)
    page = ok(api.get("/api/organizations/1/memberships?page_size=1"))
    assert (page["count"], [member["user"]["username"] for member in page["results"]]) == (2, ["admin"])
    assert page["next"].endswith("page_size=1&page=2")
    assert ok(api.get("/api/organizations/1/memberships?page=3"))["results"] == []
    assert ok(api.get("/api/organizations/1/memberships/2/"))["user"] == 2
    members = ok(api.get(f"/api/projects/{make_project(api)}/members/paginated/"))
    assert [member["username"] for member in members["results"]] == ["admin", "bob"]
