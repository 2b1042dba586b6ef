"""A dataset as flat rows, and as files of them: JSONL, CSV, Parquet. Only a page of rows is ever in memory."""

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO, Any

from headrace.client.errors import HeadraceError, MissingExtra
from headrace.client.streams import bare

Row = dict[str, Any]

FORMATS = (".jsonl", ".csv", ".parquet")
FIXED = ("id", "uid", "timestamp", "created_at", "thread_id", "subject", "text", "labels", "predictions")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
GROUP_ROWS = 10_000


def row_of(exported: Mapping[str, Any]) -> Row:
    """One record of an export as a flat row: the fixed columns, then the user properties under their own names.

    `labels` are the assigned labels' names, `predictions` the latest model's probabilities by name (None without a
    model). A property that is called like a fixed column keeps its type: `string:text`.
    """
    comment, predicted = exported["comment"], exported.get("predictions")
    messages = comment["messages"]
    row: Row = {
        "id": comment["id"],
        "uid": comment["uid"],
        "timestamp": comment["timestamp"],
        "created_at": comment["created_at"],
        "thread_id": comment.get("thread_id"),
        "subject": (messages[0].get("subject") or {}).get("text") if messages else None,
        "text": "\n".join(message["body"]["text"] for message in messages),
        "labels": [label["name"] for label in exported["annotations"]["labels"]["assigned"]],
        "predictions": predicted and {label["name"]: label["probability"] for label in predicted["labels"]},
    }
    properties = comment.get("user_properties") or {}
    plain = bare({name: value for name, value in properties.items() if name.partition(":")[2] not in FIXED})
    clashing = {name: value for name, value in properties.items() if name.partition(":")[2] in FIXED}
    return row | plain | clashing


@dataclass(frozen=True, slots=True)
class Target:
    """A file to export to; `raw` leaves CSV cells that look like formulas as they are."""

    path: Path
    raw: bool = False

    def __post_init__(self) -> None:
        if self.path.suffix.lower() not in FORMATS:
            raise HeadraceError(f"cannot tell the format of {self.path.name!r}; use one of {', '.join(FORMATS)}")
        if self.path.suffix.lower() == ".parquet":
            extra("pyarrow", "parquet")


@dataclass
class Spool:
    """Rows waiting in a temporary file until all columns are known, with the kinds of values each column has."""

    file: IO[bytes]
    kinds: dict[str, set[type]] = field(default_factory=lambda: {name: set() for name in FIXED})
    count: int = 0

    def add(self, row: Row) -> None:
        """Put a row behind the others."""
        for name, value in row.items():
            self.kinds.setdefault(name, set()).add(type(value))
        self.file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        self.count += 1

    def rows(self) -> Iterator[Row]:
        """All rows in order."""
        self.file.seek(0)
        for line in self.file:
            yield json.loads(line)

    def save(self, target: Target) -> None:
        """Write all rows to the file that is wanted; it appears when it is whole."""
        path = target.path
        part = path.with_name(f"{path.name}.part")
        write = {".jsonl": _save_jsonl, ".csv": _save_csv, ".parquet": _save_parquet}[path.suffix.lower()]
        try:
            write(self, part, target.raw)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def _save_jsonl(spool: Spool, path: Path, raw: bool) -> None:
    with path.open("wb") as file:
        spool.file.seek(0)
        while piece := spool.file.read(1024 * 1024):
            file.write(piece)


def _save_csv(spool: Spool, path: Path, raw: bool) -> None:
    columns = list(spool.kinds)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([_cell(name, raw) for name in columns])
        writer.writerows([_cell(row.get(name), raw) for name in columns] for row in spool.rows())


def _cell(value: object, raw: bool) -> object:
    """A value as a cell: lists and objects as JSON text, and no text that a spreadsheet would run as a formula."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and not raw and value.startswith(FORMULA):
        return f"'{value}"
    return value


def _save_parquet(spool: Spool, path: Path, raw: bool) -> None:
    arrow, parquet = extra("pyarrow", "parquet"), extra("pyarrow.parquet", "parquet")
    text = {name: _is_text(kinds) for name, kinds in spool.kinds.items()}
    schema = arrow.schema([(name, _arrow_type(arrow, spool.kinds[name])) for name in spool.kinds])
    rows = spool.rows()
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, GROUP_ROWS)):
            typed = [{name: _typed(row.get(name), text[name]) for name in text} for row in group]
            writer.write_table(arrow.Table.from_pylist(typed, schema=schema))


def _arrow_type(arrow: Any, kinds: set[type]) -> Any:
    """The type of a column: numbers and lists of texts as such, everything else as text."""
    if kinds == {list}:
        return arrow.list_(arrow.string())
    if _is_text(kinds):
        return arrow.string()
    return arrow.float64() if float in kinds else arrow.int64()


def _is_text(kinds: set[type]) -> bool:
    return not (kinds == {list} or (kinds - {type(None)} and kinds <= {int, float, type(None)}))


def _typed(value: object, text: bool) -> object:
    if not text or value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def frame_of(rows: Sequence[Row]) -> Any:
    """The rows as a pandas frame; raises MissingExtra."""
    return extra("pandas", "pandas").DataFrame.from_records(rows, columns=_columns(rows))


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys([*FIXED, *(name for row in rows for name in row)]))


def extra(module: str, name: str) -> Any:
    """A module of an optional package; raises MissingExtra naming the extra that brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if not module.startswith(str(error.name)):
            raise
        raise MissingExtra(module.partition(".")[0], name) from error
