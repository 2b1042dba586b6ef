"""Drift: how well a classifier tells the newest records from the reviewed ones, from their words alone."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from headrace.learning.classifier import assign_folds
from headrace.learning.features import learn_vocabulary, reads_characters, vectorise

SAMPLE = 400
"""At most this many texts of either kind are compared."""

FEWEST = 50
"""With fewer texts of either kind nothing can be said."""

FOLDS = 5
MAX_TERMS = 2**13
STRENGTH = 1.0


def drift(reviewed: Sequence[str], recent: Sequence[str], *, family: str, seed: int = 0) -> float | None:
    """Measure from 0.5 (nobody can tell them apart) to 1.0 (always) on texts held out; None with too few of either.

    It is the area under the curve of a classifier that is fitted to say which texts are recent.
    """
    chance = np.random.default_rng(seed)
    old, new = (_sample(sorted(set(texts)), chance) for texts in (reviewed, set(recent).difference(reviewed)))
    if min(len(old), len(new)) < FEWEST:
        return None
    texts = [*old, *new]
    rows = vectorise(texts, learn_vocabulary(texts, characters=reads_characters(family), max_terms=MAX_TERMS))
    is_new = np.arange(len(texts)) >= len(old)
    scores = _held_out(rows, is_new, assign_folds(texts, FOLDS), seed)
    return round(max(_area(scores[is_new], scores[~is_new]), 0.5), 4)


def _sample(texts: Sequence[str], chance: np.random.Generator) -> list[str]:
    if len(texts) <= SAMPLE:
        return list(texts)
    return [texts[place] for place in sorted(chance.choice(len(texts), SAMPLE, replace=False))]


def _held_out(
    rows: sparse.csr_array, is_new: npt.NDArray[np.bool_], folds: npt.NDArray[np.int32], seed: int
) -> npt.NDArray[np.float64]:
    scores = np.zeros(len(is_new))
    for fold in range(FOLDS):
        held = folds == fold
        model = LogisticRegression(C=STRENGTH, solver="liblinear", class_weight="balanced", random_state=seed)
        model.fit(rows[~held], is_new[~held])
        scores[held] = model.decision_function(rows[held])
    return scores


def _area(positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64]) -> float:
    """The share of pairs in which the positive scores higher, ties counting half."""
    greater = (positive[:, None] > negative[None, :]).mean()
    return float(greater + (positive[:, None] == negative[None, :]).mean() / 2.0)
