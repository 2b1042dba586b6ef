"""How the ASGI app is served: uvicorn on uvloop, with the deadlines and limits that plain uvicorn lacks.

A client that never finishes a request head, stops in the middle of a body, sends an endless header or never
reads its answer is dropped; SIGTERM and SIGINT let running requests finish and then end the server.
"""

import asyncio
import contextlib
import gc
import json
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from types import FrameType
from typing import Any

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from headrace.core.errors import Unavailable

HEAD_TOO_LARGE = "The request head is too large."


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long, in seconds, and how much, in bytes, a client may take before its connection is dropped.

    A body is late after `body_seconds` without a byte, and when it comes more slowly than `body_bytes_per_second`
    with `body_seconds` in hand, so that a sender of single bytes is dropped as well.
    """

    head_seconds: float = 30
    body_seconds: float = 30
    body_bytes_per_second: int = 500
    idle_seconds: int = 75
    unread_seconds: float = 120
    head_bytes: int = 65_536


def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    shutdown_seconds: float = 15,
    limits: Limits | None = None,
) -> None:
    """Serve `app` until SIGTERM or SIGINT, let running requests finish for `shutdown_seconds`, and return.

    Port 0 takes a free one; `ready` gets the real URL once requests are answered. Raises Unavailable when the
    address cannot be had, before the lifespan begins; a lifespan that fails is logged and ends in SystemExit.
    """
    limits = limits or Limits()
    with _listen(host, port, limits) as listener:
        config = _Config(
            _forgive_disconnects(app),
            limits=limits,
            http=_DeadlineProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=math.ceil(shutdown_seconds),
        )
        url = _url(listener)
        _Server(config, lambda: ready(url)).run(sockets=[listener])


class _HeadTooLarge(Exception):
    """The request line and headers together exceed their limit."""


class _Config(uvicorn.Config):
    """uvicorn's configuration, carrying the limits to each connection."""

    def __init__(self, app: ASGIApp, *, limits: Limits, **options: Any) -> None:
        super().__init__(app, **options)
        self.limits = limits


class _DeadlineProtocol(HttpToolsProtocol):
    """HTTP/1.1 on one connection, with deadlines for request heads and bodies and a limit on a head's size.

    uvicorn times only the silence between two requests. The head timer here runs from the connection's start,
    and from the first byte of each further request, until that request's headers are complete. The body timer
    runs only for a body that did not arrive together with its head; it looks at the clock when it fires and goes
    on while the body makes progress, so that ordinary requests set no timer at all.
    """

    def __init__(
        self,
        config: _Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_too_large = False
        self._undelivered = 0
        self._body_timer: asyncio.TimerHandle | None = None
        self._body_of: RequestResponseCycle | None = None
        self._stalled_at = 0.0
        self._too_slow_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._undelivered += len(data)
        super().data_received(data)
        if self._undelivered > self._limits.head_bytes:
            self._refuse(431, HEAD_TOO_LARGE)
        elif self._in_head or not self._responding():
            # Any byte stops uvicorn's own timer, even a stray line break or the rest of a refused body.
            self._start_head_timer()
        elif self.cycle.more_body:
            self._note_body_progress(len(data))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._undelivered = 0
        self._stop_head_timer()
        if len(self.url) + sum(map(len, chain.from_iterable(self.headers))) > self._limits.head_bytes:
            self._head_too_large = True
            raise _HeadTooLarge
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._undelivered = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._undelivered = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._responding() and self.cycle.more_body:
            # Answered before the body was read: the rest of it must still arrive, and soon.
            self._start_head_timer()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not take, or what on_headers_complete found too large."""
        self._refuse(*((431, HEAD_TOO_LARGE) if self._head_too_large else (400, msg)))

    def _refuse(self, status: int, message: str) -> None:
        """Answer with `status` and close; only close when the answer would be taken for another request's."""
        if self.transport.is_closing():
            return
        if not self._responding() or self._awaits_own_answer():
            body = json.dumps({"detail": message}).encode()
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        if self._responding():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _awaits_own_answer(self) -> bool:
        return self.cycle.more_body and not self.cycle.response_started and not self.pipeline

    def _start_head_timer(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self._limits.head_seconds, self._head_deadline)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_deadline(self) -> None:
        self._head_timer = None
        if self._responding():
            # Half of a pipelined head waits behind a running answer, which must not be cut off.
            self._start_head_timer()
        else:
            self.transport.close()

    def _note_body_progress(self, size: int) -> None:
        self._stalled_at = self.loop.time() + self._limits.body_seconds
        if self._body_of is not self.cycle:
            self._body_of = self.cycle
            self._too_slow_at = self._stalled_at
        self._too_slow_at += size / self._limits.body_bytes_per_second
        if self._body_timer is None and not self.transport.is_closing():
            self._body_timer = self.loop.call_at(self._stalled_at, self._body_deadline)

    def _body_deadline(self) -> None:
        self._body_timer = None
        if not self._responding() or not self.cycle.more_body:
            return
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            # The app has not asked for more yet: the client is not to blame.
            self._stalled_at = self._too_slow_at = self.loop.time() + self._limits.body_seconds
        due = min(self._stalled_at, self._too_slow_at)
        if self.loop.time() < due:
            self._body_timer = self.loop.call_at(due, self._body_deadline)
        else:
            self._refuse(408, "The request body did not arrive in time.")


class _Server(uvicorn.Server):
    """uvicorn's server: reports when it is ready, and returns after a signal instead of raising it again."""

    def __init__(self, config: _Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _settle_garbage_collector()
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True


def _forgive_disconnects(app: ASGIApp) -> ASGIApp:
    """Return the app with one exception held back: a client that went away is no error of the server."""

    async def forgiving(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(ClientDisconnect):
            await app(scope, receive, send)

    return forgiving


def _settle_garbage_collector() -> None:
    """Take what start-up made out of every later collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


def _listen(host: str, port: int, limits: Limits) -> socket.socket:
    """Return a listening socket; raise Unavailable, in one line for people, if there is none to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Accepted connections inherit it: the kernel drops a peer that leaves an answer unread for so long.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.unread_seconds * 1000))
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
