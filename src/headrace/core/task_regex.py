"""Searching texts with regular expressions that strangers wrote: in a child process, against the clock.

A pattern can take longer than the universe on a short text, and Python's matcher holds its process meanwhile; but it
looks for signals, so that the main thread of a process of its own can be called back.
"""

import re
import signal
import warnings
from collections.abc import Callable, Sequence

SECONDS = 2.0

Search = Callable[[str, Sequence[Sequence[str]]], list[bool] | None]
"""Tells of each list of texts whether the pattern is found in any of them; None when that takes too long."""


class _TimeIsUpError(Exception):
    pass


def search(pattern: str, texts: Sequence[Sequence[str]], seconds: float = SECONDS) -> list[bool] | None:
    """See `Search`. To be called in the main thread of a process that does nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = re.compile(pattern)
    before = signal.signal(signal.SIGALRM, _ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        found = [any(map(compiled.search, some)) for some in texts]
        signal.setitimer(signal.ITIMER_REAL, 0)
    except _TimeIsUpError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return found


def _ring(number: int, frame: object) -> None:
    raise _TimeIsUpError
