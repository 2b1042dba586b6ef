"""Training: what may be learned from what, honestly validated and well calibrated."""

import json
import random
from statistics import mean

import numpy as np
import pytest
from learning_corpus import FILLER, WORDS, reviewed

from headrace.learning.calibration import expected_calibration_error
from headrace.learning.classifier import assign_folds
from headrace.learning.prediction import load
from headrace.learning.training import implied, train
from headrace.learning.values import Example, NotEnoughExamples, digest

SCRIPTS = {
    "chinese": ("银行卡丢了", "付款还没有到账", "今天天气很好", "请问一下"),
    "japanese": ("カードをなくしました", "支払いがまだ届きません", "こんにちは", "お願いします"),
    "thai": ("บัตรเครดิตหาย", "การชำระเงินล่าช้า", "สวัสดีครับ", "ขอบคุณมาก"),
    "arabic": ("فقدت البطاقة", "تأخر الدفع كثيرا", "صباح الخير", "شكرا لكم"),
}


def truth_of(examples: list[Example], labels: tuple[str, ...]) -> np.ndarray:
    """Tell which label each example carries, parents included."""
    return np.array([[label in implied(example.labels) for label in labels] for example in examples])


def test_labels_imply_their_parents() -> None:
    """A child brings every level above it, once."""
    assert implied(["A > B > C", "A"]) == {"A", "A > B", "A > B > C"}
    trained = train([Example(text="x", labels=("A > B",)), Example(text="y")], family="english")
    assert trained.labels == ("A", "A > B")
    assert trained.metrics["labels"]["A"]["positives"] == 1


def test_words_are_learned() -> None:
    """New texts with a label's words get that label, texts without get none."""
    trained = train(reviewed(300), family="english")
    column = trained.labels.index("Payment > Late")
    late, idle = load(trained.artefact).predict(["payment is overdue", " ".join(FILLER[:9])]).probabilities
    assert late[column] > 0.7
    assert idle.max() < 0.3
    assert trained.metrics["mean_average_precision"] > 0.9
    assert trained.metrics["reviewed_size"] == 300


@pytest.mark.parametrize("family", ["english", "multilingual"])
def test_same_examples_same_bytes(family: str) -> None:
    """The artefact depends on the set of examples, not on their order, and is named by its digest."""
    examples = reviewed(60, moods=True)
    shuffled = random.Random(1).sample(examples, len(examples))
    first, second = train(examples, family=family), train(shuffled, family=family)
    assert first.artefact == second.artefact
    assert first.metrics == second.metrics
    assert first.digest == digest(first.artefact)


@pytest.mark.parametrize("examples", [[], [Example(text="a", labels=("A",))], [Example(text="a")] * 5])
def test_nothing_to_learn_is_refused(examples: list[Example]) -> None:
    """Fewer than two examples, or no label anywhere, is not a training."""
    with pytest.raises(NotEnoughExamples):
        train(examples, family="english")


@pytest.mark.parametrize("text", ["", "same text", "?!"])
def test_texts_without_evidence_give_the_base_rate(text: str) -> None:
    """Equal or empty texts teach only how frequent a label is, and that shrunk."""
    examples = [Example(text=text, labels=("A",))] * 15 + [Example(text=text)] * 5
    trained = train(examples, family="multilingual")
    probability = load(trained.artefact).predict([text]).probabilities[0, 0]
    assert probability == pytest.approx(0.75, abs=0.05)


