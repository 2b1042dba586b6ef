"""One record in several APIs: which API answers a shared path, and what each sees of the others' records."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from kiln_api import make_run, make_task, rated, run_path
from starlette.testclient import TestClient

from conftest import ADMIN_TOKEN, client_of, ok
from headrace.app import Application, create_app
from headrace.dialects import label_studio
from headrace.settings import Settings
from headrace.sharing import SHARED

pytest_plugins = ["kiln_fixtures"]


def client(server: Application, **headers: str) -> TestClient:
    """A client with the headers given and no others of its own."""
    return TestClient(server.asgi, headers={"User-Agent": "curl/8", **headers}, raise_server_exceptions=False)


BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.mark.parametrize(
    ("path", "headers", "kilns"),
    [
        ("/api/projects", BEARER, True),
        ("/api/projects", {"X-API-Key": ADMIN_TOKEN}, True),
        ("/api/projects/", BEARER, False),
        ("/api/projects", {"Authorization": f"Token {ADMIN_TOKEN}"}, False),
        ("/api/projects", {**BEARER, "X-Fern-SDK-Name": "label-studio-sdk"}, False),
        ("/api/projects", {**BEARER, "User-Agent": "label_studio_sdk/2.1.2"}, False),
        ("/kiln/api/projects", {"Authorization": f"Token {ADMIN_TOKEN}"}, True),
    ],
)
def test_who_answers(server: Application, path: str, headers: dict[str, str], kilns: bool) -> None:
    """A slash, the Token scheme and Label Studio's client ask Label Studio; everybody else asks Kiln."""
    assert isinstance(ok(client(server, **headers).get(path)), list) is kilns


def test_new_project_says_whose_it_is(server: Application) -> None:
    """Without a slash a body with a title or a config and no name is Label Studio's; a large one is not lost."""
    api = client(server, **BEARER)
    made = ok(api.post("/api/projects", json={"title": "Mails", "description": "d" * 2000}))
    assert (made["title"], isinstance(made["id"], int)) == ("Mails", True)
    assert ok(api.post("/api/projects", json={"title": "x", "name": "Both"}))["name"] == "Both"


def test_choice_gives_no_rights(server: Application) -> None:
    """Without a token both answer 401, each in its own words."""
    anonymous = client(server)
    assert list(anonymous.get("/api/projects").json()) == ["message"]
    assert "status_code" in anonymous.get("/api/projects/").json()
    assert anonymous.get("/api/projects/1/tasks").status_code == anonymous.patch("/api/projects/1").status_code == 401
    assert anonymous.get("/ping").json() == "pong"


def test_callers_without_a_token(settings: Settings) -> None:
    """A server that is told so takes callers without a token for the admin, as Kiln's old callers need it."""
    application = create_app(replace(settings, no_auth=True))
    try:
        made = ok(client(application).post("/api/projects", json={"name": "Open"}))
        assert ok(client(application).get(f"/api/projects/{made['id']}")) == made
    finally:
        application.close()


def test_label_studio_words_are_left_alone() -> None:
    """No path of Label Studio with a word in the place of a project's id is taken for a shared one."""
    words = {route.path for route in label_studio.dialect.routes if route.path.startswith("/api/projects/")}
    fixed = [path for path in words if "{" not in path]
    assert fixed
    assert not [path for path in fixed if SHARED.fullmatch(path)]


def test_kiln_errors_of_the_framework(kiln: TestClient) -> None:
    """What no route answers has Kiln's body on its paths."""
    assert kiln.get("/api/nothing").json() == {"detail": "Not Found"}
    assert kiln.put("/api/projects/1/tasks/1", json={}).json() == {"detail": "Method Not Allowed"}
    assert kiln.delete("/api/projects/1").json() == {"detail": "Method Not Allowed"}


def tag_names(results: Iterable[dict[str, Any]]) -> list[str]:
    """The choices in a Label Studio result."""
    return [name for region in results for name in region["value"]["choices"]]


