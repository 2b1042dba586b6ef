"""Migrating an empty database makes exactly the tables that the statements are written for."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url
from sqlalchemy.engine.interfaces import ReflectedIndex

from headrace.storage import open_store
from headrace.storage.migrations import head, migrate, revision
from headrace.storage.schema import metadata


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without any table."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    else:
        url = make_url(request.getfixturevalue("postgres_url"))
        engine = create_engine(url.set(drivername="postgresql+psycopg"))
    yield engine
    engine.dispose()


def conditions(index: ReflectedIndex) -> str:
    """The WHERE of a partial index."""
    options = index.get("dialect_options", {})
    return ", ".join(f"{name}: {option}" for name, option in sorted(options.items()) if name.endswith("_where"))


def structure(conn: Connection) -> dict[str, object]:
    """Every table with its columns, keys and indexes, as the database tells them."""
    seen = inspect(conn)
    return {
        name: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in seen.get_columns(name)],
            seen.get_pk_constraint(name)["constrained_columns"],
            sorted(tuple(item["column_names"]) for item in seen.get_unique_constraints(name)),
            sorted(
                (str(item["name"]), tuple(item["column_names"]), bool(item["unique"]), conditions(item))
                for item in seen.get_indexes(name)
            ),
        )
        for name in seen.get_table_names()
        if name != "alembic_version"
    }


def test_migrated_database_has_the_declared_tables(empty: Engine) -> None:
    """Alembic finds no difference between a migrated database and the declared tables."""
    migrate(empty)
    with empty.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_equals_creating(empty: Engine) -> None:
    """Tables made by the migrations are those made from the declaration: columns, keys, partial indexes."""
    migrate(empty)
    with empty.connect() as conn:
        migrated = structure(conn)
    metadata.drop_all(empty)
    metadata.create_all(empty)
    with empty.connect() as conn:
        assert structure(conn) == migrated
    assert set(migrated) == set(metadata.tables)


def test_migrating_again_changes_nothing(empty: Engine) -> None:
    """A second migration of the same release leaves tables, revision and contents alone."""
    for _ in range(2):
        migrate(empty)
        with empty.connect() as conn:
            assert revision(conn) == head()
            assert conn.exec_driver_sql("SELECT count(*) FROM meta WHERE key = 'epoch'").scalar() == 1


def test_nodes_that_start_together_migrate_once(postgres_url: str) -> None:
    """Several nodes may open an empty database at the same moment."""
    with ThreadPoolExecutor(3) as threads:
        stores = list(threads.map(open_store, [postgres_url] * 3))
    epochs = {store.read(lambda tx: tx.epoch) for store in stores}
    for store in stores:
        store.close()
    assert len(epochs) == 1
