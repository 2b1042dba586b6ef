"""What an import may be asked for beside its tasks: keys, receipts, checks, partial acceptance, and waiting."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_api import choice, errors_of, import_path, imported, make_project, status_of, task_count
from starlette.testclient import TestClient
from test_ls_import_job import OPTIONS, begin, body, claim, context, state

from conftest import ok
from headrace.core import imports
from headrace.core.imports import ImportRow
from headrace.core.store import Store
from headrace.jobs import imports as import_job

pytestmark = pytest.mark.server("shared")

UPSERT = "?return_task_ids=true&external_id=key"


def item(key: str, text: str) -> dict[str, str]:
    """A task's data with the caller's own key."""
    return {"key": key, "text": text}


def rows_of(api: TestClient, project: int, number: int, **query: Any) -> dict[str, Any]:
    """A page of an import's receipt."""
    found: dict[str, Any] = ok(api.get(f"/api/projects/{project}/imports/{number}/rows", params=query))
    return found


def outcomes(api: TestClient, project: int, number: int) -> list[str]:
    """What became of each row."""
    return [row["status"] for row in rows_of(api, project, number)["rows"]]


def test_a_key_makes_an_import_an_upsert(both: TestClient) -> None:
    """New, changed and unchanged tasks are told apart; ids come in the order of the request; annotations stay."""
    project = make_project(both)
    first = imported(both, project, [item("a", "1"), item("b", "2")], UPSERT)
    a, b = first["task_ids"]
    ok(both.post(f"/api/tasks/{a}/annotations/", json={"result": choice("Positive")}))
    second = imported(both, project, [item("c", "3"), item("b", "2"), item("a", "new")], UPSERT)
    assert second["task_ids"][1:] == [b, a]
    counts = [second[f"{name}_task_count"] for name in ("created", "updated", "unchanged", "failed")]
    assert (second["task_count"], counts) == (3, [1, 1, 1, 0])
    assert outcomes(both, project, second["id"]) == ["created", "unchanged", "updated"]
    task = ok(both.get(f"/api/tasks/{a}/"))
    assert (task["data"]["text"], len(task["annotations"])) == ("new", 1)
    assert task_count(both, project) == 3


def test_an_envelope_may_hold_the_key(api: TestClient) -> None:
    """`external_id` beside `data` is the key, an integer too; meta that is not sent again stays."""
    project = make_project(api)
    sent = {"data": {"text": "1"}, "external_id": 7, "meta": {"m": 1}}
    first = imported(api, project, [sent])["task_ids"]
    again = imported(api, project, [{"data": {"text": "2"}, "external_id": "7"}])
    assert (again["task_ids"], again["updated_task_count"]) == (first, 1)
    assert ok(api.get(f"/api/tasks/{first[0]}/"))["meta"] == {"m": 1}


def test_the_key_is_the_comments_id(api: TestClient) -> None:
    """Communications Mining shows the task under the same key."""
    project = make_project(api, title="keys")
    imported(api, project, [item("my-key", "hello")], UPSERT)
    comment = ok(api.get("/api/v1/sources/default/keys/comments/my-key"))["comment"]
    assert (comment["id"], comment["messages"][0]["body"]["text"]) == ("my-key", "hello")


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ([item("a", "1"), item("a", "2")], "Error at item 1: the external_id 'a' is that of item 0 already"),
        ([{"text": "1"}], 'Error at item 0: "key" key is expected in task data to be the external_id'),
        ([{"text": "1", "key": 1.5}], "Error at item 0: key=1.5 is no external_id"),
        ([item("a b", "1")], "Error at item 0: key='a b' is no external_id"),
    ],
)
def test_keys_that_name_no_single_task_are_refused(api: TestClient, tasks: Any, reason: str) -> None:
    """A key twice in one import, a missing one, or one that could not be a comment's id refuses the import."""
    project = make_project(api)
    status = imported(api, project, tasks, UPSERT)
    assert status["error"].startswith(reason)
    assert task_count(api, project) == 0
    assert rows_of(api, project, status["id"])["rows"][0]["reason"].startswith(reason)


