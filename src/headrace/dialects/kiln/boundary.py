"""The dialect's errors in Kiln's words, and how it reads ids, bodies and conditions."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from headrace.core import errors
from headrace.core.errors import HeadraceError, Invalid, Malformed, NotFound
from headrace.core.runs import Place, Stale
from headrace.decode import decode
from headrace.dialects.kit import MAX_ID, Call, Dialect, json_answer, retry_headers

M = TypeVar("M", bound=BaseModel)
Issue = dict[str, Any]

LONGEST_INPUT = 200
PREFIX = "/kiln"
SHARED = PREFIX + "/api/projects"
"""Where `app` sends those calls of `/api/projects` that are this dialect's; clients may use it as their address too."""
TASK = "/api/projects/{project}/tasks/{task}"
RUNS = TASK + "/runs"
RUN = RUNS + "/{run}"

NOUNS: Mapping[str, tuple[str, str]] = {
    "project": ("Project", "project"),
    "task": ("Task", "task"),
    "run": ("Run", "run"),
    "task_run": ("Task run", "run"),
    "feedback": ("Feedback", "feedback"),
    "correction": ("Correction", "correction"),
    "job": ("Job", "job"),
}
"""What Kiln calls the thing that an error's field says is missing, and the path parameter that names it."""


class Unprocessable(Invalid):
    """Something does not validate; `fields["issues"]` are the faults, each with type, loc, msg, input and ctx."""

    code = "unprocessable"


class Refused(HeadraceError):
    """The request is understood and not allowed."""

    code = "refused"


class NotText(Invalid):
    """The body is not UTF-8."""

    code = "not_text"


STATUS: dict[type[HeadraceError], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    Stale: 412,
    errors.TooLarge: 413,
    errors.Unacceptable: 422,
    errors.Invalid: 422,
    Refused: 400,
    NotText: 400,
    errors.RateLimited: 429,
    errors.Internal: 500,
    errors.NotBuilt: 501,
    errors.Unavailable: 503,
}


def status_of(error: HeadraceError) -> int:
    """The status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def render(request: Request, error: HeadraceError) -> Response:
    """An error in the dialect's shape."""
    status = status_of(error)
    headers = retry_headers(error) | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    return json_answer(body_of(error, request.path_params), status, headers)


def body_of(error: HeadraceError, named: Mapping[str, Any]) -> dict[str, Any]:
    """An error's body; `named` are the path's parameters."""
    if isinstance(error, NotText):
        return {"detail": "There was an error parsing the body"}
    if isinstance(error, errors.MethodNotAllowed):
        return {"detail": "Method Not Allowed"}
    if isinstance(error, NotFound):
        return _missing(error, named)
    if isinstance(error, Invalid):
        return _invalid(error)
    return {"message": error.message}


def _missing(error: NotFound, named: Mapping[str, Any]) -> dict[str, Any]:
    field = next((name for name in error.fields if name in NOUNS), None)
    if field is None:
        return {"detail": "Not Found"}
    noun, parameter = NOUNS[field]
    return {"message": f"{noun} not found. ID: {str(named.get(parameter, error.fields[field]))[:80]}"}


def _invalid(error: Invalid) -> dict[str, Any]:
    issues = error.fields.get("issues")
    if not isinstance(issues, list):
        return {"message": error.message}
    texts = [f"{_place(issue['loc'])}: {issue['msg']}" for issue in issues]
    return {"error_messages": texts, "message": ".\n".join(texts), "source_errors": issues}


def _place(loc: Sequence[str | int]) -> str:
    """Where a fault lies, as in `Output.Rating.Value` or `Tags[0]`."""
    text = ""
    for part in loc[1:] if loc and loc[0] == "body" else loc:
        if isinstance(part, int) or part.isdigit():
            text += f"[{part}]"
        else:
            text += f"{'.' if text else ''}{part.capitalize()}"
    return text


def issue(kind: str, loc: Iterable[str | int], message: str, value: object, **ctx: object) -> Issue:
    """One fault; the value is shown in part."""
    return {
        "type": kind,
        "loc": list(loc),
        "msg": message,
        "input": str(value)[:LONGEST_INPUT],
        "ctx": {name: str(item)[:LONGEST_INPUT] for name, item in ctx.items()},
    }


