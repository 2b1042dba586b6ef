"""Small reviewed texts with words that tell their labels, drawn from a seed."""

import random

from headrace.learning.values import Example

WORDS = {
    "Card": ("card", "plastic", "wallet"),
    "Card > Lost": ("lost", "missing", "vanished"),
    "Card > Blocked": ("blocked", "declined", "refused"),
    "Payment": ("payment", "transfer", "invoice"),
    "Payment > Late": ("late", "overdue", "waiting"),
}
FILLER = tuple(f"filler{number}" for number in range(60))


def reviewed(size: int, *, seed: int = 0, noise: int = 8, moods: bool = False) -> list[Example]:
    """Draw examples of zero to two deepest labels each; "Late" and "Lost" feel bad, the rest good."""
    chance = random.Random(seed)
    return [_example(chance, noise, moods) for _ in range(size)]


def _example(chance: random.Random, noise: int, moods: bool) -> Example:
    labels = chance.sample(list(WORDS), chance.choice((0, 1, 1, 2)))
    words = [chance.choice(WORDS[label]) for label in labels] + chance.choices(FILLER, k=noise)
    chance.shuffle(words)
    felt = {label: -1.0 if label.endswith(("Late", "Lost")) else 1.0 for label in labels}
    return Example(text=" ".join(words), labels=tuple(labels), sentiment=felt if moods else None)
