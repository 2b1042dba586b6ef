"""The data directory: one server at a time serves it, because two would write into one another's files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.core.errors import Unavailable

LOCK = "serve.lock"


@contextmanager
def served(data: Path) -> Iterator[None]:
    """Make the directory and hold it for one server; raises Unavailable while another one serves it.

    The operating system lets go of it however the process ends. Commands such as `token create` need no hold: they
    write briefly, and the database takes turns with them.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / LOCK).open("a") as file:
        if sys.platform != "win32":
            _lock(file.fileno(), data)
        yield


def _lock(descriptor: int, data: Path) -> None:
    import fcntl  # there is none on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Unavailable(
            f"the data directory {data} is served by another headrace process; stop that one or name another --data"
        ) from error
