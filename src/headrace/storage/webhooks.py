"""Statements of webhooks, their attempts and their dead letters."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, false, insert, or_, select, true, update

from headrace.core.events import Event
from headrace.core.jobs import Jobs
from headrace.core.positions import Position
from headrace.core.rights import Scope
from headrace.core.webhooks import Attempt, Buried, DeadLetter, Outcome, Progress, Webhook, WebhookSpec, new_secret
from headrace.storage.projects import in_scope
from headrace.storage.schema import dead_letters, webhook_attempts, webhooks
from headrace.storage.session import Repository, Session, dumps, loads

KIND = "webhook"
# Built once: every event looks for them (benchmark requests).
LISTENING = select(webhooks.c.id).where(
    or_(webhooks.c.dataset_id == bindparam("dataset"), webhooks.c.dataset_id.is_(None)), webhooks.c.is_active
)


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        id=row.id,
        project_id=row.project_id,
        dataset_id=row.dataset_id,
        author_id=row.author_id,
        spec=WebhookSpec(
            url=row.url,
            headers=loads(row.headers),
            send_payload=row.send_payload,
            send_for_all_actions=row.send_for_all_actions,
            is_active=row.is_active,
            actions=tuple(loads(row.actions)),
        ),
        secret=row.secret,
        progress=Progress(Position(row.cursor_x, row.cursor_n), row.part, row.failures, row.retry_at),
        job_id=row.job_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _spec(spec: WebhookSpec) -> dict[str, object]:
    return {
        "url": spec.url,
        "headers": dumps(dict(spec.headers)),
        "send_payload": spec.send_payload,
        "send_for_all_actions": spec.send_for_all_actions,
        "is_active": spec.is_active,
        "actions": dumps(spec.actions),
    }


def _progress(progress: Progress) -> dict[str, object]:
    return {
        "cursor_x": progress.cursor.x,
        "cursor_n": progress.cursor.n,
        "part": progress.part,
        "failures": progress.failures,
        "retry_at": progress.retry_at,
    }


def forget_of(session: Session, webhook_ids: Select[Any]) -> None:
    """Remove webhooks with all that hangs on them."""
    for table in (webhook_attempts, dead_letters):
        session.run(delete(table).where(table.c.webhook_id.in_(webhook_ids)))
    session.run(delete(webhooks).where(webhooks.c.id.in_(webhook_ids)))


class WebhookRepository(Repository):
    """See `core.webhooks.Webhooks`."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__(session)
        self._jobs = jobs
        self._told: set[int] = set()

    def insert(
        self, *, author_id: int, project_id: int | None, dataset_id: int | None, spec: WebhookSpec, cursor: Position
    ) -> Webhook:
        now = self.session.now()
        self._told.clear()
        webhook_id = self.session.insert_id(
            insert(webhooks).values(
                project_id=project_id,
                dataset_id=dataset_id,
                author_id=author_id,
                **_spec(spec),
                secret=new_secret(),
                **_progress(Progress(cursor)),
                created_at=now,
                updated_at=now,
            )
        )
        found = self.get(webhook_id, None)
        assert found is not None
        return found

    def get(self, webhook_id: int, scope: Scope) -> Webhook | None:
        return self._one(self._in(scope).where(webhooks.c.id == webhook_id))

    def hold(self, webhook_id: int) -> Webhook | None:
        return self._one(self._in(None).where(webhooks.c.id == webhook_id).with_for_update())

    def all(self, scope: Scope, dataset_id: int | None = None) -> list[Webhook]:
        mine = true() if dataset_id is None else webhooks.c.dataset_id == dataset_id
        return [_webhook(row) for row in self.session.rows(self._in(scope).where(mine).order_by(webhooks.c.id))]

    def update(self, webhook_id: int, *, author_id: int, spec: WebhookSpec) -> None:
        self._told.clear()
        self._set(webhook_id, author_id=author_id, **_spec(spec), updated_at=self.session.now())

    def set_secret(self, webhook_id: int, secret: str) -> None:
        self._set(webhook_id, secret=secret, updated_at=self.session.now())

    def delete(self, webhook_id: int) -> None:
        forget_of(self.session, select(webhooks.c.id).where(webhooks.c.id == webhook_id))

    def set_job(self, webhook_id: int, job_id: int) -> None:
        self._set(webhook_id, job_id=job_id)

    def move(self, webhook: Webhook, progress: Progress) -> bool:
        seen = webhook.progress
        unmoved = (
            webhooks.c.id == webhook.id,
            webhooks.c.cursor_x == seen.cursor.x,
            webhooks.c.cursor_n == seen.cursor.n,
            webhooks.c.part == seen.part,
        )
        return self.session.run(update(webhooks).where(*unmoved).values(**_progress(progress))) == 1

    def wake(self, webhook_id: int, *, delay: float = 0.0) -> None:
        # A wish of now must not be served by a job that waits for the next attempt.
        key = f"{KIND}:{webhook_id}" if delay else f"{KIND}:{webhook_id}:now"
        self._jobs.enqueue(KIND, {"webhook_id": webhook_id}, key=key, delay=delay)

    def wake_listeners(self, dataset_id: int) -> None:
        """Have the webhooks looked after that are told of the dataset; once in a transaction is enough."""
        if dataset_id in self._told:
            return
        self._told.add(dataset_id)
        for row in self.session.rows(LISTENING, {"dataset": dataset_id}):
            self._jobs.enqueue(KIND, {"webhook_id": row.id}, key=f"{KIND}:{row.id}")

    def log(self, webhook_id: int, event: Event, action: str, number: int, outcome: Outcome) -> None:
        self.session.run(
            insert(webhook_attempts).values(
                webhook_id=webhook_id,
                event_id=event.id,
                x=event.position.x,
                n=event.position.n,
                action=action,
                number=number,
                at=self.session.now(),
                **outcome._asdict(),
            )
        )

    def attempts(self, webhook_id: int, limit: int) -> list[Attempt]:
        mine = select(webhook_attempts).where(webhook_attempts.c.webhook_id == webhook_id)
        rows = self.session.rows(mine.order_by(webhook_attempts.c.id.desc()).limit(limit))
        return [
            Attempt(
                row.id,
                row.event_id,
                Position(row.x, row.n),
                row.action,
                row.number,
                row.at,
                row.status,
                row.error,
                row.millis,
            )
            for row in rows
        ]

    def sweep(self, webhook_id: int, keep: int) -> None:
        mine = webhook_attempts.c.webhook_id == webhook_id
        newest = select(webhook_attempts.c.id).where(mine).order_by(webhook_attempts.c.id.desc())
        row = self.session.first(newest.offset(keep).limit(1))
        if row:
            self.session.run(delete(webhook_attempts).where(mine, webhook_attempts.c.id <= row.id))

    def bury(self, webhook: Webhook, event: Event, letter: Buried) -> None:
        self.session.run(
            insert(dead_letters).values(
                webhook_id=webhook.id,
                event_id=event.id,
                x=event.position.x,
                n=event.position.n,
                **letter._asdict(),
                created_at=self.session.now(),
                due=False,
            )
        )

    def dead_letters(self, webhook_id: int, limit: int, *, due: bool = False) -> list[DeadLetter]:
        mine = select(dead_letters).where(dead_letters.c.webhook_id == webhook_id)
        if due:
            mine = mine.where(dead_letters.c.due)
        rows = self.session.rows(mine.order_by(dead_letters.c.id).limit(limit))
        return [
            DeadLetter(
                row.id,
                row.event_id,
                Position(row.x, row.n),
                row.part,
                row.action,
                row.attempts,
                row.error,
                row.created_at,
                row.due,
            )
            for row in rows
        ]

    def revive(self, webhook_id: int, letter_ids: Sequence[int] | None) -> int:
        mine = update(dead_letters).where(dead_letters.c.webhook_id == webhook_id)
        if letter_ids is not None:
            mine = mine.where(self.session.among(dead_letters.c.id, letter_ids) if letter_ids else false())
        return self.session.run(mine.values(due=True))

    def rebury(self, letter_id: int, error: str) -> None:
        mine = update(dead_letters).where(dead_letters.c.id == letter_id)
        self.session.run(mine.values(due=False, error=error, attempts=dead_letters.c.attempts + 1))

    def drop(self, letter_id: int) -> None:
        self.session.run(delete(dead_letters).where(dead_letters.c.id == letter_id))

    def _in(self, scope: Scope) -> Select[Any]:
        return select(webhooks).where(in_scope(self.session, webhooks.c.project_id, scope))

    def _one(self, statement: Select[Any]) -> Webhook | None:
        row = self.session.first(statement)
        return _webhook(row) if row else None

    def _set(self, webhook_id: int, **changes: object) -> None:
        self.session.run(update(webhooks).where(webhooks.c.id == webhook_id).values(**changes))
