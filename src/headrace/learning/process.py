"""Learning in child processes, so that the serving process never loads numpy and never waits for a fit.

Nothing here imports numpy, scipy or scikit-learn.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from headrace.core.entities import Definition, Hit
from headrace.learning import messages
from headrace.learning.values import (
    DamagedArtefact,
    Example,
    LearnerFailed,
    NotEnoughExamples,
    Scores,
    Trained,
    Worth,
    require_enough,
)

Result = TypeVar("Result")
Answer = TypeVar("Answer", messages.Answers, messages.Finished, messages.Extracted)
Process: TypeAlias = "subprocess.Popen[bytes]"

TRAINING_NICENESS = 5
SECONDS_A_TEXT = 0.5
REFUSALS = {error.__name__: error for error in (NotEnoughExamples, DamagedArtefact)}
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")}


class ChildDied(Exception):
    """The child's end of a pipe closed in the middle of a call."""


class Conversation:
    """A running child and the ends of its pipes held here; `at_rest` when no reply is outstanding."""

    def __init__(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise LearnerFailed("the learning process has no pipes")
        self._process, self._requests, self._replies = process, process.stdin, process.stdout
        self.at_rest = True

    def ask(self, request: messages.Request) -> messages.Reply:
        """Send a request and wait for the first reply; an error the child names is raised here."""
        self.at_rest = False
        try:
            messages.write(self._requests, request)
        except BrokenPipeError as gone:
            raise ChildDied from gone
        return self.listen()

    def listen(self) -> messages.Reply:
        """Wait for the next reply to the same request; an error the child names is raised here."""
        try:
            reply = messages.read_reply(self._replies)
        except EOFError as gone:
            raise ChildDied from gone
        self.at_rest = not isinstance(reply, messages.Progress)
        if isinstance(reply, messages.Refused):
            raise REFUSALS[reply.error](reply.message)
        return reply

    def kill(self) -> None:
        """End the child; whoever waits for its reply sees it die."""
        self._process.kill()

    def end(self) -> None:
        """End the child and close the pipes; what it has not read is dropped."""
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        self._replies.close()
        self._process.wait()


class Child:
    """One child process, started at the first call; one call at a time, whoever calls.

    `_turn` guards the conversation, `_state` the choice of it; whoever takes both takes `_turn` first.
    """

    def __init__(self, *, niceness: int) -> None:
        self._niceness = niceness
        self._turn = threading.Lock()
        self._state = threading.Lock()
        self._current: Conversation | None = None
        self._closed = False

    def call(self, talk: Callable[[Conversation], Result], *, keep: bool) -> Result:
        """Talk to the child, once more with a new one if it dies; end it afterwards unless `keep`.

        LearnerFailed at its second death, or when closed.
        """
        with self._turn:
            try:
                return self._attempt(talk, keep=keep)
            except ChildDied:
                return self._last_attempt(talk, keep=keep)

    def close(self) -> None:
        """End the child at once, also in the middle of a call, and start no other."""
        with self._state:
            self._closed = True
            if self._current is not None:
                self._current.kill()
        with self._turn:
            self._discard()

    def _attempt(self, talk: Callable[[Conversation], Result], *, keep: bool) -> Result:
        conversation = self._conversation()
        try:
            return talk(conversation)
        finally:
            # After an interrupted call the next reply would answer the wrong question.
            if not (keep and conversation.at_rest):
                self._discard()

    def _last_attempt(self, talk: Callable[[Conversation], Result], *, keep: bool) -> Result:
        try:
            return self._attempt(talk, keep=keep)
        except ChildDied as died:
            raise LearnerFailed("the learning process died twice on the same call") from died

    def _conversation(self) -> Conversation:
        with self._state:
            if self._closed:
                raise LearnerFailed("the learner is closed")
            if self._current is None:
                self._current = Conversation(start(self._niceness))
            return self._current

    def _discard(self) -> None:
        with self._state:
            conversation, self._current = self._current, None
        if conversation is not None:
            conversation.end()


def start(niceness: int) -> Process:
    """Start a learning process of that niceness with one thread for arithmetic."""
    # -P keeps a module in the current directory from shadowing one that the child imports.
    command = [sys.executable, "-P", "-m", "headrace.learning.worker", str(niceness)]
    environment = {**os.environ, **ONE_THREAD}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


class Learner:
    """Trains in one child, predicts in another and finds entities in a third.

    All methods block and may be called from any thread. A child that dies is replaced and the call repeated once.
    Children end with this process, however it ends.
    """

    def __init__(self) -> None:
        self._trainer = Child(niceness=TRAINING_NICENESS)
        self._predictor = Child(niceness=0)
        # Of its own, so that a text which takes long to search does not hold up predictions.
        self._extractor = Child(niceness=0)

    def train(
        self,
        examples: Sequence[Example],
        family: str,
        *,
        recent: Sequence[str] = (),
        progress: Callable[[float], None] | None = None,
    ) -> Trained:
        """Learn a model in a child that ends afterwards; trainings wait for one another.

        `recent` are texts of new records, from which the drift away from the examples is measured.
        `progress` hears the finished share on the calling thread, from the start again after a retry.
        NotEnoughExamples if nothing can be learned; LearnerFailed if the child dies twice or is closed.
        """
        require_enough(examples)
        request = messages.Train(list(examples), family, list(recent))

        def talk(child: Conversation) -> Trained:
            reply = child.ask(request)
            while isinstance(reply, messages.Progress):
                if progress is not None:
                    progress(reply.share)
                reply = child.listen()
            return expected(reply, messages.Finished).trained

        return self._trainer.call(talk, keep=False)

    def predict(self, digest: str, load_artefact: Callable[[], bytes], texts: Sequence[str]) -> list[Scores]:
        """Answer each text, in order, with the model of that digest.

        `load_artefact` is called only when the child does not hold the model. DamagedArtefact if what it
        gives is not that model; LearnerFailed if the child dies twice or is closed.
        """
        return self._answers(messages.Predict(digest, None, list(texts)), load_artefact).scores

    def weigh(
        self, digest: str, load_artefact: Callable[[], bytes], texts: Sequence[str], weights: Sequence[float]
    ) -> tuple[list[Scores], Worth]:
        """Like `predict`, and tell what labelling each text would teach; `weights` say how much each label needs
        examples, 0 to 1, in the model's order."""
        found = self._answers(messages.Predict(digest, None, list(texts), list(weights)), load_artefact)
        if found.worth is None:
            raise LearnerFailed("the learning process left out what it was asked for")
        return found.scores, found.worth

    def extract(
        self, definitions: Sequence[Definition], texts: Sequence[str], *, seconds: float = SECONDS_A_TEXT
    ) -> list[list[Hit]]:
        """The finds in each text, in order; none in a text that takes more than `seconds` of the processor's time.

        LearnerFailed if the child dies twice or is closed.
        """
        request = messages.Extract(list(definitions), list(texts), seconds)

        def talk(child: Conversation) -> list[list[Hit]]:
            return expected(child.ask(request), messages.Extracted).hits

        return self._extractor.call(talk, keep=True)

    def _answers(self, request: messages.Predict, load_artefact: Callable[[], bytes]) -> messages.Answers:
        def talk(child: Conversation) -> messages.Answers:
            reply = child.ask(request)
            if isinstance(reply, messages.Missing):
                reply = child.ask(msgspec.structs.replace(request, artefact=load_artefact()))
            return expected(reply, messages.Answers)

        return self._predictor.call(talk, keep=True)

    def close(self) -> None:
        """End the children at once; calls under way and later ones raise LearnerFailed."""
        self._trainer.close()
        self._predictor.close()
        self._extractor.close()


def expected(reply: messages.Reply, kind: type[Answer]) -> Answer:
    """Narrow a reply to the one kind that may come; LearnerFailed if the child says anything else."""
    if not isinstance(reply, kind):
        raise LearnerFailed(f"the learning process answered with {type(reply).__name__}")
    return reply
