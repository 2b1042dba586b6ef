"""Users by id and in order of their names, their messages, their scores and the leaderboards."""

from typing import Any
from uuid import uuid4

import pytest
from oasst_world import Frontend, code, user

from conftest import ok
from headrace.app import Application

SCORE = {
    *("rank", "user_id", "highlighted", "username", "auth_method", "display_name", "leader_score", "level"),
    *("base_date", "modified_date", "prompts", "replies_assistant", "replies_prompter", "labels_simple"),
    *("labels_full", "rankings_total", "rankings_good", "accepted_prompts", "accepted_replies_assistant"),
    *("accepted_replies_prompter", "reply_ranked_1", "reply_ranked_2", "reply_ranked_3"),
    *("streak_last_day_date", "streak_days", "last_activity_date"),
}


@pytest.fixture
def frontend(application: Application) -> Frontend:
    """The admin's frontend of an empty server."""
    return Frontend(application)


def registered(frontend: Frontend, *names: str) -> dict[str, str]:
    """The ids of new persons, by name."""
    return {name: ok(frontend.post("/frontend_users/", user(name)))["user_id"] for name in names}


def untrusted(application: Application, frontend: Frontend) -> Frontend:
    """A client that is not trusted."""
    key = ok(frontend.post("/admin/api_client", {"description": "web", "frontend_type": "web"}))
    return Frontend(application, key)


def names(found: list[dict[str, Any]]) -> list[str]:
    """Usernames in the order answered."""
    return [item["id"] for item in found]


def test_users_are_changed_by_query(frontend: Frontend) -> None:
    """PUT changes what it names, DELETE makes a person nameless and keeps the messages; an unknown id is 4002."""
    author = registered(frontend, "a")["a"]
    frontend.write("a")
    done = frontend.http.put(f"/api/v1/users/{author}", params={"notes": "hi", "enabled": "false"})
    assert (done.status_code, done.content) == (204, b"")
    found = ok(frontend.get(f"/users/{author}"))
    assert (found["notes"], found["enabled"], found["display_name"]) == ("hi", False, "A")
    assert code(frontend.post("/tasks/", {"type": "random", "user": user("a")})) == (503, 4001)
    assert frontend.http.delete(f"/api/v1/users/{author}").status_code == 204
    gone = ok(frontend.get(f"/users/{author}"))
    assert (gone["display_name"], gone["deleted"], gone["id"][:8]) == ("Deleted User", True, "deleted_")
    assert len(ok(frontend.get(f"/users/{author}/messages"))) == 1
    assert code(frontend.get(f"/users/{uuid4()}")) == (404, 4002)
    assert frontend.get("/users/7").status_code == 422


def test_prompts_of_somebody_disabled_leave_the_lottery(frontend: Frontend) -> None:
    """The waiting tree of a person who is disabled is halted."""
    frontend.configure(max_active_trees=0)
    prompt = frontend.grown()
    assert ok(frontend.get(f"/messages/{prompt}/tree/state"))["state"] == "prompt_lottery_waiting"
    author = ok(frontend.get(f"/messages/{prompt}"))["user_id"]
    ok(frontend.http.put(f"/api/v1/users/{author}", params={"enabled": "false"}))
    assert ok(frontend.get(f"/messages/{prompt}/tree/state"))["state"] == "halted_by_moderator"


def test_users_between_two_names(frontend: Frontend) -> None:
    """Bounds are inclusive without an id and exclusive with one, in both directions; text narrows."""
    ids = registered(frontend, "ab", "bc", "cd", "de")
    assert names(ok(frontend.get("/users/by_username", gte_username="bc"))) == ["bc", "cd", "de"]
    after = {"gte_username": "bc", "gt_id": ids["bc"]}
    assert names(ok(frontend.get("/users/by_username", **after, max_count=1))) == ["cd"]
    assert names(ok(frontend.get("/users/by_username", lte_username="cd", max_count=2))) == ["ab", "bc"]
    assert names(ok(frontend.get("/users/by_username", lte_username="cd", desc="true", max_count=2))) == ["cd", "bc"]
    assert names(ok(frontend.get("/users/by_username", gte_username="bc", desc="true", max_count=2))) == ["de", "cd"]
    assert names(ok(frontend.get("/users/by_display_name", search_text="D"))) == ["de"]
    assert names(ok(frontend.get("/users/by_username", auth_method="google"))) == []
    assert code(frontend.get("/users/by_username", gt_id=ids["bc"])) == (400, 0)


