"""What folder and server agreed on when they last met, kept in one file inside the folder."""

import json
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]

NAME = ".headrace.sqlite3"
TABLES = """
CREATE TABLE IF NOT EXISTS server (url TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cursors (task TEXT PRIMARY KEY, cursor TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS met (
    task TEXT, run TEXT, feedback TEXT, server_id TEXT NOT NULL, stamp TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (task, run, feedback)
);
"""


class Met(NamedTuple):
    """An object on which both agreed: its id on the server, the stamp of its file, and the document."""

    server_id: str
    stamp: str
    document: Json


class State:
    """The agreements with one server. Tasks, runs and feedback are named by their ids in the folder; "" is none."""

    def __init__(self, url: str, folder: Path | None = None) -> None:
        self._file = sqlite3.connect(":memory:" if folder is None else folder / NAME, isolation_level=None)
        self._file.executescript(TABLES)
        known = self._file.execute("SELECT url FROM server").fetchone()
        if known is None or known[0] != url:
            self.forget()
            self._file.execute("INSERT INTO server VALUES (?)", (url,))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def forget(self) -> None:
        """Forget everything: the server is another one."""
        for table in ("server", "cursors", "met"):
            self._file.execute(f"DELETE FROM {table}")

    def cursor(self, task: str) -> str | None:
        """How far the changes of a task were followed."""
        found = self._file.execute("SELECT cursor FROM cursors WHERE task = ?", (task,)).fetchone()
        return None if found is None else str(found[0])

    def move(self, task: str, cursor: str) -> None:
        """Say how far the changes of a task were followed."""
        self._file.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (task, cursor))

    def get(self, task: str, run: str = "", feedback: str = "") -> Met | None:
        """What was agreed on for an object."""
        statement = "SELECT server_id, stamp, document FROM met WHERE task = ? AND run = ? AND feedback = ?"
        found = self._file.execute(statement, (task, run, feedback)).fetchone()
        return None if found is None else Met(found[0], found[1], json.loads(found[2]))

    def put(self, met: Met, task: str, run: str = "", feedback: str = "") -> None:
        """Note an agreement."""
        row = (task, run, feedback, met.server_id, met.stamp, json.dumps(met.document))
        self._file.execute("INSERT OR REPLACE INTO met VALUES (?, ?, ?, ?, ?, ?)", row)

    def drop(self, task: str, run: str, feedback: str | None = None) -> None:
        """Forget a run with its feedback, or only one piece of feedback."""
        self._file.execute(
            "DELETE FROM met WHERE task = ? AND run = ? AND (? IS NULL OR feedback = ?)",
            (task, run, feedback, feedback),
        )

    def drop_task(self, task: str) -> None:
        """Forget a task with its runs."""
        self._file.execute("DELETE FROM cursors WHERE task = ?", (task,))
        self._file.execute("DELETE FROM met WHERE task = ?", (task,))

    def runs(self, task: str) -> dict[str, tuple[str, str]]:
        """The server's id and the file's stamp of every run of a task on which something was agreed."""
        statement = "SELECT run, server_id, stamp FROM met WHERE task = ? AND run <> '' AND feedback = ''"
        return {run: (server_id, stamp) for run, server_id, stamp in self._file.execute(statement, (task,))}

    def feedback(self, task: str, run: str) -> dict[str, str]:
        """The server's id of every feedback on a run on which something was agreed."""
        statement = "SELECT feedback, server_id FROM met WHERE task = ? AND run = ? AND feedback <> ''"
        return dict(self._file.execute(statement, (task, run)).fetchall())
