"""What every repository works with: one connection inside one transaction, and the helpers that hide the
differences between SQLite and PostgreSQL."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Dialect,
    Row,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from headrace.storage.schema import sequences

T = TypeVar("T")

# As text, because `func.json_each(...).table_valued(...)` costs four times as much to build (benchmark tiny).
_MEMBERS = text("SELECT value FROM json_each(:members)").bindparams(bindparam("members", unique=True))
# Built once: every write moves the log (benchmark tiny).
_ADVANCE = (
    sequences.update()
    .where(sequences.c.name == bindparam("sequence"))
    .values(value=sequences.c.value + bindparam("count"))
    .returning(sequences.c.value)
)
_HEAD = select(sequences.c.value).where(sequences.c.name == "log")
_LAST_ID = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
_WATERMARK = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


class _Values(TypeDecorator[Sequence[Any]]):
    """Any number of ids, or of texts, as one parameter: an array, or on SQLite JSON."""

    impl = Text
    cache_ok = True

    def __init__(self, item: type[BigInteger] | type[Text]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """The type that the database gets."""
        return dialect.type_descriptor(ARRAY(self.item()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        """The parameter as the driver wants it."""
        return list(value or ()) if dialect.name == "postgresql" else json.dumps(list(value or ()))


_PARTS = [("column", InternalTraversal.dp_clauseelement), ("members", InternalTraversal.dp_clauseelement)]


class _Among(ColumnElement[bool]):
    inherit_cache = True
    type = Boolean()
    _traverse_internals = _PARTS

    def __init__(self, column: ColumnElement[Any], members: ColumnElement[Any]) -> None:
        self.column = column
        self.members = members

    def self_group(self, against: object = None) -> "_Among":
        """Itself: SQLite takes no index for a condition that is compared with 1."""
        return self


@compiles(_Among)
def _on_sqlite(among: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, members = (compiler.process(part, **options) for part in (among.column, among.members))
    return f"{column} IN (SELECT value FROM json_each({members}))"


@compiles(_Among, "postgresql")
def _on_postgres(among: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, members = (compiler.process(part, **options) for part in (among.column, among.members))
    return f"{column} = ANY ({members})"


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """`column IN` the values given under a name, for statements that are built once; see `Session.among`.

    Building a statement costs several times what running it does (benchmark requests).
    """
    return _Among(column, bindparam(name, type_=_Values(Text if isinstance(column.type, Text) else BigInteger)))


@dataclass
class Session:
    """One transaction on one connection."""

    conn: Connection
    epoch: int
    postgres: bool
    reading: bool = False
    actions: list[Callable[[], None]] = field(default_factory=list)
    _known: dict[object, Sequence[Row[Any]]] = field(default_factory=dict)

    def now(self) -> int:
        """Microseconds since the epoch by this machine's clock."""
        return time.time_ns() // 1000

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run an action once the transaction is on disk."""
        self.actions.append(action)

    def rows(self, statement: Executable, parameters: Any = None) -> Sequence[Row[Any]]:
        """All rows of a query."""
        return self.conn.execute(statement, parameters).fetchall()

    def known(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """`rows` of a statement that is built once; in a transaction that only reads it is asked once as well, because
        there the answer stays the same."""
        if not self.reading:
            return self.rows(statement, parameters)
        key = (statement, *map(str, parameters.values()))
        if key not in self._known:
            self._known[key] = self.rows(statement, parameters)
        return self._known[key]

    def tuples(self, statement: Executable, parameters: Any = None) -> Sequence[tuple[Any, ...]]:
        """All rows of a query as the driver gives them: a third less for a page of 1,024 records (benchmark fetch)."""
        result = self.conn.execute(statement, parameters)
        found = result.cursor.fetchall()
        result.close()
        return found

    def first(self, statement: Executable, parameters: Any = None) -> Row[Any] | None:
        """The first row of a query, if there is one."""
        return self.conn.execute(statement, parameters).first()

    def run(self, statement: Executable, parameters: Any = None) -> int:
        """Execute a statement; answers how many rows it touched."""
        return self.conn.execute(statement, parameters).rowcount

    def insert_id(self, statement: Any) -> int:
        """Execute an insert of one row; answers the new id."""
        return int(self.conn.execute(statement.returning(statement.table.c.id)).scalar_one())

    def among(self, column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
        """`column IN values` as one parameter, so that any number of values makes one cached statement."""
        if self.postgres:
            kind = Text() if values and isinstance(values[0], str) else BigInteger()
            return column == any_(literal(list(values), ARRAY(kind)))
        return column.in_(_MEMBERS.bindparams(members=json.dumps(list(values))))

    def database_now(self) -> float:
        """Seconds since the epoch by the database's clock, against which leases are judged."""
        if self.postgres:
            return float(self.conn.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())
        return time.time()

    def take_positions(self, count: int) -> tuple[int, Sequence[int]]:
        """Positions for `count` rows written now: the common x, and the n of each in ascending order."""
        if self.postgres:
            found = self.conn.exec_driver_sql(
                "SELECT pg_current_xact_id()::text::bigint, nextval('log_position') FROM generate_series(1, %s)",
                (count,),
            ).fetchall()
            return int(found[0][0]), [int(row[1]) for row in found]
        last = self._advance("log", count)
        return 0, range(last - count + 1, last + 1)

    def head(self) -> tuple[int, int]:
        """A position behind everything readable now, and before all that is still to be committed."""
        if self.postgres:
            return int(self.conn.exec_driver_sql(f"SELECT {_WATERMARK}").scalar_one()), 0
        return 0, int(self.conn.execute(_HEAD).scalar_one())

    def state(self) -> str:
        """A text that is another one after every commit that put something into the log."""
        if self.postgres:
            return str(self.conn.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one())
        return str(self.head()[1])

    def readable(self, x: ColumnElement[int]) -> Sequence[ColumnElement[bool]]:
        """The conditions that keep a reader of the log below transactions which are still open."""
        if not self.postgres:
            return ()
        return (x < func.pg_snapshot_xmin(func.pg_current_snapshot()).cast(Text).cast(BigInteger),)

    def take_ids(self, table: str, count: int) -> Sequence[int]:
        """Fresh ids for `count` rows of a table, in ascending order, never given out before."""
        if self.postgres:
            found = self.conn.exec_driver_sql(
                f"SELECT nextval(pg_get_serial_sequence('{table}', 'id')) FROM generate_series(1, %s)",
                (count,),
            )
            return [int(row[0]) for row in found]
        last = self.conn.execute(_LAST_ID, {"name": table}).scalar() or 0
        return range(int(last) + 1, int(last) + count + 1)

    def _advance(self, name: str, count: int) -> int:
        return int(self.conn.execute(_ADVANCE, {"sequence": name, "count": count}).scalar_one())


class Repository:
    """Base of the repositories: they share the session of their transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session


def dumps(value: object) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def loads(text: str) -> Any:
    """The value of JSON text that we wrote."""
    return json.loads(text)
