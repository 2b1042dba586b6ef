"""The audit trail over the wire."""

from collections.abc import Callable
from typing import Any

import pytest
from cm_world import DATASET, annotate, comment, make_dataset, make_source, upload
from starlette.testclient import TestClient

from conftest import ok


def query(api: TestClient, **body: Any) -> dict[str, Any]:
    """The answer to an audit query."""
    return dict(ok(api.post("/api/v1/audit_events/query", json=body)))


def kinds(found: dict[str, Any]) -> list[str]:
    """The kinds of events in order."""
    return [event["event_type"] for event in found["audit_events"]]


def work(api: TestClient) -> str:
    """Make a source, a dataset and one annotation; answers the dataset's id."""
    source = make_source(api)
    dataset = make_dataset(api, source)
    upload(api, comment("a"))
    annotate(api, f"{source}.a", "Card > Lost")
    return str(dataset["id"])


def resolve(found: dict[str, Any]) -> None:
    """Look up everything an event names, as the client does, which gives up on an id it cannot find."""
    described = {key: {item["id"] for item in found[key]} for key in ("users", "projects", "datasets", "tenants")}
    for event in found["audit_events"]:
        assert {event["actor_user_id"], *event["user_ids"]} <= described["users"]
        assert {event["actor_tenant_id"], *event["tenant_ids"]} <= described["tenants"]
        assert set(event["project_ids"]) <= described["projects"]
        assert set(event["dataset_ids"]) <= described["datasets"]


def test_what_happened_is_told_in_order(both: TestClient) -> None:
    """Every change is an event with its actor, its time and what it concerns."""
    dataset = work(both)
    found = query(both)
    told = [kind for kind in kinds(found) if kind.startswith(("source.", "dataset.", "annotation."))]
    assert told == ["source.created", "dataset.created", "annotation.created"]
    event = found["audit_events"][-1]
    assert (event["dataset_ids"], event["details"]["labels"]) == ([dataset], ["Card", "Card > Lost"])
    assert event["timestamp"].endswith("Z")
    actor = next(user for user in found["users"] if user["id"] == event["actor_user_id"])
    assert (actor["username"], actor["email"]) == ("admin", "admin@example.org")
    resolve(found)


def test_pages_join_without_gaps(both: TestClient) -> None:
    """Following the continuation gives every event exactly once; the last page has none."""
    work(both)
    whole = [event["event_id"] for event in query(both)["audit_events"]]
    assert len(whole) >= 3
    paged: list[str] = []
    page = query(both, limit=1)
    while "continuation" in page:
        paged += [event["event_id"] for event in page["audit_events"]]
        page = query(both, limit=1, continuation=page["continuation"])
    assert [*paged, *(event["event_id"] for event in page["audit_events"])] == whole


def test_a_span_of_time_is_inclusive(api: TestClient) -> None:
    """Both bounds belong to the span, and either may be left out."""
    work(api)
    events = query(api)["audit_events"]
    at = events[-1]["timestamp"]
    exactly = query(api, filter={"timestamp": {"minimum": at, "maximum": at}})["audit_events"]
    assert events[-1] in exactly
    assert all(event["timestamp"] == at for event in exactly)
    assert query(api, filter={"timestamp": {"minimum": "2100-01-01T00:00:00Z"}})["audit_events"] == []
    assert query(api, filter={"timestamp": {"maximum": "2000-01-01"}})["audit_events"] == []
    assert query(api, filter={})["audit_events"] == events


def test_what_is_gone_is_still_described(api: TestClient) -> None:
    """Events of a deleted dataset and project name ids that the answer explains."""
    ok(api.put("/api/_private/projects/gone", json={"project": {}}))
    source = make_source(api, "gone/s")
    make_dataset(api, source, full="gone/d")
    ok(api.delete("/api/_private/projects/gone", params={"force": "true"}))
    found = query(api)
    assert kinds(found)[-1] == "project.deleted"
    resolve(found)
    assert [dataset["name"] for dataset in found["datasets"]] == ["(deleted)"]
    assert "(deleted)" in {project["name"] for project in found["projects"]}


def test_events_stay_inside_the_project(api: TestClient, person: Callable[..., TestClient]) -> None:
    """Who may view a project's users sees its events alone; who may view none is refused."""
    work(api)
    ok(api.put("/api/_private/projects/other", json={"project": {}}))
    make_source(api, "other/secret", title="canary")
    auditor, viewer = person("auditor", default=["users-read"]), person("viewer", default=["viewer"])
    answer = auditor.post("/api/v1/audit_events/query", json={})
    assert kinds(answer.json()) == ["source.created", "dataset.created", "annotation.created"]
    assert "canary" not in answer.text
    assert "other" not in answer.text
    assert [project["name"] for project in answer.json()["projects"]] == ["default"]
    assert viewer.post("/api/v1/audit_events/query", json={}).status_code == 403
    neighbour = person("neighbour", other=["admin"])
    assert {tuple(event["dataset_ids"]) for event in query(neighbour)["audit_events"]} == {()}
    assert DATASET.split("/")[1] not in neighbour.post("/api/v1/audit_events/query", json={}).text


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 1025},
        {"continuation": "x"},
        {"filter": {"timestamp": {"minimum": "soon"}}},
        {"filter": {"user": "x"}},
    ],
)
def test_bad_queries_are_refused(api: TestClient, body: dict[str, Any]) -> None:
    """400 for a limit, a continuation or a filter that cannot be."""
    assert api.post("/api/v1/audit_events/query", json=body).status_code == 400
