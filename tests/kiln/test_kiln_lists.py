"""Many runs: lists, batches, files, conversations and the feed of changes."""

import json
from typing import Any

import pytest
from kiln_api import MODEL, faults, make_run, make_task, rated, run_path
from sqlalchemy import update
from starlette.testclient import TestClient

from conftest import ok
from headrace.app import Application
from headrace.storage.schema import records

pytest_plugins = ["kiln_fixtures"]


def inputs(answer: Any) -> list[str]:
    """The inputs of the runs in a list."""
    return [run["input"] for run in ok(answer)]


def upload(api: TestClient, task: str, text: str, **fields: str) -> Any:
    """The answer to a CSV upload."""
    return api.post(f"{task}/runs/bulk_upload", files={"file": ("d.csv", text, "text/csv")}, data=fields)


def test_pages_reach_every_run_once(kiln: TestClient, task: str) -> None:
    """A list is an array, newest first; its cursor leads through all of it, also while runs are added."""
    for number in range(5):
        make_run(kiln, task, input=str(number))
    first = kiln.get(f"{task}/runs?limit=2")
    make_run(kiln, task, input="late")
    second = kiln.get(f"{task}/runs?limit=2&cursor={first.headers['X-Next-Cursor']}")
    assert (inputs(first), inputs(second)) == (["4", "3"], ["2", "1"])
    link = second.headers["Link"].partition(">")[0].removeprefix("<")
    last = kiln.get(link)
    assert (inputs(last), "X-Next-Cursor" in last.headers) == (["0"], False)


def test_filters(kiln: TestClient, task: str) -> None:
    """A list can be about runs with tags, rated ones, and ones changed since an instant."""
    one, two = (make_run(kiln, task, input=name, tags=tags) for name, tags in (("a", ["x", "y"]), ("b", ["x"])))
    since = ok(kiln.patch(f"{run_path(task, two)}?include=updated_at", json=rated(None)))["updated_at"]
    assert inputs(kiln.get(f"{task}/runs?tag=x")) == ["b", "a"]
    assert inputs(kiln.get(f"{task}/runs?tag=x&tag=y")) == ["a"]
    assert (
        inputs(kiln.get(f"{task}/runs?rated=true")) == inputs(kiln.get(f"{task}/runs?updated_since={since}")) == ["b"]
    )
    assert inputs(kiln.get(f"{task}/runs?rated=false")) == ["a"]
    assert one["tags"] == ["x", "y"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "cursor=zzz", "rated=maybe", "updated_since=now"])
def test_bad_query(kiln: TestClient, task: str, query: str) -> None:
    """A parameter that cannot be read is told by its name."""
    assert faults(kiln.get(f"{task}/runs?{query}"))[0].startswith(f"Query.{query.split('=')[0].capitalize()}: ")


def test_damaged_run_leaves_the_list_alone(server: Application, kiln: TestClient, task: str) -> None:
    """A run whose stored text is damaged is left out of lists; its neighbours are all there."""
    good, bad = make_run(kiln, task, input="good"), make_run(kiln, task, input="bad")
    damage = update(records).where(records.c.id == int(bad["id"])).values(body='{"input": "ba')
    server.store.write(lambda tx: tx.session.run(damage))  # type: ignore[attr-defined]
    assert inputs(kiln.get(f"{task}/runs")) == ["good"]
    assert [item["id"] for item in ok(kiln.get(f"{task}/runs_summaries"))] == [good["id"]]
    assert ok(kiln.patch(run_path(task, good), json={"tags": ["t"]}))["tags"] == ["t"]


def test_batches_change_what_is_there(kiln: TestClient, task: str) -> None:
    """Tags and deletion in bulk reach the known runs and name the others, as 500 or, when asked, as 207."""
    run = make_run(kiln, task, tags=["old", "old", "kept"])
    edit = {"run_ids": [run["id"], "x"], "add_tags": ["new", "kept"], "remove_tags": ["old"]}
    failed = {"message": {"failed_runs": ["x"], "error": "Runs not found"}}
    answers = [kiln.post(f"{task}/runs/edit_tags{query}", json=edit) for query in ("", "?multi_status=true")]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(500, failed), (207, failed)]
    assert ok(kiln.get(run_path(task, run)))["tags"] == ["kept", "new"]
    assert ok(kiln.get(f"{task}/tags")) == {"kept": 1, "new": 1}
    assert faults(kiln.post(f"{task}/runs/edit_tags", json={"run_ids": [run["id"]], "add_tags": ["a b"]}))
    assert faults(kiln.post(f"{task}/runs/edit_tags", json={})) == ["Run_ids: Field required"]
    assert ok(kiln.post(f"{task}/runs/delete", json=[run["id"]])) == {"success": True}
    assert inputs(kiln.get(f"{task}/runs")) == []


