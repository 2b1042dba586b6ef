"""What goes into learning and what comes out: plain values and errors, importable without numpy.

ValueError
├── NotEnoughExamples    nothing can be learned from what was given
└── DamagedArtefact      the bytes are not a model this version can read
RuntimeError
└── LearnerFailed        a child process died twice on the same call, or the learner is closed
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SEPARATOR = " > "


class NotEnoughExamples(ValueError):
    """Fewer than two examples, or no label on any of them."""


class DamagedArtefact(ValueError):
    """The bytes are not a model: damaged, of an unknown format version, or carrying objects."""


class LearnerFailed(RuntimeError):
    """The child process died on the call and on its retry, or the learner has been closed."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One reviewed text with its assigned labels ("Parent > Child"; none is a negative example).

    `sentiment` gives -1..1 for labels that carry one; None where the dataset has no sentiment.
    """

    text: str
    labels: tuple[str, ...] = ()
    sentiment: Mapping[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model: its bytes, their digest, its labels in column order, its JSON-serialisable metrics."""

    artefact: bytes
    digest: str
    labels: tuple[str, ...]
    metrics: dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One text's answer: a little-endian float32 probability per label, and a sentiment in -1..1 or None."""

    probabilities: bytes
    sentiment: float | None


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What labelling texts would teach a version: uncertainty, label need and novelty, 0 to 1, one of each a text."""

    uncertainty: list[float]
    need: list[float]
    novelty: list[float]


def require_enough(examples: Sequence[Example]) -> None:
    """Raise NotEnoughExamples unless there are at least two examples and a label on one of them."""
    if len(examples) < 2 or not any(example.labels for example in examples):
        raise NotEnoughExamples("training needs at least two examples and one label")


def digest(data: bytes) -> str:
    """Name an artefact by its content: 64 hexadecimal digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()


def parent(label: str) -> str | None:
    """Give the label one level up ("A > B" for "A > B > C"), or None for a top-level one."""
    head, separator, _ = label.rpartition(SEPARATOR)
    return head if separator else None
