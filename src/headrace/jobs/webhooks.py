"""The webhook job: posts what is behind a webhook's cursor, message by message, each signed."""

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core import deliveries
from headrace.core.deliveries import DELAYS, Due
from headrace.core.jobs import Job
from headrace.core.webhooks import DeadLetter, Outcome, Render, Webhook
from headrace.outgoing import CouldNotFetch

if TYPE_CHECKING:
    from headrace.jobs.worker import JobContext

TURN_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How webhooks are delivered: who words the events, and how long to wait after each failure, in seconds."""

    render: Render
    delays: Sequence[float] = DELAYS

    def run(self, job: Job, ctx: "JobContext") -> None:
        """Deliver what a webhook is to be told, in order, until a message fails, nothing is left or the turn is over.

        Whatever is left then is another job's. Raises LostLease when another worker has the job.
        """
        webhook = ctx.store.write(lambda tx: deliveries.begin(tx, job))
        if webhook is None:
            return
        self._try_letters(job, ctx, webhook)
        over = time.monotonic() + TURN_SECONDS
        while self._step(job, ctx, webhook.id) and time.monotonic() < over:
            pass
        ctx.store.write(lambda tx: deliveries.end(tx, job))

    def failed(self, job: Job, ctx: "JobContext", error: str) -> None:
        """End a job that the worker gives up, and have the webhook looked after again later; raises LostLease."""
        ctx.store.write(lambda tx: deliveries.end(tx, job, error=error))

    def _step(self, job: Job, ctx: "JobContext", webhook_id: int) -> bool:
        """Deal with the next message; answers whether more may follow."""
        found = ctx.store.read(lambda tx: deliveries.next_due(tx, webhook_id, self.render))
        if isinstance(found, Due):
            outcome = send(ctx, found.webhook, f"msg_{found.event.id}_{found.at.part}", found.body)
            ctx.store.write(lambda tx: deliveries.settle(tx, job, found, outcome, self.delays))
            return outcome.error is None or found.webhook.progress.failures >= len(self.delays)
        if found is None:
            return False
        return ctx.store.write(lambda tx: deliveries.pass_over(tx, job, found))

    def _try_letters(self, job: Job, ctx: "JobContext", webhook: Webhook) -> None:
        """Try dead letters again, each once."""
        for letter in ctx.store.read(lambda tx: deliveries.due_letters(tx, webhook)):
            self._try_letter(job, ctx, webhook, letter)

    def _try_letter(self, job: Job, ctx: "JobContext", webhook: Webhook, letter: DeadLetter) -> None:
        found = ctx.store.read(lambda tx: deliveries.opened(tx, webhook, letter, self.render))
        sent = None if found.body is None else send(ctx, webhook, f"msg_{letter.event_id}_{letter.part}", found.body)
        ctx.store.write(lambda tx: deliveries.settle_letter(tx, job, webhook, found, sent))


def send(ctx: "JobContext", webhook: Webhook, message_id: str, body: bytes) -> Outcome:
    """Post one message; anything but a 2xx within the time allowed is an error."""
    headers = dict(webhook.spec.headers) | signed(webhook.secret, message_id, int(time.time()), body)
    began = time.monotonic()
    status, error = None, None
    try:
        status = ctx.outgoing.post(webhook.spec.url, body, headers)
    except CouldNotFetch as failure:
        error = failure.message
    if status is not None and not 200 <= status < 300:
        error = f"answered with {status}"
    return Outcome(status, error, round((time.monotonic() - began) * 1000))


def signed(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that say what a message is and prove whose; `timestamp` is in seconds since the epoch."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    stamped = f"{timestamp}.".encode() + body
    standard = hmac.digest(key, f"{message_id}.".encode() + stamped, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "X-Headrace-Signature": "sha256=" + hmac.digest(key, stamped, hashlib.sha256).hex(),
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(standard).decode(),
    }
