"""What the client's tests share: a client of an in-process server, time that only sleeping moves, scripted answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from conftest import ADMIN_TOKEN
from headrace.app import Application, create_app
from headrace.client import AsyncClient, Client, Dataset, Retries
from headrace.settings import Settings

URL = "http://testserver"
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text" choice="multiple">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Application]:
    """A server that the tests of a module share; each test makes datasets of its own."""
    data = tmp_path_factory.mktemp("server")
    copyfile(migrated_sqlite, data / "headrace.sqlite3")
    application = create_app(Settings(data=data, admin_token=ADMIN_TOKEN))
    yield application
    application.close()


class Through(httpx2.BaseTransport):
    """Carries requests to a server in this process, and remembers them."""

    def __init__(self, application: Application) -> None:
        self._server = TestClient(application.asgi, raise_server_exceptions=False)
        self.seen: list[tuple[str, str]] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The server's answer."""
        self.seen.append((request.method, request.url.path))
        answer = self._server.send(request)
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def count(self, method: str, end: str) -> int:
        """How many requests of a method went to a path with this end."""
        return sum(seen == method and path.endswith(end) for seen, path in self.seen)


@dataclass
class Time:
    """A clock that only sleeping moves; a test that sleeps a thousand times waits for something that never comes."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        assert len(self.slept) < 1000
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        """Let time pass."""
        self.sleep(seconds)


def connect(application: Application, time: Time | None = None) -> tuple[Client, Through]:
    """The admin's client of a server in this process, and what carries its requests."""
    through, time = Through(application), time or Time()
    return Client(URL, ADMIN_TOKEN, transport=through, sleep=time.sleep, clock=time.clock), through


def connect_async(application: Application) -> AsyncClient:
    """The admin's asyncio client of a server in this process."""
    return AsyncClient(URL, ADMIN_TOKEN, transport=httpx2.ASGITransport(app=application.asgi))


Script = Sequence[httpx2.Response | Exception]


def scripted(script: Script, **options: Any) -> tuple[Client, list[httpx2.Request], Time]:
    """A client that is given these answers (or errors) in turn; what it sent, and its time."""
    sent, time, left = list[httpx2.Request](), Time(), iter(script)
    transport = httpx2.MockTransport(_player(left, sent))
    retries = Retries(chance=lambda: 1.0, **options)
    return Client(URL, "token", transport=transport, retries=retries, sleep=time.sleep, clock=time.clock), sent, time


def _player(
    left: Iterator[httpx2.Response | Exception], sent: list[httpx2.Request]
) -> Callable[[httpx2.Request], httpx2.Response]:
    def play(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return play


def fed(client: Client, *texts: str) -> Dataset[Client]:
    """A dataset with a stream `all` that was opened before these texts were imported."""
    dataset = client.create_dataset("Mails", label_config=CONFIG)
    dataset.create_stream("all")
    if texts:
        dataset.import_records({"text": text, "number": number} for number, text in enumerate(texts))
    return dataset
