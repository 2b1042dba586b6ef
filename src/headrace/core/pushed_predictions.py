"""Predictions pushed from elsewhere: stored one by one or in bulk, changed, removed.

A model that was trained elsewhere is registered by pushing predictions under its name; nothing else is known of it.
What it says must fit the label configuration, and one misfit refuses the whole request.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core import datasets, label_config, label_results, registered_models, task_predictions
from headrace.core.datasets import Dataset
from headrace.core.errors import Forbidden, Invalid, NotFound
from headrace.core.imports import PushedPrediction
from headrace.core.label_config import LabelConfig
from headrace.core.label_fit import Fit
from headrace.core.records import ranges
from headrace.core.rights import Permission, Principal
from headrace.core.task_predictions import MODEL_VERSION, UNDEFINED_VERSION, TaskPrediction

if TYPE_CHECKING:
    from headrace.core.store import Tx

NEEDS = (Permission.EDIT_MESSAGES, Permission.VIEW_LABELS)
SHOWN_PROBLEMS = 100
OWN = "this prediction is of the dataset's own model and changes with its next version"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """One prediction as it was sent. `result` is JSON text, `decoded` reads it when it is needed."""

    record_id: int
    result: str
    decoded: Callable[[], object]
    model_version: str | None = None
    score: float | None = None


def fitting(config_xml: str, items: Sequence[Sent], encode: Callable[[object], str]) -> list[PushedPrediction]:
    """What is to be stored of each item, short forms of results written out by `encode`.

    Raises Invalid, naming the items and the reasons, when one does not fit the configuration.
    """
    config = label_config.parse(config_xml)
    fit = Fit(config)
    rows: list[PushedPrediction] = []
    problems: list[str] = []
    for number, item in enumerate(items):
        result, text = _expanded(config, item, encode)
        problem = fit.problem(result)
        if problem is not None:
            problems.append(f"Error at item {number}: {problem}")
        if len(problems) == SHOWN_PROBLEMS:
            break
        version = UNDEFINED_VERSION if item.model_version is None else item.model_version
        rows.append(PushedPrediction(text, version, item.score))
    if problems:
        raise Invalid("\n".join(problems), fields={"predictions": len(problems)})
    return rows


def _expanded(config: LabelConfig, item: Sent, encode: Callable[[object], str]) -> tuple[object, str]:
    result = item.decoded()
    if isinstance(result, list):
        return result, item.result
    regions = label_results.expand_result(config, result)
    return (result, item.result) if regions is None else (regions, encode(regions))


def load_config(tx: "Tx", who: Principal, dataset_id: int) -> str:
    """The label configuration of a dataset whose predictions the caller may push; raises NotFound."""
    return _load(tx, who, dataset_id).label_config


def push_many(
    tx: "Tx", who: Principal, dataset_id: int, record_ids: Sequence[int], rows: list[PushedPrediction]
) -> int:
    """Store predictions of tasks of a dataset, all or none; answers how many.

    A dataset that names no model version takes that of the last one. Raises Invalid for a task of another dataset.
    """
    dataset = _load(tx, who, dataset_id)
    strangers = tx.task_predictions.strangers(dataset.own_source_id or 0, record_ids)
    if strangers:
        number = next(place for place, record_id in enumerate(record_ids) if record_id in strangers)
        raise Invalid(
            f'Error at item {number}: invalid "task" field: corresponding task ID {record_ids[number]} '
            f"couldn't be retrieved from project {dataset.title} (id={dataset.id}) tasks",
            fields={"task_id": record_ids[number]},
        )
    _store(tx, who, dataset, list(zip(record_ids, rows, strict=True)))
    if rows and not dataset.settings.get(MODEL_VERSION):
        tx.datasets.update(dataset.id, {"settings": {MODEL_VERSION: rows[-1].model_version}})
    return len(rows)


def push(tx: "Tx", who: Principal, item: Sent, encode: Callable[[object], str]) -> tuple[Dataset, TaskPrediction]:
    """Store one prediction of a task; raises NotFound, and Invalid when it does not fit the configuration."""
    dataset = datasets.of_record(tx, who, item.record_id, *NEEDS)
    row = _one(dataset, item, encode)
    prediction_id = _store(tx, who, dataset, [(item.record_id, row)])[0]
    return task_predictions.get(tx, who, prediction_id)


def revise(
    tx: "Tx",
    who: Principal,
    prediction_id: int,
    changes: Mapping[str, object],
    result: tuple[str, Callable[[], object]] | None,
    encode: Callable[[object], str],
) -> tuple[Dataset, TaskPrediction]:
    """Change what is named (score, model_version) and the result unless it is None; raises Forbidden, Invalid."""
    dataset, known = _pushed(tx, who, prediction_id)
    changed = dict(changes)
    if result is not None:
        item = Sent(record_id=known.record_id, result=result[0], decoded=result[1])
        changed["result"] = _one(dataset, item, encode).result
    if changed:
        tx.task_predictions.update(prediction_id, changed)
        _event(tx, who, dataset, "prediction.updated", prediction_id, {"record_id": known.record_id})
    return task_predictions.get(tx, who, prediction_id)


def remove(tx: "Tx", who: Principal, prediction_id: int) -> None:
    """Remove one prediction; raises NotFound, and Forbidden for one of the dataset's own model."""
    dataset, known = _pushed(tx, who, prediction_id)
    tx.task_predictions.delete(prediction_id)
    _event(tx, who, dataset, "predictions.deleted", None, {"ranges": [[known.id, known.id]], "count": 1})


def remove_version(tx: "Tx", who: Principal, dataset_id: int, version: str) -> int:
    """Remove all predictions pushed under a model version; answers how many."""
    dataset = _load(tx, who, dataset_id)
    ids = tx.task_predictions.delete_version(dataset.id, version)
    if ids:
        spans = list(ranges((number, number) for number in ids))
        data = {"ranges": spans, "count": len(ids), "model_version": version}
        _event(tx, who, dataset, "predictions.deleted", None, data)
    return len(ids)


def _load(tx: "Tx", who: Principal, dataset_id: int) -> Dataset:
    dataset = datasets.load(tx, who, dataset_id, *NEEDS)
    if dataset.own_source_id is None:
        raise NotFound("there is no such project", fields={"project": dataset_id})
    return dataset


def _pushed(tx: "Tx", who: Principal, prediction_id: int) -> tuple[Dataset, TaskPrediction]:
    dataset, known, row = task_predictions.load(tx, who, prediction_id, *NEEDS)
    if row.model_id is not None:
        raise Forbidden(OWN, fields={"prediction": prediction_id})
    return dataset, known


def _one(dataset: Dataset, item: Sent, encode: Callable[[object], str]) -> PushedPrediction:
    try:
        return fitting(dataset.label_config, [item], encode)[0]
    except Invalid as error:
        problem = error.message.partition(": ")[2]
        raise Invalid(problem, fields={"result": problem}) from error


def _store(tx: "Tx", who: Principal, dataset: Dataset, rows: list[tuple[int, PushedPrediction]]) -> Sequence[int]:
    ids = tx.task_predictions.insert(dataset.id, rows) if rows else []
    if ids:
        spans = list(ranges((number, number) for number in ids))
        _event(tx, who, dataset, "predictions.created", None, {"ranges": spans, "count": len(ids)})
        registered_models.met(tx, who, dataset, {row.model_version for _, row in rows})
    return ids


def _event(
    tx: "Tx", who: Principal, dataset: Dataset, kind: str, prediction_id: int | None, data: Mapping[str, object]
) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=prediction_id,
        data=data,
    )
