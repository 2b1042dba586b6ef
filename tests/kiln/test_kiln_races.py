"""Writers of one run at the same time, on both databases: nothing is lost and nothing comes back."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kiln_api import kiln_client, make_run, make_task, rated, run_path
from sqlalchemy import func, select

from conftest import ok
from headrace.app import Application
from headrace.storage.schema import annotations
from headrace.storage.schema_kiln import feedback, run_tags, runs


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The answers to calls that are made by eight threads at once."""
    with ThreadPoolExecutor(8) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_concurrent_patches_all_survive(either: Application) -> None:
    """Changes of different fields of one run, and of its tags in bulk, are all there in the end."""
    api = kiln_client(either)
    task = make_task(api)
    run = run_path(task, made := make_run(api, task))

    def rate(number: int) -> Any:
        return api.patch(run, json=rated(None, requirement_ratings={f"r{number}": {"type": "pass_fail", "value": 1}}))

    def tag(number: int) -> Any:
        return api.post(f"{task}/runs/edit_tags", json={"run_ids": [made["id"]], "add_tags": [f"t{number}"]})

    calls = [lambda n=number, call=call: call(n) for number in range(6) for call in (rate, tag)]  # type: ignore[misc]
    assert {answer.status_code for answer in together(calls)} == {200}
    found = ok(api.get(run))
    assert set(found["output"]["rating"]["requirement_ratings"]) == {f"r{number}" for number in range(6)}
    assert set(found["tags"]) == {f"t{number}" for number in range(6)}
    assert ok(api.get(f"{task}/tags")) == {f"t{number}": 1 for number in range(6)}


def test_deleted_run_stays_away(either: Application) -> None:
    """A change that races a deletion answers 200 or 404; the run does not come back and leaves nothing behind."""
    api = kiln_client(either)
    task = make_task(api)
    for _ in range(2):
        run = run_path(task, make_run(api, task))
        calls: list[Callable[[], Any]] = [
            lambda n=number, run=run: api.patch(run, json={"tags": [f"t{n}"]})  # type: ignore[misc]
            for number in range(6)
        ]
        calls.insert(3, lambda run=run: api.delete(run))  # type: ignore[misc]
        calls.insert(3, lambda run=run: api.post(f"{run}/feedback", json={"feedback": "x", "source": "run-page"}))  # type: ignore[misc]
        assert {answer.status_code for answer in together(calls)} <= {200, 404}
        assert api.get(run).status_code == 404
    assert ok(api.get(f"{task}/runs")) == []
    for table in (runs, run_tags, feedback, annotations):
        count = select(func.count()).select_from(table)
        assert either.store.read(lambda tx, count=count: tx.session.first(count))[0] == 0  # type: ignore[misc]


def test_one_key_makes_one_run(either: Application) -> None:
    """PUT by one key from many callers makes one run, with what each of them said."""
    api = kiln_client(either)
    task = make_task(api)
    body = {"input": "i", "output": {"output": "o"}}

    def put(number: int) -> Any:
        return api.put(f"{task}/runs/by_external_id/k", json={**body, "intermediate_outputs": {str(number): "x"}})

    answers = together([lambda n=number: put(n) for number in range(8)])  # type: ignore[misc]
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    (run,) = ok(api.get(f"{task}/runs"))
    assert set(run["intermediate_outputs"]) == {str(number) for number in range(8)}
