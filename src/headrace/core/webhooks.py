"""Webhooks: who is told of which events, at which address; each is a durable cursor over the log of events.

A webhook acts for the person who made or last changed it: once they lose the right to it, it is switched off.
"""

import base64
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import datasets
from headrace.core.errors import Invalid, NotFound
from headrace.core.events import Event
from headrace.core.positions import Position, from_token, to_token
from headrace.core.rights import Permission, Principal, Scope
from headrace.core.times import parse_timestamp

if TYPE_CHECKING:
    from headrace.core.store import Tx

NEEDS = (Permission.DATASETS_ADMIN, Permission.VIEW_SOURCES)
MAX_WEBHOOKS = 100
MAX_HEADERS = 50
MAX_HEADER = 4096
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
OWN_HEADERS = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "keep-alive",
        "accept-encoding",
        "user-agent",
        "x-headrace-signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
)
WHOLE_LOG = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookSpec:
    """What people set. `actions` are named in the dialect's words and mean nothing when all are sent."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    send_payload: bool = True
    send_for_all_actions: bool = True
    is_active: bool = True
    actions: tuple[str, ...] = ()

    def wants(self, action: str) -> bool:
        """True when messages of this action are sent."""
        return self.send_for_all_actions or action in self.actions


class Progress(NamedTuple):
    """Where a webhook stands: behind `cursor`, and `part` messages of the event that follows have been dealt with.

    `failures` counts the attempts at the message that is due; the next is not made before `retry_at`.
    """

    cursor: Position
    part: int = 0
    failures: int = 0
    retry_at: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """One webhook of a dataset, or of the whole server when `dataset_id` is None; `job_id` delivered for it last."""

    id: int
    project_id: int | None
    dataset_id: int | None
    author_id: int
    spec: WebhookSpec
    secret: str
    progress: Progress
    job_id: int | None
    created_at: int
    updated_at: int


class Message(NamedTuple):
    """One of the things sent of an event: the action in the dialect's words, and what makes the body."""

    action: str
    body: Callable[[], bytes]


Render = Callable[["Tx", Principal, Webhook, Event], Sequence[Message]]
"""How a dialect words an event to a webhook, as its author sees the present state; always in the same order.

The bodies are made in the same transaction, of those messages alone that are sent.
"""


class Outcome(NamedTuple):
    """How an attempt ended: the status if there was an answer, what went wrong if anything did."""

    status: int | None
    error: str | None
    millis: int


class Attempt(NamedTuple):
    """One attempt to deliver a message, the `number`-th at that message."""

    id: int
    event_id: int
    position: Position
    action: str
    number: int
    at: int
    status: int | None
    error: str | None
    millis: int


class Buried(NamedTuple):
    """A message about to be given up: which of its event's it is, and how often and how it failed."""

    part: int
    action: str
    attempts: int
    error: str


class DeadLetter(NamedTuple):
    """The `part`-th message of an event, which was given up; `due` when it is to be tried once more."""

    id: int
    event_id: int
    position: Position
    part: int
    action: str
    attempts: int
    error: str
    created_at: int
    due: bool


class Webhooks(Protocol):
    """Storage of webhooks, of their attempts and of their dead letters."""

    def insert(
        self, *, author_id: int, project_id: int | None, dataset_id: int | None, spec: WebhookSpec, cursor: Position
    ) -> Webhook:
        """Store a new webhook with a new secret."""

    def get(self, webhook_id: int, scope: Scope) -> Webhook | None:
        """One webhook, when it is in scope; those of the whole server are in no scope but None."""

    def hold(self, webhook_id: int) -> Webhook | None:
        """One webhook, which nobody else holds until this transaction ends."""

    def all(self, scope: Scope, dataset_id: int | None = None) -> list[Webhook]:
        """The webhooks in scope by id, of one dataset or of all."""

    def update(self, webhook_id: int, *, author_id: int, spec: WebhookSpec) -> None:
        """Replace what people set."""

    def set_secret(self, webhook_id: int, secret: str) -> None:
        """Replace the secret."""

    def delete(self, webhook_id: int) -> None:
        """Remove the webhook with its attempts and dead letters."""

    def set_job(self, webhook_id: int, job_id: int) -> None:
        """Say which job delivers."""

    def move(self, webhook: Webhook, progress: Progress) -> bool:
        """Set how far the webhook is, unless it has been moved since it was read; answers whether it was set."""

    def wake(self, webhook_id: int, *, delay: float = 0.0) -> None:
        """Have a job look after the webhook; one that waits already serves."""

    def log(self, webhook_id: int, event: Event, action: str, number: int, outcome: Outcome) -> None:
        """Note an attempt."""

    def attempts(self, webhook_id: int, limit: int) -> list[Attempt]:
        """The latest attempts, newest first."""

    def sweep(self, webhook_id: int, keep: int) -> None:
        """Forget all attempts but the latest."""

    def bury(self, webhook: Webhook, event: Event, letter: Buried) -> None:
        """Store a message that is given up."""

    def dead_letters(self, webhook_id: int, limit: int, *, due: bool = False) -> list[DeadLetter]:
        """The dead letters by id, all or only those to be tried again."""

    def revive(self, webhook_id: int, letter_ids: Sequence[int] | None) -> int:
        """Mark these dead letters (None: all) to be tried again; answers how many there are."""

    def rebury(self, letter_id: int, error: str) -> None:
        """Note that trying again failed."""

    def drop(self, letter_id: int) -> None:
        """Remove a dead letter."""


