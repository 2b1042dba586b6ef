"""What every test may use: a server in-process on a real database, its admin, and people with less rights."""

import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from shutil import copyfile
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from anyio.from_thread import start_blocking_portal
from starlette import routing
from starlette.testclient import TestClient

from building import empty_database
from headrace.app import Application, create_app
from headrace.core.store import Store
from headrace.settings import Settings
from headrace.storage import open_store
from inprocess import Client
from postgres import fresh_database, postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

ADMIN_TOKEN = "admin-token-for-tests"


def client_of(application: Application, token: str | None = ADMIN_TOKEN) -> TestClient:
    """A client that speaks HTTP in-process, with a token or without."""
    headers = {"Authorization": f"Token {token}"} if token else {}
    return Client(application.asgi, headers=headers)


@pytest.fixture(scope="session", autouse=True)
def one_event_loop() -> Iterator[None]:
    """All clients of a test process share an event loop, as all requests to a server do; making one takes longer
    than a request."""
    with start_blocking_portal() as TestClient.portal:
        yield
    TestClient.portal = None


@pytest.fixture(scope="session", autouse=True)
def paths_compiled_once() -> Iterator[None]:
    """All servers of a test process have the same paths; compiling them is a quarter of what a start costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routing, "compile_path", cache(routing.compile_path))
        yield


def pytest_collection_finish() -> None:
    """Keep the collector from walking what was imported again and again, as the server does when it starts."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "empty.sqlite3"
    path.write_bytes(empty_database())
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """The name of a migrated PostgreSQL database to copy."""
    with fresh_database(postgres_server) as url:
        open_store(url).close()
        yield urlsplit(url).path[1:]


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated PostgreSQL database of the test's own."""
    template = request.getfixturevalue("migrated_postgres")
    with fresh_database(request.getfixturevalue("postgres_server"), template=template) as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path, migrated_sqlite: Path) -> Settings:
    """Settings of a server of its own on SQLite."""
    return settings_in(tmp_path / "data", migrated_sqlite)


def settings_in(data: Path, migrated_sqlite: Path) -> Settings:
    """Settings of a server on SQLite in a new directory."""
    data.mkdir()
    copyfile(migrated_sqlite, data / "headrace.sqlite3")
    return Settings(data=data, admin_token=ADMIN_TOKEN)


@pytest.fixture
def application(request: pytest.FixtureRequest) -> Iterator[Application]:
    """A running server on SQLite, its jobs included: the test's own, or the module's if that is marked as sharing."""
    if _shares_server(request):
        yield request.getfixturevalue("shared_application")
        return
    application = create_app(request.getfixturevalue("settings"))
    yield application
    application.close()


def _shares_server(request: pytest.FixtureRequest) -> bool:
    mark = request.node.get_closest_marker("server")
    return mark is not None and mark.args == ("shared",)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> Iterator[Store]:
    """An empty store without a server around it, once on SQLite and once on PostgreSQL."""
    if request.param == "postgres":
        store = open_store(request.getfixturevalue("database_url"))
    else:
        store = open_store(f"sqlite:///{copyfile(migrated_sqlite, tmp_path / 'store.db')}")
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest) -> Iterator[Application]:
    """A running server, once on SQLite and once on PostgreSQL; shared as `application` is."""
    on_postgres = request.param == "postgres"
    if _shares_server(request):
        yield request.getfixturevalue("shared_on_postgres" if on_postgres else "shared_application")
        return
    url = request.getfixturevalue("database_url") if on_postgres else ""
    application = create_app(replace(request.getfixturevalue("settings"), database_url=url))
    yield application
    application.close()


@pytest.fixture
def api(application: Application) -> TestClient:
    """The admin's client of the SQLite server."""
    return client_of(application)


@pytest.fixture(scope="module")
def shared_application(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Application]:
    """One SQLite server for all tests of a module whose cases cannot disturb one another: they are refused, or each
    makes anew all that it looks at."""
    application = create_app(settings_in(tmp_path_factory.mktemp("shared") / "data", migrated_sqlite))
    yield application
    application.close()


@pytest.fixture(scope="module")
def shared_on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str, migrated_postgres: str
) -> Iterator[Application]:
    """The same on PostgreSQL."""
    data = tmp_path_factory.mktemp("shared") / "data"
    with fresh_database(postgres_server, template=migrated_postgres) as url:
        application = create_app(Settings(data=data, admin_token=ADMIN_TOKEN, database_url=url))
        yield application
        application.close()


@pytest.fixture(scope="module")
def shared_api(shared_application: Application) -> TestClient:
    """The admin's client of the server that a module shares."""
    return client_of(shared_application)


@pytest.fixture
def both(either: Application) -> TestClient:
    """The admin's client, once on SQLite and once on PostgreSQL."""
    return client_of(either)


@pytest.fixture
def person(request: pytest.FixtureRequest, application: Application, api: TestClient) -> Callable[..., TestClient]:
    """Makes a user with permissions (or a role) per project, and answers a client with their token; on a shared server
    nobody has just this name."""
    suffix = f"-{uuid4().hex[:8]}" if _shares_server(request) else ""

    def make(name: str, **granted: list[str]) -> TestClient:
        name += suffix
        body = {"username": name, "email": f"{name}@example.org", "organisation_permissions": granted}
        user = api.put("/api/_private/users", json={"user": body}).json()["user"]
        token = api.post(f"/api/_private/users/{user['id']}/tokens").json()["token"]
        return client_of(application, token)

    return make


def ok(answer: Any) -> Any:
    """The JSON of an answer that must be good."""
    assert answer.status_code < 300, f"{answer.status_code} {answer.text[:1000]}"
    return answer.json() if answer.content else None


os.environ.pop("HEADRACE_ADMIN_TOKEN", None)
