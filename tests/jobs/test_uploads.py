"""Parsing uploads: what each format becomes, what is refused, and reading the rows back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import Invalid
from headrace.jobs import uploads
from headrace.jobs.uploads import ItemProblem, ParsedUpload, Row, UploadSpec, parse, read_rows

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
NO_CONFIG = "<View></View>"
NO_TASKS = "load_tasks: No tasks added"
REGION = {"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": ["Positive"]}}

Upload = Callable[..., tuple[ParsedUpload, list[dict[str, Any]]]]


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    """Parse files (name to bytes), or one JSON body, and give the outcome and the decoded rows."""

    def run(
        content: bytes | dict[str, bytes], *, config: str = CONFIG, fields: tuple[str, ...] = ()
    ) -> tuple[ParsedUpload, list[dict[str, Any]]]:
        files = content if isinstance(content, dict) else {"body": content}
        paths = [tmp_path / f"{number}.part" for number in range(len(files))]
        for path, text in zip(paths, files.values(), strict=True):
            path.write_bytes(text)
        kind, names = ("files", tuple(files)) if isinstance(content, dict) else ("json", ())
        spec = UploadSpec(kind=kind, file_names=names, preannotated_from_fields=fields)
        parsed = parse(spec, paths, tmp_path / "out", config_xml=config)
        lines = (tmp_path / "out").read_bytes().splitlines() if parsed.error is None else []
        return parsed, [json.loads(line) for line in lines]

    return run


def data_of(rows: list[dict[str, Any]]) -> list[Any]:
    """The data of rows."""
    return [row["data"] for row in rows]


def test_data_is_kept_as_sent(upload: Upload, tmp_path: Path) -> None:
    """The bytes of every task's data are stored as they came: spacing, number spelling, escapes, order of keys."""
    bare, inner = rb'{"text" : "caf\u00e9", "n":1.50, "big":9007199254740993}', rb'{ "z":1e2,"text":"x"}'
    parsed, _ = upload(b"[" + bare + b', {"data":' + inner + b"}]")
    assert parsed.task_count == 2
    page = read_rows(tmp_path / "out")
    assert [bytes(row.data) for row in page.rows] == [bare, inner]


def test_pretty_printed_json_is_one_line_per_task(upload: Upload) -> None:
    """Line breaks between tokens do not break the rows apart, those inside strings stay."""
    items = [{"text": "one\ntwo", "list": [1, 2]}, {"data": {"text": "three"}}]
    _, rows = upload(json.dumps(items, indent=2).encode())
    assert data_of(rows) == [items[0], {"text": "three"}]


def test_envelope_parts_are_kept_and_counted(upload: Upload) -> None:
    """Meta, annotations, predictions and drafts travel along; empty ones and foreign keys are left out."""
    full = {
        "id": 7,
        "data": {"text": "full"},
        "meta": {"src": "x"},
        "annotations": [{"result": [REGION], "completed_by": {"email": "a@example.org"}}, {"result": []}],
        "predictions": [{"result": [REGION], "score": 0.5}],
        "drafts": [{"result": []}],
    }
    bare = {"data": {"text": "bare"}, "annotations": [], "predictions": None, "meta": None}
    parsed, rows = upload(json.dumps([bare, full]).encode())
    assert (parsed.task_count, parsed.annotation_count, parsed.prediction_count) == (2, 2, 1)
    assert parsed.annotators == {"a@example.org": 1}
    assert rows == [{"data": {"text": "bare"}}, {key: value for key, value in full.items() if key != "id"}]


def test_short_predictions_are_written_out(upload: Upload) -> None:
    """A prediction whose result is a bare value is stored as the region it means."""
    _, rows = upload(b'[{"data":{"text":"x"},"predictions":[{"result":"Positive","score":0.25}]}]')
    assert rows[0]["predictions"] == [{"result": [REGION], "score": 0.25}]


