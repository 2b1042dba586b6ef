"""The dialect's ids, errors and credentials: UUIDs that carry a number, one table from error to code and status."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

import pydantic_core
from fastapi import Header, Query, Security
from fastapi.security import APIKeyHeader, APIKeyQuery, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from headrace.core import errors, persons
from headrace.core.errors import HeadraceError, Invalid, Malformed
from headrace.core.faults import Fault, fault, fault_of
from headrace.core.idempotency import Reply
from headrace.core.persons import Identity, Person
from headrace.core.store import Tx
from headrace.decode import decode
from headrace.dialects.kit import Call, Dialect, json_answer, json_bytes, presented_token, retry_headers
from headrace.dialects.open_assistant import wire
from headrace.dialects.open_assistant.ids import Kind, number_of

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
F = Fault

BASE = "/api/v1"
BODY_LIMIT = 1024 * 1024
ROOT_PATH = BASE + "/admin/api_client"
NOT_AUTHORISED, ROOT_NOT_AUTHORISED = 2, 3
INVALID_CURSOR, SORT_KEY_UNSUPPORTED, STATISTICS_MISSING = 101, 100, 6000

FAULTS: Mapping[Fault, tuple[int, int]] = {
    F.CLIENT_NOT_AUTHORISED: (403, NOT_AUTHORISED),
    F.TASK_NOT_AVAILABLE: (503, 1006),
    F.MESSAGE_TOO_LONG: (400, 1008),
    F.MESSAGE_DUPLICATE: (400, 1009),
    F.MESSAGE_EMPTY: (400, 1010),
    F.REPLY_DUPLICATE: (400, 1011),
    F.TOO_MANY_PENDING: (400, 1012),
    F.INVALID_FRONTEND_ID: (400, 2000),
    F.MESSAGE_NOT_FOUND: (404, 2001),
    F.INVALID_RANKING: (400, 2003),
    F.TREE_NOT_ACCEPTING: (400, 2010),
    F.USERNAME_REQUIRED: (400, 2012),
    F.LABELS_WRONG_MESSAGE: (400, 2050),
    F.LABELS_INVALID: (400, 2051),
    F.LABELS_MANDATORY_MISSING: (400, 2052),
    F.LABELS_REPEATED: (400, 2053),
    F.TASK_NOT_FOUND: (400, 2100),
    F.TASK_EXPIRED: (400, 2101),
    F.TASK_PAYLOAD_MISMATCH: (400, 2102),
    F.TASK_ALREADY_UPDATED: (400, 2103),
    F.TASK_NOT_ACKNOWLEDGED: (400, 2104),
    F.TASK_ALREADY_DONE: (400, 2105),
    F.TASK_NOT_ASSIGNED: (400, 2106),
    F.TASK_NOT_COLLECTIVE: (400, 2106),
    F.TASK_UNEXPECTED_PAYLOAD: (400, 2107),
    F.PERSON_NOT_GIVEN: (400, 4000),
    F.PERSON_DISABLED: (503, 4001),
    F.PERSON_NOT_FOUND: (404, 4002),
    F.TERMS_NOT_ACCEPTED: (451, 4003),
    F.EMOJI_NOT_SUPPORTED: (400, 5000),
}
"""Status and code of each fault. A task that is not found is 404 where the path names it: see `render`."""

STATUS: Mapping[type[HeadraceError], tuple[int, int]] = {
    errors.Unauthenticated: (403, NOT_AUTHORISED),
    errors.Forbidden: (403, NOT_AUTHORISED),
    errors.NotFound: (404, 0),
    errors.MethodNotAllowed: (405, 0),
    errors.Conflict: (409, 0),
    errors.TooLarge: (413, 0),
    errors.Unacceptable: (422, 0),
    errors.Invalid: (422, 0),
    errors.RateLimited: (429, 429),
    errors.Internal: (500, 0),
    errors.NotBuilt: (501, 0),
    errors.Unavailable: (503, 4),
}
"""Status and code of every other error, by class."""

ISSUE_TYPES: Mapping[str, str] = {
    "missing": "value_error.missing",
    "enum": "type_error.enum",
    "literal_error": "value_error.const",
    "string_too_short": "value_error.any_str.min_length",
    "too_short": "value_error.list.min_items",
    "uuid_parsing": "type_error.uuid",
    "uuid_type": "type_error.uuid",
    "int_parsing": "type_error.integer",
    "int_type": "type_error.integer",
    "float_parsing": "type_error.float",
    "float_type": "type_error.float",
    "bool_parsing": "value_error.bool",
    "string_type": "type_error.str",
    "list_type": "type_error.list",
    "dict_type": "type_error.dict",
    "model_type": "type_error.dict",
    "datetime": "value_error.datetime",
    "greater_than": "value_error.number.not_gt",
    "greater_than_equal": "value_error.number.not_ge",
    "less_than_equal": "value_error.number.not_le",
}
"""What the kinds of mistakes were called when the peer's clients were written."""
NONE_NOT_ALLOWED = "type_error.none.not_allowed"


