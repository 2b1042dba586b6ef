"""Turning an uploaded payload into task rows: one pass over the files, one line of JSON per task.

`parse` is a pure function of files, so it runs in a thread for a small upload and in a child process for a
large one. The same upload always gives the same output, byte by byte: an offset into it survives a restart.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import is_not
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from headrace.core.errors import Invalid
from headrace.core.import_rows import record_key
from headrace.core.label_config import LabelConfig, shown, undefined_key
from headrace.core.label_config import parse as parse_config
from headrace.core.label_results import expand_result, result_from_field, result_problem
from headrace.core.label_tasks import TaskFault, item_fault
from headrace.jobs.upload_formats import (
    MAX_TASKS,
    TABULAR,
    UNDEFINED,
    Item,
    asset,
    extension,
    holds_data,
    is_asset,
    read_body,
    read_file,
)

MAX_PROBLEMS = 100
KEY_RULE = "of 1 to 1024 characters without spaces and slashes"
MAX_ITEM_BYTES = 16 * 1024 * 1024
PAGE_BYTES = 16_000_000
ONE_KEY = (
    "Your label config has more than one data key and direct file upload supports only one data key. "
    "To import data with multiple data keys, use a JSON or CSV file"
)

Form = Literal["body", "file", "data"]


class UploadSpec(Struct, frozen=True, kw_only=True):
    """What was uploaded: a JSON body, or files by name, in the order of the paths given to `parse`.

    `file_addresses` say where files can be had that are tasks by themselves. `external_id` names the data key that
    holds the caller's own key. With `reject_rows` a bad item is a row that says so, and the others stay good.
    """

    kind: Literal["json", "files"]
    file_names: tuple[str, ...] = ()
    file_addresses: tuple[str, ...] = ()
    as_tasks_list: bool = True
    preannotated_from_fields: tuple[str, ...] = ()
    external_id: str | None = None
    reject_rows: bool = False


class ItemProblem(Struct, frozen=True, kw_only=True):
    """One item that cannot become a task: its number in the whole import, the data key at fault, and why."""

    item: int
    key: str | None
    reason: str


class ParsedUpload(Struct, frozen=True, kw_only=True):
    """The outcome of `parse`: what the output holds, or why there is none.

    `annotators` maps each author that annotations name (an email or a user id) to the first item to do so;
    `item_count` are all items that were looked at, good and bad.
    """

    item_count: int = 0
    task_count: int = 0
    annotation_count: int = 0
    prediction_count: int = 0
    found_formats: dict[str, int] = {}
    data_columns: tuple[str, ...] = ()
    could_be_tasks_list: bool = False
    annotators: dict[str | int, int] = {}
    errors: tuple[ItemProblem, ...] = ()
    fatal: str | None = None

    @property
    def error(self) -> str | None:
        """The text for people when the upload was refused, one line per reason; None when it was accepted."""
        return self.fatal or "\n".join(problem.reason for problem in self.errors) or None


class Row(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task as `parse` writes it: `data` is the text as sent, `file` the position in `file_names`.

    A row that was `rejected` has no data.
    """

    data: Raw
    meta: Raw | UnsetType = UNSET
    annotations: Raw | UnsetType = UNSET
    predictions: Raw | UnsetType = UNSET
    drafts: Raw | UnsetType = UNSET
    file: int = 0
    external_id: str | None = None
    rejected: ItemProblem | None = None


class Page(Struct, frozen=True, kw_only=True):
    """Some rows in order, and the byte offset where the next page starts; no rows means the end."""

    rows: list[Row]
    next_offset: int


class _Envelope(Struct):
    data: Raw
    meta: Raw | UnsetType = UNSET
    annotations: Raw | UnsetType = UNSET
    predictions: Raw | UnsetType = UNSET
    drafts: Raw | UnsetType = UNSET


_VALUE = msgspec.json.Decoder()
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_ROW = msgspec.json.Decoder(Row)
_ENCODER = msgspec.json.Encoder()
_NOTHING = Raw(b"null")


def parse(spec: UploadSpec, paths: Sequence[Path], out: Path, *, config_xml: str) -> ParsedUpload:
    """Read an upload against a label configuration and write its tasks to `out`, one JSON `Row` per line.

    After any problem `out` does not exist and counts are zero. Raises Invalid for `config_xml`.
    """
    config = parse_config(config_xml)
    try:
        with out.open("wb", buffering=1 << 20) as file:
            writer = _Writer(config, spec, file)
            if len(config.required) > 1 and _has_asset(spec):
                raise Invalid(ONE_KEY)
            columns = _read_all(spec, paths, writer)
    except Invalid as error:
        out.unlink()
        return _outcome(spec, fatal=error.message)
    if writer.problems:
        out.unlink()
        return _outcome(spec, item_count=writer.items, errors=tuple(writer.problems))
    return _outcome(
        spec,
        item_count=writer.items,
        task_count=writer.items,
        annotation_count=writer.annotation_count,
        prediction_count=writer.prediction_count,
        data_columns=columns,
        annotators=writer.annotators,
    )


