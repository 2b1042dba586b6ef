"""Export formats of tasks: rows in, text out. Pure functions.

`task_json` is the whole of a task with what was said of it. Every other format is made of decoded tasks of that shape,
so a snapshot that was stored as JSON can be converted at any time later.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from headrace.core import content, label_results
from headrace.core.annotations import Annotation
from headrace.core.drafts import Draft
from headrace.core.errors import Invalid, NotBuilt
from headrace.core.label_config import LabelConfig
from headrace.core.label_tasks import text_keys
from headrace.core.records import Record
from headrace.core.task_predictions import TaskPrediction
from headrace.core.times import format_timestamp
from headrace.core.users import User

Task = Mapping[str, Any]
"""A task as `task_json` writes it, decoded."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
ANNOTATION_COLUMNS = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time")
DOCSTART = "-DOCSTART- -X- O\n"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TOKEN = re.compile(r"\S+")


class ExportFormat(StrEnum):
    """The formats that tasks can be exported in."""

    JSON = "JSON"
    JSON_MIN = "JSON_MIN"
    CSV = "CSV"
    TSV = "TSV"
    CONLL2003 = "CONLL2003"

    @property
    def is_table(self) -> bool:
        """True when the first line names columns, so that all tasks must be seen before it can be written."""
        return self in _DELIMITERS

    @property
    def media_type(self) -> str:
        """The content type of a file."""
        return _FILES[self][0]

    @property
    def extension(self) -> str:
        """How the name of a file ends."""
        return _FILES[self][1]


UNBUILT_FORMATS = (
    "COCO",
    "COCO_WITH_IMAGES",
    "VOC",
    "YOLO",
    "YOLO_WITH_IMAGES",
    "YOLO_OBB",
    "YOLO_OBB_WITH_IMAGES",
    "BRUSH_TO_NUMPY",
    "BRUSH_TO_PNG",
    "BRUSH_TO_COCO",
    "ASR_MANIFEST",
    "DOCLANG",
)
"""Formats that Label Studio has and this server has not: they are about images and sound."""

_DELIMITERS = {ExportFormat.CSV: ",", ExportFormat.TSV: "\t"}
_FILES: Mapping[ExportFormat, tuple[str, str]] = {
    ExportFormat.JSON: ("application/json", "json"),
    ExportFormat.JSON_MIN: ("application/json", "json"),
    ExportFormat.CSV: ("text/csv", "csv"),
    ExportFormat.TSV: ("text/tab-separated-values", "tsv"),
    ExportFormat.CONLL2003: ("text/plain", "conll"),
}


class TaskRow(NamedTuple):
    """One task to export: its data as JSON text, all its annotations, those to be shown, its predictions and drafts.

    `file` is the name of the file that it was made of.
    """

    record: Record
    data: str
    annotations: Sequence[Annotation]
    shown: Sequence[Annotation]
    predictions: Sequence[TaskPrediction]
    drafts: Sequence[Draft] = ()
    file: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """What is written in full instead of by its id: predictions, drafts, and authors (by id, if they are known).

    Only the drafts of one person are written, because nobody else may see them.
    """

    predictions: bool = False
    drafts: bool = True
    drafts_of: int | None = None
    authors: Mapping[int, User] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How a file is laid out: `columns` are those of a table, `text_key` the data key that CONLL2003 splits.

    A `raw` table keeps cells as they are; otherwise those that would start a formula get a leading apostrophe.
    """

    format: ExportFormat
    columns: tuple[str, ...] = ()
    text_key: str | None = None
    raw: bool = False


def export_format(name: str) -> ExportFormat:
    """The format of that name; raises NotBuilt for one that only Label Studio has, Invalid for any other."""
    if name in UNBUILT_FORMATS:
        raise NotBuilt(f"headrace does not export {name}")
    try:
        return ExportFormat(name)
    except ValueError:
        raise Invalid(f"'{name[:40]}' is not an export format", fields={"export_type": name[:40]}) from None


def layout(config: LabelConfig, format: ExportFormat, *, raw: bool = False) -> Layout:
    """The layout of a format under a label config, a table's columns still missing; Invalid where it does not fit."""
    keys = text_keys(config)
    if format is ExportFormat.CONLL2003 and not keys:
        raise Invalid("CONLL2003 needs a label config with a text", fields={"export_type": format.value})
    return Layout(format=format, text_key=next(iter(keys), None), raw=raw)


