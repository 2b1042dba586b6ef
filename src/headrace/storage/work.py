"""Statements of work. Each change names the states it may start from, so that of two at once one wins."""

import time
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, delete, func, insert, literal, or_, select, update
from sqlalchemy.sql import Executable

from headrace.core.rights import Scope
from headrace.core.work import ANSWERABLE, KEEP_EXPIRED_SECONDS, NewWork, Work, WorkState
from headrace.storage.projects import in_scope
from headrace.storage.schema import datasets, records
from headrace.storage.schema_work import IDLE_WORK, OPEN_WORK, work
from headrace.storage.session import Repository

PRUNE_EVERY = 20
PRUNE_BATCH = 100
SECOND = 1_000_000


class WorkRepository(Repository):
    """See `core.work.Works`."""

    def insert(self, dataset_id: int, wanted: NewWork) -> Work:
        now = self.session.now()
        statement = insert(work).values(
            dataset_id=dataset_id,
            kind=wanted.kind,
            record_id=wanted.record_id,
            person_id=wanted.person_id,
            state=WorkState.OFFERED,
            lease_until=None if wanted.lease_seconds is None else self._lease(wanted.lease_seconds),
            collective=wanted.collective,
            key=wanted.key,
            payload=wanted.payload,
            created_at=now,
            updated_at=now,
        )
        made = self._all(statement.returning(*work.c))[0]
        if made.id % PRUNE_EVERY == 0:
            self._prune()
        return made

    def get(self, work_id: int, scope: Scope) -> Work | None:
        statement = self._select().join(datasets, datasets.c.id == work.c.dataset_id)
        mine = in_scope(self.session, datasets.c.project_id, scope)
        found = self._all(statement.where(work.c.id == work_id, mine))
        return found[0] if found else None

    def by_key(self, dataset_id: int, key: str, person_id: int | None = None) -> Work | None:
        statement = self._select().where(work.c.dataset_id == dataset_id, work.c.key == key)
        if person_id is not None:
            statement = statement.where(or_(work.c.person_id == person_id, work.c.collective.is_(True)))
        answerable = case((work.c.state.in_(ANSWERABLE), 0), else_=1)
        found = self._all(statement.order_by(answerable, work.c.id.desc()).limit(1))
        return found[0] if found else None

    def move(self, moved: Work, states: Collection[WorkState], **changes: object) -> bool:
        mine = (work.c.id == moved.id, work.c.state.in_(states), self._unexpired())
        return self.session.run(update(work).where(*mine).values(**changes, updated_at=self.session.now())) == 1

    def renew(self, renewed: Work, lease_seconds: float) -> bool:
        mine = (work.c.id == renewed.id, OPEN_WORK, self._unexpired())
        return self.session.run(update(work).where(*mine).values(lease_until=self._lease(lease_seconds))) == 1

    def hold(self, record_id: int, *, wait: bool = True) -> bool:
        mine = select(records.c.id).where(records.c.id == record_id)
        return self.session.first(mine.with_for_update(key_share=True, skip_locked=not wait)) is not None

    def live(self, dataset_id: int, record_ids: Sequence[int], kind: str | None = None) -> list[Work]:
        if not record_ids:
            return []
        mine = self.session.among(work.c.record_id, record_ids)
        return self._all(self._live(dataset_id, kind).where(mine).order_by(work.c.id))

    def live_of(self, dataset_id: int, person_id: int, kind: str | None = None) -> list[Work]:
        return self._all(self._live(dataset_id, kind).where(work.c.person_id == person_id).order_by(work.c.id.desc()))

    def answered(self, dataset_id: int, person_id: int, record_ids: Sequence[int]) -> list[Work]:
        if not record_ids:
            return []
        mine = (self.session.among(work.c.record_id, record_ids), work.c.person_id == person_id)
        said = work.c.state.in_([WorkState.DONE, WorkState.REFUSED])
        return self._all(self._select().where(work.c.dataset_id == dataset_id, *mine, said).order_by(work.c.id))

    def pending(self, dataset_id: int, person_id: int, since: int) -> int:
        mine = (work.c.dataset_id == dataset_id, work.c.person_id == person_id, OPEN_WORK, work.c.created_at > since)
        return int(self.session.conn.execute(select(func.count()).select_from(work).where(*mine)).scalar_one())

    def _prune(self) -> None:
        """Forget a few of those whose lease ended long ago; on PostgreSQL others may be at it too."""
        stale = work.c.lease_until < self._now() - KEEP_EXPIRED_SECONDS * SECOND
        some = select(work.c.id).where(IDLE_WORK, stale).limit(PRUNE_BATCH).with_for_update(skip_locked=True)
        found = [row.id for row in self.session.rows(some)]
        if found:
            self.session.run(delete(work).where(self.session.among(work.c.id, found)))

    def _select(self) -> Select[Any]:
        late = and_(work.c.state.in_(ANSWERABLE), work.c.lease_until <= self._now())
        others = [column for column in work.c if column.name != "state"]
        return select(*others, case((late, WorkState.EXPIRED), else_=work.c.state).label("state"))

    def _live(self, dataset_id: int, kind: str | None) -> Select[Any]:
        statement = self._select().where(work.c.dataset_id == dataset_id, OPEN_WORK, self._unexpired())
        return statement if kind is None else statement.where(work.c.kind == kind)

    def _unexpired(self) -> ColumnElement[bool]:
        return or_(work.c.lease_until.is_(None), work.c.lease_until > self._now())

    def _lease(self, seconds: float) -> ColumnElement[int]:
        return self._now() + int(seconds * SECOND)

    def _now(self) -> ColumnElement[int]:
        """Microseconds since the epoch by the database's clock."""
        if self.session.postgres:
            return func.floor(func.extract("epoch", func.clock_timestamp()) * SECOND).cast(BigInteger)
        return literal(time.time_ns() // 1000, BigInteger)

    def _all(self, statement: Executable) -> list[Work]:
        return [Work(**row._asdict() | {"state": WorkState(row.state)}) for row in self.session.rows(statement)]