@pytest.mark.parametrize("key", ["username", "display_name"])
def test_walking_users_back_and_forth(frontend: Frontend, key: str) -> None:
    """Pages follow one another without gap, and walking back gives the same pages; the ends have no cursor."""
    registered(frontend, *"edcba")
    pages, query = [], {"sort_key": key, "max_count": 2}
    page = ok(frontend.get("/users/cursor", **query))
    assert page["prev"] is None
    while True:
        pages.append(page["items"])
        if page["next"] is None:
            break
        page = ok(frontend.get("/users/cursor", **query, after=page["next"]))
    assert [names(items) for items in pages] == [["a", "b"], ["c", "d"], ["e"]]
    back = ok(frontend.get("/users/cursor", **query, before=page["prev"]))
    assert back["items"] == pages[1]
    empty = ok(frontend.get("/users/cursor", **query, after="z"))
    assert (empty["items"], empty["prev"], empty["next"], empty["order"]) == ([], "z", None, "asc")
    assert code(frontend.get("/users/cursor", sort_key="age")) == (400, 100)


def test_untrusted_clients_see_their_own_users(application: Application, frontend: Frontend) -> None:
    """Another client's users are absent, and moderation is 403/2."""
    author = registered(frontend, "a")["a"]
    other = untrusted(application, frontend)
    registered(other, "b")
    assert names(ok(other.get("/users/by_username"))) == ["b"]
    assert names(ok(frontend.get("/users/by_username"))) == ["a", "b"]
    assert code(other.get(f"/users/{author}")) == (404, 4002)
    assert code(other.http.put(f"/api/v1/users/{author}", params={"notes": "x"})) == (403, 2)
    assert code(other.http.delete(f"/api/v1/users/{author}/messages")) == (403, 2)
    assert code(other.post("/admin/api_client", {"description": "", "frontend_type": ""})) == (403, 3)


def test_messages_of_one_person(frontend: Frontend) -> None:
    """A person's messages come as a list and page by page, by id and by name, and go all at once."""
    author = registered(frontend, "a", "b")["a"]
    mine = [frontend.write("a", text=f"mine {number}") for number in range(3)]
    theirs = frontend.write("b")
    assert [item["id"] for item in ok(frontend.get(f"/users/{author}/messages"))] == mine[::-1]
    page = ok(frontend.get(f"/users/{author}/messages/cursor", max_count=2))
    assert [item["id"] for item in page["items"]] == mine[:2]
    assert frontend.http.delete(f"/api/v1/users/{author}/messages").status_code == 204
    assert [item["id"] for item in ok(frontend.get("/messages/"))] == [theirs]
    assert frontend.http.delete("/api/v1/frontend_users/local/b/messages").status_code == 204
    assert ok(frontend.get("/messages/")) == []
    assert code(frontend.http.delete(f"/api/v1/users/{uuid4()}/messages")) == (404, 4002)


def test_scores_and_the_board(frontend: Frontend) -> None:
    """Scores have all keys, the board is in the order of the points, and the asking user is highlighted."""
    frontend.ready_to_rank()
    task, key = frontend.take("judge", "rank_assistant_replies")
    ok(frontend.rank("judge", key, 0, 1))
    board = ok(frontend.get("/leaderboards/day", viewer="judge"))
    scores = board["leaderboard"]
    assert set(board) == {"time_frame", "last_updated", "leaderboard"}
    assert set(scores[0]) == SCORE
    assert [score["rank"] for score in scores] == list(range(1, len(scores) + 1))
    assert [score["username"] for score in scores if score["highlighted"]] == ["judge"]
    best = task["reply_messages"][0]["user_id"]
    assert scores[0]["user_id"] == best
    assert scores[0]["leader_score"] == 4 + 4 + 9
    frames = ok(frontend.get(f"/users/{best}/stats"))
    assert (list(frames), frames["total"]["reply_ranked_1"]) == (["day", "week", "month", "total"], 1)
    assert ok(frontend.get(f"/users/{best}/stats/week"))["rank"] == 1
    window = ok(frontend.get(f"/users/{best}/stats/total/window", window_size=2))["leaderboard"]
    assert [score["rank"] for score in window] == [1, 2]
    assert frontend.get(f"/users/{best}/stats/hour").status_code == 422
    assert frontend.get(f"/users/{best}/stats/total/window", window_size=101).status_code == 422
    assert ok(frontend.get("/leaderboards/total", max_count=1))["leaderboard"][0]["user_id"] == best
    assert frontend.post("/leaderboards/update/day").status_code == frontend.post("/leaderboards/update").status_code
