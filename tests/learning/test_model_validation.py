"""Validation figures: known cases, and the shapes that readers rely on."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from headrace.learning.validation import average_precision, curve, describe, micro_f1, rate, validate, wilson

PROBABILITIES = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=300)


def described_from(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, object]:
    """Describe one label."""
    return describe(curve(probabilities, truth), positives=int(truth.sum()), reviewed=len(truth))


def judged(pairs: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities in steps of 0.05, and truth with at least one positive."""
    probabilities = np.array([step / 20 for step, _ in pairs])
    truth = np.array([hit for _, hit in pairs])
    truth[0] = True
    return probabilities, truth


@given(PROBABILITIES)
def test_figures_agree_with_the_field(pairs: list[tuple[int, bool]]) -> None:
    """Average precision and F1 are what scikit-learn computes, ties included."""
    probabilities, truth = judged(pairs)
    assert average_precision(curve(probabilities, truth)) == pytest.approx(
        average_precision_score(truth, probabilities)
    )
    chosen = probabilities >= 0.5
    assert micro_f1(chosen, truth) == pytest.approx(f1_score(truth, chosen, zero_division=0.0))


@given(PROBABILITIES)
def test_curves_have_the_promised_shape(pairs: list[tuple[int, bool]]) -> None:
    """Three lists of one length, at most 100 points, thresholds falling to 0, recalls rising to 1."""
    described = described_from(*judged(pairs))
    thresholds, precisions, recalls = (described[key] for key in ("thresholds", "precisions", "recalls"))
    assert len(thresholds) == len(precisions) == len(recalls) <= 100
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[-1] == 0
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1
    assert all(0 <= value <= 1 for value in (*thresholds, *precisions, *recalls))


@given(PROBABILITIES)
def test_automatic_thresholds_are_ordered(pairs: list[tuple[int, bool]]) -> None:
    """Recall wants the lowest threshold, precision the highest, balance lies between."""
    probabilities, truth = judged(pairs)
    auto = described_from(probabilities, truth)["auto_thresholds"]
    assert auto["high_recall"] <= auto["balanced"] <= auto["high_precision"]
    assert truth[probabilities >= auto["high_recall"]].sum() >= 0.9 * truth.sum()


def test_curve_of_a_known_case() -> None:
    """Equal probabilities make one point; precision and recall count everything at least as probable."""
    full = curve(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]))
    assert full.thresholds.tolist() == [0.9, 0.5, 0.1]
    assert full.precisions == pytest.approx([1, 2 / 3, 1 / 2])
    assert full.recalls == pytest.approx([0.5, 1, 1])


def test_long_curves_are_thinned() -> None:
    """Thousands of distinct probabilities still give at most 100 points, spread over recall."""
    chance = np.random.default_rng(0)
    described = described_from(chance.random(5_000), chance.random(5_000) < 0.5)
    assert 90 <= len(described["recalls"]) <= 100
    assert max(np.diff(described["recalls"])) < 0.02


def test_metrics_are_plain_json() -> None:
    """Everything survives JSON, with one entry per label under its name."""
    truth = np.array([[True, False], [False, True], [True, False]])
    metrics = validate(np.array([[0.9, 0.2], [0.1, 0.7], [0.6, 0.3]]), truth, ["A", "A > B"])
    assert json.loads(json.dumps(metrics)) == metrics
    assert metrics["reviewed_size"] == 3
    assert set(metrics["labels"]) == {"A", "A > B"}
    assert metrics["mean_average_precision"] == metrics["micro_f1"] == 1


@pytest.mark.parametrize(
    ("mean", "reviewed", "quality"),
    [(0.9, 500, "excellent"), (0.7, 500, "good"), (0.4, 500, "average"), (0.1, 500, "poor"), (0.9, 19, "none")],
)
def test_rating_has_a_word(mean: float, reviewed: int, quality: str) -> None:
    """Better models get better words; too few reviewed texts get none."""
    rating = rate(reviewed=reviewed, positives=np.array([50, 60]), mean=mean, error=0.0)
    assert rating["quality"] == quality


def test_rating_gives_its_reasons() -> None:
    """Thin labels, loose probabilities and few texts are each said, and cost points or the word."""
    rating = rate(reviewed=10, positives=np.array([1, 60]), mean=0.8, error=0.2)
    assert rating["score"] == 74
    assert [reason.split()[0] for reason in rating["reasons"]] == ["Mean", "1", "Probabilities", "10"]


@given(PROBABILITIES)
def test_automatic_thresholds_come_with_intervals(pairs: list[tuple[int, bool]]) -> None:
    """Precision and recall at each automatic threshold are those of the texts, inside bounds within 0 to 1."""
    probabilities, truth = judged(pairs)
    described = described_from(probabilities, truth)
    for name, threshold in described["auto_thresholds"].items():
        chosen = probabilities >= threshold - 1e-6
        right = (chosen & truth).sum()
        for measure, total in (("precision", chosen.sum()), ("recall", truth.sum())):
            estimate, low, high = described["intervals"][name][measure]
            assert estimate == pytest.approx(right / total, abs=1e-5)
            assert 0 <= low <= estimate <= high <= 1


def test_intervals_narrow_with_examples() -> None:
    """The same share of more texts is known better."""
    few, many = wilson(8, 10), wilson(800, 1000)
    assert few[0] == many[0] == 0.8
    assert many[2] - many[1] < few[2] - few[1] < 0.6