def test_bulk_patch_results(kiln: TestClient, task: str) -> None:
    """Many runs are patched in one call; each result stands for itself."""
    one, two = make_run(kiln, task), make_run(kiln, task)
    patches = {one["id"]: rated(5), two["id"]: rated(6), "999999": {}, "x": {}}
    answer = kiln.patch(f"{task}/runs", json={"patches": patches})
    body = answer.json()
    assert (answer.status_code, body["failed"]) == (207, 3)
    assert [body["results"][run_id]["status"] for run_id in patches] == [200, 422, 404, 404]
    assert body["results"]["x"]["message"] == "Run not found. ID: x"
    assert ok(kiln.get(run_path(task, one)))["output"]["rating"]["value"] == 5.0


def test_csv_is_all_or_nothing(kiln: TestClient, task: str) -> None:
    """A file with one bad row stores nothing and names the row; a good one gives every row exactly one split."""
    bad = upload(kiln, task, "input,output,tags\n1,2,\n3,4,a b\n")
    assert (bad.status_code, bad.json()["message"].split(":")[0]) == (422, "Error in row 3")
    assert inputs(kiln.get(f"{task}/runs")) == []
    rows = "".join(f'q{number},"a,{number}",,t{number}\n' for number in range(10))
    splits = json.dumps({"train": 0.75, "test": 0.25})
    assert ok(upload(kiln, task, f"input,output,reasoning,tags\n{rows}", splits=splits))["imported_count"] == 10
    tags = ok(kiln.get(f"{task}/tags"))
    assert (tags["train"], tags["test"], tags["imported"], tags["t3"]) == (8, 2, 10, 1)


def test_many_runs(kiln: TestClient, task: str) -> None:
    """A list without a limit is whole, and a batch of any number of runs is tagged."""
    rows = "".join(f"q{number},a\n" for number in range(1_050))
    ok(upload(kiln, task, f"input,output\n{rows}"))
    found = ok(kiln.get(f"{task}/runs"))
    assert [run["input"] for run in found] == [f"q{number}" for number in reversed(range(1_050))]
    ids = [run["id"] for run in found[:105]]
    ok(kiln.post(f"{task}/runs/edit_tags", json={"run_ids": ids, "add_tags": ["t"]}))
    assert ok(kiln.get(f"{task}/tags"))["t"] == 105


@pytest.mark.parametrize(
    ("text", "splits", "expected"),
    [
        ("", "", "Missing required headers: output, input."),
        ("input,output\n", "", "No data rows found"),
        ("input,output,trace\n1,2,3\n", "", "The column trace"),
        ("input,output\n1\n", "", "Error in row 2: the row has fewer columns"),
        ("input,output\n1,2\n", '{"a":0.5}', "Split proportions must sum to 1"),
        ("input,output\n1,2\n", '["a"]', "Invalid splits format."),
        ('input,output\n1,"2\0"\n', "", "The CSV file contains a NUL"),
    ],
)
def test_bad_files(kiln: TestClient, task: str, text: str, splits: str, expected: str) -> None:
    """What cannot be a file of runs is refused with the reason."""
    answer = upload(kiln, task, text, splits=splits)
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(expected)


def test_conversations(kiln: TestClient) -> None:
    """Each answer of a conversation is a run; lists show the last; a chain leads back; deleting it deletes all."""
    task = make_task(kiln, turn_mode="multiturn")
    words = ("hi", "hello", "bye", "so long")
    trace = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(words)]
    quoted = json.dumps(trace).replace('"', '""')
    counts = ok(upload(kiln, task, f'trace,tags\n"{quoted}",conv\n', splits='{"train":1}'))
    assert (counts["imported_count"], counts["imported_conversation_count"]) == (2, 1)
    (leaf,) = ok(kiln.get(f"{task}/runs"))
    assert (leaf["input"], leaf["trace"], leaf["tags"][-1]) == ("bye", trace, "train")
    chain = ok(kiln.get(f"{run_path(task, leaf)}/chain"))
    assert [turn["trace_start_index"] for turn in chain["chain"]] == [0, 2]
    assert ok(kiln.get(f"{task}/runs/{chain['chain'][0]['run_id']}"))["output"]["output"] == "hello"
    assert kiln.patch(run_path(task, leaf), json={"parent_task_run_id": "12345"}).status_code == 200
    assert ok(kiln.get(f"{run_path(task, leaf)}/chain"))["chain_broken"] is True


