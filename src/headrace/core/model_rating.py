"""What speaks for or against a version besides its own figures: people who disagree, and records that have changed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from headrace.core.annotations import Annotation

MAX_CONTESTED = 2_000
"""At most this many records that several people judged are looked at, the newest first."""

FEWEST_JUDGED = 5
SPLIT_FROM = 0.3
DRIFT_FROM = 0.75
MAX_NAMED = 5


class Agreement(NamedTuple):
    """On how many records several people judged a label that one of them assigned, and on how many they differ."""

    judged: int
    split: int


def agreements(found: Sequence[Annotation]) -> dict[str, Agreement]:
    """How far people agree on each label, from all annotations of records that several people judged.

    The newest word of each person counts; skipped and cleared ones do not.
    """
    words: dict[int, dict[int, frozenset[str]]] = defaultdict(dict)
    for annotation in sorted(found, key=lambda item: (item.updated_at, item.id)):
        if annotation.judgement.counts:
            assigned = frozenset(label.name for label in annotation.judgement.labels)
            words[annotation.record_id][annotation.author_id] = assigned
    judged: dict[str, int] = defaultdict(int)
    split: dict[str, int] = defaultdict(int)
    for by_person in words.values():
        said = list(by_person.values())
        if len(said) > 1:
            for label in frozenset().union(*said):
                judged[label] += 1
                split[label] += not all(label in one for one in said)
    return {label: Agreement(judged[label], split[label]) for label in sorted(judged)}


def with_reasons(metrics: Mapping[str, object], agreed: Mapping[str, Agreement]) -> dict[str, object]:
    """A version's metrics with its rating's reasons completed, and the agreement by label beside them."""
    rating = metrics.get("model_rating")
    known = dict(rating) if isinstance(rating, Mapping) else {}
    said = known.get("reasons")
    reasons = [*(said if isinstance(said, list) else []), *_disputed(agreed), *_drifted(metrics.get("drift"))]
    return {
        **metrics,
        "model_rating": known | {"reasons": reasons},
        "agreement": {label: {"judged": item.judged, "split": item.split} for label, item in agreed.items()},
    }


def _disputed(agreed: Mapping[str, Agreement]) -> list[str]:
    doubtful = [
        (item.split / item.judged, label, item)
        for label, item in agreed.items()
        if item.judged >= FEWEST_JUDGED and item.split >= SPLIT_FROM * item.judged
    ]
    worst = sorted(doubtful, reverse=True)[:MAX_NAMED]
    return [
        f"People disagree on '{label}': they differ on {item.split} of {item.judged} records."
        for _, label, item in worst
    ]


def _drifted(drift: object) -> list[str]:
    if not isinstance(drift, float) or drift < DRIFT_FROM:
        return []
    return [
        f"New records differ from the reviewed ones: their words tell them apart with {drift:.2f} (0.5 is by chance). "
        "Review some of the newest."
    ]
