"""The tree around a message, what happens to a message after it was written, statistics and moderation."""

from typing import Any
from uuid import uuid4

import pytest
from oasst_world import Frontend, code, user

from conftest import ok
from headrace.app import Application
from headrace.dialects.open_assistant.unbuilt import UNBUILT

VIEWS = ("conversation", "tree", "tree/state", "children", "descendants")
LONGEST, MOST = "longest_conversation_in_tree", "max_children_in_tree"


@pytest.fixture
def frontend(application: Application) -> Frontend:
    """The admin's frontend of an empty server."""
    return Frontend(application)


def ids(found: list[dict[str, Any]]) -> list[str]:
    """The ids of messages."""
    return [item["id"] for item in found]


def replied(frontend: Frontend) -> tuple[str, str]:
    """A growing prompt and the reply to it."""
    prompt = frontend.grown()
    return prompt, frontend.write("writer", "assistant_reply")


def test_views_of_a_tree(frontend: Frontend) -> None:
    """Every view holds the messages that it should, for the server's ids and for the frontend's."""
    prompt, reply = replied(frontend)
    base = f"/messages/{reply}"
    assert ids(ok(frontend.get(f"{base}/conversation"))["messages"]) == [prompt, reply]
    tree = ok(frontend.get(f"{base}/tree"))
    assert (tree["id"], ids(tree["messages"])) == (prompt, [prompt, reply])
    assert ids(ok(frontend.get(f"/messages/{prompt}/children"))) == [reply]
    assert ids(ok(frontend.get(f"{base}/descendants"))["messages"]) == [reply]
    assert ids(ok(frontend.get(f"{base}/{LONGEST}"))["messages"]) == [prompt, reply]
    assert ids(ok(frontend.get(f"{base}/{MOST}"))["messages"]) == [prompt, reply]
    state = {"message_tree_id": prompt, "state": "growing", "active": True, "origin": None}
    limits = {"goal_tree_size": 12, "max_children_count": 3, "max_depth": 3}
    assert ok(frontend.get(f"{base}/tree/state")) == state | limits
    own = ok(frontend.get(base))["frontend_message_id"]
    assert ok(frontend.get(f"/frontend_messages/{own}")) == ok(frontend.get(base))
    for view in (*VIEWS, LONGEST, MOST):
        assert ok(frontend.get(f"/frontend_messages/{own}/{view}")) == ok(frontend.get(f"{base}/{view}"))


@pytest.mark.parametrize("view", ["", *(f"/{view}" for view in (*VIEWS, LONGEST, MOST, "history"))])
def test_unknown_messages_are_not_found(frontend: Frontend, view: str) -> None:
    """An unknown id is 404/2001 in both spellings, and what is no id 422."""
    assert code(frontend.get(f"/messages/{uuid4()}{view}")) == (404, 2001)
    assert frontend.get(f"/messages/x{view}").status_code == 422
    if view != "/history":
        assert code(frontend.get(f"/frontend_messages/x{view}")) == (404, 2001)


