"""The stores: SQLite with one writer and group commit, PostgreSQL with a pool of connections.

Both run the same statements and keep the same promises; what differs is how a transaction gets its turn.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.pool import QueuePool

from headrace.core.errors import Conflict, Unavailable
from headrace.core.store import Store
from headrace.storage.migrations import migrate
from headrace.storage.schema import meta
from headrace.storage.transaction import Transaction

T = TypeVar("T")
Wake = Callable[[], None]

READERS = 8
GROUP = 128
PAGE_BYTES = 16384
CACHE_KIB = 256 * 1024
CHECKPOINT_PAGES = 4096
BUSY_SECONDS = 30
POSTGRES_CONNECTIONS = 16
POSTGRES_TRIES = 8
RETRIED_STATES = frozenset({"40001", "40P01", "23505", "55P03"})
DISK_FULL = ("disk is full", "disk I/O error", "No space left", "could not extend file")


def open_store(url: str, *, wake: Wake = lambda: None) -> Store:
    """The store at a database URL, migrated: `sqlite:///path` or `postgresql://...`; `wake` follows every enqueue."""
    if url.startswith("sqlite"):
        return SqliteStore(url, wake)
    return PostgresStore(url, wake)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the database raises into errors of the domain, where they mean something there."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict("another request has just made the same object; try again") from error
    except DBAPIError as error:
        if any(words in str(error.orig) for words in DISK_FULL):
            raise Unavailable("the disk is full; nothing was stored", fields={"retry_after": 30}) from error
        raise


def _epoch(conn: Connection) -> int:
    return int(conn.execute(select(meta.c.value).where(meta.c.key == "epoch")).scalar_one())


class SqliteStore:
    """One writer thread that owns every write and commits many requests with one sync; readers beside it."""

    single_process = True

    def __init__(self, url: str, wake: Wake) -> None:
        self._wake = wake
        self._path = make_url(url).database or ""
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        self._writer_engine = self._engine(url, "BEGIN IMMEDIATE", writer=True)
        migrate(self._writer_engine)
        self._reader_engine = self._engine(url, "BEGIN", writer=False)
        with self._reader_engine.connect() as conn:
            self._epoch = _epoch(conn)
        self._queue: SimpleQueue[tuple[Callable[[Transaction], Any], Future[Any]] | None] = SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._writer = threading.Thread(target=self._write_forever, name="writer", daemon=True)
        self._writer.start()

    def read(self, fn: Callable[[Transaction], T]) -> T:
        """See `core.store.Store`."""
        with self._reader_engine.connect() as conn, translated():
            return fn(Transaction(conn, epoch=self._epoch, postgres=False, wake=self._wake, reading=True))

    def write(self, fn: Callable[[Transaction], T]) -> T:
        """See `core.store.Store`."""
        return self.submit_write(fn).result()

    def submit_read(self, fn: Callable[[Transaction], T]) -> Future[T]:
        """See `core.store.Store`."""
        return self._readers.submit(self.read, fn)

    def submit_write(self, fn: Callable[[Transaction], T]) -> Future[T]:
        """See `core.store.Store`."""
        future: Future[T] = Future()
        self._queue.put((fn, future))
        return future

    def close(self) -> None:
        """Finish what was submitted, then let go of the file."""
        self._queue.put(None)
        self._writer.join()
        self._readers.shutdown()
        self._reader_engine.dispose()
        self._writer_engine.dispose()

    def _engine(self, url: str, begin: str, *, writer: bool) -> Engine:
        engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=1 if writer else READERS,
            max_overflow=0 if writer else 64,
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        )

        @event.listens_for(engine, "connect")
        def configure(connection: Any, _record: object) -> None:
            connection.isolation_level = None
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB if writer else CACHE_KIB // READERS}")
            cursor.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            cursor.execute("PRAGMA temp_store = MEMORY")
            cursor.execute("PRAGMA secure_delete = OFF")
            if not writer:
                cursor.execute("PRAGMA query_only = ON")
            if cursor.execute("PRAGMA synchronous").fetchone()[0] != 2:
                raise Unavailable("SQLite does not keep synchronous=FULL; refusing to acknowledge writes")
            cursor.close()

        @event.listens_for(engine, "begin")
        def start(conn: Connection) -> None:
            if writer:
                conn.exec_driver_sql(begin)
            else:
                # A reader never waits for anybody, so there is no error to translate (benchmark requests).
                conn.connection.driver_connection.execute(begin)  # type: ignore[union-attr]

        return engine

    def _write_forever(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            while len(group) < GROUP:
                try:
                    following = self._queue.get_nowait()
                except Empty:
                    break
                if following is None:
                    self._queue.put(None)
                    break
                group.append(following)
            wanted = [item for item in group if item[1].set_running_or_notify_cancel()]
            if wanted:
                self._write_group(wanted)

    def _write_group(self, group: list[tuple[Callable[[Transaction], Any], Future[Any]]]) -> None:
        """Run each function under its own savepoint, commit once, then answer all of them."""
        outcomes: list[tuple[Future[Any], Transaction | None, Any]] = []
        try:
            with translated(), self._writer_engine.connect() as conn, conn.begin():
                for fn, future in group:
                    outcomes.append((future, *self._write_one(conn, fn, alone=len(group) == 1)))
        except BaseException as error:
            for _, future in group:
                future.set_exception(error)
            return
        for future, tx, value in outcomes:
            if tx is None:
                future.set_exception(value)
            else:
                tx.committed()
                future.set_result(value)

    def _write_one(
        self, conn: Connection, fn: Callable[[Transaction], Any], *, alone: bool
    ) -> tuple[Transaction | None, Any]:
        """The transaction and what the function returned; or None and what it raised, with its changes undone."""
        tx = Transaction(conn, epoch=self._epoch, postgres=False, wake=self._wake)
        if alone:
            with translated():
                return tx, fn(tx)
        conn.exec_driver_sql("SAVEPOINT one")
        try:
            with translated():
                value = fn(tx)
        except Exception as error:
            if not conn.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
                raise  # SQLite has undone the whole group by itself, as it does when the disk is full
            conn.exec_driver_sql("ROLLBACK TO one")
            conn.exec_driver_sql("RELEASE one")
            return None, error
        conn.exec_driver_sql("RELEASE one")
        return tx, value


class PostgresStore:
    """Any number of nodes on one database: each transaction on a connection of its own, retried when it must be."""

    single_process = False

    def __init__(self, url: str, wake: Wake) -> None:
        self._wake = wake
        parsed = make_url(url).set(drivername="postgresql+psycopg")
        self._engine = create_engine(
            parsed,
            pool_size=POSTGRES_CONNECTIONS,
            max_overflow=POSTGRES_CONNECTIONS,
            pool_pre_ping=True,
            connect_args={"options": "-c synchronous_commit=on"},
        )
        try:
            migrate(self._engine)
        except OperationalError as error:
            reason = str(error.orig).splitlines()[0]
            raise Unavailable(f"PostgreSQL does not answer, check the database URL: {reason}") from error
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with self._engine.connect() as conn:
            self._epoch = _epoch(conn)
            if conn.exec_driver_sql("SHOW synchronous_commit").scalar_one() not in ("on", "remote_apply"):
                raise Unavailable("PostgreSQL does not keep synchronous_commit; refusing to acknowledge writes")
        self._threads = ThreadPoolExecutor(POSTGRES_CONNECTIONS, thread_name_prefix="database")

    def read(self, fn: Callable[[Transaction], T]) -> T:
        """See `core.store.Store`."""
        with self._snapshots.connect() as conn, translated():
            return fn(Transaction(conn, epoch=self._epoch, postgres=True, wake=self._wake, reading=True))

    def write(self, fn: Callable[[Transaction], T]) -> T:
        """See `core.store.Store`. Losing a race against another transaction is retried a few times."""
        for attempt in range(1, POSTGRES_TRIES + 1):
            try:
                return self._write(fn)
            except (IntegrityError, OperationalError) as error:
                if getattr(error.orig, "sqlstate", None) not in RETRIED_STATES or attempt == POSTGRES_TRIES:
                    with translated():
                        raise
                time.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("unreachable")

    def submit_read(self, fn: Callable[[Transaction], T]) -> Future[T]:
        """See `core.store.Store`."""
        return self._threads.submit(self.read, fn)

    def submit_write(self, fn: Callable[[Transaction], T]) -> Future[T]:
        """See `core.store.Store`."""
        return self._threads.submit(self.write, fn)

    def close(self) -> None:
        """Finish what was submitted, then let go of the connections."""
        self._threads.shutdown()
        self._engine.dispose()

    def _write(self, fn: Callable[[Transaction], T]) -> T:
        with self._engine.connect() as conn, conn.begin():
            tx = Transaction(conn, epoch=self._epoch, postgres=True, wake=self._wake)
            value = fn(tx)
        tx.committed()
        return value
