"""Export formats: what rows become as text, cell by cell and word by word."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core import label_config, task_export
from headrace.core.annotations import Annotation, Assigned, Judgement
from headrace.core.errors import Invalid, NotBuilt
from headrace.core.records import Record
from headrace.core.task_export import Detail, ExportFormat, TaskRow
from headrace.core.task_predictions import TaskPrediction
from headrace.core.users import User

CONFIG = label_config.parse(
    '<View><Text name="text" value="$text"/><Labels name="ner" toName="text"><Label value="PER"/></Labels>'
    '<Choices name="mood" toName="text"><Choice value="Good"/></Choices></View>'
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()


def region(name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """One region of a result."""
    return {"from_name": name, "to_name": "text", "type": kind, "value": value}


def task(data: Any, *results: Any, cancelled: bool = False) -> dict[str, Any]:
    """A decoded task with one annotation for each result."""
    annotations = [
        {
            "id": 10 + number,
            "completed_by": 1,
            "result": result,
            "was_cancelled": cancelled,
            "created_at": "c",
            "updated_at": "u",
            "lead_time": 2.0,
        }
        for number, result in enumerate(results)
    ]
    return {"id": 7, "data": data, "annotations": annotations}


def file_of(format: ExportFormat, *tasks: Any, raw: bool = False) -> str:
    """A whole file of these tasks, one to a page."""
    layout = task_export.layout(CONFIG, format, raw=raw)
    return "".join(task_export.texts(layout, lambda: ([item] for item in tasks)))


def minimal(*results: Any, data: Any = None) -> list[dict[str, Any]]:
    """The members of a JSON_MIN file of one task."""
    found: list[dict[str, Any]] = json.loads(file_of(ExportFormat.JSON_MIN, task(data or {"text": "a"}, *results)))
    return found


@pytest.mark.parametrize(
    ("regions", "shown"),
    [
        ([region("x", "choices", {"choices": ["A"]})], "A"),
        ([region("x", "choices", {"choices": ["A", "B"]})], {"choices": ["A", "B"]}),
        ([region("x", "textarea", {"text": ["hello"]})], "hello"),
        ([region("x", "textarea", {"text": ["x", "y"]})], {"text": ["x", "y"]}),
        ([region("x", "choices", {"choices": ["A"]}), region("x", "choices", {"choices": ["B"]})], ["A", "B"]),
        ([region("x", "choices", {"choices": ["A"], "start": 1})], {"choices": ["A"], "start": 1}),
        ([region("x", "rating", {"rating": 4})], [{"rating": 4}]),
        ([region("x", "number", {"number": 7})], [{"number": 7}]),
        ([region("x", "labels", {"start": 0, "end": 1, "labels": ["P"]})], [{"start": 0, "end": 1, "labels": ["P"]}]),
    ],
)
def test_each_control_is_one_key(regions: list[Any], shown: object) -> None:
    """Single choices and texts stand alone, several in their object, every other answer in a list."""
    assert minimal(regions)[0]["x"] == shown


def test_the_small_form_has_one_object_per_annotation() -> None:
    """Data first, then the task's id, answers, and who and when; a result that is null answers nothing."""
    first, second = minimal([region("mood", "choices", {"choices": ["Good"]})], None)
    assert list(first) == [
        "text",
        "id",
        "mood",
        "annotator",
        "annotation_id",
        "created_at",
        "updated_at",
        "lead_time",
    ]
    assert (second["annotation_id"], "mood" in second) == (11, False)


def test_skipped_annotations_are_left_out_and_unannotated_tasks_stand_empty() -> None:
    """A task that was only skipped gives no row, one that nobody annotated a row without answers."""
    assert file_of(ExportFormat.JSON_MIN, task({"text": "a"}, [], cancelled=True)) == "[]"
    assert json.loads(file_of(ExportFormat.JSON_MIN, task({"text": "a"})))[0]["annotation_id"] is None


def test_a_table_has_all_columns_in_order() -> None:
    """Columns are the union of all tasks', sorted; strings are quoted, numbers bare, gaps empty, lines end in CRLF."""
    text = file_of(
        ExportFormat.CSV,
        task({"text": "t0", "n": 1, "o": {"a": [1]}}, [region("mood", "choices", {"choices": ["Good"]})]),
        task({"text": 'say "hi"', "z": None}),
    )
    assert text == (
        '"annotation_id","annotator","created_at","id","lead_time","mood","n","o","text","updated_at","z"\r\n'
        '10,"1","c",7,2.0,"Good",1,"{""a"":[1]}","t0","u",""\r\n'
        '"","","",7,"","","","","say ""hi""","",""\r\n'
    )


