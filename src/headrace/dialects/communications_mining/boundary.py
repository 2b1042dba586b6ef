"""The dialect's envelope, its error table, and how objects are named in its paths."""

import re

from starlette.requests import Request
from starlette.responses import Response

from headrace.core.errors import HeadraceError, Invalid, NotFound
from headrace.core.exceptions import Uid
from headrace.core.sources import Ref
from headrace.core.times import parse_timestamp
from headrace.dialects.kit import MAX_ID, STATUS, Call, Dialect, json_answer, retry_headers

HEX_ID = re.compile(r"[0-9a-f]{16}")


def render(request: Request, error: HeadraceError) -> Response:
    """An error in the dialect's envelope."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return json_answer({"status": "error", "message": error.message}, status, retry_headers(error))


dialect = Dialect(
    name="communications_mining",
    owns=re.compile(r"/auth/|/api/_private/|/api/v1/(datasets|sources|audit_events|attachments)(/|$)|/api/voc/"),
    render=render,
    prefix=re.compile(r"/[^/]+/[^/]+/reinfer_(?=/)"),
)


def ok(**values: object) -> Response:
    """A good answer in the envelope."""
    return json_answer({"status": "ok", **values})


def paths(stem: str, name: str, rest: str = "") -> tuple[str, str]:
    """The two spellings of a path to a source or dataset: by id, and by project and name."""
    return f"{stem}/id:{{hex_id}}{rest}", f"{stem}/{{project}}/{{{name}}}{rest}"


def ref(call: Call, name: str) -> Ref:
    """The source or dataset that a path names."""
    if "hex_id" in call.request.path_params:
        return from_hex(call.text("hex_id"), name)
    return call.text("project"), call.text(name)


def to_hex(number: int) -> str:
    """An id as this dialect writes it: 16 hex digits."""
    return f"{number:016x}"


def from_hex(text: str, what: str) -> int:
    """The id in 16 hex digits; raises NotFound."""
    if not HEX_ID.fullmatch(text) or int(text, 16) > MAX_ID:
        raise NotFound(f"'{text[:40]}' is not the id of a {what}", fields={what: text[:40]})
    return int(text, 16)


def hex_ids(texts: list[str], field: str) -> tuple[int, ...]:
    """Ids in a body; raises Invalid naming the field."""
    try:
        return tuple(from_hex(text, field) for text in texts)
    except NotFound as error:
        raise Invalid(f"{field} holds something that is not an id: {error.fields[field]}") from error


def uid_of(source_id: int, key: str) -> str:
    """A comment's uid."""
    return f"{source_id:016x}.{key}"


def parse_uid(text: str) -> Uid:
    """Source id and key of a uid, split at the first dot; raises Invalid."""
    source, dot, key = text.partition(".")
    if not dot or not key or not HEX_ID.fullmatch(source) or int(source, 16) > MAX_ID:
        raise Invalid(f"'{text[:80]}' is not a comment uid", fields={"uid": text[:80]})
    return int(source, 16), key


def read_instant(text: str, field: str) -> int:
    """The instant a field holds, in microseconds; raises Invalid naming the field."""
    try:
        return parse_timestamp(text)
    except Invalid as error:
        raise Invalid(f"{field}: {error.message}", fields={field: text[:60]}) from error
