"""Imports in the asynchronous form: an upload is stored with its job and answered by the import's id.

A small one is carried out before the answer, and `Prefer: wait=N` waits for any other; then the answer tells what
became of it, in the synchronous form.
"""

import asyncio
import csv
import io
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from starlette.responses import Response, StreamingResponse

from headrace.core import import_rows, imports, tasks
from headrace.core.errors import NotFound
from headrace.core.idempotency import Reply
from headrace.core.import_rows import RowNote
from headrace.core.imports import FINAL, Import
from headrace.core.rights import Permission
from headrace.core.store import Tx
from headrace.decode import decode
from headrace.dialects.kit import Call, json_answer, json_reply
from headrace.dialects.label_studio import wire
from headrace.dialects.label_studio.boundary import dialect, flag, invalid, names, no_page, page_number, page_size
from headrace.dialects.label_studio.exports import file_headers
from headrace.dialects.label_studio.import_views import (
    ImportView,
    check_json,
    is_complete,
    receipt_json,
    refusal,
    row_json,
    status_json,
)
from headrace.dialects.label_studio.uploads import Piece, Received, batches, digest, received

AT_ONCE_BYTES = 1_000_000
AT_ONCE_SECONDS = 5.0
MAX_WAIT_SECONDS = 60
LOOK_SECONDS = 1.0
ECHOED_CHARACTERS = 2_000
ROWS_DEFAULT = 100
ROWS_MOST = 10_000
ON_ERROR = ("fail", "reject_rows")
LONGEST_KEY_NAME = 256
WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(;.*)?', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """An import that has been stored; a small one is carried out by whoever answers for it."""

    project: int
    number: int
    small: bool
    word: str = "import"


@dialect.route("POST", "/api/projects/{project}/import", "/api/projects/{project}/tasks/bulk")
async def start_import(call: Call) -> Response:
    """Store an upload and its job; a small one is carried out before the answer, which then tells its counts."""
    number = call.number("project")
    await call.read(lambda tx: tasks.load_project(tx, call.who, number, Permission.EDIT_MESSAGES))
    options = _options(call)
    async with received(call) as upload:
        begun = await _keep(call, number, upload, options)
    return await answer(call, begun)


@dialect.route("GET", "/api/projects/{project}/imports/{import}")
async def get_import(call: Call) -> Response:
    """Where an import stands, and what became of it."""
    project, number = call.number("project"), call.number("import")

    def read(tx: Tx) -> ImportView:
        known = imports.get(tx, call.who, project, number)
        if known.is_reimport:
            raise NotFound("there is no such import in the project", fields={"import": number})
        return seen(tx, known)

    return json_answer(status_json(await call.read(read)))


@dialect.route("GET", "/api/projects/{project}/imports/{import}/rows")
async def list_rows(call: Call) -> Response:
    """What became of each item of an import, page by page or as one CSV file."""
    if (call.query("format") or "json") not in ("json", "csv"):
        raise invalid("format", "the receipt comes as json or csv")
    if call.query("format") == "csv":
        return await _rows_file(call)
    page, size = page_number(call), page_size(call, ROWS_DEFAULT, ROWS_MOST) or ROWS_MOST
    total, notes = await call.read(lambda tx: _receipt(tx, call, (page - 1) * size, size))
    if page > 1 and not notes:
        raise no_page()
    following = page + 1 if page * size < total else None
    return json_answer({"count": total, "next": following, "rows": [row_json(note) for note in notes]})


def _receipt(tx: Tx, call: Call, first: int, count: int) -> tuple[int, list[RowNote]]:
    known = imports.get(tx, call.who, call.number("project"), call.number("import"))
    return import_rows.row_total(known), list(import_rows.receipt(tx, known, first, count))


async def _rows_file(call: Call) -> Response:
    first = await call.read(lambda tx: _receipt(tx, call, 0, ROWS_MOST))
    headers = file_headers(f"import-{call.number('import')}-rows.csv")
    return StreamingResponse(_lines(call, *first), media_type="text/csv", headers=headers)


def _lines(call: Call, total: int, notes: list[RowNote]) -> Iterator[str]:
    yield "row,task_id,status,reason\r\n"
    for done in range(ROWS_MOST, total + ROWS_MOST, ROWS_MOST):
        text = io.StringIO()
        csv.writer(text).writerows(row_json(note).values() for note in notes)
        yield text.getvalue()
        _, notes = call.services.store.read(lambda tx, at=done: _receipt(tx, call, at, ROWS_MOST))  # type: ignore[misc]


def _options(call: Call) -> dict[str, object]:
    """The parameters of an import as they are kept and echoed."""
    on_error, key = call.query("on_error") or "fail", call.query("external_id")
    if on_error not in ON_ERROR:
        raise invalid("on_error", f"'{on_error[:40]}' is none of {', '.join(ON_ERROR)}")
    if key is not None and not 1 <= len(key) <= LONGEST_KEY_NAME:
        raise invalid("external_id", f"This must name a data key of 1 to {LONGEST_KEY_NAME} characters.")
    return {
        "commit_to_project": flag(call, "commit_to_project", True),
        "return_task_ids": flag(call, "return_task_ids", False),
        "preannotated_from_fields": names(call, "preannotated_from_fields", ",;|") or None,
        "dry_run": flag(call, "dry_run", False),
        "on_error": on_error,
        "external_id": key,
    }


