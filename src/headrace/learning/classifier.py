"""One-vs-rest logistic regression over sparse rows, and its out-of-fold scores."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]

STRENGTH = 20.0
WORK = 1e8
"""How many products of one fit are worth their time: passes x non-zero values x labels."""


@dataclass(frozen=True, kw_only=True)
class Linear:
    """One score per label: `weights` (columns x labels) times a row, plus `intercepts` (labels)."""

    weights: Weights
    intercepts: Floats


def fit(rows: sparse.csr_array, truth: Bools, *, seed: int, done: Callable[[], None]) -> Linear:
    """Learn to score; a label with a single class gets its shrunk log-odds whatever the row.

    `done` is called after each label.
    """
    weights = np.zeros((rows.shape[1], truth.shape[1]), dtype=np.float32)
    positives = truth.sum(axis=0)
    intercepts = np.log((positives + 0.5) / (len(truth) - positives + 0.5))
    passes = int(np.clip(WORK / max(rows.nnz * truth.shape[1], 1), 4, 100))
    with warnings.catch_warnings():
        # The number of passes is bounded on purpose: later ones cost time and change no ranking.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for label in range(truth.shape[1]):
            if rows.shape[1] and 0 < positives[label] < len(truth):
                model = LogisticRegression(
                    C=STRENGTH, solver="liblinear", dual=True, tol=0.01, max_iter=passes, random_state=seed
                )
                model.fit(rows, truth[:, label])
                weights[:, label], intercepts[label] = model.coef_[0], model.intercept_[0]
            done()
    return Linear(weights=weights, intercepts=intercepts)


def fold_count(texts: int) -> int:
    """Choose how many folds validation takes: many while texts are few and fitting is cheap."""
    if texts < 500:
        return 10
    return 5 if texts < 10_000 else 2


def assign_folds(texts: Sequence[str], folds: int) -> npt.NDArray[np.int32]:
    """Deal texts into folds of equal size by their digest; equal texts always share one."""
    names = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    rank = {name: position for position, name in enumerate(sorted(set(names)))}
    return np.array([rank[name] % folds for name in names], dtype=np.int32)


def out_of_fold(
    rows: sparse.csr_array,
    truth: Bools,
    folds: npt.NDArray[np.int32],
    *,
    seed: int,
    done: Callable[[], None],
) -> npt.NDArray[np.float32]:
    """Score every text with weights that never saw it (texts x labels), leaving intercepts out.

    A fold's own intercept is lower the more positives the fold holds out, and would make them look worse
    than texts without the label.
    """
    scores = np.zeros(truth.shape, dtype=np.float32)
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        weights = fit(rows[~held], truth[~held], seed=seed, done=done).weights
        scores[held] = as_unseen(rows[held], rows[~held]) @ weights
    return scores


def as_unseen(held: sparse.csr_array, seen: sparse.csr_array) -> sparse.csr_array:
    """Rescale held-out rows to the length they would have if only the seen rows' columns were known.

    A new text's unknown terms have no column and take no share of its length; without this, scores in
    validation are smaller than later in use, and probabilities fitted to them too bold.
    """
    known = np.bincount(seen.indices, minlength=seen.shape[1]) > 0
    lengths = np.sqrt(held.power(2) @ known.astype(np.float64))
    return sparse.csr_array(sparse.diags_array(1.0 / np.where(lengths > 0, lengths, 1.0)) @ held)
