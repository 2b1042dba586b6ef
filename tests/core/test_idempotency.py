"""Kept replies: a request that comes again under its key is answered again, not carried out again."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from building import some_admin
from headrace.core.errors import Conflict, Invalid, Unacceptable
from headrace.core.idempotency import MAX_KEY, Reply, once
from headrace.core.rights import Principal
from headrace.core.store import Store, Tx


@pytest.fixture
def who(store: Store) -> Principal:
    """Somebody who may do everything."""
    return store.write(some_admin)


def make(name: str) -> Callable[[Tx], Reply]:
    """Work that leaves a project behind and answers its name."""

    def work(tx: Tx) -> Reply:
        tx.projects.insert(name=name, title="", description="")
        return Reply(201, name.encode())

    return work


def ask(store: Store, who: Principal, key: str | None, name: str, request: bytes = b"same") -> Reply:
    """Have a project made under a key."""
    return store.write(lambda tx: once(tx, who, key, request, make(name)))


def made(store: Store) -> list[str]:
    """The names of the projects that were made."""
    return [project.name for project in store.read(lambda tx: tx.projects.all(None))]


def test_first_reply_is_given_again(store: Store, who: Principal) -> None:
    """The same request under the same key has its effect once and its first answer every time."""
    replies = [ask(store, who, "k" * MAX_KEY, name) for name in ("first", "second")]
    assert replies == [Reply(201, b"first")] * 2
    assert made(store) == ["first"]


def test_without_a_key_nothing_is_kept(store: Store, who: Principal) -> None:
    """A request without a key is carried out as often as it comes."""
    assert [ask(store, who, None, name).body for name in "ab"] == [b"a", b"b"]


def test_keys_belong_to_their_caller(store: Store, who: Principal) -> None:
    """Another caller's request under the same key is a request of its own."""
    other = store.write(some_admin)
    assert [ask(store, caller, "key", caller.username).body.decode() for caller in (who, other)] == [
        who.username,
        other.username,
    ]


def test_key_with_another_request_is_refused(store: Store, who: Principal) -> None:
    """A key that comes again with another request is refused, and nothing is done."""
    ask(store, who, "key", "first")
    with pytest.raises(Unacceptable):
        ask(store, who, "key", "second", b"other")
    assert made(store) == ["first"]


@pytest.mark.parametrize("key", ["", "k" * (MAX_KEY + 1)])
def test_bad_key_is_refused(store: Store, who: Principal, key: str) -> None:
    """A key must have 1 to 255 characters."""
    with pytest.raises(Invalid, match="Idempotency-Key"):
        ask(store, who, key, "never")
    assert made(store) == []


def test_failure_is_not_kept(store: Store, who: Principal) -> None:
    """A request that was refused may be corrected and sent again under its key."""

    def refuse(_: Tx) -> Reply:
        raise Conflict("not now")

    with pytest.raises(Conflict):
        store.write(lambda tx: once(tx, who, "key", b"same", refuse))
    assert ask(store, who, "key", "later", b"corrected").body == b"later"


def test_one_effect_from_many_threads(store: Store, who: Principal) -> None:
    """Eight requests at once under one key have one effect and one answer."""
    start = threading.Barrier(8)

    def send(number: int) -> Reply:
        start.wait(20)
        return ask(store, who, "key", f"p{number}")

    with ThreadPoolExecutor(8) as threads:
        replies = set(threads.map(send, range(8)))
    assert [reply.body.decode() for reply in replies] == made(store)
