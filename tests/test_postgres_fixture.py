"""Every test gets an empty PostgreSQL database of its own, at once."""

import psycopg
import pytest

from postgres import fresh_database


def tables(url: str) -> list[str]:
    """Return the names of the user's tables."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [name for (name,) in rows]


@pytest.mark.parametrize("turn", ["first", "second"])
def test_database_is_empty(postgres_url: str, turn: str) -> None:
    """A table made by one test is not there for the next."""
    assert tables(postgres_url) == []
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE left_behind (turn text)")
        connection.execute("INSERT INTO left_behind VALUES (%s)", [turn])
    assert tables(postgres_url) == ["left_behind"]


def test_database_is_dropped_while_connected(postgres_server: str) -> None:
    """A connection that a test forgot does not keep its database alive."""
    with fresh_database(postgres_server) as url:
        forgotten = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
    forgotten.close()


def test_template_is_copied(postgres_server: str) -> None:
    """A database made from another one starts with its tables."""
    with fresh_database(postgres_server) as original:
        with psycopg.connect(original) as connection:
            connection.execute("CREATE TABLE migrated (id bigint)")
        name = psycopg.conninfo.conninfo_to_dict(original)["dbname"]
        with fresh_database(postgres_server, template=str(name)) as copy:
            assert tables(copy) == ["migrated"]
