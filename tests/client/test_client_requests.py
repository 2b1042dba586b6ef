"""How the client sends: repetitions, errors, and where it learns of its server."""

import asyncio

import httpx2
import pytest
from client_world import URL, Time, scripted

from headrace import client as package
from headrace.client import (
    ApiError,
    AsyncClient,
    Client,
    Conflict,
    Forbidden,
    HeadraceError,
    Invalid,
    NotFound,
    RateLimited,
    Retries,
    ServerError,
    TransportError,
    Unauthorized,
)


def good() -> httpx2.Response:
    """A dataset."""
    return httpx2.Response(200, json={"dataset": {"name": "d"}})


def busy(status: int = 503, **headers: str) -> httpx2.Response:
    """An answer that says: not now."""
    return httpx2.Response(status, headers=headers, json={"message": "later"})


def test_passing_faults_are_waited_out() -> None:
    """Lost connections, time-outs and 502 to 504 are tried again, each after twice the wait before."""
    faults = [httpx2.ConnectError("refused"), httpx2.ReadTimeout("slow"), busy(), busy(502), busy(504)]
    client, sent, time = scripted([*faults, good()])
    assert client.dataset("p/d").document() == {"name": "d"}
    assert len(sent) == 6
    assert time.slept == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_the_servers_own_wait_is_honoured() -> None:
    """Retry-After replaces the back-off; one beyond our patience ends the attempts."""
    client, _, time = scripted([busy(429, **{"retry-after": "7"}), good()])
    client.dataset("p/d").document()
    assert time.slept == [7.0]
    client, sent, _ = scripted([busy(429, **{"retry-after": "3600"})])
    with pytest.raises(RateLimited) as caught:
        client.dataset("p/d").document()
    assert caught.value.retry_after == 3600.0
    assert len(sent) == 1


def test_waits_are_spread_and_bounded() -> None:
    """A wait lies between half and all of its step, and no step is longer than the cap."""
    low, high = Retries(chance=lambda: 0.0), Retries(chance=lambda: 1.0, cap=3.0, most=99)
    assert low.wait(1, busy()) == 0.5
    assert high.wait(50, busy()) == 3.0
    assert Retries(most=2).wait(2, busy()) is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 500, 501])
def test_final_answers_are_not_tried_again(status: int) -> None:
    """Everything else is raised at once."""
    client, sent, _ = scripted([busy(status)])
    with pytest.raises(ApiError) as caught:
        client.dataset("p/d").document()
    assert (caught.value.status, len(sent)) == (status, 1)


def test_a_repeated_post_keeps_its_key() -> None:
    """One call has one Idempotency-Key however often it is sent; the next call has another."""
    made = httpx2.Response(201, json={"id": "7", "feedback": "x"})
    client, sent, _ = scripted([httpx2.Response(200, json={"id": "1"}), busy(), httpx2.ReadError("cut"), made, made])
    run = client.task(1, 2).run(3)
    run.feedback("one")
    run.feedback("two")
    keys = [request.headers["idempotency-key"] for request in sent[1:]]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert {request.read() for request in sent[1:4]} == {b'{"feedback":"one","source":"run-page"}'}


def test_a_server_that_never_answers_is_told_with_its_address() -> None:
    """After the last attempt the error names the request."""
    client, sent, _ = scripted([httpx2.ConnectError("refused")] * 3, most=2)
    with pytest.raises(TransportError, match=r"GET http://testserver/api/v1/datasets/p/d got no answer: refused"):
        client.dataset("p/d").document()
    assert len(sent) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (412, Conflict),
        (422, Invalid),
        (500, ServerError),
    ],
)
def test_each_status_has_its_exception(status: int, kind: type[ApiError]) -> None:
    """The class says what to do, the text has the server's reason and its request id."""
    answer = httpx2.Response(status, json={"message": "because"}, headers={"x-request-id": "r1"})
    client, _, _ = scripted([answer])
    with pytest.raises(kind, match=rf"because \({status}, request r1\)") as caught:
        client.dataset("p/d").document()
    assert (caught.value.message, caught.value.request_id) == ("because", "r1")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"status": "error", "message": "unknown stream"}, "unknown stream"),
        ({"detail": "Invalid token."}, "Invalid token."),
        ({"detail": "Validation error", "validation_errors": {"title": ["Too long."]}}, "title: Too long."),
        ({"error_messages": ["Tags[0]: bad", "Input: bad"], "message": "x"}, "Tags[0]: bad; Input: bad"),
        ({"message": {"failed_runs": ["1"], "error": "Runs not found"}}, "failed_runs: 1; error: Runs not found"),
        ({"error": {"code": "not_found", "message": "nothing there"}}, "nothing there"),
    ],
)
def test_the_reason_is_found_in_every_dialects_errors(body: object, told: str) -> None:
    """Whichever API words the error, its reason is the message."""
    client, _, _ = scripted([httpx2.Response(400, json=body)])
    with pytest.raises(Invalid) as caught:
        client.dataset("p/d").document()
    assert caught.value.message == told


def test_another_kind_of_server_is_recognised() -> None:
    """A page instead of JSON says that the URL is wrong."""
    client, _, _ = scripted([httpx2.Response(200, text="<html>")])
    with pytest.raises(HeadraceError, match="is the URL right"):
        client.dataset("p/d").document()


def test_url_and_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """HEADRACE_URL and HEADRACE_TOKEN stand in for arguments; without any URL the error says what to set."""
    monkeypatch.delenv("HEADRACE_URL", raising=False)
    with pytest.raises(HeadraceError, match="HEADRACE_URL"):
        Client()
    monkeypatch.setenv("HEADRACE_URL", URL)
    monkeypatch.setenv("HEADRACE_TOKEN", "from-environment")
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers["authorization"])
        return httpx2.Response(200, json={"dataset": {}})

    with Client(transport=httpx2.MockTransport(answer)) as client:
        client.dataset("p/d").document()
    assert seen == ["Bearer from-environment"]


@pytest.mark.parametrize("name", ["d", "/d", "p/"])
def test_a_dataset_needs_both_names(name: str) -> None:
    """A name without a project is refused before anything is sent."""
    client, sent, _ = scripted([])
    with pytest.raises(HeadraceError, match="project/name"):
        client.dataset(name)
    assert sent == []


def test_the_asyncio_client_waits_alike() -> None:
    """Retries work the same when awaited."""
    time, answers = Time(), iter([busy(), good()])
    transport = httpx2.MockTransport(lambda request: next(answers))

    async def ask() -> object:
        retries = Retries(chance=lambda: 1.0)
        async with AsyncClient(URL, transport=transport, retries=retries, sleep=time.sleep_async) as client:
            return await client.dataset("p/d").document()

    assert asyncio.run(ask()) == {"name": "d"}
    assert time.slept == [0.5]


def test_the_public_names_are_listed_exactly() -> None:
    """`__all__` is what the package offers, sorted, and nothing shadows a builtin."""
    public = [name for name, value in vars(package).items() if isinstance(value, type) and not name.startswith("_")]
    assert package.__all__ == sorted(public)
    assert not set(package.__all__) & set(dir(__builtins__))
