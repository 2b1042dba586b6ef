"""The dialect's error body and error table, and how it reads query parameters and bodies."""

import re
import uuid
from collections.abc import Mapping
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from headrace.core import errors
from headrace.core.errors import HeadraceError, Invalid, Malformed, NotFound
from headrace.dialects.kit import QUERY_BOOLEANS, Call, Dialect, json_answer, retry_headers

T = TypeVar("T")

RELEASE = "1.23.2"

NOUNS: Mapping[str, str] = {
    "annotation": "Annotation",
    "task": "Task",
    "record": "Task",
    "view": "View",
    "import": "ProjectImport",
    "reimport": "ProjectReimport",
    "upload": "FileUpload",
    "export": "Export",
    "webhook": "Webhook",
    "project": "Project",
    "dataset": "Project",
    "draft": "AnnotationDraft",
    "user": "User",
    "organization": "Organization",
    "prediction": "Prediction",
}
"""What Label Studio calls the thing that an error's field says is missing."""

REQUEST_FIELDS: Mapping[str, str] = {
    "title": "title",
    "description": "description",
    "result": "result",
    "completed_by": "completed_by",
    "label": "label_config",
    "url": "url",
    "headers": "headers",
    "from": "from",
    "export_type": "export_type",
    "since": "since",
    "query": "query",
    "filters": "filters",
    "ordering": "ordering",
    "selectedItems": "selectedItems",
    "id": "id",
    "username": "username",
    "email": "email",
    "first_name": "first_name",
    "last_name": "last_name",
    "phone": "phone",
    "custom_hotkeys": "custom_hotkeys",
    "refresh": "refresh",
    "tasks": "tasks",
    "ids": "ids",
    "api_tokens_enabled": "api_tokens_enabled",
    "api_token_ttl_days": "api_token_ttl_days",
}
"""The request field under which a fault is told, by the field that a domain error speaks of."""


class UnsupportedMediaType(Invalid):
    """The body is of a kind that this endpoint does not read."""

    code = "unsupported_media_type"


STATUS: dict[type[HeadraceError], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    UnsupportedMediaType: 415,
    errors.Unacceptable: 422,
    errors.Invalid: 400,
    errors.RateLimited: 429,
    errors.Internal: 500,
    errors.NotBuilt: 501,
    errors.Unavailable: 503,
}


def render(request: Request, error: HeadraceError) -> Response:
    """An error in the dialect's shape."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    body: dict[str, object] = {
        "id": str(uuid.UUID(request.state.request_id)),
        "status_code": status,
        "version": RELEASE,
        "detail": _detail(error),
        "exc_info": None,
    }
    if _is_validation(error):
        body |= {"detail": "Validation error", "validation_errors": _validation_errors(error)}
    also = error.fields.get("also")
    body |= also if isinstance(also, dict) else {}
    headers = retry_headers(error) | ({"WWW-Authenticate": "Token"} if status == 401 else {})
    return json_answer(body, status, headers)


def _is_validation(error: HeadraceError) -> bool:
    return isinstance(error, Invalid) and not isinstance(error, Malformed | UnsupportedMediaType)


def _detail(error: HeadraceError) -> str:
    if isinstance(error, Malformed):
        return f"JSON parse error - {error.message}"
    if isinstance(error, NotFound):
        noun = next((NOUNS[field] for field in error.fields if field in NOUNS), None)
        return f"No {noun} matches the given query." if noun else error.message
    return error.message


def _validation_errors(error: HeadraceError) -> object:
    if "validation_errors" in error.fields:
        return error.fields["validation_errors"]
    if "path" in error.fields:
        return {str(error.fields["path"]) or "non_field_errors": [error.fields["reason"]]}
    field = next((REQUEST_FIELDS[name] for name in error.fields if name in REQUEST_FIELDS), "non_field_errors")
    return {field: [error.message]}


dialect = Dialect(
    name="label_studio",
    owns=re.compile(
        r"/api/(projects|tasks|annotations|predictions|drafts|import|dm|webhooks|token|jwt|version|current-user|users"
        r"|organizations|storages|ml|prompts|model-run|inference-runs|model-provider-connections|interfaces|workspaces"
        r"|saml|scim|session-policy|invite|billing|fsm|dimensions|annotation-reviews|comments|annotation-history"
        r"|activity-logs|analytics|project-templates)(/|$)|/data/upload(/|$)|/user/login$"
    ),
    render=render,
)


def invalid(field: str, *messages: str) -> Invalid:
    """A validation error of one request field."""
    return Invalid(messages[0], fields={"validation_errors": {field: list(messages)}})


def flag(call: Call, name: str, default: bool) -> bool:
    """A boolean query parameter, of a repeated one the last; raises Invalid naming it for any other word."""
    text = call.query(name)
    if text is None:
        return default
    found = QUERY_BOOLEANS.get(text.strip().lower())
    if found is None:
        message = f'Incorrect bool value "{text[:80]}". It should be one of [1, 0, true, false, yes, no]'
        raise Invalid(message, fields={"validation_errors": {name: message}})
    return found


def page_number(call: Call) -> int:
    """The `page` parameter, from 1; anything else is NotFound, as a page past the end is."""
    text = call.query("page")
    if text is None:
        return 1
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise no_page()
    return int(text)


def no_page() -> NotFound:
    """What is said of a page past the end; clients stop there."""
    return NotFound("Invalid page.", fields={"page": ""})


def page_size(call: Call, default: int, most: int) -> int | None:
    """The `page_size` parameter, at most `most`, or None for all (-1); nonsense counts as the default."""
    text = call.query("page_size")
    if text == "-1":
        return None
    if text is None or not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 1:
        return default
    return min(int(text), most)


def names(call: Call, parameter: str, separators: str = ",") -> list[str]:
    """The names in a list parameter, empty ones left out."""
    text = call.query(parameter) or ""
    return [name.strip() for name in re.split(f"[{re.escape(separators)}]", text) if name.strip()]


def media_type(call: Call) -> str:
    """The body's content type without its parameters, in lower case; "" when none was sent."""
    return call.request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(call: Call, shape: type[T]) -> T:
    """A JSON body of a shape; raises UnsupportedMediaType for another content type, Malformed, or Invalid."""
    kind = media_type(call)
    if kind not in ("application/json", ""):
        raise unsupported(kind)
    return await call.json(shape)


def unsupported(kind: str) -> UnsupportedMediaType:
    """What is said of a content type that is not read here."""
    return UnsupportedMediaType(f'Unsupported media type "{kind[:80]}" in request.')
