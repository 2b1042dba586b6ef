"""From out-of-fold scores to probabilities that mean what they say, also with few examples.

Each label's probability is sigmoid(slope * score + offset). Slope and offset are the most probable ones
under a normal prior around those fitted over all labels together; the common slope in turn is drawn
towards 1, the scores as they are. So with few examples no label strays far from what its own few
positives say, and with many the label's own evidence decides.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

BINS = 10
MAX_POOLED = 500_000
STEPS = 30
TOLERANCE = 1e-5

# Slope, offset. The figures matter little: halving or doubling them moves the error by under 0.005.
COMMON_MEAN, COMMON_DEVIATION = (1.0, 0.0), (1.0, 0.5)
LABEL_DEVIATION = (0.5, 1.0)


def expected_calibration_error(probabilities: npt.NDArray[np.floating], truth: Bools) -> float:
    """Measure |mean probability - share of positives| over all text-label pairs, pooled.

    Pairs fall into 10 bins of equal width by probability (the last one includes 1); the gaps of the
    bins are averaged with the number of pairs in each as weight. Both arrays are texts x labels.
    """
    values, hits = probabilities.ravel().astype(np.float64), truth.ravel().astype(np.float64)
    bins = np.minimum((values * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=values - hits, minlength=BINS)
    return float(np.abs(gaps).sum() / max(len(values), 1))


def sigmoid(logits: Floats) -> Floats:
    """Turn log-odds into probabilities without overflow."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -500.0, 500.0))), dtype=np.float64)


def calibrate(scores: npt.NDArray[np.floating], truth: Bools) -> tuple[Floats, Floats]:
    """Fit slopes and offsets (one each per label) to out-of-fold scores and truth, texts x labels."""
    step = max(1, scores.size // MAX_POOLED)
    pooled_scores, pooled_truth = scores[::step].ravel().astype(np.float64), truth[::step].ravel()
    common = most_probable(pooled_scores, pooled_truth, mean=COMMON_MEAN, deviation=COMMON_DEVIATION)
    fitted = [
        most_probable(scores[:, j].astype(np.float64), truth[:, j], mean=common, deviation=LABEL_DEVIATION)
        for j in range(scores.shape[1])
    ]
    pairs = np.array(fitted, dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def most_probable(
    scores: Floats, truth: Bools, *, mean: tuple[float, float], deviation: tuple[float, float]
) -> tuple[float, float]:
    """Find slope and offset of greatest posterior probability by Newton's method; the slope is >= 0."""
    centre, precision = np.array(mean), np.diag(1.0 / np.square(deviation))

    def loss(point: Floats) -> float:
        logits, away = point[0] * scores + point[1], point - centre
        return float((np.logaddexp(0.0, logits) - truth * logits).sum() + 0.5 * away @ precision @ away)

    point = centre.copy()
    best = loss(point)
    for _ in range(STEPS):
        move = _newton_move(scores, truth, point, precision, centre)
        # A full step from far away may overshoot and never come back; half of it, or less, always gains.
        while np.abs(move).max() > TOLERANCE and loss(point - move) > best:
            move = move / 2.0
        point = point - move
        best = loss(point)
        if np.abs(move).max() <= TOLERANCE:
            break
    return max(float(point[0]), 0.0), float(point[1])


def _newton_move(scores: Floats, truth: Bools, point: Floats, precision: Floats, centre: Floats) -> Floats:
    p = sigmoid(point[0] * scores + point[1])
    error, spread = p - truth, p * (1.0 - p)
    gradient = np.array([error @ scores, error.sum()]) + precision @ (point - centre)
    cross = spread @ scores
    curvature = np.array([[spread @ (scores * scores), cross], [cross, spread.sum()]]) + precision
    return np.asarray(np.linalg.solve(curvature, gradient), dtype=np.float64)


def cross_fitted(scores: npt.NDArray[np.floating], truth: Bools, folds: npt.NDArray[np.int32]) -> Floats:
    """Give each text the probabilities it gets when slopes and offsets are fitted to the other folds."""
    probabilities = np.zeros(truth.shape)
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        slopes, offsets = calibrate(scores[~held], truth[~held])
        probabilities[held] = sigmoid(scores[held] * slopes + offsets)
    return probabilities
