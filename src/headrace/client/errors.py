"""What can go wrong, as one tree:

* HeadraceError
  + TransportError       no answer came, in spite of retries
  + ApiError             the server refused; has status, message, request_id
    - Unauthorized       401
    - Forbidden          403
    - NotFound           404
    - Conflict           409, and 412 for a stale `strict` save
    - RateLimited        429, after retries; has retry_after
    - Invalid            every other 4xx
    - ServerError        5xx, after retries
  + ImportFailed         an import ended without its rows; has import_id
  + BatchFailed          some runs of a batch were refused; has results
  + MissingExtra         an optional package is not installed
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from headrace.client.batches import Saved

LONGEST_MESSAGE = 2_000


class HeadraceError(Exception):
    """Anything that this package raises by itself."""


class TransportError(HeadraceError):
    """The server could not be reached, or did not answer in time."""


class ApiError(HeadraceError):
    """The server answered with an error: `status`, `message`, and the `request_id` under which its log has it."""

    hint = ""

    def __init__(self, status: int, message: str, request_id: str = "", *, retry_after: float | None = None) -> None:
        self.status = status
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after
        known = f"{status}, request {request_id}" if request_id else str(status)
        super().__init__(f"{message} ({known}){self.hint and '; ' + self.hint}")


class Unauthorized(ApiError):
    """The token is missing, wrong or revoked."""

    hint = "pass token=... or set HEADRACE_TOKEN"


class Forbidden(ApiError):
    """The token's user lacks a permission."""

    hint = "ask an admin for the permission that is named"


class NotFound(ApiError):
    """There is no such thing, or the token's user may not know of it."""

    hint = "check the name or id, and that the token's user is a member of the project"


class Conflict(ApiError):
    """The thing has changed, or is in a state that does not allow this."""

    hint = "read it again, then repeat the change"


class Invalid(ApiError):
    """The request is wrong as it stands; repeating it does not help."""


class RateLimited(ApiError):
    """Too many requests, for longer than the retries lasted; `retry_after` is in seconds where the server says."""

    hint = "send less, or allow more retries"


class ServerError(ApiError):
    """The server failed, or does not have the function (501)."""


class ImportFailed(HeadraceError):
    """An import ended as failed, and none of its rows was stored; the message says which item is wrong and why."""

    def __init__(self, message: str, import_id: int) -> None:
        self.import_id = import_id
        super().__init__(f"import {import_id} stored nothing: {message}")


class BatchFailed(HeadraceError):
    """Some runs of a batch were refused; `results` tells of every run, in the order in which they were added."""

    def __init__(self, results: "Sequence[Saved]") -> None:
        self.results = results
        refused = [result for result in results if result.error is not None]
        first = refused[0]
        super().__init__(
            f"{len(refused)} of {len(results)} runs were not saved; the first is {first.id}: {first.error}"
        )


class MissingExtra(HeadraceError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; install it with: pip install 'headrace[{extra}]'")


KINDS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    429: RateLimited,
}


def error_of(response: httpx2.Response) -> ApiError:
    """The error that an answer with a status from 400 on stands for."""
    status = response.status_code
    kind = KINDS.get(status, ServerError if status >= 500 else Invalid)
    request_id = response.headers.get("x-request-id", "")
    return kind(status, _message(response)[:LONGEST_MESSAGE], request_id, retry_after=retry_after(response))


def refusal(status: int, body: object) -> ApiError:
    """The error of one item inside an answer that as a whole is good."""
    kind = KINDS.get(status, ServerError if status >= 500 else Invalid)
    return kind(status, told(body)[:LONGEST_MESSAGE])


def retry_after(response: httpx2.Response) -> float | None:
    """The seconds of a `Retry-After` header; None without one, or for one that is a date."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def _message(response: httpx2.Response) -> str:
    try:
        return told(response.json()) or response.reason_phrase
    except ValueError:
        return response.text.strip() or response.reason_phrase


def told(body: Any) -> str:
    """The reason in an error body, whichever of the server's dialects worded it."""
    if not isinstance(body, Mapping):
        return body if isinstance(body, str) else ""
    for key in ("validation_errors", "error_messages", "message", "detail", "error"):
        if body.get(key):
            return _text(body[key])
    return ""


def _text(value: object) -> str:
    """A message, a list of messages, or messages by field, as one line."""
    if isinstance(value, Mapping):
        if isinstance(value.get("message"), str):
            return str(value["message"])
        return "; ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(_text(item) for item in value)
    return str(value)
