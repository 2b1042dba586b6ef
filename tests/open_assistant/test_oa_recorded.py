"""Recorded exchanges with the original backend: what it refuses is refused alike, what it answers has the same form."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oasst_world import Frontend, user

from conftest import ADMIN_TOKEN, ok, settings_in
from headrace.app import Application, create_app

FIXTURES = Path(__file__).parent / "fixtures"
REFUSALS = json.loads((FIXTURES / "refusals.json").read_text())
ANSWERS = json.loads((FIXTURES / "answers.json").read_text())


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Frontend]:
    """A frontend with the people of the recording, but for those whom it does not know either."""
    application = create_app(settings_in(tmp_path_factory.mktemp("recorded") / "data", migrated_sqlite))
    frontend = Frontend(application)
    for number in {*range(1, 18)} - {3, 5}:
        ok(frontend.post("/frontend_users/", user(f"user-{number}")))
    yield frontend
    application.close()


@pytest.mark.parametrize("case", REFUSALS, ids=[case["case"] for case in REFUSALS])
def test_recorded_refusals(frontend: Frontend, case: dict[str, Any]) -> None:
    """A request that the original refuses gets the same status, code, and places and kinds of mistakes."""
    request, expected = case["request"], case["response"]
    headers = {name: value.replace("<key>", ADMIN_TOKEN) for name, value in request["headers"].items()}
    del frontend.http.headers["X-API-Key"]
    options: dict[str, Any] = {} if request["body"] is None else {"json": request["body"]}
    answer = frontend.http.request(
        request["method"], request["path"], params=request["query"], headers=headers, **options
    )
    frontend.http.headers["X-API-Key"] = ADMIN_TOKEN
    assert answer.status_code == expected["status"], answer.text
    body = answer.json()
    assert set(body) == set(expected["body"])
    assert body.get("error_code") == expected["body"].get("error_code")
    mistakes = [mistake for mistake in expected["body"].get("detail", []) if isinstance(mistake, dict)]
    more = sum(int(text.split()[1]) for text in expected["body"].get("detail", []) if isinstance(text, str))
    assert [without_words(item) for item in body.get("detail", [])][: len(mistakes)] == [
        without_words(item) for item in mistakes
    ]
    assert len(body.get("detail", [])) == len(mistakes) + more


def without_words(mistake: dict[str, Any]) -> dict[str, Any]:
    """A mistake without its wording, which is free."""
    return {name: value for name, value in mistake.items() if name != "msg"}


def form(value: Any) -> Any:
    """What kind of thing a value is; texts that are a UUID or an instant say so."""
    if isinstance(value, dict):
        return {name: form(item) for name, item in value.items()}
    if isinstance(value, list):
        return [form(value[0])] if value else []
    if isinstance(value, str):
        for name, pattern in (("uuid", r"[0-9a-f-]{36}"), ("instant", r"[0-9-]{10}T[0-9:]{8}\.[0-9]{6}\+00:00")):
            if re.fullmatch(pattern, value):
                return name
    return type(value).__name__


def assert_same_form(ours: Any, recorded: Any, at: str = "") -> None:
    """Everywhere the same keys, and values of the same kind unless one of them is null or empty."""
    if isinstance(recorded, dict):
        assert isinstance(ours, dict), at
        if at.rpartition(".")[2] not in ("emojis",):
            assert set(ours) == set(recorded), at
        for name in set(ours) & set(recorded):
            assert_same_form(ours[name], recorded[name], f"{at}.{name}")
    elif isinstance(recorded, list):
        assert isinstance(ours, list), at
        for one, other in zip(ours, recorded, strict=False):
            assert_same_form(one, other, at)
    elif ours is not None and recorded is not None and not at.endswith("frontend_message_id"):
        assert form(ours) == form(recorded), at


def test_recorded_forms(application: Application) -> None:
    """Each kind of task, and all else that is read, has the keys and kinds of values of the recording."""
    frontend = Frontend(application)
    seen: dict[str, Any] = {"initial_prompt": frontend.ask("a", "initial_prompt")}
    frontend.write("author", "initial_prompt")
    seen["label_initial_prompt"] = frontend.ask("a", "label_initial_prompt")
    frontend.review("label_initial_prompt", "one", "two", "three")
    seen["assistant_reply"], key = frontend.take("writer", "assistant_reply")
    seen["task_done"] = ok(frontend.say("writer", key))
    seen["label_assistant_reply"] = frontend.ask("a", "label_assistant_reply")
    frontend.review("label_assistant_reply", "one", "two", "three")
    seen["prompter_reply"], key = frontend.take("one", "prompter_reply")
    ok(frontend.say("one", key))
    seen["label_prompter_reply"] = frontend.ask("a", "label_prompter_reply")
    seen["availability"] = ok(frontend.post("/tasks/availability", user("a")))
    seen["message"] = ok(frontend.get(f"/messages/{seen['label_assistant_reply']['message_id']}"))
    seen["page"] = ok(frontend.get("/messages/cursor", max_count=2, include_user=True))
    seen["frontend_user"] = ok(frontend.get("/frontend_users/local/one"))
    seen["valid_labels"] = ok(frontend.get("/text_labels/valid_labels"))
    frontend.lang = "x-rank"
    frontend.ready_to_rank()
    seen["rank_assistant_replies"] = frontend.ask("a", "rank_assistant_replies")
    for name, answer in seen.items():
        assert_same_form(answer, ANSWERS[name], name)
    for name in ("label_initial_prompt", "label_assistant_reply"):
        assert seen[name]["valid_labels"] == ANSWERS[name]["valid_labels"]
    assert seen["availability"]["random"] == sum(seen["availability"].values()) - seen["availability"]["random"]
