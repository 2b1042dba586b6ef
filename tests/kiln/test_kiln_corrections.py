"""Corrections: what opens them, who gets them, what ends them, and what they are worth as training data."""

import json
from typing import Any

from kiln_api import kiln_client, make_run, make_task, rated, run_path
from starlette.testclient import TestClient

from conftest import Application, ok
from mining import member_of

pytest_plugins = ["kiln_fixtures"]

BETTER = {"output": "It ships tomorrow.", "instructions": "Say the right day."}


def strict_task(kiln: TestClient, rule: object = 0.25, **rules: Any) -> str:
    """A task in which low ratings open corrections."""
    task = make_task(kiln)
    ok(kiln.put(f"{task}/feedback_rules", json={"rating_at_most": rule, **rules}))
    return task


def low_run(kiln: TestClient, task: str, value: float = 1) -> dict[str, Any]:
    """A run that was rated."""
    run = make_run(kiln, task)
    return dict(ok(kiln.patch(run_path(task, run), json=rated(value))))


def waiting(kiln: TestClient, task: str, state: str = "") -> list[dict[str, Any]]:
    """The corrections of a task."""
    return list(ok(kiln.get(f"{task}/corrections", params={"state": state} if state else {}))["corrections"])


def test_low_rating_opens_a_correction(kiln: TestClient) -> None:
    """A rating at or below the rule opens one correction, told with the run; a higher one opens none."""
    task = strict_task(kiln)
    run = low_run(kiln, task, 2)
    low_run(kiln, task, 3)
    ok(kiln.patch(run_path(task, run), json=rated(1)))
    [found] = waiting(kiln, task)
    assert (found["run_id"], found["state"], found["reason"]) == (run["id"], "open", "rating")
    assert (found["output"], found["rating"]["value"], found["feedback"]) == ("It ships today.", 1.0, [])


def test_every_route_of_a_rating_counts(kiln: TestClient) -> None:
    """A rating that comes with a new run, in a batch or by the caller's own key opens a correction like any other."""
    task = strict_task(kiln, {"pass_fail": 0})
    failed = {"type": "pass_fail", "value": 0}
    make_run(kiln, task, rating=failed)
    run = make_run(kiln, task)
    ok(kiln.patch(f"{task}/runs", json={"patches": {run["id"]: {"output": {"rating": failed}}}}))
    body = {"input": "i", "output": {"output": "o", "rating": failed}}
    assert kiln.put(f"{task}/runs/by_external_id/x", json=body).status_code == 201
    low_run(kiln, task, 1)
    assert len(waiting(kiln, task)) == 3


def test_feedback_opens_a_correction(kiln: TestClient) -> None:
    """Where the rules say so, any feedback opens a correction that shows it."""
    task = strict_task(kiln, None, feedback=True)
    run = make_run(kiln, task)
    ok(kiln.post(f"{run_path(task, run)}/feedback", json={"feedback": "wrong day", "source": "run-page"}))
    assert [(item["reason"], item["feedback"]) for item in waiting(kiln, task)] == [("feedback", ["wrong day"])]


def test_correcting_repairs_the_run(kiln: TestClient) -> None:
    """Whoever is offered a correction answers it once; the run is repaired, and nothing is left to do."""
    task = strict_task(kiln)
    run = low_run(kiln, task)
    offered = ok(kiln.post(f"{task}/corrections/next"))
    assert (offered["state"], offered["yours"]) == ("offered", True)
    assert ok(kiln.post(f"{task}/corrections/next"))["id"] == offered["id"]
    path = f"{task}/corrections/{offered['id']}"
    repaired = ok(kiln.post(path, json=BETTER, headers={"Idempotency-Key": offered["id"] + task}))
    assert (repaired["id"], repaired["repaired_output"]["output"]) == (run["id"], BETTER["output"])
    again = kiln.post(path, json=BETTER, headers={"Idempotency-Key": offered["id"] + task})
    assert (again.status_code, again.json()) == (200, repaired)
    assert kiln.post(path, json=BETTER).status_code == 409
    assert (waiting(kiln, task), kiln.post(f"{task}/corrections/next").status_code) == ([], 404)
    assert [item["repaired_output"] for item in waiting(kiln, task, "done")] == [BETTER["output"]]
    kinds = [event["kind"] for event in ok(kiln.get("/headrace/v1/events?kind=correction&limit=1000"))["events"]]
    assert kinds[-2:] == ["correction.opened", "correction.done"]


