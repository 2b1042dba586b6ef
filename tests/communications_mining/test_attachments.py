"""Files of comments: stored beside them, named by them, served as harmless bytes to those who may see them."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cm_world import SOURCE, comment, make_dataset, make_source, the_source, upload
from starlette.testclient import TestClient

from conftest import ok
from headrace.core import attachments

FILE = b"<script>alert(1)</script>\x00\xff"
NAMED = {"name": 'a "b"\r\nX: y/<i>.html', "size": len(FILE), "content_type": "text/html"}
PRIVATE = f"/api/_private/sources/{SOURCE}/comments"
PUBLIC = f"/api/v1/sources/{SOURCE}/comments"


def with_files(key: str = "a", *attachments: dict[str, Any]) -> dict[str, Any]:
    """A comment that names attachments."""
    return comment(key, attachments=list(attachments or [NAMED]))


def store(api: TestClient, key: str = "a", number: int = 0, data: bytes = FILE) -> str:
    """Upload a file; answers its hash."""
    answer = ok(api.put(f"{PRIVATE}/{key}/attachments/{number}", files={"file": ("x.html", data)}))
    return str(answer["content_hash"])


def shown(api: TestClient, key: str = "a") -> dict[str, Any]:
    """The comment as the server answers it."""
    return dict(ok(api.get(f"{PUBLIC}/{key}"))["comment"])


def test_a_stored_file_is_named_by_its_comment(both: TestClient) -> None:
    """The comment then carries a reference and the hash, and the reference gives the bytes back."""
    make_source(both)
    upload(both, with_files())
    before = shown(both)
    digest = store(both)
    assert digest == hashlib.sha256(FILE).hexdigest()
    after = shown(both)
    [attachment] = after["attachments"]
    assert attachment == NAMED | {"content_hash": digest, "attachment_reference": attachment["attachment_reference"]}
    assert int(after["context"]) > int(before["context"])
    assert both.get(f"/api/v1/attachments/{attachment['attachment_reference']}").content == FILE


def test_a_file_is_served_as_harmless_bytes(api: TestClient) -> None:
    """Whatever the comment says of its type, the answer is a download that no browser runs or sniffs."""
    make_source(api)
    upload(api, with_files())
    store(api)
    answer = api.get(f"/api/v1/attachments/{shown(api)['attachments'][0]['attachment_reference']}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; filename*=UTF-8''a%20%22b%22%0D%0AX%3A%20y%2F%3Ci%3E.html")
    assert "x" not in answer.headers


def test_repeating_an_upload_changes_nothing(api: TestClient) -> None:
    """Neither the same file nor the comment as its sender knows it counts as a change."""
    make_source(api)
    upload(api, with_files())
    store(api)
    before = shown(api)
    store(api)
    body = {"comments": [with_files()]}
    assert ok(api.post(f"/api/v1/sources/{SOURCE}/sync", json=body))["unchanged"] == 1
    assert ok(api.put(PRIVATE, json=body)) == {"status": "ok"}
    assert shown(api) == before


def test_a_changed_comment_keeps_its_files(api: TestClient) -> None:
    """A new text leaves the file; another attachment in its place drops it."""
    make_source(api)
    upload(api, with_files())
    store(api)
    reference = shown(api)["attachments"][0]["attachment_reference"]
    upload(api, with_files() | {"messages": [{"body": {"text": "new"}}]})
    assert shown(api)["attachments"][0]["attachment_reference"] == reference
    upload(api, with_files("a", NAMED | {"name": "other"}))
    assert shown(api)["attachments"] == [NAMED | {"name": "other"}]
    assert api.get(f"/api/v1/attachments/{reference}").status_code == 404


def test_another_file_gets_another_reference(api: TestClient) -> None:
    """The newest file counts, and the old reference is gone."""
    make_source(api)
    upload(api, with_files("a", NAMED, NAMED))
    store(api, number=1, data=b"one")
    first = shown(api)["attachments"][1]
    store(api, number=1, data=b"two")
    second = shown(api)["attachments"][1]
    assert shown(api)["attachments"][0] == NAMED
    assert api.get(f"/api/v1/attachments/{first['attachment_reference']}").status_code == 404
    assert api.get(f"/api/v1/attachments/{second['attachment_reference']}").content == b"two"


def test_a_stored_file_is_delivered_again(api: TestClient) -> None:
    """Streams see the comment with its reference, because the comment has changed."""
    make_dataset(api, make_source(api))
    stream = "/api/v1/datasets/default/topics/streams"
    ok(api.put(stream, json={"stream": {"name": "all"}}))
    upload(api, with_files())
    store(api)
    [result] = ok(api.post(f"{stream}/all/fetch", json={"size": 8}))["results"]
    assert "content_hash" in result["comment"]["attachments"][0]


@pytest.mark.parametrize("number", ["1", "-1", "x", "99999", "٣"])
def test_an_attachment_the_comment_does_not_name_is_absent(shared_api: TestClient, number: str) -> None:
    """Only what the comment lists can be stored."""
    the_source(shared_api)
    upload(shared_api, with_files())
    answer = shared_api.put(f"{PRIVATE}/a/attachments/{number}", files={"file": ("x", b"x")})
    assert (answer.status_code, answer.json()["status"]) == (404, "error")


def test_a_file_may_come_as_the_whole_body(api: TestClient) -> None:
    """A body that is no form is the file itself, also on the public path and by the source's id."""
    source = make_source(api)
    upload(api, with_files())
    path = f"/api/v1/sources/id:{source}/comments/a/attachments/0"
    answer = ok(api.put(path, content=FILE, headers={"content-type": "application/pdf"}))
    assert answer["content_hash"] == hashlib.sha256(FILE).hexdigest()


