"""Consuming a stream through the client."""

import asyncio
from contextlib import aclosing, closing, nullcontext

import pytest
from client_world import Time, connect, connect_async, fed, server

from headrace.app import Application
from headrace.client import Client, Comment, Dataset, RecordException, Stream
from headrace.client.streams import OnError

__all__ = ["server"]


def texts(stream: Stream[Client]) -> list[str]:
    """What the stream gives from its cursor on."""
    return [comment.text for comment in stream.consume()]


def tags(client: Client, dataset: Dataset[Client]) -> list[str]:
    """The types of the exceptions tagged in the dataset, in order."""
    events = client.events(kinds=["exception.tagged"], dataset=dataset.name)
    return [str(event.data["type"]) for event in events]


def fail_at(stream: Stream[Client], text: str, *, block: bool, on_error: OnError = "tag") -> None:
    """Consume, and fail with a ZeroDivisionError at one text, inside the comment's own block or outside of it."""
    for comment in stream.consume(on_error=on_error):
        with comment if block else nullcontext():
            _ = 1 / (comment.text != text)


def test_a_comment_is_acknowledged_when_the_next_is_asked_for(server: Application) -> None:
    """Of two comments that were given, the first does not come again and the second does."""
    client, _ = connect(server)
    stream = fed(client, "a", "b", "c").stream("all")
    with closing(stream.consume()) as comments:
        assert [next(comments).text, next(comments).text] == ["a", "b"]
    assert texts(stream) == ["b", "c"]
    assert texts(stream) == []


def test_an_error_in_the_loop_leaves_its_comment_to_come_again(server: Application) -> None:
    """An error in a plain loop ends it, acknowledges what came before, and tags nothing."""
    client, through = connect(server)
    stream = fed(client, "a", "b", "c").stream("all")
    with pytest.raises(ZeroDivisionError):
        fail_at(stream, "b", block=False)
    assert through.count("PUT", "/exceptions") == 0
    assert texts(stream) == ["b", "c"]


def test_a_failed_block_tags_its_comment_and_goes_on(server: Application) -> None:
    """The tag is the error's class name, or what a RecordException says; the cursor moves past both."""
    client, through = connect(server)
    dataset = fed(client, "a", "b", "c")
    failures = {}
    for comment in dataset.stream("all").consume():
        with comment:
            if comment.text == "a":
                raise RecordException("no order number")
            _ = 1 / (comment.text != "b")
        failures[comment.text] = comment.failure
    assert failures == {"a": "no order number", "b": "ZeroDivisionError", "c": None}
    assert through.count("PUT", "/exceptions") == 2
    assert texts(dataset.stream("all")) == []
    assert tags(client, dataset) == ["no order number", "ZeroDivisionError"]


def test_stopping_at_errors_tags_and_leaves_the_comment_to_come_again(server: Application) -> None:
    """With on_error="stop" the error leaves the block; its comment is tagged and comes again."""
    client, through = connect(server)
    stream = fed(client, "a", "b", "c").stream("all")
    with pytest.raises(ZeroDivisionError):
        fail_at(stream, "b", block=True, on_error="stop")
    assert through.count("PUT", "/exceptions") == 1
    assert texts(stream) == ["b", "c"]


def test_a_block_that_succeeded_is_acknowledged_when_the_loop_is_left(server: Application) -> None:
    """After a block that ended well, a break loses nothing and repeats nothing."""
    client, _ = connect(server)
    stream = fed(client, "a", "b").stream("all")
    for comment in stream.consume():
        with comment:
            pass
        break
    assert texts(stream) == ["b"]


def test_acknowledgements_can_be_collected(server: Application) -> None:
    """With acknowledge_every=10 one advance tells of a whole batch, unless the time is up before."""
    time = Time()
    client, through = connect(server, time)
    stream = fed(client, *"abcdef").stream("all")
    for comment in stream.consume(acknowledge_every=10, acknowledge_seconds=5.0):
        time.now += 6.0 if comment.text == "b" else 0.0
    assert through.count("POST", "/advance") == 2
    assert texts(stream) == []


def test_a_consumer_that_waits_looks_again(server: Application) -> None:
    """With `wait` an empty stream is asked again after so many seconds, without being advanced each time."""
    time = Time()
    client, through = connect(server, time)
    dataset = fed(client)

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if len(time.slept) == 3:
            dataset.import_records([{"text": "late"}])

    client._sleep = sleep
    with closing(dataset.stream("all").consume(wait=4.0)) as comments:
        assert next(comments).text == "late"
    assert time.slept == [4.0, 4.0, 4.0]
    assert through.count("POST", "/advance") == 1


def test_a_handler_is_called_with_each_comment(server: Application) -> None:
    """`process` tags what its function fails on, and counts."""
    client, _ = connect(server)
    dataset = fed(client, "1", "x", "3")
    seen: list[int] = []
    done = dataset.stream("all").process(lambda comment: seen.append(int(comment.text)))
    assert (seen, done.given, done.tagged) == ([1, 3], 3, 1)
    assert tags(client, dataset) == ["ValueError"]


def test_a_handler_that_stops_leaves_its_comment_to_come_again(server: Application) -> None:
    """`process` with on_error="stop" raises what its function raised, after acknowledging what came before."""
    client, _ = connect(server)
    stream = fed(client, "1", "x", "3").stream("all")
    with pytest.raises(ValueError, match="invalid literal"):
        stream.process(lambda comment: int(comment.text), on_error="stop")
    assert texts(stream) == ["x", "3"]


def test_a_coroutine_function_is_for_the_asyncio_client(server: Application) -> None:
    """A blocking client refuses one, instead of acknowledging what nobody handled."""
    client, _ = connect(server)
    dataset = fed(client, "a")

    async def handle(comment: Comment) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="AsyncClient"):
        dataset.stream("all").process(handle)
    assert [stream.name for stream in dataset.streams()] == ["all"]
    assert texts(dataset.stream("all")) == ["a"]


def test_a_comment_that_was_deleted_needs_no_tag(server: Application) -> None:
    """A failure on a comment that is gone meanwhile does not end the consumer."""
    client, _ = connect(server)
    stream = fed(client, "a", "b").stream("all")
    given = []
    for comment in stream.consume():
        given.append(comment.text)
        with comment:
            client.carry_out(client.call("DELETE", f"/api/tasks/{int(comment.id, 16)}/"))
            raise RecordException("gone")
    assert given == ["a", "b"]


def test_a_comment_shows_what_it_holds(server: Application) -> None:
    """Text, properties and time of a comment are attributes."""
    client, _ = connect(server)
    (comment,) = fed(client, "a").stream("all").consume()
    assert isinstance(comment, Comment)
    assert (comment.text, comment.subject, comment.properties, comment.labels) == ("a", "", {"number": 0}, {})
    assert comment.timestamp.tzinfo is not None
    assert comment.uid.endswith(f".{comment.id}")


def test_the_asyncio_client_consumes_alike(server: Application) -> None:
    """The same with `async for`, a coroutine as handler, and a loop that is left early."""
    client, _ = connect(server)
    dataset = fed(client, "a", "b", "c")

    async def consume() -> list[str]:
        seen = []
        async with connect_async(server) as other:
            stream = other.dataset(dataset.name).stream("all")
            async with aclosing(stream.consume()) as comments:
                async for comment in comments:
                    with comment:
                        seen.append(comment.text)
                    break

            async def handle(comment: Comment) -> None:
                await asyncio.sleep(0)
                seen.append(comment.text)

            await stream.process(handle)
        return seen

    assert asyncio.run(consume()) == ["a", "b", "c"]
    assert texts(dataset.stream("all")) == []
