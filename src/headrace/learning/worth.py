"""What labelling a text would teach, from a version's answer to it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headrace.learning.features import folded, terms_of
from headrace.learning.values import parent

Floats = npt.NDArray[np.floating]


def hesitation(
    probabilities: Floats, labels: Sequence[str], weights: Sequence[float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """For each text how near its two most probable labels are to each other, 0 to 1; and the same taken times the mean
    weight of the two: how much they need examples.

    Only labels without children count, as a parent is as probable as its most probable child. A single label is
    weighed against its absence.
    """
    parents = {parent(label) for label in labels}
    leaves = [place for place, label in enumerate(labels) if label not in parents]
    values = np.asarray(probabilities, dtype=np.float64)[:, leaves]
    heavy = np.array(weights, dtype=np.float64)[leaves]
    if len(leaves) < 2:
        near = 1.0 - np.abs(2.0 * values - 1.0).max(axis=1, initial=0.0)
        return near, near * heavy.mean() if len(leaves) else near
    first_two = np.argsort(-values, axis=1, kind="stable")[:, :2]
    best = np.take_along_axis(values, first_two, axis=1)
    near = 1.0 - (best[:, 0] - best[:, 1])
    return near, near * heavy[first_two].mean(axis=1)


def novelty(texts: Sequence[str], index: dict[str, int]) -> list[float]:
    """For each text the share of its words and word pairs that the version never saw, 0 to 1."""
    return [_unknown(terms_of(folded(text)), index) for text in texts]


def _unknown(terms: Sequence[str], index: dict[str, int]) -> float:
    return sum(term not in index for term in terms) / len(terms) if terms else 0.0
