"""Errors: always JSON in the envelope, never 500 for what a client can send, and nothing is changed by a refusal."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request

from conftest import ADMIN_TOKEN, client_of, ok
from everything import bodied, full_mailbox, rows, send, values_for
from headrace.app import Application
from headrace.core import errors
from headrace.dialects.communications_mining import dialect
from headrace.dialects.kit import JSON_LIMIT, MAX_WRONG_TOKENS, STATUS, WrongTokens
from mining import Mailbox, is_error, new_mailbox, serving

ANY_BODY_WILL_DO = {"refresh_permissions", "pin_model", "put_audio", "put_attachment"}
BODIED = [target for target in bodied() if target.handler not in ANY_BODY_WILL_DO]
MAY_BE_EMPTY = {"create_token", "list_models"}
HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "cut short": b'{"comments":[',
    "not JSON": b"comments=1&size=2",
    "escaped NUL": b'{"size":1,"x":"a\\u0000b"}',
    "escaped NUL in a key": b'{"a\\u0000":1}',
    "bare NUL": b'{"x":"a\0b"}',
    "lone surrogate": b'{"x":"\\ud800"}',
    "not UTF-8": b'{"x":"\xff\xfe"}',
    "UTF-16": json.dumps({"size": 1}).encode("utf-16"),
    "NaN": b'{"size":NaN}',
    "infinity": b'{"size":-Infinity}',
    "2**64": b'{"size":18446744073709551616}',
    "beyond a double": b'{"size":1e999}',
    "5000 digits": b'{"size":' + b"9" * 5000 + b"}",
    "101 levels": b'{"x":' + b"[" * 100 + b"]" * 100 + b"}",
    "100000 levels": b"[" * 100_000,
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "unknown key": b'{"surely_unknown":1}',
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A server that the tests of this module share."""
    with serving(tmp_path_factory.mktemp("errors") / "data") as application:
        yield application


@pytest.fixture(scope="module")
def box(server: Application) -> Mailbox:
    """A mailbox with a comment, a stream and a tagged model."""
    return full_mailbox(server)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_body(server: Application, box: Mailbox, name: str) -> None:
    """Sent to any route that reads a body, it is refused with 4xx in the envelope, and nothing is changed."""
    before = rows(server)
    for target in BODIED:
        if name == "nothing" and target.handler in MAY_BE_EMPTY:
            continue
        answer = send(box.api, target, values_for(target, box), HOSTILE[name])
        assert is_error(answer, 400, 404, 413, 422), f"{target}: {answer.status_code} {answer.text[:300]}"
    assert rows(server) == before


def test_missing_and_wrong_tokens(server: Application) -> None:
    """Without a token, with a wrong one or in an unknown scheme the answer is 401, the same for all."""
    anonymous = client_of(server, None)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {ADMIN_TOKEN}"}):
        assert is_error(anonymous.get("/api/v1/datasets", headers=headers), 401)
    for key in ("", "%C3%A9", f"{ADMIN_TOKEN}x"):
        assert is_error(anonymous.get(f"/api/v1/datasets?api_key={key}"), 401)


@pytest.mark.parametrize(
    "path", ["/api/v1/datasets/a/b/c/d", "/api/_private/nothing", "/auth/nothing", "/api/v1/sources/a/b/c"]
)
def test_unknown_path(box: Mailbox, path: str) -> None:
    """A path that is no route answers 404 in the envelope, with the id under which the log has the request."""
    answer = box.api.get(path)
    assert is_error(answer, 404)
    assert len(answer.headers["x-request-id"]) == 32


def test_wrong_method(box: Mailbox) -> None:
    """A method that a path does not have answers 405 and says which it has."""
    answer = box.api.patch(box.dataset, json={})
    assert is_error(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == {"DELETE", "GET", "POST", "PUT"}


def test_too_large_a_body(box: Mailbox) -> None:
    """A body beyond the limit is refused, by its declared size or while it arrives."""
    path = f"{box.source}/sync"
    assert is_error(box.api.post(path, content=b"{}", headers={"content-length": str(JSON_LIMIT + 1)}), 413)
    pieces = (b" " * 2**20 for _ in range(JSON_LIMIT // 2**20 + 1))
    assert is_error(box.api.post(path, content=pieces), 413)


def test_compressed_body(box: Mailbox) -> None:
    """A compressed body is refused rather than unpacked without a bound."""
    assert is_error(box.api.post(f"{box.source}/sync", content=b"x", headers={"content-encoding": "gzip"}), 400)


def test_every_error_has_a_status() -> None:
    """Every error of the domain is rendered in the envelope, under the status of its class or its parent's."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HeadraceError)
    ]
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})
    for kind in kinds:
        if kind is not errors.HeadraceError:
            answer = dialect.render(request, kind("words", fields={"retry_after": 3}))
            assert json.loads(bytes(answer.body)) == {"status": "error", "message": "words"}
            assert answer.status_code == next(STATUS[parent] for parent in kind.__mro__ if parent in STATUS)
            assert answer.headers["retry-after"] == "3"


def test_guessing_meets_a_limit() -> None:
    """After hundreds of wrong tokens an address must wait, and is told how long; others need not."""
    seen = WrongTokens()
    for _ in range(MAX_WRONG_TOKENS):
        seen.check("one")
        seen.add("one")
    with pytest.raises(errors.RateLimited) as caught:
        seen.check("one")
    assert 0 < int(str(caught.value.fields["retry_after"])) <= 61
    seen.check("other")


def test_fault_of_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A fault answers 500 in the envelope, tells nothing of the inside, and is in the log under its id."""
    with serving(tmp_path / "data") as application:
        box = new_mailbox(client_of(application))
        with sqlite3.connect(tmp_path / "data" / "headrace.sqlite3") as connection:
            connection.execute("DROP TABLE streams")
        connection.close()
        answer = box.api.get(f"{box.dataset}/streams")
        assert is_error(answer, 500)
        request_id = answer.headers["x-request-id"]
        assert request_id in answer.json()["message"]
        assert not {"SELECT", "sqlite", "streams", str(tmp_path)} & set(answer.text.replace("/", " / ").split())
        assert any(request_id in record.getMessage() for record in caplog.records)
        assert ok(box.api.get(box.dataset))["dataset"]["name"] == box.name
