"""Tasks: the records of a project's own source, and the list that the data manager shows of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from msgspec import UNSET
from starlette.responses import Response, StreamingResponse

from headrace.core import task_actions, task_search, tasks
from headrace.core.idempotency import Reply
from headrace.core.rights import Permission
from headrace.core.store import Tx
from headrace.core.task_columns import Part
from headrace.core.task_filters import Order, TaskQuery
from headrace.core.task_search import Found, Listing
from headrace.core.tasks import Sent, TaskPage
from headrace.decode import decode, encode
from headrace.dialects.kit import MAX_ID, Call, json_answer, json_reply
from headrace.dialects.label_studio import wire
from headrace.dialects.label_studio.boundary import (
    dialect,
    flag,
    invalid,
    json_body,
    names,
    no_page,
    page_number,
    page_size,
)
from headrace.dialects.label_studio.queries import find, number, task_query
from headrace.dialects.label_studio.translate import config_of, only, task_core, task_json

ONE = "/api/tasks/{task}"
OF_PROJECT = "/api/projects/{project}/tasks"
PAGE_DEFAULT = 100
CHUNK = 1_000
WHOLE_ONLY = frozenset({"completed_at", "predictions_score", "avg_lead_time", "draft_exists"})
IN_FULL = frozenset({"annotations", "predictions", "drafts"})
PARTS = {
    Part.ANNOTATIONS: frozenset(
        {
            "updated_at",
            "is_labeled",
            "total_annotations",
            "cancelled_annotations",
            "completed_at",
            "updated_by",
            "annotators",
            "annotations_ids",
            "avg_lead_time",
            "annotations",
        }
    ),
    Part.PREDICTIONS: frozenset(
        {"total_predictions", "predictions_model_versions", "predictions_score", "predictions"}
    ),
}
"""The fields of a task for which its annotations, or its predictions, must be read."""
UPDATED_LAST = TaskQuery(ordering=(Order("updated_at", True), Order("id", True)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Showing:
    """Which fields of a task a request wants: those it includes, or all, `whole` with all that is said of it."""

    include: frozenset[str] = frozenset()
    whole: bool = True

    @property
    def parts(self) -> list[Part]:
        """What must be read of a task."""
        return [part for part, fields in PARTS.items() if not self.include or fields & self.include]

    @property
    def in_full(self) -> bool:
        """True when annotations, predictions or drafts are wanted themselves."""
        return bool(self.include & IN_FULL) if self.include else self.whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A piece of a listing: its tasks from `skip` on, at most `limit` unless that is None. A listing that is not plain
    comes with what was found."""

    listing: Listing
    found: Found | None
    skip: int
    limit: int | None
    showing: Showing


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Some tasks of a listing by id; the page is None where nothing but ids is wanted."""

    ids: Sequence[int]
    page: TaskPage | None


@dialect.route("POST", "/api/tasks")
async def create_task(call: Call) -> Response:
    """Create one task."""
    body = await json_body(call, wire.Task)
    if body.project is UNSET or body.data is UNSET:
        raise invalid("project" if body.project is UNSET else "data", "This field is required.")
    project, sent, meta = body.project, _sent(bytes(body.data)), _meta(body)

    def create(tx: Tx) -> Reply:
        page = tasks.add(tx, call.who, project, data=sent.value, body=sent.text, meta=meta)
        return json_reply(task_core(page, page.records[0]), 201)

    return await call.write_once(await call.body(), create)


def _sent(text: bytes) -> Sent:
    value = decode(text, object)
    if not isinstance(value, dict | list):
        raise invalid("data", "Task[data] must be dict or list")
    return Sent(value, text.decode())


def _meta(body: wire.Task) -> str | None:
    if body.meta is UNSET:
        return None
    text = bytes(body.meta)
    if not isinstance(decode(text, object), dict | None):
        raise invalid("meta", "Task[meta] must be dict")
    return None if text == b"null" else text.decode()


@dialect.route("GET", ONE)
async def get_task(call: Call) -> Response:
    """One task with its annotations and predictions."""
    number = call.number("task")

    def read(tx: Tx) -> dict[str, object]:
        page = tasks.get(tx, call.who, number)
        return task_json(page, page.records[0], config_of(page.dataset), single=True)

    return json_answer(await call.read(read))


@dialect.route("PATCH", ONE)
async def update_task(call: Call) -> Response:
    """Change a task's data, or its meta; clients send whole tasks back, whose other fields stay what they are."""
    number, body = call.number("task"), await json_body(call, wire.Task)
    sent = None if body.data is UNSET else _sent(bytes(body.data))
    meta = None if body.meta is UNSET else _meta(body) or "{}"

    def update(tx: Tx) -> dict[str, object]:
        page = tasks.change(tx, call.who, number, data=sent, meta=meta)
        return task_json(page, page.records[0], config_of(page.dataset))

    return json_answer(await call.write(update))


@dialect.route("DELETE", ONE)
async def delete_task(call: Call) -> Response:
    """Delete a task with its annotations."""
    number = call.number("task")
    await call.write(lambda tx: tasks.delete(tx, call.who, number))
    return Response(status_code=204)


