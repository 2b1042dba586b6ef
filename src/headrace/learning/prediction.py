"""From an artefact to probabilities. Uses numpy and sparse products only, nothing of the training library.

A text's answer depends on the text and the artefact alone, to the last byte: not on its neighbours in the
batch, the number of threads, or the release of a library. Weights lie on a binary grid as text rows do, so
their sums are exact, and answers are rounded to six decimals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace.learning import artefact as container
from headrace.learning.calibration import sigmoid
from headrace.learning.features import Vocabulary, batches, index_of, weighed
from headrace.learning.values import DamagedArtefact, parent

Floats = npt.NDArray[np.float64]

FINEST_BITS = 10
LARGEST = 2**15 - 1
DECIMALS = 6

TYPES = {"weights": "<i2", "bits": "i1", "offsets": "<f8", "idf": "<f8"}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Answers for n texts: float32 probabilities (n x labels), float32 sentiment -1..1 (n) or None."""

    probabilities: npt.NDArray[np.float32]
    sentiment: npt.NDArray[np.float32] | None


class Model:
    """A loaded model, ready to answer; `labels` names its columns."""

    def __init__(
        self,
        *,
        labels: tuple[str, ...],
        vocabulary: Vocabulary,
        weights: Floats,
        offsets: Floats,
    ) -> None:
        self.labels = labels
        self._vocabulary = vocabulary
        self._index = index_of(vocabulary)
        self._weights = weights
        self._offsets = offsets
        self._parents = parent_columns(labels)

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Answer every text in order; the same text always gets the same bytes."""
        pieces = [self._batch(batch) for batch in batches(texts)]
        answers = np.concatenate(pieces)
        width = len(self.labels)
        sentiment = 2.0 * answers[:, width] - 1.0 if answers.shape[1] > width else None
        return Prediction(
            probabilities=np.round(answers[:, :width], DECIMALS).astype(np.float32),
            sentiment=None if sentiment is None else np.round(sentiment, DECIMALS).astype(np.float32),
        )

    @property
    def terms(self) -> dict[str, int]:
        """The words and word pairs this model has seen, with their columns."""
        return self._index

    def _batch(self, texts: Sequence[str]) -> Floats:
        rows = weighed(texts, self._vocabulary, self._index)
        return nested(sigmoid(rows @ self._weights + self._offsets), self._parents)


def parent_columns(labels: Sequence[str]) -> list[tuple[int, int]]:
    """List (child, parent) columns, every parent before its own children."""
    column = {label: position for position, label in enumerate(labels)}
    pairs = [(label, parent(label)) for label in sorted(labels)]
    return [(column[child], column[above]) for child, above in pairs if above in column]


def nested(probabilities: Floats, parents: Sequence[tuple[int, int]]) -> Floats:
    """Make, in place, no child more probable than its parent, and give the array (texts x labels) back.

    Where one is, both are off, in opposite directions: the parent rises to the mean of the two, from the
    deepest level up, and children then come down to their parents. Against lowering the child alone or
    raising the parent alone this ranks better and costs no calibration.
    """
    for child, above in reversed(parents):
        mean = (probabilities[:, child] + probabilities[:, above]) / 2.0
        np.maximum(probabilities[:, above], mean, out=probabilities[:, above])
    for child, above in parents:
        np.minimum(probabilities[:, child], probabilities[:, above], out=probabilities[:, child])
    return probabilities


def dump(*, labels: tuple[str, ...], family: str, vocabulary: Vocabulary, weights: Floats, offsets: Floats) -> bytes:
    """Write a model as an artefact; a column of weights beyond the labels' is the sentiment's."""
    header: dict[str, object] = {
        "labels": labels,
        "family": family,
        "terms": vocabulary.terms,
        "characters": vocabulary.characters,
    }
    quantised, bits = quantise(weights)
    arrays: dict[str, container.Array] = {
        "weights": quantised,
        "bits": bits,
        "offsets": offsets.astype("<f8"),
        "idf": vocabulary.idf.astype("<f8"),
    }
    return container.pack(header, arrays)


def quantise(weights: Floats) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int8]]:
    """Round each column to 16-bit multiples of 2**-bits, bits being at most 10 and such that all fit."""
    greatest = np.maximum(np.abs(weights).max(axis=0, initial=0.0), 1e-9)
    bits = np.minimum(np.floor(np.log2(LARGEST / greatest)), FINEST_BITS)
    return np.rint(weights * 2.0**bits).astype("<i2"), bits.astype(np.int8)


def load(artefact: bytes) -> Model:
    """Read a model back; DamagedArtefact if the bytes are not one."""
    header, arrays = container.unpack(artefact)
    labels, terms, characters = _names(header, "labels"), _names(header, "terms"), header.get("characters")
    if not isinstance(characters, bool) or not TYPES.keys() <= arrays.keys():
        raise DamagedArtefact("the model lacks a part")
    if any(arrays[name].dtype != kind for name, kind in TYPES.items()):
        raise DamagedArtefact("the model's arrays have unexpected types")
    weights, bits, offsets, idf = (np.asarray(arrays[name], dtype=np.float64) for name in TYPES)
    vocabulary = Vocabulary(terms=terms, characters=characters, idf=idf)
    columns = len(labels) + (1 if bits.size > len(labels) else 0)
    shapes = (weights.shape, bits.shape, offsets.shape, idf.shape)
    if shapes != ((vocabulary.width, columns), (columns,), (columns,), (vocabulary.width,)):
        raise DamagedArtefact("the model's parts do not fit together")
    return Model(labels=labels, vocabulary=vocabulary, weights=weights / 2.0**bits, offsets=offsets)


def _names(header: Mapping[str, object], key: str) -> tuple[str, ...]:
    names = header.get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DamagedArtefact(f"the model has no {key}")
    return tuple(names)
