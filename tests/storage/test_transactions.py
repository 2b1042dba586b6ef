"""Both stores keep the same promises: all or nothing, on disk before the answer, readers undisturbed."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from building import keys_behind, notes, some_admin, some_source
from headrace.core import records
from headrace.core.errors import Conflict, Unavailable
from headrace.core.store import Store, Tx
from headrace.storage import open_store


@pytest.fixture
def sqlite(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Store]:
    """An empty store on SQLite, whose one writer commits in groups."""
    store = open_store(f"sqlite:///{copyfile(migrated_sqlite, tmp_path / 'store.db')}")
    yield store
    store.close()


def settings_of(tx: Any) -> tuple[str, ...]:
    """What the connection says of how it keeps its word."""
    names = ("synchronous_commit",) if tx.session.postgres else ("synchronous", "journal_mode", "page_size")
    ask = "SHOW {}" if tx.session.postgres else "PRAGMA {}"
    return tuple(str(tx.session.conn.exec_driver_sql(ask.format(name)).scalar()) for name in names)


def project_names(store: Store) -> list[str]:
    """The names of all projects."""
    return [project.name for project in store.read(lambda tx: tx.projects.all(None))]


def add_project(tx: Tx, name: str) -> None:
    """Write something small."""
    tx.projects.insert(name=name, title="", description="")


def grouped(store: Store, *writes: Any) -> list[Future[Any]]:
    """Submit writes so that the writer takes all of them in one group, and wait for their ends."""
    entered, release = threading.Event(), threading.Event()

    def hold(_: Tx) -> None:
        entered.set()
        assert release.wait(20)

    first = store.submit_write(hold)
    assert entered.wait(20)
    futures = [store.submit_write(write) for write in writes]
    release.set()
    first.result(timeout=20)
    for future in futures:
        if not future.cancelled():
            future.exception(timeout=20)
    return futures


def test_every_commit_is_synced(store: Store) -> None:
    """The connection that writes says itself that a commit returns only once it is on disk."""
    assert store.write(settings_of) in (("2", "wal", "16384"), ("on",))


def test_failing_write_leaves_nothing(store: Store) -> None:
    """A write that raises is undone as a whole, and its error reaches the caller."""

    def fail(tx: Tx) -> None:
        add_project(tx, "half-done")
        raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        store.write(fail)
    assert project_names(store) == []


def test_failing_write_undoes_only_itself(sqlite: Store) -> None:
    """Of several writes committed together, one that raises leaves the others as they are."""

    def fail(tx: Tx) -> None:
        add_project(tx, "bad")
        raise ValueError("on the way")

    done = grouped(sqlite, lambda tx: add_project(tx, "a"), fail, lambda tx: add_project(tx, "b"))
    assert [type(future.exception()) for future in done] == [type(None), ValueError, type(None)]
    assert project_names(sqlite) == ["a", "b"]


def test_group_sees_its_own_writes_in_order(sqlite: Store) -> None:
    """Writes of one group run in the order submitted, each on top of those before."""
    seen: list[list[str]] = []

    def look_and_add(tx: Tx, name: str) -> None:
        seen.append([project.name for project in tx.projects.all(None)])
        add_project(tx, name)

    grouped(sqlite, *(lambda tx, name=name: look_and_add(tx, name) for name in "abc"))
    assert seen == [[], ["a"], ["a", "b"]]


def test_cancelled_write_is_left_out(sqlite: Store) -> None:
    """A write nobody waits for any more is not carried out, and the writer goes on."""
    entered, release = threading.Event(), threading.Event()

    def hold(_: Tx) -> None:
        entered.set()
        assert release.wait(20)

    sqlite.submit_write(hold)
    assert entered.wait(20)
    given_up = sqlite.submit_write(lambda tx: add_project(tx, "given-up"))
    assert given_up.cancel()
    release.set()
    sqlite.write(lambda tx: add_project(tx, "next"))
    assert project_names(sqlite) == ["next"]


def test_actions_follow_the_commit(store: Store) -> None:
    """What is to be done after a commit sees the change, and is not done when there is none."""
    seen: list[list[str]] = []

    def write(tx: Tx, fail: bool) -> None:
        tx.after_commit(lambda: seen.append(project_names(store)))
        add_project(tx, f"failed-{fail}")
        if fail:
            raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        store.write(lambda tx: write(tx, True))
    assert seen == []
    store.write(lambda tx: write(tx, False))
    assert seen == [["failed-False"]]


def test_taken_name_is_a_conflict(store: Store) -> None:
    """What a unique constraint refuses reaches the caller as an error of the domain."""
    store.write(lambda tx: add_project(tx, "same"))
    with pytest.raises(Conflict):
        store.write(lambda tx: add_project(tx, "same"))


def test_reader_is_not_blocked_by_a_writer(store: Store) -> None:
    """While a write is under way a reader answers at once, with what was committed before."""
    written, release = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        add_project(tx, "pending")
        written.set()
        assert release.wait(20)

    pending = store.submit_write(hold)
    assert written.wait(20)
    assert project_names(store) == []
    release.set()
    pending.result(timeout=20)
    assert project_names(store) == ["pending"]


def test_reader_sees_one_moment(store: Store) -> None:
    """A reader sees the same all through its transaction, whatever commits meanwhile."""

    def look_twice(tx: Tx) -> tuple[int, int]:
        before = len(tx.projects.all(None))
        store.write(lambda inner: add_project(inner, "meanwhile"))
        return before, len(tx.projects.all(None))

    assert store.read(look_twice) == (0, 0)
    assert project_names(store) == ["meanwhile"]


def test_reader_cannot_write(store: Store) -> None:
    """A change made in a reading transaction is refused by the database."""
    with pytest.raises(Exception, match=r"readonly|read-only"):
        store.read(lambda tx: add_project(tx, "sneaked"))
    assert project_names(store) == []


def test_same_keys_from_two_threads(store: Store) -> None:
    """Threads that upsert the same keys at once make each record once, and count it as new once."""
    who, source = store.write(lambda tx: (some_admin(tx), some_source(tx)))
    start = threading.Barrier(4)

    def sync(_: int) -> list[records.SyncCounts]:
        start.wait(20)
        return [
            store.write(
                lambda tx, row=row: records.sync(tx, who, source.id, notes(f"{row}-{step}" for step in range(5)))
            )
            for row in range(6)
        ]

    with ThreadPoolExecutor(4) as threads:
        counts = [count for done in threads.map(sync, range(4)) for count in done]
    total = [sum(column) for column in zip(*counts, strict=True)]
    assert total == [30, 0, 90]
    stored = store.read(lambda tx: tx.records.numbered(tx.sources.get(source.id, None), 0, 100))
    assert sorted(str(record.external_id) for record in stored) == sorted(
        f"{r}-{s}" for r in range(6) for s in range(5)
    )


def test_ids_are_never_reused(store: Store) -> None:
    """The id of a deleted record, source or project is not given to another one."""

    def make(tx: Tx) -> tuple[int, int, int]:
        source = some_source(tx)
        return source.project_id, source.id, max(tx.records.insert(source.id, notes("abc")))

    def remove(tx: Tx, made: tuple[int, int, int]) -> None:
        tx.sources.delete(made[1])
        tx.projects.delete(made[0])

    first = store.write(make)
    store.write(lambda tx: remove(tx, first))
    second = store.write(make)
    assert all(new > old for new, old in zip(second, first, strict=True))


def test_full_disk_is_reported_and_passes(sqlite: Store) -> None:
    """Without room a write, alone or in a group, is refused as unavailable; with room again writing goes on."""

    def limit(pages: int) -> None:
        sqlite.write(lambda tx: tx.session.conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar())  # type: ignore[attr-defined]

    def big(tx: Tx) -> None:
        tx.records.insert(source.id, notes("b", text="x" * 3_000_000))

    source = sqlite.write(some_source)
    limit(1)
    with pytest.raises(Unavailable):
        sqlite.write(big)
    beside, refused = grouped(sqlite, lambda tx: add_project(tx, "beside"), big)
    assert isinstance(refused.exception(), Unavailable)
    assert beside.exception() is None or isinstance(beside.exception(), Unavailable)
    assert ("beside" in project_names(sqlite)) is (beside.exception() is None)
    limit(1_000_000)
    sqlite.write(big)
    assert keys_behind(sqlite, [source.id]) == ["b"]


def test_closed_store_left_everything_on_disk(tmp_path: Path) -> None:
    """Closing finishes what was submitted, and the file alone holds it."""
    path = tmp_path / "store.db"
    store = open_store(f"sqlite:///{path}")
    for name in "abcdef":
        store.submit_write(lambda tx, name=name: add_project(tx, name))
    store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM projects").fetchone() == (6,)
    connection.close()
