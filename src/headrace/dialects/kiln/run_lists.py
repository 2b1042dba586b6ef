"""Lists of runs: whole, in pages, as summaries; tag counts, conversations, and the feed of changes."""

import asyncio
import base64
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import Response, StreamingResponse

from headrace.core import feedback, origins, run_lists, run_values
from headrace.core.errors import Invalid
from headrace.core.positions import START, from_token, to_token
from headrace.core.records import Record
from headrace.core.run_lists import Changes, Deleted, RunFilter, RunPage, Said, following
from headrace.core.runs import Place
from headrace.core.store import Tx
from headrace.core.times import parse_timestamp
from headrace.decode import encode, parse
from headrace.dialects.kiln.boundary import (
    RUN,
    RUNS,
    TASK,
    Refused,
    dialect,
    ident,
    place,
    query_count,
    query_flag,
    query_issue,
)
from headrace.dialects.kiln.runs import included
from headrace.dialects.kiln.translate import feedback_json, origin_json, run_text
from headrace.dialects.kit import Call, json_answer, json_bytes

log = logging.getLogger("headrace")

CHUNK = 1_000
LARGEST_PAGE = 10_000
CHANGES_DEFAULT = 100
MAX_WAIT = 60
LOOK_EVERY = 0.2
"""Seconds between two looks of a waiting request."""
FEEDBACK = "feedback"
MAX_INT = 2**62
DAMAGE = (Invalid, ValueError, LookupError, TypeError, AttributeError)
"""What reading a stored text that is no run, or no JSON at all, can raise."""
CURSOR = re.compile(r"(-?[0-9]{1,18})\.([0-9]{1,18})", re.ASCII)


def wanted_runs(call: Call) -> RunFilter:
    """What the query asks for; raises Unprocessable."""
    since = call.query("updated_since")
    return RunFilter(
        limit=query_count(call, "limit", MAX_INT) or MAX_INT,
        after=_cursor(call.query("cursor")),
        tags=tuple(dict.fromkeys(call.queries("tag"))),
        rated=query_flag(call, "rated"),
        updated_since=None if since is None else _instant(since),
        external_id=call.query("external_id"),
    )


def _instant(text: str) -> int:
    try:
        return parse_timestamp(text)
    except Invalid as error:
        raise query_issue("updated_since", "datetime_parsing", error.message, text) from error


def _cursor(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        found = CURSOR.fullmatch(base64.b64decode(text, altchars=b"-_", validate=True).decode())
    except ValueError:
        found = None
    if found is None:
        raise query_issue("cursor", "value_error", "Input should be a cursor that this server gave out", text)
    return int(found[1]), int(found[2])


def cursor_of(record: Record) -> str:
    """Where a list goes on behind a record, as opaque text."""
    return base64.b64encode(f"{record.timestamp}.{record.id}".encode(), altchars=b"-_").decode()


@dialect.route("GET", RUNS)
async def list_runs(call: Call) -> Response:
    """The runs of a task as an array, newest first."""
    where, wanted, include = place(call), wanted_runs(call), included(call)
    size = wanted.limit if wanted.limit <= LARGEST_PAGE else CHUNK

    def read(tx: Tx) -> tuple[RunPage, bytes]:
        # Spliced in the thread that read, so that a large answer does not hold up the event loop.
        page = run_lists.page(tx, call.who, where, replace(wanted, limit=size))
        return page, _members(page, include)

    first, members = await call.read(read)
    if len(first.records) < size or size == wanted.limit:
        return json_bytes(b"[" + members + b"]", headers=_next(call, first, wanted))
    return StreamingResponse(_streamed(call, where, wanted, first, members), media_type="application/json")


def _next(call: Call, page: RunPage, wanted: RunFilter) -> dict[str, str]:
    """Where the next page is, for a caller that asked for a page and got a full one."""
    if len(page.records) < wanted.limit:
        return {}
    cursor = cursor_of(page.records[-1])
    url = call.request.url.include_query_params(cursor=cursor).remove_query_params("api_key")
    return {"X-Next-Cursor": cursor, "Link": f'<{url.path}?{url.query}>; rel="next"'}


async def _streamed(
    call: Call, where: Place, wanted: RunFilter, first: RunPage, members: bytes
) -> AsyncIterator[bytes]:
    include, page, left = included(call), first, wanted.limit
    yield b"["
    between = b""
    while page.records:
        if members:
            yield between + members
            between = b","
        left -= len(page.records)
        if left <= 0:
            break
        wanted = replace(following(wanted, page.records[-1]), limit=min(CHUNK, left))

        def read(tx: Tx, wanted: RunFilter = wanted) -> tuple[RunPage, bytes]:
            page = run_lists.page(tx, call.who, where, wanted)
            return page, _members(page, include)

        page, members = await call.read(read)
    yield b"]"


def _members(page: RunPage, include: Sequence[str]) -> bytes:
    """The runs of a page as the members of an array; one whose stored text is damaged is left out and logged."""
    try:
        members = ",".join([run_text(record, page.text_keys, include) for record in page.records]).encode()
        parse(b"[%b]" % members)
    except DAMAGE:
        # One by one only when something is wrong: looking at all of them at once costs a fraction.
        texts = (readable(record, page.text_keys, include) for record in page.records)
        return ",".join([text for text in texts if text is not None]).encode()
    return members


def readable(record: Record, text_keys: Sequence[str], include: Sequence[str] = ()) -> str | None:
    """A record as a run, or None when its stored text is damaged."""
    try:
        text = run_text(record, text_keys, include)
        parse(text.encode())
    except DAMAGE:
        log.error("the record %s cannot be read as a run", record.id)
        return None
    return text


@dialect.route("GET", TASK + "/runs_summaries")
async def list_summaries(call: Call) -> Response:
    """The runs of a task in short, newest first."""
    where, wanted = place(call), wanted_runs(call)

    def read(tx: Tx) -> list[bytes]:
        page = run_lists.page(tx, call.who, where, replace(wanted, limit=min(wanted.limit, LARGEST_PAGE)))
        summaries = (_summary(record, page.text_keys) for record in page.records)
        return [encode(summary) for summary in summaries if summary]

    pieces = await call.read(read)
    return json_bytes(b"[" + b",".join(pieces) + b"]")


def _summary(record: Record, text_keys: Sequence[str]) -> dict[str, Any] | None:
    text = readable(record, text_keys)
    if text is None:
        return None
    run = json.loads(text)
    output, source = run["output"], run["input_source"]
    made_by = output["source"] or {}
    return {
        "id": run["id"],
        "rating": output["rating"],
        "created_at": run["created_at"],
        "input_preview": run_values.preview(run["input"]),
        "output_preview": run_values.preview(output["output"]),
        "repair_state": run_values.repair_state(run),
        "model_name": made_by.get("properties", {}).get("model_name"),
        "input_source": source["type"] if source else None,
        "tags": run["tags"],
    }


@dialect.route("GET", TASK + "/tags")
async def count_tags(call: Call) -> Response:
    """How many runs have each tag."""
    where = place(call)
    return json_answer(await call.read(lambda tx: run_lists.tag_counts(tx, call.who, where)))


@dialect.route("GET", RUN + "/chain")
async def get_chain(call: Call) -> Response:
    """The conversation that a run ends."""
    where, run = place(call), ident(call, "run")

    def read(tx: Tx) -> run_lists.Chain:
        try:
            return run_lists.chain(tx, call.who, where, run)
        except Invalid as error:
            raise Refused(error.message) from error

    chain = await call.read(read)
    turns = [
        {"run_id": str(turn.run_id), "turn_index": place_in_chain, "trace_start_index": turn.trace_start}
        for place_in_chain, turn in enumerate(chain.turns, start=1)
    ]
    return json_answer({"chain": turns, "chain_broken": chain.broken, "has_children": chain.followed})


@dialect.route("GET", TASK + "/changes")
async def list_changes(call: Call) -> Response:
    """What happened to the runs of a task behind a cursor, in the order in which it happened; none means all.

    `wait` holds an answer without changes back until there is one, at most so many seconds.
    """
    until = time.monotonic() + _wait(call)
    limit = query_count(call, "limit", CHUNK) or CHANGES_DEFAULT
    token = call.query("cursor")
    while True:
        answer, token, over = await _changes(call, token, limit)
        if over or time.monotonic() >= until or await call.request.is_disconnected():
            return json_bytes(answer)
        await asyncio.sleep(LOOK_EVERY)


def _wait(call: Call) -> int:
    text = call.query("wait") or "0"
    if not re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) or int(text) > MAX_WAIT:
        message = f"Input should be a whole number from 0 to {MAX_WAIT}"
        raise query_issue("wait", "int_parsing", message, text)
    return int(text)


