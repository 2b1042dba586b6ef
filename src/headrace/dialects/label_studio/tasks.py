"""Tasks: the records of a project's own source, and the list that the data manager shows of them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from msgspec import UNSET
from starlette.responses import Response, StreamingResponse

from headrace.core import tasks
from headrace.core.errors import Invalid, NotBuilt
from headrace.core.idempotency import Reply
from headrace.core.store import Tx
from headrace.core.tasks import TaskPage
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
from headrace.dialects.label_studio.translate import config_of, only, task_core, task_json

ONE = "/api/tasks/{task}"
PAGE_DEFAULT = 100
CHUNK = 1_000
WHOLE_ONLY = ("annotations", "predictions", "completed_at", "predictions_score", "avg_lead_time", "draft_exists")
ID_ORDERS = {"tasks:id": False, "id": False, "-tasks:id": True, "-id": True}


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a request wants to see of a project's tasks; a `limit` of None means all."""

    project: int
    skip: int
    limit: int | None
    newest_first: bool
    include: tuple[str, ...]
    whole: bool


@dialect.route("POST", "/api/tasks")
async def create_task(call: Call) -> Response:
    """Create one task."""
    body = await json_body(call, wire.Task)
    if body.project is UNSET or body.data is UNSET:
        raise invalid("project" if body.project is UNSET else "data", "This field is required.")
    project, text = body.project, bytes(body.data)
    data, meta = decode(text, object), _meta(body)
    if not isinstance(data, dict | list):
        raise invalid("data", "Task[data] must be dict or list")

    def create(tx: Tx) -> Reply:
        page = tasks.add(tx, call.who, project, data=data, body=text.decode(), meta=meta)
        return json_reply(task_core(page, page.records[0]), 201)

    return await call.write_once(await call.body(), create)


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


@dialect.route("DELETE", ONE)
async def delete_task(call: Call) -> Response:
    """Delete a task with its annotations."""
    number = call.number("task")
    await call.write(lambda tx: tasks.delete(tx, call.who, number))
    return Response(status_code=204)


@dialect.route("GET", "/api/tasks")
async def list_tasks(call: Call) -> Response:
    """A page of a project's tasks, in id order unless the query turns it round."""
    if call.query("view") is not None or flag(call, "only_annotated", False):
        raise NotBuilt("headrace does not have the parameters view and only_annotated yet")
    if call.query("project") is None:
        return json_answer({"detail": "Neither project nor view id specified"}, 404)
    page, size = page_number(call), page_size(call, PAGE_DEFAULT, MAX_ID)
    listing = Listing(
        project=_project(call),
        skip=(page - 1) * (size or 0),
        limit=size,
        newest_first=_newest_first(call),
        include=tuple(names(call, "include")),
        whole=call.query("fields") == "all",
    )
    first, totals = await call.read(lambda tx: _first(tx, call, listing))
    if page > 1 and not first.records:
        raise no_page()
    head = {"total_annotations": totals[0], "total_predictions": totals[1], "total": first.total}
    opening = encode(head)[:-1] + b',"tasks":['
    return await _answer(call, listing, first, opening, b"]}")


@dialect.route("GET", "/api/projects/{project}/tasks")
async def list_project_tasks(call: Call) -> Response:
    """A project's tasks, newest first, as a plain array."""
    page, size = page_number(call), page_size(call, PAGE_DEFAULT, MAX_ID)
    listing = Listing(
        project=call.number("project"),
        skip=(page - 1) * (size or 0),
        limit=size,
        newest_first=True,
        include=(),
        whole=True,
    )
    first, _ = await call.read(lambda tx: _first(tx, call, listing))
    if page > 1 and not first.records:
        raise no_page()
    return await _answer(call, listing, first, b"[", b"]")


def _project(call: Call) -> int:
    text = call.query("project") or ""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise invalid("project", f"'{text[:40]}' is not the id of a project")
    return int(text)


def _newest_first(call: Call) -> bool:
    """The order that the query asks for; raises NotBuilt, naming it, for what is not built yet."""
    text = call.query("query")
    if not text:
        return False
    try:
        query = decode(text.encode(), wire.Query)
    except UnicodeEncodeError as error:
        raise invalid("query", "the query is not valid Unicode text") from error
    except Invalid as error:
        raise invalid("query", error.message) from error
    if query.filters is not None and query.filters.items:
        raise NotBuilt("headrace does not have filters in the query of the task list yet")
    if query.selected is not None and (not query.selected.all or query.selected.excluded):
        raise NotBuilt("headrace does not have selectedItems in the query of the task list yet")
    ordering = query.ordering or ["tasks:id"]
    if len(ordering) > 1 or ordering[0] not in ID_ORDERS:
        raise NotBuilt(f"headrace orders the task list only by tasks:id yet, not by {', '.join(ordering)[:80]}")
    return ID_ORDERS[ordering[0]]


def _first(tx: Tx, call: Call, listing: Listing) -> tuple[TaskPage, tuple[int, int]]:
    page = _page(tx, call, listing, 0)
    return page, tasks.totals(tx, page.dataset)


def _page(tx: Tx, call: Call, listing: Listing, done: int) -> TaskPage:
    """The next tasks of a listing of which `done` have been read, at most CHUNK."""
    limit = CHUNK if listing.limit is None else min(CHUNK, listing.limit - done)
    skip = min(listing.skip + done, MAX_ID)
    return tasks.page(tx, call.who, listing.project, skip=skip, limit=limit, newest_first=listing.newest_first)


async def _answer(call: Call, listing: Listing, first: TaskPage, opening: bytes, closing: bytes) -> Response:
    """The tasks of a listing between two pieces of JSON; more than a chunk is sent as it is read."""
    if len(first.records) < CHUNK or len(first.records) == listing.limit:
        body = opening + await asyncio.to_thread(_encoded, first, listing) + closing
        return Response(body, media_type="application/json")
    return StreamingResponse(_streamed(call, listing, first, opening, closing), media_type="application/json")


async def _streamed(
    call: Call, listing: Listing, first: TaskPage, opening: bytes, closing: bytes
) -> AsyncIterator[bytes]:
    page, done = first, 0
    yield opening
    while page.records:
        yield (b"," if done else b"") + await asyncio.to_thread(_encoded, page, listing)
        done += len(page.records)
        if listing.limit is not None and done >= listing.limit:
            break
        page = await call.read(lambda tx, done=done: _page(tx, call, listing, done))  # type: ignore[misc]
    yield closing


def _encoded(page: TaskPage, listing: Listing) -> bytes:
    """The tasks of a page as the members of a JSON array."""
    config = config_of(page.dataset)
    shown = [_shown(task_json(page, record, config), listing) for record in page.records]
    return encode(shown)[1:-1]


def _shown(task: dict[str, object], listing: Listing) -> dict[str, object]:
    if listing.include:
        return only(task, listing.include)
    return task if listing.whole else {name: value for name, value in task.items() if name not in WHOLE_ONLY}
