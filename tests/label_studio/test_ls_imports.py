"""Imports: the receipt, the status, all file kinds, and what is refused at once or by the job."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from label_studio_api import (
    choice,
    errors_of,
    import_path,
    imported,
    make_project,
    status_of,
    task_count,
)
from starlette.testclient import TestClient

from conftest import ok
from headrace.dialects.label_studio.uploads import SUPPORTED
from headrace.jobs.upload_formats import is_supported

pytestmark = pytest.mark.server("shared")

JSON = {"Content-Type": "application/json"}
STATUS_FIELDS = {
    "id": int,
    "project": int,
    "preannotated_from_fields": (list, type(None)),
    "commit_to_project": bool,
    "return_task_ids": bool,
    "dry_run": bool,
    "on_error": str,
    "external_id": (str, type(None)),
    "status": str,
    "progress": dict,
    "problems": list,
    "url": (str, type(None)),
    "error": (str, type(None)),
    "created_at": str,
    "updated_at": str,
    "finished_at": str,
    "task_count": int,
    "annotation_count": int,
    "prediction_count": int,
    "failed_task_count": int,
    "created_task_count": int,
    "updated_task_count": int,
    "unchanged_task_count": int,
    "duration": int,
    "file_upload_ids": list,
    "could_be_tasks_list": bool,
    "found_formats": (dict, list),
    "data_columns": list,
    "tasks": type(None),
    "task_ids": list,
}


def post_files(api: TestClient, project: int, *files: tuple[str, str]) -> Any:
    """The answer to a multipart upload in which every part has the same name."""
    parts = [("file", (name, text.encode())) for name, text in files]
    return api.post(import_path(project, "?return_task_ids=true"), files=parts)


def data_of(api: TestClient, project: int) -> list[Any]:
    """The data of all tasks of a project in id order."""
    listed = ok(api.get("/api/tasks/", params={"project": project, "page_size": -1}))
    return [task["data"] for task in listed["tasks"]]


def test_the_ordered_document_works_word_for_word(both: TestClient) -> None:
    """Two tasks are sent, the import's id comes back, and the status gives their ids."""
    project = make_project(both)
    sent = '[{"text": "示例文本1"}, {"text": "示例文本2"}]'.encode()
    answer = both.post(f"/api/projects/{project}/import?return_task_ids=true", content=sent, headers=JSON)
    assert answer.status_code == 201
    status = ok(both.get(f"/api/projects/{project}/imports/{answer.json()['import']}/"))
    assert (status["status"], status["task_count"], status["failed_task_count"]) == ("completed", 2, 0)
    assert [ok(both.get(f"/api/tasks/{number}"))["data"]["text"] for number in status["task_ids"]] == [
        "示例文本1",
        "示例文本2",
    ]


def test_the_status_has_every_field_with_its_type(api: TestClient) -> None:
    """A finished import shows all fields of the asynchronous form, and says when it finished."""
    status = imported(api, make_project(api), [{"text": "a"}])
    assert {name: isinstance(status[name], kind) for name, kind in STATUS_FIELDS.items()} == dict.fromkeys(
        STATUS_FIELDS, True
    )
    assert set(status) == set(STATUS_FIELDS)


def test_task_ids_are_given_only_when_asked_for(api: TestClient) -> None:
    """Without return_task_ids neither the answer nor the status lists ids; the counts are there all the same."""
    project = make_project(api)
    answer = ok(api.post(import_path(project), json=[{"text": "a"}]))
    assert "task_ids" not in answer
    assert (answer["task_count"], answer["found_formats"], answer["data_columns"]) == (1, {}, [])
    assert status_of(api, project, answer["import"])["task_ids"] == []


@pytest.mark.parametrize("path", ["/import", "/import/", "/tasks/bulk", "/tasks/bulk/"])
def test_all_spellings_of_the_path_import(shared_api: TestClient, path: str) -> None:
    """The older name and the trailing slash are the same endpoint."""
    project = make_project(shared_api)
    answer = ok(shared_api.post(f"/api/projects/{project}{path}", json={"text": "one"}))
    assert (answer["task_count"], task_count(shared_api, project)) == (1, 1)


def test_data_read_back_as_the_bytes_that_were_sent(api: TestClient) -> None:
    """Spacing, key order, repeated escapes and number spellings of task data survive."""
    data = '{"text" : "caf\\u00e9", "n": 1.50, "z": {"b":1, "a":[ ]}}'
    project = make_project(api)
    ok(api.post(import_path(project), content=f'[{{"data": {data}, "meta": {{"k" : 1}}}}]', headers=JSON))
    body = api.get("/api/tasks/", params={"project": project}).text
    assert f'"data":{data},"meta":{{"k" : 1}},' in body


