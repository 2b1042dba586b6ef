"""What labelling a text would teach, from a version's answer to it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headrace.learning.features import folded, terms_of

Floats = npt.NDArray[np.floating]

LOWEST, HIGHEST = 0.01, 0.9
TAUGHT = 3


def doubts(probabilities: Floats) -> npt.NDArray[np.float64]:
    """How unsure an answer is of each label: 1 at a probability of one half, 0 at 0 and 1 (texts x labels)."""
    return 1.0 - 2.0 * np.abs(np.asarray(probabilities, dtype=np.float64) - 0.5)


def uncertainty(probabilities: Floats) -> npt.NDArray[np.float64]:
    """The doubt about the label that is least sure, 0 to 1 for each text; 0 where there are no labels."""
    return np.asarray(doubts(probabilities).max(axis=1, initial=0.0), dtype=np.float64)


def need(probabilities: Floats, thresholds: Sequence[float]) -> npt.NDArray[np.float64]:
    """How near each label's probability is to the threshold that decides it: 1 at it, 0 far away (texts x labels).

    Near means in proportion: a rare label is decided at a low probability, and half of it is as far as double.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    limits = np.clip(np.array(thresholds, dtype=np.float64), LOWEST, HIGHEST)
    return np.asarray(np.minimum(values / limits, limits / np.maximum(values, 1e-9)), dtype=np.float64)


def neediest(nearness: npt.NDArray[np.float64]) -> list[list[tuple[int, float]]]:
    """For each text the labels that it would teach most, as (place of the label, nearness), at most TAUGHT."""
    places = np.argsort(-nearness, axis=1, kind="stable")[:, :TAUGHT]
    return [[(int(place), float(row[place])) for place in chosen] for row, chosen in zip(nearness, places, strict=True)]


def novelty(texts: Sequence[str], index: dict[str, int]) -> list[float]:
    """For each text the share of its words and word pairs that the version never saw, 0 to 1."""
    return [_unknown(terms_of(folded(text)), index) for text in texts]


def _unknown(terms: Sequence[str], index: dict[str, int]) -> float:
    return sum(term not in index for term in terms) / len(terms) if terms else 0.0
