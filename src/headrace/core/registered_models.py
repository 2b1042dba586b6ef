"""Models trained elsewhere: registered as versions of a dataset by the predictions that are pushed under their name.

A registered version has a number beside the trained ones, can be tagged, named by streams and compared, and is never
swept. It says what was pushed for a record, and nothing of any other record: it cannot be asked about new texts. Two
ways lead here. Label Studio's predictions name a `model_version`; the first of a name registers it, with the labels of
the project's configuration, and each choice of a result counts with the prediction's score. Communications Mining's
callers register a name with its labels and push probabilities by label. What is pushed again replaces what was said.
"""

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from headrace.core import datasets, label_config, label_results
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.models import Model, Scores
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.records import Record
    from headrace.core.store import Tx

MAX_NAME = 256
MAX_LABELS = 10_000
NOT_A_MODEL = frozenset({"undefined", "preannotated"})
"""Versions under which Label Studio keeps predictions that name none."""


def register(tx: "Tx", who: Principal, ref: Ref, name: str, labels: Sequence[str]) -> Model:
    """Register a model trained elsewhere; the same name with the same labels is the version it was. Raises Invalid."""
    dataset = datasets.load(tx, who, ref, Permission.MODELS_ADMIN, Permission.VIEW_LABELS)
    if not 0 < len(name) <= MAX_NAME:
        raise Invalid(f"name must have 1 to {MAX_NAME} characters", fields={"name": name[:40]})
    if not 0 < len(labels) <= MAX_LABELS or len(set(labels)) < len(labels):
        raise Invalid(f"labels must name 1 to {MAX_LABELS} labels, each once", fields={"labels": len(labels)})
    names = tuple(datasets.with_parents([datasets.check_label_name(label) for label in labels]))
    return _registered(tx, who, dataset, name, names)


def met(tx: "Tx", who: Principal, dataset: Dataset, names: Iterable[str]) -> None:
    """Register the versions under which Label Studio's predictions of the dataset's tasks were pushed."""
    for name in sorted(set(names) - NOT_A_MODEL):
        labels = label_config.labels(label_config.parse(dataset.label_config)) if dataset.label_config else ()
        if labels and 0 < len(name) <= MAX_NAME:
            _registered(tx, who, dataset, name, tuple(datasets.with_parents(labels)))


def scores(tx: "Tx", model: Model, records: Sequence["Record"]) -> dict[int, Scores]:
    """What a registered version says of each record; one it was not told about has no label."""
    ids = [record.id for record in records]
    known = tx.predictions.of(model.id, ids)
    name = tx.models.registered_name(model.id)
    nothing = Scores(bytes(4 * len(model.labels)), None)
    found = dict.fromkeys(ids, nothing) | known
    if name is None or len(known) == len(found):
        return found
    dataset = tx.datasets.get(model.dataset_id, None)
    config = label_config.parse(dataset.label_config) if dataset and dataset.label_config else None
    for item in tx.predictions.pushed(model.dataset_id, [number for number in ids if number not in known]):
        if config is not None and item.prediction.model_version == name:
            chosen = datasets.with_parents(label_results.labels_of(config, json.loads(item.prediction.result)))
            sure = item.prediction.score
            worth = 1.0 if sure is None else min(max(sure, 0.0), 1.0)
            found[item.record_id] = Scores(packed(model, {n: worth for n in chosen if n in model.labels}), None)
    return found


def _registered(tx: "Tx", who: Principal, dataset: Dataset, name: str, labels: tuple[str, ...]) -> Model:
    known = tx.models.registered(dataset.id, name)
    if known is not None and set(known.labels) == set(labels):
        return known
    model = tx.models.register(dataset.id, name, labels)
    tx.datasets.ensure_labels(dataset.id, list(labels))
    _event(tx, who, dataset, "model.registered", model, {"version": model.version, "name": name})
    return model


def packed(model: Model, labels: Mapping[str, float]) -> bytes:
    """Probabilities in the order of the model's labels; a parent is as probable as its child. Raises Invalid."""
    places = {label: place for place, label in enumerate(model.labels)}
    values = array("f", bytes(4 * len(places)))
    for label, probability in labels.items():
        if label not in places:
            raise Invalid(f"the version does not know the label '{label[:100]}'", fields={"labels": label[:100]})
        if not 0 <= probability <= 1:
            raise Invalid("probability must be 0 to 1", fields={"probability": probability})
        for name in datasets.with_parents([label]):
            values[places[name]] = max(values[places[name]], probability)
    return values.tobytes()


def _event(tx: "Tx", who: Principal, dataset: Dataset, kind: str, model: Model, data: Mapping[str, object]) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=model.id,
        data=data,
    )
