"""Actions of the data manager: what is done to many tasks at once."""

import asyncio

from starlette.responses import Response

from headrace.core import task_actions, task_filters, task_search, tasks
from headrace.core.errors import NotBuilt
from headrace.core.rights import Permission
from headrace.core.task_actions import ACTIONS, Doing
from headrace.dialects.kit import Call, json_answer, json_bytes, json_reply
from headrace.dialects.label_studio import next as next_task
from headrace.dialects.label_studio import wire_manager
from headrace.dialects.label_studio.boundary import dialect, invalid, json_body
from headrace.dialects.label_studio.queries import find, number
from headrace.dialects.label_studio.translate import Json
from headrace.dialects.label_studio.unbuilt import UNBUILT_ACTIONS

PATH = "/api/dm/actions"
NEXT_TASK = "next_task"
FIRST_ORDER = 90
PERMISSIONS: dict[str, str | list[str]] = {
    "retrieve_tasks_predictions": "predictions.any",
    "predictions_to_annotations": "tasks.change",
    "remove_duplicates": ["projects.change", "tasks.delete"],
    "delete_tasks": "tasks.delete",
    "delete_tasks_annotations": ["tasks.change", "annotations.delete"],
    "delete_tasks_predictions": "predictions.any",
}
"""Label Studio's names for the rights; what decides are ours, in `core.task_actions`."""


@dialect.route("GET", PATH)
async def list_actions(call: Call) -> Response:
    """The actions that the caller may take in a project."""
    project = _project(call)
    dataset = await call.read(lambda tx: tasks.load_project(tx, call.who, project, Permission.VIEW_LABELS))
    return json_answer(
        [
            _action_json(name, action.title, place)
            for place, (name, action) in enumerate(ACTIONS.items())
            if call.who.may(dataset.project_id, *task_actions.NEEDS, *action.needs)
        ]
    )


def _action_json(name: str, title: str, place: int) -> Json:
    text = f"{title}: this goes for all tasks that are selected."
    return {
        "id": name,
        "title": title,
        "order": FIRST_ORDER + place,
        "permission": PERMISSIONS[name],
        "experimental": False,
        "dialog": {"title": title, "text": text, "type": "confirm"},
    }


@dialect.route("POST", PATH)
async def take_action(call: Call) -> Response:
    """Do something to the tasks selected among those that the view, or the filters in the body, want."""
    project, name = _project(call), call.query("id") or ""
    body = await json_body(call, wire_manager.Action)
    if name == NEXT_TASK:
        return await next_task.answer_next(call, project)
    if name in UNBUILT_ACTIONS:
        raise NotBuilt(f"headrace does not have this: {UNBUILT_ACTIONS[name]}")
    action = task_actions.find_action(name)
    if body.selected is None:
        raise invalid("selectedItems", "This field is required.")
    asked = {"filters": body.filters, "ordering": body.ordering, "selectedItems": body.selected}
    query, view = task_filters.parse(asked), number(call, "view")
    request = b"\0".join((call.request.url.query.encode(), await call.body()))
    earlier = await call.earlier(request)
    if earlier is not None:
        return json_bytes(earlier.body, earlier.status)
    listing = await call.read(
        lambda tx: task_search.begin(tx, call.who, query, project_id=project, view_id=view, needs=action.needs)
    )
    found = await find(call, listing)
    doing = Doing(
        store=call.services.store,
        who=call.who,
        dataset_id=listing.dataset.id,
        predictor=call.services.predictor,
        versions=_versions(body),
    )
    outcome = await asyncio.to_thread(action.run, doing, found.ids)
    told = {"processed_items": outcome.processed, "reload": outcome.reload, "detail": outcome.detail}
    return await call.write_once(request, lambda tx: json_reply(told))


def _versions(body: wire_manager.Action) -> list[str] | None:
    version = body.model_version
    return [version] if isinstance(version, str) else version


def _project(call: Call) -> int:
    project = number(call, "project")
    if project is None:
        raise invalid("project", "This field is required.")
    return project