@dialect.route("GET", "/api/tasks")
async def list_tasks(call: Call) -> Response:
    """A page of the tasks that a query or a view wants, in its order; ids ascend where it has none."""
    project, view = number(call, "project"), number(call, "view")
    if project is None and view is None:
        return json_answer({"detail": "Neither project nor view id specified"}, 404)
    page, size = page_number(call), page_size(call, PAGE_DEFAULT, MAX_ID)
    query = task_query(call)
    flag(call, "resolve_uri", True)
    showing = Showing(include=frozenset(names(call, "include")), whole=call.query("fields") == "all")

    def begin(tx: Tx) -> tuple[Listing, tuple[int, int], Chunk | None]:
        listing = task_search.begin(tx, call.who, query, project_id=project, view_id=view)
        if not listing.plain:
            return listing, (0, 0), None
        window = Window(listing=listing, found=None, skip=_skipped(page, size), limit=size, showing=showing)
        return listing, tasks.totals(tx, listing.dataset), _chunk(tx, call, window, 0)

    listing, totals, first = await call.read(begin)
    window = await _window(call, listing, page, size, showing)
    total = listing.source.record_count
    if window.found is not None:
        totals, total = (window.found.annotations, window.found.predictions), len(window.found.ids)
    head = {"total_annotations": totals[0], "total_predictions": totals[1], "total": total}
    return await _answer(call, window, encode(head)[:-1] + b',"tasks":[', b"]}", first)


@dialect.route("GET", OF_PROJECT)
async def list_project_tasks(call: Call) -> Response:
    """A project's tasks as a plain array, first those that were changed or annotated last."""
    project, page, size = call.number("project"), page_number(call), page_size(call, PAGE_DEFAULT, MAX_ID)
    listing = await call.read(lambda tx: task_search.begin(tx, call.who, UPDATED_LAST, project_id=project))
    return await _answer(call, await _window(call, listing, page, size, Showing()), b"[", b"]")


@dialect.route("DELETE", OF_PROJECT)
async def delete_project_tasks(call: Call) -> Response:
    """Delete all tasks that a project has, chunk by chunk; what is cut short is finished by asking again."""
    project = call.number("project")
    await asyncio.to_thread(task_actions.delete_all, call.services.store, call.who, project)
    return Response(status_code=204)


async def _window(call: Call, listing: Listing, page: int, size: int | None, showing: Showing) -> Window:
    """A page of a listing; raises NotFound for one past the end, but for the first."""
    found = None if listing.plain else await find(call, listing)
    skip = _skipped(page, size)
    total = listing.source.record_count if found is None else len(found.ids)
    if page > 1 and (size is None or skip >= total):
        raise no_page()
    return Window(listing=listing, found=found, skip=skip, limit=size, showing=showing)


def _skipped(page: int, size: int | None) -> int:
    return min((page - 1) * (size or 0), MAX_ID)


def _chunk(tx: Tx, call: Call, window: Window, done: int) -> Chunk:
    """The next tasks of a window of which `done` have been read, at most CHUNK."""
    limit = CHUNK if window.limit is None else min(CHUNK, window.limit - done)
    skip, showing = window.skip + done, window.showing
    dataset = tasks.load_project(
        tx, call.who, window.listing.dataset.id, Permission.VIEW_SOURCES, Permission.VIEW_LABELS
    )
    if window.found is None:
        ids: Sequence[int] = task_search.plain_ids(tx, window.listing, skip, limit)
    else:
        ids = window.found.ids[skip : skip + limit]
    if showing.include == {"id"}:
        return Chunk(ids=ids, page=None)
    return Chunk(ids=ids, page=tasks.some(tx, call.who, dataset, ids, parts=showing.parts))


async def _answer(call: Call, window: Window, opening: bytes, closing: bytes, known: Chunk | None = None) -> Response:
    """The tasks of a window between two pieces of JSON; more than a chunk is sent as it is read, the `known`
    first one has been."""
    first = await call.read(lambda tx: _chunk(tx, call, window, 0)) if known is None else known
    if len(first.ids) < CHUNK or len(first.ids) == window.limit:
        body = opening + await asyncio.to_thread(_encoded, first, window.showing) + closing
        return Response(body, media_type="application/json")
    return StreamingResponse(_streamed(call, window, first, opening, closing), media_type="application/json")


async def _streamed(call: Call, window: Window, first: Chunk, opening: bytes, closing: bytes) -> AsyncIterator[bytes]:
    chunk, done = first, 0
    between = opening
    while chunk.ids:
        text = await asyncio.to_thread(_encoded, chunk, window.showing)
        if text:
            yield between + text
            between = b","
        done += len(chunk.ids)
        if window.limit is not None and done >= window.limit:
            break
        chunk = await call.read(lambda tx, done=done: _chunk(tx, call, window, done))  # type: ignore[misc]
    yield (between if between is opening else b"") + closing


def _encoded(chunk: Chunk, showing: Showing) -> bytes:
    """The tasks of a chunk as the members of a JSON array."""
    if chunk.page is None:
        return encode([{"id": record_id} for record_id in chunk.ids])[1:-1]
    page, config = chunk.page, config_of(chunk.page.dataset)
    shown = (task_json(page, record, config, whole=showing.in_full) for record in page.records)
    return encode([_shown(task, showing) for task in shown])[1:-1]


def _shown(task: dict[str, object], showing: Showing) -> dict[str, object]:
    if showing.include:
        return only(task, tuple(showing.include))
    return task if showing.whole else {name: value for name, value in task.items() if name not in WHOLE_ONLY}