def test_rated_run_in_label_studio(server: Application, kiln: TestClient, task: str) -> None:
    """A run is a task with input and output; its tags and rating are one annotation, which follows every change."""
    run = run_path(task, made := make_run(kiln, task, tags=["eu"]))
    labelling = client_of(server)
    seen = ok(labelling.get(f"/api/tasks/{made['id']}/"))
    assert (seen["data"]["input"], seen["data"]["output"]) == ("Where is my order?", "It ships today.")
    for change, expected in ((rated(4), ["eu", "Rating", "Rating > 4 stars"]), ({"tags": []}, None)):
        ok(kiln.patch(run, json=change))
        (annotation,) = ok(labelling.get(f"/api/tasks/{made['id']}/"))["annotations"]
        names = tag_names(annotation["result"])
        assert names == (expected or ["Rating", "Rating > 4 stars"])


def test_choice_in_label_studio_becomes_a_tag(server: Application, kiln: TestClient, task: str) -> None:
    """A choice made of a run in Label Studio adds its tag and takes away the one it replaces; the rating stays."""
    run = run_path(task, made := make_run(kiln, task, tags=["eu"], rating={"value": 4}))
    version = kiln.get(run).headers["ETag"]
    labelling = client_of(server)
    result = [{"from_name": "tags", "to_name": "output", "type": "choices", "value": {"choices": ["Lost card"]}}]
    annotation = ok(labelling.post(f"/api/tasks/{made['id']}/annotations/", json={"result": result}))
    answer = kiln.get(run)
    assert (answer.json()["tags"], answer.headers["ETag"] == version) == (["Lost_card"], False)
    assert answer.json()["output"]["rating"]["value"] == 4.0
    assert ok(kiln.get(f"{task}/tags")) == {"Lost_card": 1}
    ok(labelling.delete(f"/api/annotations/{annotation['id']}/"))
    assert ok(kiln.get(run))["tags"] == ["eu"]


def test_uploaded_tags_outlive_a_choice(server: Application, kiln: TestClient, task: str) -> None:
    """Tags that came with a file are nobody's judgement, so a choice in another API leaves them there."""
    file = {"file": ("d.csv", "input,output,tags\nq,a,mine\n", "text/csv")}
    ok(kiln.post(f"{task}/runs/bulk_upload", files=file))
    (run,) = ok(kiln.get(f"{task}/runs"))
    result = [{"from_name": "tags", "to_name": "output", "type": "choices", "value": {"choices": ["Good"]}}]
    ok(client_of(server).post(f"/api/tasks/{run['id']}/annotations/", json={"result": result}))
    assert ok(kiln.get(run_path(task, run)))["tags"] == [*run["tags"], "Good"]


def test_label_studio_task_as_a_run(server: Application, kiln: TestClient) -> None:
    """A task of Label Studio can be read as a run under the same ids, and is not changed as one."""
    labelling = client_of(server)
    project = ok(labelling.post("/api/projects/", json={"title": "Mails: new", "label_config": "<View/>"}))["id"]
    task = ok(labelling.post("/api/tasks/", json={"project": project, "data": {"text": "hello"}}))["id"]
    where = f"/api/projects/1/tasks/{project}"
    assert ok(kiln.get(where))["name"] == "Mails new"
    (run,) = ok(kiln.get(f"{where}/runs"))
    assert (run["id"], run["input"], run["output"]["output"]) == (str(task), "hello", "")
    assert ok(kiln.get(f"{where}/runs_summaries"))[0]["repair_state"] == "NA"
    assert kiln.patch(f"{where}/runs/{task}", json=rated(3)).status_code == 409
    assert ok(labelling.get(f"/api/tasks/{task}/"))["data"] == {"text": "hello"}


def test_run_as_a_comment(server: Application, kiln: TestClient) -> None:
    """A dataset of Communications Mining has a task's runs as comments, with what made them as properties."""
    task = make_task(kiln)
    made = make_run(kiln, task, rating={"value": 4})
    dataset = f"{int(task.rsplit('/', 1)[1]):016x}"
    exported = ok(client_of(server).post(f"/api/v1/datasets/id:{dataset}/export", json={"limit": 10}))
    (item,) = exported["comments"]
    texts = [message["body"]["text"] for message in item["comment"]["messages"]]
    assert texts == [made["input"], made["output"]["output"]]
    assert item["comment"]["user_properties"]["string:model_name"] == "gpt-4o"
    assert item["comment"]["user_properties"]["number:rating"] == 4.0
