"""Importing into datasets, exporting from them, and following events."""

import csv
import io
import json
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import pytest
from client_world import CONFIG, Time, connect, fed, scripted, server

from headrace.app import Application
from headrace.client import Client, Dataset, HeadraceError, ImportFailed, MissingExtra, Rejected
from headrace.client.exports import row_of
from headrace.client.progress import Bar

__all__ = ["server"]

REGION = {"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": ["good"]}}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """True."""
        return True


def dataset_of(client: Client) -> Dataset[Client]:
    """An empty dataset."""
    return client.create_dataset("Mails", label_config=CONFIG)


def texts(dataset: Dataset[Client]) -> list[str]:
    """The dataset's texts."""
    return [row["text"] for row in dataset.rows()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", "text,city\na,Bern\nb,Basel\n"),
        ("x.tsv", "text\tcity\na\tBern\nb\tBasel\n"),
        ("x.json", '[{"text": "a"}, {"data": {"text": "b"}}]'),
        ("x.jsonl", '{"text": "a"}\n{"text": "b"}\n'),
        ("x.txt", "a\nb\n"),
    ],
)
def test_a_file_becomes_records(server: Application, tmp_path: Path, name: str, content: str) -> None:
    """Every format that Label Studio imports, and JSONL; the receipt counts and lists the tasks in order."""
    client, _ = connect(server)
    dataset = dataset_of(client)
    (tmp_path / name).write_text(content)
    receipt = dataset.import_file(tmp_path / name)
    assert (receipt.created, receipt.updated, receipt.unchanged, receipt.rejected) == (2, 0, 0, ())
    assert list(receipt.task_ids) == sorted(receipt.task_ids)
    assert texts(dataset) == ["a", "b"]


def test_a_failed_import_tells_the_item(server: Application, tmp_path: Path) -> None:
    """One bad item fails the whole import, and its number and reason are in the error."""
    client, _ = connect(server)
    dataset = dataset_of(client)
    with pytest.raises(ImportFailed, match=r"item 1.*text") as caught:
        dataset.import_records([{"text": "a"}, {"words": "b"}])
    assert caught.value.import_id > 0
    assert texts(dataset) == []
    (tmp_path / "x.xlsx").write_text("")
    with pytest.raises(HeadraceError, match=r"x\.xlsx.*\.jsonl"):
        dataset.import_file(tmp_path / "x.xlsx")


def test_bad_rows_can_be_left_out(server: Application) -> None:
    """With reject_rows the receipt names what was not stored and why."""
    client, _ = connect(server)
    dataset = dataset_of(client)
    receipt = dataset.import_records([{"text": "a"}, {"words": "b"}, {"text": "c"}], reject_rows=True)
    assert (receipt.created, [item.row for item in receipt.rejected]) == (2, [1])
    assert isinstance(receipt.rejected[0], Rejected)
    assert "text" in receipt.rejected[0].reason
    assert texts(dataset) == ["a", "c"]


def test_a_key_of_ones_own_makes_an_upsert(server: Application) -> None:
    """A second import with the same keys updates what changed and says what did not."""
    client, _ = connect(server)
    dataset = dataset_of(client)
    first = dataset.import_records([{"key": "1", "text": "a"}, {"key": "2", "text": "b"}], external_id="key")
    again = dataset.import_records(
        ({"key": key, "text": text} for key, text in [("1", "a"), ("2", "B"), ("3", "c")]), external_id="key"
    )
    assert (again.created, again.updated, again.unchanged) == (1, 1, 1)
    assert again.task_ids[:2] == first.task_ids
    assert sorted(texts(dataset)) == ["B", "a", "c"]


