"""Sampling: in which order the unfinished tasks of a dataset are handed out. One entry of `ORDERS` per way.

An order with an aim begins with the shortlist of what is most worth labelling, which learning keeps. Behind it, an
order ranks a pool, so that its cost does not grow with the dataset: all unfinished tasks where these are few, else some
from random places.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from headrace.core.datasets import SEPARATOR, Dataset
from headrace.core.models import Model, Scores
from headrace.core.shortlist import Aim

if TYPE_CHECKING:
    from headrace.core.store import Tx

SAMPLING = "sampling"
POOL = 500
PROBES = 10
UNKNOWN = float("inf")

Rank = Callable[["Tx", Dataset, Sequence[int]], list[int]]


class Order(NamedTuple):
    """A way to hand tasks out: what people see of it, how it ranks record ids (None: as they come, by id), and the aim
    of the shortlist it begins with."""

    title: str
    rank: Rank | None
    aim: Aim | None = None


def order_of(dataset: Dataset) -> Order:
    """The order that a dataset's settings ask for."""
    return ORDERS.get(str(dataset.settings.get(SAMPLING)), ORDERS["Sequential sampling"])


def ranked(tx: "Tx", dataset: Dataset, order: Order, place: int) -> list[int]:
    """The order's shortlist, then a pool of the unfinished tasks behind a record id, best first."""
    listed = tx.shortlists.best(dataset.id, order.aim, POOL) if order.aim else []
    if order.rank is None:
        return listed
    known = set(listed)
    return [*listed, *(key for key in order.rank(tx, dataset, _pool(tx, dataset.id, place)) if key not in known)]


def shuffled(tx: "Tx", dataset: Dataset, record_ids: Sequence[int]) -> list[int]:
    """The tasks in random order."""
    return random.sample(record_ids, len(record_ids))


def by_margin(tx: "Tx", dataset: Dataset, record_ids: Sequence[int]) -> list[int]:
    """The tasks that the dataset's newest model is least sure of first, then those without a prediction.

    Where it says nothing of a task, the score of the last prediction that was pushed for it counts.
    """
    doubts = {item.record_id: item.prediction.score for item in tx.predictions.pushed(dataset.id, record_ids)}
    known = {record_id: score for record_id, score in doubts.items() if score is not None}
    model = tx.models.latest(dataset.id)
    if model is not None:
        leaves = _leaves(model)
        known |= {key: margin(scores, leaves) for key, scores in tx.predictions.of(model.id, record_ids).items()}
    return sorted(record_ids, key=lambda record_id: (known.get(record_id, UNKNOWN), record_id))


def margin(scores: Scores, leaves: Sequence[int]) -> float:
    """How far the most probable of the labels at these places is ahead of the next; of one alone, ahead of "no"."""
    values = scores.values()
    first, second, *_ = [*sorted((values[place] for place in leaves), reverse=True), 0.0, 0.0]
    return first - second if len(leaves) > 1 else abs(2 * first - 1)


def _leaves(model: Model) -> list[int]:
    """The places of the labels that have no child: a parent is as probable as its most probable child."""
    return [
        place
        for place, name in enumerate(model.labels)
        if not any(other.startswith(name + SEPARATOR) for other in model.labels)
    ]


def _pool(tx: "Tx", dataset_id: int, place: int) -> list[int]:
    found = tx.queue.after(dataset_id, place, POOL + 1)
    if len(found) <= POOL:
        return found
    last = tx.queue.last(dataset_id)
    starts = (random.randint(place, last - 1) for _ in range(PROBES))
    return sorted({key for start in starts for key in tx.queue.after(dataset_id, start, POOL // PROBES)})


ORDERS: Mapping[str, Order] = {
    "Sequential sampling": Order("Sequence queue", None),
    "Uniform sampling": Order("Uniform random queue", shuffled),
    "Uncertainty sampling": Order("Uncertainty queue", by_margin, Aim.UNCERTAINTY),
    "Label need sampling": Order("Label need queue", None, Aim.NEED),
    "Disagreement sampling": Order("Disagreement queue", None, Aim.DISAGREEMENT),
    "Novelty sampling": Order("Novelty queue", None, Aim.NOVELTY),
}
