"""Drafts of annotations; everybody sees only their own."""

from msgspec import UNSET
from starlette.responses import Response

from headrace.core import drafts
from headrace.core.drafts import Draft
from headrace.core.idempotency import Reply
from headrace.core.store import Tx
from headrace.decode import decode
from headrace.dialects.kit import Call, json_answer, json_reply
from headrace.dialects.label_studio import wire
from headrace.dialects.label_studio.boundary import dialect, invalid, json_body
from headrace.dialects.label_studio.translate import Json, draft_json

OF_TASK = "/api/tasks/{task}/drafts"
OF_ANNOTATION = "/api/tasks/{task}/annotations/{annotation}/drafts"
ONE = "/api/drafts/{draft}"


async def _values(call: Call) -> dict[str, object]:
    """What a request says of a draft; absent stays absent."""
    body = await json_body(call, wire.Draft)
    values: dict[str, object] = {}
    if body.result is not UNSET:
        text = bytes(body.result)
        if not isinstance(decode(text, object), list):
            raise invalid("result", "The result of a draft must be a list.")
        values["result"] = text.decode()
    given = {"lead_time": body.lead_time, "postponed": body.was_postponed}
    return values | {name: value for name, value in given.items() if value is not UNSET}


def _annotation(call: Call) -> int | None:
    return call.number("annotation") if "annotation" in call.request.path_params else None


def _shown(tx: Tx, draft: Draft) -> Json:
    return draft_json(draft, tx.users.get(draft.author_id), now=tx.now())


@dialect.route("POST", OF_TASK, OF_ANNOTATION)
async def create_draft(call: Call) -> Response:
    """Begin a draft of a task, or of a change to one of its annotations."""
    task, annotation, values = call.number("task"), _annotation(call), await _values(call)

    def create(tx: Tx) -> Reply:
        return json_reply(_shown(tx, drafts.create(tx, call.who, task, values, annotation)[1]), 201)

    return await call.write_once(await call.body(), create)


@dialect.route("GET", OF_TASK, OF_ANNOTATION)
async def list_drafts(call: Call) -> Response:
    """The caller's drafts of a task, or of changes to one of its annotations."""
    task, annotation = call.number("task"), _annotation(call)

    def read(tx: Tx) -> list[Json]:
        return [_shown(tx, draft) for draft in drafts.of_task(tx, call.who, task, annotation)]

    return json_answer(await call.read(read))


@dialect.route("GET", ONE)
async def get_draft(call: Call) -> Response:
    """One of the caller's drafts."""
    number = call.number("draft")
    return json_answer(await call.read(lambda tx: _shown(tx, drafts.get(tx, call.who, number))))


@dialect.route("PATCH", ONE)
async def update_draft(call: Call) -> Response:
    """Change what is named in one of the caller's drafts."""
    number, values = call.number("draft"), await _values(call)
    return json_answer(await call.write(lambda tx: _shown(tx, drafts.update(tx, call.who, number, values))))


@dialect.route("DELETE", ONE)
async def delete_draft(call: Call) -> Response:
    """Remove one of the caller's drafts."""
    number = call.number("draft")
    await call.write(lambda tx: drafts.delete(tx, call.who, number))
    return Response(status_code=204)
