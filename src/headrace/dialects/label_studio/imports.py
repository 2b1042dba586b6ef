"""Imports in the asynchronous form: an upload is stored with its job and answered by the import's id."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from starlette.responses import Response

from headrace.core import imports, tasks
from headrace.core.errors import NotBuilt
from headrace.core.idempotency import Reply
from headrace.core.imports import Import, ImportState
from headrace.core.rights import Permission
from headrace.core.store import Tx
from headrace.decode import decode
from headrace.dialects.kit import Call, json_answer, json_reply
from headrace.dialects.label_studio import wire
from headrace.dialects.label_studio.boundary import dialect, flag, names
from headrace.dialects.label_studio.translate import import_json, import_receipt
from headrace.dialects.label_studio.uploads import Piece, Received, batches, digest, received

AT_ONCE_BYTES = 1_000_000
AT_ONCE_SECONDS = 5.0
ECHOED_CHARACTERS = 2_000


@dialect.route("POST", "/api/projects/{project}/import", "/api/projects/{project}/tasks/bulk")
async def start_import(call: Call) -> Response:
    """Store an upload and its job; a small one is carried out before the answer, which then tells its counts."""
    number = call.number("project")
    await call.read(lambda tx: tasks.load_project(tx, call.who, number, Permission.EDIT_MESSAGES))
    options = _options(call)
    async with received(call) as upload:
        import_id, small = await _keep(call, number, upload, options)
    known = await call.read(lambda tx: imports.get(tx, call.who, number, import_id))
    if small and known.state is not ImportState.COMPLETED:
        await call.services.jobs.run_now(known.job_id)
        known = await call.read(lambda tx: imports.get(tx, call.who, number, import_id))
    return json_answer({"import": import_id, **_receipt(known)}, 201)


@dialect.route("GET", "/api/projects/{project}/imports/{import}")
async def get_import(call: Call) -> Response:
    """Where an import stands, and what became of it."""
    project, number = call.number("project"), call.number("import")
    return json_answer(import_json(await call.read(lambda tx: imports.get(tx, call.who, project, number))))


def _options(call: Call) -> dict[str, object]:
    """The parameters of an import as they are kept and echoed."""
    if not flag(call, "commit_to_project", True):
        raise NotBuilt("headrace does not keep uploads without importing them yet (commit_to_project=false)")
    return {
        "commit_to_project": True,
        "return_task_ids": flag(call, "return_task_ids", False),
        "preannotated_from_fields": names(call, "preannotated_from_fields", ",;|") or None,
    }


def _receipt(known: Import) -> dict[str, object]:
    return import_receipt(known) if known.state is ImportState.COMPLETED else {}


async def _keep(call: Call, number: int, upload: Received, options: dict[str, object]) -> tuple[int, bool]:
    """Store an upload and start its import with the last of it; answers the import's id and whether it is small.

    What was stored on the way is discarded when no import takes it: the request failed, or was a repetition.
    """
    told = call.request.url.query.encode() + b"\0" + await asyncio.to_thread(digest, upload.parts)
    pending = batches(upload.parts)
    upload_ids: list[int] = []
    batch = await asyncio.to_thread(_next, pending)
    try:
        while following := await asyncio.to_thread(_next, pending):
            upload_ids = await call.write(partial(_store, upload, upload_ids, batch))
            batch = following
        small = not upload_ids and sum(len(piece.data) for piece in batch) <= AT_ONCE_BYTES
        delay = AT_ONCE_SECONDS if small else 0.0
        store = partial(_store, upload, upload_ids, batch)
        start = partial(
            _start, call, number, {**options, "kind": upload.kind, "url": _echoed(upload.url)}, store, delay
        )
        response = await call.write_once(told, start)
    finally:
        if upload_ids:
            await call.write(partial(_discard, upload_ids))
    return decode(bytes(response.body), wire.Started).number, small


def _next(pending: Iterator[list[Piece]]) -> list[Piece]:
    return next(pending, [])


def _store(upload: Received, known: Sequence[int], batch: Sequence[Piece], tx: Tx) -> list[int]:
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
    store: Callable[[Tx], Sequence[int]],
    delay: float,
    tx: Tx,
) -> Reply:
    dataset = tasks.load_project(tx, call.who, number, Permission.EDIT_MESSAGES)
    upload_ids = store(tx)
    kept = {**options, "file_upload_ids": upload_ids if options["kind"] == "files" else []}
    made = imports.start(tx, call.who, dataset, options=kept, upload_ids=upload_ids, delay=delay)
    return json_reply({"import": made.id}, 201)


def _discard(upload_ids: Sequence[int], tx: Tx) -> None:
    tx.imports.discard(upload_ids)
