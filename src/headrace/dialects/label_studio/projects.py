"""Projects: datasets with a source of their own."""

from collections.abc import Callable, Sequence

from msgspec import UNSET
from starlette.responses import Response

from headrace.core import datasets, label_config, tasks
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.idempotency import Reply
from headrace.core.rights import Permission
from headrace.core.store import Tx
from headrace.core.tasks import ProjectView
from headrace.dialects.kit import Call, json_answer, json_reply
from headrace.dialects.label_studio import wire
from headrace.dialects.label_studio.boundary import (
    dialect,
    invalid,
    json_body,
    names,
    no_page,
    page_number,
    page_size,
)
from headrace.dialects.label_studio.translate import SETTINGS, Json, counters_json, only, project_json

STEM = "/api/projects"
ONE = STEM + "/{project}"
TITLE_LEAST, TITLE_MOST = 3, 50
PAGE_DEFAULT = 30
PAGE_MOST = 10_000
ORDERS = {"id": "id", "title": "title", "created_at": "created_at"}


def _changes(body: wire.Project) -> dict[str, object]:
    """What a request says of a project in the domain's names; raises Invalid for a bad title."""
    changes: dict[str, object] = {}
    if body.title is not UNSET:
        changes["title"] = _title(body.title or "")
    if body.description is not UNSET:
        changes["description"] = body.description or ""
    kept = (*SETTINGS, "control_weights")
    settings = {name: getattr(body, name) for name in kept if getattr(body, name) is not UNSET}
    return changes | ({"settings": settings} if settings else {})


def _title(title: str) -> str:
    if len(title) > TITLE_MOST:
        raise invalid("title", f"Ensure this field has no more than {TITLE_MOST} characters.")
    if title and len(title) < TITLE_LEAST:
        raise invalid("title", f"Ensure this field has at least {TITLE_LEAST} characters.")
    return title


def _config(body: wire.Project) -> str | None:
    """The label config of a request, checked; None when it names none."""
    if body.label_config is UNSET or body.label_config is None:
        return None
    problem = config_problem(body.label_config)
    if problem:
        raise invalid("label_config", problem)
    return body.label_config


def config_problem(xml: str) -> str | None:
    """Why a label config cannot be read, or None when it can."""
    try:
        label_config.parse(xml)
    except Invalid as error:
        return error.message
    return None


@dialect.route("POST", STEM)
async def create_project(call: Call) -> Response:
    """Create a project; every field is optional."""
    body = await json_body(call, wire.Project)
    changes, config = _changes(body), _config(body)

    def create(tx: Tx) -> Reply:
        dataset = tasks.create_project(
            tx,
            call.who,
            title=str(changes.get("title", "")),
            description=str(changes.get("description", "")),
            config_xml=config or tasks.EMPTY_CONFIG,
            settings=changes.get("settings"),  # type: ignore[arg-type]
        )
        return json_reply(project_json(tasks.view_project(tx, call.who, dataset), counted=False), 201)

    return await call.write_once(await call.body(), create)


@dialect.route("POST", STEM + "/validate")
async def validate_config(call: Call) -> Response:
    """Check a label config without storing anything; a fault comes without the usual error body."""
    problem = config_problem((await json_body(call, wire.LabelConfigBody)).label_config)
    return json_answer({"label_config": [problem]}, 400) if problem else Response(status_code=204)


@dialect.route("GET", STEM)
async def list_projects(call: Call) -> Response:
    """A page of the projects, newest first unless `ordering` says otherwise."""
    return await _page(call, STEM + "/", project_json, lambda found: found)


@dialect.route("GET", STEM + "/counts")
async def list_counts(call: Call) -> Response:
    """A page of the projects' counters, oldest project first."""
    return await _page(call, STEM + "/counts/", counters_json, lambda found: found[::-1])


async def _page(
    call: Call,
    path: str,
    shown: Callable[[ProjectView], Json],
    turned: Callable[[list[Dataset]], list[Dataset]],
) -> Response:
    """A page of the projects that the query is about, as they are to be shown."""
    page, size = page_number(call), page_size(call, PAGE_DEFAULT, PAGE_MOST) or PAGE_MOST
    include = names(call, "include")

    def read(tx: Tx) -> tuple[int, list[Json]]:
        found = _ordered(call, _wanted(call, turned(tasks.list_projects(tx, call.who))))
        views = (tasks.view_project(tx, call.who, item) for item in found[(page - 1) * size : page * size])
        return len(found), [only(shown(view), include) for view in views]

    count, results = await call.read(read)
    if not results and page > 1:
        raise no_page()
    return json_answer(
        {
            "count": count,
            "next": _link(call, path, page + 1) if page * size < count else None,
            "previous": _link(call, path, page - 1) if page > 1 else None,
            "results": results,
        }
    )


def _wanted(call: Call, found: Sequence[Dataset]) -> list[Dataset]:
    title, ids = (call.query("title") or "").casefold(), names(call, "ids")
    return [item for item in found if title in item.title.casefold() and (not ids or str(item.id) in ids)]


def _ordered(call: Call, found: list[Dataset]) -> list[Dataset]:
    ordering = call.query("ordering") or ""
    field = ORDERS.get(ordering.removeprefix("-"))
    if field is None:
        return found
    return sorted(found, key=lambda item: getattr(item, field), reverse=ordering.startswith("-"))


def _link(call: Call, path: str, page: int) -> str:
    """The address of another page, without a token that may stand in this one's."""
    url = call.request.url.include_query_params(page=page).remove_query_params("api_key")
    return str(url.replace(path=path))


@dialect.route("GET", ONE)
async def get_project(call: Call) -> Response:
    """One project with its counters."""
    number = call.number("project")
    return json_answer(await call.read(lambda tx: _shown(tx, call, _load(tx, call, number))))


@dialect.route("PATCH", ONE)
async def update_project(call: Call) -> Response:
    """Change what is named."""
    number, body = call.number("project"), await json_body(call, wire.Project)
    changes, config = _changes(body), _config(body)

    def update(tx: Tx) -> dict[str, object]:
        return _shown(tx, call, tasks.update_project(tx, call.who, number, changes=changes, config_xml=config))

    return json_answer(await call.write(update))


@dialect.route("DELETE", ONE)
async def delete_project(call: Call) -> Response:
    """Delete a project with its tasks and annotations."""
    number = call.number("project")

    def delete(tx: Tx) -> None:
        datasets.delete(tx, call.who, tasks.load_project(tx, call.who, number).id)

    await call.write(delete)
    return Response(status_code=204)


def _load(tx: Tx, call: Call, number: int) -> Dataset:
    return tasks.load_project(tx, call.who, number, Permission.VIEW_LABELS)


def _shown(tx: Tx, call: Call, dataset: Dataset) -> dict[str, object]:
    return project_json(tasks.view_project(tx, call.who, dataset))
