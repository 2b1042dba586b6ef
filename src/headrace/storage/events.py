"""Statements of the event log and of kept replies."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, or_, select, tuple_

from headrace.core.events import Event, Wanted
from headrace.core.idempotency import KEEP_SECONDS, Reply
from headrace.core.positions import Position
from headrace.core.rights import Scope
from headrace.storage.projects import in_scope
from headrace.storage.schema import events, replies
from headrace.storage.session import Repository, Session, dumps, loads


def _event(row: Row[Any]) -> Event:
    return Event(
        id=row.id,
        position=Position(row.x, row.n),
        at=row.at,
        actor_id=row.actor_id,
        kind=row.kind,
        project_id=row.project_id,
        dataset_id=row.dataset_id,
        subject_id=row.subject_id,
        data=loads(row.data),
    )


PEOPLE = ("user.", "token.")
# Built once: every change is told (benchmark requests).
INSERT = insert(events)


def _behind(position: Position) -> ColumnElement[bool]:
    return tuple_(events.c.x, events.c.n) > tuple_(position.x, position.n)


def _of_kind(kind: str) -> ColumnElement[bool]:
    return events.c.kind == kind if "." in kind else events.c.kind.startswith(f"{kind}.", autoescape=True)


def _of(dataset_id: int | None) -> ColumnElement[bool]:
    return events.c.dataset_id.is_not(None) if dataset_id is None else events.c.dataset_id == dataset_id


class EventRepository(Repository):
    """See `core.events.Events`. `told` is called with the dataset of every event that has one."""

    def __init__(self, session: Session, told: Callable[[int], None]) -> None:
        super().__init__(session)
        self._told = told

    def add(
        self,
        kind: str,
        *,
        actor_id: int | None,
        project_id: int | None = None,
        dataset_id: int | None = None,
        subject_id: int | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        x, places = self.session.take_positions(1)
        self.session.run(
            INSERT,
            {
                "x": x,
                "n": places[0],
                "at": self.session.now(),
                "actor_id": actor_id,
                "kind": kind,
                "project_id": project_id,
                "dataset_id": dataset_id,
                "subject_id": subject_id,
                "data": dumps(data or {}),
            },
        )
        if dataset_id is not None:
            self._told(dataset_id)

    def after(
        self, position: Position, *, scope: Scope, limit: int, start: int | None = None, end: int | None = None
    ) -> list[Event]:
        span = [] if start is None else [events.c.at >= start]
        if end is not None:
            span.append(events.c.at <= end)
        statement = (
            select(events)
            .where(
                _behind(position),
                in_scope(self.session, events.c.project_id, scope),
                *self.session.readable(events.c.x),
                *span,
            )
            .order_by(events.c.x, events.c.n)
            .limit(limit)
        )
        return [_event(row) for row in self.session.rows(statement)]

    def get(self, event_id: int) -> Event | None:
        row = self.session.first(select(events).where(events.c.id == event_id))
        return _event(row) if row else None

    def of_dataset(self, position: Position, dataset_id: int | None, limit: int) -> list[Event]:
        mine = (_behind(position), _of(dataset_id), *self.session.readable(events.c.x))
        statement = select(events).where(*mine).order_by(events.c.x, events.c.n).limit(limit)
        return [_event(row) for row in self.session.rows(statement)]

    def feed(self, wanted: Wanted, scanned: int) -> tuple[list[Event], Position, bool]:
        order = (events.c.x, events.c.n)
        ahead = select(*order).where(_behind(wanted.position), *self.session.readable(events.c.x))
        window = ahead.order_by(*order).limit(scanned).subquery()
        last = select(window, func.count().over().label("size")).order_by(window.c.x.desc(), window.c.n.desc()).limit(1)
        end = self.session.first(last)
        if end is None:
            return [], wanted.position, True
        reached = Position(end.x, end.n)
        about_people = or_(*(events.c.kind.startswith(prefix) for prefix in PEOPLE))
        conditions = [
            _behind(wanted.position),
            tuple_(*order) <= tuple_(*reached),
            or_(
                and_(about_people, in_scope(self.session, events.c.project_id, wanted.people)),
                and_(~about_people, in_scope(self.session, events.c.project_id, wanted.shown)),
            ),
        ]
        if wanted.dataset_id is not None:
            conditions.append(events.c.dataset_id == wanted.dataset_id)
        if wanted.kinds:
            conditions.append(or_(*(_of_kind(kind) for kind in wanted.kinds)))
        statement = select(events).where(*conditions).order_by(*order).limit(wanted.limit)
        return [_event(row) for row in self.session.rows(statement)], reached, end.size < scanned

    def any_behind(self, position: Position, dataset_id: int | None) -> bool:
        return self.session.first(select(events.c.id).where(_behind(position), _of(dataset_id)).limit(1)) is not None

    def first_since(self, at: int) -> Position | None:
        since = select(events.c.x, events.c.n).where(events.c.at >= at).order_by(events.c.x, events.c.n).limit(1)
        row = self.session.first(since)
        return Position(row.x, row.n) if row else None


class ReplyRepository(Repository):
    """See `core.idempotency.Replies`."""

    def find(self, user_id: int, key: str) -> tuple[bytes, Reply] | None:
        row = self.session.first(select(replies).where(replies.c.user_id == user_id, replies.c.key == key))
        return (bytes(row.digest), Reply(row.status, bytes(row.body))) if row else None

    def add(self, user_id: int, key: str, digest: bytes, reply: Reply) -> None:
        now = self.session.now()
        self.session.run(delete(replies).where(replies.c.created_at < now - KEEP_SECONDS * 1_000_000))
        self.session.run(
            insert(replies).values(
                user_id=user_id, key=key, digest=digest, status=reply.status, body=reply.body, created_at=now
            )
        )
