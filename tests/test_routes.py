"""All routes of all dialects: apart from one another, closed without a token, and silent about other tenants."""

import re
from collections.abc import Iterator
from itertools import combinations

import pytest
from starlette.routing import compile_path

from conftest import client_of, ok
from everything import Target, good_bodies, rows, send, targets, values_for
from headrace.app import DIALECTS, Application, owner_of
from mining import Mailbox, add_model, comment, member_of, serving

NAME, WORDS = "kanarienvogel", "secret canary words"
NOTHING = {"project": "nothing", "source": "nothing", "dataset": "nothing", "hex_id": "7" * 16}
CONFIG = f'<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="{WORDS}"/></Choices></View>'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A server with a tenant whose every name and text can be recognised."""
    with serving(tmp_path_factory.mktemp("routes") / "data") as application:
        yield application


@pytest.fixture(scope="module")
def victim(server: Application) -> Mailbox:
    """The tenant's mailbox, with a labelled comment, a stream, an exception and a tagged model; and a task."""
    api = client_of(server)
    texts = {"title": WORDS, "description": WORDS}
    ok(api.put(f"/api/_private/projects/{NAME}", json={"project": texts}))
    source = ok(api.put(f"/api/v1/sources/{NAME}/{NAME}", json={"source": texts}))["source"]
    body = {"dataset": {**texts, "source_ids": [source["id"]]}}
    dataset = ok(api.put(f"/api/v1/datasets/{NAME}/{NAME}", json=body))["dataset"]
    box = Mailbox(api=api, project=NAME, name=NAME, source_id=source["id"], dataset_id=dataset["id"])
    box.sync(comment("a", WORDS, user_properties={"string:Who": WORDS}))
    add_model(server, box, [WORDS], {"a": [0.5]})
    box.label("a", WORDS)
    box.put_stream(**texts)
    ok(api.put(f"{box.dataset}/model-tags/prod", json={"model_tag": {"version": 1}}))
    tagged = {"exceptions": [{"uid": box.uid("a"), "metadata": {"type": WORDS}}]}
    ok(api.put(f"{box.dataset}/streams/s/exceptions", json=tagged))
    label_config = (
        f'<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="{WORDS}"/></Choices></View>'
    )
    project = ok(api.post("/api/projects/", json={"title": WORDS, "label_config": label_config}))
    task = ok(api.post("/api/tasks/", json={"project": project["id"], "data": {"text": WORDS}}))
    result = {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": [WORDS]}}
    ok(api.post(f"/api/tasks/{task['id']}/annotations/", json={"result": [result]}))
    person = {"id": NAME, "display_name": NAME, "auth_method": "local"}
    work = ok(api.post("/api/v1/tasks/", json={"type": "initial_prompt", "user": person}))
    ok(api.post(f"/api/v1/tasks/{work['id']}/ack", json={"message_id": NAME}))
    said = {"message_id": NAME, "user_message_id": NAME, "text": WORDS, "user": person}
    ok(api.post("/api/v1/tasks/interaction", json=said))
    return box


def routes(dialect: str) -> set[tuple[str, re.Pattern[str], str]]:
    """Each method of a dialect with the pattern of its path and the path itself."""
    return {(target.method, compile_path(target.path)[0], target.path) for target in targets(dialect)}


@pytest.mark.parametrize(("one", "two"), list(combinations([dialect.name for dialect in DIALECTS], 2)))
def test_dialects_share_no_path(one: str, two: str) -> None:
    """No request fits routes of two dialects, whatever stands in the place of their parameters."""
    for method, pattern, path in routes(one):
        for other_method, other_pattern, other_path in routes(two):
            if method == other_method:
                assert not pattern.match(example(other_path)), f"{method} {path} takes {other_path}"
                assert not other_pattern.match(example(path)), f"{method} {other_path} takes {path}"


def masked(text: str) -> str:
    """An answer without the names and ids that were asked for."""
    return re.sub(f"{NAME}|nothing|[0-9a-f]{{16}}", "...", text)


def example(path: str) -> str:
    """A path with its parameters filled in."""
    return re.sub(r"\{[^}]*\}", "1", path)


def test_no_route_is_declared_twice() -> None:
    """Within a dialect every method and shape of path is declared once."""
    for dialect in DIALECTS:
        shapes = [(target.method, re.sub(r"\{[^}]*\}", "{}", target.path)) for target in targets(dialect.name)]
        assert len(shapes) == len(set(shapes))


def test_errors_of_a_path_are_its_dialects() -> None:
    """The dialect that answers a path is the one that words the errors on it, also where no route matches."""
    for target in targets():
        path = example(target.path)
        owners = {owner_of(path).name, owner_of(path + "/").name}
        assert target.dialect in owners, f"{path} belongs to {owners}"


def test_without_a_token_every_route_is_closed(server: Application, victim: Mailbox) -> None:
    """Every route answers 401 (Open-Assistant's: 403) to a caller without a token, unless it is declared public;
    nothing is changed."""
    before, anonymous = rows(server), client_of(server, None)
    for target in targets():
        answer = send(anonymous, target, filled(target, victim), good_bodies(victim).get(target.handler))
        refused = 403 if target.dialect == "open_assistant" else 401
        assert (answer.status_code == refused) is not target.public, f"{target}: {answer.status_code}"
        assert WORDS not in answer.text
    assert rows(server) == before


def filled(target: Target, victim: Mailbox) -> dict[str, str]:
    """Path parameters that name the victim's objects; where only a number will do, its first."""
    if target.dialect == "communications_mining":
        return {**values_for(target, victim), "user": f"{1:016x}", "token": f"{1:016x}", "bucket": NAME}
    if target.dialect == "open_assistant":
        return conversing_values(victim)
    numbers = {"project": str(int(victim.dataset_id, 16) + 1)}
    if target.dialect == "kiln":
        return {"project": "1", "task": numbers["project"], "run": "2", "feedback": "1", "external_id": "a"}
    return {name: "1" for name in re.findall(r"\{(\w+)", target.path)} | numbers | {"task": "2", "annotation": "2"}


def conversing_values(victim: Mailbox) -> dict[str, str]:
    """Path parameters that name the victim's message and its author."""
    message = ok(victim.api.get("/api/v1/messages/", params={"max_count": 1}))[0]
    names = {"auth_method": "local", "username": NAME, "frontend_message_id": NAME, "time_frame": "total"}
    return names | {"message_id": message["id"], "user_id": message["user_id"], "task_id": message["id"]}


@pytest.mark.parametrize("dialect", [dialect.name for dialect in DIALECTS])
def test_canary_sings_to_its_owner(victim: Mailbox, dialect: str) -> None:
    """Whoever may see everything is shown the tenant's words by these very requests, in every dialect."""
    shown = [send(victim.api, target, filled(target, victim)) for target in targets(dialect) if target.method == "GET"]
    assert sum(WORDS in answer.text for answer in shown) >= (1 if dialect == "headrace" else 4)


@pytest.mark.parametrize("granted", [{}, {"default": []}], ids=["nobody", "member of nothing"])
def test_stranger_learns_and_changes_nothing(
    server: Application, victim: Mailbox, granted: dict[str, list[str]]
) -> None:
    """Whoever holds no permission gets nothing of anybody's from any route, and changes nothing by any of them."""
    stranger = member_of(victim.api, server, **granted)
    before = rows(server)
    for target in targets():
        if target.handler in ("create_personal_token", "reset_opaque_token"):
            continue  # these change the caller's own tokens, which anybody may
        values, body = filled(target, victim), good_bodies(victim).get(target.handler, {})
        answer = send(stranger, target, values, body if target.method != "GET" else None)
        asked = target.url(values) + str(body)
        assert WORDS not in answer.text, f"{target}: {answer.text[:300]}"
        assert NAME in asked or NAME not in answer.text, f"{target}: {answer.text[:300]}"
        assert answer.status_code < 500 or answer.status_code == 501, f"{target}: {answer.text[:300]}"
    assert rows(server) == before


def test_neighbour_cannot_reach_over(server: Application, victim: Mailbox) -> None:
    """All rights in another project open nothing of the tenant's: what is there and what is not look alike."""
    ok(victim.api.put("/api/_private/projects/neighbour", json={"project": {}}))
    neighbour = member_of(victim.api, server, neighbour=["admin"])
    for target in targets("communications_mining"):
        if "{dataset}" not in target.path and "{source}" not in target.path:
            continue
        values, body = filled(target, victim), good_bodies(victim).get(target.handler, {})
        options = None if target.method == "GET" else body
        real = send(neighbour, target, values, options)
        absent = send(
            neighbour, target, {**values, "project": "nothing", "source": "nothing", "dataset": "nothing"}, options
        )
        assert real.status_code == absent.status_code == 404 or real.status_code == absent.status_code == 400, (
            f"{target}"
        )
        assert real.text.replace(NAME, "nothing") == absent.text