class Unprocessable(Invalid):
    """Something does not validate; `fields["issues"]` are the faults, each with loc, msg, type and perhaps ctx."""

    code = "unprocessable"


class Refused(HeadraceError):
    """The request is refused under a code of this dialect's own: `fields` hold `status` and `error_code`."""

    code = "refused"


def refused(error_code: int, message: str, status: int = 400) -> Refused:
    """The error to raise for a code that no fault of the core stands for."""
    return Refused(message, fields={"error_code": error_code, "status": status})


def render(request: Request, error: HeadraceError) -> Response:
    """An error in the dialect's shape: `{"error_code", "message"}`, or `{"detail"}` for what was not understood."""
    status, code = status_of(error)
    path = str(request.scope["path"])
    if fault_of(error) is F.TASK_NOT_FOUND and path.endswith(("/ack", "/close")):
        status = 404
    if code == NOT_AUTHORISED and path == ROOT_PATH:
        code = ROOT_NOT_AUTHORISED
    if fault_of(error) is not None or isinstance(error, Refused):
        return json_answer({"error_code": code, "message": error.message}, status)
    if isinstance(error, Invalid | errors.Unacceptable):
        return json_answer({"detail": issues_of(request, error)}, status)
    if isinstance(error, errors.NotFound | errors.MethodNotAllowed):
        return json_answer({"detail": error.message}, status)
    return json_answer({"error_code": code, "message": error.message}, status, retry_headers(error))


def status_of(error: HeadraceError) -> tuple[int, int]:
    """The status and the code of an error."""
    name = fault_of(error)
    if name is not None:
        return FAULTS[name]
    if isinstance(error, Refused):
        return int(str(error.fields["status"])), int(str(error.fields["error_code"]))
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def issues_of(request: Request, error: HeadraceError) -> list[dict[str, Any]]:
    """What does not validate, each mistake with its place."""
    issues = error.fields.get("issues")
    if isinstance(issues, list):
        return issues
    field = next(iter(error.fields), None)
    if isinstance(error, Malformed):
        return [issue(("body",), "value_error.jsondecode", error.message)]
    if field is None:
        return [issue(("query",), "value_error", error.message)]
    place = "query" if field in request.query_params else "path" if field in request.path_params else "body"
    return [issue((place, field), "value_error", error.message)]


def issue(loc: Iterable[str | int], kind: str, message: str, ctx: Mapping[str, object] | None = None) -> dict[str, Any]:
    """One mistake."""
    return {"loc": list(loc), "msg": message, "type": kind} | ({"ctx": dict(ctx)} if ctx else {})


