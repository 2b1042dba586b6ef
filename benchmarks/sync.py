"""Sync of 1,000 comments of 1 KB: at most 2.5 times a bare sqlite3 insert of the same rows with the same indices."""

import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.data import SYNC, batch, comment, prepare
from benchmarks.serving import Server, serving
from headrace.core.times import parse_timestamp
from headrace.decode import encode
from headrace.storage import open_store

COUNT = 1_000
ROUNDS = 15
TARGET = 2.5
PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "cache_size = -262144",
    "wal_autocheckpoint = 4096",
    "temp_store = MEMORY",
    "secure_delete = OFF",
)


def run() -> dict[str, object]:
    """New, unchanged and changed comments in turns with the floor; times are medians per batch."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "served") as server:
        prepare(server)
        floor = _floor(Path(folder) / "floor.sqlite3")
        times: dict[str, list[float]] = {"floor": [], "new": [], "unchanged": [], "changed": []}
        for number in range(ROUNDS + 1):
            start = number * COUNT
            times["floor"].append(_insert(floor, start))
            times["new"].append(_sync(server, batch(start, COUNT), "new"))
            times["unchanged"].append(_sync(server, batch(start, COUNT), "unchanged"))
            times["changed"].append(_sync(server, batch(start, COUNT, edition=1), "updated"))
        floor.close()
    found = {name: statistics.median(values[1:]) for name, values in times.items()}
    return {
        "comments": COUNT,
        "cpu_ms": {name: round(value, 2) for name, value in found.items()},
        "cpu_ms_least": {name: round(min(values), 2) for name, values in times.items()},
        "ratio_to_floor": round(found["new"] / found["floor"], 2),
        "target_ratio": TARGET,
    }


def _sync(server: Server, body: bytes, counted: str) -> float:
    before = server.cpu()
    answer = server.json("POST", SYNC, body)
    spent = server.cpu() - before
    if answer[counted] != COUNT:
        raise RuntimeError(f"not all comments are {counted}: {answer}")
    return spent * 1e3


def _floor(path: Path) -> sqlite3.Connection:
    """A bare connection to a database with headrace's own tables, indices, page size and safety settings."""
    open_store(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _insert(connection: sqlite3.Connection, start: int) -> float:
    now = time.time_ns() // 1000
    rows = [_row(number, now) for number in range(start, start + COUNT)]
    before = time.process_time()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(f"INSERT INTO records VALUES ({', '.join('?' * 14)})", rows)
    connection.execute("COMMIT")
    return (time.process_time() - before) * 1e3


def _row(number: int, now: int) -> tuple[object, ...]:
    sent = comment(number)
    body = encode({"text_format": "plain", **sent}).decode()
    identity = (number + 1, 1, sent["id"], "comment", body, None, number + 1)
    return (*identity, parse_timestamp(str(sent["timestamp"])), now, now, 1, 0, 0, number + 1)
