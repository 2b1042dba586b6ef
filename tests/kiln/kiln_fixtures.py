"""A server for each module of these tests; each test works in a project of its own."""

from collections.abc import Iterator

import pytest
from kiln_api import kiln_client, make_run, make_task, run_path
from starlette.testclient import TestClient

from headrace.app import Application
from mining import serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A running server on SQLite."""
    with serving(tmp_path_factory.mktemp("kiln") / "data") as application:
        yield application


@pytest.fixture(scope="module")
def kiln(server: Application) -> TestClient:
    """The admin's client, as a caller of Kiln."""
    return kiln_client(server)


@pytest.fixture
def task(kiln: TestClient) -> str:
    """The path of a plain task."""
    return make_task(kiln)


@pytest.fixture
def run(kiln: TestClient, task: str) -> str:
    """The path of a run."""
    return run_path(task, make_run(kiln, task))