def test_bad_items_are_named_by_their_number_in_the_whole_import(both: TestClient) -> None:
    """One bad item anywhere means that nothing is stored, and the error names its place."""
    project = make_project(both)
    status = imported(both, project, [{"text": "ok"}] * 1200 + [{"txt": "bad"}, {"data": {"text": {"a": 1}}}])
    assert (status["status"], status["failed_task_count"], status["task_ids"]) == ("failed", 2, [])
    first, second = status["error"].splitlines()
    assert first.startswith('Error at item 1200: "text" key is expected in task data')
    assert second.startswith("Error at item 1201: data['text']={'a': 1} is of type 'dict'")
    assert task_count(both, project) == 0


def test_annotations_and_predictions_come_with_their_tasks(both: TestClient) -> None:
    """An envelope brings annotations (ground truth unless it says otherwise), predictions and meta."""
    project = make_project(both)
    annotation = {"result": choice("Positive"), "completed_by": {"email": "admin@example.org"}, "lead_time": 3.5}
    prediction = {"result": choice("Negative"), "model_version": "m1", "score": 0.7}
    item = {"data": {"text": "t"}, "meta": {"src": "x"}, "annotations": [annotation], "predictions": [prediction]}
    status = imported(both, project, [item])
    assert (status["annotation_count"], status["prediction_count"]) == (1, 1)
    task = ok(both.get(f"/api/tasks/{status['task_ids'][0]}/"))
    assert task["annotations"][0]["result"] == choice("Positive")
    assert (task["annotations"][0]["ground_truth"], task["annotations"][0]["lead_time"]) == (True, 3.5)
    assert (task["predictions"][0]["model_version"], task["predictions"][0]["score"]) == ("m1", 0.7)
    assert (task["is_labeled"], task["meta"], task["annotations"][0]["completed_by"]["id"]) == (True, {"src": "x"}, 1)
    assert ok(both.get(f"/api/projects/{project}/"))["model_version"] == "m1"


@pytest.mark.parametrize(
    ("author", "text"),
    [
        ({"email": "who@example.org"}, "Unknown annotator's email who@example.org"),
        (777, "Import data contains completed_by=777 which is not a valid annotator's email or ID"),
    ],
)
def test_unknown_annotators_refuse_the_whole_import(api: TestClient, author: Any, text: str) -> None:
    """An annotation of somebody unknown fails the import, naming the first item that does it."""
    project = make_project(api)
    item = {"data": {"text": "t"}, "annotations": [{"result": [], "completed_by": author}]}
    status = imported(api, project, [{"text": "fine"}, item, item])
    assert (status["status"], status["error"]) == ("failed", f"Error at item 1: {text}")
    assert task_count(api, project) == 0


def test_a_named_field_becomes_a_prediction(api: TestClient) -> None:
    """preannotated_from_fields turns a data field into a prediction with score 1, and is echoed."""
    status = imported(
        api, make_project(api), [{"text": "a", "sentiment": "Positive"}], "?preannotated_from_fields=sentiment;x"
    )
    assert (status["prediction_count"], status["preannotated_from_fields"]) == (1, ["sentiment", "x"])


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "text,n\nx,1\ny,2\n", [{"text": "x", "n": 1}, {"text": "y", "n": 2}]),
        ("a.tsv", "text\tn\nx\t1\n", [{"text": "x", "n": 1}]),
        ("a.json", '[{"text": "x"}, {"data": {"text": "y"}}]', [{"text": "x"}, {"text": "y"}]),
        ("a.jsonl", '{"text": "x"}\n\n{"text": "y"}\n', [{"text": "x"}, {"text": "y"}]),
        ("a.txt", "x\ny\n", [{"text": "x"}, {"text": "y"}]),
        ("A.HTML", "<p>x</p>", [{"text": "<p>x</p>"}]),
        ("a.xml", "<x/>", [{"text": "<x/>"}]),
    ],
)
def test_every_kind_of_file_is_imported(shared_api: TestClient, name: str, text: str, expected: list[Any]) -> None:
    """Each supported extension becomes tasks, and the format is reported."""
    project = make_project(shared_api)
    status = status_of(shared_api, project, ok(post_files(shared_api, project, (name, text)))["import"])
    assert status["error"] is None
    assert data_of(shared_api, project) == expected
    assert status["found_formats"] == {f".{name.rpartition('.')[2].lower()}": 1}
    assert (status["task_count"], len(status["file_upload_ids"])) == (len(expected), 1)


def test_files_of_the_same_field_name_are_all_imported_in_order(api: TestClient) -> None:
    """Repeated part names are several files; ids follow the order of upload."""
    project = make_project(api)
    answer = ok(post_files(api, project, ("a.csv", "text\nx\n"), ("b.json", '[{"text": "y"}]')))
    assert [item["text"] for item in data_of(api, project)] == ["x", "y"]
    assert (answer["found_formats"], answer["data_columns"]) == ({".csv": 1, ".json": 1}, ["text"])
    assert (answer["could_be_tasks_list"], len(answer["file_upload_ids"])) == (True, 2)


