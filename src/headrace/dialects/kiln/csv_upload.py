"""CSV files of runs, and of conversations: read, checked and stored as a whole or not at all."""

import asyncio
import csv
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import Response

from headrace.core import run_tasks, run_uploads
from headrace.core.errors import Invalid, Malformed, TooLarge
from headrace.core.idempotency import Reply
from headrace.core.run_tasks import RunTask
from headrace.core.run_uploads import Conversation
from headrace.core.run_values import Document
from headrace.core.store import Tx
from headrace.decode import decode
from headrace.dialects.kiln import wire
from headrace.dialects.kiln.boundary import RUNS, Unprocessable, dialect, issue, place, unprocessable
from headrace.dialects.kiln.translate import checker
from headrace.dialects.kit import Call, json_reply

BODY_LIMIT = 64 * 1024 * 1024
MOST_ROWS = 100_000
FIELD_LIMIT = 16 * 1024 * 1024
SHARE_TOLERANCE = 0.001
BAD_SPLITS = "Invalid splits format. Must be a valid JSON object with string keys and float values."
REQUIRED = ("output", "input")
STEPS = ("reasoning", "chain_of_thought")
ROLES = ("user", "assistant")


class Upload(NamedTuple):
    """A CSV file as it arrived."""

    name: str
    data: bytes
    splits: str


@dialect.route("POST", RUNS + "/bulk_upload")
async def bulk_upload(call: Call) -> Response:
    """Make runs of the rows of a CSV file: all of them, or none when one is bad."""
    wanted, upload = place(call), await _received(call)
    splits = _splits(upload.splits)
    task = await call.read(lambda tx: run_tasks.load(tx, call.who, *wanted))
    conversations = await asyncio.to_thread(_read, task, upload, call.who.username)

    def store(tx: Tx) -> Reply:
        counts = run_uploads.store(tx, call.who, wanted, conversations, splits)
        return json_reply(
            {
                "success": True,
                "filename": upload.name,
                "imported_count": counts.runs,
                "imported_conversation_count": counts.conversations if task.multi_turn else None,
            }
        )

    return await call.write_once(b"\0".join((upload.name.encode(), upload.splits.encode(), upload.data)), store)


async def _received(call: Call) -> Upload:
    """The file and the splits of a form; raises Unprocessable or TooLarge."""
    if not call.request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise unprocessable(issue("missing", ("body", "file"), "Field required", None))
    pieces = call.pieces(BODY_LIMIT)
    try:
        form = await MultiPartParser(call.request.headers, pieces, max_files=1, max_fields=10).parse()  # type: ignore[arg-type]
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise Invalid("the form cannot be read") from error
    file, splits = form.get("file"), form.get("splits")
    if not isinstance(file, UploadFile):
        raise unprocessable(issue("missing", ("body", "file"), "Field required", None))
    data = await file.read()
    await form.close()
    name = "".join(character for character in file.filename or "" if character.isprintable())[-255:]
    return Upload(name or "unnamed.csv", data, splits if isinstance(splits, str) else "")


def _splits(text: str) -> dict[str, float]:
    """The share of each split tag; raises Invalid unless the shares add up to 1."""
    if not text.strip():
        return {}
    try:
        found = decode(text.encode(), dict[str, float])
    except (Invalid, UnicodeEncodeError) as error:
        raise Invalid(BAD_SPLITS) from error
    if any(not 0 <= share <= 1 for share in found.values()) or any(not tag or " " in tag for tag in found):
        raise Invalid(BAD_SPLITS)
    if found and abs(sum(found.values()) - 1) > SHARE_TOLERANCE:
        raise Invalid(f"Split proportions must sum to 1, got {sum(found.values())}")
    return found


