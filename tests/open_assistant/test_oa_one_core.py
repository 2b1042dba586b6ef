"""Messages are records like any other: streams deliver them, Label Studio lists them, and what is said is shared."""

from uuid import UUID

from oasst_world import Frontend
from starlette.testclient import TestClient

from conftest import ok
from headrace.app import Application

DATASET = "/api/v1/datasets/default/conversations"


def number_of(message_id: str) -> int:
    """The record's number in a message's id."""
    return UUID(message_id).int & 0xFFFFFFFFFFFF


def test_messages_are_streamed_as_comments(application: Application, api: TestClient) -> None:
    """A stream over the collection delivers every message with its text, whatever became of it."""
    frontend = Frontend(application)
    prompt = frontend.write("author", text="how do rivers begin")
    ok(api.put(f"{DATASET}/streams", json={"stream": {"name": "all"}}))
    ok(api.post(f"{DATASET}/streams/all/reset", json={"to_comment_created_at": "2020-01-01T00:00:00Z"}))
    (result,) = ok(api.post(f"{DATASET}/streams/all/fetch", json={"size": 10}))["results"]
    comment = result["comment"]
    assert comment["messages"][0]["body"]["text"] == "how do rivers begin"
    assert comment["user_properties"] == {"string:role": "prompter", "string:lang": "en"}
    assert comment["id"] == f"{number_of(prompt):016x}"


def test_reviews_are_labels_elsewhere(application: Application, api: TestClient) -> None:
    """What a reviewer flags is an assigned label of the comment and an annotation of the task."""
    frontend = Frontend(application)
    prompt = frontend.write("author", text="buy now")
    frontend.review("label_initial_prompt", "one", spam=1)
    exported = ok(api.post(f"{DATASET}/export", json={"limit": 10}))["comments"]
    assert [label["name"] for label in exported[0]["annotations"]["labels"]["assigned"]] == ["spam"]
    task = ok(api.get(f"/api/tasks/{number_of(prompt)}/"))
    assert task["data"] == {"text": "buy now", "role": "prompter", "lang": "en"}
    assert len(task["annotations"]) == 1


def test_tasks_of_label_studio_are_messages(application: Application, api: TestClient) -> None:
    """The collection is a project whose tasks are the messages; a label given there counts for the other dialects."""
    frontend = Frontend(application)
    prompt = frontend.write("author", text="where do rivers end")
    (project,) = [item for item in ok(api.get("/api/projects/"))["results"] if item["title"] == "Conversations"]
    config = (
        '<View><Text name="text" value="$text"/><Choices name="kind" toName="text"><Choice value="spam"/>'
        '<Choice value="Geography"/></Choices></View>'
    )
    ok(api.patch(f"/api/projects/{project['id']}/", json={"label_config": config}))
    (task,) = ok(api.get(f"/api/tasks/?project={project['id']}&fields=all"))["tasks"]
    assert (task["id"], task["data"]["text"]) == (number_of(prompt), "where do rivers end")
    chosen = {"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": ["Geography"]}}
    ok(api.post(f"/api/tasks/{task['id']}/annotations/", json={"result": [chosen]}))
    (comment,) = ok(api.post(f"{DATASET}/export", json={"limit": 10}))["comments"]
    assert [label["name"] for label in comment["annotations"]["labels"]["assigned"]] == ["Geography"]
    found = ok(frontend.get(f"/messages/{prompt}"))
    assert (found["review_count"], found["review_result"]) == (0, None)
    frontend.review("label_initial_prompt", "one", "two", "three")
    assert ok(frontend.get(f"/messages/{prompt}"))["review_result"] is True
    assert len(ok(api.get(f"/api/tasks/{task['id']}/"))["annotations"]) == 4
