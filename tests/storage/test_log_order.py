"""The log is ordered at commit: nothing ever appears behind a reader who stands at the head."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from building import behind, eventually, keys_behind, notes, some_source
from headrace.core.positions import START, Position
from headrace.core.records import Record
from headrace.core.store import Store, Tx
from headrace.storage import open_store

WRITERS, BATCHES, BATCH = 4, 12, 3
TOTAL = WRITERS * BATCHES * BATCH


@pytest.fixture
def postgres(database_url: str) -> Iterator[Store]:
    """An empty store on PostgreSQL, where transactions of several writers overlap."""
    store = open_store(database_url)
    yield store
    store.close()


class HeldOpen:
    """A write that has done its work but does not commit before it is let go."""

    def __init__(self, store: Store, source_id: int, key: str) -> None:
        self._written, self._released = threading.Event(), threading.Event()
        self._future = store.submit_write(lambda tx: self._write(tx, source_id, key))
        assert self._written.wait(20)

    def _write(self, tx: Tx, source_id: int, key: str) -> None:
        tx.records.insert(source_id, notes([key]))
        self._written.set()
        assert self._released.wait(20)

    def commit(self) -> None:
        """Let the transaction end, and return once it has."""
        self._released.set()
        self._future.result(timeout=20)


def follow(store: Store, source_id: int) -> list[Record]:
    """Read at the head, a few at a time, until everything that the writers wrote has come."""
    seen: list[Record] = []

    def look() -> list[Record]:
        position = seen[-1].position if seen else START
        seen.extend(behind(store, [source_id], position, limit=7))
        return seen

    return eventually(look, lambda found: len(found) >= TOTAL)


def test_reader_at_the_head_misses_nothing(store: Store) -> None:
    """A reader that follows four writers gets every record once, each writer's in the order written."""
    source = store.write(some_source)

    def write_all(writer: int) -> None:
        for batch in range(BATCHES):
            rows = notes(f"{writer}-{batch * BATCH + step}" for step in range(BATCH))
            store.write(lambda tx, rows=rows: tx.records.insert(source.id, rows))

    with ThreadPoolExecutor(WRITERS + 1) as threads:
        reader = threads.submit(follow, store, source.id)
        for done in [threads.submit(write_all, writer) for writer in range(WRITERS)]:
            done.result()
        seen = reader.result()
    by_writer: dict[str, list[int]] = {}
    for record in seen:
        writer, _, number = str(record.external_id).partition("-")
        by_writer.setdefault(writer, []).append(int(number))
    assert by_writer == {str(writer): list(range(BATCHES * BATCH)) for writer in range(WRITERS)}
    assert [record.position for record in seen] == sorted({record.position for record in seen})


def test_late_commit_holds_back_what_came_after(postgres: Store) -> None:
    """What commits before an older transaction is not shown until the older one ends, and then behind it."""
    slow, quick = postgres.write(lambda tx: (some_source(tx).id, some_source(tx).id))
    older = HeldOpen(postgres, slow, "older")
    postgres.write(lambda tx: tx.records.insert(quick, notes(["younger"])))
    assert keys_behind(postgres, [slow, quick]) == []
    assert keys_behind(postgres, [quick]) == []
    older.commit()
    assert eventually(lambda: keys_behind(postgres, [slow, quick]), lambda keys: len(keys) == 2) == ["older", "younger"]


def test_head_lies_before_open_transactions(postgres: Store) -> None:
    """A reader that starts at the head while a write is under way gets that write."""
    source = postgres.write(some_source)
    older = HeldOpen(postgres, source.id, "older")
    head = postgres.read(lambda tx: tx.records.head())
    older.commit()
    assert eventually(lambda: keys_behind(postgres, [source.id], head), len) == ["older"]


def test_reset_lies_before_open_transactions(postgres: Store) -> None:
    """Going back to an instant skips nothing of a write that began after it and is not committed yet."""
    slow, quick = postgres.write(lambda tx: (some_source(tx).id, some_source(tx).id))
    instant = postgres.read(lambda tx: tx.now())
    older = HeldOpen(postgres, slow, "older")
    postgres.write(lambda tx: tx.records.insert(quick, notes(["younger"])))
    position = postgres.read(lambda tx: tx.records.before_created([slow, quick], instant))
    older.commit()
    found = eventually(lambda: keys_behind(postgres, [slow, quick], position), lambda keys: "younger" in keys)
    assert found == ["older", "younger"]


def test_events_are_held_back_too(postgres: Store) -> None:
    """The event log is read below open transactions, as the records are."""

    def happened() -> list[str]:
        return [event.kind for event in postgres.read(lambda tx: tx.events.after(START, scope=None, limit=10))]

    source = postgres.write(some_source)
    older = HeldOpen(postgres, source.id, "older")
    postgres.write(lambda tx: tx.events.add("thing.done", actor_id=None))
    assert happened() == []
    older.commit()
    assert eventually(happened, len) == ["thing.done"]


def test_several_sources_merge_in_order(store: Store) -> None:
    """Records of several sources come in the order in which they were written, and a limit cuts that order."""
    sources = store.write(lambda tx: [some_source(tx).id for _ in range(3)])
    written = []
    for step in range(12):
        key = f"k{step}"
        store.write(lambda tx, key=key, step=step: tx.records.insert(sources[step % 3], notes([key])))
        written.append(key)
    assert eventually(lambda: keys_behind(store, sources), lambda keys: len(keys) == 12) == written
    middle = behind(store, sources)[4].position
    assert keys_behind(store, sources, middle, limit=5) == written[5:10]
    assert keys_behind(store, [], START) == []


def test_changed_record_moves_to_the_end(store: Store) -> None:
    """Replacing a record gives it a new place behind everything, and none at the old one."""
    source = store.write(some_source)
    first, *_ = store.write(lambda tx: tx.records.insert(source.id, notes("abc")))
    store.write(lambda tx: tx.records.replace([(first, notes("a", text="changed")[0])]))
    assert eventually(lambda: keys_behind(store, [source.id]), lambda keys: keys[-1:] == ["a"]) == ["b", "c", "a"]


def test_nothing_lies_behind_the_head(store: Store) -> None:
    """A reader at the head of a quiet log waits for the next write, and gets it."""
    source = store.write(some_source)
    store.write(lambda tx: tx.records.insert(source.id, notes("a")))

    def head() -> Position:
        return store.read(lambda tx: tx.records.head())

    quiet = eventually(head, lambda position: keys_behind(store, [source.id], position) == [])
    store.write(lambda tx: tx.records.insert(source.id, notes("b")))
    assert eventually(lambda: keys_behind(store, [source.id], quiet), len) == ["b"]
