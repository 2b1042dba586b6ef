"""Streams: a dataset's records one by one, each acknowledged once it is dealt with, or tagged as an exception.

A plain `for` cannot tell the iterator that its body failed. So there are three ways to consume, from least to most:

- `for comment in stream.consume(): ...` acknowledges a comment when the next one is asked for. An error in the body
  ends the loop, tags nothing, and the comment comes again.
- `with comment: ...` inside that loop also tags what fails, and goes on.
- `stream.process(handler)` does the same around a function.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from headrace.client.errors import NotFound
from headrace.client.steps import Bound, C, Give, Handle, Listing, Plan, Stopped, Wait, listing, operation

OnError = Literal["tag", "stop"]
MOST_FILTERED = 1_024


class RecordException(Exception):
    """Raised by a consumer to say that a comment is not usable; `kind` is the type under which people find it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)


class Comment:
    """One record as a consumer gets it. As a context manager it notes whether its block succeeded.

    `document` is the comment as the server wrote it. `labels` holds the stream's model's probabilities by name, the
    likeliest first; it is empty for a stream without a model.
    """

    def __init__(self, result: Mapping[str, Any], *, stops: bool = False) -> None:
        self.document: Mapping[str, Any] = result["comment"]
        self.sequence_id: str = result["sequence_id"]
        found = {" > ".join(label["name"]): float(label["probability"]) for label in result["labels"]}
        self.labels: dict[str, float] = dict(sorted(found.items(), key=lambda item: -item[1]))
        self.handled = False
        self.failure: str | None = None
        self._stops = stops

    @property
    def uid(self) -> str:
        """The id that is unique on the server."""
        return str(self.document["uid"])

    @property
    def id(self) -> str:
        """The id that is unique in its source."""
        return str(self.document["id"])

    @property
    def timestamp(self) -> datetime:
        """When the comment was made, as its uploader says."""
        return datetime.fromisoformat(self.document["timestamp"])

    @property
    def subject(self) -> str:
        """The first message's subject, or ""."""
        messages = self.document["messages"]
        return str((messages[0].get("subject") or {}).get("text", "")) if messages else ""

    @property
    def text(self) -> str:
        """The bodies of all messages."""
        return "\n".join(message["body"]["text"] for message in self.document["messages"])

    @property
    def properties(self) -> dict[str, str | int | float]:
        """The user properties without `string:` and `number:` before their names."""
        return bare(self.document.get("user_properties") or {})

    def __enter__(self) -> Self:
        """The comment."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Note the outcome; an error goes no further unless the consumer wants to stop at errors."""
        if error is None:
            self.handled = True
            return False
        if not isinstance(error, Exception):
            return False
        meant = isinstance(error, RecordException)
        self.failure = error.kind if isinstance(error, RecordException) else type(error).__name__
        self.handled = meant or not self._stops
        return self.handled

    def __repr__(self) -> str:
        return f"Comment({self.uid!r})"


@dataclass(frozen=True, slots=True)
class Processed:
    """How many comments were given, and how many of them were tagged as exceptions."""

    given: int
    tagged: int


