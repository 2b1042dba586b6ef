"""The dialect's error body and error table, and how it reads query parameters."""

import re

from starlette.requests import Request
from starlette.responses import Response

from headrace.core.errors import HeadraceError, Invalid
from headrace.dialects.kit import STATUS, Call, Dialect, json_answer, retry_headers


def render(request: Request, error: HeadraceError) -> Response:
    """An error in the dialect's shape: `{"error": {code, message, request_id, fields}}`."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    body = {
        "code": error.code,
        "message": error.message,
        "request_id": request.state.request_id,
        "fields": {name: value for name, value in error.fields.items() if isinstance(value, str | int | float | list)},
    }
    headers = retry_headers(error) | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    return json_answer({"error": body}, status, headers)


dialect = Dialect(name="headrace", owns=re.compile(r"/headrace(/|$)"), render=render)

BASE = "/headrace/v1"


def number(call: Call, name: str, default: int, least: int, most: int) -> int:
    """A whole number in the query, `default` when absent; raises Invalid outside its bounds."""
    text = call.query(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise Invalid(f"{name} must be a whole number from {least} to {most}", fields={name: text[:40]})
    return int(text)
