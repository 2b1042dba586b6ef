"""What every dialect needs at the boundary: authenticate, read the body, run one core function, answer.

A dialect declares its routes on a `Dialect`; `app` mounts them. A handler gets a `Call` and returns a response;
errors of the domain and of the framework alike go through the dialect's own `render`.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from headrace.core import access_tokens, errors, users
from headrace.core.entities import Extractor
from headrace.core.errors import HeadraceError, Invalid, NotFound, RateLimited, TooLarge, Unauthenticated
from headrace.core.idempotency import Reply, earlier, once
from headrace.core.models import Predictor
from headrace.core.rights import Principal
from headrace.core.store import Store, Tx
from headrace.decode import decode, encode
from headrace.outgoing import Outgoing
from headrace.signing import Signer

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("headrace")

JSON_LIMIT = 64 * 1024 * 1024
MAX_WRONG_TOKENS = 300
WRONG_TOKEN_SECONDS = 60.0
MAX_ID = 2**63 - 1
QUERY_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "not", "off", "0"), False),
}


STATUS: dict[type[HeadraceError], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Unacceptable: 422,
    errors.Invalid: 400,
    errors.RateLimited: 429,
    errors.Internal: 500,
    errors.NotBuilt: 501,
    errors.Unavailable: 503,
}
"""The status of each error of the domain, where a dialect has no table of its own."""


class JobRunner(Protocol):
    """What a dialect may ask of the jobs."""

    async def run_now(self, job_id: int) -> None:
        """Carry a job out at once if it still waits, and return when this attempt is over."""

    def watch(self, job_id: int) -> AbstractContextManager[asyncio.Event]:
        """An event that is set whenever an attempt at the job is over in this process."""


class Pool(Protocol):
    """What a dialect may ask for heavy parsing."""

    def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a module-level function in a child process; waits for it, so never call it on the loop."""


class WrongTokens:
    """Counts wrong tokens by address, so that guessing meets 429."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, int]] = {}

    def check(self, address: str) -> None:
        """Raise RateLimited when the address has sent too many wrong tokens lately."""
        since, count = self._seen.get(address, (0.0, 0))
        left = since + WRONG_TOKEN_SECONDS - time.monotonic()
        if count >= MAX_WRONG_TOKENS and left > 0:
            raise RateLimited("too many wrong tokens from this address", fields={"retry_after": int(left) + 1})

    def add(self, address: str) -> None:
        """Count one wrong token."""
        now = time.monotonic()
        since, count = self._seen.get(address, (now, 0))
        if now - since > WRONG_TOKEN_SECONDS:
            self._seen = {key: value for key, value in self._seen.items() if now - value[0] <= WRONG_TOKEN_SECONDS}
            since, count = now, 0
        self._seen[address] = (since, count + 1)


class Kept:
    """Answers that are dear to make, each with the version it was made of; of too many the oldest go."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._values: dict[Hashable, tuple[object, object]] = {}

    def get(self, key: Hashable, version: object) -> object | None:
        """The answer under a key, None when there is none or it was made of another version."""
        known = self._values.get(key)
        return known[1] if known is not None and known[0] == version else None

    def put(self, key: Hashable, version: object, value: object) -> None:
        """Keep an answer in the place of an earlier one."""
        self._values.pop(key, None)
        self._values[key] = (version, value)
        while len(self._values) > self._most:
            del self._values[next(iter(self._values))]


@dataclass(frozen=True, kw_only=True)
class Services:
    """What the dialects are given by `app`."""

    store: Store
    predictor: Predictor
    extractor: Extractor
    jobs: JobRunner
    pool: Pool
    signer: Signer
    outgoing: Outgoing = field(default_factory=Outgoing)
    no_auth: bool = False
    wrong_tokens: WrongTokens = field(default_factory=WrongTokens)
    kept: Kept = field(default_factory=Kept)


