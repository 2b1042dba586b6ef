"""Runs: the partial document, what it may hold, conditions and keys of the caller's own."""

from typing import Any

import pytest
from kiln_api import HUMAN, MODEL, faults, kiln_client, rated
from starlette.testclient import TestClient

from conftest import Application, ok
from mining import member_of

pytest_plugins = ["kiln_fixtures"]


def rating_of(run: dict[str, Any]) -> Any:
    """The rating in a run."""
    return run["output"]["rating"]


def test_rating_keeps_its_identity(kiln: TestClient, run: str) -> None:
    """A rating gets id and date when it is made, and keeps them, its type and its requirements when changed."""
    first = rating_of(
        ok(kiln.patch(run, json=rated(1, type="pass_fail", requirement_ratings={"7": 4, "named::Tone": 2})))
    )
    second = rating_of(ok(kiln.patch(run, json=rated(0))))
    assert second == {**first, "value": 0.0}
    assert second["requirement_ratings"] == {
        "7": {"value": 4.0, "type": "five_star"},
        "named::Tone": {"value": 2.0, "type": "five_star"},
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (rated(3, type="stars"), "Output.Rating.Type: Input should be 'five_star', 'pass_fail', "),
        (rated(2, type="pass_fail_critical"), "must be -1 (critical fail), 0 (fail), or 1 (pass)"),
        (rated("nan", type="custom"), "Output.Rating.Value: Input should be a finite number"),
        (rated(None, requirement_ratings={"A": {"type": "five_star", "value": 9}}), "req id: a of type five_star must"),
        (rated(None, requirement_ratings={"a": 1, "b": {"type": "five_star", "value": 1}}), "Input should be a valid"),
        ({"tags": ["a", ""]}, ": Value error, Tags cannot be empty strings"),
        ({"tags": [1]}, "Tags[0]: Input should be a valid string"),
        ({"usage": {"cost": -1}}, "Usage.Cost: Input should be greater than or equal to 0"),
        ({"repaired_output": {"output": "x"}}, "Repair instructions are required"),
        ({"repair_instructions": "x", "repaired_output": {"output": "y", **rated(5)["output"]}}, "rating must be None"),
        ({"input_source": {"properties": {"model_name": ""}}}, "Property 'model_name' must be a non-empty string"),
        ({"input_source": {"type": "file_import"}}, "is not allowed for DataSourceType.file_import"),
        ({"id": "77"}, "Id: The id of a run cannot be changed"),
        ({"id": None}, "Id: The id of a run cannot be changed"),
        ({"created_at": "0001-01-01T00:00:00+23:00"}, "the year is out of range"),
        ({"created_at": "0001-01-01T00:00:00", "input": 1}, "Input: Input should be a valid string"),
    ],
)
def test_refused_changes(kiln: TestClient, run: str, change: Any, expected: str) -> None:
    """What the whole run may not be is refused with Kiln's words, and nothing of it is stored."""
    before = ok(kiln.get(run))
    answer = kiln.patch(run, json=change)
    assert answer.status_code == 422
    assert expected in answer.json()["message"]
    assert ok(kiln.get(run)) == before


@pytest.mark.parametrize(
    "body",
    [
        b'{"output":{"rating":{"type":"custom","value":NaN}}}',
        b'{"input":"\\ud800"}',
        b'{"input":"\\u0000"}',
        b"[" * 500,
        b'{"usage":{"input_tokens":99999999999999999999}}',
        b'"text"',
        b"{",
    ],
)
def test_hostile_bodies(kiln: TestClient, run: str, body: bytes) -> None:
    """What both databases cannot keep, and what is no object, is refused in the usual envelope."""
    assert faults(kiln.patch(run, content=body, headers={"Content-Type": "application/json"}))


def test_what_the_server_knows_cannot_be_sent(kiln: TestClient, run: str) -> None:
    """Versions, paths and types of objects in a body are ignored, and so is the run's own id."""
    before = ok(kiln.get(run))
    sent = {"v": 99, "path": "/etc", "model_type": "x", "id": before["id"], "output": {"v": 99, "model_type": 1}}
    assert ok(kiln.patch(run, json=sent)) == before


def test_all_faults_in_one_answer(kiln: TestClient, run: str) -> None:
    """A body with several faults is told all of them."""
    assert len(faults(kiln.patch(run, json={"input": 1, "tags": "x", "usage": {"cost": "?"}}))) == 3


def test_conditional_requests(kiln: TestClient, run: str) -> None:
    """An answer names the run's version: unchanged is 304, a write to a version that is gone is 412."""
    version = kiln.get(run).headers["ETag"]
    assert kiln.get(run, headers={"If-None-Match": version}).status_code == 304
    changed = kiln.patch(run, json={"tags": ["a"]}, headers={"If-Match": version})
    assert (changed.status_code, changed.headers["ETag"] == version) == (200, False)
    stale = kiln.patch(run, json={"tags": ["b"]}, headers={"If-Match": version})
    assert (stale.status_code, list(stale.json())) == (412, ["message"])
    assert ok(kiln.get(run))["tags"] == ["a"]
    assert kiln.patch(run, json={"tags": ["a"]}).headers["ETag"] == changed.headers["ETag"]


