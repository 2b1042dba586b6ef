"""Projects. Their paths are shared with another dialect; `app` decides whose a call is."""

from starlette.responses import Response

from headrace.core import origins, run_tasks
from headrace.core.errors import Conflict
from headrace.core.idempotency import Reply
from headrace.core.origins import Origin
from headrace.core.projects import Project
from headrace.core.store import Tx
from headrace.dialects.kiln import wire
from headrace.dialects.kiln.boundary import SHARED, Refused, dialect, ident, json_body, json_object, validated
from headrace.dialects.kiln.translate import origin_json, project_json, task_json
from headrace.dialects.kit import Call, json_answer, json_reply

NAME_TAKEN = (
    "Project with this folder name already exists. Please choose a different name or rename the prior project's folder."
)
PREVIEW_WORDS = 100


@dialect.route("GET", "/ping", public=True)
async def ping(call: Call) -> Response:
    """Say that the server is there."""
    return json_answer("pong")


@dialect.route("POST", SHARED)
async def create_project(call: Call) -> Response:
    """Create a project; its name must be new."""
    body = await json_body(call, wire.ProjectBody)

    def create(tx: Tx) -> Reply:
        try:
            made = run_tasks.create_project(tx, call.who, name=body.name, description=body.description or "")
        except Conflict as error:
            raise Refused(NAME_TAKEN) from error
        return json_reply(project_json(made))

    return await call.write_once(await call.body(), create)


@dialect.route("GET", SHARED)
async def list_projects(call: Call) -> Response:
    """All projects in which the caller may see runs, as an array."""

    def read(tx: Tx) -> list[dict[str, object]]:
        found = run_tasks.list_projects(tx, call.who)
        known = tx.origins.of(origins.PROJECT, [project.id for project in found])
        return [_told(call, project, known.get(project.id)) for project in found]

    return json_answer(await call.read(read))


def _told(call: Call, project: Project, origin: Origin | None) -> dict[str, object]:
    """A project, with its origin where the caller wants that."""
    return project_json(project, origin) | (origin_json(origin) if "origin" in call.queries("include") else {})


def _shown(tx: Tx, call: Call, project: Project) -> dict[str, object]:
    return _told(call, project, tx.origins.of(origins.PROJECT, [project.id]).get(project.id))


@dialect.route("GET", SHARED + "/{project}")
async def get_project(call: Call) -> Response:
    """One project."""
    project = ident(call, "project")
    return json_answer(await call.read(lambda tx: _shown(tx, call, run_tasks.load_project(tx, call.who, project))))


@dialect.route("PATCH", SHARED + "/{project}")
async def update_project(call: Call) -> Response:
    """Change a project's name or description."""
    project, change = ident(call, "project"), await json_object(call)

    def update(tx: Tx) -> dict[str, object]:
        known = project_json(run_tasks.load_project(tx, call.who, project))
        if change.get("id", known["id"]) != known["id"]:
            raise Refused("Project ID cannot be changed by client.")
        wanted = validated(wire.ProjectBody, known | change)
        title = wanted.name if "name" in change else None
        description = wanted.description or ""
        return _shown(tx, call, run_tasks.update_project(tx, call.who, project, title=title, description=description))

    return json_answer(await call.write(update))


@dialect.route("GET", "/api/task_summaries")
async def task_summaries(call: Call) -> Response:
    """All projects with their tasks, each with the beginning of its instruction."""

    def read(tx: Tx) -> list[dict[str, object]]:
        return [
            {**project_json(project), "tasks": _summaries(tx, call, project.id)}
            for project in run_tasks.list_projects(tx, call.who)
        ]

    return json_answer(await call.read(read))


def _summaries(tx: Tx, call: Call, project_id: int) -> list[dict[str, object]]:
    tasks = (task_json(task, None) for task in run_tasks.list_tasks(tx, call.who, project_id))
    return [
        {
            "id": task["id"],
            "name": task["name"],
            "created_at": task["created_at"],
            "instruction": " ".join(str(task["instruction"]).split()[:PREVIEW_WORDS]),
        }
        for task in tasks
    ]
