"""How many statements the requests cost that people send all day: what grows here is paid for by everybody."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event
from starlette.testclient import TestClient

from conftest import ok
from headrace.app import Application
from kiln.kiln_api import kiln_client, make_run, make_task, rated, run_path
from label_studio.label_studio_api import choice, imported, make_project


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that are executed meanwhile, but for what begins and ends transactions and what the jobs ask."""
    seen: list[str] = []

    def executed(_: Any, __: Any, statement: str, *___: Any) -> None:
        if not statement.startswith("BEGIN") and "jobs" not in statement:
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", executed)
    yield seen
    event.remove(Engine, "before_cursor_execute", executed)
