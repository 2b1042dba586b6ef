"""The guarded client: nothing private is ever connected to, and everything is bounded."""

import gzip
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import outgoing
from headrace.core.errors import Forbidden, Invalid, TooLarge
from headrace.outgoing import CouldNotFetch, Outgoing, RefusedAddress, parse, refused_block
from listener import Listener, Received, Reply, listening

CERTIFICATES = Path(__file__).parent / "certificates"

TLS = ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")

SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "0177.0x0.0.01",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "ⓛocalhost",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[::1%25lo]",
    "user@127.0.0.1",
    "user:secret@127.0.0.1",
    "example.org@127.0.0.1",
    "127.0.0.1#@example.org",
    "127.0.0.1\\@example.org",
    "example.org\\@127.0.0.1",
    "127.0.0.1%00.example.org",
    "%31%32%37.0.0.1",
    "127.0.0.1\t",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.0.1",
    "192.0.0.192",
    "168.63.129.16",
    "224.0.0.1",
    "255.255.255.255",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
]


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listener on loopback."""
    with listening() as found:
        yield found


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_a_private_address_is_connected_to(host: str, listener: Listener) -> None:
    """Checking refuses the URL, sending and fetching say only that it failed, and the listener hears nothing."""
    url = f"http://{host}:{listener.port}/hook" if "#" not in host else f"http://{host}"
    client = Outgoing(tls=TLS)
    with pytest.raises((Forbidden, Invalid)):
        client.check(url)
    with pytest.raises(CouldNotFetch, match=r"^could not be fetched$"):
        client.post(url, b"", {})
    with pytest.raises(CouldNotFetch, match=r"^could not be fetched$"):
        list(client.fetch(url, limit=10))
    assert listener.connections == 0


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "file:///etc/passwd", "gopher://example.org", "//example.org/", "example.org", ""]
)
def test_only_http_and_https(url: str) -> None:
    """Another scheme, or none, is no URL here."""
    with pytest.raises(Invalid):
        parse(url)


def test_a_refusal_names_the_block() -> None:
    """The message is that of Label Studio."""
    with pytest.raises(RefusedAddress, match=r"reserved network address \(block: 127\.0\.0\.0/8\)"):
        Outgoing().check("http://127.0.0.1/")


def test_a_name_that_does_not_resolve_is_invalid() -> None:
    """It is the caller's mistake, not a fault of the server."""

    def unknown(name: str, port: int) -> list[str]:
        raise socket.gaierror

    with pytest.raises(Invalid, match="does not resolve"):
        Outgoing(resolve=unknown).check("http://nowhere.example.org/")


def test_one_private_address_among_public_ones_refuses_all(listener: Listener) -> None:
    """A name that leads to both is not given the benefit of the doubt."""
    client = Outgoing(resolve=lambda name, port: ["93.184.215.14", "127.0.0.1"])
    with pytest.raises(RefusedAddress):
        client.check(f"http://both.example.org:{listener.port}/")


