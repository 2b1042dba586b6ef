"""The event feed over HTTP: order, filters, rights, long poll."""

import threading
from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from conftest import ok

FEED = "/headrace/v1/events"
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text"><Choice value="good"/></Choices></View>'
)


def feed(api: TestClient, **query: Any) -> dict[str, Any]:
    """One page of the feed."""
    return dict(ok(api.get(FEED, params=query)))


def project(api: TestClient, title: str = "Feedback") -> int:
    """A project with one task; answers its id."""
    number = ok(api.post("/api/projects/", json={"title": title, "label_config": CONFIG}))["id"]
    ok(api.post(f"/api/projects/{number}/import", json=[{"text": "fine"}]))
    return int(number)


def kinds(page: dict[str, Any]) -> list[str]:
    """The kinds of a page's events."""
    return [event["kind"] for event in page["events"]]


def test_pages_join_without_gap(both: TestClient) -> None:
    """Following the cursor gives every event exactly once, in the order of a single large page."""
    project(both)
    whole, cursor, seen = feed(both)["events"], None, []
    while True:
        page = feed(both, limit=2, **({"after": cursor} if cursor else {}))
        seen += page["events"]
        cursor = page["cursor"]
        if page["at_end"]:
            break
    assert [event["id"] for event in seen] == [event["id"] for event in whole]
    assert len(whole) >= 4


def test_every_event_has_a_cursor_of_its_own(api: TestClient) -> None:
    """Reading behind one event's cursor goes on with the next event."""
    project(api)
    events = feed(api)["events"]
    assert feed(api, after=events[1]["cursor"])["events"] == events[2:]


def test_filters_by_project_dataset_and_kind(both: TestClient) -> None:
    """Only what is asked for is shown, and the cursor still moves behind everything that was looked at."""
    number = project(both)
    project(both, "Other")
    page = feed(both, dataset="default/feedback", kind="import")
    assert kinds(page) == ["import.created", "import.completed"]
    assert {event["dataset"] for event in page["events"]} == {number}
    assert kinds(feed(both, kind="dataset.created", project="default")) == ["dataset.created"] * 2
    assert feed(both, after=page["cursor"])["events"] == []


def test_now_begins_at_the_end(api: TestClient) -> None:
    """`after=now` skips the past and sees what comes."""
    project(api)
    start = feed(api, after="now")
    assert start["events"] == []
    project(api, "Later")
    assert "dataset.created" in kinds(feed(api, after=start["cursor"]))


def test_a_waiting_reader_is_woken_by_an_event(api: TestClient) -> None:
    """A long poll comes back with the event that happens while it waits."""
    cursor = feed(api, after="now")["cursor"]
    maker = threading.Thread(target=project, args=(api,))
    maker.start()
    page = feed(api, after=cursor, wait=30, kind="import.completed")
    maker.join()
    assert kinds(page) == ["import.completed"]


def test_foreign_projects_and_people_stay_hidden(api: TestClient, person: Callable[..., TestClient]) -> None:
    """A reader sees the events of their projects, and those about people only with the right to view users."""
    ok(api.put("/api/_private/projects/other", json={"project": {"title": "Other", "description": ""}}))
    reader = person("reader", other=["viewer"])
    project(api)
    assert [event for event in feed(reader)["events"] if event["kind"] != "project.created"] == []
    assert reader.get(FEED, params={"dataset": "default/feedback"}).status_code == 404
    assert "user.created" in kinds(feed(api))


def test_bad_parameters_are_named(api: TestClient) -> None:
    """A cursor, a limit, a wait or a dataset that makes no sense is a 400 that names it."""
    for name, value in {"after": "x", "limit": "0", "wait": "61", "dataset": "nameless"}.items():
        answer = api.get(FEED, params={name: value})
        assert answer.status_code == 400
        assert name in answer.json()["error"]["message"]
