"""Files of comments: attachments and recordings. They go out as opaque bytes and are never shown by a browser."""

import asyncio
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import Response

from headrace.core import attachments
from headrace.core.errors import Invalid, NotFound
from headrace.dialects.communications_mining.boundary import dialect, from_hex, ok, paths, ref
from headrace.dialects.kit import Call

PUBLIC = "/api/v1/sources"
PRIVATE = "/api/_private/sources"
PART = "file"
BODY_LIMIT = attachments.MAX_BYTES + 64 * 1024
MAX_FIELDS = 16
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}


async def uploaded(call: Call) -> bytes:
    """The part `file` of a multipart body, or the whole of any other; raises Invalid, or TooLarge while reading."""
    if not call.request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await call.body(attachments.MAX_BYTES)
    stream = call.pieces(BODY_LIMIT)
    parser = MultiPartParser(
        call.request.headers,
        stream,  # type: ignore[arg-type]
        max_files=1,
        max_fields=MAX_FIELDS,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Invalid(error.message, fields={PART: ""}) from error
    try:
        part = form.get(PART)
        if not isinstance(part, UploadFile):
            raise Invalid(f"{PART}: required, but missing", fields={PART: ""})
        return await asyncio.to_thread(part.file.read)
    finally:
        await form.close()


def served(name: str, data: bytes) -> Response:
    """Bytes as a download under a name, with a type that no browser runs."""
    # A lone surrogate cannot be stored, so quoting the name as UTF-8 never fails.
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}", **ALWAYS}
    return Response(data, media_type="application/octet-stream", headers=headers)


def _number(call: Call) -> int:
    text = call.text("number")
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise NotFound(f"'{text[:40]}' is not the number of an attachment", fields={"attachment": text[:40]})
    return int(text)


@dialect.route(
    "PUT",
    *paths(PRIVATE, "source", "/comments/{comment}/attachments/{number}"),
    *paths(PUBLIC, "source", "/comments/{comment}/attachments/{number}"),
)
async def put_attachment(call: Call) -> Response:
    """Store the file of an attachment of the comment, counted from 0; the comment then carries its reference."""
    wanted, key, number = ref(call, "source"), call.text("comment"), _number(call)
    data = await uploaded(call)
    digest = await call.write(lambda tx: attachments.store(tx, call.who, wanted, key, number, data))
    return ok(content_hash=digest)


@dialect.route("GET", "/api/v1/attachments/{reference}")
async def get_attachment(call: Call) -> Response:
    """The bytes of an attachment, as a download."""
    number = from_hex(call.text("reference"), "attachment")
    return served(*await call.read(lambda tx: attachments.read(tx, call.who, number)))


@dialect.route("PUT", *paths(PRIVATE, "source", "/comments/{comment}/audio"))
async def put_audio(call: Call) -> Response:
    """Store the recording of a comment."""
    wanted, key = ref(call, "source"), call.text("comment")
    data = await uploaded(call)
    await call.write(lambda tx: attachments.store_audio(tx, call.who, wanted, key, data))
    return ok()


@dialect.route("GET", *paths(PRIVATE, "source", "/comments/{comment}/audio"))
async def get_audio(call: Call) -> Response:
    """The recording of a comment, as a download."""
    wanted, key = ref(call, "source"), call.text("comment")
    return served(*await call.read(lambda tx: attachments.read_audio(tx, call.who, wanted, key)))