def fits(config: LabelConfig, format: ExportFormat) -> bool:
    """True when a file of the format says something under the label config: CONLL2003 needs labels on a text."""
    if format is not ExportFormat.CONLL2003:
        return True
    return bool(text_keys(config)) and any(control.type.endswith("Labels") for control in config.controls)


def task_json(config: LabelConfig, dataset_id: int, row: TaskRow, detail: Detail) -> str:
    """A task as JSON text; its data, its meta and the results are the very characters that were sent."""
    record, found = row.record, row.annotations
    cancelled = sum(item.judgement.cancelled for item in found)
    changed = max([record.modified_at, *(item.updated_at for item in found)])
    annotations = ",".join([_annotation_json(config, item, detail.authors) for item in row.shown])
    predictions = ",".join(
        _prediction_json(dataset_id, item) if detail.predictions else str(item.id) for item in row.predictions
    )
    drafts = ",".join(_draft_json(item) if detail.drafts else str(item.id) for item in row.drafts)
    key = "" if record.external_id is None else f'"external_id":{_encode(record.external_id)},'
    return (
        f'{{"id":{record.id},{key}"annotations":[{annotations}],"file_upload":{_or_null(row.file)},"drafts":[{drafts}],'
        f'"predictions":[{predictions}],"data":{row.data},"meta":{record.meta or "{}"},'
        f'"created_at":"{format_timestamp(record.created_at)}","updated_at":"{format_timestamp(changed)}",'
        f'"allow_skip":true,"inner_id":{record.number},"total_annotations":{len(found) - cancelled},'
        f'"cancelled_annotations":{cancelled},"total_predictions":{len(row.predictions)},"comment_count":0,'
        f'"unresolved_comment_count":0,"last_comment_updated_at":null,"project":{dataset_id},'
        f'"updated_by":{found[-1].author_id if found else "null"},"comment_authors":[]}}'
    )


def _annotation_json(config: LabelConfig, annotation: Annotation, authors: Mapping[int, User] | None) -> str:
    judgement = annotation.judgement
    result = result_text(config, annotation)
    skipped = f',"skip_reason":{_encode(judgement.skip_reason)}' if judgement.skip_reason else ""
    return (
        f'{{"id":{annotation.id},"completed_by":{_author_json(annotation.author_id, authors)},"result":{result},'
        f'"was_cancelled":{_flag(judgement.cancelled)},"ground_truth":{_flag(judgement.ground_truth)},'
        f'"created_at":"{format_timestamp(annotation.created_at)}",'
        f'"updated_at":"{format_timestamp(annotation.updated_at)}",'
        f'"draft_created_at":{_moment(judgement.draft_created_at)},'
        f'"lead_time":{_or_null(judgement.lead_time)},"prediction":{{}},"result_count":{len(_regions(result))},'
        f'"unique_id":{_or_null(judgement.unique_id)},"import_id":{_or_null(judgement.import_id)},'
        f'"last_action":null,"bulk_created":false,"task":{annotation.record_id},"project":{annotation.dataset_id},'
        f'"updated_by":{annotation.author_id},"parent_prediction":null,"parent_annotation":null,'
        f'"last_created_by":null{skipped}}}'
    )


def _draft_json(draft: Draft) -> str:
    rest = {
        "lead_time": draft.lead_time,
        "was_postponed": draft.postponed,
        "import_id": draft.import_id,
        "created_at": format_timestamp(draft.created_at),
        "updated_at": format_timestamp(draft.updated_at),
        "task": draft.record_id,
        "annotation": draft.annotation_id,
    }
    return f'{{"id":{draft.id},"result":{draft.result},{_encode(rest)[1:]}'