def test_what_the_dialect_accepts_is_what_the_job_can_read() -> None:
    """Both sides know the same extensions."""
    assert all(is_supported(f"name{extension}") for extension in SUPPORTED)
    assert not is_supported("name.exe")


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("a.json", "[{", "Failed to parse input file a.json: the body is not valid JSON: it ends too early"),
        ("a.csv", "", "Failed to parse input file a.csv: No columns to parse from file"),
        ("a.csv", "text\n", "load_tasks: No tasks added"),
    ],
)
def test_a_file_that_cannot_be_parsed_fails_the_import(api: TestClient, name: str, text: str, error: str) -> None:
    """The file is accepted, and the status tells what is wrong with it."""
    project = make_project(api)
    status = status_of(api, project, ok(post_files(api, project, (name, text)))["import"])
    assert (status["status"], status["error"]) == ("failed", error)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "load_tasks: No tasks added"),
        (b'"hello"', "load_tasks: No data found in DATA or in FILES"),
        (b"null", "load_tasks: No data found in DATA or in FILES"),
        (b"7", "load_tasks: No data found in DATA or in FILES"),
        (b'[{"text": "a"}, 1]', 'Error at item 1: Task root must be dict with "data"'),
        (b'["a"]', 'Error at item 0: Task root must be dict with "data"'),
    ],
)
def test_bodies_without_tasks_are_refused_at_once(shared_api: TestClient, body: bytes, message: str) -> None:
    """Nothing is stored for an empty array, a scalar, or an array of anything but objects."""
    errors = errors_of(shared_api.post(import_path(make_project(shared_api)), content=body, headers=JSON))
    assert errors["non_field_errors"][0].startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        b'[{"text": "a",]',
        b'[{"text": "a\\u0000b"}]',
        b'[{"text": "a\x00b"}]',
        b'[{"text": "\\ud800"}]',
        b'[{"text": NaN}]',
        b'[{"text": 1e999}]',
        b'[{"n": 18446744073709551616, "text": "x"}]',
        b'[{"text": "\xff"}]',
        b"[" * 101 + b"]" * 101,
        b"not json at all",
    ],
)
def test_hostile_bodies_are_json_errors_and_store_nothing(shared_api: TestClient, body: bytes) -> None:
    """What a database could not give back equal is refused with 400 in the dialect's shape."""
    project = make_project(shared_api)
    answer = shared_api.post(import_path(project), content=body, headers=JSON)
    assert errors_of(answer) is None
    assert answer.json()["detail"].startswith("JSON parse error - ")
    assert task_count(shared_api, project) == 0


def test_an_empty_body_is_one_empty_task(api: TestClient) -> None:
    """As in the original an empty body counts as {}, which lacks the key that the config asks for."""
    project = make_project(api)
    status = status_of(api, project, ok(api.post(import_path(project), headers=JSON))["import"])
    assert status["error"].startswith('Error at item 0: "text" key is expected')


def test_other_content_types_are_refused(api: TestClient) -> None:
    """Plain text is 415 and names the type."""
    answer = api.post(import_path(make_project(api)), content=b"hello", headers={"Content-Type": "text/plain"})
    errors_of(answer, 415)
    assert answer.json()["detail"] == 'Unsupported media type "text/plain" in request.'


@pytest.mark.parametrize(("name", "extension"), [("a.exe", ".exe"), ("nameless", ""), ("../x/.csv", "")])
def test_unsupported_extensions_are_refused_at_once(api: TestClient, name: str, extension: str) -> None:
    """The message names the extension, also the lack of one."""
    errors = errors_of(post_files(api, make_project(api), (name, "x")))
    assert errors == {"non_field_errors": [f"{extension} extension is not supported"]}


def test_a_form_brings_tasks_inline(api: TestClient) -> None:
    """JSON text under `url` is a file of its own; without `url` the form is refused."""
    project = make_project(api)
    text = '[{"text":"inline1"},{"text":"inline2"}]'
    answer = ok(api.post(import_path(project, "?return_task_ids=true"), data={"url": text}))
    assert (answer["task_count"], answer["found_formats"]) == (2, {".json": 1})
    assert status_of(api, project, answer["import"])["url"] == text
    errors = errors_of(api.post(import_path(project), data={"x": "y"}))
    assert errors == {"non_field_errors": ['"url" is not found in request data']}


@pytest.mark.parametrize("value", ["maybe", "true?return_task_ids=true"])
def test_a_bad_boolean_names_its_parameter(api: TestClient, value: str) -> None:
    """The malformed repetition that people copy is told apart from a real one."""
    answer = api.post(import_path(make_project(api), f"?return_task_ids={value}"), json=[{"text": "a"}])
    assert list(errors_of(answer)) == ["return_task_ids"]
    assert value in errors_of(answer)["return_task_ids"]


