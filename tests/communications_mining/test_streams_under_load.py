"""Streams keep their promise while everything around them moves: nothing lost, order kept, whoever crashes."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from cm_world import DATASET, STREAMS, make_dataset, make_source
from starlette.testclient import TestClient

from conftest import client_of, ok
from headrace.app import Application

SECONDS = 12.0
ROUNDS = 10
BATCH = 8
PAST, FUTURE = "2000-01-01T00:00:00", "2100-01-01T00:00:00"


@dataclass
class Uploads:
    """What one uploader had acknowledged of its source: the stamps that still stand, by comment id."""

    source: str
    name: str
    stamps: Iterator[int] = field(default_factory=itertools.count)
    standing: dict[str, int] = field(default_factory=dict)

    def send(self, api: TestClient, keys: list[str]) -> None:
        """Upload comments, each with the next stamp as its text."""
        stamped = {key: next(self.stamps) for key in keys}
        comments = [
            {"id": key, "timestamp": "2026-01-01T00:00:00Z", "messages": [{"body": {"text": str(stamp)}}]}
            for key, stamp in stamped.items()
        ]
        ok(api.post(f"/api/v1/sources/default/{self.name}/sync", json={"comments": comments}))
        self.standing |= stamped

    def drop(self, api: TestClient, keys: list[str]) -> None:
        """Delete comments."""
        ok(api.delete(f"/api/v1/sources/default/{self.name}/comments", params={"id": keys}))
        for key in keys:
            del self.standing[key]


@dataclass
class Consumer:
    """What one consumer was given, delivery by delivery: source, comment id and stamp."""

    api: TestClient
    stream: str
    seen: list[tuple[str, str, int]] = field(default_factory=list)

    def fetch(self, size: int = 16) -> dict[str, Any]:
        """Fetch and process a batch, without advancing."""
        batch = dict(ok(self.api.post(f"{STREAMS}/{self.stream}/fetch", json={"size": size, "max_filtered": 64})))
        self.seen += [
            (item["comment"]["source_id"], item["comment"]["id"], int(item["comment"]["messages"][0]["body"]["text"]))
            for item in batch["results"]
        ]
        return batch

    def advance(self, batch: dict[str, Any]) -> None:
        """Advance behind a batch."""
        ok(self.api.post(f"{STREAMS}/{self.stream}/advance", json={"sequence_id": batch["sequence_id"]}))

    def reset(self, instant: str) -> None:
        """Move the cursor by time."""
        ok(self.api.post(f"{STREAMS}/{self.stream}/reset", json={"to_comment_created_at": instant}))

    def drain(self, wanted: set[str]) -> None:
        """Consume until the last comment of every uploader came and the queue is at its end."""
        left, deadline = set(wanted), time.monotonic() + SECONDS
        while left:
            assert time.monotonic() < deadline, f"never delivered: {sorted(left)}"
            before = len(self.seen)
            batch = self.fetch()
            self.advance(batch)
            left -= {key for _, key, _ in self.seen[before:]}


def work(api: TestClient, uploads: Uploads, seed: int) -> None:
    """Upload, change and delete in turns; last comes a comment that says that it is over."""
    chance = random.Random(seed)
    for turn in range(ROUNDS):
        uploads.send(api, [f"{uploads.name}-{turn}-{number}" for number in range(BATCH)])
        uploads.send(api, chance.sample(sorted(uploads.standing), 2))
        if turn % 3 == 2:
            uploads.drop(api, chance.sample(sorted(uploads.standing), 2))
    uploads.send(api, [f"{uploads.name}-last"])


def crash_often(consumer: Consumer, over: threading.Event, wanted: set[str], seed: int) -> None:
    """Consume, and in every third batch die between processing and advancing."""
    chance = random.Random(seed)
    while not over.is_set():
        batch = consumer.fetch(chance.choice((1, 5, 16)))
        if chance.random() > 0.3:
            consumer.advance(batch)
    consumer.drain(wanted)


def reset_often(consumer: Consumer, over: threading.Event, wanted: set[str], seed: int) -> None:
    """Consume, jumping back to the start and forward to the end; at last read everything from the start."""
    chance = random.Random(seed)
    while not over.is_set():
        consumer.advance(consumer.fetch())
        if chance.random() < 0.2:
            consumer.reset(chance.choice((PAST, FUTURE)))
    consumer.reset(PAST)
    consumer.seen.clear()
    consumer.drain(wanted)


def check_nothing_lost(consumer: Consumer, uploads: Uploads) -> None:
    """The last word of every comment that still stands was delivered."""
    delivered = {(key, stamp) for source, key, stamp in consumer.seen if source == uploads.source}
    assert set(uploads.standing.items()) <= delivered


def check_order(consumer: Consumer, uploads: Uploads) -> None:
    """What came for the first time came in the order in which it was uploaded to its source."""
    first = list(dict.fromkeys(stamp for source, _, stamp in consumer.seen if source == uploads.source))
    assert first == sorted(first)


@pytest.mark.parametrize("seed", [1])
def test_nothing_is_lost_under_load(either: Application, seed: int) -> None:
    """Three uploaders change and delete, a consumer crashes, one resets, sources come and go: all is delivered."""
    admin = client_of(either)
    known = [Uploads(make_source(admin, f"default/{name}"), name) for name in ("one", "two", "three")]
    leaving = Uploads(make_source(admin, "default/leaving"), "leaving")
    make_dataset(admin, *(item.source for item in known[:2]), leaving.source)
    for name in ("crashing", "resetting", "steady"):
        ok(admin.put(STREAMS, json={"stream": {"name": name}}))
    filtered = {"sources": [known[0].source]}
    ok(admin.put(STREAMS, json={"stream": {"name": "narrow", "comment_filter": filtered}}))
    last, over = {f"{item.name}-last" for item in known}, threading.Event()

    def come_and_go(api: TestClient) -> None:
        """Send to a source until it leaves the dataset, and to another one from its joining on."""
        leaving.send(api, ["leaving-before"])
        sources = [item.source for item in known]
        ok(api.post(f"/api/v1/datasets/{DATASET}", json={"dataset": {"source_ids": sources}}))
        leaving.send(api, ["leaving-after"])
        work(api, known[2], seed)

    consumers = {name: Consumer(client_of(either), name) for name in ("crashing", "resetting", "steady", "narrow")}
    jobs: list[Callable[[], None]] = [
        lambda: crash_often(consumers["crashing"], over, last, seed),
        lambda: reset_often(consumers["resetting"], over, last, seed),
        lambda: consumers["steady"].drain(last),
        lambda: consumers["narrow"].drain({"one-last"}),
    ]
    with ThreadPoolExecutor(8) as threads:
        uploading = [threads.submit(work, client_of(either), item, seed) for item in known[:2]]
        uploading.append(threads.submit(come_and_go, client_of(either)))
        consuming = [threads.submit(job) for job in jobs]
        try:
            for future in uploading:
                future.result()
        finally:
            over.set()
        for future in consuming:
            future.result()

    for name in ("crashing", "resetting", "steady"):
        for item in known:
            check_nothing_lost(consumers[name], item)
            check_order(consumers[name], item)
        assert "leaving-after" not in {key for _, key, _ in consumers[name].seen}
    check_nothing_lost(consumers["narrow"], known[0])
    assert {source for source, _, _ in consumers["narrow"].seen} == {known[0].source}
    now = sorted((item.source, key, stamp) for item in known for key, stamp in item.standing.items())
    assert sorted(consumers["resetting"].seen) == now
    assert len(consumers["steady"].seen) == len(set(consumers["steady"].seen))