def test_an_import_that_takes_long_is_polled(tmp_path: Path) -> None:
    """The status is asked for with growing waits until it is final."""
    states: list[dict[str, Any]] = [{"status": "in_progress", "progress": {"done": n, "total": 9}} for n in range(12)]
    counts = dict.fromkeys(("failed_task_count", "updated_task_count", "unchanged_task_count"), 0)
    last = {**states[0], "id": 4, "status": "completed", "created_task_count": 9, "task_ids": [], **counts}
    answers = [httpx2.Response(200, json=value) for value in ({"import": 4}, *states, last)]
    client, sent, time = scripted(answers)
    (tmp_path / "x.csv").write_text("text\na\n")
    assert client.dataset(7).import_file(tmp_path / "x.csv").created == 9
    assert len(sent) == 14
    assert time.slept[0] == 0.1
    assert time.slept == sorted(time.slept)
    assert time.slept[-1] == 2.0


def test_a_file_is_sent_whole_again(tmp_path: Path) -> None:
    """A repeated upload begins at the file's first byte, under the same key."""
    client, sent, _ = scripted([httpx2.Response(503), httpx2.Response(400, json={"message": "no"})])
    (tmp_path / "x.csv").write_bytes(b"text\n" + b"a\n" * 100_000)
    bodies: list[int] = []
    client._http.event_hooks = {"request": [lambda request: bodies.append(len(request.read()))]}
    with pytest.raises(HeadraceError):
        client.dataset(7).import_file(tmp_path / "x.csv")
    assert len(set(bodies)) == 1
    assert bodies[0] > 200_000
    assert sent[0].headers["idempotency-key"] == sent[1].headers["idempotency-key"]


def test_rows_are_flat(server: Application) -> None:
    """A row has the fixed columns, the properties under their own names, labels and predictions."""
    client, _ = connect(server)
    dataset = dataset_of(client)
    task = {"data": {"text": "a", "city": "Bern", "size": 3}, "annotations": [{"result": [REGION]}]}
    dataset.import_records([task])
    (row,) = dataset.rows()
    assert {name: row[name] for name in ("text", "city", "size", "labels")} == {
        "text": "a",
        "city": "Bern",
        "size": 3,
        "labels": ["good"],
    }
    assert row["predictions"] is None


def test_names_that_clash_keep_their_type() -> None:
    """A property called like a column, and a number called like a text, keep their whole names."""
    comment = {"id": "1", "uid": "0.1", "timestamp": "t", "created_at": "c", "messages": []}
    properties = {"string:text": "x", "string:a": "y", "number:a": 1}
    predicted = {"labels": [{"name": "A > B", "probability": 0.5}]}
    row = row_of(
        {
            "comment": {**comment, "user_properties": properties},
            "annotations": {"labels": {"assigned": []}},
            "predictions": predicted,
        }
    )
    assert (row["string:text"], row["text"], row["a"], row["number:a"]) == ("x", "", "y", 1)
    assert row["predictions"] == {"A > B": 0.5}


def test_rows_are_read_page_by_page(server: Application) -> None:
    """The second page is asked for when the first is used up."""
    client, through = connect(server)
    dataset = fed(client, *(str(number) for number in range(300)))
    with closing(dataset.rows()) as rows:
        assert len(list(islice(rows, 256))) == 256
        assert through.count("POST", "/export") == 1
        assert len(list(rows)) == 44


def test_exports_hold_every_row(server: Application, tmp_path: Path) -> None:
    """JSONL is exact; CSV has a column for every property of any row, and runs no formula."""
    client, _ = connect(server)
    dataset = dataset_of(client)
    dataset.import_records([{"text": "=1+1", "city": "Bern"}, {"text": "b", "size": 3}])
    assert dataset.export(tmp_path / "x.jsonl") == 2
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(dataset.rows())
    dataset.export(tmp_path / "x.csv")
    rows = list(csv.DictReader((tmp_path / "x.csv").read_text().splitlines()))
    assert [(row["text"], row["city"], row["size"]) for row in rows] == [("'=1+1", "Bern", ""), ("b", "", "3")]
    dataset.export(tmp_path / "x.csv", raw=True)
    assert "'=1+1" not in (tmp_path / "x.csv").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.jsonl"]


def test_an_unknown_format_is_refused_before_anything_is_read() -> None:
    """The name of the file must tell the format."""
    client, sent, _ = scripted([])
    with pytest.raises(HeadraceError, match=r"x\.xlsx.*\.parquet"):
        client.dataset("p/d").export("x.xlsx")
    assert sent == []


