"""Messages and labels: reading them page by page, labelling and reporting them, and people by name."""

from typing import Any
from uuid import uuid4

import pytest
from oasst_world import Frontend, code, user

from conftest import ADMIN_TOKEN, client_of, ok
from headrace.app import Application


@pytest.fixture
def frontend(application: Application) -> Frontend:
    """The admin's frontend with five prompts of two people in two languages, named 0 to 4."""
    frontend = Frontend(application)
    for number in range(5):
        frontend.write("ab"[number % 2], text=f"Words {number}", lang=("en", "de")[number // 4])
    return frontend


def texts(page: Any) -> str:
    """The numbers of the messages of a list or a page."""
    items = page["items"] if isinstance(page, dict) else page
    return "".join(item["text"][-1] for item in items)


def test_list_filters_and_orders(frontend: Frontend) -> None:
    """The newest comes first unless asked otherwise; authors, languages, dates and numbers narrow the list."""
    everything = ok(frontend.get("/messages/"))
    assert texts(everything) == "43210"
    instant = everything[2]["created_date"]
    for query, found in (
        ({"desc": False}, "01234"),
        ({"max_count": 2}, "43"),
        ({"username": "b", "auth_method": "local"}, "31"),
        ({"username": "nobody", "auth_method": "local"}, ""),
        ({"lang": "de"}, "4"),
        ({"start_date": instant}, "432"),
        ({"end_date": instant.replace("+00:00", "")}, "210"),
        ({"only_roots": True}, "43210"),
        ({"api_client_id": str(uuid4())}, ""),
    ):
        assert texts(ok(frontend.get("/messages/", **query))) == found, query
    assert texts(ok(frontend.http.get(f"/api/v1/messages?start_date={instant}"))) == "432"


def test_cursors_walk_there_and_back(frontend: Frontend) -> None:
    """The first page has no prev, the last no next, and walking back shows the same pages."""
    pages = [ok(frontend.get("/messages/cursor", max_count=2))]
    while pages[-1]["next"]:
        pages.append(ok(frontend.get("/messages/cursor", max_count=2, after=pages[-1]["next"])))
    assert [texts(page) for page in pages] == ["01", "23", "4"]
    assert (pages[0]["prev"], pages[0]["order"], pages[0]["sort_key"]) == (None, "asc", "created_date")
    back = ok(frontend.get("/messages/cursor", max_count=2, before=pages[2]["prev"]))
    assert texts(back) == "23"
    first = ok(frontend.get("/messages/cursor", max_count=2, before=back["prev"]))
    assert (texts(first), first["prev"]) == ("01", None)
    down = ok(frontend.get("/messages/cursor", max_count=2, desc=True))
    assert texts(ok(frontend.get("/messages/cursor", max_count=9, desc=True, after=down["next"]))) == "210"
    between = {"after": pages[0]["prev"] or pages[0]["next"], "before": pages[2]["prev"]}
    assert texts(ok(frontend.get("/messages/cursor", **between))) == "23"


def test_cursor_of_the_clients_own(frontend: Frontend) -> None:
    """A client may build a cursor from an item; a bare date is inclusive, and an empty page leads back to it."""
    item = ok(frontend.get("/messages/", desc=False))[2]
    for cursor, found in ((f"{item['id']}${item['created_date']}", "34"), (item["created_date"], "234")):
        assert texts(ok(frontend.get("/messages/cursor", after=cursor))) == found
    later = "2999-01-01T00:00:00.000000+00:00"
    page = ok(frontend.get("/messages/cursor", after=later))
    assert (page["items"], page["prev"], page["next"]) == ([], later, None)
    assert ok(frontend.get("/messages/cursor", before="1999-01-01"))["next"].startswith("1999-01-01T")
    for bad in ("no-cursor", f"x${item['created_date']}", f"{item['id']}$", "$", f"{item['id']}$yesterday"):
        assert code(frontend.get("/messages/cursor", after=bad)) == (400, 101)


def test_search_and_authors_in_pages(frontend: Frontend) -> None:
    """search_query finds words in any case, include_user fills in who wrote, user_id narrows to one author."""
    (found,) = ok(frontend.get("/messages/cursor", search_query="wORDS 3", lang="en", include_user=True))["items"]
    assert (found["text"], found["user"]["id"], found["user"]["user_id"]) == ("Words 3", "b", found["user_id"])
    assert texts(ok(frontend.get("/messages/cursor", user_id=found["user_id"]))) == "13"
    assert texts(ok(frontend.get("/frontend_users/local/a/messages"))) == "420"
    assert texts(ok(frontend.get("/frontend_users/local/a/messages/cursor", max_count=2))) == "02"
    assert code(frontend.get("/frontend_users/local/c/messages")) == (404, 4002)


def test_messages_as_somebody_sees_them(frontend: Frontend) -> None:
    """user_is_author and user_emojis are those of the user named in the query or the header; the query wins."""
    item = ok(frontend.get("/messages/", max_count=1))[0]
    assert (item["user_is_author"], item["user_emojis"]) == (None, [])
    report = {"message_id": item["id"], "text": "why", "labels": [], "is_report": True, "user": user("b")}
    ok(frontend.post("/text_labels/", report))
    seen = ok(frontend.get(f"/messages/{item['id']}", viewer="b"))
    assert (seen["user_is_author"], seen["user_emojis"], seen["emojis"]) == (False, ["red_flag"], {"red_flag": 1})
    assert ok(frontend.get("/messages/", viewer="b", max_count=1, oasst_user="local:a"))[0]["user_is_author"] is True
    assert ok(frontend.get("/messages/", viewer="", oasst_user="nocolon"))[0]["user_is_author"] is None
    assert code(frontend.get("/messages/", viewer="nobody")) == (404, 4002)


def test_labels_that_nobody_asked_for(frontend: Frontend) -> None:
    """Free labels and reports are 204 and count as no review; of an unknown message they are 2001."""
    item = ok(frontend.get("/messages/", max_count=1))[0]
    body = {"type": "text_labels", "message_id": item["id"], "text": "t", "labels": {"quality": 0.5}, "user": user("b")}
    for _ in range(2):
        answer = frontend.post("/text_labels/", body)
        assert (answer.status_code, answer.content) == (204, b"")
    assert ok(frontend.get(f"/messages/{item['id']}"))["review_count"] == 0
    assert code(frontend.post("/text_labels/", body | {"message_id": str(uuid4())})) == (404, 2001)
    for labels in ({"spam": "nan"}, {"spam": -0.1}, {"sparkle": 1}, ["spam"], None):
        assert frontend.post("/text_labels/", body | {"labels": labels}).status_code == 422


def test_labels_for_a_task_advance_the_tree(frontend: Frontend) -> None:
    """Labels sent to text_labels with a task_id answer that task, and the message is reviewed."""
    task, _ = frontend.take("c", "label_initial_prompt", lang="de")
    body = {"message_id": task["message_id"], "task_id": task["id"], "text": "t", "labels": {"spam": 0}}
    ok(frontend.post("/text_labels/", body | {"user": user("c")}))
    assert ok(frontend.get(f"/messages/{task['message_id']}"))["review_count"] == 1
    assert code(frontend.post("/text_labels/", body | {"user": user("c")})) == (400, 2105)


def test_labels_there_are(frontend: Frontend) -> None:
    """Without a message all but fails_task, with one those of its kind; those for reports need no key."""
    names = [label["name"] for label in ok(frontend.get("/text_labels/valid_labels"))["valid_labels"]]
    assert len(names) == 14
    assert "fails_task" not in names
    item = ok(frontend.get("/messages/", max_count=1))[0]
    ours = ok(frontend.get("/text_labels/valid_labels", message_id=item["id"]))["valid_labels"]
    assert [label["name"] for label in ours][:3] == ["spam", "lang_mismatch", "quality"]
    del frontend.http.headers["X-API-Key"]
    reports = ok(frontend.get("/text_labels/report_labels"))["valid_labels"]
    assert [label["name"] for label in reports][:2] == ["spam", "not_appropriate"]


def test_registering_somebody_again_changes_what_is_named(frontend: Frontend) -> None:
    """POST frontend_users makes somebody and changes the keys it names, no others."""
    body = user("z") | {"tos_acceptance": True, "notes": "n", "show_on_leaderboard": False}
    made = ok(frontend.post("/frontend_users/", body))
    assert made["tos_acceptance_date"] is not None
    again = ok(frontend.post("/frontend_users", user("z") | {"display_name": "Zed", "enabled": False}))
    assert again == made | {"display_name": "Zed", "enabled": False}
    assert ok(frontend.get("/frontend_users/local/z")) == again
    assert code(frontend.post("/frontend_users/", user("") | {"display_name": ""})) == (400, 2012)


def test_an_untrusted_client_sees_its_own(frontend: Frontend, application: Application) -> None:
    """A client without rights to moderate sees and names only its own people and messages."""
    other = untrusted(application)
    assert ok(other.get("/messages/")) == []
    item = ok(frontend.get("/messages/", max_count=1))[0]
    assert code(other.get(f"/messages/{item['id']}")) == (404, 2001)
    assert code(other.get("/frontend_users/local/a")) == (404, 4002)
    assert code(other.get("/messages/", api_client_id=str(uuid4()))) == (403, 2)
    other.write("a", text="Words 9")
    assert texts(ok(other.get("/messages/", username="a", auth_method="local"))) == "9"
    task = frontend.ask("a", "initial_prompt")
    assert code(other.post(f"/tasks/{task['id']}/ack", {"message_id": "m"})) == (404, 2100)
    assert code(other.post("/frontend_users/", user("a") | {"notes": "n"})) == (403, 2)
    assert ok(other.post("/frontend_users/", user("a") | {"enabled": True}))["id"] == "a"


def untrusted(application: Application) -> Frontend:
    """A frontend whose key lets people take part, and no more."""
    api = client_of(application)
    granted = {"default": ["sources-read", "voc-readonly", "datasets-review", "sources-add-comments"]}
    body = {"username": "client", "email": "client@example.org", "organisation_permissions": granted}
    made = ok(api.put("/api/_private/users", json={"user": body}))["user"]
    return Frontend(application, ok(api.post(f"/api/_private/users/{made['id']}/tokens"))["token"])


def test_where_the_key_may_stand(frontend: Frontend, application: Application, api: Any) -> None:
    """The key in the query wins over the header's, any other place will do too; a wrong one, or the key of somebody
    without a part in this, is 403 and 2."""
    assert code(frontend.get("/messages/", api_key="wrong")) == (403, 2)
    nobody = client_of(application, None)
    assert code(nobody.get("/api/v1/messages/", headers={"X-API-Key": "wrong"})) == (403, 2)
    headers = {"X-API-Key": "wrong", "Authorization": "Bearer wrong"}
    assert nobody.get("/api/v1/messages/", params={"api_key": ADMIN_TOKEN}, headers=headers).status_code == 200
    assert api.get("/api/v1/messages/").status_code == 200
    body = {"username": "x", "email": "x@example.org", "organisation_permissions": {}}
    made = ok(api.put("/api/_private/users", json={"user": body}))["user"]
    token = ok(api.post(f"/api/_private/users/{made['id']}/tokens"))["token"]
    assert code(Frontend(application, token).get("/messages/")) == (403, 2)


def test_faults_of_the_framework(frontend: Frontend) -> None:
    """Unknown paths and methods are 404 and 405 with a detail; a body that is no JSON is 422."""
    for answer, status in (
        (frontend.get("/tasks/nothing"), 404),
        (frontend.get("/tasks/interaction"), 405),
        (frontend.http.post("/api/v1/tasks/", content=b"{"), 422),
        (frontend.http.post("/api/v1/tasks/", content=b'{"user":{"id":"\\ud800"}}'), 422),
    ):
        assert (answer.status_code, list(answer.json())) == (status, ["detail"])
