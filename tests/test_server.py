"""A client that stalls, floods or never reads is dropped, and a signal ends the server cleanly."""

import asyncio
import http.client
import json
import multiprocessing
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from headrace.core.errors import Unavailable
from headrace.server import Limits, serve

SHORT = Limits(head_seconds=0.5, body_seconds=0.5, body_bytes_per_second=500, unread_seconds=0.5, head_bytes=8_192)
HEAD = b"POST /echo HTTP/1.1\r\nHost: example.org\r\n"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server process, its address, and the pipe on which it reports what it saw."""

    process: SpawnProcess
    address: tuple[str, int]
    reports: Connection


class ProbeApp:
    """Echoes at /echo, refuses bodies unread at /refuse, sends 32 MB at /huge, never answers at /hang."""

    def __init__(self, reports: Connection) -> None:
        self.reports = reports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.reports.send("stopped")
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["path"] == "/refuse":
            await answer(send, 413, b"{}")
        elif scope["path"] == "/huge":
            await answer(send, 200, bytes(32_000_000), more=True)
            await send({"type": "http.response.body", "body": b"!"})
            self.reports.send("dropped")
        elif scope["path"] == "/hang":
            await whole_body(receive)
            await asyncio.Event().wait()
        else:
            await answer(send, 200, await whole_body(receive))


async def whole_body(receive: Receive) -> bytes:
    """Return the request body, whatever number of messages it comes in."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def answer(send: Send, status: int, body: bytes, *, more: bool = False) -> None:
    """Send a response, or its first part when there is more to come."""
    headers = [(b"content-length", b"%d" % (len(body) + more))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more})


def run_server(reports: Connection) -> None:
    """Serve the probe app on a free port; the body of the server process."""
    serve(ProbeApp(reports), host="127.0.0.1", port=0, ready=reports.send, shutdown_seconds=1, limits=SHORT)


@contextmanager
def running_server() -> Iterator[Running]:
    """Yield a server process that answers requests; end it afterwards."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=run_server, args=(theirs,))
    process.start()
    theirs.close()
    try:
        assert ours.poll(30)
        url = urlsplit(ours.recv())
        yield Running(process=process, address=(str(url.hostname), url.port or 0), reports=ours)
    finally:
        process.kill()
        process.join()
        ours.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """One server with half-second limits for every test that does not end it."""
    with running_server() as running:
        yield running


@contextmanager
def connected(server: Running, *, timeout: float = 10) -> Iterator[socket.socket]:
    """Yield a raw connection whose reads fail after `timeout` seconds."""
    with socket.create_connection(server.address, timeout=timeout) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    """Return everything until the server closes; a server that does not close is a time-out error."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def read_response(connection: socket.socket) -> tuple[int, bytes]:
    """Return status and body of one response, leaving the connection open."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, response.read()


def test_normal_request(server: Running) -> None:
    """A request of several hundred kilobytes is echoed, and the answer does not name the server software."""
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    body = b"a" * 500_000
    connection.request("POST", "/echo", body=body)
    response = connection.getresponse()
    assert (response.status, response.read(), response.getheader("server")) == (200, body, None)
    connection.close()


@pytest.mark.parametrize("sent", [b"", b"GE", HEAD, b"\r\n"])
def test_unfinished_head_is_dropped(server: Running, sent: bytes) -> None:
    """A connection that never completes its first request head is closed without an answer."""
    with connected(server) as connection:
        connection.sendall(sent)
        assert read_to_end(connection) == b""


@pytest.mark.parametrize("sent", [b"\r\n", b"P", HEAD])
def test_unfinished_second_head_is_dropped(server: Running, sent: bytes) -> None:
    """After an answered request, a further head that never completes closes the connection."""
    with connected(server) as connection:
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\nhi")
        assert read_response(connection) == (200, b"hi")
        connection.sendall(sent)
        assert read_to_end(connection) == b""


def test_idle_connection_is_kept(server: Running) -> None:
    """Silence after an answer outlives the head deadline: it is governed by the longer idle time."""
    with connected(server, timeout=3 * SHORT.head_seconds) as connection:
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\nhi")
        assert read_response(connection) == (200, b"hi")
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.sendall(HEAD + b"Content-Length: 3\r\n\r\nyou")
        assert read_response(connection) == (200, b"you")


@pytest.mark.parametrize("framing", [b"Content-Length: 10\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_stalled_body_is_answered_408(server: Running, framing: bytes) -> None:
    """A body that stops arriving is answered 408 as JSON and the connection is closed."""
    with connected(server) as connection:
        connection.sendall(HEAD + framing)
        head, _, body = read_to_end(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert "did not arrive" in json.loads(body)["detail"]


def test_slow_but_steady_body_is_accepted(server: Running) -> None:
    """A body that takes longer than the stall deadline is read to its end while its pieces keep coming."""
    with connected(server, timeout=SHORT.body_seconds / 3) as connection:
        connection.sendall(HEAD + b"Content-Length: 5000\r\n\r\n")
        for _ in range(5):
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.sendall(b"a" * 1000)
        assert read_response(connection) == (200, b"a" * 5000)


def test_trickled_body_is_dropped(server: Running) -> None:
    """Single bytes, each well before the stall deadline, do not hold a connection for ever."""
    with connected(server, timeout=SHORT.body_seconds / 5) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
        for _ in range(50):
            connection.sendall(b"a")
            try:
                assert connection.recv(12) == b"HTTP/1.1 408"
                break
            except TimeoutError:
                continue
        else:
            pytest.fail("the server went on reading single bytes")


def test_unsent_body_after_refusal_is_dropped(server: Running) -> None:
    """A request answered before its body was read is closed when that body then never arrives."""
    with connected(server) as connection:
        connection.sendall(b"POST /refuse HTTP/1.1\r\nHost: example.org\r\nContent-Length: 9\r\n\r\n")
        assert read_response(connection)[0] == 413
        assert read_to_end(connection) == b""


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""])
def test_oversized_head_is_answered_431(server: Running, end: bytes) -> None:
    """A head above the limit, complete or endless, is answered 431 as JSON and the connection is closed."""
    with connected(server) as connection:
        connection.sendall(HEAD + b"X-Long: " + b"a" * SHORT.head_bytes + end)
        head, _, body = read_to_end(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 ")
        assert "too large" in json.loads(body)["detail"]


def test_malformed_head_is_answered_400(server: Running) -> None:
    """Bytes that are not HTTP are answered 400 as JSON and the connection is closed."""
    with connected(server) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        head, _, body = read_to_end(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(body)["detail"]


def test_garbage_behind_a_running_request_is_not_answered_for_it(server: Running) -> None:
    """A malformed second request never puts its 400 in the place of the first one's answer."""
    with connected(server) as connection:
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\nhi" + b"\x16\x03\x01\r\n\r\n")
        assert b" 400 " not in read_to_end(connection)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the kernel has no TCP_USER_TIMEOUT")
