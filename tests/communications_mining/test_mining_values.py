"""Values nobody would send: whatever stands where, on either database, the answer is good or the caller's error."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from everything import bodied, full_mailbox, good_bodies, named, send, targets, values_for
from headrace.app import Application
from mining import Mailbox, is_error, serving
from postgres import fresh_database

NO_BOX = Mailbox(api=None, project="p", name="n", source_id="0" * 16, dataset_id="0" * 16)  # type: ignore[arg-type]
HOSTILE_NAMES = ("a%00b", "%ED%A0%80", "f" * 16, "9" * 400)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A server that the tests of this module share, once on SQLite and once on PostgreSQL."""
    data = tmp_path_factory.mktemp("values") / "data"
    if request.param == "sqlite":
        with serving(data) as application:
            yield application
    else:
        with fresh_database(request.getfixturevalue("postgres_server")) as url, serving(data, url) as application:
            yield application


@pytest.fixture(scope="module")
def box(server: Application) -> Mailbox:
    """A mailbox with a comment, a stream and a tagged model."""
    return full_mailbox(server)


def mutations(value: Any) -> Iterator[Any]:
    """A good body with one value in it replaced by another type, or by a number, a text or a list without measure."""
    yield from (None, 2**63 - 1, "", {"x": {}})
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: changed} for changed in mutations(inner))
            yield {other: kept for other, kept in value.items() if other != key}
    if isinstance(value, list) and value:
        yield from ([changed] for changed in mutations(value[0]))


@pytest.mark.parametrize("handler", sorted(good_bodies(NO_BOX)))
def test_wrong_types(box: Mailbox, handler: str) -> None:
    """Whatever single value of a good body is wrong, the answer is good or an error of the caller's, never a fault.

    501 is an answer, too: it says that something is not kept here.
    """
    target = next(target for target in bodied() if target.handler == handler)
    for body in mutations(good_bodies(box)[handler]):
        answer = send(box.api, target, values_for(target, box) | {"user": "9" * 16, "bucket": "b"}, body)
        good = answer.status_code == 200 and answer.json()["status"] == "ok"
        assert good or is_error(answer, 400, 404, 409, 413, 422, 501), (
            f"{body}: {answer.status_code} {answer.text[:300]}"
        )


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names(box: Mailbox, name: str) -> None:
    """No name, id, uid or version in a path makes the server fail, on either database."""
    for target in named(targets("communications_mining")):
        for parameter in re.findall(r"\{(\w+)", target.path)[-1:]:
            values = values_for(target, box) | {parameter: name}
            body = good_bodies(box).get(target.handler, {}) if target.method in ("PUT", "POST") else None
            answer = send(box.api, target, values, body)
            fine = answer.status_code == 200 or is_error(answer, 400, 404, 405, 409)
            assert fine, f"{target} {parameter}: {answer.status_code} {answer.text[:300]}"


@pytest.mark.parametrize("value", ["a%00b", "-1", "9" * 30, ""])
def test_hostile_queries(box: Mailbox, value: str) -> None:
    """No value of a query parameter makes the server fail, on either database."""
    names = ("limit", "after", "id", "uid", "from_timestamp", "to_timestamp", "source_id", "return_predictions")
    for path in (box.comments, f"{box.private}/labellings", box.dataset):
        for name in names:
            answer = box.api.get(f"{path}?{name}={value}")
            assert answer.status_code == 200 or is_error(answer, 400, 404), f"{path} {name}: {answer.text[:300]}"
    for path in (f"{box.source}/comments?id={value}", f"{box.dataset}/streams/s/exceptions?uid={value}"):
        answer = box.api.delete(path)
        assert answer.status_code == 200 or is_error(answer, 400, 404), answer.text[:300]


def test_numbers_stay_what_they_were(box: Mailbox) -> None:
    """Integers and fractions of 64 bits come back as they were sent."""
    values = {"number:a": 2**63 - 1, "number:b": -(2**63), "number:c": 0.1, "number:d": 1e300, "number:e": 5e-324}
    box.sync({"id": "n", "timestamp": "2024-01-01", "messages": [], "user_properties": values})
    found = box.get("n")["user_properties"]
    assert found == values
    assert all(type(found[key]) is type(value) for key, value in values.items())
    box.delete("n")
