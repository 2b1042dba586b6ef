"""The files that were uploaded to a project: listed, read, replaced, deleted, and imported anew."""

from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from headrace.core import imports, tasks, uploads
from headrace.core.errors import NotFound
from headrace.core.idempotency import Reply
from headrace.core.rights import Permission
from headrace.core.store import Tx
from headrace.core.uploads import FileUpload
from headrace.decode import decode
from headrace.dialects.kit import MAX_ID, Call, json_answer, json_reply
from headrace.dialects.label_studio import wire
from headrace.dialects.label_studio.boundary import dialect, flag, invalid, json_body
from headrace.dialects.label_studio.import_views import ImportView, reimport_json
from headrace.dialects.label_studio.imports import AT_ONCE_BYTES, AT_ONCE_SECONDS, Begun, answer, discard, seen, store
from headrace.dialects.label_studio.translate import Json
from headrace.dialects.label_studio.uploads import batches, one_file

OF_PROJECT = "/api/projects/{project}/file-uploads"
ONE = "/api/import/file-upload/{upload}"
OPAQUE = "application/octet-stream"
MEDIA_TYPES = {
    ".bmp": "image/bmp",
    ".csv": "text/csv",
    ".flac": "audio/flac",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
}
"""Types that a browser shows without carrying anything out; pages and drawings that could hold scripts are opaque."""


def file_json(file: FileUpload) -> Json:
    """A file in answers."""
    return {"id": file.id, "file": f"upload/{file.dataset_id}/{file.name}", "size": file.size}


@dialect.route("GET", OF_PROJECT)
async def list_file_uploads(call: Call) -> Response:
    """The files of a project that the query names, or all of them; of a draft project all without a query."""
    number = call.number("project")
    ids, everything = _ids(call), flag(call, "all", False)

    def read(tx: Tx) -> list[FileUpload]:
        dataset = tasks.load_project(tx, call.who, number, Permission.VIEW_SOURCES)
        shows_all = everything or (ids is None and bool(dataset.settings.get("is_draft")))
        return uploads.list_files(tx, call.who, number, None if shows_all else ids or ())

    return json_answer([file_json(file) for file in await call.read(read)])


def _ids(call: Call) -> list[int] | None:
    """The ids in `ids=[1,2]`, `ids=1,2` or a repeated `ids`; None when the query names none."""
    given = call.queries("ids")
    parts = [part.strip() for text in given for part in text.strip().strip("[]").split(",") if part.strip()]
    if any(not part.isascii() or not part.isdigit() or len(part) > 19 or int(part) > MAX_ID for part in parts):
        raise invalid("ids", "A list of the ids of file uploads is expected, as in [1,2].")
    return [int(part) for part in parts] if given else None


@dialect.route("DELETE", OF_PROJECT)
async def delete_file_uploads(call: Call) -> Response:
    """Delete the files named, or all of a project; their tasks stay."""
    number = call.number("project")
    body = await json_body(call, wire.FileUploads) if await call.body() else wire.FileUploads()
    count = await call.write(lambda tx: uploads.delete(tx, call.who, number, body.file_upload_ids))
    return json_answer({"deleted": count})


@dialect.route("GET", ONE)
async def get_file_upload(call: Call) -> Response:
    """One file."""
    number = call.number("upload")
    return json_answer(file_json(await call.read(lambda tx: uploads.get(tx, call.who, number)[1])))


@dialect.route("DELETE", ONE)
async def delete_file_upload(call: Call) -> Response:
    """Delete one file; its tasks stay."""
    number = call.number("upload")
    await call.write(lambda tx: uploads.delete_one(tx, call.who, number))
    return Response(status_code=204)


@dialect.route("PATCH", ONE)
async def replace_file_upload(call: Call) -> Response:
    """Put another file in the place of one; its tasks stay as they are until it is imported anew."""
    number = call.number("upload")
    _, file = await call.read(lambda tx: uploads.get(tx, call.who, number, Permission.EDIT_MESSAGES))
    async with one_file(call) as upload:
        if upload is None:
            return json_answer(file_json(file))
        upload_ids: list[int] = []
        name = upload.parts[0].name
        try:
            for batch in batches(upload.parts):
                upload_ids = await call.write(partial(store, upload, upload_ids, batch))
            changed = await call.write(lambda tx: uploads.replace(tx, call.who, number, upload_ids[0], name))
        finally:
            await call.write(partial(discard, upload_ids))
    return json_answer(file_json(changed))


@dialect.route("GET", "/data/upload/{project}/{file}")
async def download_file_upload(call: Call) -> Response:
    """The bytes of a file, as something to be saved and never as a page of this server."""
    number, name = call.number("project"), call.text("file")
    file = await call.read(lambda tx: uploads.find(tx, call.who, number, name))
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        "Content-Length": str(file.size),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private",
    }
    kind = MEDIA_TYPES.get(PurePosixPath(file.name).suffix.lower(), OPAQUE)
    return StreamingResponse(_bytes(call, file), media_type=kind, headers=headers)


def _bytes(call: Call, file: FileUpload) -> Iterator[bytes]:
    after = -1
    while pieces := call.services.store.read(lambda tx, at=after: tx.imports.pieces(file.id, at, 1)):  # type: ignore[misc]
        after, data = pieces[0]
        yield data


@dialect.route("POST", "/api/projects/{project}/reimport")
async def start_reimport(call: Call) -> Response:
    """Import files anew in the place of the tasks that were made of them; without files there is nothing to do."""
    number = call.number("project")
    body = await json_body(call, wire.Reimport)
    upload_ids = list(dict.fromkeys(body.file_upload_ids or ()))
    if not upload_ids:
        await call.read(lambda tx: tasks.load_project(tx, call.who, number, Permission.EDIT_MESSAGES))
        return json_answer(_NOTHING)
    files = await call.read(lambda tx: uploads.list_files(tx, call.who, number, upload_ids))
    small = sum(file.size for file in files) <= AT_ONCE_BYTES
    options = {
        "kind": "files",
        "reimport": True,
        "files_as_tasks_list": body.files_as_tasks_list,
        "file_upload_ids": upload_ids,
        "commit_to_project": True,
        "return_task_ids": False,
        "preannotated_from_fields": None,
        "url": None,
    }

    def begin(tx: Tx) -> Reply:
        dataset = tasks.load_project(tx, call.who, number, Permission.EDIT_MESSAGES)
        delay = AT_ONCE_SECONDS if small else 0.0
        made = imports.restart(tx, call.who, dataset, options=options, delay=delay)
        return json_reply({"import": made.id}, 201)

    reply = await call.write_once(await call.body(), begin)
    made = decode(bytes(reply.body), wire.Started).number
    return await answer(call, Begun(project=number, number=made, small=small, word="reimport"))


_NOTHING = {
    "task_count": 0,
    "annotation_count": 0,
    "prediction_count": 0,
    "duration": 0,
    "file_upload_ids": [],
    "found_formats": {},
    "data_columns": [],
}


@dialect.route("GET", "/api/projects/{project}/reimports/{reimport}")
async def get_reimport(call: Call) -> Response:
    """Where a reimport stands, and what became of it."""
    project, number = call.number("project"), call.number("reimport")

    def read(tx: Tx) -> ImportView:
        try:
            known = imports.get(tx, call.who, project, number)
        except NotFound as error:
            if "import" not in error.fields:
                raise
            raise NotFound(error.message, fields={"reimport": number}) from error
        if not known.is_reimport:
            raise NotFound("there is no such reimport in the project", fields={"reimport": number})
        return seen(tx, known)

    return json_answer(reimport_json(await call.read(read)))