def test_an_upsert_that_fails_half_way_is_taken_back(store: Store, tmp_path: Path) -> None:
    """Changed records get their former data back, unless somebody has changed them since."""
    dataset, known = begin(store, body(1))
    assert known.source_id == dataset.own_source_id
    old = [ImportRow(data=f'{{"text": "{name}"}}', meta=None, external_id=name) for name in "ab"]
    first = store.write(lambda tx: imports.store_rows(tx, claim_in(tx, known), known, dataset, old))
    store.write(lambda tx: imports.complete(tx, job_of(tx, known), first, dataset, {}))
    author = store.read(lambda tx: imports._author(tx, known))
    second = store.write(lambda tx: imports.start(tx, author, dataset, options=OPTIONS, upload_ids=[]))
    job = claim(store, second)
    new = [ImportRow(data='{"text": "new"}', meta=None, external_id=name) for name in "abc"]
    store.write(lambda tx: imports.store_rows(tx, job, second, dataset, new))
    import_job.failed(job, context(store, tmp_path), "out of luck")
    records = store.read(lambda tx: tx.records.by_external(known.source_id, ["a", "b", "c"]))
    assert sorted(record.body for record in records) == ['{"text": "a"}', '{"text": "b"}']
    assert (state(store, second).record_count, state(store, second).row_count) == (0, 0)


def claim_in(tx: Any, known: imports.Import) -> Any:
    """The import's job, taken inside a transaction."""
    return tx.jobs.claim("test", job_id=known.job_id)


def job_of(tx: Any, known: imports.Import) -> Any:
    """The import's job as it is."""
    return tx.jobs.get(known.job_id)


def test_bad_rows_may_be_left_out(both: TestClient) -> None:
    """With on_error=reject_rows the good rows are imported, and the receipt says why the others were not."""
    project = make_project(both)
    stranger = {"data": {"text": "s"}, "annotations": [{"result": [], "completed_by": 777}]}
    tasks = [{"text": "0"}, {"txt": "1"}, stranger, *({"text": str(number)} for number in range(3, 1_203)), {"no": 1}]
    status = imported(both, project, tasks, "?on_error=reject_rows&return_task_ids=true")
    assert (status["status"], status["task_count"], status["failed_task_count"]) == ("completed", 1_201, 3)
    assert len(status["task_ids"]) == task_count(both, project) == 1_201
    page = rows_of(both, project, status["id"], page_size=5)
    assert (page["count"], page["next"]) == (1_204, 2)
    assert [row["status"] for row in page["rows"]] == ["created", "rejected", "rejected", "created", "created"]
    assert page["rows"][3]["task_id"] == status["task_ids"][1]
    assert page["rows"][2]["reason"].startswith("Error at item 2: Import data contains completed_by=777")
    last = rows_of(both, project, status["id"], page=241, page_size=5)
    assert (last["next"], last["rows"][-1]["status"], last["rows"][-1]["row"]) == (None, "rejected", 1_203)
    assert last["rows"][-2]["task_id"] == status["task_ids"][-1]


def test_the_receipt_comes_as_csv(api: TestClient) -> None:
    """One line per item, as a file."""
    project = make_project(api)
    status = imported(api, project, [{"text": "a"}, {"b": 1}], "?on_error=reject_rows&return_task_ids=true")
    answer = api.get(f"/api/projects/{project}/imports/{status['id']}/rows", params={"format": "csv"})
    lines = answer.text.split("\r\n")
    assert answer.headers["content-type"].startswith("text/csv")
    assert lines[:2] == ["row,task_id,status,reason", f"0,{status['task_ids'][0]},created,"]
    assert lines[2].startswith("1,,rejected,")
    assert "attachment" in answer.headers["content-disposition"]


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1), min_size=1, max_size=4), st.data())
def test_receipts_tell_every_row_once_in_order(api: TestClient, rounds: list[list[str]], data: st.DataObject) -> None:
    """Whatever is new, changed or the same, the ids are those of the keys in the order of the request."""
    project = make_project(api)
    known: dict[str, tuple[int, str]] = {}
    for keys in rounds:
        texts = {key: data.draw(st.sampled_from("xy")) for key in keys}
        status = imported(api, project, [item(key, texts[key]) for key in keys], UPSERT)
        expected = [
            "created" if key not in known else "unchanged" if known[key][1] == texts[key] else "updated" for key in keys
        ]
        page = rows_of(api, project, status["id"])
        assert [row["status"] for row in page["rows"]] == expected
        assert [row["task_id"] for row in page["rows"]] == status["task_ids"]
        assert all(known.get(key, (number,))[0] == number for key, number in zip(keys, status["task_ids"], strict=True))
        known |= {key: (number, texts[key]) for key, number in zip(keys, status["task_ids"], strict=True)}


def test_a_dry_run_stores_nothing(both: TestClient) -> None:
    """It counts what would become of the rows, keys included, and keeps neither tasks nor files."""
    project = make_project(both)
    imported(both, project, [item("a", "1"), item("b", "2")], UPSERT)
    annotated = {"data": item("c", "3"), "annotations": [{"result": choice("Positive")}]}
    sent = json.dumps([item("a", "1"), item("b", "new"), annotated]).encode()
    path = import_path(project, "?dry_run=true&external_id=key")
    answer = ok(both.post(path, files={"file": ("a.json", sent)}))
    assert (answer["dry_run"], answer["status"], answer["problems"]) == (True, "completed", [])
    counts = [answer[f"{name}_task_count"] for name in ("created", "updated", "unchanged", "failed")]
    assert (answer["task_count"], answer["annotation_count"], counts) == (3, 1, [1, 1, 1, 0])
    assert task_count(both, project) == 2
    assert ok(both.get(f"/api/projects/{project}/file-uploads", params={"all": "true"})) == []
    assert status_of(both, project, answer["import"])["dry_run"] is True