def test_of_a_repeated_parameter_the_last_counts(api: TestClient) -> None:
    """true then false is false."""
    query = "?return_task_ids=true&return_task_ids=false"
    assert imported(api, make_project(api), [{"text": "a"}], query)["return_task_ids"] is False


def test_unknown_and_foreign_projects_look_alike(api: TestClient, person: Any) -> None:
    """Neither import nor status tells that somebody else's project exists."""
    project = make_project(api)
    number = imported(api, project, [{"text": "secret"}])["id"]
    ok(api.put("/api/_private/projects/other", json={"project": {}}))
    stranger = person("stranger", other=["admin"])
    for path in (import_path(project), import_path(999)):
        answer = stranger.post(path, json=[{"text": "a"}])
        errors_of(answer, 404)
        assert answer.json()["detail"] == "No Project matches the given query."
    assert stranger.get(f"/api/projects/{project}/imports/{number}").status_code == 404
    assert task_count(api, project) == 1


def test_an_import_is_found_only_under_its_own_project(api: TestClient) -> None:
    """The project in the path counts, for the same caller too."""
    first, second = make_project(api), make_project(api)
    number = imported(api, first, [{"text": "a"}])["id"]
    answer = api.get(f"/api/projects/{second}/imports/{number}/")
    errors_of(answer, 404)
    assert answer.json()["detail"] == "No ProjectImport matches the given query."


def test_a_viewer_may_not_import(api: TestClient, person: Any) -> None:
    """Seeing a project is not enough: 403, and nothing is stored."""
    project = make_project(api)
    answer = person("viewer", default=["viewer"]).post(import_path(project), json=[{"text": "a"}])
    errors_of(answer, 403)
    assert task_count(api, project) == 0


def test_rights_are_judged_before_the_body(person: Any, api: TestClient) -> None:
    """A stranger's broken body gets the answer about the project, not about the body."""
    answer = person("nobody").post(import_path(make_project(api)), content=b"[{", headers=JSON)
    assert answer.status_code == 404


def test_one_key_makes_one_import(both: TestClient) -> None:
    """Eight requests at once and one later under the same key: one import, one id, one task."""
    project = make_project(both)
    headers = {"Idempotency-Key": "k-1"}

    def post(_: int) -> int:
        return int(ok(both.post(import_path(project), json=[{"text": "once"}], headers=headers))["import"])

    with ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(post, range(8))) | {post(9)}
    assert len(numbers) == 1
    assert status_of(both, project, numbers.pop())["task_count"] == 1
    assert task_count(both, project) == 1


def test_one_key_with_another_body_is_refused(api: TestClient) -> None:
    """The second body is neither stored nor taken for the first."""
    project = make_project(api)
    headers = {"Idempotency-Key": "k-2"}
    ok(api.post(import_path(project), json=[{"text": "one"}], headers=headers))
    errors_of(api.post(import_path(project), json=[{"text": "two"}], headers=headers), 422)
    assert task_count(api, project) == 1


def test_a_big_import_is_parsed_by_a_child_and_kept_once(api: TestClient) -> None:
    """Ten megabytes go through a file and several transactions; a repetition under the key leaves nothing behind."""
    project = make_project(api)
    body = json.dumps([{"text": "x" * 10_000, "n": number} for number in range(1_050)]).encode()
    headers = {**JSON, "Idempotency-Key": "big"}
    numbers = {ok(api.post(import_path(project), content=body, headers=headers))["import"] for _ in range(2)}
    status = status_of(api, project, numbers.pop())
    assert (status["status"], status["task_count"], numbers) == ("completed", 1_050, set())
    assert task_count(api, project) == 1_050


def test_a_big_body_that_is_not_json_is_refused_at_once(api: TestClient) -> None:
    """Beyond the size that is held in memory the check still comes before the answer."""
    body = b'[{"text": "' + b"x" * 9_000_000 + b'"}'
    answer = api.post(import_path(make_project(api)), content=body, headers=JSON)
    assert errors_of(answer) is None
    assert answer.json()["detail"].startswith("JSON parse error - ")


def test_a_declared_size_above_the_limit_is_413(api: TestClient) -> None:
    """The limit is judged before the body is read."""
    headers = {**JSON, "Content-Length": str(250 * 1024 * 1024 + 1)}
    errors_of(api.post(import_path(make_project(api)), content=b"[]", headers=headers), 413)


def test_a_project_without_keys_takes_any_task(api: TestClient) -> None:
    """An empty label config checks nothing; lines of text stay under $undefined$."""
    project = make_project(api, label_config="<View></View>")
    ok(post_files(api, project, ("a.txt", "x\n")))
    assert data_of(api, project) == [{"$undefined$": "x"}]