def test_deleting_and_bringing_back(frontend: Frontend) -> None:
    """Deletion takes along what hangs below, the tree can still show it, undeleting brings back what is above."""
    prompt, reply = replied(frontend)
    gone = frontend.http.delete(f"/api/v1/messages/{prompt}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert [ok(frontend.get(f"/messages/{item}"))["deleted"] for item in (prompt, reply)] == [True, True]
    assert ok(frontend.get(f"/messages/{prompt}/tree"))["messages"] == []
    assert len(ok(frontend.get(f"/messages/{prompt}/tree", include_deleted="true"))["messages"]) == 2
    assert ok(frontend.get(f"/messages/{prompt}/tree/state"))["state"] == "halted_by_moderator"
    assert frontend.http.put(f"/api/v1/messages/{reply}/undelete").status_code == 202
    assert [ok(frontend.get(f"/messages/{item}"))["deleted"] for item in (prompt, reply)] == [False, False]


def test_rejected_replies_can_be_left_out(frontend: Frontend) -> None:
    """A tree without spam holds no rejected reply."""
    frontend.configure(num_reviews_reply=1)
    prompt, reply = replied(frontend)
    frontend.review("label_assistant_reply", "one", spam=1)
    assert ids(ok(frontend.get(f"/messages/{prompt}/tree"))["messages"]) == [prompt, reply]
    assert ids(ok(frontend.get(f"/messages/{prompt}/tree", include_spam="false"))["messages"]) == [prompt]


def test_halting_and_going_on(frontend: Frontend) -> None:
    """A moderator stops a tree, and lets it go on where it was."""
    prompt, _ = replied(frontend)
    state = f"/api/v1/messages/{prompt}/tree/state"
    halted = ok(frontend.http.put(state, params={"halt": "true"}))
    assert (halted["state"], halted["active"]) == ("halted_by_moderator", False)
    assert ok(frontend.http.put(state, params={"halt": "false"}))["state"] == "growing"
    assert frontend.http.put(state).status_code == 422


def test_edits_keep_their_history(frontend: Frontend) -> None:
    """An edit changes the text and marks it; every version is kept, oldest first, and blank text is refused."""
    prompt = frontend.write("author", text="first")
    edit = f"/messages/{prompt}/edit"
    answer = frontend.post(edit, {"user": user("editor"), "new_content": "second"})
    assert (answer.status_code, answer.json()) == (200, None)
    found = ok(frontend.get(f"/messages/{prompt}"))
    assert (found["text"], found["edited"]) == ("second", True)
    history = ok(frontend.get(f"/messages/{prompt}/history", viewer="editor"))
    assert [(item["text"], item["user_is_author"]) for item in history] == [("first", False), ("second", True)]
    assert code(frontend.post(edit, {"user": user("editor"), "new_content": " "})) == (400, 1010)
    assert code(frontend.post(edit, {"user": user("editor"), "new_content": "x" * 2001})) == (400, 1008)


def test_emojis_toggle_and_exclude(frontend: Frontend) -> None:
    """An emoji is toggled, thumbs exclude each other, one's own thumbs do not count, an unknown emoji is 5000."""
    prompt = frontend.write("author")

    def react(name: str, emoji: str, **more: str) -> Any:
        return frontend.post(f"/messages/{prompt}/emoji", {"user": user(name), "emoji": emoji, **more})

    assert react("a", "+1").status_code == 202
    down = ok(react("a", "-1"))
    assert (down["emojis"], down["user_emojis"], down["user_is_author"]) == ({"-1": 1}, ["-1"], False)
    assert ok(react("a", "-1"))["emojis"] == {}
    assert ok(react("author", "+1"))["emojis"] == {}
    assert ok(react("a", "clap", op="add"))["emojis"] == ok(react("a", "clap", op="add"))["emojis"] == {"clap": 1}
    assert ok(react("b", "clap", op="remove"))["emojis"] == {"clap": 1}
    assert code(react("a", "_skip_reply")) == (400, 5000)
    assert react("a", "clap", op="shout").status_code == 422


def test_reported_messages_are_processed(frontend: Frontend) -> None:
    """Reports are listed by date, walked by cursor, and leave the list when they are processed."""
    prompts = [frontend.write("author", text=f"text {number}") for number in range(3)]
    for prompt in prompts:
        said = {"type": "text_labels", "user": user("a"), "message_id": prompt, "text": "bad", "labels": {}}
        ok(frontend.post("/text_labels/", said | {"is_report": True}))
    found = ok(frontend.get("/admin/flagged_messages"))
    assert [item["message_id"] for item in found] == prompts
    page = ok(frontend.get("/admin/flagged_messages/cursor", max_count=2))
    rest = ok(frontend.get("/admin/flagged_messages/cursor", max_count=2, after=page["next"]))
    assert [item["message_id"] for item in (*page["items"], *rest["items"])] == prompts
    assert (page["prev"], rest["next"]) == (None, None)
    back = ok(frontend.get("/admin/flagged_messages/cursor", max_count=2, before=rest["prev"]))
    assert back["items"] == page["items"]
    done = ok(frontend.post(f"/admin/flagged_messages/{prompts[0]}/processed"))
    assert (done["message_id"], done["processed"]) == (prompts[0], True)
    assert len(ok(frontend.get("/admin/flagged_messages"))) == 2
    assert code(frontend.post(f"/admin/flagged_messages/{uuid4()}/processed")) == (404, 2001)


def test_lists_show_messages_as_they_are_one_by_one(frontend: Frontend) -> None:
    """A list, a page and a tree hold the very objects that are answered for each message alone."""
    odd = frontend.write("author", text='"quoted" \\ \u2028 \x7f \U0001f600 [] \n end')
    ok(frontend.post(f"/messages/{odd}/emoji", {"user": user("a"), "emoji": "100"}))
    gone = frontend.write("author", text="gone")
    ok(frontend.http.delete(f"/api/v1/messages/{gone}"))
    alone = [ok(frontend.get(f"/messages/{item}", viewer="a")) for item in (odd, gone)]
    assert alone[0]["user_emojis"] == ["100"]
    assert ok(frontend.get("/messages/", viewer="a", allow_deleted="true", desc="false")) == alone
    page = ok(frontend.get("/messages/cursor", viewer="a", include_deleted="true", include_user="true"))
    assert [item | {"user": None} for item in page["items"]] == alone
    assert page["items"][0]["user"] == ok(frontend.get(f"/users/{alone[0]['user_id']}"))
    assert ok(frontend.get(f"/messages/{odd}/tree", viewer="a"))["messages"] == alone[:1]


def test_statistics_count_the_collection(frontend: Frontend) -> None:
    """Messages, trees and states are counted; a statistic nobody computes is 6000."""
    prompt, _ = replied(frontend)
    whole = {"all": 2, "active": 2, "active_by_lang": {"en": 2}, "deleted": 0, "message_trees": 1}
    assert ok(frontend.get("/stats/")) == whole
    trees = ok(frontend.get("/stats/tree_manager"))
    assert trees["state_counts"] == ok(frontend.get("/stats/tree_manager/state_counts")) == {"growing": 1}
    (tree,) = trees["message_counts"]
    assert (tree["message_tree_id"], tree["count"], tree["depth"], tree["goal_tree_size"]) == (prompt, 2, 1, 12)
    named = ok(frontend.get("/stats/cached"))["stats_by_name"]
    assert named["human_messages_by_role"]["stats"] == {"assistant": 1, "prompter": 1}
    assert named["message_trees_states_by_lang"]["stats"] == [{"lang": "en", "state": "growing", "count": 1}]
    assert ok(frontend.get("/stats/cached/human_messages_by_lang"))["stats"] == {"en": 2}
    assert code(frontend.get("/stats/cached/weather")) == (400, 6000)
    assert frontend.post("/stats/cached/update").status_code == 204


MODERATION = [
    ("DELETE", "/messages/{id}"),
    ("PUT", "/messages/{id}/undelete"),
    ("PUT", "/messages/{id}/tree/state?halt=true"),
    ("GET", "/messages/{id}/history"),
    ("GET", "/stats/"),
    ("GET", "/stats/tree_manager"),
    ("GET", "/stats/cached"),
    ("POST", "/stats/cached/update"),
    ("POST", "/leaderboards/update"),
    ("GET", "/admin/backend_settings/full"),
    ("GET", "/admin/flagged_messages"),
    ("GET", "/admin/flagged_messages/cursor"),
    ("POST", "/admin/flagged_messages/{id}/processed"),
]


def test_moderation_takes_a_trusted_client(application: Application, frontend: Frontend) -> None:
    """Whatever only moderators do is 403/2 for an untrusted client, and open for a trusted one."""
    prompt = frontend.write("author")
    body = {"description": "", "frontend_type": "web"}
    for trusted in (False, True):
        client = Frontend(application, ok(frontend.post("/admin/api_client", body | {"trusted": trusted})))
        for method, path in MODERATION:
            answer = client.http.request(method, "/api/v1" + path.replace("{id}", prompt))
            assert (answer.status_code == 403) is not trusted, (method, path, answer.text)


def test_settings_are_flat(application: Application, frontend: Frontend) -> None:
    """Public settings are one object of numbers and texts; whoever is untrusted reads these too."""
    found = ok(frontend.get("/admin/backend_settings/public"))
    assert (found["MESSAGE_SIZE_LIMIT"], found["goal_tree_size"]) == (2000, 12)
    assert set(found) < set(ok(frontend.get("/admin/backend_settings/full")))
    client = Frontend(application, ok(frontend.post("/admin/api_client", {"description": "", "frontend_type": ""})))
    assert ok(client.get("/admin/backend_settings/public")) == found


def test_what_is_not_built_says_so(frontend: Frontend) -> None:
    """Endpoints that are left out answer 501 with a reason."""
    for method, path in UNBUILT:
        answer = frontend.http.request(method, path.replace("{time_frame}", "day").replace("{user_id}", str(uuid4())))
        assert (answer.status_code, answer.json()["error_code"]) == (501, 0)
        assert answer.json()["message"].startswith("not built: ")