@pytest.mark.parametrize("query", ["?dry_run=true", "?dry_run=true&on_error=reject_rows"])
def test_a_dry_run_tells_up_to_a_hundred_problems(api: TestClient, query: str) -> None:
    """Every bad item is told by its number in the whole upload, its key and the reason."""
    project = make_project(api)
    sent = [{"text": "good"}] * 150 + [{"bad": number} for number in range(120)]
    answer = ok(api.post(import_path(project, query), json=sent))
    assert [problem["item"] for problem in answer["problems"]] == list(range(150, 250))
    assert (answer["problems"][0]["key"], answer["status"] == "failed") == ("text", "on_error" not in query)
    assert task_count(api, project) == 0


def test_waiting_gives_the_synchronous_form(both: TestClient) -> None:
    """Under Prefer: wait the answer has the counts and no id to poll."""
    project = make_project(both)
    prefer = {"Prefer": "respond-async, wait=30"}
    answer = both.post(import_path(project, "?return_task_ids=1"), json=[{"text": "a"}], headers=prefer)
    told = ok(answer)
    assert answer.headers["preference-applied"] == "wait=30"
    assert (told["task_count"], len(told["task_ids"]), "import" in told) == (1, 1, False)
    assert ok(both.get(answer.headers["location"]))["status"] == "completed"


def test_a_big_import_is_waited_for(api: TestClient) -> None:
    """The worker tells when it is done, so that the answer need not wait for its whole time."""
    project = make_project(api)
    sent = json.dumps([{"text": "x" * 4_000, "n": number} for number in range(300)]).encode()
    headers = {"Prefer": "wait=60", "Content-Type": "application/json"}
    assert ok(api.post(import_path(project), content=sent, headers=headers))["task_count"] == 300


def test_waiting_too_short_gives_the_asynchronous_form(api: TestClient) -> None:
    """What has not ended in time is answered by its id."""
    project = make_project(api)
    sent = json.dumps([{"text": "x" * 4_000, "n": number} for number in range(300)]).encode()
    headers = {"Prefer": "wait=0", "Content-Type": "application/json"}
    answer = api.post(import_path(project), content=sent, headers=headers)
    assert (list(ok(answer)), answer.headers["preference-applied"]) == (["import"], "wait=0")
    status_of(api, project, answer.json()["import"])


def test_waiting_for_bad_items_tells_one_entry_each(api: TestClient) -> None:
    """400 with {} for the good items and a text for the bad ones; a hundred entries end in dots."""
    project = make_project(api)
    prefer = {"Prefer": "wait=10"}
    answer = api.post(import_path(project), json=[{"text": "ok"}, {"b": 1}, {"text": "ok"}], headers=prefer)
    good, bad, last = errors_of(answer)["non_field_errors"]
    assert (good, last, bad.startswith('Error at item 1: "text" key is expected')) == ({}, {}, True)
    many = errors_of(api.post(import_path(project), json=[{"b": 1}] * 300, headers=prefer))
    assert (len(many["non_field_errors"]), many["non_field_errors"][-1]) == (100, "...")
    late = errors_of(api.post(import_path(project), json=[{"text": "x"}] * 200 + [{"b": 1}], headers=prefer))
    assert [problem["item"] for problem in late["problems"]] == [200]
    assert task_count(api, project) == 0


def test_progress_is_told(api: TestClient) -> None:
    """The status says how many rows are done of how many."""
    status = imported(api, make_project(api), [{"text": "a"}, {"text": "b"}])
    assert status["progress"] == {"done": 2, "total": 2}


def test_progress_is_told_while_it_is_made(store: Store) -> None:
    """Between two chunks the mark stands behind the first."""
    dataset, known = begin(store, body(3))
    rows = [ImportRow(data="{}", meta=None), ImportRow(data="", meta=None, rejected="no")]
    job = claim(store, known)
    store.write(lambda tx: tx.jobs.heartbeat(job, done=0, total=3))
    held = store.read(lambda tx: tx.jobs.get(job.id))
    assert held is not None
    store.write(lambda tx: imports.store_rows(tx, held, known, dataset, rows))
    assert store.read(lambda tx: imports.progress(tx, state(store, known))) == (2, 3)