@pytest.mark.parametrize("start", task_export.FORMULA_STARTS)
def test_cells_that_would_start_a_formula_are_made_harmless(start: str) -> None:
    """A leading apostrophe stands before them, in the header too, unless the caller asks for raw cells."""
    dangerous = f"{start}1+1"
    for format, delimiter in ((ExportFormat.CSV, ","), (ExportFormat.TSV, "\t")):
        lines = list(csv.reader(io.StringIO(file_of(format, task({dangerous: dangerous})), ""), delimiter=delimiter))
        assert [f"'{dangerous}" in line for line in lines] == [True, True]
        raw = file_of(format, task({dangerous: dangerous}), raw=True)
        assert [dangerous in line for line in csv.reader(io.StringIO(raw, ""), delimiter=delimiter)] == [True, True]


@given(st.lists(st.dictionaries(st.text(min_size=1), SCALARS), min_size=1))
def test_a_raw_table_reads_back(rows: list[dict[str, Any]]) -> None:
    """Whatever stands in the data, every line has as many cells as the header, and texts are what they were."""
    text = file_of(ExportFormat.CSV, *(task({"text": "a", **row, "id": 1}) for row in rows), raw=True)
    header, *lines = csv.reader(io.StringIO(text, ""))
    assert header == sorted(header)
    for line, row in zip(lines, rows, strict=True):
        found = dict(zip(header, line, strict=True))
        names = [name for name in row if name not in (*task_export.ANNOTATION_COLUMNS, "id")]
        assert {name: found[name] for name in names} == {
            name: "" if row[name] is None else str(row[name]) for name in names
        }


def test_words_are_tagged_with_the_spans_that_touch_them() -> None:
    """The first word of a span begins it, the others continue it, and two spans side by side both begin."""
    spans = [
        region("ner", "labels", {"start": 0, "end": 12, "labels": ["PER"]}),
        region("ner", "labels", {"start": 13, "end": 17, "labels": ["PER"]}),
    ]
    text = file_of(ExportFormat.CONLL2003, task({"text": "Ada Lovelace Acme, here"}, spans), task({"text": "two"}, []))
    assert text == (
        "-DOCSTART- -X- O\nAda -X- _ B-PER\nLovelace -X- _ I-PER\nAcme, -X- _ B-PER\nhere -X- _ O\n\ntwo -X- _ O\n\n"
    )


def test_formats_that_do_not_exist_are_told_apart() -> None:
    """What only Label Studio has is not built; what nobody has is invalid; CONLL2003 needs a text."""
    with pytest.raises(NotBuilt):
        task_export.export_format("COCO")
    with pytest.raises(Invalid):
        task_export.export_format("json")
    image = label_config.parse('<View><Image name="i" value="$i"/></View>')
    with pytest.raises(Invalid):
        task_export.layout(image, ExportFormat.CONLL2003)
    assert (task_export.fits(image, ExportFormat.CONLL2003), task_export.fits(CONFIG, ExportFormat.CONLL2003)) == (
        False,
        True,
    )


def row(judgement: Judgement, *, body: str = '{ "text" : "a" }') -> TaskRow:
    """A task with one annotation and one prediction."""
    record = Record(7, 1, None, "task", body, None, 3, 0, 0, 0, 1, 1, 0, 1)
    said = Annotation(
        id=5,
        dataset_id=2,
        record_id=7,
        author_id=4,
        judgement=judgement,
        current=True,
        created_at=0,
        updated_at=1_000_000,
    )
    pushed = TaskPrediction(id=9, record_id=7, model_version="m", score=0.5, created_at=0, updated_at=0, said="[ ]")
    return TaskRow(record, body, [said], [said], [pushed])


def test_the_whole_of_a_task_keeps_what_was_sent() -> None:
    """Data and result are spliced from the characters that were sent, and the text is JSON all the same."""
    text = task_export.task_json(CONFIG, 2, row(Judgement(result="[ ]", unique_id='"x"')), Detail())
    assert '"data":{ "text" : "a" }' in text
    assert '"result":[ ]' in text
    found = json.loads(text)
    assert (found["predictions"], found["total_predictions"], found["updated_by"]) == ([9], 1, 4)
    assert (found["updated_at"], found["annotations"][0]["unique_id"]) == ("1970-01-01T00:00:01.000000Z", '"x"')


def test_a_labelling_of_another_api_is_shown_as_regions() -> None:
    """Labels without a result become the regions that say the same."""
    text = task_export.task_json(CONFIG, 2, row(Judgement(labels=(Assigned("Good"),))), Detail())
    shown = json.loads(text)["annotations"][0]
    assert (shown["result"], shown["result_count"]) == ([region("mood", "choices", {"choices": ["Good"]})], 1)


def test_predictions_and_authors_are_written_in_full_when_asked_for() -> None:
    """The detail of a snapshot replaces ids by objects."""
    author = User(id=4, username="a", email="a@example.org", global_permissions=(), grants={}, created_at=0)
    detail = Detail(predictions=True, authors={4: author})
    found = json.loads(task_export.task_json(CONFIG, 2, row(Judgement(result="[]")), detail))
    assert found["annotations"][0]["completed_by"]["email"] == "a@example.org"
    assert (found["predictions"][0]["result"], found["predictions"][0]["score"]) == ([], 0.5)
