"""The file formats an upload may have: each reader turns one file into the JSON text of its items.

Readers raise Invalid with a text that names what is wrong; `read_file` puts the file's name before it. Only
the readers of JSON and of one-task files hold a whole file in memory.
"""

import csv
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from headrace.core.errors import Invalid
from headrace.core.label_tasks import NOT_A_TASK
from headrace.decode import Raw, check, decode, encode

UNDEFINED = "$undefined$"
MAX_TASKS = 1_000_000
MAX_OBJECTS = 16_000_000
TABULAR = frozenset({".csv", ".tsv", ".txt"})
ASSETS = frozenset(
    {
        ".bmp",
        ".flac",
        ".gif",
        ".jpeg",
        ".jpg",
        ".m4a",
        ".mp3",
        ".mp4",
        ".ogg",
        ".pdf",
        ".png",
        ".svg",
        ".wav",
        ".webm",
        ".webp",
    }
)
"""Files that are one task each, which names the file instead of holding it."""

Item = bytes | Raw


class _Object(msgspec.Struct, gc=False):
    """Any JSON object, in 16 bytes."""


_BOM = b"\xef\xbb\xbf"
_FIRST_CHARACTER = re.compile(rb"\s*(.?)", re.DOTALL)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_FIRST_INDEX = re.compile(r"\$\[([0-9]+)\]")
_LONGEST_NUMBER = 400
_LONGEST_CELL = 2**31 - 1
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


def extension(name: str) -> str:
    """The extension that decides how a file is read, in lower case with its dot; "" when there is none."""
    return PurePosixPath(name).suffix.lower()


def is_supported(name: str) -> bool:
    """Whether a file of this name can be imported."""
    return extension(name) in _READERS or extension(name) in ASSETS


def is_asset(name: str, *, as_tasks_list: bool = True) -> bool:
    """Whether a file is one task that names it; tables are that too unless they are read as lists of tasks."""
    return extension(name) in (ASSETS if as_tasks_list else ASSETS | TABULAR)


def asset(address: str) -> Item:
    """The item of a file that stays where it is."""
    return encode({UNDEFINED: address})


def read_file(path: Path, name: str) -> Iterator[Item]:
    """The items of an uploaded file as JSON text, in order; `name` decides the format.

    Raises Invalid, naming the file, when its format is not supported or its content is not of that format.
    """
    reader = _READERS.get(extension(name))
    if reader is None:
        raise Invalid(f"{extension(name)} extension is not supported")
    try:
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise Invalid(f"Failed to parse input file {name}: the text is not UTF-8") from error
    except csv.Error as error:
        raise Invalid(f"Failed to parse input file {name}: {error}") from error
    except Invalid as error:
        raise Invalid(f"Failed to parse input file {name}: {error.message}") from error


def holds_data(name: str) -> bool:
    """Whether every item of such a file is a task's data itself, never an envelope around it."""
    return extension(name) not in {".json", ".jsonl"}


def read_body(path: Path) -> Iterator[Item]:
    """The items of a JSON request body: the members of an array, or one object; an empty body is one {}.

    Raises Invalid when the body holds neither, Malformed when it is not JSON or not storable.
    """
    body = path.read_bytes() or b"{}"
    kind = _kind(body)
    if kind not in (b"[", b"{"):
        check(body)
        raise Invalid("load_tasks: No data found in DATA or in FILES")
    yield from _json_items(body, kind)


def _kind(body: bytes) -> bytes:
    found = _FIRST_CHARACTER.match(body)
    return found.group(1) if found else b""


def _json_items(body: bytes, kind: bytes) -> Iterator[Item]:
    if kind == b"[":
        yield from _members(body)
    else:
        check(body)
        yield body


def _members(body: bytes) -> list[Raw]:
    """The members of an array; one that may have too many is counted first, at a third of the memory."""
    if body.count(b",") < MAX_TASKS:
        return decode(body, list[Raw])
    check(body)
    if body.count(b"{") > MAX_OBJECTS:
        raise Invalid(f"the tasks hold more than {MAX_OBJECTS} objects")
    try:
        count = len(msgspec.json.decode(body, type=list[_Object]))
    except msgspec.ValidationError as error:
        place = _FIRST_INDEX.search(str(error))
        number = place.group(1) if place else "0"
        raise Invalid(f"Error at item {number}: {NOT_A_TASK}") from error
    if count > MAX_TASKS:
        raise Invalid(f"Maximum task number is {MAX_TASKS}, current task number is {count}")
    return msgspec.json.decode(body, type=list[Raw])