def test_deleting_the_last_turn_deletes_what_leads_only_to_it(kiln: TestClient) -> None:
    """Ancestors go with the last run that follows them, and stay while another one does."""
    task = make_task(kiln, turn_mode="multiturn")
    root = make_run(kiln, task)
    leaves = [make_run(kiln, task) for _ in range(2)]
    for leaf in leaves:
        ok(kiln.patch(run_path(task, leaf), json={"parent_task_run_id": root["id"]}))
    assert {run["id"] for run in ok(kiln.get(f"{task}/runs"))} == {leaf["id"] for leaf in leaves}
    ok(kiln.delete(run_path(task, leaves[0])))
    assert kiln.get(run_path(task, root)).status_code == 200
    ok(kiln.delete(run_path(task, leaves[1])))
    assert kiln.get(run_path(task, root)).status_code == 404


def test_changes_in_order(kiln: TestClient, task: str) -> None:
    """The feed tells what was made, changed and deleted, each run at its last change, and goes on from its cursor."""
    one, two = make_run(kiln, task, input="one"), make_run(kiln, task, input="two")
    ok(kiln.patch(run_path(task, one), json=rated(5)))
    feed = ok(kiln.get(f"{task}/changes"))
    assert [change["run"]["input"] for change in feed["changes"]] == ["two", "one"]
    assert feed["at_end"] is True
    ok(kiln.delete(run_path(task, two)))
    ok(kiln.patch(run_path(task, one), json=rated(4)))
    pages, cursor = [], feed["cursor"]
    while not (page := ok(kiln.get(f"{task}/changes?limit=1&cursor={cursor}")))["at_end"]:
        pages += page["changes"]
        cursor = page["cursor"]
    assert [(change["type"], change.get("run_id")) for change in pages] == [("deleted", two["id"]), ("run", None)]
    assert faults(kiln.get(f"{task}/changes?cursor=x"))[0].startswith("Query.Cursor: ")


def test_tasks_and_projects(kiln: TestClient) -> None:
    """A task's fields are replaced one by one, frozen ones refused; requirements get ids and are rating options."""
    task = make_task(kiln, requirements=[{"name": "tone", "instruction": "be kind", "type": "pass_fail"}])
    changed = ok(kiln.patch(task, json={"description": "d", "instruction": "Reply."}))
    assert (changed["description"], changed["instruction"]) == ("d", "Reply.")
    for frozen in ({"id": "999999"}, {"input_json_schema": "{}"}, {"turn_mode": "multiturn"}):
        assert kiln.patch(task, json=frozen).status_code == 400
    (option,) = ok(kiln.get(f"{task}/rating_options"))["options"]
    assert option == {"requirement": changed["requirements"][0], "show_for_all": True, "show_for_tags": []}
    project = task.rsplit("/", 2)[0]
    assert [item["id"] for item in ok(kiln.get(f"{project}/tasks"))] == [changed["id"]]
    assert changed["name"] in [item["name"] for found in ok(kiln.get("/api/task_summaries")) for item in found["tasks"]]
    assert "tags" in ok(kiln.get(f"{task}/run_schema"))["run"]["properties"]
    assert kiln.post(f"{task}/run", json={}).status_code == 501


@pytest.mark.parametrize(
    "schema",
    ["{", "[]", "{}", '{"type":"array"}', '{"type":"object","properties":{"a":{"$ref":"http://example.org/s"}}}'],
)
def test_bad_schemas(kiln: TestClient, task: str, schema: str) -> None:
    """An output schema must describe an object by itself: nothing is fetched for it."""
    body = {"name": "n", "instruction": "i", "output_json_schema": schema}
    assert faults(kiln.post(f"{task.rsplit('/', 1)[0]}", json=body))[0].startswith("Output_json_schema: Value error")


def test_structured_runs(kiln: TestClient) -> None:
    """Inputs, outputs and repairs of a structured task fit its schemas."""
    shape = '{"type":"object","properties":{"a":{"type":"string","pattern":"^(x+)+$"}},"required":["a"]}'
    task = make_task(kiln, input_json_schema=shape, output_json_schema=shape)
    run = run_path(task, make_run(kiln, task, input='{"a":"x"}', output='{"a":"xx"}'))
    assert "Input does not match task input schema" in faults(kiln.patch(run, json={"input": "{}"}))[0]
    slow = json.dumps({"a": "x" * 60 + "y"})
    assert "does not match '^(x+)+$'" in faults(kiln.patch(run, json={"output": {"output": slow}}))[0]
    repair = {"repair_instructions": "r", "repaired_output": {"output": "{}"}}
    assert "Repaired output does not match task output schema" in faults(kiln.patch(run, json=repair))[0]
    assert kiln.post(f"{task}/runs", json={"input": "x", "output": "{}", **MODEL}).status_code == 422
