"""Statements of work. Each change names the states it may start from, so that of two at once one wins."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from headrace.core.rights import Scope
from headrace.core.work import ANSWERABLE, KEEP_EXPIRED_SECONDS, NewWork, Work, WorkState
from headrace.storage.schema import datasets, records
from headrace.storage.schema_work import ANSWERABLE_WORK, IDLE_WORK, OPEN_WORK, work
from headrace.storage.session import Repository, among

PRUNE_EVERY = 20
PRUNE_BATCH = 100
SECOND = 1_000_000


_PARTS = [("clock", InternalTraversal.dp_clauseelement)]


class _Now(ColumnElement[int]):
    """Microseconds since the epoch by the database's clock; on SQLite that is this machine's."""

    inherit_cache = True
    type = BigInteger()
    _traverse_internals = _PARTS

    def __init__(self) -> None:
        self.clock = bindparam("clock", callable_=lambda: time.time_ns() // 1000, type_=BigInteger)


@compiles(_Now)
def _on_sqlite(now: _Now, compiler: SQLCompiler, **options: Any) -> str:
    return str(compiler.process(now.clock, **options))


@compiles(_Now, "postgresql")
def _on_postgres(_: _Now, compiler: SQLCompiler, **options: Any) -> str:
    return f"floor(extract(epoch FROM clock_timestamp()) * {SECOND})::bigint"


# Built once: every annotation looks for the lease it ends (benchmark requests).
NOW = _Now()
UNEXPIRED = or_(work.c.lease_until.is_(None), work.c.lease_until > NOW)
_LATE = and_(ANSWERABLE_WORK, work.c.lease_until <= NOW)
SELECT = select(
    *(column for column in work.c if column.name != "state"),
    case((_LATE, literal_column("'expired'")), else_=work.c.state).label("state"),
)
_LIVE = SELECT.where(work.c.dataset_id == bindparam("dataset"), OPEN_WORK, UNEXPIRED)
LIVE = _LIVE.where(among(work.c.record_id, "records")).order_by(work.c.id)
LIVE_OF = _LIVE.where(work.c.person_id == bindparam("person")).order_by(work.c.id.desc())
OF_KIND = work.c.kind == bindparam("wanted")
LIVE_OF_KIND = LIVE_OF.where(OF_KIND)
INSERT = (
    insert(work)
    .values(lease_until=NOW + bindparam("micros", type_=BigInteger), state=WorkState.OFFERED.value)
    .returning(*work.c)
)
GET = SELECT.join(datasets, datasets.c.id == work.c.dataset_id).where(work.c.id == bindparam("wanted"))
GET_WITHIN = GET.where(among(datasets.c.project_id, "scope"))
_NEWEST = (case((work.c.state.in_(ANSWERABLE), 0), else_=1), work.c.id.desc())
BY_KEY = SELECT.where(work.c.dataset_id == bindparam("dataset"), work.c.key == bindparam("name")).limit(1)
KEY_OF = BY_KEY.where(or_(work.c.person_id == bindparam("person"), work.c.collective.is_(True))).order_by(*_NEWEST)
BY_KEY = BY_KEY.order_by(*_NEWEST)
PENDING = (
    select(func.count())
    .select_from(work)
    .where(
        work.c.dataset_id == bindparam("dataset"),
        work.c.person_id == bindparam("person"),
        OPEN_WORK,
        work.c.created_at > bindparam("since"),
    )
)
MOVE = update(work).where(work.c.id == bindparam("moved"), among(work.c.state, "states"), UNEXPIRED)
RENEW = (
    update(work)
    .where(work.c.id == bindparam("renewed"), OPEN_WORK, UNEXPIRED)
    .values(lease_until=NOW + bindparam("micros", type_=BigInteger))
)


class WorkRepository(Repository):
    """See `core.work.Works`."""

    def insert(self, dataset_id: int, wanted: NewWork) -> Work:
        now = self.session.now()
        row = {
            "dataset_id": dataset_id,
            "kind": wanted.kind,
            "record_id": wanted.record_id,
            "person_id": wanted.person_id,
            "micros": None if wanted.lease_seconds is None else int(wanted.lease_seconds * SECOND),
            "collective": wanted.collective,
            "key": wanted.key,
            "payload": wanted.payload,
            "created_at": now,
            "updated_at": now,
        }
        made = self._all(INSERT, row)[0]
        if made.id % PRUNE_EVERY == 0:
            self._prune()
        return made

    def get(self, work_id: int, scope: Scope) -> Work | None:
        given = {"wanted": work_id, "scope": sorted(scope or ())}
        found = self._all(GET if scope is None else GET_WITHIN, given)
        return found[0] if found else None

    def by_key(self, dataset_id: int, key: str, person_id: int | None = None) -> Work | None:
        given = {"dataset": dataset_id, "name": key, "person": person_id}
        found = self._all(BY_KEY if person_id is None else KEY_OF, given)
        return found[0] if found else None

    def move(self, moved: Work, states: Collection[WorkState], **changes: object) -> bool:
        given = {"moved": moved.id, "states": [state.value for state in states], "updated_at": self.session.now()}
        return self.session.run(MOVE, {**given, **changes}) == 1

    def renew(self, renewed: Work, lease_seconds: float) -> bool:
        return self.session.run(RENEW, {"renewed": renewed.id, "micros": int(lease_seconds * SECOND)}) == 1

    def hold(self, record_id: int, *, wait: bool = True) -> bool:
        mine = select(records.c.id).where(records.c.id == record_id)
        return self.session.first(mine.with_for_update(key_share=True, skip_locked=not wait)) is not None

    def live(self, dataset_id: int, record_ids: Sequence[int], kind: str | None = None) -> list[Work]:
        if not record_ids:
            return []
        given = {"dataset": dataset_id, "records": record_ids, "wanted": kind}
        return self._all(LIVE if kind is None else LIVE.where(OF_KIND), given)

    def live_of(self, dataset_id: int, person_id: int, kind: str | None = None) -> list[Work]:
        given = {"dataset": dataset_id, "person": person_id, "wanted": kind}
        return self._all(LIVE_OF if kind is None else LIVE_OF_KIND, given)

    def answered(self, dataset_id: int, person_id: int, record_ids: Sequence[int]) -> list[Work]:
        if not record_ids:
            return []
        mine = (self.session.among(work.c.record_id, record_ids), work.c.person_id == person_id)
        said = work.c.state.in_([WorkState.DONE, WorkState.REFUSED])
        return self._all(SELECT.where(work.c.dataset_id == dataset_id, *mine, said).order_by(work.c.id))

    def pending(self, dataset_id: int, person_id: int, since: int) -> int:
        given = {"dataset": dataset_id, "person": person_id, "since": since}
        return int(self.session.conn.execute(PENDING, given).scalar_one())

    def _prune(self) -> None:
        """Forget a few of those whose lease ended long ago; on PostgreSQL others may be at it too."""
        stale = work.c.lease_until < NOW - KEEP_EXPIRED_SECONDS * SECOND
        some = select(work.c.id).where(IDLE_WORK, stale).limit(PRUNE_BATCH).with_for_update(skip_locked=True)
        found = [row.id for row in self.session.rows(some)]
        if found:
            self.session.run(delete(work).where(self.session.among(work.c.id, found)))

    def _all(self, statement: Executable, given: Mapping[str, object] | None = None) -> list[Work]:
        rows = self.session.rows(statement, given)
        return [Work(**row._asdict() | {"state": WorkState(row.state)}) for row in rows]