class Call:
    """One request at a dialect's boundary, with the principal that makes it."""

    def __init__(self, request: Request, services: Services, who: Principal) -> None:
        self.request = request
        self.services = services
        self.who = who
        self._body: bytes | None = None

    def text(self, name: str) -> str:
        """A path parameter."""
        return str(self.request.path_params[name])

    def number(self, name: str) -> int:
        """A path parameter that is an id; anything but a positive 64-bit integer is NotFound."""
        text = self.text(name)
        if not re.fullmatch(r"[0-9]{1,19}", text) or not 0 < int(text) <= MAX_ID:
            raise NotFound(f"'{text[:40]}' is not the id of anything here", fields={name: text[:40]})
        return int(text)

    def query(self, name: str) -> str | None:
        """A query parameter; of a repeated one the last counts."""
        values = self.request.query_params.getlist(name)
        return values[-1] if values else None

    def queries(self, name: str) -> list[str]:
        """All values of a repeatable query parameter."""
        return self.request.query_params.getlist(name)

    def flag(self, name: str, default: bool) -> bool:
        """A boolean query parameter; raises Invalid naming it for any other word."""
        text = self.query(name)
        if text is None:
            return default
        found = QUERY_BOOLEANS.get(text.strip().lower())
        if found is None:
            raise Invalid(f"{name} must be a boolean, not '{text[:60]}'", fields={name: "Must be a valid boolean."})
        return found

    def count(self, name: str, default: int, *, most: int, least: int = 1) -> int:
        """An integer query parameter within bounds; raises Invalid naming it."""
        text = self.query(name)
        if text is None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise Invalid(f"{name} must be an integer from {least} to {most}", fields={name: text[:40]})
        return int(text)

    async def body(self, limit: int = JSON_LIMIT) -> bytes:
        """The whole body; raises TooLarge above the limit, while reading."""
        if self._body is None:
            self._body = b"".join([piece async for piece in self.pieces(limit)])
        return self._body

    async def pieces(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it arrives; raises TooLarge as soon as it exceeds the limit in bytes."""
        if self.request.headers.get("content-encoding", "identity") != "identity":
            raise Invalid("a compressed body is not accepted", fields={"content-encoding": "identity"})
        declared = self.request.headers.get("content-length", "0")
        size = int(declared) if declared.isdigit() else 0
        if size > limit:
            raise TooLarge(f"the body is larger than {limit} bytes", fields={"limit": limit})
        size = 0
        async for piece in self.request.stream():
            size += len(piece)
            if size > limit:
                raise TooLarge(f"the body is larger than {limit} bytes", fields={"limit": limit})
            yield piece

    async def json(self, shape: type[T], limit: int = JSON_LIMIT) -> T:
        """The body decoded by the one edge decoder; raises Malformed or Invalid."""
        return decode(await self.body(limit), shape)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """One core function on a consistent view."""
        return await settled(self.services.store.submit_read(fn))

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """One core function in a transaction; returns once it is on disk."""
        return await settled(self.services.store.submit_write(fn))

    async def write_once(self, request: bytes, fn: Callable[[Tx], Reply]) -> Response:
        """Like `write` for a creating request: under an Idempotency-Key the first reply is given again."""
        key = self.request.headers.get("idempotency-key")
        reply = await self.write(lambda tx: once(tx, self.who, key, self._told(request), fn))
        return json_bytes(reply.body, reply.status)

    async def earlier(self, request: bytes) -> Reply | None:
        """The reply that `write_once` has kept of this request, for what is done in several transactions before it."""
        key = self.request.headers.get("idempotency-key")
        return await self.read(lambda tx: earlier(tx, self.who, key, self._told(request)))

    def _told(self, request: bytes) -> bytes:
        return b"\0".join((self.request.method.encode(), self.request.scope["path"].encode(), request))


Handler = Callable[[Call], Awaitable[Response]]
Render = Callable[[Request, HeadraceError], Response]


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the published description says of a route beside its path and its handler's words; serving ignores it.

    `takes` is the type of the body (one that may be None may be left out), `query` a model of the query parameters,
    `path` the types of path parameters that are more than text, `gives` the type of the answer (None: no content),
    `examples` answers by name. With `slash`, clients write a slash at the path's end.
    """

    takes: object = None
    query: type[BaseModel] | None = None
    path: Mapping[str, object] = field(default_factory=dict)
    gives: object = None
    status: int = 200
    examples: Mapping[str, object] = field(default_factory=dict)
    slash: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One entry of the routing table. `public` needs no token."""

    methods: tuple[str, ...]
    path: str
    handler: Handler
    public: bool
    told: Told | None = None

    @property
    def shown(self) -> str:
        """The path as clients write it."""
        return self.path + "/" if self.told and self.told.slash else self.path


@dataclass(kw_only=True)
class Dialect:
    """One public API: the paths it owns, its routes, and how it words an error.

    `prefix` is what its clients may put before its paths; it is dropped and means nothing. `token` finds the token in
    a request, where that is not as in every other dialect. `asks` are functions whose parameters the description
    shows for every route that is not public, `fails` the types of bodies by status that any route may answer with.
    """

    name: str
    owns: re.Pattern[str]
    render: Render
    prefix: re.Pattern[str] | None = None
    token: Callable[[Request], str | None] | None = None
    asks: Sequence[Callable[..., None]] = ()
    fails: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)

    def route(
        self, methods: str | Sequence[str], *paths: str, public: bool = False, told: Told | None = None
    ) -> Callable[[Handler], Handler]:
        """Declare a handler for methods and paths (without a trailing slash; both forms are served)."""
        wanted = (methods,) if isinstance(methods, str) else tuple(methods)

        def declare(handler: Handler) -> Handler:
            self.routes.extend(
                Route(methods=wanted, path=path, handler=handler, public=public, told=told) for path in paths
            )
            return handler

        return declare


async def settled(future: Future[T]) -> T:
    """Wait for work in a thread of the store, without blocking the loop."""
    return await asyncio.wrap_future(future)


async def authenticate(request: Request, services: Services, token: str | None) -> Principal:
    """The principal behind a request with this token; raises Unauthenticated, or RateLimited for a guesser."""
    if not token and services.no_auth:
        return await settled(services.store.submit_read(lambda tx: users.principal(_admin(tx))))
    if not token:
        services.wrong_tokens.check(_address(request))
        raise Unauthenticated(users.NO_CREDENTIALS)
    with guessing(request, services):
        claims = services.signer.access_claims(token)
        if claims is None:
            return await settled(services.store.submit_read(lambda tx: users.authenticate(tx, token)))
        return await settled(services.store.submit_read(lambda tx: access_tokens.authenticate(tx, claims)))


@contextmanager
def guessing(request: Request, services: Services) -> Iterator[None]:
    """Count what is Unauthenticated inside against the caller's address; raises RateLimited for a guesser."""
    address = _address(request)
    services.wrong_tokens.check(address)
    try:
        yield
    except Unauthenticated:
        services.wrong_tokens.add(address)
        raise


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def refuse_nul(request: Request) -> None:
    """Raise Invalid for a NUL in the path or the query: PostgreSQL refuses it, and nothing that is stored has one."""
    if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        raise Invalid("the address contains a NUL character")


def presented_token(request: Request) -> str | None:
    """The token in any of the places where the clients of the four APIs put it."""
    headers = request.headers
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("token", "bearer") and credentials.strip():
        return credentials.strip()
    return headers.get("x-api-key") or headers.get("x-auth-token") or request.query_params.get("api_key")


def endpoint(dialect: Dialect, route: Route, services: Services) -> Callable[[Request], Awaitable[Response]]:
    """The route's handler as the framework wants it, with authentication before and error rendering around it."""

    presented = dialect.token or presented_token

    async def serve(request: Request) -> Response:
        try:
            refuse_nul(request)
            who = NOBODY if route.public else await authenticate(request, services, presented(request))
            return await route.handler(Call(request, services, who))
        except HeadraceError as error:
            return dialect.render(request, error)

    serve.__name__ = getattr(route.handler, "__name__", "serve")
    serve.__doc__ = route.handler.__doc__
    return serve


NOBODY = Principal(user_id=0, username="", email="")


def json_bytes(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer that is encoded already."""
    return Response(body, status, headers, media_type="application/json")


def json_answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return json_bytes(encode(value), status, headers)


def json_reply(value: object, status: int = 200) -> Reply:
    """A JSON answer to be kept under an Idempotency-Key."""
    return Reply(status, encode(value))


def retry_headers(error: HeadraceError) -> dict[str, str]:
    """`Retry-After` where the error says how long to wait."""
    wait = error.fields.get("retry_after")
    return {"Retry-After": str(wait)} if wait is not None else {}


def by_precedence(routes: Sequence[Route]) -> list[Route]:
    """Routes that name an object by `id:` first, because a name could look like that too."""
    return sorted(routes, key=lambda route: "id:{hex_id}" not in route.path)


def allowed_methods(routes: Iterable[Route], matches: Callable[[str], bool]) -> str:
    """The methods of all routes whose path matches, for an Allow header."""
    return ", ".join(sorted({method for route in routes if matches(route.path) for method in route.methods}))


def _admin(tx: Tx) -> users.User:
    return next(user for user in tx.users.all() if user.is_admin)