async def _changes(call: Call, token: str | None, limit: int) -> tuple[bytes, str, bool]:
    """A page of changes, the cursor behind it, and whether it is worth an answer: it has changes, or more follow."""
    where, with_feedback = place(call), FEEDBACK in ",".join(call.queries("include")).split(",")

    def read(tx: Tx) -> tuple[bytes, str, bool]:
        position = START
        if token:
            try:
                position = from_token(token, epoch=tx.epoch, owner=where[1], field="cursor")
            except Invalid as error:
                raise query_issue("cursor", "value_error", error.message, token) from error
        changes = run_lists.changes(tx, call.who, where, position, limit)
        cursor = to_token(changes.position, epoch=tx.epoch, owner=where[1])
        items = list(_changed(changes, _said(tx, changes) if with_feedback else None))
        at_end = "true" if changes.at_end else "false"
        answer = f'{{"changes":[{",".join(items)}],"cursor":"{cursor}","at_end":{at_end}}}'
        return answer.encode(), cursor, bool(items) or not changes.at_end

    return await call.read(read)


def _changed(changes: Changes, said: Callable[[int], str] | None) -> Iterator[str]:
    """The changes as JSON texts; `said` gives the feedback on a run, for a caller that wants it."""
    for item in changes.items:
        if isinstance(item, Record):
            text = readable(item, changes.page.text_keys, ("updated_at", "external_id"))
            if text is not None:
                more = "" if said is None else f',"feedback":{said(item.id)}'
                yield f'{{"type":"run","run":{text}{more}}}'
        elif isinstance(item, Deleted):
            yield from (f'{{"type":"deleted","run_id":"{run_id}"}}' for run_id in item.record_ids)
        elif said is not None:
            yield f'{{"type":"feedback","run_id":"{item.record_id}","feedback":{said(item.record_id)}}}'


def _said(tx: Tx, changes: Changes) -> Callable[[int], str]:
    """What is said of the runs of a page of changes, as the JSON text of an array."""
    changed = {item.id for item in changes.items if isinstance(item, Record)}
    told = {item.record_id for item in changes.items if isinstance(item, Said)}
    found = tx.feedback.of_records(sorted(changed | told))
    every = [item for items in found.values() for item in items]
    people = feedback.authors(tx, every)
    known = tx.origins.of(origins.FEEDBACK, [item.id for item in every])

    def said(record_id: int) -> str:
        of_run = ((item, known.get(item.id)) for item in found.get(record_id, []))
        told = [feedback_json(item, people.get(item.author_id), came) | origin_json(came) for item, came in of_run]
        return encode(told).decode()

    return said
