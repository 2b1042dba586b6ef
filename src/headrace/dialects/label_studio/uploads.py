"""Receiving an upload: its body goes to memory while small and to a file beyond that, and is checked on the way.

What can be refused at once is refused here; whether the tasks fit their project is for the import job to say.
"""

import asyncio
import errno
import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import IO, Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from headrace import outgoing
from headrace.core.errors import Invalid, Malformed, TooLarge, Unavailable
from headrace.core.label_tasks import NOT_A_TASK
from headrace.decode import check
from headrace.dialects.kit import Call
from headrace.dialects.label_studio.boundary import media_type, unsupported
from headrace.outgoing import RefusedAddress

BODY_LIMIT = 250 * 1024 * 1024
FORM_LIMIT = 8 * 1024 * 1024
MEMORY_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 1024 * 1024
PIECES_AT_ONCE = 8
MAX_FILES = 100
MAX_FIELDS = 100
MAX_CHECKED_OBJECTS = 16_000_000
LONGEST_NAME = 200

TASK_FILES = frozenset({".csv", ".htm", ".html", ".json", ".jsonl", ".tsv", ".txt", ".xml"})
IMAGES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".svg", ".webp"})
RECORDINGS = frozenset({".flac", ".m4a", ".mp3", ".mp4", ".ogg", ".wav", ".webm"})
SUPPORTED = TASK_FILES | IMAGES | RECORDINGS
NO_DATA = "load_tasks: No data found in DATA or in FILES"
NO_TASKS = "load_tasks: No tasks added"
INLINE_NAME = "inplace.json"

_FIRST_CHARACTER = re.compile(rb"\s*(.?)", re.DOTALL)
_PLACE = re.compile(r"\$\[([0-9]+)\]")


class _Object(msgspec.Struct, gc=False):
    """Any JSON object, in 16 bytes."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One payload of an upload."""

    name: str
    file: IO[bytes]


@dataclass(frozen=True, kw_only=True)
class Received:
    """An upload as it arrived: a JSON body or files, in order; `url` is the form field's text.

    What lies behind the address `fetch` is yet to come, as a file called `fetch_name`.
    """

    kind: Literal["json", "files"]
    parts: Sequence[Part]
    url: str | None = None
    fetch: str | None = None
    fetch_name: str = ""


class Piece(NamedTuple):
    """A piece of a payload: which part it belongs to, its place in there, its bytes."""

    part: int
    sequence: int
    data: bytes


@asynccontextmanager
async def received(call: Call) -> AsyncIterator[Received]:
    """The upload in a request's body, whose files go away afterwards.

    Raises Malformed, Invalid, TooLarge, or UnsupportedMediaType, each of them before anything is stored.
    """
    kind = media_type(call)
    with ExitStack() as stack:
        if kind == "multipart/form-data":
            yield await _files(call, stack)
        elif kind == "application/x-www-form-urlencoded":
            yield await _form(call)
        elif kind in ("application/json", ""):
            yield await _json(call, stack)
        else:
            raise unsupported(kind)


@asynccontextmanager
async def one_file(call: Call) -> AsyncIterator[Received | None]:
    """The first file of a multipart body, None when it has none; raises what `received` does."""
    if media_type(call) != "multipart/form-data":
        raise unsupported(media_type(call))
    with ExitStack() as stack:
        parts = await _parts(call, stack)
        yield Received(kind="files", parts=parts[:1]) if parts else None


def batches(parts: Sequence[Part]) -> Iterator[list[Piece]]:
    """The pieces of all parts in order, some megabytes at a time; an empty part has one empty piece."""
    batch: list[Piece] = []
    for number, part in enumerate(parts):
        part.file.seek(0)
        sequence = 0
        while (data := part.file.read(PIECE_BYTES)) or not sequence:
            batch.append(Piece(number, sequence, data))
            sequence += 1
            if len(batch) == PIECES_AT_ONCE:
                yield batch
                batch = []
    if batch:
        yield batch


def digest(parts: Sequence[Part]) -> bytes:
    """What tells one upload from another: a hash of the names and bytes of its parts."""
    total = hashlib.sha256()
    for part in parts:
        part.file.seek(0)
        total.update(hashlib.sha256(part.name.encode()).digest())
        total.update(hashlib.file_digest(part.file, "sha256").digest())  # type: ignore[arg-type]
    return total.digest()


def check_tasks(body: bytes) -> None:
    """Refuse a JSON body that cannot be an upload: not storable, not an array or object, empty, or of non-objects."""
    check(body)
    first = _FIRST_CHARACTER.match(body)
    root = first[1] if first else b""
    if root == b"{":
        return
    if root != b"[":
        raise Invalid(NO_DATA)
    if body.count(b"{") > MAX_CHECKED_OBJECTS:
        return
    try:
        found = msgspec.json.decode(body, type=list[_Object])
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        raise Invalid(f"Error at item {place[1] if place else 0}: {NOT_A_TASK}") from error
    if not found:
        raise Invalid(NO_TASKS)


