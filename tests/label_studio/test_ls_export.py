"""Export: every format as a file, which tasks it takes, its rights, and the way back in."""

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_api import CONFIG, choice, errors_of, imported, make_project
from starlette.testclient import TestClient

from building import eventually
from conftest import ok
from headrace.core.task_selection import MAX_PAGE

pytestmark = pytest.mark.server("shared")

TASK_FIELDS = [
    "id",
    "annotations",
    "file_upload",
    "drafts",
    "predictions",
    "data",
    "meta",
    "created_at",
    "updated_at",
    "allow_skip",
    "inner_id",
    "total_annotations",
    "cancelled_annotations",
    "total_predictions",
    "comment_count",
    "unresolved_comment_count",
    "last_comment_updated_at",
    "project",
    "updated_by",
    "comment_authors",
]
ANNOTATION_FIELDS = [
    "id",
    "completed_by",
    "result",
    "was_cancelled",
    "ground_truth",
    "created_at",
    "updated_at",
    "draft_created_at",
    "lead_time",
    "prediction",
    "result_count",
    "unique_id",
    "import_id",
    "last_action",
    "bulk_created",
    "task",
    "project",
    "updated_by",
    "parent_prediction",
    "parent_annotation",
    "last_created_by",
]
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
RESULTS = st.none() | st.lists(st.sampled_from(["Positive", "Negative"]), max_size=2).map(
    lambda names: [region for name in names for region in choice(name)]
)
ANNOTATIONS = st.fixed_dictionaries(
    {
        "result": RESULTS,
        "was_cancelled": st.booleans(),
        "ground_truth": st.booleans(),
        "lead_time": st.none() | st.floats(0, 1e6),
        "unique_id": st.none() | TEXTS,
    }
)
TASKS = st.fixed_dictionaries(
    {
        "data": st.dictionaries(TEXTS, TEXTS | st.integers(-(2**63), 2**63 - 1) | st.lists(TEXTS), max_size=3).map(
            lambda data: data | {"text": "t"}
        ),
        "meta": st.dictionaries(TEXTS, TEXTS, max_size=1),
        "annotations": st.lists(ANNOTATIONS, max_size=3),
        "predictions": st.lists(st.fixed_dictionaries({"result": st.just([])}), max_size=1),
    }
)


def export(api: TestClient, project: int, **query: Any) -> Any:
    """The answer to an export."""
    answer = api.get(f"/api/projects/{project}/export", params=query)
    assert answer.status_code == 200, answer.text
    return answer


def ids(api: TestClient, project: int, **query: Any) -> list[int]:
    """The ids of the tasks that an export holds."""
    return [task["id"] for task in export(api, project, **query).json()]


def some_tasks(api: TestClient) -> tuple[int, list[int]]:
    """A project with an annotated, a plain and a skipped task."""
    project = make_project(api)
    sent = [
        {"data": {"text": "a"}, "annotations": [{"result": choice("Positive"), "ground_truth": False}]},
        {"data": {"text": "=b"}, "predictions": [{"result": []}]},
        {"data": {"text": "c"}, "annotations": [{"result": [], "was_cancelled": True}]},
    ]
    return project, imported(api, project, sent)["task_ids"]


def test_json_has_every_field_in_its_order(both: TestClient) -> None:
    """Tasks and annotations have exactly the original's fields; predictions are ids, the author is an id."""
    project, numbers = some_tasks(both)
    answer = export(both, project, download_all_tasks=True)
    first, second, third = answer.json()
    assert [list(task) for task in (first, second, third)] == [TASK_FIELDS] * 3
    assert list(first["annotations"][0]) == ANNOTATION_FIELDS
    assert ([first["id"], second["id"], third["id"]], [len(second["predictions"])]) == (numbers, [1])
    assert (first["annotations"][0]["completed_by"], first["annotations"][0]["result_count"]) == (1, 1)
    assert (third["total_annotations"], third["cancelled_annotations"], third["updated_by"]) == (0, 1, 1)