@given(st.ip_addresses())
def test_whatever_is_not_global_is_refused(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Nothing that the standard library calls private, reserved or multicast passes."""
    if not address.is_global or address.is_multicast:
        assert refused_block(address) is not None


@given(st.ip_addresses(v=4))
def test_a_translated_address_is_judged_as_what_it_stands_for(address: ipaddress.IPv4Address) -> None:
    """NAT64 may reach public addresses; mapped, compatible and 6to4 forms none."""
    number = int(address)
    translated = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | number)
    assert (refused_block(translated) is None) == (refused_block(address) is None)
    for form in (number, 0xFFFF << 32 | number, 0x2002 << 112 | number << 80):
        assert refused_block(ipaddress.IPv6Address(form)) is not None


def test_the_connection_goes_to_the_address_that_was_checked(listener: Listener) -> None:
    """A name is resolved once for a request; the Host header keeps it."""
    asked: list[str] = []

    def resolve(name: str, port: int) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"]

    client = Outgoing(allowed_hosts=frozenset({"hooks.example.org"}), resolve=resolve)
    assert client.post(f"http://Hooks.example.org:{listener.port}/a?b=c d".replace(" ", "%20"), b"x", {"A": "b"}) == 200
    received = listener.next()
    assert asked == ["hooks.example.org"]
    assert (received.path, received.headers["Host"]) == ("/a?b=c%20d", f"hooks.example.org:{listener.port}")
    assert (received.headers["A"], received.body) == ("b", b"x")
    assert "Authorization" not in received.headers


def test_the_environment_sends_nothing_through_a_proxy(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables mean nothing."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{listener.port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{listener.port}")
    with listening() as other:
        assert local().post(other.url, b"", {}) == 200
    assert listener.connections == 0


def local() -> Outgoing:
    """A client that may reach this machine under its address."""
    return Outgoing(allowed_hosts=frozenset({"127.0.0.1"}), tls=TLS)


def test_a_post_follows_no_redirect(listener: Listener) -> None:
    """The redirect's own status is the answer."""
    listener.answer = lambda _: Reply(302, {"Location": listener.url})
    assert local().post(listener.url, b"", {}) == 302
    assert listener.connections == 1


def test_a_fetch_follows_redirects_and_checks_each(listener: Listener) -> None:
    """Three are followed; one to a host that is not allowed is refused before it is connected to."""
    chain = {"/hook": "/1", "/1": "/2", "/2": "/end", "/away": f"http://localhost:{listener.port}/end"}

    def answer(received: Received) -> Reply:
        target = chain.get(received.path)
        return Reply(302, {"Location": target}) if target else Reply(body=b"content")

    listener.answer = answer
    assert b"".join(local().fetch(listener.url, limit=100)) == b"content"
    assert listener.connections == 4
    with pytest.raises(CouldNotFetch):
        list(local().fetch(listener.url.replace("hook", "away"), limit=100))
    assert listener.connections == 5
    chain["/end"] = "/hook"
    with pytest.raises(CouldNotFetch):
        list(local().fetch(listener.url, limit=100))
    assert listener.connections == 9


def test_a_fetch_is_bounded_packed_and_unpacked(listener: Listener) -> None:
    """A small packed answer that unpacks to more than the limit is too large; below the limit it is read."""
    listener.answer = lambda _: Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(bytes(1_000_000)))
    assert sum(map(len, local().fetch(listener.url, limit=1_000_000))) == 1_000_000
    with pytest.raises(TooLarge):
        list(local().fetch(listener.url, limit=999_999))
    listener.answer = lambda _: Reply(body=bytes(101))
    with pytest.raises(TooLarge):
        list(local().fetch(listener.url, limit=100))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404),
        Reply(302),
        Reply(headers={"Content-Encoding": "br"}, body=b"x"),
        Reply(headers={"Content-Encoding": "gzip"}, body=b"not packed"),
        Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"x" * 1000)[:-9]),
    ],
)
def test_a_bad_answer_could_not_be_fetched(reply: Reply, listener: Listener) -> None:
    """Whatever is wrong with it, the caller learns no more."""
    listener.answer = lambda _: reply
    with pytest.raises(CouldNotFetch, match=r"^could not be fetched$"):
        list(local().fetch(listener.url, limit=10_000))


def test_a_dripping_answer_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends a byte now and then does not hold a delivery longer than the time for all of it."""
    monkeypatch.setattr(outgoing, "POST_SECONDS", 0.3)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            peer, _ = server.accept()
            with peer:
                while not over.wait(0.05):
                    try:
                        peer.sendall(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(CouldNotFetch):
            local().post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"", {})
        over.set()
        thread.join()


@pytest.mark.parametrize(("name", "good"), [("hooks.example.org", True), ("other.example.org", False)])
def test_the_certificate_must_be_the_names(name: str, good: bool) -> None:
    """The name asked for is sent and verified although the connection goes to a pinned address."""
    seen: list[str | None] = []
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(CERTIFICATES / "hooks.pem")
    serving.sni_callback = lambda _, asked, __: seen.append(asked)
    client = Outgoing(
        allowed_hosts=frozenset({name}),
        resolve=lambda host, port: ["127.0.0.1"],
        tls=TLS,
    )
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            try:
                with serving.wrap_socket(peer, server_side=True) as tls:
                    tls.recv(65536)
                    tls.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except OSError:
                peer.close()

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://{name}:{server.getsockname()[1]}/"
        if good:
            assert client.post(url, b"", {}) == 204
        else:
            with pytest.raises(CouldNotFetch):
                client.post(url, b"", {})
        thread.join()
    assert seen == [name]
