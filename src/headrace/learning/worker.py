"""The learning child: reads requests from standard input, answers on standard output, ends with its parent.

Started as `python -m headrace.learning.worker [niceness]`, never imported by the serving process.
"""

import os
import queue
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import IO, TypeVar

from headrace.learning import messages, worth
from headrace.learning.prediction import DECIMALS, Model, load
from headrace.learning.values import DamagedArtefact, NotEnoughExamples, Scores, Worth, digest

MODELS_KEPT = 4
Result = TypeVar("Result")


class TimeIsUpError(Exception):
    """Work has taken longer than it may."""


class Models:
    """The most recently used models, loaded and ready, by digest."""

    def __init__(self) -> None:
        self._models: OrderedDict[str, Model] = OrderedDict()

    def find(self, name: str, artefact: bytes | None) -> Model | None:
        """Give the model of this digest, loading the artefact if there is one; None when it is not held."""
        if name not in self._models and artefact is not None:
            if digest(artefact) != name:
                raise DamagedArtefact("the model's bytes do not have the digest they are stored under")
            self._models[name] = load(artefact)
        if name in self._models:
            self._models.move_to_end(name)
        while len(self._models) > MODELS_KEPT:
            self._models.popitem(last=False)
        return self._models.get(name)


def answer(request: messages.Request, models: Models, replies: IO[bytes]) -> messages.Reply:
    """Do what is asked; progress goes out at once, the errors of `values` become Refused."""
    try:
        if isinstance(request, messages.Predict):
            return predict(request, models)
        if isinstance(request, messages.Extract):
            return extract(request)
        return train(request, lambda share: messages.write(replies, messages.Progress(share)))
    except (NotEnoughExamples, DamagedArtefact) as error:
        return messages.Refused(type(error).__name__, str(error))


def train(request: messages.Train, progress: Callable[[float], None]) -> messages.Reply:
    """Train and validate a model."""
    # Imported here because the predicting child should not carry scikit-learn.
    from headrace.learning import training
    from headrace.learning.drift import drift

    trained = training.train(request.examples, family=request.family, progress=progress)
    apart = drift([example.text for example in request.examples], request.recent, family=request.family)
    return messages.Finished(trained if apart is None else replace(trained, metrics=trained.metrics | {"drift": apart}))


def predict(request: messages.Predict, models: Models) -> messages.Reply:
    """Answer every text with the model asked for, or say that it is missing."""
    model = models.find(request.digest, request.artefact)
    if model is None:
        return messages.Missing()
    prediction = model.predict(request.texts)
    rows = prediction.probabilities.astype("<f4")
    moods: list[float | None] = [None] * len(rows)
    if prediction.sentiment is not None:
        moods = [round(float(mood), DECIMALS) for mood in prediction.sentiment]
    answers = [Scores(probabilities=row.tobytes(), sentiment=mood) for row, mood in zip(rows, moods, strict=True)]
    return messages.Answers(answers, worth_of(request, model, prediction.probabilities))


def extract(request: messages.Extract) -> messages.Reply:
    """Find the entities in each text; none in one that takes longer than its share of the processor's time."""
    # Imported here because the other children should not carry the libraries and their tables.
    from headrace.learning import entities

    entities.warm()
    hits = []
    for text in request.texts:
        work = partial(entities.extract, request.definitions, text)
        hits.append(within(request.seconds, work) or [])
    return messages.Extracted(hits)


def within(seconds: float, work: Callable[[], Result]) -> Result | None:
    """The result of work, or None when it takes longer on the processor; to be called in the main thread only."""
    before = signal.signal(signal.SIGPROF, _ring)
    try:
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            return work()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except TimeIsUpError:
        return None
    finally:
        signal.signal(signal.SIGPROF, before)


def _ring(number: int, frame: object) -> None:
    raise TimeIsUpError


def worth_of(request: messages.Predict, model: Model, probabilities: worth.Floats) -> Worth | None:
    """What labelling each text would teach, if that was asked for."""
    if request.weights is None:
        return None
    uncertainty, need = worth.hesitation(probabilities, model.labels, request.weights)
    return Worth(
        uncertainty=uncertainty.tolist(),
        need=need.tolist(),
        novelty=worth.novelty(request.texts, model.terms),
    )


def receive(pipe: IO[bytes], requests: "queue.SimpleQueue[messages.Request]") -> None:
    """Hand requests on until the parent closes the pipe or dies; then end this process at once.

    The end of the pipe is the one sign of a parent's death that needs no polling, works on every system
    and, unlike Linux's parent-death signal, does not mistake the end of a thread for it.
    """
    while True:
        try:
            requests.put(messages.read_request(pipe))
        except EOFError:
            os._exit(0)


def main() -> None:
    """Serve requests one at a time until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if len(sys.argv) > 1:
        os.nice(int(sys.argv[1]))
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Whatever a library prints must not end up between two frames.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: queue.SimpleQueue[messages.Request] = queue.SimpleQueue()
    threading.Thread(target=receive, args=(sys.stdin.buffer, requests), daemon=True).start()
    models = Models()
    while True:
        messages.write(replies, answer(requests.get(), models, replies))


if __name__ == "__main__":
    main()
