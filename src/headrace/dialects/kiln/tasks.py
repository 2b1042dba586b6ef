"""Tasks: datasets of runs, with an instruction, requirements to rate by and schemas."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from headrace.core import origins, run_tasks
from headrace.core.idempotency import Reply
from headrace.core.rights import Permission
from headrace.core.run_tasks import RunTask
from headrace.core.store import Tx
from headrace.core.tasks import CREATOR
from headrace.core.users import User
from headrace.dialects.kiln.boundary import SHARED, TASK, Refused, dialect, ident, json_object, place
from headrace.dialects.kiln.translate import TASK_SCHEMAS, checked_task, definition_of, origin_json, task_json
from headrace.dialects.kiln.wire import Run
from headrace.dialects.kit import Call, json_answer, json_reply


def shown(tx: Tx, task: RunTask, include: Sequence[str] = ()) -> dict[str, Any]:
    """A task with who made it, and with its origin where that is included."""
    origin = tx.origins.of(origins.TASK, [task.dataset.id]).get(task.dataset.id)
    return task_json(task, _creator(tx, task), origin) | (origin_json(origin) if "origin" in include else {})


def _creator(tx: Tx, task: RunTask) -> User | None:
    number = task.dataset.settings.get(CREATOR)
    return tx.users.get(number) if isinstance(number, int) else None


@dialect.route("POST", SHARED + "/{project}/tasks")
async def create_task(call: Call) -> Response:
    """Create a task."""
    project, body = ident(call, "project"), await json_object(call)

    def create(tx: Tx) -> Reply:
        run_tasks.load_project(tx, call.who, project)
        if "id" in body:
            raise Refused("Task ID cannot be set by client.")
        return json_reply(shown(tx, run_tasks.create(tx, call.who, project, checked_task(body))))

    return await call.write_once(await call.body(), create)


@dialect.route("GET", SHARED + "/{project}/tasks")
async def list_tasks(call: Call) -> Response:
    """The tasks of a project, as an array."""
    project = ident(call, "project")

    def read(tx: Tx) -> list[dict[str, Any]]:
        return [shown(tx, task, call.queries("include")) for task in run_tasks.list_tasks(tx, call.who, project)]

    return json_answer(await call.read(read))


@dialect.route("GET", TASK)
async def get_task(call: Call) -> Response:
    """One task."""
    wanted, include = place(call), call.queries("include")
    return json_answer(await call.read(lambda tx: shown(tx, run_tasks.load(tx, call.who, *wanted), include)))


@dialect.route("PATCH", TASK)
async def update_task(call: Call) -> Response:
    """Change what is named; schemas, turn mode and id stay as they were made."""
    wanted, change = place(call), await json_object(call)

    def update(tx: Tx) -> dict[str, Any]:
        task = run_tasks.load(tx, call.who, *wanted, Permission.DATASETS_ADMIN)
        known = definition_of(task)
        refuse_frozen(change, known, str(task.dataset.id))
        return shown(tx, run_tasks.update(tx, call.who, task, checked_task(known | change)))

    return json_answer(await call.write(update))


def refuse_frozen(change: dict[str, Any], known: dict[str, Any], task_id: str) -> None:
    """Raise Refused when a change touches what a task keeps for ever."""
    if change.get("id", task_id) != task_id:
        raise Refused("Task ID cannot be changed by client in a patch.")
    if any(name in change for name in TASK_SCHEMAS):
        raise Refused("Input and output JSON schemas cannot be updated.")
    if change.get("turn_mode", known["turn_mode"]) != known["turn_mode"]:
        raise Refused("The turn mode of a task cannot be updated.")


@dialect.route("DELETE", TASK)
async def delete_task(call: Call) -> Response:
    """Delete a task with its runs."""
    wanted = place(call)
    await call.write(lambda tx: run_tasks.delete(tx, call.who, *wanted))
    return json_answer(None)


@dialect.route("GET", TASK + "/rating_options")
async def rating_options(call: Call) -> Response:
    """What a rater is shown: each requirement."""
    wanted = place(call)

    def read(tx: Tx) -> list[dict[str, Any]]:
        return list(definition_of(run_tasks.load(tx, call.who, *wanted))["requirements"])

    shown = [{"requirement": item, "show_for_all": True, "show_for_tags": []} for item in await call.read(read)]
    return json_answer({"options": shown})


@dialect.route("GET", TASK + "/run_schema")
async def run_schema(call: Call) -> Response:
    """The JSON Schema of a run, with the task's own schemas beside it, to validate by before sending."""
    wanted = place(call)
    definition = definition_of(await call.read(lambda tx: run_tasks.load(tx, call.who, *wanted)))
    return json_answer({"run": Run.model_json_schema(), **{name: definition[name] for name in TASK_SCHEMAS}})
