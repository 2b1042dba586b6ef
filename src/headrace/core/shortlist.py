"""The shortlist: of each dataset the records most worth labelling next, by one of several aims.

A new prediction says what labelling its record would teach. Only the best of each aim are kept, so asking for the
next one costs the same in a small dataset and in a large one; what nobody predicted yet is not on the list. By need,
every label has a list of its own, and they take turns: so rare labels get their examples, and what is chosen together
differs (benchmark ordering).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

KEPT = 1_000
KEPT_A_LABEL = 30
"""How many records of a dataset the list holds for each aim, and by need for each label."""


class Aim(StrEnum):
    """Why a record is worth labelling: the newest version is least sure of some label of it; some label needs it, being
    near to the threshold that decides it; two versions differ about it; its words are in no reviewed record."""

    UNCERTAINTY = "uncertainty"
    NEED = "need"
    DISAGREEMENT = "disagreement"
    NOVELTY = "novelty"


class Listed(NamedTuple):
    """A record on the list; `worth` is 0 to 1, more being better; by need it is there for a label."""

    record_id: int
    worth: float
    label: str = ""


class Shortlists(Protocol):
    """Storage of shortlists."""

    def offer(self, dataset_id: int, record_ids: Sequence[int], found: Mapping[Aim, Sequence[Listed]]) -> None:
        """List these records anew that were predicted just now, and keep the best of each aim and label."""

    def best(self, dataset_id: int, aim: Aim, limit: int) -> list[int]:
        """Listed records that nobody has reviewed in the dataset, each once, the most worthy first.

        Labels take turns: the best of each, then the second of each; ties go to the greater worth, then the lower id.
        """


def disagreement(
    labels: Sequence[str], values: Sequence[float], known: Sequence[str], before: Sequence[float]
) -> float:
    """How far two versions are apart about one record: the greatest difference of a label's probabilities."""
    earlier = dict(zip(known, before, strict=True))
    return max((abs(value - earlier.get(label, 0.0)) for label, value in zip(labels, values, strict=True)), default=0.0)
