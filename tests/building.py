"""Small objects put straight into a store, for tests that need no server around it."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from headrace.core.datasets import Dataset
from headrace.core.positions import START, Position
from headrace.core.records import NewRecord, Record
from headrace.core.rights import Principal
from headrace.core.sources import Source
from headrace.core.store import Store, Tx
from headrace.storage import open_store

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
_numbers = count(1)


@cache
def empty_database() -> bytes:
    """A migrated SQLite file to copy, because migrating is what costs most in a new store."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "empty.sqlite3"
        open_store(f"sqlite:///{path}").close()
        return path.read_bytes()


def eventually(look: Callable[[], T], until: Callable[[T], bool]) -> T:
    """What `look` sees once it is as wanted; fails with what it saw last when that takes too long.

    Databases of one PostgreSQL server share their transaction numbers, so a transaction of another test may hold
    up the readers of this one for a moment.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r}"
        time.sleep(0.002)
    return seen


def some_project(tx: Tx) -> int:
    """The id of a new project."""
    return tx.projects.insert(name=f"project{next(_numbers)}", title="", description="").id


def some_source(tx: Tx) -> Source:
    """A new, empty source in a project of its own."""
    project_id = some_project(tx)
    return tx.sources.insert(project_id=project_id, name="notes", title="", description="", settings={})


def some_dataset(tx: Tx, *source_ids: int) -> Dataset:
    """A new dataset over the sources, in a project of its own."""
    dataset = tx.datasets.insert(
        project_id=some_project(tx),
        name="views",
        title="",
        description="",
        model_family="english",
        has_sentiment=True,
        settings={},
    )
    tx.datasets.set_sources(dataset.id, source_ids)
    return dataset


def some_admin(tx: Tx) -> Principal:
    """A caller who may do everything."""
    name = f"admin{next(_numbers)}"
    user = tx.users.insert(username=name, email=f"{name}@example.org", global_permissions=("root",))
    return Principal(user_id=user.id, username=user.username, email=user.email, is_admin=True)


def notes(keys: Iterable[str], *, text: str = "hello", timestamp: int = 0) -> list[NewRecord]:
    """Comments under these keys."""
    body = '{"id":"%s","timestamp":"1970-01-01T00:00:00Z","messages":[{"body":{"text":"%s"}}],"text_format":"plain"}'
    return [NewRecord(key, "comment", body % (key, text), None, timestamp) for key in keys]


def keys_behind(store: Store, source_ids: Sequence[int], position: Position = START, limit: int = 10_000) -> list[str]:
    """The keys of the records readable behind a position, in log order."""
    return [str(record.external_id) for record in behind(store, source_ids, position, limit)]


def behind(store: Store, source_ids: Sequence[int], position: Position = START, limit: int = 10_000) -> list[Record]:
    """The records readable behind a position, in log order."""
    return store.read(lambda tx: tx.records.after(source_ids, position, limit))