def validated(shape: type[M], value: object, place: str) -> M:
    """The value as an object of the dialect; raises Unprocessable with every mistake."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise Unprocessable("the request does not validate", fields={"issues": issues_in(error, place)}) from error


def issues_in(error: ValidationError, place: str) -> list[dict[str, Any]]:
    """The mistakes in `body`, `query` or `path`, as the peer words them."""
    return [_issue(item, place) for item in error.errors(include_url=False)]


def _issue(item: pydantic_core.ErrorDetails, place: str) -> dict[str, Any]:
    loc, kind, ctx = (place, *item["loc"]), item["type"], dict(item.get("ctx", {}))
    if loc[-1] == "[key]":
        loc = (*loc[:-2], "__key__")
    if item["input"] is None and kind != "missing":
        return issue(loc, NONE_NOT_ALLOWED, item["msg"])
    if kind in ("enum", "literal_error"):
        known = re.findall(r"'([^']*)'", str(ctx.get("expected", "")))
        ctx = {"enum_values": known} if kind == "enum" else {"given": str(item["input"])[:60], "permitted": known}
    elif kind == "value_error":
        ctx = {}
    else:
        limits = [value for value in ctx.values() if isinstance(value, int | float)]
        ctx = {"limit_value": limits[0]} if limits else {}
    return issue(loc, ISSUE_TYPES.get(kind, "value_error"), item["msg"], ctx)


def presented(request: Request) -> str | None:
    """The key of a request: in the query, else in X-API-Key, else as a Bearer token; root calls take that first."""
    if request.scope["path"] == ROOT_PATH:
        return presented_token(request)
    return request.query_params.get("api_key") or request.headers.get("x-api-key") or presented_token(request)


def described_credentials(
    header: Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", auto_error=False))],
    query: Annotated[str | None, Security(APIKeyQuery(name="api_key", auto_error=False))],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))],
) -> None:
    """Where a key may stand, for the description."""


def described_user(
    header: Annotated[str | None, Header(alias="X-OASST-USER", description="auth_method:username")] = None,
    query: Annotated[str | None, Query(alias="oasst_user", description="the same in the query")] = None,
) -> None:
    """Where the acting user may be named, for the description."""


dialect = Dialect(
    name="open_assistant",
    owns=re.compile(
        BASE + r"/(tasks|text_labels|messages|frontend_messages|frontend_users|users|leaderboards|trollboards|stats"
        r"|admin|hf|auth|exports|openapi\.json)(/|$)"
    ),
    render=render,
    token=presented,
    asks=(described_credentials, described_user),
    fails={"422": wire.Invalidity, "4XX": wire.Failure, "5XX": wire.Failure},
)


async def json_value(call: Call) -> object:
    """The JSON of a body, None for an empty one; raises Malformed."""
    body = await call.body(BODY_LIMIT)
    return decode(body, object) if body.strip() else None


async def body_of(call: Call, shape: type[M]) -> M:
    """The body as an object of the dialect; raises Unprocessable with every mistake."""
    value = await json_value(call)
    if value is None:
        raise Unprocessable(
            "the request has no body", fields={"issues": [issue(("body",), "value_error.missing", "field required")]}
        )
    return validated(shape, value, "body")


def query_of(call: Call, shape: type[M]) -> M:
    """The query parameters that a model names, of repeated ones the last; raises Unprocessable."""
    return validated(shape, dict(call.request.query_params), "query")


def number(call: Call, name: str, kind: Kind) -> int:
    """The number in a path parameter that is a UUID, 0 for one that is nothing here; raises Unprocessable."""
    try:
        return number_of(TypeAdapter(wire.UUID).validate_python(call.text(name)), kind)
    except ValidationError as error:
        found = [{**item, "loc": ["path", name]} for item in issues_in(error, "path")]
        raise Unprocessable("the id is not a UUID", fields={"issues": found}) from error


def identity(user: wire.User) -> Identity:
    """Who a user in a body is."""
    return Identity(user.auth_method, user.id, user.display_name)


def named_user(user: wire.User | None) -> Identity:
    """The same for a user that must be there; raises person_not_given."""
    if user is None:
        raise fault(F.PERSON_NOT_GIVEN, "this needs a user")
    return identity(user)


def acting(tx: Tx, call: Call) -> Person | None:
    """The user that a request acts for, by oasst_user or X-OASST-USER; None when it names nobody.

    Raises person_not_found for an unknown one; a name without a colon is no name.
    """
    text = call.query("oasst_user") or _header(call.request, "x-oasst-user")
    auth_method, colon, username = text.partition(":")
    return persons.named(tx, call.who, auth_method, username) if colon else None


def _header(request: Request, name: str) -> str:
    """A header's text; clients send UTF-8 where the protocol knows only Latin-1."""
    text = request.headers.get(name, "")
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def encoded(value: BaseModel | Iterable[BaseModel] | object) -> bytes:
    """Objects of the dialect as JSON."""
    return pydantic_core.to_json(value)


def answer(value: object, status: int = 200) -> Response:
    """A JSON answer of objects of the dialect."""
    return json_bytes(encoded(value), status)


def reply(value: object, status: int = 200) -> Reply:
    """The same, to be kept under an Idempotency-Key."""
    return Reply(status, encoded(value))


def nothing() -> Response:
    """An answer without content: 204 and a truly empty body."""
    return Response(status_code=204)