@pytest.mark.parametrize(("extra", "module"), [("pandas", "pandas"), ("parquet", "pyarrow")])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, extra: str, module: str) -> None:
    """Without the optional package the error says what to install, before anything is read."""
    monkeypatch.setitem(sys.modules, module, None)
    client, sent, _ = scripted([])
    dataset = client.dataset("p/d")
    with pytest.raises(MissingExtra, match=rf"pip install 'headrace\[{extra}\]'"):
        dataset.to_pandas() if extra == "pandas" else dataset.export("x.parquet")
    assert sent == []


def exported(number: int, **properties: object) -> dict[str, object]:
    """One record of an export."""
    comment = {"id": str(number), "uid": f"0.{number}", "timestamp": "t", "created_at": "c", "messages": []}
    return {"comment": {**comment, "user_properties": properties}, "annotations": {"labels": {"assigned": []}}}


def pages() -> list[httpx2.Response]:
    """Two pages of an export."""
    first = {"comments": [exported(1, **{"number:n": 1, "string:c": "Bern"})], "continuation": "x"}
    return [httpx2.Response(200, json=page) for page in (first, {"comments": [exported(2, **{"number:n": 2.5})]})]


def test_a_frame_has_every_column() -> None:
    """With pandas installed, all rows become a frame with a column for every property."""
    pytest.importorskip("pandas")
    frame = scripted(pages())[0].dataset("p/d").to_pandas()
    assert list(frame["n"]) == [1.0, 2.5]
    assert list(frame["id"]) == ["1", "2"]


def test_a_parquet_file_has_typed_columns(tmp_path: Path) -> None:
    """With pyarrow installed, numbers are numbers and labels are lists."""
    parquet = pytest.importorskip("pyarrow.parquet")
    scripted(pages())[0].dataset("p/d").export(tmp_path / "x.parquet")
    table = parquet.read_table(tmp_path / "x.parquet").to_pydict()
    assert (table["n"], table["c"], table["labels"]) == ([1.0, 2.5], ["Bern", None], [[], []])


def test_a_bar_is_for_terminals() -> None:
    """A terminal sees the line grow and end; anything else sees nothing."""
    time = Time()
    for stream, shown in ((Terminal(), True), (Terminal(), False), (io.StringIO(), True)):
        with Bar("Sending x.csv", shown=shown, stream=stream, clock=time.clock) as bar:
            bar.move(1, 4)
            bar.move(2, 4)
            bar.move(4, 4)
        lines = stream.getvalue()
        if shown and stream.isatty():
            assert lines.count("\r") == 2
            assert lines.endswith("] 100 %\x1b[K\n")
        else:
            assert lines == ""


def test_events_go_on_behind_their_cursor(server: Application) -> None:
    """Events of a dataset come oldest first; an event's cursor leads to what came after it."""
    client, _ = connect(server)
    dataset = fed(client, "a")
    events = list(client.events(dataset=dataset.name))
    kinds = [event.kind for event in events]
    assert "import.completed" in kinds
    dataset.import_records([{"text": "b"}])
    later = list(client.events(after=events[-1].cursor, dataset=dataset.name, kinds=["import"]))
    assert {event.kind for event in later} == {"import.created", "import.completed"}
    assert all(event.at.tzinfo is not None for event in later)


def test_following_events_asks_again() -> None:
    """With `wait` an empty page is followed by the next question, from the cursor that it gave."""
    event = {"id": 1, "cursor": "c2", "at": "2026-01-01T00:00:00Z", "kind": "project.created"}
    empty = httpx2.Response(200, json={"events": [], "cursor": "c1", "at_end": True})
    client, sent, _ = scripted([empty, httpx2.Response(200, json={"events": [event], "cursor": "c2", "at_end": True})])
    with closing(client.events(after="now", wait=30)) as events:
        assert next(events).kind == "project.created"
    assert [request.url.params["after"] for request in sent] == ["now", "c1"]
    assert sent[0].extensions["timeout"]["read"] == 90.0