def read_rows(path: Path, *, offset: int = 0, count: int = 1_000) -> Page:
    """Up to `count` rows from a byte offset that an earlier page gave; a page ends early after PAGE_BYTES."""
    rows: list[Row] = []
    with path.open("rb") as file:
        file.seek(offset)
        while len(rows) < count and file.tell() - offset < PAGE_BYTES and (line := file.readline()):
            rows.append(_ROW.decode(line))
        return Page(rows=rows, next_offset=file.tell())


def _outcome(spec: UploadSpec, **found: Any) -> ParsedUpload:
    formats: dict[str, int] = {}
    for name in spec.file_names:
        formats[extension(name)] = formats.get(extension(name), 0) + 1
    return ParsedUpload(found_formats=formats, could_be_tasks_list=not TABULAR.isdisjoint(formats), **found)


def _read_all(spec: UploadSpec, paths: Sequence[Path], writer: "_Writer") -> tuple[str, ...]:
    """Write the items of all files; the answer is the data keys that the first items of all files share."""
    columns: tuple[str, ...] = ()
    begun = -1
    for item, form, file in _items(spec, paths):
        if file > begun and spec.kind == "files":
            keys = _first_keys(item, form)
            columns = _shared(columns, keys, spec.file_names[file]) if begun >= 0 else keys
            begun = file
        writer.add(item, form, file)
        if writer.is_full:
            break
    if writer.items == 0:
        raise Invalid("load_tasks: No tasks added")
    return columns


def _has_asset(spec: UploadSpec) -> bool:
    return any(is_asset(name, as_tasks_list=spec.as_tasks_list) for name in spec.file_names)


def _items(spec: UploadSpec, paths: Sequence[Path]) -> Iterator[tuple[Item, Form, int]]:
    if spec.kind == "json":
        yield from ((item, "body", 0) for item in read_body(paths[0]))
        return
    for file, (name, path) in enumerate(zip(spec.file_names, paths, strict=True)):
        if is_asset(name, as_tasks_list=spec.as_tasks_list):
            yield asset(spec.file_addresses[file]), "data", file
            continue
        form: Form = "data" if holds_data(name) else "file"
        yield from ((item, form, file) for item in read_file(path, name))


def _first_keys(item: Item, form: Form) -> tuple[str, ...]:
    value = _VALUE.decode(item)
    data = value["data"] if _is_envelope(value, form) else value
    return tuple(data) if isinstance(data, dict) else ()


def _is_envelope(value: object, form: Form) -> bool:
    """A body's item is an envelope when it has the key `data`, a file's item when it has something there."""
    if form == "data" or not isinstance(value, dict):
        return False
    return bool(value.get("data")) if form == "file" else "data" in value


def _shared(columns: tuple[str, ...], keys: tuple[str, ...], name: str) -> tuple[str, ...]:
    shared = tuple(key for key in columns if key in keys)
    if not shared:
        raise Invalid(
            f"You're trying to import inconsistent data: {name} has the data keys {shown(list(keys))}, "
            f"but the files before it have {shown(list(columns))}"
        )
    return shared


