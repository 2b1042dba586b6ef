"""Raw e-mails over the wire."""

from collections.abc import Callable
from typing import Any

import pytest
from cm_world import SOURCE, make_source, the_source
from starlette.testclient import TestClient

from conftest import ok

PATH = f"/api/v1/sources/{SOURCE}/sync-raw-emails"
TAG = "generic.0.CONVKER5"
HEADERS = "Date: Thu, 09 Jan 2020 16:34:45 +0000\r\nFrom: a@example.org\r\nTo: b@example.org\r\nSubject: Figures"


def document(raw: str = HEADERS, *, body: Any = None, **more: Any) -> dict[str, Any]:
    """A mail as the client sends it."""
    mail = {"headers": {"raw": raw}, "body": body or {"plain": "Hello"}, "attachments": more.pop("attachments", [])}
    return {"raw_email": mail, "user_properties": {}, **more}


def send(api: TestClient, *documents: dict[str, Any], path: str = PATH, **more: Any) -> dict[str, Any]:
    """The answer to a batch."""
    body = {"documents": list(documents), "include_comments": False, "transform_tag": TAG, **more}
    return dict(ok(api.post(path, json=body)))


def test_mails_become_comments(both: TestClient) -> None:
    """A batch counts what is new, updated and unchanged, and shows the comments when asked, on both databases."""
    make_source(both)
    first = document(HEADERS + "\nMessage-ID: <1@x>", attachments=[{"name": "a.pdf", "size": 9, "content_type": "pdf"}])
    second = document(HEADERS, comment_id="mine", user_properties={"string:Box": "in"})
    found = send(both, first, second, include_comments=True)
    assert (found["new"], found["updated"], found["unchanged"]) == (2, 0, 0)
    one, two = found["comments"]
    assert one["attachments"] == [{"name": "a.pdf", "size": 9, "content_type": "pdf"}]
    assert (two["id"], two["user_properties"]["string:Box"]) == ("mine", "in")
    assert two["messages"][0]["subject"] == {"text": "Figures"}
    assert ok(both.get(f"/api/v1/sources/{SOURCE}/comments/mine"))["comment"] == two
    again = send(both, first, document(comment_id="mine"))
    assert (again["new"], again["updated"], again["unchanged"], again["comments"]) == (0, 1, 1, [])


def test_html_and_parsed_headers_are_read(api: TestClient) -> None:
    """The other form of headers and body makes the same kind of comment."""
    make_source(api)
    parsed = {
        "Date": "Thu, 09 Jan 2020 16:34:45 +0000",
        "From": "a@example.org",
        "To": ["b@example.org", "c@example.org"],
    }
    mail = {"raw_email": {"headers": {"parsed": parsed}, "body": {"html": "<b>Hello</b> world"}}}
    [comment] = send(api, mail, include_comments=True)["comments"]
    assert comment["messages"][0]["body"] == {"text": "Hello world"}
    assert comment["messages"][0]["to"] == ["b@example.org", "c@example.org"]


def test_the_last_of_equal_ids_counts(api: TestClient) -> None:
    """Two mails of one id in a batch are one comment."""
    make_source(api)
    found = send(api, document(comment_id="x"), document(comment_id="x", body={"plain": "Bye"}), include_comments=True)
    assert found["new"] == 1
    assert [item["messages"][0]["body"]["text"] for item in found["comments"]] == ["Bye"]


def test_the_file_of_a_mail_can_follow(api: TestClient) -> None:
    """A mail's attachment takes its file like any comment's, and a repeated mail leaves it."""
    make_source(api)
    mail = document(comment_id="x", attachments=[{"name": "a.pdf", "size": 1, "content_type": "pdf"}])
    send(api, mail)
    ok(api.put(f"/api/_private/sources/{SOURCE}/comments/x/attachments/0", files={"file": ("a.pdf", b"x")}))
    found = send(api, mail, include_comments=True)
    assert found["unchanged"] == 1
    assert "content_hash" in found["comments"][0]["attachments"][0]


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"transform_tag": "not-a-valid-transform-tag.0.ABCDEFGH"}, 422, "is not a valid transform tag."),
        ({"documents": []}, 400, "comments"),
        ({"documents": [document()] * 4097}, 413, "documents"),
        ({"documents": [document(), {"raw_email": {"headers": {}, "body": {"plain": ""}}}]}, 400, "documents[1]"),
        ({"documents": [document("Subject: x")]}, 400, "documents[0].raw_email.headers"),
        ({"documents": [document(body={"plain": "", "html": ""})]}, 400, "documents[0].raw_email.body"),
        ({"documents": [document(user_properties={"colour": "red"})]}, 400, "user_properties"),
        ({"documents": [document(comment_id="a/b")]}, 400, "comment_id"),
        (
            {"documents": [document(attachments=[{"name": "n", "size": 0, "content_type": "t"}] * 129)]},
            400,
            "attachments",
        ),
        ({"documents": [document(body={"markdown": ""})]}, 400, "markdown"),
    ],
)
def test_a_bad_batch_is_refused_as_a_whole(
    shared_api: TestClient, change: dict[str, Any], status: int, word: str
) -> None:
    """The answer is an error in the envelope that names the field, and nothing is stored."""
    the_source(shared_api)
    answer = shared_api.post(PATH, json={"documents": [document()], "transform_tag": TAG} | change)
    assert (answer.status_code, answer.json()["status"]) == (status, "error")
    assert word in answer.json()["message"]
    assert ok(shared_api.post(f"/api/v1/sources/{SOURCE}/statistics", json={}))["statistics"]["num_comments"] == 0


def test_mail_needs_the_right_to_edit(api: TestClient, person: Callable[..., TestClient]) -> None:
    """A viewer may not, a stranger knows no such source, and both private path and id work for those who may."""
    source = make_source(api)
    body = {"documents": [document()]}
    assert person("viewer", default=["viewer"]).post(PATH, json=body).status_code == 403
    assert person("stranger").post(PATH, json=body).status_code == 404
    editor = person("editor", default=["sources-add-comments"])
    assert send(editor, document(), path=f"/api/_private/sources/id:{source}/sync-raw-emails")["new"] == 1


def test_mail_comes_back_as_its_sender_may_see_it(api: TestClient, person: Callable[..., TestClient]) -> None:
    """Sensitive properties are hidden in the answer from those who may not see them."""
    make_source(api, sensitive_properties=["string:Sender"])
    editor = person("editor", default=["sources-add-comments"])
    senders = [
        send(client, document(), include_comments=True)["comments"][0]["user_properties"]["string:Sender"]
        for client in (api, editor)
    ]
    assert senders == ["a@example.org", "***"]