def test_preannotated_fields_become_predictions(upload: Upload) -> None:
    """A named field becomes a prediction and stays in the data; an item without it gets none."""
    items = b'[{"text":"a","sentiment":"Positive"},{"text":"b"},{"text":"c","sentiment":""}]'
    parsed, rows = upload(items, fields=("sentiment",))
    assert parsed.prediction_count == 1
    assert rows[0]["predictions"] == [{"result": [REGION], "score": 1.0, "model_version": "preannotated"}]
    assert rows[0]["data"]["sentiment"] == "Positive"
    assert "predictions" not in rows[1]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b'text,id\nhello,1\n"two, words",2\n', [{"text": "hello", "id": 1}, {"text": "two, words", "id": 2}]),
        ("a.csv", b"text;id\na,b;1.5\n", [{"text": "a,b", "id": 1.5}]),
        (
            "a.csv",
            b"\xef\xbb\xbftext,n\r\na,\r\n\r\nb,2\r\nc\r\n",
            [{"text": "a", "n": ""}, {"text": "b", "n": 2}, {"text": "c", "n": ""}],
        ),
        (
            "a.csv",
            b'text,n\n"line\nbreak",x\n"q""q",1\n',
            [{"text": "line\nbreak", "n": "x"}, {"text": 'q"q', "n": "1"}],
        ),
        ("a.csv", b"text,text,\na,b,c\n", [{"text": "a", "text.1": "b", "Unnamed: 2": "c"}]),
        ("A.TSV", b"text\tid\na,b\t-3\n", [{"text": "a,b", "id": -3}]),
        ("a.txt", b"one\r\n\ntwo", [{"text": "one"}, {"text": ""}, {"text": "two"}]),
        ("a.html", b"<p>\n</p>\n", [{"text": "<p>\n</p>\n"}]),
        ("a.htm", b"", [{"text": ""}]),
        ("a.xml", b"<a/>", [{"text": "<a/>"}]),
        (
            "a.json",
            b'\xef\xbb\xbf [{"text":"a"},{"data":{"text":"b"}},{"data":{},"text":"c"}]',
            [{"text": "a"}, {"text": "b"}, {"data": {}, "text": "c"}],
        ),
        ("a.json", b'{"text":"a"}', [{"text": "a"}]),
        ("a.jsonl", b'{"text":"a"}\n\n {"data":{"text":"b"}}\r\n', [{"text": "a"}, {"text": "b"}]),
    ],
)
def test_files_become_tasks(upload: Upload, name: str, content: bytes, expected: list[object]) -> None:
    """Each format is read as Label Studio reads it, and `$undefined$` becomes the configuration's data key."""
    parsed, rows = upload({name: content})
    assert parsed.error is None
    assert data_of(rows) == expected
    assert parsed.task_count == len(expected)


@pytest.mark.parametrize(
    ("cells", "typed"),
    [
        (["1", "-2"], [1, -2]),
        (["1", "", "2.50"], [1, "", 2.5]),
        (["1", "x"], ["1", "x"]),
        (["007", "1"], ["007", "1"]),
        (["9223372036854775808"], ["9223372036854775808"]),
        (["1e999"], ["1e999"]),
        (["NaN", "1"], ["NaN", "1"]),
        (["True"], ["True"]),
    ],
)
def test_only_columns_of_numbers_are_typed(upload: Upload, cells: list[str], typed: list[object]) -> None:
    """A column holds numbers only if all its filled cells are numbers that read back equal."""
    _, rows = upload({"a.csv": "\n".join(["text,n", *(f"t,{cell}" for cell in cells)]).encode()})
    assert [row["data"]["n"] for row in rows] == typed


def test_formats_and_columns_are_reported(upload: Upload) -> None:
    """The receipt names the formats, the shared data keys in order, and whether a file lists tasks by line."""
    parsed, rows = upload({"a.csv": b"text,id\na,1\n", "b.json": b'[{"text":"b"}]', "c.csv": b"text\nc\n"})
    assert parsed.found_formats == {".csv": 2, ".json": 1}
    assert parsed.data_columns == ("text",)
    assert parsed.could_be_tasks_list
    assert [row.get("file", 0) for row in rows] == [0, 1, 2]


def test_undefined_stays_without_config(upload: Upload) -> None:
    """Before a configuration names a data key, a line of text is kept under `$undefined$`."""
    parsed, rows = upload({"a.txt": b"one\n"}, config=NO_CONFIG)
    assert parsed.data_columns == ("$undefined$",)
    assert data_of(rows) == [{"$undefined$": "one"}]


def test_undefined_is_replaced_in_place(upload: Upload) -> None:
    """`$undefined$` in JSON takes the configured name and keeps its place and the bytes of its neighbours."""
    _, rows = upload(b'[{"a":1.50,"$undefined$":"x"},{"$undefined$":"y","text":"z"}]')
    assert list(rows[0]["data"].items()) == [("a", 1.5), ("text", "x")]
    assert rows[1]["data"] == {"$undefined$": "y", "text": "z"}


