"""Views of the data manager."""

from msgspec import UNSET
from starlette.responses import Response

from headrace.core import task_views
from headrace.core.idempotency import Reply
from headrace.core.store import Tx
from headrace.core.task_views import TaskView
from headrace.decode import decode
from headrace.dialects.kit import Call, json_answer, json_reply
from headrace.dialects.label_studio import wire_manager
from headrace.dialects.label_studio.boundary import dialect, invalid, json_body
from headrace.dialects.label_studio.queries import number
from headrace.dialects.label_studio.translate import Json

STEM = "/api/dm/views"
ONE = STEM + "/{view}"


def view_json(view: TaskView) -> Json:
    """A view in answers."""
    return {
        "id": view.id,
        "data": view.data,
        "order": view.place,
        "user": view.author_id,
        "project": view.dataset_id,
    }


def _data(body: wire_manager.View) -> dict[str, object]:
    """What a request says of a view; absent is empty."""
    value = {} if body.data is UNSET else decode(bytes(body.data), object)
    if not isinstance(value, dict | None):
        raise invalid("data", "data must be an object")
    return value or {}


@dialect.route("GET", STEM)
async def list_views(call: Call) -> Response:
    """The views of a project, or of all that the caller may see."""
    project = number(call, "project")
    found = await call.read(lambda tx: task_views.list_views(tx, call.who, project))
    return json_answer([view_json(view) for view in found])


@dialect.route("POST", STEM)
async def create_view(call: Call) -> Response:
    """Create a view; the project may be named in the body or in the query."""
    body = await json_body(call, wire_manager.View)
    project = number(call, "project") if body.project is UNSET or body.project is None else body.project
    if project is None:
        raise invalid("project", "This field is required.")
    data = _data(body)

    def create(tx: Tx) -> Reply:
        return json_reply(view_json(task_views.create(tx, call.who, project, data)), 201)

    return await call.write_once(await call.body(), create)


@dialect.route("GET", ONE)
async def get_view(call: Call) -> Response:
    """One view."""
    view = call.number("view")
    return json_answer(view_json(await call.read(lambda tx: task_views.get(tx, call.who, view))))


@dialect.route(("PATCH", "PUT"), ONE)
async def update_view(call: Call) -> Response:
    """Replace what a view says; filters and an order that are not named stay."""
    view, body = call.number("view"), await json_body(call, wire_manager.View)
    data = _data(body)
    return json_answer(view_json(await call.write(lambda tx: task_views.update(tx, call.who, view, data))))


@dialect.route("DELETE", ONE)
async def delete_view(call: Call) -> Response:
    """Delete a view."""
    view = call.number("view")
    await call.write(lambda tx: task_views.delete(tx, call.who, view))
    return Response(status_code=204)


@dialect.route("POST", STEM + "/order")
async def order_views(call: Call) -> Response:
    """Put a project's views into an order."""
    body = await json_body(call, wire_manager.ViewOrder)
    await call.write(lambda tx: task_views.arrange(tx, call.who, body.project, body.ids))
    return Response(status_code=200)


@dialect.route("DELETE", STEM + "/reset")
async def delete_views(call: Call) -> Response:
    """Delete all views of a project."""
    project = number(call, "project")
    if project is None:
        project = (await json_body(call, wire_manager.OfProject)).project
    chosen = project
    await call.write(lambda tx: task_views.delete_all(tx, call.who, chosen))
    return Response(status_code=204)
