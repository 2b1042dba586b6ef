"""Schema migrations: forward only, additive first. `migrate` brings any older database to this release."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

LOCK = 0x68656164


def config(conn: Connection | None = None) -> Config:
    """Alembic's configuration for our scripts, bound to a connection."""
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent))
    found.attributes["connection"] = conn
    return found


def migrate(engine: Engine) -> None:
    """Bring the database to the newest revision; several nodes may start at once."""
    with engine.connect() as conn, conn.begin():
        if engine.dialect.name == "postgresql":
            conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        if revision(conn) != head():
            command.upgrade(config(conn), "head")


def revision(conn: Connection) -> str | None:
    """The revision the database is at, or None for an empty one."""
    return MigrationContext.configure(conn).get_current_revision()


@cache
def head() -> str | None:
    """The newest revision this release knows; found once, because that reads every script."""
    return ScriptDirectory.from_config(config()).get_current_head()
