"""Import by address: fetched by the job through the guarded client, kept as a file, and told when it fails."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from label_studio_api import CONFIG, errors_of, import_path, make_project, status_of, task_count
from starlette.testclient import TestClient

from conftest import client_of, ok
from headrace.app import create_app
from headrace.settings import Settings
from listener import Listener, Reply, listening

TASKS = b'[{"text": "one"}, {"text": "two"}]'


@pytest.fixture
def elsewhere() -> Iterator[Listener]:
    """Somebody else's server."""
    with listening() as listener:
        listener.answer = lambda _: Reply(body=TASKS)
        yield listener


@pytest.fixture
def near(settings: Settings) -> Iterator[TestClient]:
    """The admin's client of a server that may fetch from `localhost`."""
    application = create_app(replace(settings, allowed_hosts="localhost"))
    yield client_of(application)
    application.close()


def post_url(api: TestClient, project: int, url: str, query: str = "?return_task_ids=true") -> int:
    """The id of an import by address."""
    return int(ok(api.post(import_path(project, query), data={"url": url}))["import"])


def test_what_lies_behind_an_address_is_imported_and_kept(near: TestClient, elsewhere: Listener) -> None:
    """The job fetches the file once; the status tells the address, and the file can be downloaded."""
    project = make_project(near)
    url = f"http://localhost:{elsewhere.port}/some/tasks.json?x=1"
    status = status_of(near, project, post_url(near, project, url))
    assert (status["status"], status["task_count"], status["url"]) == ("completed", 2, url)
    file = ok(near.get(f"/api/projects/{project}/file-uploads", params={"all": "true"}))[0]
    assert ([file["id"]], file["file"].endswith("-tasks.json")) == (status["file_upload_ids"], True)
    assert near.get(f"/data/{file['file']}").content == TASKS
    assert elsewhere.connections == 1


@pytest.mark.parametrize(
    "reply", [Reply(status=404), Reply(status=302, headers={"Location": "http://127.0.0.1:1/tasks.json"})]
)
def test_what_cannot_be_fetched_fails_the_import(near: TestClient, elsewhere: Listener, reply: Reply) -> None:
    """An error of the other server, or a redirect into a private network, is the import's error; nothing is kept."""
    elsewhere.answer = lambda _: reply
    project = make_project(near)
    status = status_of(near, project, post_url(near, project, f"http://localhost:{elsewhere.port}/a.json"))
    assert (status["status"], status["error"], status["file_upload_ids"]) == ("failed", "could not be fetched", [])
    assert task_count(near, project) == 0


def test_private_addresses_are_refused_at_once(api: TestClient, elsewhere: Listener) -> None:
    """The refusal names the block, and no connection is made."""
    answer = api.post(import_path(make_project(api)), data={"url": f"http://127.0.0.1:{elsewhere.port}/x.json"})
    assert errors_of(answer) == {"url": ["URL resolves to a reserved network address (block: 127.0.0.0/8)"]}
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "url", ["ftp://example.org/a.json", "file:///etc/passwd", "hello", "http://u:p@example.org/a.csv"]
)
def test_addresses_that_can_lead_nowhere_are_refused_at_once(api: TestClient, url: str) -> None:
    """Another scheme, a path, or a user name in the address is a bad request."""
    errors = errors_of(api.post(import_path(make_project(api)), data={"url": url}))
    assert errors == {"url": ["Enter a valid URL."]}


def test_an_address_needs_a_known_extension(api: TestClient) -> None:
    """The last part of the path decides how the file is read."""
    errors = errors_of(api.post(import_path(make_project(api)), data={"url": "https://example.org/data?f=a.json"}))
    assert errors == {"non_field_errors": [" extension is not supported"]}


def test_a_json_body_with_an_address_is_a_task(api: TestClient) -> None:
    """Only the form field means an address."""
    project = make_project(api, label_config=CONFIG.replace("$text", "$url"))
    answer = ok(api.post(import_path(project), json={"url": "http://127.0.0.1/x.json"}))
    assert answer["task_count"] == 1