def _read_json(path: Path) -> Iterator[Item]:
    body = path.read_bytes().removeprefix(_BOM)
    kind = _kind(body)
    if kind not in (b"[", b"{"):
        check(body)
        raise Invalid("expected an array of tasks or one task")
    yield from _json_items(body, kind)


def _read_jsonl(path: Path) -> Iterator[Item]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(_BOM).strip() if number == 1 else line.strip()
            if text:
                yield _checked_line(text, number)


def _checked_line(text: bytes, number: int) -> bytes:
    try:
        check(text)
    except Invalid as error:
        raise Invalid(f"line {number}: {error.message}") from error
    return text


def _read_lines(path: Path) -> Iterator[Item]:
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            yield encode({UNDEFINED: _without_nul(line).removesuffix("\n")})


def _read_whole(path: Path) -> Iterator[Item]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield encode({UNDEFINED: _without_nul(file.read())})


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise Invalid("the text contains a NUL character")
    return text


def _read_csv(path: Path) -> Iterator[Item]:
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
    separator = ";" if first.count(";") > first.count(",") else ","
    return _read_table(path, separator)


def _read_tsv(path: Path) -> Iterator[Item]:
    return _read_table(path, "\t")


def _read_table(path: Path, separator: str) -> Iterator[Item]:
    """The rows below the header as objects; the cells of a column of numbers are spliced in as written."""
    header = next(_rows(path, separator), None)
    if header is None:
        raise Invalid("No columns to parse from file")
    columns = _column_names(header)
    numeric = _numeric_columns(path, separator, len(columns))
    for cells in _body_rows(path, separator, len(columns)):
        values: list[str | Raw] = list(cells)
        for column in numeric:
            values[column] = Raw(cells[column].encode()) if cells[column] else ""
        yield encode(dict(zip(columns, values, strict=True)))


def _column_names(header: Sequence[str]) -> list[str]:
    """Names for all columns, none twice: a repeated name gets `.1`, `.2`, an empty one tells its position."""
    names: dict[str, None] = {}
    for position, given in enumerate(header):
        base = given or f"Unnamed: {position}"
        name, count = base, 0
        while name in names:
            count += 1
            name = f"{base}.{count}"
        names[name] = None
    return list(names)


def _numeric_columns(path: Path, separator: str, width: int) -> list[int]:
    """The columns whose cells, as far as they are not empty, are all numbers within JSON and 64 bits."""
    candidates = set(range(width))
    for cells in _body_rows(path, separator, width):
        candidates -= {column for column in candidates if cells[column] and not _is_number(cells[column])}
        if not candidates:
            break
    return sorted(candidates)


def _is_number(cell: str) -> bool:
    """Only spellings that JSON has: `007` or `+1` stay text, so that what was sent reads back equal."""
    found = _NUMBER.fullmatch(cell) if len(cell) <= _LONGEST_NUMBER else None
    if found is None:
        return False
    if found.group(2) or found.group(3):
        return not math.isinf(float(cell))
    return _INT_MIN <= int(cell) <= _INT_MAX


def _body_rows(path: Path, separator: str, width: int) -> Iterator[list[str]]:
    """All rows but the header, short ones filled up with empty cells."""
    rows = _rows(path, separator)
    next(rows)
    for number, cells in enumerate(rows, 2):
        if len(cells) > width:
            raise Invalid(f"Expected {width} fields in row {number}, saw {len(cells)}")
        cells.extend([""] * (width - len(cells)))
        yield cells


def _rows(path: Path, separator: str) -> Iterator[list[str]]:
    """The rows of a table that are not blank; raises Invalid for a quote that is never closed."""
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = _Lines(file)
        for cells in csv.reader(lines, delimiter=separator):
            if lines.ended:
                raise Invalid("the file ends inside a quoted cell")
            if cells:
                yield cells


class _Lines:
    """Lines for a CSV reader: it asks beyond the last only while a quote is open, and `ended` tells so."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return _without_nul(next(self._lines))
        except StopIteration:
            self.ended = True
            raise


_READERS: dict[str, Callable[[Path], Iterator[Item]]] = {
    ".csv": _read_csv,
    ".htm": _read_whole,
    ".html": _read_whole,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".tsv": _read_tsv,
    ".txt": _read_lines,
    ".xml": _read_whole,
}
