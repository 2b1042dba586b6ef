"""From reviewed examples to a model with its validation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
from scipy import sparse

from headrace.learning.calibration import Bools, Floats, calibrate, cross_fitted
from headrace.learning.classifier import assign_folds, fit, fold_count, out_of_fold
from headrace.learning.features import learn_vocabulary, reads_characters, vectorise
from headrace.learning.prediction import dump, nested, parent_columns
from headrace.learning.validation import validate
from headrace.learning.values import Example, NotEnoughExamples, Trained, digest, parent, require_enough

__all__ = ["Example", "NotEnoughExamples", "Trained", "train"]

MAX_TERMS = 2**15
MAX_WEIGHTS = 2**26


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Columns of a model: weights with their slopes inside, offsets, cross-fitted probabilities of the texts."""

    weights: Floats
    offsets: Floats
    validated: Floats


def train(
    examples: Sequence[Example],
    *,
    family: str,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Trained:
    """Learn a model from the examples and validate it on texts held out; the order of examples is immaterial.

    A label implies its parents. NotEnoughExamples if nothing can be learned, see `require_enough`.
    `progress` is told the finished share, rising to 1. The same examples, family and seed give the same bytes.
    """
    require_enough(examples)
    ordered = sorted(examples, key=_canonical)
    labels = tuple(sorted({label for example in ordered for label in implied(example.labels)}))
    texts = [example.text for example in ordered]
    limit = max(min(MAX_TERMS, MAX_WEIGHTS // len(labels)), 1_000)
    vocabulary = learn_vocabulary(texts, characters=reads_characters(family), max_terms=limit)
    rows = vectorise(texts, vocabulary)
    folds = assign_folds(texts, fold_count(len(texts)))
    truth, moods = _truth(ordered, labels), _moods(ordered)
    felt = np.flatnonzero(moods)
    done = _ticker((int(folds.max()) + 2) * (len(labels) + bool(len(felt))), progress)
    judged = _fit(rows, truth, folds, seed, done)
    metrics = validate(nested(judged.validated, parent_columns(labels)), truth, labels)
    weights, offsets = judged.weights, judged.offsets
    if len(felt):
        mood = _fit(rows[felt], moods[felt, None] > 0, folds[felt], seed, done)
        weights, offsets = np.hstack([weights, mood.weights]), np.append(offsets, mood.offsets)
        metrics["sentiment"] = _sentiment_metrics(mood.validated[:, 0], moods[felt] > 0)
    artefact = dump(labels=labels, family=family, vocabulary=vocabulary, weights=weights, offsets=offsets)
    if progress is not None:
        progress(1.0)
    return Trained(artefact=artefact, digest=digest(artefact), labels=labels, metrics=metrics)


def implied(labels: Sequence[str]) -> set[str]:
    """Add every label's parents to the labels."""
    found: set[str] = set()
    for label in labels:
        above: str | None = label
        while above is not None and above not in found:
            found.add(above)
            above = parent(above)
    return found


def mood_of(sentiment: Mapping[str, float] | None) -> float:
    """Take the mean of an example's sentiments; 0 where there are none."""
    return float(np.mean(list(sentiment.values()))) if sentiment else 0.0


def _canonical(example: Example) -> tuple[str, list[str], float]:
    return example.text, sorted(example.labels), mood_of(example.sentiment)


def _truth(examples: Sequence[Example], labels: Sequence[str]) -> Bools:
    column = {label: position for position, label in enumerate(labels)}
    truth = np.zeros((len(examples), len(labels)), dtype=np.bool_)
    for row, example in enumerate(examples):
        truth[row, [column[label] for label in implied(example.labels)]] = True
    return truth


def _moods(examples: Sequence[Example]) -> Floats:
    return np.array([mood_of(example.sentiment) for example in examples], dtype=np.float64)


def _fit(
    rows: sparse.csr_array,
    truth: Bools,
    folds: npt.NDArray[np.int32],
    seed: int,
    done: Callable[[], None],
) -> Fitted:
    linear = fit(rows, truth, seed=seed, done=done)
    scores = out_of_fold(rows, truth, folds, seed=seed, done=done) + linear.intercepts.astype(np.float32)
    slopes, offsets = calibrate(scores, truth)
    return Fitted(
        weights=linear.weights * slopes,
        offsets=linear.intercepts * slopes + offsets,
        validated=cross_fitted(scores, truth, folds),
    )


def _sentiment_metrics(probabilities: Floats, positive: Bools) -> dict[str, object]:
    accuracy = float(np.mean((probabilities >= 0.5) == positive))
    return {"reviewed_size": len(positive), "accuracy": round(accuracy, 6)}


def _ticker(total: int, progress: Callable[[float], None] | None) -> Callable[[], None]:
    steps = count(1)

    def done() -> None:
        if progress is not None:
            progress(min(next(steps) / total, 1.0))

    return done