class Stream(Bound[C]):
    """A named durable cursor over the records of a dataset."""

    def __init__(self, client: C, dataset_path: str, name: str) -> None:
        self._client = client
        self.name = name
        self.path = f"{dataset_path}/streams/{quote(name, safe='')}"

    def __repr__(self) -> str:
        return f"Stream({self.name!r})"

    @listing
    def consume(
        self,
        *,
        batch: int = 64,
        wait: float | None = None,
        on_error: OnError = "tag",
        acknowledge_every: int = 1,
        acknowledge_seconds: float = 1.0,
    ) -> Listing[Comment]:
        """Comments in the order of their upload, from the cursor on; each is acknowledged when the next is asked for.

        Ends when there is no more, or with `wait` looks again after so many seconds, for ever. Acknowledgements go
        out after `acknowledge_every` comments or `acknowledge_seconds`, whichever is first, and at the end. A comment
        whose `with` block failed is tagged with the error's class name, or with the kind of a RecordException; with
        `on_error="stop"` an error of another class also leaves the block, and its comment comes again.
        """
        marks = _Marks(self, acknowledge_every, acknowledge_seconds)
        yield from self._consumed(partial(Comment, stops=on_error == "stop"), Give, batch, wait, marks)

    @operation
    def process(
        self,
        handler: Callable[[Comment], object] | Callable[[Comment], Awaitable[object]],
        *,
        batch: int = 64,
        wait: float | None = None,
        on_error: OnError = "tag",
        acknowledge_every: int = 1,
        acknowledge_seconds: float = 1.0,
    ) -> Plan[Processed]:
        """Call a function (or await a coroutine function) with each comment; `consume` has the options."""
        marks = _Marks(self, acknowledge_every, acknowledge_seconds)
        yield from self._consumed(
            partial(Comment, stops=on_error == "stop"), partial(Handle, handler), batch, wait, marks
        )
        return Processed(marks.given, marks.tagged)

    @operation
    def reset(self, to: datetime) -> Plan[None]:
        """Move the cursor to the first comment that was uploaded at or after an instant."""
        yield from self._client.call("POST", f"{self.path}/reset", json={"to_comment_created_at": to.isoformat()})

    @operation
    def delete(self) -> Plan[None]:
        """Delete the stream; the records stay."""
        yield from self._client.call("DELETE", self.path)

    def _consumed(
        self,
        made: Callable[[Mapping[str, Any]], Comment],
        step: Callable[[Comment], Any],
        batch: int,
        wait: float | None,
        marks: "_Marks",
    ) -> Plan[None]:
        hand: Comment | None = None
        try:
            while True:
                asked = {"size": batch, "max_filtered": MOST_FILTERED}
                answer = yield from self._client.call("POST", f"{self.path}/fetch", json=asked)
                for result in answer["results"]:
                    hand = made(result)
                    yield step(hand)
                    marks.passed(hand)
                    hand = None
                    if marks.due():
                        yield from marks.tell()
                marks.position = answer["sequence_id"]
                yield from marks.tell()
                if answer["is_end_sequence"]:
                    if wait is None:
                        return
                    yield Wait(wait)
        except Stopped:
            if hand is not None and (hand.handled or hand.failure):
                marks.passed(hand, acknowledged=hand.handled)
            yield from marks.tell()


class _Marks:
    """What a consumer has dealt with, and how much of it the server has been told."""

    def __init__(self, stream: Stream[Any], every: int, seconds: float) -> None:
        self.given = self.tagged = 0
        self.position: str | None = None
        self._told: str | None = None
        self._failures: dict[str, str] = {}
        self._untold = 0
        self._stream = stream
        self._client = stream._client
        self._every, self._seconds = every, seconds
        self._since = self._client.clock()

    def passed(self, comment: Comment, *, acknowledged: bool = True) -> None:
        """The consumer is through with a comment; one that is not acknowledged comes again."""
        self.given += 1
        self._untold += 1
        if comment.failure is not None:
            self.tagged += 1
            self._failures[comment.uid] = comment.failure
        if acknowledged:
            self.position = comment.sequence_id

    def due(self) -> bool:
        """True when the server should be told now."""
        return self._untold >= self._every or self._client.clock() - self._since >= self._seconds

    def tell(self) -> Plan[None]:
        """Tag what failed, then move the cursor; nothing is sent when there is nothing new."""
        if self._failures:
            yield from self._tag(list(self._failures.items()))
            self._failures.clear()
        if self.position is not None and self.position != self._told:
            yield from self._client.call("POST", f"{self._stream.path}/advance", json={"sequence_id": self.position})
            self._told = self.position
        self._untold, self._since = 0, self._client.clock()

    def _tag(self, failures: Sequence[tuple[str, str]]) -> Plan[None]:
        """Tag comments; one that was deleted in the meantime needs no tag."""
        tags = [{"uid": uid, "metadata": {"type": kind}} for uid, kind in failures]
        try:
            yield from self._client.call("PUT", f"{self._stream.path}/exceptions", json={"exceptions": tags})
        except NotFound:
            for failure in failures if len(failures) > 1 else ():
                yield from self._tag([failure])


def bare(properties: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
    """User properties by their plain names; where a text and a number share one, the number keeps its whole name."""
    found: dict[str, str | int | float] = {}
    for key, value in sorted(properties.items(), reverse=True):
        name = key.partition(":")[2]
        found[key if name in found else name] = value
    return found
