"""What can go wrong in the domain. A dialect's table turns each class into its own status and body.

HeadraceError
├── Unauthenticated      no token, or one that is unknown or revoked
├── Forbidden            the caller sees the object but lacks a permission
├── NotFound             absent, or not the caller's: the two look alike
├── Invalid              a value is malformed or out of range
│   └── Malformed        the body is not what the wire format allows at all
├── Unacceptable         well-formed, but refused (an idempotency key reused with another body)
├── Conflict             the state forbids it now; a retry after a change may succeed
├── TooLarge             a size or count above its limit
├── MethodNotAllowed     the path exists, the method does not
├── RateLimited          too many wrong tokens from one address
├── Unavailable          a resource is exhausted for now (disk full, queue full)
├── Internal             a fault of the server's own, logged with the request's id
└── NotBuilt             the server says honestly that it does not do this
"""

from collections.abc import Mapping


class HeadraceError(Exception):
    """Base of all domain errors: a stable code, a text for people, and the fields it speaks of."""

    code = "error"

    def __init__(self, message: str, *, fields: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fields: Mapping[str, object] = fields or {}


class Unauthenticated(HeadraceError):
    """No token was sent, or one that is unknown or revoked."""

    code = "unauthenticated"


class Forbidden(HeadraceError):
    """The caller may see the object but lacks the permission for this."""

    code = "forbidden"


class NotFound(HeadraceError):
    """The object is absent, or it belongs to somebody else: the two look alike."""

    code = "not_found"


class Invalid(HeadraceError):
    """A value is malformed, out of range, or refers to something that does not exist."""

    code = "invalid"


class Malformed(Invalid):
    """The body cannot be read at all: not JSON, not UTF-8, too deep, NUL, numbers beyond 64 bits."""

    code = "malformed"


class Unacceptable(HeadraceError):
    """The request is well-formed and still refused."""

    code = "unacceptable"


class Conflict(HeadraceError):
    """The present state forbids it; the same request may succeed later."""

    code = "conflict"


class TooLarge(HeadraceError):
    """A size or a count exceeds its documented limit."""

    code = "too_large"


class MethodNotAllowed(HeadraceError):
    """The path exists but not for this method."""

    code = "method_not_allowed"


class RateLimited(HeadraceError):
    """Too many attempts; wait for `fields['retry_after']` seconds."""

    code = "rate_limited"


class Unavailable(HeadraceError):
    """A resource is exhausted for now; reads go on and writing resumes by itself."""

    code = "unavailable"


class Internal(HeadraceError):
    """A fault of the server's own; details are in its log, under the id in `fields['request_id']`."""

    code = "internal"


class NotBuilt(HeadraceError):
    """The server does not do this and says so."""

    code = "not_built"
