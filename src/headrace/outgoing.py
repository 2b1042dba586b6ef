"""The one client for outgoing connections: it speaks to public addresses only, unless the operator allows a host.

A URL is parsed once and its name resolved once; when any address found is private, the request is refused, and the
connection goes to an address that was checked, under the name's own Host header and certificate. Redirects are
checked like first requests, or not followed at all. Callers learn of a failure only that it was one.
"""

import ipaddress
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import httpcore2

from headrace import __version__
from headrace.core.errors import Forbidden, Invalid, TooLarge

CONNECT_SECONDS = 5.0
POST_SECONDS = 15.0
FETCH_SECONDS = 60.0
MAX_REDIRECTS = 3
MAX_URL = 2048
PIECE_BYTES = 65536
PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_.])?")
SAFE = "/%:@!$&'()*+,;=~-._"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

REFUSED_V4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's metadata, at a public address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

REFUSED_V6 = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "::/128",
        "::1/128",
        "::/96",
        "::ffff:0:0/96",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "::/3",
        "4000::/2",
        "8000::/1",
    )
)
"""The narrow blocks come first, because a refusal names the first that matches; the last three leave 2000::/3."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class RefusedAddress(Forbidden):
    """The URL leads to an address that only this machine's own network can reach."""

    code = "refused_address"


class CouldNotFetch(Invalid):
    """The request failed; why is nobody's business outside."""

    code = "could_not_fetch"

    def __init__(self) -> None:
        super().__init__("could not be fetched")


