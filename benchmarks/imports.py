"""A Label Studio import of 100,000 tasks of 200 bytes: at most 8 s of processor time and 200 MB of memory."""

import random
import tempfile
import time
from pathlib import Path

from benchmarks.serving import Server, serving
from headrace.decode import encode

TASKS = 100_000
TARGET_CPU_SECONDS = 8.0
TARGET_GROWTH_MB = 200
SAMPLE_SECONDS = 0.05
LABEL_CONFIG = (
    '<View><Text name="text" value="$text"/>'
    '<Choices name="mood" toName="text"><Choice value="Good"/><Choice value="Bad"/></Choices></View>'
)


def run() -> dict[str, object]:
    """One JSON body, posted and followed to its end; memory is sampled on the way."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        server.settle()
        return _import(server, tasks(TASKS))


def tasks(count: int) -> bytes:
    """The body of an import of tasks of about 200 bytes each."""
    chance = random.Random(1)
    return encode(
        [
            {"data": {"text": " ".join(f"word{chance.randrange(5_000)}" for _ in range(18)), "number": number}}
            for number in range(count)
        ]
    )


def project(server: Server) -> int:
    """A new project for texts; answers its id."""
    made = server.json("POST", "/api/projects/", {"title": "Import", "label_config": LABEL_CONFIG})
    return int(made["id"])


def _import(server: Server, body: bytes) -> dict[str, object]:
    number = project(server)
    memory, cpu, wall = server.resident(), server.cpu(), time.perf_counter()
    job = server.json("POST", f"/api/projects/{number}/import", body)["import"]
    peak, polls = server.resident(), 0
    while (state := server.json("GET", f"/api/projects/{number}/imports/{job}/"))["status"] != "completed":
        if state["status"] == "failed":
            raise RuntimeError(state["error"])
        peak, polls = max(peak, server.resident()), polls + 1
        time.sleep(SAMPLE_SECONDS)
    if state["task_count"] != TASKS:
        raise RuntimeError(f"{state['task_count']} tasks were imported")
    return {
        "tasks": TASKS,
        "body_mb": round(len(body) / 1e6, 1),
        "cpu_seconds": round(server.cpu() - cpu, 2),
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "memory_growth_mb": round((peak - memory) / 1e6),
        "polls": polls,
        "target_cpu_seconds": TARGET_CPU_SECONDS,
        "target_memory_growth_mb": TARGET_GROWTH_MB,
    }
