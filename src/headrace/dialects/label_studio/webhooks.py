"""Webhooks: who is told what; beyond Label Studio also attempts, dead letters, replay and a secret that signs."""

import asyncio

from msgspec import UNSET
from starlette.responses import Response

from headrace.core import webhooks
from headrace.core.errors import NotFound
from headrace.core.idempotency import Reply
from headrace.core.store import Tx
from headrace.core.times import format_timestamp
from headrace.core.webhooks import Attempt, DeadLetter, Webhook, WebhookSpec
from headrace.dialects.kit import Call, json_answer, json_reply
from headrace.dialects.label_studio import wire
from headrace.dialects.label_studio.boundary import dialect, flag, invalid, json_body
from headrace.dialects.label_studio.translate import Json
from headrace.dialects.label_studio.webhook_messages import ACTIONS

STEM = "/api/webhooks"
ONE = STEM + "/{webhook}"
SHOWN = 100
SHOWN_MOST = 1_000
FLAGS = ("send_payload", "send_for_all_actions", "is_active")


def webhook_json(webhook: Webhook) -> Json:
    """A webhook in answers; its actions are empty when all are sent."""
    spec = webhook.spec
    return {
        "id": webhook.id,
        "organization": 1,
        "project": webhook.dataset_id,
        "url": spec.url,
        "send_payload": spec.send_payload,
        "send_for_all_actions": spec.send_for_all_actions,
        "headers": dict(spec.headers),
        "is_active": spec.is_active,
        "actions": [] if spec.send_for_all_actions else list(spec.actions),
        "created_at": format_timestamp(webhook.created_at),
        "updated_at": format_timestamp(webhook.updated_at),
    }


def _changes(body: wire.Webhook, *, of_project: bool) -> dict[str, object]:
    """What a request says of a webhook, in the domain's names; raises Invalid for actions that cannot be."""
    changes: dict[str, object] = {name: getattr(body, name) for name in FLAGS if getattr(body, name) is not UNSET}
    if body.url is not UNSET:
        changes["url"] = body.url
    if body.headers is not UNSET:
        changes["headers"] = body.headers or {}
    if body.actions is not UNSET:
        changes["actions"] = tuple(dict.fromkeys(_checked(body.actions, of_project=of_project)))
    return changes


def _checked(actions: list[str], *, of_project: bool) -> list[str]:
    for action in actions:
        if action not in ACTIONS:
            raise invalid("actions", f'"{action[:80]}" is not a valid choice.')
        if of_project and ACTIONS[action].organization_only:
            raise invalid("actions", "Project webhook can't contain organization-only action.")
    return actions


@dialect.route("POST", STEM)
async def create_webhook(call: Call) -> Response:
    """Create a webhook of a project, or of the whole server without one; only this answer shows its secret."""
    body = await json_body(call, wire.Webhook)
    project = None if body.project is UNSET else body.project
    if body.url is UNSET:
        raise invalid("url", "This field is required.")
    changes = _changes(body, of_project=project is not None)
    try:
        await call.read(lambda tx: webhooks.permit(tx, call.who, project))
    except NotFound as error:
        raise invalid("project", f'Invalid pk "{project}" - object does not exist.') from error
    await asyncio.to_thread(call.services.outgoing.check, body.url)

    def create(tx: Tx) -> Reply:
        made = webhooks.create(tx, call.who, dataset_id=project, spec=WebhookSpec(**changes))  # type: ignore[arg-type]
        return json_reply({**webhook_json(made), "secret": made.secret}, 201)

    return await call.write_once(await call.body(), create)


@dialect.route("GET", STEM)
async def list_webhooks(call: Call) -> Response:
    """The webhooks that the caller may change, of one project or of all."""
    text = call.query("project")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise invalid("project", "Select a valid choice. That choice is not one of the available choices.")
    project = None if text is None else int(text)
    found = await call.read(lambda tx: webhooks.list_webhooks(tx, call.who, project))
    return json_answer([webhook_json(webhook) for webhook in found])


@dialect.route("GET", STEM + "/info")
async def list_actions(call: Call) -> Response:
    """The actions there are."""
    wanted = None if call.query("organization-only") is None else flag(call, "organization-only", False)
    return json_answer(
        {
            name: {
                "name": action.title,
                "description": "",
                "key": action.key,
                "organization-only": action.organization_only,
            }
            for name, action in ACTIONS.items()
            if wanted in (None, action.organization_only)
        }
    )