def check_file(path: Path) -> None:
    """`check_tasks` of a file, for a process of its own."""
    check_tasks(path.read_bytes())


async def _json(call: Call, stack: ExitStack) -> Received:
    file = stack.enter_context(_spool(call))
    size = await _fill(file, call.pieces(BODY_LIMIT))
    if not size:
        file.write(b"{}")
    if isinstance(file, BytesIO):
        await asyncio.to_thread(check_tasks, file.getvalue())
    else:
        file.flush()
        await asyncio.to_thread(call.services.pool.run, check_file, Path(file.name))
    return Received(kind="json", parts=(Part(name="body.json", file=file),))


@contextmanager
def _spool(call: Call) -> Iterator[IO[bytes]]:
    """Room for a body: memory if the client says that it is small, else a temporary file."""
    declared = call.request.headers.get("content-length", "")
    if len(declared) < 12 and declared.isdigit() and int(declared) <= MEMORY_BYTES:
        yield BytesIO()
        return
    with NamedTemporaryFile(prefix="headrace-upload-") as file:
        yield file


async def _fill(file: IO[bytes], pieces: AsyncIterator[bytes]) -> int:
    """Write a body to a file off the event loop; answers its size in bytes."""
    held, size = bytearray(), 0
    with _disk_full_told():
        async for piece in pieces:
            held += piece
            size += len(piece)
            if len(held) >= PIECE_BYTES:
                await asyncio.to_thread(file.write, bytes(held))
                held.clear()
        file.write(held)
    return size


@contextmanager
def _disk_full_told() -> Iterator[None]:
    """Turn a full disk into an error of the domain."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Unavailable("there is no room to receive the upload", fields={"retry_after": 30}) from error


async def _form(call: Call) -> Received:
    """A form with `url`: JSON text stands for a file of it, an address for what the import's job will find there.

    An address that can lead nowhere, or only into a private network, is refused at once.
    """
    body = await call.body(FORM_LIMIT)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Invalid("the form cannot be read") from error
    if "url" not in fields:
        raise Invalid('"url" is not found in request data')
    text = fields["url"][-1]
    if text.lstrip().lower().startswith(("http://", "https://")) or not await asyncio.to_thread(_is_json, text):
        return await _address(call, text.strip())
    data = text.encode()
    await asyncio.to_thread(check_tasks, data)
    return Received(kind="files", parts=(Part(name=INLINE_NAME, file=BytesIO(data)),), url=text)


def _is_json(text: str) -> bool:
    """Whether a text is meant as JSON; that of an array or an object need not be right to be meant so."""
    if text.lstrip()[:1] in ("[", "{"):
        return True
    try:
        check(text.encode())
    except Malformed:
        return False
    return True


async def _address(call: Call, url: str) -> Received:
    target = outgoing.parse(url)
    name = _file_name(unquote(urlsplit(target.url).path))
    try:
        await asyncio.to_thread(call.services.outgoing.check, url)
    except RefusedAddress as error:
        raise Invalid(error.message, fields={"url": target.host}) from error
    except Invalid:  # a name that does not resolve now may do so when the job asks
        pass
    return Received(kind="files", parts=(), url=url, fetch=url, fetch_name=name)


async def _files(call: Call, stack: ExitStack) -> Received:
    """Every file of a multipart body, also of repeated field names, in the order sent."""
    parts = await _parts(call, stack)
    if not parts:
        raise Invalid(NO_DATA)
    return Received(kind="files", parts=parts)


async def _parts(call: Call, stack: ExitStack) -> tuple[Part, ...]:
    stream = call.pieces(BODY_LIMIT)
    parser = MultiPartParser(
        call.request.headers,
        stream,  # type: ignore[arg-type]
        max_files=MAX_FILES,
        max_fields=MAX_FIELDS,
    )
    with _disk_full_told():
        try:
            form = await parser.parse()
        except MultiPartException as error:
            if error.message.startswith("Too many files"):
                raise TooLarge(f"an upload has at most {MAX_FILES} files", fields={"limit": MAX_FILES}) from error
            raise Invalid(error.message) from error
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    for file in files:
        stack.callback(file.file.close)
    return tuple(Part(name=_file_name(file.filename or ""), file=file.file) for file in files)


def _file_name(sent: str) -> str:
    """The last part of a file's name without what cannot be shown; raises Invalid for an unknown extension."""
    name = "".join(character for character in sent if character.isprintable()).replace("\\", "/").rpartition("/")[2]
    extension = PurePosixPath(name).suffix.lower()
    if extension not in SUPPORTED:
        raise Invalid(f"{extension[:80]} extension is not supported")
    return name[-LONGEST_NAME:]