async def answer(call: Call, begun: Begun) -> Response:
    """The answer for an import that has been stored, once it has ended or nobody will wait for it any longer.

    Raises Invalid in the synchronous form when the caller wanted to wait and the import failed.
    """
    wait = _wait(call)
    known = await _known(call, begun)
    if begun.small and not is_complete(known):
        await call.services.jobs.run_now(known.job_id)
        known = await _known(call, begun)
    check = bool(known.options.get("dry_run"))
    if wait or check:
        known = await _ended(call, begun, MAX_WAIT_SECONDS if wait is None else wait)
    applied = {} if wait is None else {"Preference-Applied": f"wait={wait}"}
    view = await call.read(lambda tx: seen(tx, known))
    if check and known.state in FINAL:
        return json_answer(check_json(view), 201, applied)
    if wait is not None and known.state in FINAL:
        if not is_complete(known):
            raise refusal(known)
        place = f"/api/projects/{begun.project}/{begun.word}s/{begun.number}/"
        return json_answer(receipt_json(view), 201, {**applied, "Location": place})
    receipt = receipt_json(view) if is_complete(known) else {}
    return json_answer({begun.word: begun.number, **receipt}, 201, applied)


def seen(tx: Tx, known: Import) -> ImportView:
    """An import as it is shown: the ids only when the caller asked for them and all are there."""
    wanted = known.options["return_task_ids"] and is_complete(known)
    return ImportView(
        known=known,
        record_ids=import_rows.record_ids(tx, known) if wanted and not known.options.get("dry_run") else [],
        progress=imports.progress(tx, known),
    )


def _wait(call: Call) -> int | None:
    """The seconds a caller prefers to wait (RFC 7240), at most MAX_WAIT_SECONDS; of several the first counts."""
    given = (part for line in call.request.headers.getlist("prefer") for part in line.split(","))
    found = next((match for part in given if (match := WAIT.fullmatch(part))), None)
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else None


async def _known(call: Call, begun: Begun) -> Import:
    return await call.read(lambda tx: imports.get(tx, call.who, begun.project, begun.number))


async def _ended(call: Call, begun: Begun, seconds: int) -> Import:
    """The import once it has ended or so many seconds have passed.

    This process tells when its own worker is done; for another node's a look now and then must do.
    """
    deadline = time.monotonic() + seconds
    known = await _known(call, begun)
    with call.services.jobs.watch(known.job_id) as over:
        while True:
            over.clear()
            known = await _known(call, begun)
            left = deadline - time.monotonic()
            if known.state in FINAL or left <= 0:
                return known
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), min(LOOK_SECONDS, left))


async def _keep(call: Call, number: int, upload: Received, options: dict[str, object]) -> Begun:
    """Store an upload and start its import with the last of it.

    What was stored on the way is discarded when no import takes it: the request failed, or was a repetition.
    """
    url = (upload.fetch or "").encode()
    told = call.request.url.query.encode() + b"\0" + url + await asyncio.to_thread(digest, upload.parts)
    pending = batches(upload.parts)
    upload_ids: list[int] = []
    batch = await asyncio.to_thread(_next, pending)
    try:
        while following := await asyncio.to_thread(_next, pending):
            upload_ids = await call.write(partial(store, upload, upload_ids, batch))
            batch = following
        size = sum(len(piece.data) for piece in batch)
        small = not upload_ids and upload.fetch is None and size <= AT_ONCE_BYTES
        kept = {**options, "kind": upload.kind, "url": _echoed(upload.url)}
        if upload.fetch is not None:
            kept |= {"fetch": upload.fetch, "file_name": upload.fetch_name}
        start = partial(
            _start, call, number, kept, partial(store, upload, upload_ids, batch), AT_ONCE_SECONDS if small else 0.0
        )
        response = await call.write_once(told, start)
    finally:
        if upload_ids:
            await call.write(partial(discard, upload_ids))
    return Begun(project=number, number=decode(bytes(response.body), wire.Started).number, small=small)


def _next(pending: Iterator[list[Piece]]) -> list[Piece]:
    return next(pending, [])


def store(upload: Received, known: Sequence[int], batch: Sequence[Piece], tx: Tx) -> list[int]:
    """Store pieces behind those stored already; answers the ids of the parts begun so far."""
    upload_ids = list(known)
    for piece in batch:
        if piece.part == len(upload_ids):
            upload_ids.append(tx.imports.add_upload(upload.parts[piece.part].name))
        tx.imports.append(upload_ids[piece.part], piece.sequence, piece.data)
    return upload_ids


def _echoed(url: str | None) -> str | None:
    """The form field `url` as the status tells it; null when it is long, for that is a payload and no address."""
    return url if url and len(url) <= ECHOED_CHARACTERS else None


def _start(
    call: Call,
    number: int,
    options: Mapping[str, object],
    stored: Callable[[Tx], Sequence[int]],
    delay: float,
    tx: Tx,
) -> Reply:
    dataset = tasks.load_project(tx, call.who, number, Permission.EDIT_MESSAGES)
    upload_ids = stored(tx)
    keeps = options["kind"] == "files" and not options["dry_run"]
    kept = {**options, "file_upload_ids": upload_ids if keeps else []}
    made = imports.start(tx, call.who, dataset, options=kept, upload_ids=upload_ids, delay=delay)
    return json_reply({"import": made.id}, 201)


def discard(upload_ids: Sequence[int], tx: Tx) -> None:
    """Forget those of the payloads that no import has taken."""
    tx.imports.discard(upload_ids)
