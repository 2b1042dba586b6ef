"""Export of 10,000 annotated tasks: processor time of the server, time to the first byte, and memory.

The floor is the same rows read as they are by bare sqlite3 and written into one string of bytes.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path
from typing import NamedTuple

from benchmarks.imports import project
from benchmarks.serving import ADMIN_TOKEN, Server, serving
from headrace.decode import encode

TASKS = 10_000
ROUNDS = 7
CHUNK = 2_500
FORMATS = ("JSON", "JSON_MIN", "CSV")


class Passed(NamedTuple):
    """One export: milliseconds of the server's processor time, to the first byte and to the last; bytes."""

    cpu: float
    first: float
    last: float
    size: int


def run() -> dict[str, object]:
    """Each format several times, beside the floor; the least of each figure counts."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        number = project(server)
        for start in range(0, TASKS, CHUNK):
            server.call("POST", f"/api/projects/{number}/import", annotated_tasks(start, CHUNK))
        server.settle()
        memory = server.resident()
        floor = min(timed(lambda: bare_read(Path(folder) / "headrace.sqlite3")) for _ in range(ROUNDS))
        found = {name: [export(server, number, name) for _ in range(ROUNDS)] for name in FORMATS}
        growth = server.resident() - memory
    json_ms = min(item.cpu for item in found["JSON"])
    return {
        "tasks": TASKS,
        "floor_cpu_ms": round(floor, 1),
        "formats": {name: _figures(passes) for name, passes in found.items()},
        "json_over_floor": round(json_ms / floor, 1),
        "memory_growth_mb": round(growth / 1e6),
    }


def _figures(passes: list[Passed]) -> dict[str, float]:
    return {
        "cpu_ms": round(min(item.cpu for item in passes), 1),
        "first_byte_ms": round(min(item.first for item in passes), 1),
        "wall_ms": round(min(item.last for item in passes), 1),
        "megabytes": round(passes[0].size / 1e6, 2),
    }


def annotated_tasks(start: int, count: int) -> bytes:
    """The body of an import of annotated tasks of about 200 bytes of text each."""
    region = {"from_name": "mood", "to_name": "text", "type": "choices"}
    return encode(
        [
            {
                "data": {"text": " ".join(f"word{(number * step) % 5_000}" for step in range(1, 23)), "number": number},
                "annotations": [{"result": [{**region, "value": {"choices": ["Good" if number % 2 else "Bad"]}}]}],
            }
            for number in range(start, start + count)
        ]
    )


def export(server: Server, number: int, name: str) -> Passed:
    """Export a project in a format once; raises RuntimeError when that is refused."""
    before, start = server.cpu(), time.perf_counter()
    path = f"/api/projects/{number}/export?export_type={name}&download_all_tasks=true"
    server.connection.request("GET", path, headers={"Authorization": f"Token {ADMIN_TOKEN}"})
    answer: HTTPResponse = server.connection.getresponse()
    answer.read(1)
    first = time.perf_counter() - start
    size = 1 + len(answer.read())
    last = time.perf_counter() - start
    if answer.status != 200:
        raise RuntimeError(f"the export answered {answer.status}")
    return Passed((server.cpu() - before) * 1e3, first * 1e3, last * 1e3, size)


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of processor time of this thread that the work takes."""
    start = time.thread_time()
    work()
    return (time.thread_time() - start) * 1e3


def bare_read(path: Path) -> bytes:
    """The data and the results of all tasks as they are stored."""
    connection = sqlite3.connect(path)
    statement = "SELECT r.body, a.result FROM records r JOIN annotations a ON a.record_id = r.id ORDER BY r.id"
    found = b"".join(body.encode() + result.encode() for body, result in connection.execute(statement))
    connection.close()
    return found
