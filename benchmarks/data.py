"""What the benchmarks store: comments of a known size, through the API, or straight into the store by the million."""

import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.serving import Server
from headrace.core.content import Kind
from headrace.core.records import NewRecord
from headrace.decode import encode
from headrace.storage import open_store

SOURCE = "/api/v1/sources/default/mail"
DATASET = "/api/v1/datasets/default/voice"
SYNC = f"{SOURCE}/sync"
PUT_COMMENTS = "/api/_private/sources/default/mail/comments"
DAY = 86_400_000_000
CHUNK = 5_000


def comment(number: int, *, size: int = 1_000, edition: int = 0) -> dict[str, object]:
    """A comment of about `size` bytes of JSON, the same for the same arguments; ids come in random order."""
    chance = random.Random(number)
    key = f"{chance.getrandbits(128):032x}"
    words = " ".join(f"word{chance.randrange(5_000)}" for _ in range(max(1, (size - 300) // 9)))
    return {
        "id": key,
        "timestamp": f"2025-01-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:00.000Z",
        "messages": [
            {
                "from": "customer@example.org",
                "to": ["support@example.org"],
                "subject": {"text": f"Number {number}, edition {edition}"},
                "body": {"text": words},
            }
        ],
        "user_properties": {"string:team": "abcd"[number % 4], "number:amount": number % 1_000},
    }


def batch(start: int, count: int, *, edition: int = 0) -> bytes:
    """The body of a sync of `count` comments of about 1 KB."""
    return encode({"comments": [comment(number, edition=edition) for number in range(start, start + count)]})


def prepare(server: Server) -> None:
    """Make the source, and the dataset that views it."""
    source = server.json("PUT", SOURCE, {"source": {"title": "Mail"}})["source"]
    server.json("PUT", DATASET, {"dataset": {"source_ids": [source["id"]]}})


def stored(data: Path, source_id: int, kind: Kind, count: int, size: int) -> None:
    """Put `count` records into a source, straight into the store; nobody may serve it meanwhile."""
    store = open_store(f"sqlite:///{data / 'headrace.sqlite3'}")
    try:
        for start in range(0, count, CHUNK):
            rows = list(records(start, min(CHUNK, count - start), kind, size))
            store.write(lambda tx, rows=rows: tx.records.insert(source_id, rows))  # type: ignore[misc]
    finally:
        store.close()


def records(start: int, count: int, kind: Kind, size: int) -> Iterator[NewRecord]:
    """Records as they are stored."""
    for number in range(start, start + count):
        sent = comment(number, size=size)
        if kind is Kind.TASK:
            body, key = {"text": sent["messages"][0]["body"]["text"], "number": number}, None  # type: ignore[index]
        else:
            body, key = {"text_format": "plain", **sent}, str(sent["id"])
        yield NewRecord(key, kind, encode(body).decode(), None, number * DAY // 10_000)
