"""What a real process keeps when it is killed at a random moment, and how it ends when it is asked to."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from acceptance.server_process import ServerProcess

KILLS = 2
UPLOADERS = 3
BATCH = 20
BIG_IMPORT = 12_000
COMPLETE_SECONDS = 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A running server with a source `mail`, a dataset over it and a stream from the start."""
    process = ServerProcess(tmp_path / "data")
    process.start()
    with process.client() as client:
        source = client.put("/api/v1/sources/default/mail", json={"source": {}}).json()["source"]
        body = {"dataset": {"source_ids": [source["id"]]}}
        assert client.put("/api/v1/datasets/default/triage", json=body).status_code == 200
        path = "/api/v1/datasets/default/triage/streams"
        assert client.put(path, json={"stream": {"name": "all"}}).status_code == 200
    yield process
    process.kill()


def comment(key: str) -> dict[str, object]:
    """A small comment with that id."""
    return {"id": key, "timestamp": "2026-01-01T00:00:00Z", "messages": [{"body": {"text": f"text of {key}"}}]}


def upload_until_it_dies(server: ServerProcess, name: str, acknowledged: list[str]) -> None:
    """Send batches until the server is gone, noting every id whose batch was acknowledged."""
    with server.client() as client:
        for number in range(10_000):
            keys = [f"{name}-{number}-{place}" for place in range(BATCH)]
            try:
                answer = client.post(
                    "/api/v1/sources/default/mail/sync", json={"comments": [comment(key) for key in keys]}
                )
            except httpx2.HTTPError:
                return
            if answer.status_code == 200:
                acknowledged += keys


def delivered(server: ServerProcess) -> list[str]:
    """The ids that the stream delivers from its cursor to the end, without moving it."""
    found: list[str] = []
    with server.client() as client:
        path = "/api/v1/datasets/default/triage/streams/all"
        client.post(f"{path}/reset", json={"to_comment_created_at": "2020-01-01T00:00:00"})
        while True:
            batch = client.post(f"{path}/fetch", json={"size": 1024}).json()
            found += [result["comment"]["id"] for result in batch["results"]]
            client.post(f"{path}/advance", json={"sequence_id": batch["sequence_id"]})
            if batch["is_end_sequence"]:
                return found


def test_kills_lose_and_double_nothing(server: ServerProcess) -> None:
    """After kill -9 at random moments every acknowledged comment is delivered exactly once, in upload order."""
    acknowledged: dict[str, list[str]] = {}
    chance = random.Random(7)
    for kill in range(KILLS):
        threads = []
        for uploader in range(UPLOADERS):
            name = f"k{kill}u{uploader}"
            kept = acknowledged.setdefault(name, [])
            threads.append(threading.Thread(target=upload_until_it_dies, args=(server, name, kept)))
        for thread in threads:
            thread.start()
        threading.Event().wait(0.3 + chance.random())
        server.kill()
        for thread in threads:
            thread.join()
        server.start()
    found = delivered(server)
    assert len(found) == len(set(found))
    for name, kept in acknowledged.items():
        assert kept, "the server was killed before it acknowledged anything"
        mine = [key for key in found if key.startswith(f"{name}-")]
        assert mine[: len(kept)] == kept


@pytest.mark.acceptance
def test_an_import_survives_kills(server: ServerProcess) -> None:
    """An accepted import completes by itself after kill -9 in the middle, every task exactly once."""
    config = '<View><Text name="text" value="$text"/></View>'
    with server.client() as client:
        project = client.post("/api/projects/", json={"title": "Killed", "label_config": config}).json()["id"]
        tasks = [{"text": f"task {number} " + "x" * 150} for number in range(BIG_IMPORT)]
        accepted = client.post(f"/api/projects/{project}/import?return_task_ids=true", json=tasks)
        assert accepted.status_code == 201
    for wait in (0.4, 0.6):
        threading.Event().wait(wait)
        server.kill()
        server.start()
    path = f"/api/projects/{project}/imports/{accepted.json()['import']}/"
    deadline = time.monotonic() + COMPLETE_SECONDS
    with server.client() as client:
        while (status := client.get(path).json())["status"] not in ("completed", "failed"):
            assert time.monotonic() < deadline, status["status"]
            threading.Event().wait(0.2)
        assert status["status"] == "completed"
        assert status["task_count"] == len(set(status["task_ids"])) == BIG_IMPORT
        page = client.get(f"/api/tasks/?project={project}&page_size=1").json()
    assert page["total"] == BIG_IMPORT


def test_sigterm_ends_cleanly(server: ServerProcess) -> None:
    """SIGTERM ends the process with code 0 within twenty seconds."""
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 20