def result_text(config: LabelConfig, annotation: Annotation) -> str:
    """An annotation's result as JSON text; of one made through another API, the regions that say the same."""
    if annotation.judgement.result is not None:
        return annotation.judgement.result
    return _encode(label_results.result_of(config, [label.name for label in annotation.judgement.labels]))


def task_of(config: LabelConfig, row: TaskRow) -> Task:
    """As much of a task as the other formats need, as if decoded from its JSON text."""
    annotations = [
        {
            "id": item.id,
            "completed_by": item.author_id,
            "result": _regions(result_text(config, item)),
            "was_cancelled": item.judgement.cancelled,
            "created_at": format_timestamp(item.created_at),
            "updated_at": format_timestamp(item.updated_at),
            "lead_time": item.judgement.lead_time,
        }
        for item in row.shown
    ]
    return {"id": row.record.id, "annotations": annotations, "data": json.loads(row.data)}


def _regions(result: str) -> list[Any]:
    regions = json.loads(result)
    return regions if isinstance(regions, list) else []


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _or_null(value: object) -> str:
    return "null" if value is None else _encode(value)


def _moment(micros: int | None) -> str:
    return "null" if micros is None else f'"{format_timestamp(micros)}"'


def _author_json(author_id: int, authors: Mapping[int, User] | None) -> str:
    author = authors.get(author_id) if authors else None
    if author is None:
        return str(author_id)
    return _encode({"id": author.id, "email": author.email, "first_name": "", "last_name": ""})


def _prediction_json(dataset_id: int, predicted: TaskPrediction) -> str:
    rest = {
        "model_version": predicted.model_version,
        "score": predicted.score,
        "created_at": format_timestamp(predicted.created_at),
        "updated_at": format_timestamp(predicted.updated_at),
        "task": predicted.record_id,
        "project": dataset_id,
    }
    return f'{{"id":{predicted.id},"result":{predicted.result},{_encode(rest)[1:]}'


def head(layout: Layout) -> str:
    """What a file begins with: a bracket, the line of column names, or a document's start."""
    if layout.format.is_table:
        return _table(layout, [layout.columns])
    return DOCSTART if layout.format is ExportFormat.CONLL2003 else "["


def separator(layout: Layout) -> str:
    """What stands between the texts of two pages of tasks, neither of them empty."""
    return "," if layout.format in (ExportFormat.JSON, ExportFormat.JSON_MIN) else ""


def tail(layout: Layout) -> str:
    """What a file ends with."""
    return "]" if layout.format in (ExportFormat.JSON, ExportFormat.JSON_MIN) else ""


def texts(layout: Layout, pages: Callable[[], Iterable[Sequence[Task]]]) -> Iterator[str]:
    """The pieces of a file in any format but JSON; for a table the pages are asked for twice, first for its columns."""
    if layout.format.is_table:
        columns = {*ANNOTATION_COLUMNS, "id"}
        for page in pages():
            columns |= columns_of(page)
        layout = replace(layout, columns=tuple(sorted(columns)))
    yield head(layout)
    between = ""
    for page in pages():
        text = text_of(layout, page)
        if text:
            yield between + text
            between = separator(layout)
    yield tail(layout)


def columns_of(tasks: Iterable[Task]) -> set[str]:
    """The names of the columns that these tasks need in a table."""
    return {name for task in tasks for said in _said(task) for name in _flat(task, said)}


def text_of(layout: Layout, tasks: Iterable[Task]) -> str:
    """The text of a page of tasks in any format but JSON, which `task_json` writes; "" when they have none."""
    said = ((task, annotation) for task in tasks for annotation in _said(task))
    if layout.format is ExportFormat.JSON_MIN:
        return ",".join(_encode(_flat(task, annotation)) for task, annotation in said)
    if layout.format is ExportFormat.CONLL2003:
        return "".join(_tagged(layout.text_key, task, annotation) for task, annotation in said)
    return _table(layout, (_cells(layout.columns, _flat(task, annotation)) for task, annotation in said))


