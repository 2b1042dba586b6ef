"""The event feed: what happened, in the order it was committed, behind a cursor that the caller keeps.

    GET /headrace/v1/events?after=<cursor>&project=<name>&dataset=<project>/<name>&kind=<kind>&limit=100&wait=30

Without `after` the feed begins with the first event there is; `after=now` gives a cursor for what comes from now on.
`kind` may be repeated; `annotation` stands for every kind of that noun. `wait` holds an empty answer back until
something wanted happens, at most so many seconds. The answer's `cursor` is the next request's `after`.
"""

import asyncio
import time

from starlette.responses import Response

from headrace.core import feed
from headrace.core.errors import Invalid
from headrace.core.events import Event
from headrace.core.feed import FeedPage, FeedRequest
from headrace.core.times import format_timestamp
from headrace.dialects.headrace.boundary import BASE, dialect, number
from headrace.dialects.kit import Call, json_answer

MAX_WAIT = 60
MAX_KINDS = 50
LOOK_EVERY = 0.2
"""Seconds between two looks of a waiting request; one look costs a tenth of a millisecond."""


@dialect.route("GET", f"{BASE}/events")
async def list_events(call: Call) -> Response:
    """Events behind a cursor, oldest first; `wait` makes it a long poll."""
    wait = number(call, "wait", 0, 0, MAX_WAIT)
    request = _request(call)
    until = time.monotonic() + wait
    page = await call.read(lambda tx: feed.read(tx, call.who, request))
    while not page.events and page.at_end and time.monotonic() < until and not await call.request.is_disconnected():
        await asyncio.sleep(LOOK_EVERY)
        request = _request(call, page.cursor)
        page = await call.read(lambda tx, request=request: feed.read(tx, call.who, request))  # type: ignore[misc]
    return json_answer(page_json(page))


def _request(call: Call, after: str | None = None) -> FeedRequest:
    kinds = tuple(kind for kind in call.queries("kind") if kind)
    if len(kinds) > MAX_KINDS:
        raise Invalid(f"kind may be given {MAX_KINDS} times", fields={"kind": len(kinds)})
    project, name = _dataset(call.query("dataset"))
    return FeedRequest(
        after=after or call.query("after") or None,
        project=call.query("project"),
        dataset=None if name is None else (project, name),
        kinds=kinds,
        limit=number(call, "limit", feed.DEFAULT_LIMIT, 1, feed.MAX_LIMIT),
    )


def _dataset(text: str | None) -> tuple[str, str | None]:
    project, slash, name = (text or "").partition("/")
    if text is not None and not (project and slash and name):
        raise Invalid("dataset must be <project>/<name>", fields={"dataset": text[:80]})
    return project, name if text is not None else None


def page_json(page: FeedPage) -> dict[str, object]:
    """A page of the feed as it is answered."""
    events = [event_json(event, cursor) for event, cursor in zip(page.events, page.cursors, strict=True)]
    return {"events": events, "cursor": page.cursor, "at_end": page.at_end}


def event_json(event: Event, cursor: str) -> dict[str, object]:
    """One event; ids are integers, `at` is a time in UTC."""
    return {
        "id": event.id,
        "cursor": cursor,
        "at": format_timestamp(event.at),
        "kind": event.kind,
        "actor": event.actor_id,
        "project": event.project_id,
        "dataset": event.dataset_id,
        "subject": event.subject_id,
        "data": event.data,
    }
