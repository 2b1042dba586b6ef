"""Why a task was or was not offered to the caller, and giving a task back.

GET  /headrace/v1/datasets/<project>/<dataset>/tasks/<id>/why
POST /headrace/v1/datasets/<project>/<dataset>/tasks/<id>/release
"""

from starlette.responses import Response

from headrace.core import next_task
from headrace.core.next_task import Standing
from headrace.core.times import format_timestamp
from headrace.dialects.headrace.boundary import BASE, dialect
from headrace.dialects.kit import Call, json_answer

TASK = f"{BASE}/datasets/{{project}}/{{dataset}}/tasks/{{task}}"


def _ref(call: Call) -> tuple[str, str]:
    return call.text("project"), call.text("dataset")


@dialect.route("GET", f"{TASK}/why")
async def explain_task(call: Call) -> Response:
    """How the task stands for the caller: whether it would be offered, why, who annotates it until when."""
    number = call.number("task")
    return json_answer(
        _standing_json(call, await call.read(lambda tx: next_task.why(tx, call.who, _ref(call), number)))
    )


def _standing_json(call: Call, standing: Standing) -> dict[str, object]:
    return {
        "available": standing.available,
        "reasons": [{"code": reason.code, "message": reason.text} for reason in standing.reasons],
        "annotators": standing.people,
        "overlap": standing.overlap,
        "leases": [
            {
                "yours": item.person_id == call.who.user_id,
                "until": None if item.lease_until is None else format_timestamp(item.lease_until),
            }
            for item in standing.leases
        ],
    }


@dialect.route("POST", f"{TASK}/release")
async def release_task(call: Call) -> Response:
    """Give a task back that the caller holds, so that others may have it at once."""
    number = call.number("task")
    await call.write(lambda tx: next_task.release(tx, call.who, _ref(call), number))
    return Response(status_code=204)
