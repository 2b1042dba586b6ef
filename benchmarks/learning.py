"""Measure training and prediction against plain TF-IDF with one-vs-rest logistic regression; prints JSON.

    python benchmarks/learning.py [annotated] [short] [few] [multilingual]

The texts are real where a Debian package index is at hand (descriptions, with facet tags as hierarchical
labels), else drawn from a seeded generator; `data` says which. Seconds are processor time of one core, as
the learning processes run.
"""

import json
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import mean
from typing import TypeVar

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from headrace.learning.calibration import expected_calibration_error
from headrace.learning.prediction import load
from headrace.learning.training import implied, train
from headrace.learning.validation import average_precision, curve, micro_f1
from headrace.learning.values import Example

Pairs = list[tuple[str, tuple[str, ...]]]
Result = TypeVar("Result")


def debian() -> Pairs:
    """Read the package index: one-line description, name and dependencies; facets as "Facet > Tag"."""
    if shutil.which("apt-cache") is None:
        return []
    index = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    return [
        (f"{fields['Description']}\n{fields['Package']} {_plain(fields)}", _labels(fields["Tag"]))
        for fields in map(_fields, index.split("\n\n"))
        if "Tag" in fields and "Description" in fields
    ]


def _fields(stanza: str) -> dict[str, str]:
    joined = stanza.replace("\n ", " ")
    return dict(line.split(": ", 1) for line in joined.split("\n") if ": " in line)


def _plain(fields: dict[str, str]) -> str:
    parts = " ".join(fields.get(key, "") for key in ("Depends", "Recommends", "Suggests", "Section"))
    return re.sub(r"\([^)]*\)|[|, ]+", " ", parts)


def _labels(tags: str) -> tuple[str, ...]:
    return tuple(tag.strip().replace("::", " > ") for tag in tags.split(","))


def generated(size: int) -> Pairs:
    """Draw texts of a description line and a longer tail from 40 topics, each with words of its own."""
    chance = random.Random(0)
    common = [f"word{number}" for number in range(3_000)]
    pairs: Pairs = []
    for _ in range(size):
        topics = chance.sample(range(40), chance.randint(1, 3))
        own = [f"topic{topic}term{int(chance.expovariate(0.1))}" for topic in topics for _ in range(4)]
        words = [*own, *chance.choices(common, k=18)]
        chance.shuffle(words)
        line, tail = " ".join(words[:6]), " ".join(words[6:])
        pairs.append((f"{line}\n{tail}", tuple(f"Group {topic % 8} > Topic {topic}" for topic in topics)))
    return pairs


def lines(pairs: Pairs) -> Pairs:
    """Keep the first line of each text."""
    return [(text.split("\n")[0], labels) for text, labels in pairs]


def paragraphs(pairs: Pairs) -> Pairs:
    """Join neighbours by first label into texts of about 500 characters, their labels united."""
    joined: Pairs = []
    text, labels = "", set[str]()
    for piece, more in sorted(pairs, key=lambda pair: (min(pair[1]), pair[0][::-1])):
        text, labels = f"{text}\n{piece}", labels | set(more)
        if len(text) >= 420:
            joined.append((text[:600], tuple(sorted(labels))))
            text, labels = "", set()
    random.Random(0).shuffle(joined)
    return joined


def with_labels(pairs: Pairs, chosen: Sequence[str]) -> list[Example]:
    """Make examples that carry only the chosen labels."""
    kept = set(chosen)
    return [Example(text=text, labels=tuple(sorted(implied(labels) & kept))) for text, labels in pairs]


def frequent(pairs: Pairs, size: int) -> list[str]:
    """Name the most frequent labels; parents come along because they are at least as frequent."""
    found = Counter(label for _, labels in pairs for label in sorted(implied(labels)))
    return [label for label, _ in found.most_common(size)]


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Run it; give its result and the processor seconds it took."""
    start = time.process_time()
    return work(), time.process_time() - start


def quality(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Score held-out answers."""
    seen = [j for j in range(truth.shape[1]) if truth[:, j].any()]
    precise = mean(average_precision(curve(probabilities[:, j], truth[:, j])) for j in seen)
    return {
        "macro_average_precision": round(precise, 4),
        "micro_f1": round(micro_f1(probabilities >= 0.5, truth), 4),
        "expected_calibration_error": round(expected_calibration_error(probabilities, truth), 4),
    }