@pytest.mark.parametrize(
    ("content", "fatal"),
    [
        (b"[]", NO_TASKS),
        (b'"hello"', "load_tasks: No data found in DATA or in FILES"),
        (b"null", "load_tasks: No data found in DATA or in FILES"),
        ({"a.csv": b"text,id\n"}, NO_TASKS),
        ({"a.csv": b""}, "Failed to parse input file a.csv: No columns to parse from file"),
        ({"a.json": b"3"}, "Failed to parse input file a.json: expected an array of tasks or one task"),
        ({"a.csv": b"text\na,b\n"}, "Failed to parse input file a.csv: Expected 1 fields in row 2, saw 2"),
        ({"a.csv": b'text\n"a\nb\n'}, "Failed to parse input file a.csv: the file ends inside a quoted cell"),
        ({"a.txt": b"caf\xe9\n"}, "Failed to parse input file a.txt: the text is not UTF-8"),
        ({"a.csv": b"text\ncaf\xe9\n"}, "Failed to parse input file a.csv: the text is not UTF-8"),
        ({"a.html": b"a\0b"}, "Failed to parse input file a.html: the text contains a NUL character"),
        ({"a.exe": b"x"}, ".exe extension is not supported"),
        ({"noname": b"x"}, " extension is not supported"),
    ],
)
def test_unreadable_uploads_are_refused_whole(upload: Upload, content: Any, fatal: str) -> None:
    """An upload without tasks, or one that is not of its format, is refused with one text that names the file."""
    parsed, _ = upload(content)
    assert parsed.fatal == parsed.error == fatal
    assert parsed.task_count == 0


@pytest.mark.parametrize(
    "item",
    [
        b'{"text":"\\u0000"}',
        b'{"text":"\\ud800"}',
        b'{"text":99999999999999999999}',
        b'{"text":1e999}',
        b'{"text":NaN}',
        b'{"text":"\xff"}',
        b'{"text":' + b"[" * 101 + b"]" * 101 + b"}",
        b'{"text":',
    ],
)
def test_hostile_json_is_refused_everywhere(upload: Upload, item: bytes) -> None:
    """What the decoder refuses in a body is refused in JSON and JSONL files too, naming the file and line."""
    assert upload(b"[" + item + b"]")[0].fatal is not None
    assert str(upload({"a.json": item})[0].fatal).startswith("Failed to parse input file a.json: ")
    lines = b'{"text":"fine"}\n' + item
    assert str(upload({"a.jsonl": lines})[0].fatal).startswith("Failed to parse input file a.jsonl: line 2: ")


def test_bad_items_are_named_by_number_and_key(upload: Upload, tmp_path: Path) -> None:
    """Item numbers count over all files, the key at fault is named, and nothing is left to load."""
    parsed, _ = upload({"a.csv": b"text,k\na,1\nb,2\n", "b.json": b'[{"text":"c"},{"txt":"d"},7]'})
    assert [(problem.item, problem.key) for problem in parsed.errors] == [(3, "text"), (4, None)]
    assert parsed.errors[0].reason.startswith(
        'Error at item 3: "text" key is expected in task data [assume: item["data"]'
    )
    assert parsed.errors[1].reason.startswith("Error at item 4: Task root must be dict")
    assert parsed.task_count == 0
    assert not (tmp_path / "out").exists()


def test_empty_body_is_one_empty_item(upload: Upload) -> None:
    """A request without a body is judged as one task without data."""
    parsed, _ = upload(b"")
    assert parsed.error == (
        'Error at item 0: "text" key is expected in task data [assume: item as is = task root with values]  :: {}'
    )


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"result": [3]}, "Error at item 0: Annotation: result[0] must be dict"),
        (
            {"result": [], "completed_by": True},
            "Error at item 0: Import data contains completed_by=True which is not a valid annotator's email or ID",
        ),
    ],
)
def test_bad_annotations_are_refused(upload: Upload, annotation: object, reason: str) -> None:
    """An annotation that could not be stored, or whose author cannot be anybody, fails its item."""
    parsed, _ = upload(json.dumps({"data": {"text": "x"}, "annotations": [annotation]}).encode())
    assert str(parsed.error).startswith(reason)


