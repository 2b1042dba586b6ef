"""Probabilities that mean what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.learning.calibration import calibrate, cross_fitted, expected_calibration_error, sigmoid


def drawn(texts: int, *, slope: float, offset: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of four labels and truth drawn with the probabilities that slope and offset give them."""
    chance = np.random.default_rng(seed)
    scores = chance.normal(size=(texts, 4))
    return scores, chance.random((texts, 4)) < sigmoid(slope * scores + offset)


def test_error_of_a_known_case() -> None:
    """Two bins off by 0.2 and 0.4 with three pairs and one give their weighted mean."""
    probabilities = np.array([[0.25, 0.25], [0.25, 1.0]])
    truth = np.array([[False, True], [False, False]])
    assert expected_calibration_error(probabilities, truth) == pytest.approx((0.25 + 1.0) / 4)


def test_error_of_perfect_and_of_no_answers() -> None:
    """Certain and right is 0, certain and wrong is 1, nothing at all is 0."""
    truth = np.array([[True, False]])
    assert expected_calibration_error(truth.astype(float), truth) == 0
    assert expected_calibration_error(1.0 - truth, truth) == 1
    assert expected_calibration_error(np.zeros((0, 2)), np.zeros((0, 2), dtype=bool)) == 0


def test_many_examples_recover_slope_and_offset() -> None:
    """With thousands of texts the fitted line is the one the truth was drawn from."""
    slopes, offsets = calibrate(*drawn(8_000, slope=3.0, offset=-2.0))
    assert slopes == pytest.approx([3.0] * 4, abs=0.25)
    assert offsets == pytest.approx([-2.0] * 4, abs=0.2)


def test_few_examples_stay_near_the_base_rate() -> None:
    """A label never or always seen gets neither 0 nor 1, and the nearer to it the more texts there were."""
    scores = np.zeros((40, 2))
    truth = np.tile([True, False], (40, 1))
    always, never = sigmoid(calibrate(scores, truth)[1])
    few_always, few_never = sigmoid(calibrate(scores[:5], truth[:5])[1])
    assert 0.8 < always < 1
    assert few_always < always
    assert 0 < never < 0.2
    assert never < few_never


@given(st.integers(0, 1_000), st.integers(2, 40))
def test_any_data_give_usable_lines(seed: int, texts: int) -> None:
    """Slopes are never negative and nothing is infinite, however the few points lie."""
    chance = np.random.default_rng(seed)
    scores, truth = chance.normal(scale=50, size=(texts, 3)), chance.random((texts, 3)) < 0.2
    slopes, offsets = calibrate(scores, truth)
    assert (slopes >= 0).all()
    assert np.isfinite(slopes).all()
    assert np.isfinite(offsets).all()


def test_cross_fitting_leaves_the_own_truth_out() -> None:
    """Turning a fold's truth around changes the other folds' answers, not its own."""
    scores, truth = drawn(60, slope=2.0, offset=0.0)
    folds = np.arange(60, dtype=np.int32) % 3
    turned = truth.copy()
    turned[folds == 0] ^= True
    before, after = cross_fitted(scores, truth, folds), cross_fitted(scores, turned, folds)
    assert np.array_equal(before[folds == 0], after[folds == 0])
    assert not np.array_equal(before[folds == 1], after[folds == 1])


def test_sigmoid_of_extremes() -> None:
    """No overflow at either end."""
    assert sigmoid(np.array([-1e9, 0.0, 1e9])) == pytest.approx([0.0, 0.5, 1.0])
