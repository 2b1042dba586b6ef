"""The collection of conversations: what it aims at, changed while people work, and its exports.

GET, PATCH /headrace/v1/conversations/config
GET        /headrace/v1/conversations/export?layout=trees|chat|preferences&state=...&lang=...&gzip=true ...
"""

import random
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from typing import TypeVar

from starlette.responses import Response, StreamingResponse

from headrace.core import conversations, tree_export, tree_growth
from headrace.core.conversations import Config
from headrace.core.errors import Invalid
from headrace.core.store import Tx
from headrace.core.tree_export import Choice, Form, Layout, Take
from headrace.core.trees import TreeState
from headrace.dialects.headrace.boundary import BASE, dialect, number
from headrace.dialects.kit import Call, json_answer

E = TypeVar("E", bound=StrEnum)
PATH = f"{BASE}/conversations"
CONFIG_LIMIT = 64 * 1024
PIECE = 64 * 1024
MAX_LIMIT = 999_999_999
MAX_SEED = 200
GZIP = 31
"""The width of zlib's window that stands for a gzip file."""


@dialect.route("GET", f"{PATH}/config")
async def get_config(call: Call) -> Response:
    """What the collection aims at."""
    found = await call.read(lambda tx: conversations.load(tx, call.who, conversations.READ))
    return json_answer(asdict(found.config))


@dialect.route("PATCH", f"{PATH}/config")
async def change_config(call: Call) -> Response:
    """Change some settings from now on; trees that exist keep their limits. Takes a trusted client."""
    changes = await call.json(dict[str, object], CONFIG_LIMIT)

    def change(tx: Tx) -> Config:
        config = conversations.configure(tx, call.who, changes)
        tree_growth.settle_all(tx, call.who, random.Random())
        return config

    return json_answer(asdict(await call.write(change)))


@dialect.route("GET", f"{PATH}/export")
async def export_conversations(call: Call) -> Response:
    """Stream an export as JSON lines; `gzip=true` makes it a .gz file, else it is packed where the client takes it."""
    choice, form, as_file = _choice(call), _form(call), call.flag("gzip", False)
    await call.write(lambda tx: tree_export.begin(tx, call.who, choice, form.layout))
    lines = tree_export.texts(call.services.store, call.who, choice, form)
    name = f"conversations-{form.layout.value}.jsonl{'.gz' if as_file else ''}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept-Encoding"}
    if as_file:
        return StreamingResponse(packed(lines), media_type="application/gzip", headers=headers)
    if _takes_gzip(call):
        headers["Content-Encoding"] = "gzip"
        return StreamingResponse(packed(lines), media_type="application/x-ndjson", headers=headers)
    return StreamingResponse(pieces(lines), media_type="application/x-ndjson", headers=headers)


def pieces(lines: Iterator[str]) -> Iterator[bytes]:
    """The lines as UTF-8, several at a time."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        waiting.append(line.encode() + b"\n")
        size += len(waiting[-1])
        if size >= PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def packed(lines: Iterator[str]) -> Iterator[bytes]:
    """The lines as one gzip file."""
    packer = zlib.compressobj(wbits=GZIP)
    for piece in pieces(lines):
        if found := packer.compress(piece):
            yield found
    yield packer.flush()


def _takes_gzip(call: Call) -> bool:
    """True when the client says that it takes gzip, and does not say that it takes none of it."""
    for coding in call.request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return weight.strip().removeprefix("q=") not in ("0", "0.0", "0.00", "0.000")
    return False


def _form(call: Call) -> Form:
    seed = call.query("anonymise")
    if seed is not None and not 0 < len(seed) <= MAX_SEED:
        raise Invalid(f"anonymise must be a seed of 1 to {MAX_SEED} characters", fields={"anonymise": len(seed)})
    return Form(
        layout=_one_of(call, "layout", Layout.TREES),
        naming=tree_export.open_names if seed is None else tree_export.anonymised(seed),
        best_only=call.flag("best_only", False),
    )


def _choice(call: Call) -> Choice:
    return Choice(
        states=_states(call),
        lang=call.query("lang"),
        deleted=_one_of(call, "deleted", Take.EXCLUDE),
        spam=_one_of(call, "spam", Take.EXCLUDE),
        synthetic=_one_of(call, "synthetic", Take.INCLUDE),
        prompts_only=call.flag("prompts_only", False),
        labels=call.flag("labels", False),
        events=call.flag("events", False),
        author_id=_author(call),
        limit=None if call.query("limit") is None else number(call, "limit", 0, 1, MAX_LIMIT),
    )


def _author(call: Call) -> int | None:
    text = call.query("user")
    return None if text is None else tree_export.person_id(text)


def _states(call: Call) -> frozenset[TreeState] | None:
    given = call.queries("state")
    if "all" in given:
        return None
    known = {state.value: state for state in TreeState}
    if unknown := [text for text in given if text not in known]:
        raise Invalid(f"state must be all or one of {', '.join(known)}", fields={"state": unknown[0][:60]})
    return frozenset(known[text] for text in given) or Choice().states


def _one_of(call: Call, name: str, default: E) -> E:
    text = call.query(name)
    if text is None:
        return default
    words = [member.value for member in type(default)]
    if text not in words:
        raise Invalid(f"{name} must be one of {', '.join(words)}", fields={name: text[:60]})
    return type(default)(text)
