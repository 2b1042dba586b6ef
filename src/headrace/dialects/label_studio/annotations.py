"""Annotations of tasks."""

from collections.abc import Mapping

from msgspec import UNSET
from starlette.responses import Response

from headrace.core import answers, tasks
from headrace.core.annotations import Annotation
from headrace.core.answers import Answer, Result
from headrace.core.datasets import Dataset
from headrace.core.idempotency import Reply
from headrace.core.rights import Principal
from headrace.core.store import Tx
from headrace.core.users import User
from headrace.decode import decode
from headrace.dialects.kit import Call, json_answer, json_reply
from headrace.dialects.label_studio import wire
from headrace.dialects.label_studio.boundary import dialect, invalid, json_body
from headrace.dialects.label_studio.translate import annotation_json, config_of
from headrace.dialects.label_studio.wire import Optional

OF_TASK = "/api/tasks/{task}/annotations"
ONE = "/api/annotations/{annotation}"
MAX_REASON = 4_000


def result_of(body: wire.Annotation) -> Result:
    """The result of a request; an absent one is stored as null."""
    if body.result is UNSET:
        return Result()
    text = bytes(body.result)
    return Result(value=decode(text, object), text=text.decode())


def changes_of(body: wire.Annotation) -> dict[str, object]:
    """What a request says of an annotation beside its result; absent stays absent."""
    given = {
        "cancelled": body.was_cancelled,
        "ground_truth": body.ground_truth,
        "lead_time": body.lead_time,
        "unique_id": body.unique_id,
        "skip_reason": _reason(body),
    }
    return {name: value for name, value in given.items() if value is not UNSET}


def _reason(body: wire.Annotation) -> str | Optional:
    """Why a task was skipped, under either of the names that clients use."""
    reason = body.reason if body.reason is not UNSET else body.comment
    if isinstance(reason, str) and len(reason) > MAX_REASON:
        raise invalid("reason", f"Ensure this field has no more than {MAX_REASON} characters.")
    return reason


def author_of(body: wire.Annotation) -> str | int | None:
    author = body.completed_by
    return (author.email or author.id) if isinstance(author, wire.Author) else author


def _shown(tx: Tx, who: Principal, dataset: Dataset, annotation: Annotation) -> dict[str, object]:
    mine = annotation.author_id == who.user_id
    people: Mapping[int, User | Principal] = {who.user_id: who} if mine else answers.people(tx, [annotation])
    return annotation_json(annotation, config_of(dataset), people, now=tx.now())


@dialect.route("POST", OF_TASK)
async def create_annotation(call: Call) -> Response:
    """Annotate a task."""
    number, body = call.number("task"), await json_body(call, wire.Annotation)
    answer = Answer(result=result_of(body), **changes_of(body))  # type: ignore[arg-type]
    draft_id = None if body.draft_id is UNSET else body.draft_id

    def create(tx: Tx) -> Reply:
        dataset, made = answers.annotate(tx, call.who, number, answer, author=author_of(body), draft_id=draft_id)
        return json_reply(_shown(tx, call.who, dataset, made), 201)

    return await call.write_once(await call.body(), create)


@dialect.route("GET", OF_TASK)
async def list_annotations(call: Call) -> Response:
    """The annotations of a task."""
    number = call.number("task")

    def read(tx: Tx) -> list[dict[str, object]]:
        page = tasks.get(tx, call.who, number)
        config, now = config_of(page.dataset), page.read_at
        return [annotation_json(item, config, page.people, now=now) for item in page.annotations[number]]

    return json_answer(await call.read(read))


@dialect.route("GET", ONE)
async def get_annotation(call: Call) -> Response:
    """One annotation."""
    number = call.number("annotation")
    return json_answer(await call.read(lambda tx: _shown(tx, call.who, *answers.get(tx, call.who, number))))


@dialect.route("PATCH", ONE)
async def update_annotation(call: Call) -> Response:
    """Change what is named; the author stays."""
    number, body = call.number("annotation"), await json_body(call, wire.Annotation)
    result = None if body.result is UNSET else result_of(body)
    changes = changes_of(body)

    def revise(tx: Tx) -> dict[str, object]:
        return _shown(tx, call.who, *answers.revise(tx, call.who, number, result=result, changes=changes))

    return json_answer(await call.write(revise))


@dialect.route("DELETE", ONE)
async def delete_annotation(call: Call) -> Response:
    """Delete an annotation."""
    number = call.number("annotation")
    await call.write(lambda tx: answers.remove(tx, call.who, number))
    return Response(status_code=204)
