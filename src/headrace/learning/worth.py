"""What labelling a text would teach, from a version's answer to it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headrace.learning.features import folded, terms_of

Floats = npt.NDArray[np.floating]


def doubts(probabilities: Floats) -> npt.NDArray[np.float64]:
    """How unsure an answer is of each label: 1 at a probability of one half, 0 at 0 and 1 (texts x labels)."""
    return 1.0 - 2.0 * np.abs(np.asarray(probabilities, dtype=np.float64) - 0.5)


def uncertainty(probabilities: Floats) -> npt.NDArray[np.float64]:
    """The doubt about the label that is least sure, 0 to 1 for each text; 0 where there are no labels."""
    return np.asarray(doubts(probabilities).max(axis=1, initial=0.0), dtype=np.float64)


def need(probabilities: Floats, weights: Sequence[float]) -> npt.NDArray[np.float64]:
    """Like `uncertainty`, each label's doubt taken times its weight: how much it needs examples, 0 to 1."""
    return np.asarray((doubts(probabilities) * np.array(weights)).max(axis=1, initial=0.0), dtype=np.float64)


def novelty(texts: Sequence[str], index: dict[str, int]) -> list[float]:
    """For each text the share of its words and word pairs that the version never saw, 0 to 1."""
    return [_unknown(terms_of(folded(text)), index) for text in texts]


def _unknown(terms: Sequence[str], index: dict[str, int]) -> float:
    return sum(term not in index for term in terms) / len(terms) if terms else 0.0
