"""Statements of the event log and of kept replies."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select, tuple_

from headrace.core.events import Event
from headrace.core.idempotency import KEEP_SECONDS, Reply
from headrace.core.positions import Position
from headrace.core.rights import Scope
from headrace.storage.projects import in_scope
from headrace.storage.schema import events, replies
from headrace.storage.session import Repository, dumps, loads


class EventRepository(Repository):
    """See `core.events.Events`."""

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
            insert(events).values(
                x=x,
                n=places[0],
                at=self.session.now(),
                actor_id=actor_id,
                kind=kind,
                project_id=project_id,
                dataset_id=dataset_id,
                subject_id=subject_id,
                data=dumps(data or {}),
            )
        )

    def after(
        self, position: Position, *, scope: Scope, limit: int, start: int | None = None, end: int | None = None
    ) -> list[Event]:
        span = [] if start is None else [events.c.at >= start]
        if end is not None:
            span.append(events.c.at <= end)
        statement = (
            select(events)
            .where(
                tuple_(events.c.x, events.c.n) > tuple_(position.x, position.n),
                in_scope(self.session, events.c.project_id, scope),
                *self.session.readable(events.c.x),
                *span,
            )
            .order_by(events.c.x, events.c.n)
            .limit(limit)
        )
        return [
            Event(
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
            for row in self.session.rows(statement)
        ]


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