@dialect.route("GET", ONE)
async def get_webhook(call: Call) -> Response:
    """One webhook."""
    number = call.number("webhook")
    return json_answer(webhook_json(await call.read(lambda tx: webhooks.load(tx, call.who, number))))


@dialect.route("PATCH", ONE)
async def update_webhook(call: Call) -> Response:
    """Change what is named; the project stays."""
    number, body = call.number("webhook"), await json_body(call, wire.Webhook)
    known = await call.read(lambda tx: webhooks.load(tx, call.who, number))
    changes = _changes(body, of_project=known.dataset_id is not None)
    if body.url is not UNSET:
        await asyncio.to_thread(call.services.outgoing.check, body.url)
    return json_answer(webhook_json(await call.write(lambda tx: webhooks.update(tx, call.who, number, changes))))


@dialect.route("DELETE", ONE)
async def delete_webhook(call: Call) -> Response:
    """Delete a webhook with its attempts and dead letters."""
    number = call.number("webhook")
    await call.write(lambda tx: webhooks.delete(tx, call.who, number))
    return Response(status_code=204)


@dialect.route("POST", ONE + "/secret")
async def renew_secret(call: Call) -> Response:
    """Make a new secret; only this answer shows it."""
    number = call.number("webhook")
    return json_answer({"secret": await call.write(lambda tx: webhooks.renew_secret(tx, call.who, number))})


@dialect.route("GET", ONE + "/attempts")
async def list_attempts(call: Call) -> Response:
    """The latest attempts to deliver, newest first, at most `limit`."""
    number, limit = call.number("webhook"), call.count("limit", SHOWN, most=SHOWN_MOST)

    def read(tx: Tx) -> list[Json]:
        known = webhooks.load(tx, call.who, number)
        return [_attempt_json(tx, item) for item in tx.webhooks.attempts(known.id, limit)]

    return json_answer(await call.read(read))


@dialect.route("GET", ONE + "/dead-letters")
async def list_dead_letters(call: Call) -> Response:
    """The messages that were given up, oldest first, at most `limit`."""
    number, limit = call.number("webhook"), call.count("limit", SHOWN, most=SHOWN_MOST)

    def read(tx: Tx) -> list[Json]:
        known = webhooks.load(tx, call.who, number)
        return [_letter_json(tx, item) for item in tx.webhooks.dead_letters(known.id, limit)]

    return json_answer(await call.read(read))


@dialect.route("POST", ONE + "/dead-letters/replay")
async def replay_dead_letters(call: Call) -> Response:
    """Try dead letters once more, those with the `ids` given or all; one that fails again stays."""
    number = call.number("webhook")
    wanted = (await json_body(call, wire.Letters)).ids if await call.body() else None
    count = await call.write(lambda tx: webhooks.replay_dead_letters(tx, call.who, number, wanted))
    return json_answer({"count": count}, 202)


@dialect.route("POST", ONE + "/replay")
async def replay(call: Call) -> Response:
    """Send everything again `from` a time or a cursor of the attempt log on."""
    number, body = call.number("webhook"), await json_body(call, wire.Replay)

    def start(tx: Tx) -> Json:
        return {"cursor": webhooks.cursor_token(tx, webhooks.replay(tx, call.who, number, body.start))}

    return json_answer(await call.write(start), 202)


def _attempt_json(tx: Tx, attempt: Attempt) -> Json:
    return {
        "id": attempt.id,
        "event": attempt.event_id,
        "cursor": webhooks.cursor_token(tx, attempt.position),
        "action": attempt.action,
        "attempt": attempt.number,
        "created_at": format_timestamp(attempt.at),
        "status": attempt.status,
        "error": attempt.error,
        "duration_ms": attempt.millis,
    }


def _letter_json(tx: Tx, letter: DeadLetter) -> Json:
    return {
        "id": letter.id,
        "event": letter.event_id,
        "cursor": webhooks.cursor_token(tx, letter.position),
        "action": letter.action,
        "attempts": letter.attempts,
        "error": letter.error,
        "created_at": format_timestamp(letter.created_at),
        "replaying": letter.due,
    }
