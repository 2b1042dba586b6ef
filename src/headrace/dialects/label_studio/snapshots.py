"""Snapshots: exports that are made in the background, kept, converted and downloaded."""

from collections.abc import Iterator

import msgspec
from starlette.responses import Response, StreamingResponse

from headrace.core import snapshots, task_export
from headrace.core.idempotency import Reply
from headrace.core.snapshots import Snapshot, SnapshotFile, SnapshotState
from headrace.core.store import Tx
from headrace.core.task_export import ExportFormat
from headrace.core.times import format_timestamp
from headrace.decode import decode
from headrace.dialects.kit import Call, json_answer, json_reply
from headrace.dialects.label_studio import wire
from headrace.dialects.label_studio.boundary import dialect, json_body
from headrace.dialects.label_studio.exports import file_headers, file_name
from headrace.dialects.label_studio.translate import Json, author_json

STEM = "/api/projects/{project}/exports"
ONE = STEM + "/{export}"
SMALL_TASKS = 1_000
AT_ONCE_SECONDS = 5.0
OPTIONS = ("task_filter_options", "annotation_filter_options", "serialization_options")


@dialect.route("POST", STEM)
async def create_snapshot(call: Call) -> Response:
    """Begin a snapshot; that of a small project is completed before the answer."""
    number = call.number("project")
    body = await json_body(call, wire.Snapshot) if await call.body() else wire.Snapshot()
    options = {name: msgspec.to_builtins(getattr(body, name)) for name in OPTIONS}

    def create(tx: Tx) -> Reply:
        made = snapshots.create(tx, call.who, number, title=body.title or "", options=options, delay=AT_ONCE_SECONDS)
        return json_reply({"id": made.id}, 201)

    reply = await call.write_once(await call.body(), create)
    made = decode(bytes(reply.body), wire.Made).id
    known = await call.read(lambda tx: snapshots.get(tx, call.who, number, made))
    await _at_once(call, number, known.content)
    return json_answer(await call.read(lambda tx: _shown(tx, snapshots.get(tx, call.who, number, made))), 201)


async def _at_once(call: Call, project: int, file: SnapshotFile) -> None:
    """Have a file of a small project made before the answer; the others are left to the worker."""
    if file.state is SnapshotState.CREATED and await call.read(lambda tx: snapshots.is_small(tx, project, SMALL_TASKS)):
        await call.services.jobs.run_now(file.job_id)


@dialect.route("GET", STEM)
async def list_snapshots(call: Call) -> Response:
    """The snapshots of a project, newest first."""
    number = call.number("project")
    found = await call.read(lambda tx: [_shown(tx, item) for item in snapshots.list_snapshots(tx, call.who, number)])
    return json_answer(found)


@dialect.route("GET", ONE)
async def get_snapshot(call: Call) -> Response:
    """Where a snapshot and its conversions stand."""
    project, number = call.number("project"), call.number("export")
    return json_answer(await call.read(lambda tx: _shown(tx, snapshots.get(tx, call.who, project, number))))


@dialect.route("DELETE", ONE)
async def delete_snapshot(call: Call) -> Response:
    """Delete a snapshot with its files."""
    project, number = call.number("project"), call.number("export")
    await call.write(lambda tx: snapshots.delete(tx, call.who, project, number))
    return Response(status_code=204)


@dialect.route("POST", ONE + "/convert")
async def convert_snapshot(call: Call) -> Response:
    """Have a snapshot converted; asked for twice, it happens once."""
    project, number = call.number("project"), call.number("export")
    wished = task_export.export_format((await json_body(call, wire.Conversion)).export_type)
    file = await call.write(lambda tx: snapshots.convert(tx, call.who, project, number, wished, delay=AT_ONCE_SECONDS))
    await _at_once(call, project, file)
    return json_answer({"export_type": wished.value, "converted_format": file.id})


@dialect.route("GET", ONE + "/download")
async def download_snapshot(call: Call) -> Response:
    """The file of a snapshot in a format, which must have been converted."""
    project, number = call.number("project"), call.number("export")
    name = call.query("exportType") or call.query("export_type") or ExportFormat.JSON
    wished = task_export.export_format(name)
    _, file = await call.write(lambda tx: snapshots.download(tx, call.who, project, number, wished))
    headers = {
        **file_headers(file_name(project, str(file.md5)[:8], wished)),
        "Content-Length": str(file.size),
    }
    return StreamingResponse(_bytes(call, file), media_type=wished.media_type, headers=headers)


def _bytes(call: Call, file: SnapshotFile) -> Iterator[bytes]:
    sequence = 0
    while piece := call.services.store.read(lambda tx, at=sequence: tx.snapshots.piece(file.id, at)):  # type: ignore[misc]
        yield piece
        sequence += 1


def _shown(tx: Tx, snapshot: Snapshot) -> Json:
    author = tx.users.get(snapshot.author_id)
    finished = snapshot.finished_at
    return {
        "id": snapshot.id,
        "title": snapshot.title,
        "created_by": author_json(author) if author else None,
        "created_at": format_timestamp(snapshot.created_at),
        "finished_at": None if finished is None else format_timestamp(finished),
        "status": snapshot.content.state.value,
        "md5": snapshot.content.md5,
        "counters": {"task_number": snapshot.task_count},
        "converted_formats": [
            {"id": file.id, "status": file.state.value, "export_type": file.format.value, "traceback": file.error}
            for file in snapshot.files[1:]
        ],
        **snapshot.options,
    }