def _said(task: Task) -> list[Task | None]:
    """The annotations of a task that were not skipped; one None for a task that nobody annotated."""
    found = task["annotations"]
    return [item for item in found if not item["was_cancelled"]] if found else [None]


def _flat(task: Task, annotation: Task | None) -> dict[str, object]:
    """A task with one annotation as a flat object: data, answers by control, who and when."""
    data = task["data"]
    flat = dict(data) if isinstance(data, dict) else {"data": data}
    flat["id"] = task["id"]
    if annotation is None:
        return flat | dict.fromkeys(ANNOTATION_COLUMNS)
    flat |= {name: _shown(regions) for name, regions in _answers(annotation).items()}
    author = annotation["completed_by"]
    return flat | {
        "annotator": author["id"] if isinstance(author, dict) else author,
        "annotation_id": annotation["id"],
        "created_at": annotation["created_at"],
        "updated_at": annotation["updated_at"],
        "lead_time": annotation["lead_time"],
    }


def _answers(annotation: Task) -> dict[str, list[Task]]:
    """The regions that answer a control, by the control's name."""
    found: dict[str, list[Task]] = {}
    for region in annotation["result"] or ():
        if isinstance(region.get("from_name"), str) and isinstance(region.get("value"), dict):
            found.setdefault(region["from_name"], []).append(region)
    return found


def _shown(regions: Sequence[Task]) -> object:
    """The answer to one control: a single choice or text as itself, everything else as a list of values."""
    values = [_value(region) for region in regions]
    kind = str(regions[-1].get("type", "")).lower()
    return values[0] if len(values) == 1 and kind in ("choices", "textarea") else values


def _value(region: Task) -> object:
    value = region["value"]
    field = {"choices": "choices", "textarea": "text"}.get(str(region.get("type", "")).lower())
    if field is None or list(value) != [field]:
        return value
    answers = value[field] if isinstance(value[field], list) else [value[field]]
    return answers[0] if len(answers) == 1 else {field: answers}


def _cells(columns: Sequence[str], flat: Mapping[str, object]) -> list[object]:
    cells = [flat.get(name) for name in columns]
    return [
        _encode(cell) if isinstance(cell, list | dict) else _cell(name, cell)
        for name, cell in zip(columns, cells, strict=True)
    ]


def _cell(name: str, value: object) -> object:
    if value is None:
        return ""
    return str(value) if name == "annotator" else value


def _table(layout: Layout, lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    delimiter = _DELIMITERS[layout.format]
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerows(lines if layout.raw else map(_harmless, lines))
    return text.getvalue()


def _harmless(cells: Sequence[object]) -> list[object]:
    return [f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell for cell in cells]


def _tagged(key: str | None, task: Task, annotation: Task | None) -> str:
    """One line per word of the task's text, tagged with the first label whose span touches it."""
    text = content.task_text(task["data"], [key] if key else [])
    spans = list(_spans(annotation)) if annotation else []
    begun: set[int] = set()
    lines = []
    for token in _TOKEN.finditer(text):
        touching = (
            number for number, (start, end, _) in enumerate(spans) if start < token.end() and end > token.start()
        )
        number = next(touching, None)
        tag = "O" if number is None else f"{'I' if number in begun else 'B'}-{spans[number][2]}"
        begun.add(-1 if number is None else number)
        lines.append(f"{token[0]} -X- _ {tag}\n")
    return "".join(lines) + "\n"


def _spans(annotation: Task) -> Iterator[tuple[int, int, str]]:
    """The labelled spans of an annotation as (start, end, label)."""
    for region in annotation["result"] or ():
        value = region.get("value")
        kind = str(region.get("type", "")).lower()
        if not isinstance(value, dict) or not kind.endswith("labels"):
            continue
        labels, start, end = value.get(kind), value.get("start"), value.get("end")
        if isinstance(labels, list) and labels and isinstance(start, int) and isinstance(end, int):
            yield start, end, str(labels[0])
