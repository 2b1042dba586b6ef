"""What a task has in each column of the task list, computed of what is stored of it. Pure functions."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from headrace.core import content, label_results, tasks
from headrace.core.annotations import Annotation
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.label_config import LabelConfig
from headrace.core.records import Record
from headrace.core.task_columns import DATA, Kind, Scalar, number_of, text_of, truth_of
from headrace.core.task_predictions import TaskPrediction
from headrace.core.times import parse_timestamp

T = TypeVar("T")

SORTED_CHARACTERS = 128
"""Texts are ordered by so many of their first characters."""

SortKey = tuple[object, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What was read of a task; what no column needs is left empty. `found` are its annotations but cleared ones."""

    dataset: Dataset
    config: LabelConfig
    record: Record
    data: object = None
    found: Sequence[Annotation] = ()
    predictions: Sequence[TaskPrediction] = ()
    exceptions: Sequence[str] = ()
    file_name: str | None = None
    has_draft: bool = False

    @property
    def valid(self) -> list[Annotation]:
        """The annotations that were not skipped."""
        return [item for item in self.found if not item.judgement.cancelled]


def values(task: Task, column: str, kind: Kind) -> Sequence[Scalar]:
    """The task's values in a column; in its data, those that can be understood as the kind."""
    if column.startswith(DATA):
        return _understood(_in_data(task, column), kind)
    return _VALUES[column](task)


def sort_key(task: Task, column: str) -> SortKey | None:
    """What the task is ordered by in a column, None when it has no value there; in its data numbers come first."""
    if column.startswith(DATA):
        value = _in_data(task, column)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return (0, value, "")
        texts = _understood(value, Kind.STRING)
        return (1, 0, str(texts[0])[:SORTED_CHARACTERS]) if texts else None
    found = tuple(value[:SORTED_CHARACTERS] if isinstance(value, str) else value for value in _VALUES[column](task))
    return found or None


def _in_data(task: Task, column: str) -> object:
    return content.lookup(task.data, column.removeprefix(DATA)) if isinstance(task.data, dict) else None


def _understood(value: object, kind: Kind) -> Sequence[Scalar]:
    if value is None:
        return ()
    if kind is Kind.NUMBER:
        return _some(number_of(value))
    if kind is Kind.BOOLEAN:
        return _some(truth_of(value))
    if kind is Kind.DATETIME:
        return _some(_instant(value))
    if isinstance(value, str | int | float):
        return (text_of(value),)
    return (json.dumps(value, ensure_ascii=False),)


def _instant(value: object) -> int | None:
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except Invalid:
        return None


def _some(value: T | None) -> tuple[T, ...]:
    return () if value is None else (value,)


def _result(task: Task, annotation: Annotation) -> str:
    """An annotation's result as it was sent, or as what was said through another API comes to."""
    judgement = annotation.judgement
    if judgement.result is not None:
        return judgement.result
    return json.dumps(label_results.result_of(task.config, [label.name for label in judgement.labels]))


def _mean(numbers: Sequence[float | None]) -> Sequence[Scalar]:
    known = [number for number in numbers if number is not None]
    return (sum(known) / len(known),) if known else ()


_VALUES: Mapping[str, Callable[[Task], Sequence[Scalar]]] = {
    "id": lambda task: (task.record.id,),
    "inner_id": lambda task: (task.record.number,),
    "completed_at": lambda task: _some(tasks.completed_at(task.dataset, task.found)),
    "total_annotations": lambda task: (len(task.valid),),
    "cancelled_annotations": lambda task: (len(task.found) - len(task.valid),),
    "total_predictions": lambda task: (len(task.predictions),),
    "annotators": lambda task: list(dict.fromkeys(item.author_id for item in task.found)),
    "annotations_results": lambda task: [_result(task, item) for item in task.found],
    "annotations_ids": lambda task: [",".join(str(item.id) for item in task.found)] if task.found else (),
    "ground_truth": lambda task: (any(item.judgement.ground_truth for item in task.found),),
    "labels": lambda task: [label.name for item in task.found if item.current for label in item.judgement.labels],
    "exceptions": lambda task: task.exceptions,
    "predictions_score": lambda task: _mean([item.score for item in task.predictions]),
    "predictions_model_versions": lambda task: [item.model_version for item in task.predictions],
    "predictions_results": lambda task: [item.result for item in task.predictions],
    "file_upload": lambda task: _some(task.file_name),
    "storage_filename": lambda task: (),
    "created_at": lambda task: (task.record.created_at,),
    "updated_at": lambda task: (max([task.record.modified_at, *(item.updated_at for item in task.found)]),),
    "updated_by": lambda task: list(dict.fromkeys(item.author_id for item in task.found))[-1:],
    "avg_lead_time": lambda task: _mean([item.judgement.lead_time for item in task.valid]),
    "draft_exists": lambda task: (task.has_draft,),
}
