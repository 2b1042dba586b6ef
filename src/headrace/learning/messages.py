"""What the serving process and its learning children say to each other: msgpack frames over two pipes.

A frame is its length in 8 bytes, big-endian, and one tagged message. Nothing in it can execute.
"""

from typing import IO

import msgspec

from headrace.core.entities import Definition, Hit
from headrace.learning.values import Example, Scores, Trained, Worth


class Train(msgspec.Struct, tag=True, frozen=True):
    """Ask for a model; answered by any number of Progress, then Trained or Refused.

    `recent` are texts of the newest records that nobody reviewed, for the measure of drift.
    """

    examples: list[Example]
    family: str
    recent: list[str] = []


class Predict(msgspec.Struct, tag=True, frozen=True):
    """Ask for the answers to texts; answered by Answers, Missing (send the artefact along) or Refused.

    With `weights`, one a label, the answer says besides what labelling each text would teach.
    """

    digest: str
    artefact: bytes | None
    texts: list[str]
    weights: list[float] | None = None


class Extract(msgspec.Struct, tag=True, frozen=True):
    """Ask for the entities in texts, within a share of the processor's time each; answered by Extracted."""

    definitions: list[Definition]
    texts: list[str]
    seconds: float


class Progress(msgspec.Struct, tag=True, frozen=True):
    """Tell the finished share of a training, 0..1."""

    share: float


class Finished(msgspec.Struct, tag=True, frozen=True):
    """Carry the result of a training."""

    trained: Trained


class Answers(msgspec.Struct, tag=True, frozen=True):
    """Carry one answer per text, in order, and their worth when it was asked for."""

    scores: list[Scores]
    worth: Worth | None = None


class Extracted(msgspec.Struct, tag=True, frozen=True):
    """Carry the finds in each text, in order."""

    hits: list[list[Hit]]


class Missing(msgspec.Struct, tag=True, frozen=True):
    """Say that the child does not hold the model asked for."""


class Refused(msgspec.Struct, tag=True, frozen=True):
    """Name the error of `values` that the call raised, and its text."""

    error: str
    message: str


Request = Train | Predict | Extract
Reply = Progress | Finished | Answers | Extracted | Missing | Refused


def write(pipe: IO[bytes], message: Request | Reply) -> None:
    """Write one frame whole; BrokenPipeError when nobody reads any more."""
    body = msgspec.msgpack.encode(message)
    pipe.write(len(body).to_bytes(8, "big"))
    pipe.write(body)
    pipe.flush()


def read_request(pipe: IO[bytes]) -> Request:
    """Wait for a request; EOFError when the other side is gone."""
    request: Request = msgspec.msgpack.decode(_read_frame(pipe), type=Request)
    return request


def read_reply(pipe: IO[bytes]) -> Reply:
    """Wait for a reply; EOFError when the other side is gone."""
    reply: Reply = msgspec.msgpack.decode(_read_frame(pipe), type=Reply)
    return reply


def _read_frame(pipe: IO[bytes]) -> bytes:
    return _read_exactly(pipe, int.from_bytes(_read_exactly(pipe, 8), "big"))


def _read_exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError("the other side is gone")
    return data
