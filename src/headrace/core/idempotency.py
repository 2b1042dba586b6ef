"""Replies kept for callers that retry: the first answer under an `Idempotency-Key` is given again."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core.errors import Invalid, Unacceptable
from headrace.core.rights import Principal

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_KEY = 255
KEEP_SECONDS = 48 * 3600


class Reply(NamedTuple):
    """An answer as it went out."""

    status: int
    body: bytes


class Replies(Protocol):
    """Storage of replies, by user and key."""

    def find(self, user_id: int, key: str) -> tuple[bytes, Reply] | None:
        """The request's digest and its reply."""

    def add(self, user_id: int, key: str, digest: bytes, reply: Reply) -> None:
        """Keep a reply; older ones than KEEP_SECONDS are dropped on the way."""


def once(tx: "Tx", who: Principal, key: str | None, request: bytes, work: Callable[["Tx"], Reply]) -> Reply:
    """Do the work, unless the caller has had it done under this key: then the first reply again.

    Raises Invalid for a bad key and Unacceptable when the key came with another request. What raises is not kept.
    """
    known = earlier(tx, who, key, request)
    if known is not None:
        return known
    reply = work(tx)
    if key is not None:
        tx.replies.add(who.user_id, key, hashlib.sha256(request).digest(), reply)
    return reply


def earlier(tx: "Tx", who: Principal, key: str | None, request: bytes) -> Reply | None:
    """The reply that is kept under a key, None when there is none; raises as `once` does."""
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY:
        raise Invalid(f"Idempotency-Key must have 1 to {MAX_KEY} characters", fields={"Idempotency-Key": len(key)})
    known = tx.replies.find(who.user_id, key)
    if known is None:
        return None
    if known[0] != hashlib.sha256(request).digest():
        raise Unacceptable("this Idempotency-Key was used with another request", fields={"Idempotency-Key": key[:80]})
    return known[1]