def test_problems_stop_after_a_hundred(upload: Upload) -> None:
    """After 100 bad items the list ends with `...` and the rest is not looked at."""
    parsed, _ = upload(b"[" + b",".join([b"7"] * 500) + b"]")
    assert len(parsed.errors) == 101
    assert parsed.errors[-1] == ItemProblem(item=100, key=None, reason="...")


def test_files_must_share_a_key(upload: Upload) -> None:
    """Files without a common data key are refused together, naming the one that does not fit."""
    parsed, _ = upload({"a.csv": b"text\na\n", "b.csv": b"body\nb\n"})
    assert str(parsed.fatal).startswith("You're trying to import inconsistent data: b.csv")


@pytest.mark.parametrize(
    ("member", "reason"),
    [(b"1", "Error at item 0: Task root must be dict"), (b"{}", "Maximum task number is 1000000")],
)
def test_crowded_arrays_are_refused_early(upload: Upload, member: bytes, reason: str) -> None:
    """An array of more members than an import may have is refused before they cost memory."""
    parsed, _ = upload(b"[" + (member + b",") * 1_000_000 + member + b"]")
    assert str(parsed.fatal).startswith(reason)
    assert parsed.errors == ()


def test_large_cells_pass_and_larger_tasks_do_not(upload: Upload) -> None:
    """A cell of a few megabytes is fine; a task beyond the limit is refused by its number."""
    parsed, rows = upload({"a.csv": b"text\n" + b"x" * 3_000_000 + b"\n"})
    assert len(rows[0]["data"]["text"]) == 3_000_000
    parsed, _ = upload({"a.html": b"x" * (uploads.MAX_ITEM_BYTES + 1)})
    assert str(parsed.fatal).startswith("Error at item 0: a task must not be larger than")


def test_bad_config_is_the_callers_error(upload: Upload) -> None:
    """A configuration that cannot be parsed is raised, not reported as a fault of the upload."""
    with pytest.raises(Invalid):
        upload(b"[]", config="<View>")


def test_rows_are_read_in_pages_by_offset(upload: Upload, tmp_path: Path) -> None:
    """Pages follow one another by offset without gap or repetition, and end with an empty one."""
    upload(json.dumps([{"text": str(number)} for number in range(25)]).encode())
    seen: list[bytes] = []
    offset = 0
    while (page := read_rows(tmp_path / "out", offset=offset, count=10)).rows:
        seen.extend(bytes(row.data) for row in page.rows)
        offset = page.next_offset
    assert [json.loads(data)["text"] for data in seen] == [str(number) for number in range(25)]
    assert offset == (tmp_path / "out").stat().st_size


def test_pages_are_bounded_in_bytes(tmp_path: Path) -> None:
    """A page of large rows ends early, but always holds at least one."""
    line = msgspec.json.encode(Row(data=msgspec.Raw(b'"' + b"x" * uploads.PAGE_BYTES + b'"'))) + b"\n"
    (tmp_path / "out").write_bytes(line * 2)
    page = read_rows(tmp_path / "out", count=10)
    assert len(page.rows) == 1
    assert page.next_offset == len(line)


def test_same_upload_gives_same_bytes(upload: Upload, tmp_path: Path) -> None:
    """Parsing again after a restart gives the same file, so stored offsets stay valid."""
    body = b'[{"data":{"text":"a"},"predictions":[{"result":"Positive"}]},{"text":"b"}]'
    upload(body)
    first = (tmp_path / "out").read_bytes()
    upload(body)
    assert (tmp_path / "out").read_bytes() == first


@given(
    values=st.lists(
        st.dictionaries(
            st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=4),
            st.integers(-(2**63), 2**63 - 1)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
            | st.none()
            | st.lists(st.booleans(), max_size=2),
            max_size=4,
        ).filter(lambda data: "data" not in data),
        min_size=1,
        max_size=5,
    ),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_any_json_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, Any]], indent: int | None, ascii_only: bool
) -> None:
    """Whatever data is accepted reads back equal, however its JSON was written."""
    folder = tmp_path_factory.mktemp("upload")
    (folder / "in").write_bytes(json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode())
    parsed = parse(UploadSpec(kind="json"), [folder / "in"], folder / "out", config_xml=NO_CONFIG)
    assert parsed.task_count == len(values)
    assert [json.loads(bytes(row.data)) for row in read_rows(folder / "out").rows] == values
