"""Tasks and interactions: what is asked, taken, answered, skipped and refused, and in which order it is checked."""

from uuid import uuid4

import pytest
from oasst_world import Frontend, code, user

from conftest import ok
from headrace.app import Application
from headrace.core.messages import TaskKind


@pytest.fixture
def frontend(application: Application) -> Frontend:
    """The admin's frontend of an empty server."""
    return Frontend(application)


def test_acknowledging_again_changes_nothing(frontend: Frontend) -> None:
    """The same id again is 204, another one 2103, none at all 2000, and after the answer the task takes neither."""
    task, key = frontend.take("a", "initial_prompt")
    ack = f"/tasks/{task['id']}/ack"
    again = frontend.post(ack, {"message_id": key})
    assert (again.status_code, again.content) == (204, b"")
    assert code(frontend.post(ack, {"message_id": "other"})) == (400, 2103)
    assert code(frontend.post(ack, {"message_id": ""})) == (400, 2000)
    assert code(frontend.post(ack, {"message_id": "x" * 201})) == (400, 2000)
    ok(frontend.say("a", key))
    assert code(frontend.post(ack, {"message_id": "other"})) == (400, 2103)
    assert code(frontend.post(f"/tasks/{uuid4()}/ack", {"message_id": key})) == (404, 2100)


def test_nobody_takes_or_answers_for_another(frontend: Frontend) -> None:
    """An ack, a nack or an answer in another user's name is 2106."""
    task = frontend.ask("a", "initial_prompt")
    ok(frontend.post("/frontend_users/", user("b")))
    ack, nack = f"/tasks/{task['id']}/ack", f"/tasks/{task['id']}/nack"
    assert code(frontend.post(ack, {"message_id": "m"}, viewer="b")) == (400, 2106)
    assert code(frontend.post(nack, {}, viewer="b")) == (400, 2106)
    ok(frontend.post(ack, {"message_id": "m"}, viewer="a"))
    assert code(frontend.say("b", "m")) == (400, 2106)


def test_answer_is_taken_once(frontend: Frontend) -> None:
    """Repeating an answer is 2105 and makes no second message; a refused answer leaves the task open."""
    _, key = frontend.take("a", "initial_prompt")
    assert frontend.say("a", key, " \n ").status_code == 422
    assert code(frontend.say("a", key, "x" * 2001)) == (400, 1008)
    done = ok(frontend.say("a", key, "  hello  ", user_message_id="mine"))
    assert done["type"] == "task_done"
    assert code(frontend.say("a", key, "hello", user_message_id="mine")) == (400, 2105)
    (message,) = ok(frontend.get("/messages/"))
    assert (message["text"], message["frontend_message_id"], message["lang"]) == ("hello", "mine", "en")


def test_same_text_twice_is_refused(frontend: Frontend) -> None:
    """Somebody's identical text within two hours is 1009."""
    frontend.write("a", text="hello")
    _, key = frontend.take("a", "initial_prompt")
    assert code(frontend.say("a", key, "hello ")) == (400, 1009)


def test_answer_of_the_wrong_kind(frontend: Frontend) -> None:
    """A ranking or labels for a writing task are 2102, a text for another task 2107; a rating fits nothing."""
    task, key = frontend.take("a", "initial_prompt")
    assert code(frontend.rank("a", key, 0)) == (400, 2102)
    assert code(frontend.label("a", task | {"message_id": str(uuid4())}, spam=0)) == (400, 2102)
    ok(frontend.say("a", key, user_message_id="mine"))
    _, key = frontend.take("b", "label_initial_prompt")
    assert code(frontend.say("b", key)) == (400, 2107)
    rating = {"type": "message_rating", "user": user("b"), "message_id": "mine", "rating": 1}
    assert code(frontend.post("/tasks/interaction", rating)) == (400, 2102)


def test_labels_are_checked_against_the_task(frontend: Frontend) -> None:
    """Not acknowledged 2104, a wrong message 2050, a label not asked 2051, none that is mandatory 2052, then done."""
    frontend.write("author")
    task = frontend.ask("a", "label_initial_prompt")
    assert code(frontend.label("a", task, spam=0)) == (400, 2104)
    ok(frontend.post(f"/tasks/{task['id']}/ack", {"message_id": "m"}))
    assert code(frontend.label("a", task | {"message_id": str(uuid4())}, spam=0)) == (400, 2050)
    assert code(frontend.label("a", task, spam=0, fails_task=1)) == (400, 2051)
    assert code(frontend.label("a", task, quality=1)) == (400, 2052)
    assert code(frontend.label("b", task, spam=0)) == (400, 2106)
    ok(frontend.label("a", task, spam="0", quality="0.75"))
    assert code(frontend.label("a", task, spam=0)) == (400, 2105)
    assert ok(frontend.get(f"/messages/{task['message_id']}"))["review_count"] == 1


def test_ranking_ends_a_small_tree(frontend: Frontend) -> None:
    """A ranking in numbers or in text orders the replies; whatever is no permutation is 2003."""
    prompt = frontend.ready_to_rank()
    task, key = frontend.take("judge", "rank_assistant_replies")
    assert task["ranking_parent_id"] == task["message_tree_id"] == prompt
    assert task["reveal_synthetic"] is False
    assert [item["synthetic"] for item in task["reply_messages"]] == [None, None]
    assert code(frontend.rank("judge", key, 0, 0)) == (400, 2003)
    assert frontend.rank("judge", key).status_code == 422
    ok(frontend.rank("judge", key, "1", "0"))
    ranks = {item["id"]: item["rank"] for item in ok(frontend.get("/messages/")) if item["is_assistant"]}
    assert [ranks[item["id"]] for item in task["reply_messages"]] == [1, 0]


