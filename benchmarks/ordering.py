"""Measure how many annotations a chosen order saves against random order; prints JSON.

    python -m benchmarks ordering [draws]

The texts are one-line package descriptions where a Debian package index is at hand, else generated; the labels are
those ranked 61 to 90 by frequency, so most texts carry none and the rarest is on one in three hundred: what feedback
looks like. A model is trained on 100 texts, the next 50 are chosen by an order from what it says of the others, and
so on. The score is the mean average precision over all labels on texts held out, averaged over draws.
"""

import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import cast

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from benchmarks.learning import Pairs, debian, frequent, generated, lines, truth_of, with_labels
from headrace.core.shortlist import KEPT_A_LABEL
from headrace.learning.prediction import Model, load
from headrace.learning.training import train
from headrace.learning.validation import average_precision, curve
from headrace.learning.values import Example, Trained
from headrace.learning.worth import need, neediest, novelty, uncertainty

Floats = npt.NDArray[np.float64]

FIRST, STEP, LAST = 100, 50, 1_200
HELD, POOL = 2_000, 20_000
RANKS = slice(60, 90)
SAVED_AT = (0.5, 0.75, 1.0)


@dataclass(frozen=True, kw_only=True)
class Round:
    """What an order may look at: what was trained on the texts so far, and the texts it may choose from."""

    trained: Trained
    model: Model
    left: Sequence[Example]
    chance: np.random.Generator

    def probabilities(self) -> npt.NDArray[np.float32]:
        """What the model says of the texts."""
        return self.model.predict([example.text for example in self.left]).probabilities


def by_need(now: Round) -> list[int]:
    """Each label in turn gives the text nearest to its threshold, as the server's shortlist does."""
    measured = cast(dict[str, dict[str, dict[str, float]]], now.trained.metrics["labels"])
    thresholds = [measured[label]["auto_thresholds"]["balanced"] for label in now.model.labels]
    lists: dict[int, list[tuple[float, int]]] = {}
    for text, found in enumerate(neediest(need(now.probabilities(), thresholds))):
        for label, near in found:
            lists.setdefault(label, []).append((-near, text))
    turns = zip_longest(*(sorted(entries)[:KEPT_A_LABEL] for entries in lists.values()))
    ordered = dict.fromkeys(text for turn in turns for _, text in sorted(filter(None, turn)))
    return list(ordered)


def best_first(worths: Floats) -> list[int]:
    """The texts by worth."""
    return np.argsort(-worths, kind="stable").tolist()


ORDERS: dict[str, Callable[[Round], list[int]]] = {
    "random": lambda now: now.chance.permutation(len(now.left)).tolist(),
    "uncertainty": lambda now: best_first(uncertainty(now.probabilities())),
    "need": by_need,
    "novelty": lambda now: best_first(np.array(novelty([example.text for example in now.left], now.model.terms))),
}


def campaign(order: str, pool: Sequence[Example], held: Sequence[Example], labels: Sequence[str], seed: int) -> Floats:
    """The score after each round of one campaign."""
    chance = np.random.default_rng(seed)
    shuffled = [pool[place] for place in chance.permutation(len(pool))]
    mine, left, scores = shuffled[:FIRST], shuffled[FIRST:], []
    while True:
        trained = train(mine, family="english")
        model = load(trained.artefact)
        scores.append(score(model, held, labels))
        if len(mine) >= LAST:
            return np.array(scores)
        chosen = set(ORDERS[order](Round(trained=trained, model=model, left=left, chance=chance))[:STEP])
        mine = mine + [left[place] for place in sorted(chosen)]
        left = [example for place, example in enumerate(left) if place not in chosen]


def score(model: Model, held: Sequence[Example], labels: Sequence[str]) -> float:
    """Mean average precision over all labels; one the model does not know gets what chance gives."""
    truth = truth_of(list(held), labels)
    answers = model.predict([example.text for example in held]).probabilities.astype(np.float64)
    column = {label: place for place, label in enumerate(model.labels)}
    return float(
        np.mean(
            [
                average_precision(curve(answers[:, column[label]], truth[:, place]))
                if label in column
                else truth[:, place].mean()
                for place, label in enumerate(labels)
                if truth[:, place].any()
            ]
        )
    )


def saved(random_curve: Floats, other: Floats) -> list[dict[str, object]]:
    """How many annotations either order needs for shares of what random order reaches in the end."""
    found: list[dict[str, object]] = []
    for share in SAVED_AT:
        aim = random_curve[0] + share * (random_curve[-1] - random_curve[0])
        needed = [next((FIRST + STEP * n for n, v in enumerate(c) if v >= aim), None) for c in (random_curve, other)]
        fewer = None if needed[1] is None else round(1 - needed[1] / needed[0], 3)
        found.append({"average_precision": round(aim, 4), "random": needed[0], "chosen": needed[1], "fewer": fewer})
    return found


def texts() -> tuple[Pairs, str]:
    """The texts with their labels, and where they come from."""
    pairs, source = debian(), "debian package index"
    if len(pairs) < HELD + POOL:
        pairs, source = generated(HELD + POOL), "generator"
    random.Random(0).shuffle(pairs)
    return lines(pairs)[: HELD + POOL], source


def main(arguments: Sequence[str]) -> None:
    """Run every order, `draws` campaigns each."""
    draws = int(arguments[0]) if arguments else 3
    pairs, source = texts()
    labels = frequent(pairs, RANKS.stop)[RANKS] if source != "generator" else frequent(pairs, 30)
    examples = with_labels(pairs, labels)
    held, pool = examples[:HELD], examples[HELD:]
    with threadpool_limits(1):
        curves = {
            order: np.mean([campaign(order, pool, held, labels, seed) for seed in range(draws)], axis=0)
            for order in ORDERS
        }
    result = {
        "data": source,
        "labels": len(labels),
        "draws": draws,
        "annotations": list(range(FIRST, LAST + 1, STEP)),
        "mean_average_precision": {order: values.round(4).tolist() for order, values in curves.items()},
        "saved": {order: saved(curves["random"], values) for order, values in curves.items() if order != "random"},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