def test_the_file_has_a_name(api: TestClient) -> None:
    """Both headers carry it, and the content type says what the file is."""
    project, _ = some_tasks(api)
    for wished, media, extension in (("JSON", "application/json", "json"), ("CSV", "text/csv", "csv")):
        headers = export(api, project, export_type=wished).headers
        name = headers["filename"]
        assert re.fullmatch(rf"project-{project}-at-\d{{4}}(-\d\d){{4}}-[0-9a-f]{{8}}\.{extension}", name)
        assert headers["content-disposition"] == f'attachment; filename="{name}"'
        assert headers["content-type"].partition(";")[0] == media


def test_only_annotated_tasks_unless_all_are_wanted(both: TestClient) -> None:
    """By default skipped tasks are in and plain ones out; `only_annotated` leaves out the skipped ones as well."""
    project, (first, second, third) = some_tasks(both)
    assert ids(both, project) == [first, third]
    assert ids(both, project, download_all_tasks=True, download_resources=True) == [first, second, third]
    assert ids(both, project, download_all_tasks=True, only_annotated=True) == [first]


@pytest.mark.parametrize("name", ["ids[]", "ids"])
def test_both_spellings_of_ids_are_honoured(api: TestClient, name: str) -> None:
    """Tasks are picked by id, in the order of the project; unknown ids and those of other projects give nothing."""
    project, (first, second, third) = some_tasks(api)
    _, others = some_tasks(api)
    wished = {name: [third, second, others[0], 10**6]}
    assert ids(api, project, download_all_tasks=True, **wished) == [second, third]
    assert ids(api, project, **wished) == [third]
    assert ids(api, project, **{name: f"{first},{second}"}) == [first]


def test_the_next_export_goes_on_where_the_last_began(both: TestClient) -> None:
    """With the position of the last answer only what was added, changed or annotated since comes again."""
    project, (_, second, _) = some_tasks(both)

    def behind() -> tuple[str, list[int]]:
        since = export(both, project).headers["headrace-position"]
        return since, ids(both, project, since=since, download_all_tasks=True)

    since, _ = eventually(behind, lambda seen: seen[1] == [])
    ok(both.post(f"/api/tasks/{second}/annotations/", json={"result": choice("Negative")}))
    new = imported(both, project, [{"text": "new"}])["task_ids"]
    assert ids(both, project, since=since) == [second]
    assert ids(both, project, since=since, download_all_tasks=True) == [second, *new]
    other = make_project(both)
    errors_of(both.get(f"/api/projects/{other}/export", params={"since": since}))


def test_a_table_is_safe_to_open_unless_raw(api: TestClient) -> None:
    """A cell that would start a formula gets an apostrophe in CSV and TSV, never in JSON."""
    project, _ = some_tasks(api)
    wished = {"download_all_tasks": True, "export_type": "CSV"}
    tables = [export(api, project, **wished).text, export(api, project, **wished, raw=True).text]
    assert ["'=b" in text for text in tables] == [True, False]
    assert export(api, project, download_all_tasks=True).json()[1]["data"] == {"text": "=b"}
    assert export(api, project, export_type="TSV").text.startswith('"annotation_id"\t"annotator"')


def test_the_other_spelling_and_the_other_formats(api: TestClient) -> None:
    """`exportType` works too; JSON_MIN and CONLL2003 show what was answered."""
    project, (first, *_) = some_tasks(api)
    small = export(api, project, exportType="JSON_MIN").json()
    assert [(item["id"], item["sentiment"], item["annotator"]) for item in small] == [(first, "Positive", 1)]
    assert export(api, project, exportType="CONLL2003").text == "-DOCSTART- -X- O\na -X- _ O\n\n"


def test_an_empty_project_gives_empty_files(api: TestClient) -> None:
    """An array without members, a header without lines."""
    project = make_project(api)
    assert export(api, project).json() == []
    lines = export(api, project, export_type="CSV").text.splitlines()
    assert lines == ['"annotation_id","annotator","created_at","id","lead_time","updated_at"']


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("export_type=NOPE", 400),
        ("export_type=COCO", 501),
        ("download_all_tasks=maybe", 400),
        ("download_resources=maybe", 400),
        ("raw=2", 400),
        ("ids=x", 400),
        ("ids[]=99999999999999999999", 400),
        ("since=abc", 400),
    ],
)
def test_a_bad_query_is_refused(shared_api: TestClient, query: str, status: int) -> None:
    """Unknown formats and malformed parameters meet an error of the usual shape before anything is sent."""
    project, _ = some_tasks(shared_api)
    errors_of(shared_api.get(f"/api/projects/{project}/export?{query}"), status)