def test_untyped_interaction_is_what_fits_first(frontend: Frontend) -> None:
    """Without a type the first of the four shapes that fits is meant."""
    _, key = frontend.take("a", "initial_prompt")
    body = {"message_id": key, "user_message_id": "n", "text": "words", "user": user("a")}
    assert ok(frontend.post("/tasks/interaction", body))["type"] == "task_done"
    assert [item["text"] for item in ok(frontend.get("/messages/"))] == ["words"]


def test_skipped_message_is_not_offered_again(frontend: Frontend) -> None:
    """A nack without a user is the task's own user's; it leaves a mark and the message goes to others only."""
    frontend.write("author")
    task = frontend.ask("a", "label_initial_prompt")
    ok(frontend.post(f"/tasks/{task['id']}/nack", {"reason": None}))
    assert code(frontend.post("/tasks/", {"type": "label_initial_prompt", "user": user("a")})) == (503, 1006)
    assert ok(frontend.get(f"/messages/{task['message_id']}"))["emojis"] == {"_skip_labeling": 1}
    assert frontend.ask("b", "label_initial_prompt")["message_id"] == task["message_id"]


def test_skipped_task_may_still_be_answered(frontend: Frontend) -> None:
    """A skipped task can be acknowledged and answered; a task that is done cannot be skipped."""
    task = frontend.ask("a", "initial_prompt")
    ok(frontend.post(f"/tasks/{task['id']}/nack", {}))
    ok(frontend.post(f"/tasks/{task['id']}/ack", {"message_id": "m"}))
    ok(frontend.say("a", "m"))
    assert code(frontend.post(f"/tasks/{task['id']}/nack", {}, viewer="a")) == (400, 2105)


def test_too_many_pending_tasks(frontend: Frontend) -> None:
    """With eight tasks not answered the next request is 1012; skipping one makes room."""
    tasks = [frontend.ask("a", "initial_prompt") for _ in range(8)]
    assert code(frontend.post("/tasks/", {"user": user("a")})) == (400, 1012)
    ok(frontend.post(f"/tasks/{tasks[0]['id']}/nack", {}))
    frontend.ask("a", "initial_prompt")


def test_collective_task_lasts_until_it_is_closed(frontend: Frontend) -> None:
    """Many people answer a collective task; closing ends it, and only it."""
    task, _ = frontend.take("a", "initial_prompt", "c", collective=True)
    for name in ("a", "b", "c"):
        ok(frontend.say(name, "c", f"words of {name}"))
    assert ok(frontend.post("/tasks/close", {"message_id": "c"}))["type"] == "task_done"
    assert code(frontend.post("/tasks/close", {"message_id": "c"})) == (400, 2105)
    assert code(frontend.say("d", "c")) == (400, 2105)
    _, key = frontend.take("a", "initial_prompt")
    assert code(frontend.post("/tasks/close", {"message_id": key})) == (400, 2106)
    assert code(frontend.post("/tasks/close", {"message_id": "?"})) == (404, 2100)
    assert code(frontend.post("/tasks/close", {"message_id": ""})) == (400, 2000)
    assert len(ok(frontend.get("/messages/"))) == 3
    assert task["type"] == "initial_prompt"


def test_reused_frontend_id_means_the_open_task(frontend: Frontend) -> None:
    """Ids that a frontend draws again stand for the open task of that user, and never break anything."""
    for text in ("one", "two", "three"):
        frontend.take("a", "initial_prompt", "1234")
        ok(frontend.say("a", "1234", text, user_message_id="1234"))
    assert [item["text"] for item in ok(frontend.get("/messages/", desc=False))] == ["one", "two", "three"]


def test_disabled_user_gets_nothing(frontend: Frontend) -> None:
    """Somebody who is disabled is refused tasks and answers with 503 and 4001."""
    _, key = frontend.take("a", "initial_prompt")
    ok(frontend.post("/frontend_users/", user("a") | {"enabled": False}))
    assert code(frontend.post("/tasks/", {"user": user("a")})) == (503, 4001)
    assert code(frontend.say("a", key)) == (503, 4001)
    ok(frontend.post("/frontend_users/", user("a") | {"notes": "hm"}))
    assert code(frontend.say("a", key)) == (503, 4001)


def test_task_request_under_an_idempotency_key(frontend: Frontend) -> None:
    """A repeated request under one key gets the same task."""
    frontend.http.headers["Idempotency-Key"] = "k"
    assert frontend.ask("a", "initial_prompt") == frontend.ask("a", "initial_prompt")


def test_availability_in_a_language(frontend: Frontend) -> None:
    """Each language has its own work, counted by all twelve kinds; what is never given counts 0."""
    frontend.write("author", lang="x-demo")
    found = ok(frontend.post("/tasks/availability", user("a"), lang="x-demo"))
    assert list(found) == [kind.value for kind in TaskKind]
    assert (found["label_initial_prompt"], found["summarize_story"]) == (1, 0)
    assert ok(frontend.post("/tasks/availability", user("a")))["label_initial_prompt"] == 0
    assert frontend.post("/tasks/availability", user("a"), lang="x" * 33).status_code == 422


def test_hostile_task_request_is_refused(frontend: Frontend) -> None:
    """What cannot be meant is 422 with its place, and nothing is made."""
    for body in (
        {"user": user("a\u0000")},
        {"user": user("a" * 300)},
        {"user": user("a"), "lang": "x" * 400},
        {"user": user("a"), "type": ["random"]},
        {"user": user("a"), "collective": "maybe"},
        [1],
        "text",
    ):
        answer = frontend.post("/tasks/", body)
        assert answer.status_code == 422, answer.text
        assert all({"loc", "msg", "type"} <= set(mistake) for mistake in answer.json()["detail"])
        assert code(frontend.get("/frontend_users/local/a")) == (404, 4002)
