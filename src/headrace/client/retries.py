"""When a request is sent again, and after how long."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2

from headrace.client.errors import retry_after

PASSING = frozenset({429, 502, 503, 504})
"""Statuses that say: not now."""


@dataclass(frozen=True, kw_only=True)
class Retries:
    """Up to `most` repetitions, each after twice the wait of the one before, at random between half and all of it.

    `base` and `cap` are seconds; a `Retry-After` of the server is honoured up to `patience` seconds. `chance` answers
    a number from 0 to 1.
    """

    most: int = 5
    base: float = 0.5
    cap: float = 20.0
    patience: float = 120.0
    chance: Callable[[], float] = field(default=random.random, repr=False)

    def wait(self, attempt: int, outcome: "httpx2.Response | httpx2.TransportError") -> float | None:
        """Seconds to wait after an attempt (from 0) that ended so, or None when this outcome is final."""
        if attempt >= self.most or not _passes(outcome):
            return None
        told = retry_after(outcome) if isinstance(outcome, httpx2.Response) else None
        if told is not None:
            return told if told <= self.patience else None
        longest = min(self.cap, self.base * 2.0**attempt)
        return longest * (0.5 + 0.5 * self.chance())


def _passes(outcome: "httpx2.Response | httpx2.TransportError") -> bool:
    if isinstance(outcome, httpx2.Response):
        return outcome.status_code in PASSING
    return not isinstance(outcome, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError)
