"""Deliveries: how a webhook's messages go out in order, at least once, with patience, and then without.

One job at a time delivers for a webhook. It stands behind the webhook's cursor; each attempt is settled in one
transaction with the job's lease, so a job that dies between sending and settling sends again, and loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import users
from headrace.core.events import Event
from headrace.core.jobs import Job, JobState
from headrace.core.positions import Position
from headrace.core.rights import Principal
from headrace.core.webhooks import NEEDS, Buried, DeadLetter, Outcome, Progress, Render, Webhook, just_before

if TYPE_CHECKING:
    from headrace.core.store import Tx

DELAYS = (2.0, 10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0)
"""Seconds to wait after each failed attempt at a message; after one more failure it becomes a dead letter."""

EVENTS_AT_ONCE = 64
KEEP_ATTEMPTS = 1_000
LETTERS_AT_ONCE = 100
LOOK_AGAIN_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """The message that comes next: what of which event, where that is, and where the webhook stands behind it."""

    webhook: Webhook
    event: Event
    action: str
    body: bytes
    at: Progress
    behind: Progress


class Read(NamedTuple):
    """Events up to a position of which the webhook is told nothing, and whether some were left unread."""

    webhook: Webhook
    position: Position
    more: bool


class Letter(NamedTuple):
    """A dead letter that is to be tried again, with its body; None when there is nothing to say any more."""

    letter: DeadLetter
    event: Event | None
    body: bytes | None


def begin(tx: "Tx", job: Job) -> Webhook | None:
    """The webhook for which the job may deliver; None, and the job is done, when there is nothing for it to do.

    That is so while another job, which will look again before it ends, delivers for the same webhook.
    """
    webhook = tx.webhooks.hold(int(str(job.payload["webhook_id"])))
    other = tx.jobs.get(webhook.job_id) if webhook and webhook.job_id not in (None, job.id) else None
    busy = other is not None and other.state in (JobState.QUEUED, JobState.RUNNING)
    if webhook is None or not webhook.spec.is_active or busy:
        tx.jobs.finish(job)
        return None
    if acts_for(tx, webhook) is None:
        _switch_off(tx, webhook)
        tx.jobs.finish(job)
        return None
    tx.webhooks.set_job(webhook.id, job.id)
    return webhook


def acts_for(tx: "Tx", webhook: Webhook) -> Principal | None:
    """The person for whom a webhook acts, as long as they may have it."""
    user = tx.users.get(webhook.author_id)
    if user is None:
        return None
    who = users.principal(user)
    allowed = who.is_admin if webhook.project_id is None else who.may(webhook.project_id, *NEEDS)
    return who if allowed else None


def next_due(tx: "Tx", webhook_id: int, render: Render) -> Due | Read | None:
    """The message that comes next; or how far the log has been read in vain; or None while nothing may be sent."""
    webhook = tx.webhooks.get(webhook_id, None)
    who = acts_for(tx, webhook) if webhook else None
    if webhook is None or who is None or not webhook.spec.is_active or waiting(tx, webhook) > 0:
        return None
    head = tx.records.head()
    events = tx.events.of_dataset(webhook.progress.cursor, webhook.dataset_id, EVENTS_AT_ONCE)
    part = webhook.progress.part
    for event in events:
        messages = render(tx, who, webhook, event)
        if part < len(messages):
            at = Progress(just_before(event.position), part)
            behind = Progress(event.position) if part + 1 == len(messages) else at._replace(part=part + 1)
            action, body = messages[part].action, messages[part].body()
            return Due(webhook=webhook, event=event, action=action, body=body, at=at, behind=behind)
        part = 0
    if len(events) == EVENTS_AT_ONCE:
        return Read(webhook, events[-1].position, more=True)
    return Read(webhook, max(head, webhook.progress.cursor), more=False)


def waiting(tx: "Tx", webhook: Webhook) -> float:
    """Seconds until the message that failed may be tried again; 0 when it may.

    A wait longer than any of ours comes from a clock that was set back, and counts as over.
    """
    if webhook.progress.retry_at is None:
        return 0.0
    left = (webhook.progress.retry_at - tx.now()) / 1e6
    return left if 0 < left <= max(DELAYS) else 0.0


def settle(tx: "Tx", job: Job, due: Due, outcome: Outcome, delays: Sequence[float] = DELAYS) -> None:
    """Note how an attempt ended and move on, wait, or bury the message; raises LostLease, and then nothing is kept."""
    tx.jobs.renew(job)
    webhook, number = due.webhook, due.webhook.progress.failures + 1
    if tx.webhooks.get(webhook.id, None) is None:
        return
    tx.webhooks.log(webhook.id, due.event, due.action, number, outcome)
    progress = due.behind
    if outcome.error is not None and number <= len(delays):
        progress = due.at._replace(failures=number, retry_at=tx.now() + int(delays[number - 1] * 1e6))
    if not tx.webhooks.move(webhook, progress):
        return
    if outcome.error is not None and number > len(delays):
        tx.webhooks.bury(webhook, due.event, Buried(due.at.part, due.action, number, outcome.error))


def due_letters(tx: "Tx", webhook: Webhook) -> list[DeadLetter]:
    """The dead letters that are to be tried again."""
    return tx.webhooks.dead_letters(webhook.id, LETTERS_AT_ONCE, due=True)


def opened(tx: "Tx", webhook: Webhook, letter: DeadLetter, render: Render) -> Letter:
    """A dead letter with its body, made anew."""
    event, who = tx.events.get(letter.event_id), acts_for(tx, webhook)
    if event is None or who is None:
        return Letter(letter, event, None)
    messages = render(tx, who, webhook, event)[letter.part : letter.part + 1]
    return Letter(letter, event, next((item.body() for item in messages if item.action == letter.action), None))


def settle_letter(tx: "Tx", job: Job, webhook: Webhook, tried: Letter, outcome: Outcome | None) -> None:
    """Note how trying a dead letter again ended (None: there was nothing to send); raises LostLease."""
    tx.jobs.renew(job)
    if outcome is not None and tried.event is not None:
        tx.webhooks.log(webhook.id, tried.event, tried.letter.action, tried.letter.attempts + 1, outcome)
    if outcome is None or outcome.error is None:
        tx.webhooks.drop(tried.letter.id)
    else:
        tx.webhooks.rebury(tried.letter.id, outcome.error)


def pass_over(tx: "Tx", job: Job, read: Read) -> bool:
    """Move a webhook behind events of which it is told nothing; answers whether more may follow. Raises LostLease."""
    tx.jobs.renew(job)
    tx.webhooks.move(read.webhook, Progress(read.position))
    return read.more


def end(tx: "Tx", job: Job, *, error: str | None = None) -> None:
    """End the job; when anything is left to deliver, now or later, another one will. Raises LostLease."""
    webhook = tx.webhooks.hold(int(str(job.payload["webhook_id"])))
    tx.jobs.finish(job, error=error)
    if webhook is None or not webhook.spec.is_active:
        return
    tx.webhooks.sweep(webhook.id, KEEP_ATTEMPTS)
    least = max(DELAYS) if error else LOOK_AGAIN_SECONDS
    if tx.webhooks.dead_letters(webhook.id, 1, due=True):
        tx.webhooks.wake(webhook.id, delay=least)
    elif tx.events.any_behind(webhook.progress.cursor, webhook.dataset_id):
        tx.webhooks.wake(webhook.id, delay=max(least, waiting(tx, webhook)))


def _switch_off(tx: "Tx", webhook: Webhook) -> None:
    tx.webhooks.update(webhook.id, author_id=webhook.author_id, spec=replace(webhook.spec, is_active=False))
    tx.events.add(
        "webhook.suspended",
        actor_id=None,
        project_id=webhook.project_id,
        dataset_id=webhook.dataset_id,
        subject_id=webhook.id,
    )
