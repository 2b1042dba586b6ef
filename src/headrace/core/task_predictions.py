"""What models say of tasks: predictions pushed from elsewhere, and those of the dataset's own latest model.

The own model speaks to the tasks of a dataset whose label configuration asks for labels that it knows. Its word is
put into regions only when somebody reads them: the best choice where one may be chosen, else all labels above one
half, or the best one where none is.
"""

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import datasets, label_config, label_results
from headrace.core.datasets import SEPARATOR, Dataset
from headrace.core.errors import NotFound
from headrace.core.label_config import LabelConfig
from headrace.core.rights import Permission, Principal
from headrace.core.views import PRESENT_ABOVE

if TYPE_CHECKING:
    from headrace.core.imports import PushedPrediction
    from headrace.core.store import Tx

MODEL_VERSION = "model_version"
UNDEFINED_VERSION = "undefined"
NEEDS = (Permission.VIEW_SOURCES, Permission.VIEW_LABELS)


class Question(NamedTuple):
    """A control that the own model answers: its labels, as (place among the probabilities, dataset label)."""

    several: bool
    options: tuple[tuple[int, str], ...]


@dataclass(frozen=True, kw_only=True)
class OwnModel:
    """The dataset's own model as the tasks hear it."""

    id: int
    config: LabelConfig
    questions: tuple[Question, ...]
    _texts: dict[tuple[str, ...], str] = field(default_factory=dict)

    def result(self, probabilities: bytes) -> str:
        """The regions, as JSON text, that say what these probabilities mean."""
        values = array("f", probabilities)
        chosen = tuple(name for question in self.questions for name in _chosen(question, values))
        text = self._texts.get(chosen)
        if text is None:
            regions = label_results.result_of(self.config, chosen)
            text = self._texts[chosen] = json.dumps(regions, ensure_ascii=False, separators=(",", ":"))
        return text


class StoredPrediction(NamedTuple):
    """A prediction as it is stored: a pushed one has a result, one of an own model has probabilities."""

    id: int
    dataset_id: int
    record_id: int
    model_id: int | None
    result: str | None
    model_version: str | None
    score: float | None
    probabilities: bytes | None
    created_at: int
    updated_at: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskPrediction:
    """What one model says of one task; times are microseconds since the epoch. `own` made it, None for a pushed one."""

    id: int
    record_id: int
    model_version: str
    score: float | None
    created_at: int
    updated_at: int
    said: str | bytes
    own: OwnModel | None = None

    @property
    def result(self) -> str:
        """The regions as JSON text; those of an own model are made now."""
        if isinstance(self.said, str):
            return self.said
        return self.own.result(self.said) if self.own else "[]"


class TaskPredictions(Protocol):
    """Storage of predictions as tasks show them: the pushed ones, and those of one own model when it is named."""

    def newest(self, dataset_id: int) -> tuple[int, tuple[str, ...]] | None:
        """The id and the labels of the dataset's latest model."""

    def labels(self, model_id: int) -> tuple[str, ...]:
        """The labels of a model; none when it is gone."""

    def of_records(self, dataset_id: int, model_id: int | None, record_ids: Sequence[int]) -> list[StoredPrediction]:
        """The predictions of the records, by id."""

    def get(self, prediction_id: int) -> StoredPrediction | None:
        """One prediction."""

    def some(self, dataset_id: int, prediction_ids: Sequence[int]) -> list[StoredPrediction]:
        """Those of the pushed predictions of the dataset that exist."""

    def count(self, dataset_id: int, model_id: int | None, source_id: int | None) -> int:
        """How many predictions there are, of the records of one source or of all."""

    def versions(self, dataset_id: int, model_id: int | None, source_id: int | None) -> dict[str, int]:
        """The same by model version."""

    def behind(
        self, dataset_id: int, model_id: int | None, source_id: int | None, record_id: int, limit: int
    ) -> list[int]:
        """The next records behind one that have predictions, by id."""

    def insert(self, dataset_id: int, rows: Sequence[tuple[int, "PushedPrediction"]]) -> Sequence[int]:
        """Store pushed predictions as (record id, prediction); answers their ids in order."""

    def update(self, prediction_id: int, changes: Mapping[str, object]) -> None:
        """Set columns of a pushed prediction."""

    def delete(self, prediction_id: int) -> None:
        """Remove a pushed prediction."""

    def delete_version(self, dataset_id: int, version: str) -> list[int]:
        """Remove the pushed predictions of a model version; answers their ids in order."""

    def strangers(self, source_id: int, record_ids: Iterable[int]) -> set[int]:
        """Those of the ids that no record of the source has."""


def own_model(tx: "Tx", dataset: Dataset) -> OwnModel | None:
    """The dataset's latest model, when its label configuration asks for labels that the model knows."""
    newest = tx.task_predictions.newest(dataset.id) if dataset.label_config else None
    return _speaking(dataset, *newest) if newest else None


