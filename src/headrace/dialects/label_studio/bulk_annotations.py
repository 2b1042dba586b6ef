"""Annotations in bulk."""

from msgspec import UNSET
from starlette.responses import Response

from headrace.core import bulk_answers
from headrace.core.answers import Answer
from headrace.core.bulk_answers import Picked
from headrace.core.idempotency import Reply
from headrace.core.store import Tx
from headrace.dialects.kit import Call, json_answer, json_reply
from headrace.dialects.label_studio import wire_predictions as wire
from headrace.dialects.label_studio.annotations import author_of, changes_of, result_of
from headrace.dialects.label_studio.boundary import dialect, invalid, json_body

BULK = "/api/annotations/bulk"


@dialect.route("POST", BULK)
async def create_annotations(call: Call) -> Response:
    """Give one annotation to many tasks, all or none."""
    body = await json_body(call, wire.BulkAnnotation)
    picked = _picked(body)
    answer = Answer(result=result_of(body), **changes_of(body))  # type: ignore[arg-type]

    def create(tx: Tx) -> Reply:
        made = bulk_answers.annotate(tx, call.who, picked, answer, author=author_of(body))
        return json_reply([{"id": number} for number in made], 201)

    return await call.write_once(await call.body(), create)


def _picked(body: wire.BulkAnnotation) -> Picked:
    """The tasks a request is about; raises Invalid when it names none."""
    project = body.project or None
    if body.selected_items:
        selected = body.selected_items
        named = selected.excluded if selected.all else selected.included
        return Picked(dataset_id=project, record_ids=named, all=selected.all)
    if body.tasks:
        return Picked(dataset_id=project, record_ids=body.tasks)
    if body.task:
        return Picked(dataset_id=project, record_ids=[body.task])
    raise invalid("tasks", "tasks, task or selected_items is required")


@dialect.route("POST", BULK + "-delete")
async def delete_annotations(call: Call) -> Response:
    """Delete annotations of a project, all or none."""
    body = await json_body(call, wire.BulkDelete)
    if body.project is UNSET or body.ids is UNSET:
        raise invalid("project" if body.project is UNSET else "ids", "This field is required.")
    project, ids = body.project, body.ids
    count = await call.write(lambda tx: bulk_answers.remove(tx, call.who, project, ids))
    return json_answer({"deleted_count": count})