def test_a_correction_is_one_persons(server: Application, kiln: TestClient) -> None:
    """What one has on lease another neither gets nor answers; skipped it is others', and not theirs again."""
    task = strict_task(kiln)
    low_run(kiln, task)
    project = ok(kiln.get(f"/api/v1/datasets/id:{int(task.split('/')[-1]):016x}"))["dataset"]["owner"]
    other = kiln_client(server, member_of(kiln, server, **{project: ["admin"]}).headers["Authorization"].split()[1])
    mine = ok(kiln.post(f"{task}/corrections/next"))
    path = f"{task}/corrections/{mine['id']}"
    assert other.post(f"{task}/corrections/next").status_code == 404
    assert other.post(path, json=BETTER).status_code == 409
    assert other.post(f"{path}/release").status_code == 409
    ok(kiln.post(f"{path}/skip", json={"reason": "not my field"}))
    assert kiln.post(f"{task}/corrections/next").status_code == 404
    assert ok(other.post(f"{task}/corrections/next"))["id"] == mine["id"]
    ok(other.post(f"{path}/release"))
    assert [item["state"] for item in waiting(kiln, task)] == ["open"]


def test_a_correction_ends_by_itself(kiln: TestClient) -> None:
    """A repair through any route ends it as done, a better rating as withdrawn, and a deleted run takes it along."""
    task = strict_task(kiln)
    runs = [low_run(kiln, task) for _ in range(3)]
    repair = {"repair_instructions": "r", "repaired_output": {"output": "o"}}
    ok(kiln.patch(run_path(task, runs[0]), json=repair))
    ok(kiln.patch(run_path(task, runs[1]), json=rated(5)))
    ok(kiln.delete(run_path(task, runs[2])))
    assert waiting(kiln, task) == []
    ended = {state: [item["run_id"] for item in waiting(kiln, task, state)] for state in ("done", "withdrawn")}
    assert ended == {"done": [runs[0]["id"]], "withdrawn": [runs[1]["id"]]}


def test_bad_rules_and_answers_are_refused(kiln: TestClient) -> None:
    """Rules outside the scale, unknown words, empty instructions and unknown corrections get a clear 4xx."""
    task = strict_task(kiln)
    for rules in ({"rating_at_most": 2}, {"rating_at_most": {"stars": 1}}, {"other": 1}, {"feedback": "often"}):
        assert kiln.put(f"{task}/feedback_rules", json=rules).status_code == 422
    assert ok(kiln.get(f"{task}/feedback_rules")) == {"rating_at_most": 0.25, "feedback": False}
    assert kiln.post(f"{task}/corrections/77", json=BETTER).json() == {"message": "Correction not found. ID: 77"}
    low_run(kiln, task)
    path = f"{task}/corrections/{waiting(kiln, task)[0]['id']}"
    assert kiln.post(path, json={"output": "o", "instructions": ""}).status_code == 422
    assert kiln.get(f"{task}/corrections?state=lost").status_code == 422


def exported(kiln: TestClient, task: str, layout: str) -> list[dict[str, Any]]:
    """The lines of an export."""
    answer = kiln.get(f"{task}/export", params={"format": layout})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_exports(kiln: TestClient) -> None:
    """A corrected run is a chat and a pair with its judges, a good run a chat, a bad one neither; jsonl has all."""
    task = strict_task(kiln)
    bad = low_run(kiln, task)
    ok(kiln.post(f"{task}/corrections/{waiting(kiln, task)[0]['id']}", json=BETTER))
    good = make_run(kiln, task, input="Thanks", output="Welcome", rating={"type": "five_star", "value": 4})
    low_run(kiln, task)
    system = {"role": "system", "content": "Answer the customer."}
    asked = [system, {"role": "user", "content": "Where is my order?"}]
    better = {"role": "assistant", "content": BETTER["output"]}
    thanks = [system, {"role": "user", "content": "Thanks"}, {"role": "assistant", "content": "Welcome"}]
    assert exported(kiln, task, "chat") == [{"messages": thanks}, {"messages": [*asked, better]}]
    [pair] = exported(kiln, task, "preferences")
    assert (pair["prompt"], pair["chosen"], pair["judges"]) == (asked, better, 1)
    assert (pair["rejected"]["content"], pair["rating"]) == ("It ships today.", {"type": "five_star", "value": 1.0})
    assert {run["id"] for run in exported(kiln, task, "jsonl")} > {bad["id"], good["id"]}
    assert kiln.get(f"{task}/export?format=xml").status_code == 422