def truth_of(examples: list[Example], labels: Sequence[str]) -> np.ndarray:
    """Tell which label each example carries."""
    return np.array([[label in example.labels for label in labels] for example in examples])


def ours(training: list[Example], held: list[Example], family: str) -> tuple[dict[str, object], list[str]]:
    """Train, validate and predict with headrace."""
    trained, seconds = timed(lambda: train(training, family=family))
    model = load(trained.artefact)
    texts = [example.text for example in held]
    prediction, spent = timed(lambda: model.predict(texts))
    measured: dict[str, object] = {
        **quality(prediction.probabilities.astype(np.float64), truth_of(held, trained.labels)),
        "validated_average_precision": trained.metrics["mean_average_precision"],
        "validated_calibration_error": trained.metrics["expected_calibration_error"],
        "train_and_validate_seconds": round(seconds, 1),
        "texts_per_second": round(len(texts) / spent),
        "artefact_megabytes": round(len(trained.artefact) / 1e6, 1),
    }
    return measured, list(trained.labels)


def plain(training: list[Example], held: list[Example], labels: list[str], strength: float) -> dict[str, object]:
    """Train and predict with the plain pipeline."""
    truth = truth_of(training, labels)

    def answers() -> np.ndarray:
        vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        rows = vectoriser.fit_transform([example.text for example in training])
        new = vectoriser.transform([example.text for example in held])
        columns = []
        for j in range(len(labels)):
            fitted = LogisticRegression(C=strength, solver="liblinear").fit(rows, truth[:, j])
            columns.append(fitted.predict_proba(new)[:, 1])
        return np.array(columns).T

    probabilities, seconds = timed(answers)
    return {**quality(probabilities, truth_of(held, labels)), "seconds": round(seconds, 1)}


def compare(pairs: Pairs, *, size: int, labels: int, family: str = "english") -> dict[str, object]:
    """Train both on the first texts and score both on the rest."""
    examples = with_labels(pairs, frequent(pairs, labels))
    training, held = examples[:size], examples[size : size + 5_000]
    measured, names = ours(training, held, family)
    length = round(mean(len(example.text) for example in training))
    return {
        "texts": len(training),
        "labels": len(names),
        "mean_characters": length,
        "headrace": measured,
        "plain_c1": plain(training, held, names, 1.0),
        "plain_c10": plain(training, held, names, 10.0),
    }


def few(pairs: Pairs) -> Iterator[dict[str, object]]:
    """Calibration with few examples of five of the 20 commonest labels: mean and worst of 20 draws."""
    common = frequent(pairs, 20)
    for size in (30, 60, 100, 200):
        errors = []
        for seed in range(20):
            chance = random.Random(seed)
            drawn = with_labels(chance.sample(pairs, size + 2_000), sorted(implied(chance.sample(common, 5))))
            trained = train(drawn[:size], family="english")
            answers = load(trained.artefact).predict([example.text for example in drawn[size:]])
            truth = truth_of(drawn[size:], trained.labels)
            errors.append(expected_calibration_error(answers.probabilities, truth))
        yield {"texts": size, "mean_error": round(mean(errors), 4), "worst_error": round(max(errors), 4)}


def main(parts: Sequence[str]) -> None:
    """Run the parts named, or all."""
    pairs, source = debian(), "debian package index"
    if len(pairs) < 28_000:
        pairs, source = generated(30_000), "generator"
    random.Random(0).shuffle(pairs)
    known: dict[str, Callable[[], object]] = {
        "annotated": lambda: compare(paragraphs(pairs), size=4_000, labels=60),
        "short": lambda: compare(lines(pairs), size=25_000, labels=100),
        "few": lambda: {"lines": list(few(lines(pairs))), "paragraphs": list(few(paragraphs(pairs)))},
        "multilingual": lambda: compare(paragraphs(pairs), size=4_000, labels=60, family="multilingual"),
    }
    with threadpool_limits(1):
        print(json.dumps({"data": source, **{part: known[part]() for part in parts or known}}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