def test_dry_run_and_minimal_answer(kiln: TestClient, task: str, run: str) -> None:
    """A dry run answers what would be and stores nothing; a caller that prefers little gets only the version."""
    assert ok(kiln.patch(f"{run}?dry_run=true", json={"tags": ["a"]}))["tags"] == ["a"]
    made = ok(kiln.post(f"{task}/runs?dry_run=true", json={"input": "i", "output": "o", **MODEL}))
    assert (made["id"], ok(kiln.get(run))["tags"], len(ok(kiln.get(f"{task}/runs")))) == (None, [], 1)
    minimal = kiln.patch(run, json={"tags": ["a"]}, headers={"Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content, "ETag" in minimal.headers) == (204, b"", True)


def test_creating_twice_under_a_key(kiln: TestClient, task: str) -> None:
    """Under an Idempotency-Key the first run is answered again; with another body it is refused."""
    body, key = {"input": "i", "output": "o", **MODEL}, {"Idempotency-Key": "k"}
    first = ok(kiln.post(f"{task}/runs", json=body, headers=key))
    assert ok(kiln.post(f"{task}/runs", json=body, headers=key)) == first
    assert kiln.post(f"{task}/runs", json={**body, "input": "j"}, headers=key).status_code == 422
    assert len(ok(kiln.get(f"{task}/runs"))) == 1


def test_upsert_by_external_id(kiln: TestClient, task: str) -> None:
    """PUT by the caller's own key makes a run once, then changes it; it is found by that key."""
    path = f"{task}/runs/by_external_id/slack/C1:17"
    made = kiln.put(path, json={"input": "i", "output": {"output": "o", "source": HUMAN}})
    changed = kiln.put(path, json=rated(4))
    assert (made.status_code, changed.status_code) == (201, 200)
    assert ok(kiln.get(f"{path}?include=external_id"))["external_id"] == "slack/C1:17"
    assert [rating_of(run)["value"] for run in ok(kiln.get(f"{task}/runs?external_id=slack/C1:17"))] == [4.0]
    assert kiln.get(f"{task}/runs/by_external_id/none").json() == {"message": "Run not found. ID: none"}
    assert "is a word of this API" in faults(kiln.put(f"{task}/runs/by_external_id/feedback", json={}))[0]
    assert kiln.put(f"{task}/runs/by_external_id/x", json={"tags": []}).status_code == 422


def test_save_repair(kiln: TestClient, run: str) -> None:
    """A repair keeps the repaired output and the words that led to it."""
    repair = {"repair_run": {"output": {"output": "better", "source": HUMAN}}, "evaluator_feedback": "be better"}
    repaired = ok(kiln.post(f"{run}/save_repair", json=repair))
    assert (repaired["repair_instructions"], repaired["repaired_output"]["output"]) == ("be better", "better")


def test_wrong_ids(kiln: TestClient, task: str, run: str) -> None:
    """The first thing on the path that is not there is named, whatever was sent as its id."""
    number = run.rsplit("/", 1)[1]
    for wrong in ("0" + number, "abc", "9" * 30, "-1"):
        assert kiln.get(f"{task}/runs/{wrong}").json() == {"message": f"Run not found. ID: {wrong}"}
    other = task.rsplit("/", 1)[0] + "/77"
    assert kiln.patch(f"{other}/runs/{number}", json={}).json() == {"message": "Task not found. ID: 77"}
    assert kiln.get(f"/api/projects/88/tasks/77/runs/{number}").json() == {"message": "Project not found. ID: 88"}


def test_feedback_stands_side_by_side(kiln: TestClient, run: str) -> None:
    """Feedback is added, listed and deleted piece by piece, and goes with its run."""
    texts = ["Too long", "Too short"]
    made = [ok(kiln.post(f"{run}/feedback", json={"feedback": text, "source": "run-page"})) for text in texts]
    assert ok(kiln.get(f"{run}/feedback")) == made
    assert ok(kiln.delete(f"{run}/feedback/{made[0]['id']}")) is None
    assert [item["feedback"] for item in ok(kiln.get(f"{run}/feedback"))] == ["Too short"]
    assert kiln.delete(f"{run}/feedback/{made[0]['id']}").status_code == 404
    assert faults(kiln.post(f"{run}/feedback", json={"feedback": ""}))[0].startswith("Feedback: String should")
    ok(kiln.delete(run))
    number = run.rsplit("/", 1)[1]
    assert kiln.get(f"{run}/feedback").json() == {"message": f"Task run not found. ID: {number}"}


def token_of(client: TestClient) -> str:
    """The token that a client presents."""
    return str(client.headers["authorization"]).split()[1]


def test_rights(server: Application, kiln: TestClient, task: str, run: str) -> None:
    """Whoever may only judge can rate and tag, but not change what was said; a viewer changes nothing."""
    project_id = int(task.split("/")[3])
    project = server.store.read(lambda tx: tx.projects.by_id(project_id, None)).name  # type: ignore[union-attr]
    rater, viewer = (
        kiln_client(server, token_of(member_of(kiln, server, **{project: [role]}))) for role in ("annotator", "viewer")
    )
    assert rating_of(ok(rater.patch(run, json=rated(5))))["value"] == 5.0
    assert rater.patch(run, json={"input": "other"}).status_code == 403
    assert rater.post(f"{task}/runs", json={"input": "i", "output": "o", **MODEL}).status_code == 403
    assert viewer.patch(run, json={"tags": ["x"]}).json()["message"].startswith("this needs the permission")
    assert ok(viewer.get(run))["input"] == "Where is my order?"