def test_unread_answer_is_dropped(server: Running) -> None:
    """A client that never reads its answer loses the connection instead of pinning the answer in memory."""
    with connected(server) as connection:
        connection.sendall(b"GET /huge HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert server.reports.poll(10)
        assert server.reports.recv() == "dropped"


def test_sigterm_finishes_running_requests() -> None:
    """After SIGTERM a request under way is answered, then the lifespan ends, then the process exits 0."""
    with running_server() as server, connected(server) as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")
        os.kill(server.process.pid or 0, signal.SIGTERM)
        connection.sendall(b"hi")
        assert read_to_end(connection).endswith(b"\r\n\r\nhi")
        assert server.reports.recv() == "stopped"
        server.process.join(10)
        assert server.process.exitcode == 0


def test_hanging_request_does_not_hold_up_the_end() -> None:
    """After SIGTERM a request that never ends is cut off when its time is up, and the end is still clean."""
    with running_server() as server, connected(server) as connection:
        connection.sendall(b"POST /hang HTTP/1.1\r\nHost: example.org\r\n")
        connection.sendall(b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hi")
        os.kill(server.process.pid or 0, signal.SIGTERM)
        assert server.reports.recv() == "stopped"
        server.process.join(10)
        assert server.process.exitcode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_idle_server(number: signal.Signals) -> None:
    """Open but idle and half-open connections do not hold up the end."""
    with running_server() as server, connected(server) as idle, connected(server) as half_open:
        half_open.sendall(HEAD)
        idle.sendall(HEAD + b"Content-Length: 2\r\n\r\nhi")
        assert read_response(idle) == (200, b"hi")
        os.kill(server.process.pid or 0, number)
        assert server.reports.recv() == "stopped"
        server.process.join(10)
        assert server.process.exitcode == 0


async def never_called(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that must not even be started."""
    pytest.fail("the app was started")


def test_address_in_use_is_one_line() -> None:
    """A taken port is refused with a sentence that names the address, before the app starts."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
            serve(never_called, host="127.0.0.1", port=port, ready=pytest.fail)
