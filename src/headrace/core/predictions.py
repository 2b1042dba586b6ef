"""Predictions on demand: what a version says of texts that are not stored, or of records that are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import datasets, exceptions, models, registered_models, streams, validation
from headrace.core.datasets import Dataset
from headrace.core.errors import Conflict, Invalid
from headrace.core.exceptions import Uid
from headrace.core.models import Model, Predicted, Predictor, Scores
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_DOCUMENTS = 4096
MAX_PUSHED = 10_000
DEFAULT_THRESHOLD = 0.25
NEEDS = (Permission.VIEW_LABELS, Permission.VIEW_SOURCES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which labels of a prediction are wanted: those that reach `threshold`, 0 meaning all.

    `labels` restricts them to the names given, each with a threshold of its own or None for the common one.
    `auto` asks for the names of the thresholds that each label reaches, and lets `threshold` be 0.
    """

    threshold: float = DEFAULT_THRESHOLD
    labels: Mapping[str, float | None] | None = None
    auto: bool = False


class Chosen(NamedTuple):
    """A predicted label that was wanted; `reached` names automatic thresholds, None when nobody asked."""

    label: Predicted
    reached: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The version that answered, and one list of labels per text or record, in the order asked."""

    model: Model
    items: Sequence[Sequence[Chosen]]


def of_texts(
    tx: "Tx",
    who: Principal,
    ref: Ref,
    version: int | str,
    texts: Sequence[str],
    selection: Selection,
    predictor: Predictor,
) -> Answer:
    """What a version says of texts, one answer each, in order; nothing is stored. Raises NotFound, Invalid."""
    dataset = datasets.load(tx, who, ref, *NEEDS)
    _check_count("documents", texts)
    model = models.find(tx, dataset.id, version)
    if model.registered:
        raise Invalid("this version was trained elsewhere and cannot be asked about texts", fields={"version": version})
    _check(model, selection)
    return _answer(dataset, model, predictor.predict(model, texts) if texts else [], selection)


def of_records(
    tx: "Tx",
    who: Principal,
    ref: Ref,
    version: int | str,
    uids: Sequence[Uid],
    selection: Selection,
    predictor: Predictor,
) -> Answer:
    """What a version says of the dataset's records, one answer for each uid in order, repeated ones too.

    Raises NotFound for a uid that names no record of the dataset.
    """
    dataset = datasets.load(tx, who, ref, *NEEDS)
    _check_count("uids", uids)
    model = models.find(tx, dataset.id, version)
    _check(model, selection)
    found = exceptions.locate(tx, dataset.source_ids, uids)
    records = tx.records.by_ids(sorted(set(found.values())), dataset.source_ids)
    known = streams.scores(tx, model, records, streams.text_keys(tx, dataset), predictor)
    return _answer(dataset, model, [known[found[uid]] for uid in uids], selection)


def push(
    tx: "Tx",
    who: Principal,
    ref: Ref,
    version: int,
    rows: Sequence[tuple[Uid, Mapping[str, float], float | None]],
) -> int:
    """Store what a registered version says of records: probabilities by label (a label not named has 0) and sentiment.

    Answers how many. Raises NotFound for an unknown version or record, Conflict for a version that was trained here,
    and Invalid for an unknown label or a number out of bounds; then nothing is stored.
    """
    dataset = datasets.load(tx, who, ref, Permission.MODELS_ADMIN, Permission.VIEW_LABELS, Permission.VIEW_SOURCES)
    model = models.load(tx, dataset.id, version)
    if not model.registered:
        raise Conflict(
            "this version was trained here; register one for predictions made elsewhere", fields={"version": version}
        )
    if len(rows) > MAX_PUSHED:
        raise Invalid(f"predictions holds more than {MAX_PUSHED} items", fields={"predictions": len(rows)})
    found = exceptions.locate(tx, dataset.source_ids, [uid for uid, _, _ in rows])
    said = {found[uid]: Scores(registered_models.packed(model, labels), _mood(mood)) for uid, labels, mood in rows}
    stored = tx.records.by_ids(sorted(said), dataset.source_ids)
    tx.predictions.save(model.id, [(record.id, record.version, said[record.id]) for record in stored])
    tx.events.add(
        "predictions.created",
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=model.id,
        data={"version": model.version, "count": len(said)},
    )
    return len(said)


def _mood(sentiment: float | None) -> float | None:
    if sentiment is not None and not -1 <= sentiment <= 1:
        raise Invalid("sentiment must be -1 to 1", fields={"sentiment": sentiment})
    return sentiment


def _check_count(field: str, items: Sequence[object]) -> None:
    if len(items) > MAX_DOCUMENTS:
        raise Invalid(f"{field} holds more than {MAX_DOCUMENTS} items", fields={field: len(items)})


def _check(model: Model, selection: Selection) -> None:
    given = [selection.threshold, *(value for value in (selection.labels or {}).values() if value is not None)]
    for threshold in given:
        if not 0 <= threshold <= 1:
            raise Invalid("threshold must be 0 to 1", fields={"threshold": threshold})
    for name in selection.labels or ():
        if name not in model.labels:
            raise Invalid(
                f"labels names '{name[:100]}', which the version does not know", fields={"labels": name[:100]}
            )


def _answer(dataset: Dataset, model: Model, scores: Sequence[Scores], selection: Selection) -> Answer:
    automatic = validation.auto_thresholds(model) if selection.auto else None
    limits = _limits(model, selection)
    items = []
    for score in scores:
        labels = models.predicted(model, score, sentiment=dataset.has_sentiment)
        wanted = set(datasets.with_parents([item.name for item in labels if item.probability >= limits[item.name]]))
        items.append([Chosen(item, _reached(item, automatic)) for item in labels if item.name in wanted])
    return Answer(model=model, items=items)


def _limits(model: Model, selection: Selection) -> dict[str, float]:
    """The probability from which each label is wanted; above 1 for one that is not wanted at all."""
    common = 0.0 if selection.auto else selection.threshold
    if selection.labels is None:
        return dict.fromkeys(model.labels, common)
    given = {name: common if value is None else value for name, value in selection.labels.items()}
    return dict.fromkeys(model.labels, 2.0) | given


def _reached(label: Predicted, automatic: Mapping[str, Mapping[str, float]] | None) -> tuple[str, ...] | None:
    if automatic is None:
        return None
    return tuple(kind for kind, least in automatic.get(label.name, {}).items() if label.probability >= least)