def unprocessable(*issues: Issue) -> Unprocessable:
    """The error that tells faults."""
    return Unprocessable(str(issues[0]["msg"]), fields={"issues": list(issues)})


def rule(message: str, value: object = "") -> Unprocessable:
    """The error for a rule about a whole object."""
    return unprocessable(issue("value_error", (), f"Value error, {message}", value, error=message))


def validated(shape: type[M], value: object, *prefix: str) -> M:
    """The value as an object of the dialect; raises Unprocessable with every fault."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise unprocessable(
            *(
                issue(item["type"], (*prefix, *item["loc"]), item["msg"], item["input"], **item.get("ctx", {}))
                for item in faults
            )
        ) from error


dialect = Dialect(
    name="kiln",
    owns=re.compile(
        r"/kiln(/|$)|/ping$|/api/(task_summaries|import_project)(/|$)"
        r"|/api/projects/[^/]+/tasks/(?!(bulk|assignees|[^/]+/(assignees|agreement-matrix))/?$)[^/]+(/|$)"
    ),
    render=render,
    prefix=re.compile(r"/kiln(?=/ping$|/api/(?!projects(/[^/]+(/tasks)?)?$))"),
)


def ident(call: Call, name: str) -> int:
    """The id in a path parameter; 0, which nothing has, where it is none."""
    return number(call.text(name))


def number(text: str) -> int:
    """The id that a text is; 0, which nothing has, where it is none."""
    known = re.fullmatch(r"[1-9][0-9]{0,18}", text, re.ASCII)
    return int(text) if known and int(text) <= MAX_ID else 0


def place(call: Call) -> Place:
    """The project and the task that a path names."""
    return ident(call, "project"), ident(call, "task")


async def json_value(call: Call) -> object:
    """The JSON of a body; raises NotText, or Unprocessable for none, for a bad one, or for another content type."""
    body = await call.body()
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise NotText("the body is not UTF-8") from error
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body:
        raise unprocessable(issue("missing", ("body",), "Field required", None))
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise unprocessable(issue("dict_type", ("body",), "Input should be a valid dictionary", body[:80]))
    try:
        return decode(body, object)
    except Malformed as error:
        raise unprocessable(_syntax_fault(body, error)) from error


def _syntax_fault(body: bytes, fault: Malformed) -> Issue:
    """Where the JSON breaks off; what is JSON, but not accepted, is told in our own words."""
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        return issue("json_invalid", ("body", str(error.pos)), "JSON decode error", "{}", error=error.msg)
    except (RecursionError, ValueError):
        pass
    return issue("json_invalid", ("body",), fault.message, "{}", error=fault.message)


async def json_object(call: Call) -> dict[str, Any]:
    """The JSON object of a body; raises Unprocessable for anything else."""
    value = await json_value(call)
    if not isinstance(value, dict):
        raise unprocessable(issue("dict_type", ("body",), "Input should be a valid dictionary", value))
    return value


async def json_body(call: Call, shape: type[M]) -> M:
    """A body of a shape; raises Unprocessable."""
    return validated(shape, await json_object(call), "body")


def query_issue(name: str, kind: str, message: str, value: object, **ctx: object) -> Unprocessable:
    """The error for a query parameter."""
    return unprocessable(issue(kind, ("query", name), message, value, **ctx))


def query_count(call: Call, name: str, most: int) -> int | None:
    """An integer parameter of at least 1; None when it is absent."""
    text = call.query(name)
    if text is None:
        return None
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII):
        message = "Input should be a valid integer, unable to parse string as an integer"
        raise query_issue(name, "int_parsing", message, text)
    if int(text) < 1:
        raise query_issue(name, "greater_than_equal", "Input should be greater than or equal to 1", text, ge=1)
    return min(int(text), most)


def query_flag(call: Call, name: str) -> bool | None:
    """A boolean parameter; None when it is absent."""
    try:
        return None if call.query(name) is None else call.flag(name, False)
    except Invalid as error:
        raise query_issue(
            name, "bool_parsing", "Input should be a valid boolean, unable to interpret input", call.query(name)
        ) from error
