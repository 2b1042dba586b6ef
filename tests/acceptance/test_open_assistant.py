"""Frontends of Open-Assistant against a real server, against a mock of its description, and hostile requests."""

import os
import random
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from acceptance.oasst_client import KEYS, OasstClient, OasstError, work_once
from acceptance.server_process import TOKEN, ServerProcess

PEOPLE = [f"person {number}" for number in range(20)]
USER = {"id": "1234", "display_name": "Somebody", "auth_method": "local"}
DESCRIPTION = "/api/v1/openapi.json"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server in a process of its own."""
    server = ServerProcess(tmp_path / "data")
    server.start()
    yield server
    server.stop()


@contextmanager
def frontend(url: str) -> Iterator[OasstClient]:
    """A frontend with the admin's key."""
    with httpx2.Client(base_url=url, headers={"X-API-Key": TOKEN}, timeout=60) as http:
        yield OasstClient(http)


@pytest.mark.acceptance
def test_people_grow_trees_until_they_are_exported(server: ServerProcess) -> None:
    """Twenty people who take whatever they are given review, grow and rank trees to their end; nothing fails."""
    done: Counter[str | None] = Counter()
    with frontend(server.url) as client, ThreadPoolExecutor(4) as pool:
        for person in PEOPLE:
            body = {"id": person, "display_name": person, "auth_method": "local", "tos_acceptance": True}
            client.post("/frontend_users/", body)
        while done["rank_assistant_replies"] < 60 and done.total() < 3000:
            turns = range(done.total(), done.total() + 100)
            done.update(pool.map(lambda turn: work_once(client, PEOPLE[turn % 20], random.Random(turn)), turns))
        messages = client.http.get("/api/v1/messages/", params={"max_count": 1000}).json()
        roots = [item["id"] for item in messages if item["parent_id"] is None]
        states = Counter(client.http.get(f"/api/v1/messages/{root}/tree/state").json()["state"] for root in roots)
    assert states["ready_for_export"] >= 3, (states, done)


@pytest.fixture
def mock(server: ServerProcess, tmp_path: Path) -> Iterator[str]:
    """The address of a mock that Prism makes of the dialect's description; HEADRACE_PRISM is its command."""
    document = tmp_path / "openapi.json"
    document.write_bytes(httpx2.get(server.url + DESCRIPTION).content)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [os.environ["HEADRACE_PRISM"], "mock", "-p", str(port), str(document)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            assert any("listening" in line for line in process.stdout), "Prism ended"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.mark.acceptance
def test_mock_of_the_description_satisfies_a_frontend(mock: str) -> None:
    """What a frontend asks of a mock made from the description is understood, and the answers are what it expects."""
    with frontend(mock) as client:
        for kind in set(KEYS) - {"task_done"}:
            assert client.fetch_task(kind)["type"] == "initial_prompt"
            client.http.headers["Prefer"] = f"example={kind}"
            assert client.fetch_task(kind, USER)["type"] == kind
            del client.http.headers["Prefer"]
        task_id = str(uuid4())
        client.ack_task(task_id, "1234")
        client.nack_task(task_id, "not today")
        common = {"user": USER, "message_id": task_id, "task_id": task_id, "lang": "en"}
        for answer in (
            {"type": "text_reply_to_message", "user_message_id": "n", "text": "words"},
            {"type": "message_rating", "rating": 3},
            {"type": "message_ranking", "ranking": [1, 0]},
            {"type": "text_labels", "text": "words", "labels": {"spam": 1}},
        ):
            assert client.post_interaction(common | answer)["type"] == "task_done"
        client.post("/text_labels/", common | {"type": "text_labels", "text": "why", "labels": [], "is_report": True})
        assert client.post("/tasks/availability", USER, lang="en")["random"] >= 0
        with pytest.raises(OasstError) as refused:
            client.post(f"/tasks/{task_id}/ack", {})
        assert refused.value.status == 422


@pytest.mark.acceptance
def test_description_holds_for_generated_requests(server: ServerProcess, tmp_path: Path) -> None:
    """schemathesis finds no crash and no answer that is not as described."""
    pytest.importorskip("schemathesis")
    command = [sys.executable, "-m", "schemathesis.cli", "run", server.url + DESCRIPTION]
    options = ["-n", "3", "--phases", "coverage,fuzzing", "--max-time", "60", "--seed", "1", "--no-shrink"]
    checks = "status_code_conformance,content_type_conformance,response_schema_conformance"
    chosen = ["-c", checks, "--include-path-regex", "/(tasks|text_labels|frontend_users|messages)/"]
    done = subprocess.run(
        [*command, *options, *chosen, "-H", f"X-API-Key: {TOKEN}"],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "crashed" not in (tmp_path / "server.log").read_text()