def new_secret() -> str:
    """A fresh secret of 256 bits, as Standard Webhooks writes one."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def permit(tx: "Tx", who: Principal, dataset_id: int | None) -> int | None:
    """The project of the dataset of which the caller may have webhooks; of the whole server (None) an admin may.

    Raises NotFound or Forbidden.
    """
    if dataset_id is None:
        who.require_admin()
        return None
    return datasets.load(tx, who, dataset_id, *NEEDS).project_id


def create(tx: "Tx", who: Principal, *, dataset_id: int | None, spec: WebhookSpec) -> Webhook:
    """Store a webhook that is told of what happens from now on."""
    project_id = permit(tx, who, dataset_id)
    _check(spec)
    if len([known for known in tx.webhooks.all(None) if known.dataset_id == dataset_id]) >= MAX_WEBHOOKS:
        raise Invalid(f"there are {MAX_WEBHOOKS} webhooks already", fields={"webhooks": MAX_WEBHOOKS})
    webhook = tx.webhooks.insert(
        author_id=who.user_id,
        project_id=project_id,
        dataset_id=dataset_id,
        spec=spec,
        cursor=tx.records.head(),
    )
    _event(tx, who, webhook, "webhook.created")
    return webhook


def load(tx: "Tx", who: Principal, webhook_id: int) -> Webhook:
    """The webhook as far as the caller may know of it; raises NotFound, or Forbidden without the rights to it."""
    webhook = tx.webhooks.get(webhook_id, who.scope)
    if webhook is None:
        raise NotFound("there is no such webhook", fields={"webhook": webhook_id})
    if webhook.project_id is not None:
        who.require(webhook.project_id, *NEEDS)
    return webhook


def list_webhooks(tx: "Tx", who: Principal, dataset_id: int | None = None) -> list[Webhook]:
    """The webhooks that the caller may change, of one dataset or of all."""
    return tx.webhooks.all(who.scope_with(*NEEDS), dataset_id)


def update(tx: "Tx", who: Principal, webhook_id: int, changes: Mapping[str, object]) -> Webhook:
    """Change the fields of the spec that are named; the caller becomes the one for whom the webhook acts."""
    webhook = load(tx, who, webhook_id)
    spec = replace(webhook.spec, **changes)  # type: ignore[arg-type]
    _check(spec)
    tx.webhooks.update(webhook.id, author_id=who.user_id, spec=spec)
    tx.webhooks.move(webhook, webhook.progress._replace(retry_at=None))
    tx.webhooks.wake(webhook.id)
    _event(tx, who, webhook, "webhook.updated")
    return load(tx, who, webhook_id)


def renew_secret(tx: "Tx", who: Principal, webhook_id: int) -> str:
    """A new secret for the webhook; the old one signs nothing any more."""
    webhook = load(tx, who, webhook_id)
    secret = new_secret()
    tx.webhooks.set_secret(webhook.id, secret)
    _event(tx, who, webhook, "webhook.updated")
    return secret


def delete(tx: "Tx", who: Principal, webhook_id: int) -> None:
    """Delete a webhook."""
    webhook = load(tx, who, webhook_id)
    tx.webhooks.delete(webhook.id)
    _event(tx, who, webhook, "webhook.deleted")


def replay(tx: "Tx", who: Principal, webhook_id: int, start: str) -> Position:
    """Send again all events from a time (ISO 8601) or from a cursor of the attempt log on; answers where it starts."""
    webhook = load(tx, who, webhook_id)
    position = min(_start(tx, start), tx.records.head())
    tx.webhooks.move(webhook, Progress(position))
    tx.webhooks.wake(webhook.id)
    _event(tx, who, webhook, "webhook.replayed")
    return position


def replay_dead_letters(tx: "Tx", who: Principal, webhook_id: int, letter_ids: Sequence[int] | None) -> int:
    """Try dead letters (None: all) once more; answers how many."""
    webhook = load(tx, who, webhook_id)
    count = tx.webhooks.revive(webhook.id, letter_ids)
    tx.webhooks.wake(webhook.id)
    return count


def cursor_token(tx: "Tx", position: Position) -> str:
    """A position of the log as text for `replay`."""
    return to_token(position, epoch=tx.epoch, owner=WHOLE_LOG)


def just_before(position: Position) -> Position:
    """Where a cursor stands for which the event at this position comes next."""
    return Position(position.x, position.n - 1)


def _start(tx: "Tx", start: str) -> Position:
    """The cursor for which the first event of a time, or the event of a token, comes next; raises Invalid."""
    try:
        at = parse_timestamp(start)
    except Invalid:
        return just_before(from_token(start, epoch=tx.epoch, owner=WHOLE_LOG, field="from"))
    first = tx.events.first_since(at)
    return just_before(first) if first else tx.records.head()


def _check(spec: WebhookSpec) -> None:
    """Raise Invalid for headers that cannot be sent or are not the webhook's to set."""
    if len(spec.headers) > MAX_HEADERS:
        raise Invalid(f"headers holds more than {MAX_HEADERS} entries", fields={"headers": len(spec.headers)})
    for name, value in spec.headers.items():
        if not HEADER_NAME.fullmatch(name) or name.lower() in OWN_HEADERS:
            raise Invalid(f"'{name[:80]}' is not a header that can be set", fields={"headers": name[:80]})
        if len(value) > MAX_HEADER or value != value.strip() or not HEADER_VALUE.fullmatch(value):
            raise Invalid(f"the value of the header '{name}' cannot be sent", fields={"headers": name})


def _event(tx: "Tx", who: Principal, webhook: Webhook, kind: str) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=webhook.project_id,
        dataset_id=webhook.dataset_id,
        subject_id=webhook.id,
    )
