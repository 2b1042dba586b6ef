"""A real HTTP listener on loopback for tests of what the server sends."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

PATIENCE_SECONDS = 20.0


class Received(NamedTuple):
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """How a request is answered."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""


@dataclass
class Listener:
    """What came in, oldest first; `answer` decides on the replies. `port` is on 127.0.0.1."""

    port: int = 0
    answer: Callable[[Received], Reply] = field(default=lambda _: Reply())
    connections: int = 0
    received: SimpleQueue[Received] = field(default_factory=SimpleQueue)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    def next(self) -> Received:
        """The next request; fails when none comes."""
        return self.received.get(timeout=PATIENCE_SECONDS)


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener, closed afterwards."""
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            listener.connections += 1
            super().setup()

        def handle_any(self) -> None:
            size = int(self.headers.get("content-length", 0))
            received = Received(self.path, dict(self.headers.items()), self.rfile.read(size))
            reply = listener.answer(received)
            listener.received.put(received)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = handle_any

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