class _Writer:
    """Checks items one after the other and writes their rows until too many of them are wrong."""

    def __init__(self, config: LabelConfig, spec: UploadSpec, file: IO[bytes]) -> None:
        self._config = config
        self._undefined_key = undefined_key(config)
        self._fields = spec.preannotated_from_fields
        self._key_name = spec.external_id
        self._reject_rows = spec.reject_rows
        self._file = file
        self._keys: dict[str, int] = {}
        self.items = 0
        self.annotation_count = 0
        self.prediction_count = 0
        self.annotators: dict[str | int, int] = {}
        self.problems: list[ItemProblem] = []
        self.is_full = False

    def add(self, item: Item, form: Form, file: int) -> None:
        """Write the row of one item, or note its problem; raises Invalid for too many or too large items."""
        if self.items == MAX_TASKS:
            raise Invalid(f"Maximum task number is {MAX_TASKS}, current task number is larger")
        if len(memoryview(item)) > MAX_ITEM_BYTES:
            raise Invalid(f"Error at item {self.items}: a task must not be larger than {MAX_ITEM_BYTES} bytes")
        value = _VALUE.decode(item)
        enveloped = _is_envelope(value, form)
        parts = value if enveloped else {"data": value}
        renamed = self._rename_undefined(parts["data"])
        root = parts if form != "body" and isinstance(value, dict) else value
        fault = self._fault(root, parts)
        key = None if fault is not None else self._key(parts)
        if isinstance(key, TaskFault):
            fault = TaskFault(key=key.key, text=f"{key.text} :: {shown(root)}")
        if fault is not None:
            self._refuse(fault, file)
        else:
            texts = _ENVELOPE.decode(item) if enveloped else _Envelope(Raw(item))
            if renamed:
                texts.data = self._renamed(texts.data)
            self._write(parts, texts, file, key if isinstance(key, str) else None)
        self.items += 1

    def _key(self, parts: Mapping[str, Any]) -> str | TaskFault | None:
        """The caller's own key of a good item, or what is wrong with it; None where nobody speaks of one."""
        field, sent = "external_id", parts.get("external_id")
        data = parts["data"]
        if sent is None and self._key_name is not None:
            field = self._key_name
            if not isinstance(data, dict) or data.get(field) is None:
                return TaskFault(key=field, text=f'"{field}" key is expected in task data to be the external_id')
            sent = data[field]
        if sent is None:
            return None
        key = record_key(sent)
        if key is None:
            text = f"{field}={shown(sent)} is no external_id: it must be an integer, or a text {KEY_RULE}"
            return TaskFault(key=field, text=text)
        first = self._keys.setdefault(key, self.items)
        if first != self.items:
            return TaskFault(key=field, text=f"the external_id '{key[:80]}' is that of item {first} already")
        return key

    def _fault(self, root: object, parts: Mapping[str, Any]) -> TaskFault | None:
        fault = item_fault(self._config, root)
        if fault is not None or len(parts) == 1:
            return fault
        problem = self._judgements_problem(parts)
        return TaskFault(key=None, text=f"{problem} :: {shown(root)}") if problem else None

    def _judgements_problem(self, parts: Mapping[str, Any]) -> str | None:
        for annotation in parts.get("annotations") or ():
            result = annotation["result"]
            problem = None if result is None else result_problem(self._config, result)
            if problem is not None:
                return f"Annotation: {problem}"
            author = annotation.get("completed_by")
            named = identity(author)
            if named is not None:
                self.annotators.setdefault(named, self.items)
            elif author is not None:
                who = f"completed_by={shown(author)}"
                return f"Import data contains {who} which is not a valid annotator's email or ID"
        for prediction in _given_predictions(parts):
            result = expand_result(self._config, prediction["result"])
            problem = result_problem(self._config, result)
            if problem is not None:
                return f"Prediction: {problem}"
        return None

    def _refuse(self, fault: TaskFault, file: int) -> None:
        problem = ItemProblem(item=self.items, key=fault.key, reason=f"Error at item {self.items}: {fault.text}")
        if self._reject_rows:
            self._file.write(_ENCODER.encode(Row(data=_NOTHING, file=file, rejected=problem)) + b"\n")
        elif len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.problems.append(ItemProblem(item=self.items, key=None, reason="..."))
            self.is_full = True

    def _rename_undefined(self, data: object) -> bool:
        """Give a value under `$undefined$` the name the configuration asks for, unless that is taken."""
        key = self._undefined_key
        if key is None or not isinstance(data, dict) or UNDEFINED not in data or key in data:
            return False
        data[key] = data.pop(UNDEFINED)
        return True

    def _renamed(self, data: Raw) -> Raw:
        members = _MEMBERS.decode(data).items()
        return Raw(_ENCODER.encode({self._undefined_key if k == UNDEFINED else k: v for k, v in members}))

    def _write(self, parts: Mapping[str, Any], texts: _Envelope, file: int, key: str | None) -> None:
        annotations = parts.get("annotations") or ()
        predictions = self._predictions(parts)
        given = parts.get("predictions") or ()
        if len(predictions) != len(given) or any(map(is_not, predictions, given)):
            texts.predictions = Raw(_ENCODER.encode(predictions))
        row = Row(
            data=texts.data,
            meta=texts.meta if parts.get("meta") is not None else UNSET,
            annotations=texts.annotations if annotations else UNSET,
            predictions=texts.predictions if predictions else UNSET,
            drafts=texts.drafts if parts.get("drafts") else UNSET,
            file=file,
            external_id=key,
        )
        self.annotation_count += len(annotations)
        self.prediction_count += len(predictions)
        # A line break in JSON text stands between tokens only, where a space means the same.
        self._file.write(_ENCODER.encode(row).replace(b"\n", b" ") + b"\n")

    def _predictions(self, parts: Mapping[str, Any]) -> list[Any]:
        """The predictions an item brings, short forms written out, then those of its pre-annotated fields."""
        found = [
            given
            if isinstance(given["result"], list)
            else {**given, "result": expand_result(self._config, given["result"])}
            for given in _given_predictions(parts)
        ]
        data = parts["data"]
        for name in self._fields:
            value = data.get(name) if isinstance(data, dict) else None
            if value is not None and value != "":
                result = result_from_field(self._config, name, value)
                found.append({"result": result, "score": 1.0, "model_version": "preannotated"})
        return found


def _given_predictions(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The predictions of an item; the bare ids of an export say nothing here."""
    return [given for given in parts.get("predictions") or () if isinstance(given, dict)]


def identity(author: object) -> str | int | None:
    """The email or user id in a `completed_by`; None when it has neither."""
    if isinstance(author, dict):
        author = author.get("email") or author.get("id")
    return author if isinstance(author, str | int) and not isinstance(author, bool) else None
