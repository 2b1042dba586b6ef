"""A client that speaks HTTP to an application in this process, in one step to the event loop and back per request.

Starlette's own client takes eight such steps, which cost more than the server does for a small request. This one hands
over whole bodies: a test that reads an answer while it is being made needs Starlette's.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import unquote

import anyio
import httpx2
from anyio.from_thread import BlockingPortal
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Scope

Loop = Callable[[], AbstractContextManager[BlockingPortal]]


class Client(TestClient):
    """Starlette's client, but for how a request reaches the application; what crashes there crashes here."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        super().__init__(app, **options)
        self._transport = OneStep(app, self._portal_factory)


class OneStep(httpx2.BaseTransport):
    """Carries a request to an ASGI application as the server does, and its whole answer back."""

    def __init__(self, app: ASGIApp, loop: Loop) -> None:
        self._app, self._loop = app, loop

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to a request; raises what the application raises."""
        body = request.read()
        with self._loop() as portal:
            return portal.call(self._answer, request, body)

    async def _answer(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        answered = anyio.Event()
        sent: list[Message] = []

        async def receive() -> Message:
            if not left:
                await answered.wait()
                return {"type": "http.disconnect"}
            return left.pop()

        async def send(message: Message) -> None:
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                answered.set()

        await self._app(_scope(request), receive, send)
        start, *pieces = sent
        content = b"" if request.method == "HEAD" else b"".join(piece.get("body", b"") for piece in pieces)
        return httpx2.Response(start["status"], headers=start["headers"], content=content, request=request)


def _scope(request: httpx2.Request) -> Scope:
    path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("testclient", 50000),
        "server": (request.url.host, request.url.port or 80),
        "state": {},
    }
