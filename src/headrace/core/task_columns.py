"""The columns of the task list, and the scalars they hold."""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from headrace.core.errors import Invalid

Scalar = str | int | float | bool

BIGGEST = 2**63 - 1
DATA = "data."


class Kind(StrEnum):
    """What a column's values are; the value is Label Studio's name of it."""

    NUMBER = "Number"
    DATETIME = "Datetime"
    STRING = "String"
    BOOLEAN = "Boolean"
    LIST = "List"


UNKNOWN = "Unknown"


class Part(StrEnum):
    """What must be read of a task to know a column."""

    RECORD = "record"
    DATA = "data"
    ANNOTATIONS = "annotations"
    PREDICTIONS = "predictions"
    EXCEPTIONS = "exceptions"
    DRAFTS = "drafts"


class Column(NamedTuple):
    """A column of the task list: its title for people, what its values are, and what must be read for it."""

    title: str
    kind: Kind
    part: Part


COLUMNS: Mapping[str, Column] = {
    "id": Column("ID", Kind.NUMBER, Part.RECORD),
    "inner_id": Column("Inner ID", Kind.NUMBER, Part.RECORD),
    "completed_at": Column("Completed", Kind.DATETIME, Part.ANNOTATIONS),
    "total_annotations": Column("Annotations per Task", Kind.NUMBER, Part.ANNOTATIONS),
    "cancelled_annotations": Column("Cancelled Annotations per Task", Kind.NUMBER, Part.ANNOTATIONS),
    "total_predictions": Column("Predictions per Task", Kind.NUMBER, Part.PREDICTIONS),
    "annotators": Column("Annotated by", Kind.LIST, Part.ANNOTATIONS),
    "annotations_results": Column("Annotation results", Kind.STRING, Part.ANNOTATIONS),
    "annotations_ids": Column("Annotation IDs", Kind.STRING, Part.ANNOTATIONS),
    "ground_truth": Column("Ground truth", Kind.BOOLEAN, Part.ANNOTATIONS),
    "labels": Column("Labels", Kind.STRING, Part.ANNOTATIONS),
    "exceptions": Column("Open exceptions", Kind.STRING, Part.EXCEPTIONS),
    "predictions_score": Column("Prediction score", Kind.NUMBER, Part.PREDICTIONS),
    "predictions_model_versions": Column("Prediction model versions", Kind.STRING, Part.PREDICTIONS),
    "predictions_results": Column("Prediction results", Kind.STRING, Part.PREDICTIONS),
    "file_upload": Column("Upload filename", Kind.STRING, Part.RECORD),
    "storage_filename": Column("Storage filename", Kind.STRING, Part.RECORD),
    "created_at": Column("Created at", Kind.DATETIME, Part.RECORD),
    "updated_at": Column("Updated at", Kind.DATETIME, Part.ANNOTATIONS),
    "updated_by": Column("Updated by", Kind.LIST, Part.ANNOTATIONS),
    "avg_lead_time": Column("Lead Time", Kind.NUMBER, Part.ANNOTATIONS),
    "draft_exists": Column("Drafts", Kind.BOOLEAN, Part.DRAFTS),
}
"""Every column but those of the tasks' own data, `data.<key>`."""


def column_name(text: object, prefix: str, field: str) -> str:
    """The column behind a prefix; raises Invalid, telling of the request field, unless there is such a column."""
    name = text.removeprefix(prefix) if isinstance(text, str) else ""
    name = name.removeprefix("tasks:")
    known = name in COLUMNS or (name.startswith(DATA) and len(name) > len(DATA))
    if not known or "__" in name:
        raise Invalid(f"unknown column '{str(text)[:100]}'", fields={field: str(text)[:100]})
    return name


def text_of(value: Scalar) -> str:
    """A scalar as a text: truth values as JSON spells them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def number_of(value: object) -> int | float | None:
    """A finite number, or what a text says that spells one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        if len(value) > 40 or not re.fullmatch(r"\s*[-+]?\d+(\.\d*)?([eE][-+]?\d+)?\s*", value, re.ASCII):
            return None
        value = float(value) if re.search("[.eE]", value) else int(value)
    return value if abs(value) <= BIGGEST or math.isfinite(value) else None


def truth_of(value: object) -> bool | None:
    """A truth value, or what a text says that spells one; None for anything else."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None
