"""Measure how many annotations a chosen order saves against random order; prints JSON.

    python -m benchmarks ordering [draws]

The texts are the one-line descriptions of a Debian package index where one is at hand, labelled with the package's
section (the 40 commonest: 11 % of all texts carry the first, 0.4 % the last), else generated. A model is trained on 100
texts, the next 50 are chosen by an order from what it says of the others, and so on. The score is the mean average
precision over all labels on 2,000 texts held out, averaged over draws.
"""

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from benchmarks.learning import Pairs, frequent, generated, lines, truth_of, with_labels
from headrace.core.shortlist import label_weights
from headrace.learning.prediction import Model, load
from headrace.learning.training import train
from headrace.learning.validation import average_precision, curve
from headrace.learning.values import Example, Trained
from headrace.learning.worth import hesitation, novelty

Floats = npt.NDArray[np.float64]

FIRST, STEP, LAST = 100, 50, 1_600
HELD, POOL = 2_000, 6_000
LABELS = 40
SAVED_AT = (0.5, 0.75, 1.0)
FIELD = re.compile(r"^(Description|Section): (.*)$", re.MULTILINE)


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


def best_first(worths: Floats) -> list[int]:
    """The texts by worth."""
    return np.argsort(-worths, kind="stable").tolist()


def by_hesitation(now: Round, *, weighed: bool) -> list[int]:
    """The texts by how near the two best labels are, weighed by the labels' need or not."""
    measured = cast(dict[str, dict[str, int]], now.trained.metrics["labels"])
    positives = {label: found["positives"] for label, found in measured.items()}
    near, need = hesitation(now.probabilities(), now.model.labels, label_weights(now.model.labels, positives))
    return best_first(need if weighed else near)


ORDERS: dict[str, Callable[[Round], list[int]]] = {
    "random": lambda now: now.chance.permutation(len(now.left)).tolist(),
    "uncertainty": lambda now: by_hesitation(now, weighed=False),
    "need": lambda now: by_hesitation(now, weighed=True),
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
    pairs, source = sections(), "sections of a debian package index"
    if len(pairs) < HELD + POOL:
        pairs, source = lines(generated(HELD + POOL)), "generator"
    random.Random(0).shuffle(pairs)
    return pairs[: HELD + POOL], source


def sections() -> Pairs:
    """Each package's one-line description with its section."""
    if shutil.which("apt-cache") is None:
        return []
    index = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    found = (dict(FIELD.findall(stanza)) for stanza in index.split("\n\n"))
    return [
        (fields["Description"], (fields["Section"].rpartition("/")[2],))
        for fields in found
        if fields.keys() >= {"Description", "Section"}
    ]


def main(arguments: Sequence[str]) -> None:
    """Run every order, `draws` campaigns each."""
    draws = int(arguments[0]) if arguments else 3
    pairs, source = texts()
    labels = frequent(pairs, LABELS)
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
