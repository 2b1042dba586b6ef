"""Learning in child processes: what crosses, what survives a kill, and what ends when."""

import concurrent.futures
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from learning_corpus import reviewed

from headrace.learning.prediction import load
from headrace.learning.process import Child, Learner, start
from headrace.learning.training import train
from headrace.learning.values import DamagedArtefact, Example, LearnerFailed, NotEnoughExamples, Trained

TEXTS = ["card lost", "payment overdue", ""]


@pytest.fixture(scope="module")
def trained() -> Trained:
    """A small model with sentiment."""
    return train(reviewed(60, moods=True), family="english")


@pytest.fixture(scope="module")
def learner() -> Iterator[Learner]:
    """One learner for the tests that leave it usable."""
    learner = Learner()
    yield learner
    learner.close()


def refuse() -> bytes:
    """Stand for an artefact that must not be asked for."""
    raise AssertionError("the artefact was asked for although the child holds it")


def predictor_of(learner: Learner) -> int:
    """Find the process id of the predicting child."""
    return learner._predictor._current._process.pid


def test_answers_are_those_of_the_model(learner: Learner, trained: Trained) -> None:
    """Each text gets, in order, the very bytes the model gives in this process."""
    scores = learner.predict(trained.digest, lambda: trained.artefact, TEXTS)
    expected = load(trained.artefact).predict(TEXTS)
    assert [score.probabilities for score in scores] == [row.tobytes() for row in expected.probabilities]
    assert [score.sentiment for score in scores] == pytest.approx(expected.sentiment.tolist())
    assert len(struct.unpack(f"<{len(trained.labels)}f", scores[0].probabilities)) == 5


def test_the_artefact_travels_once(learner: Learner, trained: Trained) -> None:
    """The second call does not ask for the model again, and no texts give no answers."""
    learner.predict(trained.digest, lambda: trained.artefact, [])
    assert len(learner.predict(trained.digest, refuse, TEXTS)) == 3
    assert learner.predict(trained.digest, refuse, []) == []


def test_a_killed_child_is_replaced(learner: Learner, trained: Trained) -> None:
    """After kill -9 the next call starts a child, ships the model again and answers the same."""
    before = learner.predict(trained.digest, lambda: trained.artefact, TEXTS)
    os.kill(predictor_of(learner), signal.SIGKILL)
    assert learner.predict(trained.digest, lambda: trained.artefact, TEXTS) == before


def test_two_deaths_on_one_call_fail_it(learner: Learner, trained: Trained) -> None:
    """A call whose child dies twice raises LearnerFailed, and the one after it works."""

    def deadly() -> bytes:
        os.kill(predictor_of(learner), signal.SIGKILL)
        return b"never read"

    with pytest.raises(LearnerFailed, match="twice"):
        learner.predict("0" * 64, deadly, TEXTS)
    assert len(learner.predict(trained.digest, lambda: trained.artefact, TEXTS)) == 3


def test_errors_keep_their_kind(learner: Learner, trained: Trained) -> None:
    """What is wrong with a model or with examples arrives as the same error, and the child lives on."""
    with pytest.raises(DamagedArtefact, match="digest"):
        learner.predict("0" * 64, lambda: trained.artefact, TEXTS)
    with pytest.raises(NotEnoughExamples):
        learner.train([Example(text="alone", labels=("A",))], "english")
    with pytest.raises(AssertionError):
        learner.predict("1" * 64, refuse, TEXTS)
    assert len(learner.predict(trained.digest, lambda: trained.artefact, TEXTS)) == 3


def test_training_equals_training_here(learner: Learner, trained: Trained) -> None:
    """A child learns the same model and metrics from the same examples, telling its progress."""
    told: list[float] = []
    assert learner.train(reviewed(60, moods=True), "english", progress=told.append) == trained
    assert told[-1] == 1
    assert learner._trainer._current is None


def test_calls_from_many_threads(learner: Learner, trained: Trained) -> None:
    """Threads share the child without mixing their answers up."""
    expected = {text: learner.predict(trained.digest, lambda: trained.artefact, [text])[0] for text in TEXTS}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = [(text, pool.submit(learner.predict, trained.digest, refuse, [text])) for text in TEXTS * 20]
        assert all(future.result() == [expected[text]] for text, future in futures)


def test_close_ends_a_running_training() -> None:
    """Closing in the middle of a training ends it at once with LearnerFailed, and no call starts another."""
    learner, begun = Learner(), threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        told = pool.submit(learner.train, reviewed(3_000), "multilingual", progress=lambda _: begun.set())
        assert begun.wait(60)
        learner.close()
        with pytest.raises(LearnerFailed, match="closed"):
            told.result(timeout=5)
    with pytest.raises(LearnerFailed, match="closed"):
        learner.predict("0" * 64, refuse, TEXTS)


def test_an_interrupted_call_leaves_no_stale_reply(learner: Learner, trained: Trained) -> None:
    """When a call breaks off before its reply, the next caller talks to a fresh child."""
    learner.predict(trained.digest, lambda: trained.artefact, TEXTS)
    with pytest.raises(UnicodeEncodeError):
        learner.predict(trained.digest, refuse, ["a lone surrogate: \ud800"])
    with pytest.raises(AssertionError):
        learner.predict(trained.digest, refuse, TEXTS)


def test_children_end_with_a_killed_parent() -> None:
    """After kill -9 of the parent, in the middle of a training, both children end by themselves.

    They hold the write end of the parent's standard error; it reports its end only when all are gone.
    """
    code = (
        "import sys, threading; from headrace.learning.process import Learner\n"
        "from headrace.learning.values import Example\n"
        "examples = [Example(text=f'{n} word{n % 7} ' * 60, labels=(f'L{n % 40}',)) for n in range(4000)]\n"
        "learner = Learner(); begun = threading.Event(); tell = lambda _: begun.set()\n"
        "threading.Thread(target=learner.train, args=(examples, 'xlm'), kwargs={'progress': tell}).start()\n"
        "try: learner.predict('0', lambda: b'', ['x'])\n"
        "except ValueError: begun.wait(); print('both run', flush=True)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert parent.stdout.readline() == b"both run\n"
    parent.kill()
    parent.communicate(timeout=10)


def test_the_serving_process_loads_no_numpy() -> None:
    """Importing the learner costs the serving process neither numpy nor scikit-learn."""
    code = (
        "import sys, headrace.learning.process; "
        "print({'numpy', 'scipy', 'sklearn'} & {name.split('.')[0] for name in sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"set()\n"


def test_children_ignore_the_interrupt_key(learner: Learner, trained: Trained) -> None:
    """SIGINT, which a terminal sends to children too, does not end a child."""
    learner.predict(trained.digest, lambda: trained.artefact, TEXTS)
    os.kill(predictor_of(learner), signal.SIGINT)
    assert len(learner.predict(trained.digest, refuse, TEXTS)) == 3


def test_what_a_child_prints_does_not_mix_with_answers() -> None:
    """A message to standard output goes to standard error instead of between two frames."""
    child = Child(niceness=0)
    assert child.call(lambda conversation: conversation.at_rest, keep=False)
    process = start(0)
    process.stdin.close()
    assert process.stdout.read() == b""
    process.stdout.close()
    assert process.wait(30) == 0
