"""How good a model is, from probabilities it gave to texts it had not seen.

Thresholds fall and recalls rise along every curve, and the last threshold is 0, because readers look for
the first threshold that is not above theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace.learning.calibration import expected_calibration_error

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

POINTS = 99
AMPLE = 20
"""A label counts as well supported from this many positive examples on, a model as ratable likewise."""

AIMED_RECALL = 0.9
AIMED_PRECISION = 0.9
QUALITIES = ((80, "excellent"), (65, "good"), (45, "average"), (0, "poor"))


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Precision and recall at each distinct threshold, thresholds falling."""

    thresholds: Floats
    precisions: Floats
    recalls: Floats


def validate(probabilities: Floats, truth: Bools, labels: Sequence[str]) -> dict[str, object]:
    """Describe out-of-fold probabilities (texts x labels, every label with a positive) as plain JSON values."""
    curves = [curve(probabilities[:, j], truth[:, j]) for j in range(len(labels))]
    positives = truth.sum(axis=0)
    mean = float(np.mean([average_precision(full) for full in curves]))
    error = expected_calibration_error(probabilities, truth)
    return {
        "reviewed_size": len(truth),
        "labels": {
            name: describe(full, positives=int(count), reviewed=len(truth))
            for name, full, count in zip(labels, curves, positives, strict=True)
        },
        "mean_average_precision": round(mean, 6),
        "micro_f1": round(micro_f1(probabilities >= 0.5, truth), 6),
        "expected_calibration_error": round(error, 6),
        "model_rating": rate(reviewed=len(truth), positives=positives, mean=mean, error=error),
    }


def describe(full: Curve, *, positives: int, reviewed: int) -> dict[str, object]:
    """Describe one label: positives, average precision, a curve of at most 100 points, three thresholds."""
    shown = np.unique(np.searchsorted(full.recalls, np.arange(1, POINTS + 1) / POINTS - 1e-9))
    return {
        "positives": positives,
        "average_precision": round(average_precision(full), 6),
        "thresholds": [*full.thresholds[shown].round(6).tolist(), 0.0],
        "precisions": [*full.precisions[shown].round(6).tolist(), round(positives / reviewed, 6)],
        "recalls": [*full.recalls[shown].round(6).tolist(), 1.0],
        "auto_thresholds": (chosen := auto_thresholds(full)),
        "intervals": {name: interval(full, at, positives=positives) for name, at in chosen.items()},
    }


def interval(full: Curve, threshold: float, *, positives: int) -> dict[str, list[float]]:
    """Give precision and recall of a threshold, each as [estimate, lower, upper] with 95 % confidence.

    The bounds are Wilson's: they hold for few examples, and never leave 0 to 1.
    """
    place = max(int(np.searchsorted(-full.thresholds, -(threshold - 1e-6), side="right")) - 1, 0)
    hits = full.recalls[place] * positives
    chosen = hits / full.precisions[place] if full.precisions[place] else positives
    return {"precision": wilson(hits, chosen), "recall": wilson(hits, positives)}


def wilson(hits: float, trials: float) -> list[float]:
    """Estimate a share from hits among trials, with Wilson's bounds of 95 % confidence."""
    share, z = hits / trials, 1.959964
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    low, high = min(max(centre - reach, 0.0), share), max(min(centre + reach, 1.0), share)
    return [round(float(value), 6) for value in (share, low, high)]


def curve(probabilities: Floats, truth: Bools) -> Curve:
    """Take precision and recall of "at least this probable" at every distinct probability.

    `truth` must have a positive.
    """
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order]
    last_of_equals = np.flatnonzero(np.append(np.diff(falling) != 0, True))
    hits = np.cumsum(truth[order])[last_of_equals]
    return Curve(
        thresholds=falling[last_of_equals],
        precisions=hits / (last_of_equals + 1.0),
        recalls=hits / float(truth.sum()),
    )


def average_precision(full: Curve) -> float:
    """Average the precision over the steps of recall."""
    return float(np.diff(full.recalls, prepend=0.0) @ full.precisions)


def auto_thresholds(full: Curve) -> dict[str, float]:
    """Choose the threshold of best F1, one below or at it for recall, one above or at it for precision.

    High recall is the highest threshold that reaches 0.9; high precision the lowest one that keeps 0.9,
    or the most precise one where none does.
    """
    sums = full.precisions + full.recalls
    f1 = np.divide(2 * full.precisions * full.recalls, sums, out=np.zeros_like(sums), where=sums > 0)
    balanced = full.thresholds[np.argmax(f1)]
    recalled = full.thresholds[np.searchsorted(full.recalls, AIMED_RECALL - 1e-9)]
    precise = np.flatnonzero(full.precisions >= AIMED_PRECISION)
    exact = full.thresholds[precise[-1] if len(precise) else np.argmax(full.precisions)]
    return {
        "high_recall": round(float(min(recalled, balanced)), 6),
        "balanced": round(float(balanced), 6),
        "high_precision": round(float(max(exact, balanced)), 6),
    }


def micro_f1(chosen: Bools, truth: Bools) -> float:
    """Measure F1 over all text-label pairs; 0 when nothing is chosen and nothing true."""
    right, total = int((chosen & truth).sum()), int(chosen.sum()) + int(truth.sum())
    return 2.0 * right / total if total else 0.0


def rate(*, reviewed: int, positives: npt.NDArray[np.integer], mean: float, error: float) -> dict[str, object]:
    """Sum a model up for people: score 0..100, a word for it, and the reasons in sentences.

    The score is 80 parts mean average precision and 20 parts the share of well supported labels.
    """
    thin = int((positives < AMPLE).sum())
    score = round(80.0 * mean + 20.0 * (1.0 - thin / len(positives)))
    reasons = [f"Mean average precision is {mean:.2f} over {len(positives)} labels."]
    if thin:
        reasons.append(f"{thin} of {len(positives)} labels have fewer than {AMPLE} examples.")
    if error > 0.05:
        reasons.append(f"Probabilities are off by {error:.2f} on average.")
    if reviewed < AMPLE:
        reasons.append(f"{reviewed} reviewed texts are too few to rate; {AMPLE} are needed.")
    quality = next(word for least, word in QUALITIES if score >= least) if reviewed >= AMPLE else "none"
    return {"score": score, "quality": quality, "reasons": reasons}