class Target(NamedTuple):
    """A parsed URL. `host` is in ASCII and lower case, `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse(url: str) -> Target:
    """The parts of an http or https URL; raises Invalid for anything else, or one that carries a user name."""
    if len(url) > MAX_URL or not url.isprintable() or " " in url or "\\" in url:
        raise Invalid("Enter a valid URL.", fields={"url": url[:200]})
    try:
        parts = urlsplit(url)
        host, port = _ascii_host(parts.hostname or ""), parts.port
    except ValueError as error:
        raise Invalid("Enter a valid URL.", fields={"url": url[:200]}) from error
    if parts.scheme not in PORTS or "@" in parts.netloc or port == 0:
        raise Invalid("Enter a valid URL.", fields={"url": url[:200]})
    query = f"?{quote(parts.query, safe=SAFE + '?')}" if parts.query else ""
    return Target(parts.scheme, host, port or PORTS[parts.scheme], quote(parts.path or "/", safe=SAFE) + query)


def _ascii_host(host: str) -> str:
    """The host in ASCII; raises ValueError for what cannot be one."""
    if ":" in host:
        if "%" in host:
            raise ValueError("a zone belongs to this machine")
        return str(ipaddress.IPv6Address(host))
    name = host.encode("idna").decode().lower()
    if not HOST.fullmatch(name):
        raise ValueError("not a host name")
    return name


def refused_block(address: Address) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The block for whose sake an address is refused, or None for a public one."""
    if isinstance(address, ipaddress.IPv4Address):
        return next((block for block in REFUSED_V4 if address in block), None)
    if address in NAT64:
        return refused_block(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return next((block for block in REFUSED_V6 if address in block), None)


def system_addresses(host: str, port: int) -> list[str]:
    """The addresses of a name as the system resolves it, within the time for connecting; raises OSError."""
    found: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result([str(info[4][0]) for info in infos])
        except (OSError, UnicodeError) as error:
            found.set_exception(OSError(str(error)))

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    return found.result(CONNECT_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """The client. `allowed_hosts` are names (without a trailing dot) that may lead anywhere."""

    allowed_hosts: frozenset[str] = frozenset()
    resolve: Resolve = system_addresses
    tls: ssl.SSLContext | None = None

    def check(self, url: str) -> None:
        """Raise Invalid for a URL that is malformed or does not resolve, RefusedAddress for a private one."""
        self._addresses(parse(url))

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status that a POST is answered with; follows no redirect, reads no body. Raises CouldNotFetch."""
        with _failures_told(), self._exchange("POST", parse(url), headers, body, _until(POST_SECONDS)) as response:
            return int(response.status)

    def fetch(self, url: str, *, limit: int) -> Iterator[bytes]:
        """The content behind a URL, piece by piece; raises CouldNotFetch, or TooLarge beyond `limit` bytes."""
        deadline = _until(FETCH_SECONDS)
        with _failures_told():
            target = parse(url)
            for _ in range(MAX_REDIRECTS + 1):
                with self._exchange("GET", target, {"Accept-Encoding": "gzip"}, b"", deadline) as response:
                    if response.status not in REDIRECTS:
                        yield from _content(response, limit)
                        return
                    target = parse(urljoin(target.url, _header(response, b"location")))
            raise CouldNotFetch

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        # Not read at the start, because a server that calls nobody over TLS starts a good deal faster without.
        return self.tls or httpcore2.default_ssl_context()

    def _addresses(self, target: Target) -> Sequence[str]:
        """The addresses of a target, all of them allowed."""
        try:
            found = self.resolve(target.host, target.port)
        except OSError as error:
            raise Invalid(f"the name {target.host[:100]} does not resolve", fields={"url": target.url}) from error
        if target.host.rstrip(".") in self.allowed_hosts:
            return found
        for text in found:
            block = refused_block(ipaddress.ip_address(text))
            if block is not None:
                raise RefusedAddress(f"URL resolves to a reserved network address (block: {block})")
        return found

    @contextmanager
    def _exchange(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> Iterator[httpcore2.Response]:
        own = {"Host": target.authority, "User-Agent": f"headrace/{__version__}", "Connection": "close"}
        tls = self._trusted if target.scheme == "https" else None
        backend = _Pinned(self._addresses(target), deadline)
        url = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        sent = [(name.encode("ascii"), value.encode("latin-1")) for name, value in (own | dict(headers)).items()]
        with (
            httpcore2.ConnectionPool(ssl_context=tls, network_backend=backend) as pool,
            pool.stream(method, url, headers=sent, content=body) as response,
        ):
            yield response


class _Pinned(httpcore2.NetworkBackend):
    """Connects to one of the addresses that were checked, whatever name it is asked for."""

    def __init__(self, addresses: Sequence[str], deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.NetworkStream:
        failed = OSError("there is no address")
        for address in self._addresses:
            seconds = min(CONNECT_SECONDS, _left(self._deadline))
            try:
                return _Stream(socket.create_connection((address, port), seconds), self._deadline)
            except OSError as error:
                failed = error
        raise failed


class _Stream(httpcore2.NetworkStream):
    """A socket that works until the deadline of the whole exchange, however slowly the other side drips."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._sock.settimeout(_left(self._deadline))
        self._sock.sendall(buffer)

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        self._sock.settimeout(_left(self._deadline))
        try:
            return _Stream(ssl_context.wrap_socket(self._sock, server_hostname=server_hostname), self._deadline)
        except OSError:
            self._sock.close()
            raise


def _until(seconds: float) -> float:
    return time.monotonic() + seconds


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


@contextmanager
def _failures_told() -> Iterator[None]:
    """Turn whatever goes wrong outside into the one error that says nothing more."""
    try:
        yield
    except (
        OSError,
        RefusedAddress,
        Invalid,
        UnicodeError,
        zlib.error,
        httpcore2.TimeoutException,
        httpcore2.NetworkError,
        httpcore2.ProtocolError,
    ) as error:
        raise CouldNotFetch from error


def _header(response: httpcore2.Response, name: bytes) -> str:
    found = next((value for key, value in response.headers if key.lower() == name), b"")
    return found.decode("latin-1").strip()


def _content(response: httpcore2.Response, limit: int) -> Iterator[bytes]:
    """The content of a good answer, unpacked; neither what arrives nor what it unpacks to exceeds the limit."""
    encoding = _header(response, b"content-encoding").lower()
    if response.status != 200 or encoding not in ("", "identity", "gzip"):
        raise CouldNotFetch
    arriving = _at_most(limit, response.iter_stream())
    yield from _at_most(limit, _unpacked(arriving)) if encoding == "gzip" else arriving


def _at_most(limit: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise TooLarge(f"the content behind the URL is larger than {limit} bytes", fields={"limit": limit})
        yield piece


def _unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    unpack = zlib.decompressobj(31)
    for piece in pieces:
        left = piece
        while left:
            yield unpack.decompress(left, PIECE_BYTES)
            left = unpack.unconsumed_tail
    yield unpack.flush()
    if not unpack.eof:
        raise CouldNotFetch
