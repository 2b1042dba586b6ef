"""Objects that come from a project folder, under the ids that they have there. Runs are put by their external id."""

from typing import Any

from starlette.responses import Response

from headrace.core import run_folders
from headrace.core.errors import Conflict
from headrace.core.origins import Origin
from headrace.core.store import Tx
from headrace.dialects.kiln import wire
from headrace.dialects.kiln.boundary import RUN, SHARED, Refused, dialect, ident, json_object, place, rule, validated
from headrace.dialects.kiln.projects import NAME_TAKEN
from headrace.dialects.kiln.tasks import refuse_frozen, shown
from headrace.dialects.kiln.translate import TASK_SCHEMAS, checked_task, definition_of, feedback_json, project_json
from headrace.dialects.kit import Call, json_answer

BY_KEY = "/by_external_id/{external_id}"
LONGEST_KEY = 64


def _key(call: Call) -> str:
    key = call.text("external_id")
    if len(key) > LONGEST_KEY:
        raise rule(f"an id has at most {LONGEST_KEY} characters", key)
    return key


def _origin(call: Call, came: wire.Came) -> Origin:
    return Origin(_key(call), str(came.model_dump(mode="json")["created_at"]), came.created_by)


@dialect.route("PUT", SHARED + BY_KEY)
async def put_project(call: Call) -> Response:
    """Change the project that came from a folder with this id, or make it."""
    body = validated(wire.ProjectFile, await json_object(call), "body")
    origin = _origin(call, body)

    def put(tx: Tx) -> dict[str, Any]:
        try:
            made = run_folders.put_project(tx, call.who, origin, name=body.name, description=body.description or "")
        except Conflict as error:
            raise Refused(NAME_TAKEN) from error
        return project_json(made, origin)

    return json_answer(await call.write(put))


@dialect.route("PUT", "/api/projects/{project}/tasks" + BY_KEY)
async def put_task(call: Call) -> Response:
    """Change the task that came from a folder with this id, or make it; its schemas and turn mode stay as they are."""
    project, body = ident(call, "project"), await json_object(call)
    origin = _origin(call, validated(wire.Came, body, "body"))

    def put(tx: Tx) -> dict[str, Any]:
        known = run_folders.known_task(tx, call.who, project, origin.external_id)
        if known is not None:
            before = definition_of(known)
            same = [name for name in TASK_SCHEMAS if body.get(name) == before[name]]
            refuse_frozen({name: value for name, value in body.items() if name not in (*same, "id")}, before, "")
        return shown(tx, run_folders.put_task(tx, call.who, project, known, origin, checked_task(body)))

    return json_answer(await call.write(put))


@dialect.route("PUT", RUN + "/feedback" + BY_KEY)
async def put_feedback(call: Call) -> Response:
    """Give the feedback that came from a folder with this id, unless it is there."""
    wanted, run = place(call), ident(call, "run")
    body = validated(wire.FeedbackFile, await json_object(call), "body")
    origin = _origin(call, body)

    def put(tx: Tx) -> dict[str, Any]:
        text, source = body.feedback, body.source
        made = run_folders.put_feedback(tx, call.who, wanted, run, origin, text=text, source=source)
        return feedback_json(made, None, origin)

    return json_answer(await call.write(put))
