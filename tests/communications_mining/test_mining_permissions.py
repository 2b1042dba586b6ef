"""Permissions: every call asks for exactly what the documents name, and a stranger cannot tell what there is."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from starlette.testclient import TestClient

from conftest import client_of, ok
from everything import LABELLING
from headrace.app import Application
from headrace.core.rights import Permission, closure
from mining import Mailbox, add_model, comment, is_error, member_of, new_mailbox, new_project, serving

P = Permission
STREAM = {"stream": {"name": "s", "title": "T"}}


class Call(NamedTuple):
    """One call, with `{d}` for the dataset's path and so on, its body and the permissions it asks for."""

    method: str
    path: str
    needs: tuple[Permission, ...]
    body: Any = None


def exceptions(box: Mailbox) -> dict[str, Any]:
    """A body that tags a comment."""
    return {"exceptions": [{"uid": box.uid("a"), "metadata": {"type": "x"}}]}


def position(box: Mailbox) -> dict[str, Any]:
    """A body that advances to where the stream ends."""
    return {"sequence_id": box.fetch()["sequence_id"]}


CALLS: dict[str, Call] = {
    "get source": Call("GET", "{s}", (P.VIEW_SOURCES,)),
    "get source by id": Call("GET", "/api/v1/sources/id:{sid}", (P.VIEW_SOURCES,)),
    "update source": Call("POST", "{s}", (P.SOURCES_ADMIN,), {"source": {"title": "T"}}),
    "delete source": Call("DELETE", "{s}", (P.SOURCES_ADMIN,)),
    "create source": Call("PUT", "/api/v1/sources/{project}/new", (P.SOURCES_ADMIN,), {"source": {}}),
    "get comment": Call("GET", "{s}/comments/a", (P.VIEW_SOURCES,)),
    "list comments": Call("GET", "{c}", (P.VIEW_SOURCES,)),
    "sync": Call("POST", "{s}/sync", (P.EDIT_MESSAGES,), {"comments": [comment("n")]}),
    "put comments": Call("PUT", "{c}", (P.EDIT_MESSAGES,), {"comments": [comment("n")]}),
    "delete comments": Call("DELETE", "{s}/comments?id=a", (P.EDIT_MESSAGES,)),
    "get dataset": Call("GET", "{d}", (P.VIEW_LABELS,)),
    "create dataset": Call("PUT", "/api/v1/datasets/{project}/new", (P.MODIFY_DATASETS,), {"dataset": {}}),
    "update dataset": Call("POST", "{d}", (P.DATASETS_ADMIN,), {"dataset": {"title": "T"}}),
    "delete dataset": Call("DELETE", "{d}", (P.DATASETS_ADMIN,)),
    "export": Call("POST", "{d}/export", (P.EXPORT_DATASETS,), {}),
    "model tags": Call("GET", "{d}/model-tags", (P.MODELS_ADMIN,)),
    "tag a model": Call("PUT", "{d}/model-tags/new", (P.MODELS_ADMIN,), {"model_tag": {"version": 1}}),
    "untag a model": Call("DELETE", "{d}/model-tags/prod", (P.MODELS_ADMIN,)),
    "pin": Call("PUT", "{p}/labellers/1/pin", (P.MODELS_ADMIN,)),
    "unpin": Call("DELETE", "{p}/labellers/1/pin", (P.MODELS_ADMIN,)),
    "labellers": Call("POST", "{p}/labellers", (P.VIEW_LABELS,), {}),
    "label": Call("POST", "{p}/labellings/{uid}", (P.REVIEW,), LABELLING),
    "labellings": Call("GET", "{p}/labellings", (P.VIEW_LABELS, P.VIEW_SOURCES)),
    "labelling of one": Call("GET", "{p}/labellings?id={uid}", (P.VIEW_LABELS, P.VIEW_SOURCES)),
    "create stream": Call("PUT", "{d}/streams", (P.STREAMS_ADMIN, P.VIEW_LABELS), {"stream": {"name": "new"}}),
    "update stream": Call("PUT", "{d}/streams", (P.MODIFY_STREAMS, P.VIEW_LABELS), STREAM),
    "update stream in part": Call("POST", "{d}/streams/s", (P.MODIFY_STREAMS, P.VIEW_LABELS), STREAM),
    "list streams": Call("GET", "{d}/streams", (P.VIEW_STREAMS, P.VIEW_LABELS)),
    "get stream": Call("GET", "{d}/streams/s", (P.VIEW_STREAMS, P.VIEW_LABELS)),
    "delete stream": Call("DELETE", "{d}/streams/s", (P.STREAMS_ADMIN, P.VIEW_LABELS)),
    "fetch": Call("POST", "{d}/streams/s/fetch", (P.CONSUME_STREAMS, P.VIEW_LABELS, P.VIEW_SOURCES), {"size": 1}),
    "advance": Call("POST", "{d}/streams/s/advance", (P.CONSUME_STREAMS, P.VIEW_LABELS), position),
    "reset": Call(
        "POST", "{d}/streams/s/reset", (P.CONSUME_STREAMS, P.VIEW_LABELS), {"to_comment_created_at": "2024-01-01"}
    ),
    "tag exceptions": Call("PUT", "{d}/streams/s/exceptions", (P.CONSUME_STREAMS, P.VIEW_SOURCES), exceptions),
    "untag exceptions": Call("DELETE", "{d}/streams/s/exceptions?uid={uid}", (P.CONSUME_STREAMS, P.VIEW_SOURCES)),
}
LISTS = {
    "/api/v1/sources": ("sources", P.VIEW_SOURCES),
    "/api/v1/sources/{project}": ("sources", P.VIEW_SOURCES),
    "/api/v1/datasets": ("datasets", P.VIEW_LABELS),
    "/api/v1/datasets/{project}": ("datasets", P.VIEW_LABELS),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A server that the tests of this module share."""
    with serving(tmp_path_factory.mktemp("permissions") / "data") as application:
        yield application


@pytest.fixture
def box(server: Application) -> Mailbox:
    """A mailbox with all that can be asked for, in a project of its own."""
    admin = client_of(server)
    box = new_mailbox(admin, new_project(admin))
    box.put_stream()
    box.upload("a")
    add_model(server, box, ["Good"], {"a": [0.5]})
    ok(admin.put(f"{box.dataset}/model-tags/prod", json={"model_tag": {"version": 1}}))
    return box


@pytest.fixture
def member(server: Application, box: Mailbox) -> Callable[..., TestClient]:
    """Makes a member of the mailbox's project with exactly these permissions."""
    return lambda *granted: member_of(box.api, server, **{box.project: [name.value for name in granted]})


def perform(call: Call, box: Mailbox, api: TestClient) -> Any:
    """The answer to a call; its body is made beforehand by the admin."""
    body = call.body(box) if callable(call.body) else call.body
    words = {"s": box.source, "d": box.dataset, "c": box.comments, "p": box.private}
    path = call.path.format(**words, sid=box.source_id, uid=box.uid("a"), project=box.project)
    return api.request(call.method, path, **({} if body is None else {"json": body}))


def without(need: Permission) -> list[Permission]:
    """Every permission but one, and but those that would imply it."""
    return [permission for permission in Permission if need not in closure(frozenset({permission}))]


@pytest.mark.parametrize("name", CALLS)
def test_call_asks_for_its_permissions(
    server: Application, box: Mailbox, member: Callable[..., TestClient], name: str
) -> None:
    """Lacking any one permission a member gets 403; without a token it is 401, for a stranger 404; those named do."""
    call = CALLS[name]
    for need in call.needs:
        answer = perform(call, box, member(*without(need)))
        assert is_error(answer, 403), f"without {need}: {answer.status_code} {answer.text[:200]}"
        assert need.value in answer.json()["message"]
    assert is_error(perform(call, box, client_of(server, None)), 401)
    stranger = member_of(box.api, server, default=["admin"])
    assert is_error(perform(call, box, stranger), 404)
    assert ok(perform(call, box, member(*call.needs)))["status"] == "ok"


@pytest.mark.parametrize("path", LISTS)
def test_lists_hold_what_one_may_view(
    server: Application, box: Mailbox, member: Callable[..., TestClient], path: str
) -> None:
    """A list holds what the caller may view and nothing else; the list of a foreign project is not found."""
    key, need = LISTS[path]
    place = path.format(project=box.project)
    assert [item["name"] for item in ok(member(need).get(place))[key]] == [box.name]
    assert ok(member(*without(need)).get(place))[key] == []
    stranger = member_of(box.api, server)
    if path == place:
        assert ok(stranger.get(place))[key] == []
    else:
        assert is_error(stranger.get(place), 404)
    assert is_error(client_of(server, None).get(place), 401)


def test_foreign_source_cannot_be_viewed_through_a_dataset(server: Application, box: Mailbox) -> None:
    """Nobody can put a source they may not view into a dataset of their own, however it is named."""
    thief = member_of(box.api, server, default=["developer"])
    new_mailbox(box.api, name="loot")
    for body in ({"source_ids": [box.source_id]}, {"source_ids": [box.source_id], "title": "T"}):
        assert is_error(thief.put("/api/v1/datasets/default/stolen", json={"dataset": body}), 400)
        assert is_error(thief.post("/api/v1/datasets/default/loot", json={"dataset": body}), 400, 403)
    copying = {"dataset": {"copy_annotations_from": box.dataset_id}}
    assert is_error(thief.put("/api/v1/datasets/default/stolen", json=copying), 400, 404)
    assert ok(box.api.get("/api/v1/datasets/default/loot"))["dataset"]["source_ids"] != [box.source_id]


def test_admin_matters_are_the_admins(server: Application, box: Mailbox, member: Callable[..., TestClient]) -> None:
    """All permissions of a project do not let anybody make or delete projects, or make, see or change other users."""
    api = member(*Permission)
    admin_id = ok(box.api.get("/auth/user"))["user"]["id"]
    user = {"user": {"username": "eve", "email": "eve@example.org", "global_permissions": ["root"]}}
    mine = ok(api.get("/auth/user"))["user"]
    refusals = [
        api.put("/api/_private/projects/mine", json={"project": {}}),
        api.delete(f"/api/_private/projects/{box.project}?force=true"),
        api.put("/api/_private/users", json=user),
        api.post(f"/api/_private/users/{mine['id']}", json={"user": {"global_permissions": ["root"]}}),
        api.get(f"/api/_private/users/{admin_id}"),
        api.post(f"/api/_private/users/{admin_id}/tokens"),
        api.delete(f"/api/_private/users/{admin_id}/tokens/{'0' * 15}1"),
    ]
    assert [is_error(answer, 403, 404) for answer in refusals] == [True] * len(refusals)
    assert ok(api.get("/api/_private/users"))["users"] == [mine]
    assert ok(api.get("/auth/user"))["user"] == mine
    assert ok(box.api.get(box.dataset))["dataset"]["name"] == box.name


def test_user_object_tells_the_permissions(
    server: Application, box: Mailbox, member: Callable[..., TestClient]
) -> None:
    """A user sees the permissions they hold by project, and a change of them is in force with the next request."""
    api = member(P.VIEW_LABELS)
    user = ok(api.get("/auth/user"))["user"]
    assert user["organisation_permissions"] == {box.project: ["voc-readonly"]}
    assert is_error(api.get(box.source), 403)
    change = {"user": {"organisation_permissions": {box.project: ["sources-read"]}}}
    ok(box.api.post(f"/api/_private/users/{user['id']}", json=change))
    assert ok(api.get(box.source))["source"]["name"] == box.name
    assert is_error(api.get(box.dataset), 403)
    gone = {"user": {"organisation_permissions": {box.project: []}}}
    ok(box.api.post(f"/api/_private/users/{user['id']}", json=gone))
    assert is_error(api.get(box.source), 404)


def test_revoked_token(server: Application, box: Mailbox, member: Callable[..., TestClient]) -> None:
    """A revoked token is refused from the next request on; the user's other token is not."""
    api = member(P.VIEW_LABELS)
    user_id = ok(api.get("/auth/user"))["user"]["id"]
    minted = ok(api.post(f"/api/_private/users/{user_id}/tokens", json={"label": "second"}))
    second = client_of(server, minted["token"])
    assert ok(second.get(box.dataset))["status"] == "ok"
    ok(api.delete(f"/api/_private/users/{user_id}/tokens/{minted['id']}"))
    assert is_error(second.get(box.dataset), 401)
    assert is_error(api.delete(f"/api/_private/users/{user_id}/tokens/{minted['id']}"), 404)
    assert ok(api.get(box.dataset))["status"] == "ok"


def test_no_token_is_ever_shown_again(server: Application, box: Mailbox, member: Callable[..., TestClient]) -> None:
    """No answer about users holds a token, and the secret is not in the database."""
    api = member(P.VIEW_LABELS)
    secret = api.headers["authorization"].rpartition("_")[2]
    for path in ("/auth/user", "/api/_private/users"):
        for client in (api, box.api):
            assert secret not in client.get(path).text
    kept = server.store.read(lambda tx: [token.digest for token in tx.users.tokens(None)])
    assert all(secret.encode() not in digest for digest in kept)
