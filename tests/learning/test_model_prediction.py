"""Prediction: the same text, the same bytes, for ever."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_corpus import reviewed

from headrace.learning import artefact
from headrace.learning.prediction import Model, load, nested, parent_columns
from headrace.learning.training import train

TEXTS = [example.text for example in reviewed(40, seed=7)]
TRAINED = train(reviewed(120, moods=True), family="multilingual")
MODEL = load(TRAINED.artefact)


def answers(model: Model, texts: list[str]) -> list[bytes]:
    """Give each text's probabilities and sentiment as bytes."""
    prediction = model.predict(texts)
    assert prediction.sentiment is not None
    return [
        row.tobytes() + mood.tobytes() for row, mood in zip(prediction.probabilities, prediction.sentiment, strict=True)
    ]


@settings(max_examples=50)
@given(st.lists(st.one_of(st.sampled_from(TEXTS), st.text(max_size=40)), min_size=1, max_size=8))
def test_neighbours_do_not_matter(texts: list[str]) -> None:
    """A text's answer is the same alone and in any company, byte for byte."""
    assert answers(MODEL, texts) == [answers(MODEL, [text])[0] for text in texts]


def test_batches_do_not_matter() -> None:
    """More texts than one batch holds get what each would get alone."""
    assert answers(MODEL, TEXTS * 60) == answers(MODEL, TEXTS) * 60


def test_another_process_gives_the_same_bytes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A restart with another hash seed changes nothing, and prediction needs no training library."""
    path = tmp_path_factory.mktemp("model") / "artefact"
    path.write_bytes(TRAINED.artefact)
    code = (
        "import sys, hashlib, pathlib; from headrace.learning.prediction import load\n"
        "model = load(pathlib.Path(sys.argv[1]).read_bytes()); answer = model.predict(sys.argv[2:])\n"
        "print(hashlib.sha256(answer.probabilities.tobytes()).hexdigest(), 'sklearn' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(path), *TEXTS]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"})
    expected = hashlib.sha256(MODEL.predict(TEXTS).probabilities.tobytes()).hexdigest()
    assert told.stdout.split() == [expected, "False"]


def test_order_of_summation_does_not_matter() -> None:
    """Sums are exact: adding a row's products backwards, or rounding once at the end, gives the same."""
    header, arrays = artefact.unpack(TRAINED.artefact)
    weights = arrays["weights"].astype(np.float64) / 2**10
    values = np.round(np.random.default_rng(0).random(len(weights)) * 2**20) / 2**20
    products = weights * values[:, None]
    assert header["labels"] == list(TRAINED.labels)
    assert np.array_equal(products.cumsum(axis=0)[-1], products[::-1].cumsum(axis=0)[-1])


def test_shapes_and_types() -> None:
    """n texts give an n x labels float32 array in 0..1 of six decimals, and no text gives none."""
    prediction = MODEL.predict(TEXTS)
    assert prediction.probabilities.shape == (len(TEXTS), len(TRAINED.labels))
    assert prediction.probabilities.dtype == np.float32
    assert ((prediction.probabilities >= 0) & (prediction.probabilities <= 1)).all()
    assert np.array_equal(prediction.probabilities.astype(float).round(6).astype(np.float32), prediction.probabilities)
    assert MODEL.predict([]).probabilities.shape == (0, len(TRAINED.labels))


def test_children_never_exceed_their_parents() -> None:
    """Whatever the text, a label is at least as probable as each label below it."""
    probabilities = MODEL.predict([*TEXTS, "lost late blocked", ""]).probabilities
    pairs = parent_columns(TRAINED.labels)
    assert len(pairs) == 3
    assert all((probabilities[:, child] <= probabilities[:, above]).all() for child, above in pairs)


def test_nesting_meets_in_the_middle() -> None:
    """A child above its parent and the parent meet halfway, level by level; labels without one stay."""
    labels = ["A > B > C", "A", "A > B", "X > Y"]
    result = nested(np.array([[0.8, 0.2, 0.4, 0.7], [0.1, 0.3, 0.2, 0.0]]), parent_columns(labels))
    assert result == pytest.approx(np.array([[0.4, 0.4, 0.4, 0.7], [0.1, 0.3, 0.2, 0.0]]))


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_nesting_holds_for_any_probabilities(values: list[float]) -> None:
    """Afterwards no label exceeds the one above it, and nothing leaves 0..1."""
    labels = ["A", "A > B", "A > B > C", "A > D"]
    a, b, c, d = nested(np.array([values]), parent_columns(labels))[0]
    assert 0 <= c <= b <= a <= 1
    assert 0 <= d <= a