def shown(
    tx: "Tx", dataset: Dataset, record_ids: Sequence[int], own: OwnModel | None
) -> dict[int, list[TaskPrediction]]:
    """What is said of each record, by id; those of the version that the dataset's settings name come first."""
    found: dict[int, list[TaskPrediction]] = {record_id: [] for record_id in record_ids}
    named = dataset.settings.get(MODEL_VERSION)
    rows = tx.task_predictions.of_records(dataset.id, own.id if own else None, record_ids)
    for row in sorted(rows, key=lambda row: row.model_version != named) if named else rows:
        found[row.record_id].append(_prediction(row, own))
    return found


def of_records(tx: "Tx", dataset: Dataset, record_ids: Sequence[int]) -> dict[int, list[TaskPrediction]]:
    """`shown` with the dataset's own model."""
    return shown(tx, dataset, record_ids, own_model(tx, dataset)) if record_ids else {}


def versions(tx: "Tx", dataset: Dataset) -> dict[str, int]:
    """How many predictions of the dataset's own tasks are shown, by model version."""
    own = own_model(tx, dataset)
    return tx.task_predictions.versions(dataset.id, own.id if own else None, _within(dataset))


def count(tx: "Tx", dataset: Dataset) -> int:
    """How many predictions of the dataset's own tasks are shown."""
    own = own_model(tx, dataset)
    return tx.task_predictions.count(dataset.id, own.id if own else None, _within(dataset))


def _within(dataset: Dataset) -> int | None:
    """The source whose records are tasks, None where the dataset views no other: then nothing need be looked up."""
    return None if dataset.source_ids == (dataset.own_source_id,) else dataset.own_source_id


def load(
    tx: "Tx", who: Principal, prediction_id: int, *needs: Permission
) -> tuple[Dataset, TaskPrediction, StoredPrediction]:
    """A prediction of a task with its dataset, also one of an own model of before; raises NotFound."""
    row = tx.task_predictions.get(prediction_id)
    dataset = tx.datasets.owning(row.record_id, who.scope) if row else None
    if row is None or dataset is None or dataset.id != row.dataset_id:
        raise NotFound("there is no such prediction", fields={"prediction": prediction_id})
    who.require(dataset.project_id, *needs)
    own = None if row.model_id is None else _speaking(dataset, row.model_id, tx.task_predictions.labels(row.model_id))
    return dataset, _prediction(row, own), row


def get(tx: "Tx", who: Principal, prediction_id: int) -> tuple[Dataset, TaskPrediction]:
    """A prediction of a task with its dataset; raises NotFound."""
    dataset, found, _ = load(tx, who, prediction_id, *NEEDS)
    return dataset, found


def some(tx: "Tx", dataset: Dataset, prediction_ids: Sequence[int]) -> dict[int, TaskPrediction]:
    """Those of the pushed predictions of a loaded dataset that exist, by id."""
    return {row.id: _prediction(row, None) for row in tx.task_predictions.some(dataset.id, prediction_ids)}


def of_task(tx: "Tx", who: Principal, record_id: int) -> tuple[Dataset, list[TaskPrediction]]:
    """The predictions of one task with its dataset; raises NotFound."""
    dataset = datasets.of_record(tx, who, record_id, *NEEDS)
    return dataset, of_records(tx, dataset, [record_id])[record_id]


def behind(tx: "Tx", dataset: Dataset, record_id: int, limit: int) -> dict[int, list[TaskPrediction]]:
    """The predictions of the next tasks of a loaded dataset that have some, by record id; empty at the end."""
    own = own_model(tx, dataset)
    ids = tx.task_predictions.behind(dataset.id, own.id if own else None, _within(dataset), record_id, limit)
    return shown(tx, dataset, ids, own)


def own_version(dataset_name: str, version: int) -> str:
    """What a version of the dataset's own model is called among the model versions."""
    return f"{dataset_name} v{version}"


def _speaking(dataset: Dataset, model_id: int, labels: Sequence[str]) -> OwnModel | None:
    config = label_config.parse(dataset.label_config)
    places = {name: place for place, name in enumerate(labels)}
    options: dict[str, list[tuple[int, str]]] = {}
    for name, (control, _) in config.vocabulary.items():
        if name in places:
            options.setdefault(control.name, []).append((places[name], name))
    if not options:
        return None
    several = {control.name: control.several for control in config.controls}
    questions = tuple(Question(several[name], tuple(found)) for name, found in options.items())
    return OwnModel(id=model_id, config=config, questions=questions)


def _chosen(question: Question, values: Sequence[float]) -> list[str]:
    above = [name for place, name in question.options if values[place] > PRESENT_ABOVE]
    if not question.several or not above:
        return [max(question.options, key=lambda option: values[option[0]])[1]]
    parents = {parent for name in above for parent in datasets.with_parents([name])[:-1]} if _deep(above) else ()
    return [name for name in above if name not in parents]


def _deep(names: Iterable[str]) -> bool:
    return any(SEPARATOR in name for name in names)


def _prediction(row: StoredPrediction, own: OwnModel | None) -> TaskPrediction:
    said = row.result if row.model_id is None else row.probabilities
    return TaskPrediction(
        id=row.id,
        record_id=row.record_id,
        model_version=row.model_version or UNDEFINED_VERSION,
        score=row.score,
        created_at=row.created_at,
        updated_at=row.updated_at or row.created_at,
        said="[]" if said is None else said,
        own=own,
    )