def test_only_who_may_export_exports(api: TestClient, person: Callable[..., TestClient]) -> None:
    """The right is asked for by name, a foreign project looks absent, and an export is in the log."""
    project, _ = some_tasks(api)
    allowed = person("developer", default=["developer"])
    refused = person("annotator", default=["annotator"]).get(f"/api/projects/{project}/export")
    assert (refused.status_code, "datasets-export" in refused.json()["detail"]) == (403, True)
    assert person("nobody").get(f"/api/projects/{project}/export").status_code == 404
    assert len(export(allowed, project).json()) == 2
    assert api.get("/api/projects/999/export").status_code == 404


def test_many_pages_come_whole_and_in_order(api: TestClient) -> None:
    """More tasks than a page holds are exported once each, also when some were deleted in between."""
    project = make_project(api)
    numbers = imported(api, project, [{"text": f"t{number}"} for number in range(2 * MAX_PAGE)])["task_ids"]
    for number in numbers[100:110]:
        assert api.delete(f"/api/tasks/{number}/").status_code == 204
    assert ids(api, project, download_all_tasks=True) == numbers[:100] + numbers[110:]
    table = export(api, project, download_all_tasks=True, export_type="CSV").text
    assert len(list(csv.reader(io.StringIO(table, "")))) == 2 * MAX_PAGE - 10 + 1


def test_labellings_of_the_other_api_are_exported(both: TestClient) -> None:
    """A judgement made through the other API leaves as the regions that say the same, a cleared one not at all."""
    project, (_, second, _) = some_tasks(both)
    source = ok(both.get(f"/api/v1/datasets/id:{project:016x}"))["dataset"]["source_ids"][0]
    path = f"/api/_private/datasets/id:{project:016x}/labellings/{source}.{second:016x}"
    label = {"name": "Negative", "sentiment": "positive"}
    ok(both.post(path, json={"labelling": [{"group": "default", "assigned": [label]}]}))
    found = {task["id"]: task for task in export(both, project).json()}
    assert found[second]["annotations"][0]["result"] == choice("Negative")
    ok(both.post(path, json={"labelling": [{"group": "default", "assigned": []}]}))
    assert second not in ids(both, project)


def test_the_formats_are_listed(api: TestClient) -> None:
    """All seventeen names, those that say nothing here disabled."""
    project = make_project(api)
    formats = ok(api.get(f"/api/projects/{project}/export/formats"))
    enabled = [item["name"] for item in formats if not item.get("disabled")]
    assert (len(formats), enabled) == (17, ["JSON", "JSON_MIN", "CSV", "TSV"])
    assert {"name", "title", "description", "link"} <= set(formats[0])
    labels = CONFIG.replace("</View>", '<Labels name="n" toName="text"><Label value="P"/></Labels></View>')
    listed = ok(api.get(f"/api/projects/{make_project(api, label_config=labels)}/export/formats"))
    assert "disabled" not in next(item for item in listed if item["name"] == "CONLL2003")


def state(task: dict[str, Any]) -> dict[str, Any]:
    """What must survive the way out and in: all but ids, times and what follows from them."""
    kept = ("completed_by", "result", "was_cancelled", "ground_truth", "lead_time", "unique_id", "result_count")
    return {
        "data": task["data"],
        "meta": task["meta"],
        "annotations": [{name: item[name] for name in kept} for item in task["annotations"]],
        "counts": [task[name] for name in ("inner_id", "total_annotations", "cancelled_annotations")],
    }


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(TASKS, min_size=1, max_size=4))
def test_what_leaves_comes_in_again(api: TestClient, sent: list[dict[str, Any]]) -> None:
    """An export imported elsewhere is the same tasks and annotations, and exports the same once more."""
    first, second = make_project(api), make_project(api)
    assert imported(api, first, sent)["error"] is None
    once = export(api, first, download_all_tasks=True).json()
    assert [task["data"] for task in once] == [task["data"] for task in sent]
    assert imported(api, second, once)["error"] is None
    again = export(api, second, download_all_tasks=True).json()
    assert [state(task) for task in again] == [state(task) for task in once]
    assert json.dumps(again[0]["data"]) == json.dumps(sent[0]["data"])
