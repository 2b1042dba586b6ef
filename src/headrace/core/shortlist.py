"""The shortlist: of each dataset the records most worth labelling next, by one of several aims.

A new prediction says what labelling its record would teach. Only the best of each aim are kept, so asking for the
next one costs the same in a small dataset and in a large one; what nobody predicted yet is not on the list.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

KEPT = 1_000
"""How many records of a dataset the list holds for each aim."""

NEED_POWER = -0.25
"""How fast a label's need falls with its examples (benchmark ordering)."""


class Aim(StrEnum):
    """Why a record is worth labelling: the newest version hesitates between its two most probable labels; it hesitates
    between labels that have few examples; two versions differ about it; its words are in no reviewed record."""

    UNCERTAINTY = "uncertainty"
    NEED = "need"
    DISAGREEMENT = "disagreement"
    NOVELTY = "novelty"


class Shortlists(Protocol):
    """Storage of shortlists."""

    def offer(self, dataset_id: int, record_ids: Sequence[int], worths: Mapping[Aim, Sequence[float]]) -> None:
        """List records anew that were predicted just now, each aim with one worth a record (0 to 1, more being better);
        keep the best of each."""

    def best(self, dataset_id: int, aim: Aim, limit: int) -> list[int]:
        """Listed records that nobody has reviewed in the dataset, the most worthy first (ties by id)."""


def label_weights(labels: Sequence[str], positives: Mapping[str, int]) -> list[float]:
    """How much each label needs examples: 1 for one that has none, less the more it has."""
    return [(1.0 + positives.get(label, 0)) ** NEED_POWER for label in labels]


def disagreement(
    labels: Sequence[str], values: Sequence[float], known: Sequence[str], before: Sequence[float]
) -> float:
    """How far two versions are apart about one record: the greatest difference of a label's probabilities."""
    earlier = dict(zip(known, before, strict=True))
    return max((abs(value - earlier.get(label, 0.0)) for label, value in zip(labels, values, strict=True)), default=0.0)