def _read(task: RunTask, upload: Upload, author: str) -> list[Conversation]:
    """The runs of a file, checked; raises Invalid with the number of the first bad row, the header being row 1."""
    common = [f"imported_{int(time.time())}"]
    parse = _conversation if task.multi_turn else _single
    required = ("trace",) if task.multi_turn else REQUIRED
    source = {"type": wire.SourceType.FILE_IMPORT, "properties": {"file_name": upload.name}}
    check = checker(author, {})
    found: list[Conversation] = []
    room = BODY_LIMIT
    for number, row in _rows(upload.data, required, refused=() if task.multi_turn else ("trace",)):
        try:
            documents = parse(row, source, ["imported", *common, *_tags(row)])
            # Every answer of a conversation repeats the trace before it, so a small file can mean a lot of text.
            room -= len(row.get("trace", "")) * len(documents)
            if room < 0:
                raise TooLarge("the conversations of the file are too long", fields={"limit": BODY_LIMIT})
            found.append([check(document, task) for document in documents])
        except Unprocessable as error:
            told = "\n".join(f"- {_short(item)}" for item in error.fields["issues"])  # type: ignore[attr-defined]
            raise Invalid(f"Error in row {number}: Validation failed:\n{told}") from error
        except Invalid as error:
            raise Invalid(f"Error in row {number}: {error.message}") from error
    if not found:
        raise Invalid("No data rows found in CSV file")
    return found


def _short(fault: Mapping[str, Any]) -> str:
    return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"


def _rows(data: bytes, required: Sequence[str], refused: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their numbers, as the values of its columns."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid("The CSV file is not UTF-8") from error
    if "\0" in text:
        raise Invalid("The CSV file contains a NUL character")
    csv.field_size_limit(FIELD_LIMIT)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        _check_header(reader.fieldnames or (), required, refused)
        for number, row in enumerate(reader, start=2):
            if number > MOST_ROWS + 1:
                raise TooLarge(f"the file has more than {MOST_ROWS} rows", fields={"limit": MOST_ROWS})
            yield number, {name: value for name, value in row.items() if name and isinstance(value, str)}
    except csv.Error as error:
        raise Invalid(f"The CSV file cannot be read: {error}") from error


def _check_header(names: Sequence[str], required: Sequence[str], refused: Sequence[str]) -> None:
    missing = [name for name in required if name not in names]
    if missing:
        raise Invalid(f"Missing required headers: {', '.join(missing)}. Required headers are: {', '.join(required)}")
    wrong = [name for name in refused if name in names]
    if wrong:
        raise Invalid(f"The column {wrong[0]} is only for multi-turn tasks")


def _tags(row: Mapping[str, str]) -> list[str]:
    return [tag.strip() for tag in row.get("tags", "").split(",") if tag.strip()]


def _single(row: Mapping[str, str], source: Document, tags: Sequence[str]) -> list[Document]:
    steps = {name: row[name] for name in STEPS if row.get(name)}
    if "input" not in row or "output" not in row:
        raise Invalid("the row has fewer columns than the header")
    return [_document(row["input"], row["output"], source, tags) | {"intermediate_outputs": steps or None}]


def _document(given: str, told: str, source: Document, tags: Sequence[str]) -> Document:
    return {"input": given, "input_source": source, "output": {"output": told, "source": source}, "tags": list(tags)}


def _conversation(row: Mapping[str, str], source: Document, tags: Sequence[str]) -> list[Document]:
    """One run for each answer of a conversation, each with the trace up to it."""
    text = row.get("trace", "")
    messages = _messages(text)
    if len(text) * len(messages) // 2 > BODY_LIMIT:
        raise TooLarge("the conversation is too long", fields={"limit": BODY_LIMIT})
    return [
        _document(messages[end - 1]["content"], messages[end]["content"], source, tags) | {"trace": messages[: end + 1]}
        for end in range(1, len(messages), 2)
    ]


def _messages(text: str) -> list[dict[str, Any]]:
    """The messages of a trace: user and assistant in turn, from a user's to an assistant's."""
    try:
        found = decode(text.encode(), list[dict[str, Any]])
    except Malformed as error:
        raise Invalid("trace is not valid JSON") from error
    except (Invalid, UnicodeEncodeError) as error:
        raise Invalid("trace must be a JSON array of messages") from error
    for place_in_trace, message in enumerate(found):
        if message.get("role") != ROLES[place_in_trace % 2] or not isinstance(message.get("content"), str):
            raise Invalid(
                f"trace[{place_in_trace}] must be a message of the {ROLES[place_in_trace % 2]} with text as content"
            )
    if not found or len(found) % 2:
        raise Invalid("trace must start with a user message and end with an assistant message")
    return found
