"""Exports over HTTP and by the command, read back by an independent reader; and the configuration."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from oasst_reader import nodes, read
from oasst_world import Frontend, user
from starlette.testclient import TestClient

from conftest import client_of, ok
from headrace.app import Application
from headrace.cli.main import main
from headrace.settings import Settings

EXPORT = "/headrace/v1/conversations/export"
CONFIG = "/headrace/v1/conversations/config"


def finished(application: Application) -> str:
    """The id of a prompt whose tree was ranked by three people: two prefer the first reply."""
    frontend = Frontend(application)
    prompt = frontend.ready_to_rank()
    frontend.configure(num_required_rankings=3)
    ok(frontend.post(f"/messages/{prompt}/emoji", {"user": user("one"), "emoji": "clap"}))
    for name, best in (("j1", "first"), ("j2", "first"), ("j3", "second")):
        task, key = frontend.take(name, "rank_assistant_replies")
        authors = [ok(frontend.get(f"/users/{item['user_id']}"))["id"] for item in task["reply_messages"]]
        place = authors.index(best)
        ok(frontend.rank(name, key, place, 1 - place))
    return prompt


def exported(api: TestClient, **query: Any) -> bytes:
    """The bytes of an export."""
    answer = api.get(EXPORT, params=query, headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200, answer.text
    return answer.content


def rows(content: bytes) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in content.splitlines()]


def test_trees_are_read_back(application: Application, api: TestClient) -> None:
    """A finished tree is one line that an independent reader takes, with labels, events and ranks where asked."""
    prompt = finished(application)
    (tree,), flat = read(exported(api, labels="true", events="true"))
    root = tree["prompt"]
    assert (root["message_id"], tree["tree_state"], flat) == (prompt, "ready_for_export", [])
    assert [reply["rank"] for reply in root["replies"]] == [0, 1]
    assert root["labels"]["spam"] == {"value": 0.0, "count": 1}
    assert root["emojis"]["clap"] == 1
    assert [event["ranking"] for event in root["events"]["ranking"]] == [[0, 1]] * 3
    assert "labels" not in next(nodes(read(exported(api))[0][0]["prompt"]))


def test_filters_choose_what_is_exported(application: Application, api: TestClient) -> None:
    """State, language, limit and a person narrow an export; what breaks trees gives flat messages."""
    prompt = finished(application)
    Frontend(application).write("late", text="not reviewed")
    assert len(read(exported(api))[0]) == 1
    assert len(read(exported(api, state="all", spam="include"))[0]) == 2
    assert len(read(exported(api, state="all", spam="include", limit=1))[0]) == 1
    assert read(exported(api, lang="de")) == ([], [])
    _, flat = read(exported(api, state="all", spam="only"))
    assert [(item["text"], item["tree_state"]) for item in flat] == [("not reviewed", "initial_prompt_review")]
    author = ok(api.get(f"/api/v1/messages/{prompt}"))["user_id"]
    trees, flat = read(exported(api, user=author))
    assert (trees, [item["message_id"] for item in flat]) == ([], [prompt])
    (tree,), _ = read(exported(api, prompts_only="true"))
    assert tree["prompt"]["replies"] == []


def test_chats_and_preferences_are_rows_for_training(application: Application, api: TestClient) -> None:
    """A chat is one accepted path; a pair names the chosen and the rejected reply and how many judges agree."""
    finished(application)
    chats = rows(exported(api, layout="chat"))
    assert [[turn["role"] for turn in chat["messages"]] for chat in chats] == [["user", "assistant"]] * 2
    (best,) = rows(exported(api, layout="chat", best_only="true"))
    (pair,) = rows(exported(api, layout="preferences"))
    assert [*pair["prompt"], pair["chosen"]] == best["messages"]
    assert (pair["judges"], round(pair["agreement"], 3)) == (3, 0.667)
    assert pair["rejected"]["content"] != pair["chosen"]["content"]


def test_compressed_exports_hold_the_same(application: Application, api: TestClient) -> None:
    """`gzip=true` gives a .gz file, and a client that takes gzip gets it on the way; the lines are the same."""
    finished(application)
    plain = exported(api)
    file = api.get(EXPORT, params={"gzip": "true"})
    assert file.headers["content-type"] == "application/gzip"
    assert file.headers["content-disposition"].endswith('.jsonl.gz"')
    assert read(file.content, packed=True) == read(plain)
    packed = api.get(EXPORT, headers={"Accept-Encoding": "br;q=1, gzip;q=0.5"})
    assert (packed.headers["content-encoding"], packed.content) == ("gzip", plain)
    assert "content-encoding" not in api.get(EXPORT, headers={"Accept-Encoding": "gzip;q=0"}).headers


def test_exported_ids_can_be_hidden(application: Application, api: TestClient) -> None:
    """With a seed ids are hashes that fit together and tell nothing; without one they are those of the API."""
    prompt = finished(application)
    (tree,), _ = read(exported(api, anonymise="seed"))
    assert len(tree["message_tree_id"]) == 64
    assert prompt not in exported(api, anonymise="seed").decode()
    assert tree == read(exported(api, anonymise="seed"))[0][0] != read(exported(api, anonymise="other"))[0][0]


@pytest.mark.parametrize(
    "query",
    [
        {"state": "x"},
        {"layout": "x"},
        {"deleted": "x"},
        {"user": "x"},
        {"limit": "0"},
        {"labels": "x"},
        {"anonymise": ""},
        {"gzip": "perhaps"},
    ],
)
def test_wrong_options_are_refused(shared_api: TestClient, query: dict[str, str]) -> None:
    """A value that means nothing is a 400 that names the option."""
    answer = shared_api.get(EXPORT, params=query)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, list(query))


def test_exports_take_a_trusted_client(application: Application, api: TestClient) -> None:
    """An untrusted client may neither export nor configure; an export leaves an event behind."""
    body = {"description": "web", "frontend_type": "web"}
    client = client_of(application, ok(api.post("/api/v1/admin/api_client", json=body)))
    assert client.get(EXPORT).status_code == 403
    assert client.patch(CONFIG, json={"goal_tree_size": 3}).status_code == 403
    assert exported(api) == b""
    events = ok(api.get("/headrace/v1/events", params={"kind": "conversations.exported"}))["events"]
    assert [event["data"] for event in events] == [{"layout": "trees"}]


def test_configuration_changes_at_run_time(application: Application, api: TestClient) -> None:
    """What is changed is read back and holds from the next request on; a bad value changes nothing."""
    assert ok(api.get(CONFIG))["goal_tree_size"] == 12
    assert (
        ok(api.patch(CONFIG, json={"goal_tree_size": 3, "init_prompt_disabled_langs": ["de"]}))["goal_tree_size"] == 3
    )
    wrong: list[dict[str, object]] = [
        {"goal_tree_size": "3"},
        {"goal_tree_size": 5, "nothing": 1},
        {"acceptance_threshold_reply": 2},
    ]
    for bad in wrong:
        assert api.patch(CONFIG, json=bad).status_code == 400
    found = ok(api.get(CONFIG))
    assert (found["goal_tree_size"], found["init_prompt_disabled_langs"]) == (3, ["de"])
    frontend = Frontend(application)
    prompt = frontend.write("a")
    assert ok(frontend.get(f"/messages/{prompt}/tree/state"))["goal_tree_size"] == 3
    assert frontend.post("/tasks/", {"type": "initial_prompt", "user": user("a"), "lang": "de"}).status_code == 503


def test_fewer_reviews_decide_what_was_reviewed(application: Application, api: TestClient) -> None:
    """A prompt with enough reviews under a new configuration is decided when that is set."""
    frontend = Frontend(application)
    prompt = frontend.write("a")
    frontend.review("label_initial_prompt", "one")
    assert ok(frontend.get(f"/messages/{prompt}"))["review_result"] is None
    ok(api.patch(CONFIG, json={"num_reviews_initial_prompt": 1}))
    assert ok(frontend.get(f"/messages/{prompt}"))["review_result"] is True


def test_command_writes_what_the_server_answers(
    application: Application, api: TestClient, settings: Settings, tmp_path: Path
) -> None:
    """`headrace export` writes the lines of the HTTP export, also packed, and says how many."""
    finished(application)
    wanted = {"conversations": {}, "chat": {"layout": "chat"}, "preferences": {"layout": "preferences"}}
    for name, query in wanted.items():
        file = tmp_path / f"{name}.jsonl"
        done = CliRunner().invoke(main, ["export", name, str(file), "--data", str(settings.data)])
        assert (done.exit_code, file.read_bytes()) == (0, exported(api, **query)), done.output
    packed = tmp_path / "trees.jsonl.gz"
    options = ["--state", "all", "--labels", "--anonymise", "s", "--data", str(settings.data)]
    assert CliRunner().invoke(main, ["export", "conversations", str(packed), *options]).exit_code == 0
    theirs = read(exported(api, state="all", labels="true", anonymise="s"))
    assert read(packed.read_bytes(), packed=True) == theirs