@pytest.mark.parametrize(
    ("form", "word"),
    [
        ({"files": {"other": ("x", b"x")}}, "file"),
        ({"files": [("file", ("x", b"x")), ("file", ("y", b"y"))]}, "files"),
        ({"content": b"--", "headers": {"content-type": "multipart/form-data"}}, "boundary"),
        ({"content": b"junk", "headers": {"content-type": "multipart/form-data; boundary=b"}}, ""),
    ],
)
def test_a_bad_form_is_refused(shared_api: TestClient, form: dict[str, Any], word: str) -> None:
    """A form without the part `file`, with two, or that cannot be read answers 400."""
    the_source(shared_api)
    upload(shared_api, with_files())
    answer = shared_api.put(f"{PRIVATE}/a/audio", **form)
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert word in answer.json()["message"].lower()


def test_a_file_beyond_the_limit_is_refused(api: TestClient) -> None:
    """A body that is too large answers 413 while it is read; a form may be a little larger than the file in it."""
    make_source(api)
    upload(api, with_files())
    data = bytes(attachments.MAX_BYTES + 1)
    assert api.put(f"{PRIVATE}/a/audio", content=data).status_code == 413
    refused = api.put(f"{PRIVATE}/a/audio", files={"file": ("x", data)})
    assert refused.status_code == 400
    assert "file" in refused.json()["message"]
    assert api.put(f"{PRIVATE}/a/audio", files={"file": ("x", data + bytes(70_000))}).status_code == 413


def test_a_recording_is_kept_beside_the_comment(api: TestClient) -> None:
    """Audio goes in as the part `file` and comes out as a download; the comment itself stays as it is."""
    make_source(api)
    upload(api, comment("a"), comment("b"))
    before = shown(api)
    assert ok(api.put(f"{PRIVATE}/a/audio", files={"file": ("call.flac", FILE)})) == {"status": "ok"}
    assert shown(api) == before
    assert api.get(f"{PRIVATE}/a/audio").content == FILE
    assert api.get(f"{PRIVATE}/b/audio").status_code == 404
    assert api.put(f"{PRIVATE}/none/audio", files={"file": ("x", b"x")}).status_code == 404


def test_files_are_for_those_who_may_see_the_source(api: TestClient, person: Callable[..., TestClient]) -> None:
    """Foreign and absent look alike, lacking the right in one's own project does too, and storing needs its own."""
    make_source(api)
    upload(api, with_files())
    store(api)
    path = f"/api/v1/attachments/{shown(api)['attachments'][0]['attachment_reference']}"
    stranger, member, viewer = person("stranger"), person("member", default=["voc"]), person("v", default=["viewer"])
    foreign, absent = stranger.get(path), stranger.get("/api/v1/attachments/00000000000000ff")
    assert foreign.status_code == absent.status_code == member.get(path).status_code == 404
    assert viewer.get(path).content == FILE
    assert viewer.put(f"{PRIVATE}/a/attachments/0", files={"file": ("x", b"x")}).status_code == 403
    assert stranger.put(f"{PRIVATE}/a/attachments/0", files={"file": ("x", b"x")}).status_code == 404


def test_storing_a_file_keeps_what_its_sender_may_not_see(api: TestClient, person: Callable[..., TestClient]) -> None:
    """The comment keeps its sensitive properties when somebody without the right to them adds a file."""
    make_source(api, sensitive_properties=["string:Secret"])
    upload(api, with_files() | {"user_properties": {"string:Secret": "kept"}})
    store(person("editor", default=["sources-add-comments"]))
    assert shown(api)["user_properties"] == {"string:Secret": "kept"}


def test_files_go_with_their_comment(api: TestClient) -> None:
    """A deleted comment takes its files with it."""
    make_source(api)
    upload(api, with_files())
    store(api)
    path = f"/api/v1/attachments/{shown(api)['attachments'][0]['attachment_reference']}"
    ok(api.delete(f"{PUBLIC}?id=a"))
    assert api.get(path).status_code == 404
