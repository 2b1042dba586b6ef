"""The next task of the label stream, and what the caller has annotated in it so far."""

from uuid import UUID

from starlette.responses import Response

from headrace.core import next_task
from headrace.core.errors import NotFound
from headrace.core.next_task import Drained, Turn
from headrace.core.store import Tx
from headrace.dialects.kit import Call, json_answer
from headrace.dialects.label_studio.boundary import dialect
from headrace.dialects.label_studio.translate import Json, config_of, task_json

PROJECT = "/api/projects/{project}"


@dialect.route("GET", f"{PROJECT}/next")
async def get_next_task(call: Call) -> Response:
    """The task that the caller is to annotate now, leased to them; 404 that says why when there is none."""
    return await answer_next(call, call.number("project"))


async def answer_next(call: Call, number: int) -> Response:
    """The next task of a project, as an answer; raises NotFound, saying why, when there is none."""

    def take(tx: Tx) -> Json | Drained:
        found = next_task.take(tx, call.who, number)
        return found if isinstance(found, Drained) else _turn_json(call, found)

    found = await call.write(take)
    if isinstance(found, Drained):
        raise _nothing(call, found)
    return json_answer(found)


def _turn_json(call: Call, turn: Turn) -> Json:
    """The task with what the caller may see of it while they annotate: of the annotations only their own."""
    record = turn.page.records[0]
    task = task_json(turn.page, record, config_of(turn.page.dataset), single=True)
    mine = [item.id for item in turn.page.annotations[record.id] if item.author_id == call.who.user_id]
    shown = task["annotations"]
    assert isinstance(shown, list)
    return {
        **task,
        "annotations": [annotation for annotation in shown if annotation["id"] in mine],
        "queue": turn.lane,
        "unique_lock_id": str(UUID(int=turn.work.id)),
    }


def _nothing(call: Call, found: Drained) -> NotFound:
    reason = {
        "task_number": found.tasks,
        "finished": found.finished,
        "done_by_you": found.yours,
        "leased_by_others": found.leased,
    }
    return NotFound(f"There are no tasks for {call.who.email}", fields={"also": {"reason": reason}})


@dialect.route("GET", f"{PROJECT}/label-stream-history")
async def get_label_stream_history(call: Call) -> Response:
    """The tasks that the caller annotated last, newest last."""
    number = call.number("project")
    found = await call.read(lambda tx: next_task.history(tx, call.who, number))
    return json_answer([{"taskId": task, "annotationId": annotation} for task, annotation in found])
