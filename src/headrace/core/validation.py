"""How good a model is: what training measured on texts it had held out, as stored with the version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.core import datasets, models
from headrace.core.datasets import Label
from headrace.core.errors import NotFound
from headrace.core.models import Model
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.store import Tx

AUTO_THRESHOLDS = ("high_recall", "balanced", "high_precision")


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Precision and recall of one label by threshold; thresholds fall to 0, recalls rise to 1.

    `intervals` gives precision and recall at each automatic threshold as estimate, lower and upper bound with 95 %
    confidence; a version that was trained before they were measured has none.
    """

    positives: int
    average_precision: float
    thresholds: Sequence[float]
    precisions: Sequence[float]
    recalls: Sequence[float]
    auto_thresholds: Mapping[str, float]
    intervals: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)


def of_version(tx: "Tx", who: Principal, ref: Ref, version: int | str) -> tuple[Model, list[Label]]:
    """A version with its metrics, and the dataset's labels; raises NotFound for an unknown version."""
    dataset = datasets.load(tx, who, ref, Permission.VIEW_LABELS)
    return models.find(tx, dataset.id, version), tx.datasets.labels(dataset.id)


def of_label(tx: "Tx", who: Principal, ref: Ref, version: int | str, label: str) -> Curve:
    """The curve of one label in a version; raises NotFound when the version was not validated on that label."""
    dataset = datasets.load(tx, who, ref, Permission.VIEW_LABELS)
    found = curves(models.find(tx, dataset.id, version)).get(label)
    if found is None:
        raise NotFound(f"this version was not validated on the label '{label[:100]}'", fields={"label": label[:100]})
    return found


def curves(model: Model) -> dict[str, Curve]:
    """The curves of all labels a version was validated on."""
    return {name: Curve(**measured) for name, measured in _labels(model).items()}


def auto_thresholds(model: Model) -> dict[str, dict[str, float]]:
    """For each validated label the probabilities it needs for high recall, balance and high precision."""
    return {
        name: {kind: measured["auto_thresholds"][kind] for kind in AUTO_THRESHOLDS}
        for name, measured in _labels(model).items()
    }


def _labels(model: Model) -> Mapping[str, Any]:
    found = model.metrics.get("labels")
    return found if isinstance(found, Mapping) else {}