def test_a_label_on_every_example_is_not_certain() -> None:
    """A label with a single class gets a base rate short of 1, whatever the text says."""
    trained = train([Example(text=f"word{n}", labels=("A",)) for n in range(30)], family="english")
    answers = load(trained.artefact).predict(["word1", "other"]).probabilities[:, 0]
    assert answers[0] == answers[1]
    assert 0.8 < answers[0] < 0.999


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("family", ["multilingual", "transformer-xlm"])
def test_scripts_without_spaces_are_learned(script: str, family: str) -> None:
    """Runs of text without word boundaries are told apart by their characters."""
    card, payment, *filler = SCRIPTS[script]
    chance = random.Random(0)
    examples = [
        Example(text=chance.choice(filler) + core + chance.choice(filler), labels=labels)
        for core, labels in [(card, ("Card",)), (payment, ("Payment",)), ("", ())] * 15
    ]
    trained = train(examples, family=family)
    cut = [f"{filler[1]}{card[:-1]}", f"{payment[1:]}{filler[0]}", filler[0]]
    answers = load(trained.artefact).predict(cut).probabilities
    assert answers.argmax(axis=1)[:2].tolist() == [0, 1]
    assert answers[:2].max(axis=1).min() > 10 * answers[2].max()


def test_probabilities_mean_what_they_say() -> None:
    """On thousands of new texts the calibration error is at most 0.02, and validation foresees it."""
    trained = train(reviewed(2_000, noise=25), family="english")
    new = reviewed(2_000, noise=25, seed=1)
    answers = load(trained.artefact).predict([example.text for example in new]).probabilities
    error = expected_calibration_error(answers, truth_of(new, trained.labels))
    assert error <= 0.02
    assert trained.metrics["expected_calibration_error"] <= 0.02


@pytest.mark.parametrize("size", [30, 60, 200])
def test_few_examples_are_not_bold(size: int) -> None:
    """From 30 texts on the calibration error on new texts is at most 0.05 in the mean of six draws."""
    new = reviewed(500, seed=99, noise=15)
    errors = []
    for seed in range(6):
        trained = train(reviewed(size, seed=seed, noise=15), family="english")
        answers = load(trained.artefact).predict([example.text for example in new]).probabilities
        errors.append(expected_calibration_error(answers, truth_of(new, trained.labels)))
    assert mean(errors) <= 0.05


def test_validation_is_honest() -> None:
    """Labels dealt at random are not predictable, and validation says so in spite of distinctive texts."""
    chance = random.Random(0)
    examples = [
        Example(text=f"unique{n} {' '.join(chance.choices(WORDS['Card'], k=4))}", labels=("A",) * (n % 2))
        for n in range(200)
    ]
    metrics = train(chance.sample(examples, 200), family="english").metrics
    assert metrics["labels"]["A"]["average_precision"] < 0.65
    assert metrics["model_rating"]["quality"] != "excellent"


def test_equal_texts_are_validated_together() -> None:
    """Copies of a text never stand on both sides of a fold, and folds are of equal size."""
    folds = assign_folds([f"text {n % 40}" for n in range(120)], 10)
    assert (folds[:40] == folds[40:80]).all()
    assert np.bincount(folds).tolist() == [12] * 10


def test_progress_rises_to_one() -> None:
    """The share told never falls and ends at 1."""
    told: list[float] = []
    train(reviewed(40, moods=True), family="english", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


def test_sentiment_is_learned_where_it_is_given() -> None:
    """Texts get a number from -1 to 1 when examples carry sentiment; without it there is none."""
    trained = train(reviewed(300, moods=True), family="english")
    sentiment = load(trained.artefact).predict(["invoice overdue", "invoice plastic wallet", ""]).sentiment
    assert sentiment is not None
    assert -1 <= sentiment[0] < -0.3 < 0.3 < sentiment[1] <= 1
    assert trained.metrics["sentiment"]["accuracy"] > 0.8
    assert load(train(reviewed(30), family="english").artefact).predict(["x"]).sentiment is None


def test_one_sided_sentiment_is_not_certain() -> None:
    """When every example feels the same the answer leans that way without reaching the end."""
    examples = [Example(text=f"w{n}", labels=("A",), sentiment={"A": -1.0}) for n in range(20)]
    sentiment = load(train(examples, family="english").artefact).predict(["w1"]).sentiment
    assert sentiment is not None
    assert -0.999 < sentiment[0] < -0.6


def test_metrics_are_json() -> None:
    """Metrics, sentiment included, are plain JSON values."""
    metrics = train(reviewed(40, moods=True), family="english").metrics
    assert json.loads(json.dumps(metrics)) == metrics
