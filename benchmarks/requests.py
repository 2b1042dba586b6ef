"""The small requests that people and programs send all day: what each costs in a small and in a large project.

The floor is a bare ASGI answer, and a row written and committed by bare sqlite3 with headrace's own safety settings.
"""

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.data import DATASET, SYNC, batch, prepare, stored
from benchmarks.exports import annotated_tasks
from benchmarks.imports import project
from benchmarks.serving import Server, costs, running, serving
from headrace.app import admin_of
from headrace.core import run_tasks, runs
from headrace.core.content import Kind
from headrace.core.learning import TRAIN_DELAY_SECONDS
from headrace.core.store import Tx
from headrace.storage import open_store

SIZES = (1_000, 50_000)
RECORD_BYTES = 400
PAGE = 100
LIST = 1_000
CHUNK = 5_000
ROUNDS = 9
EACH = 10
WRITES = 200
# From ten annotated records on a model is trained meanwhile.
IN_TURNS = 8
TARGETS_MS = {"run_patch": 3.0, "run_create": 2.0, "run_list_1000": 10.0}
TARGET_RATIO = 1.3
RESULT = [{"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": ["Good"]}}]
MODEL = {"model_name": "gpt-4o", "model_provider": "openai", "adapter_name": "langchain"}
RUN = {"input": "Where is my order, please?" * 4, "output": "It was sent today and comes tomorrow." * 4, **MODEL}
STARTED = "2025-01-01T00:00:00.000000Z"

Calls = Mapping[str, Callable[[], object]]


class Places(NamedTuple):
    """Where the requests go: two projects of tasks, of which the first has a page of annotated ones, and the runs."""

    annotated: int
    fresh: int
    runs: str


def run() -> dict[str, object]:
    """Each request at both sizes in turns, after the background work is over."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bare = stack.enter_context(running([sys.executable, "-m", "benchmarks.floor"]))
        sides = [stack.enter_context(_filled(size)) for size in SIZES]
        floor = costs([(bare, lambda: bare.call("GET", "/"))], rounds=ROUNDS, each=EACH)[0]
        small, large = (calls for _, calls in sides)
        found = {}
        for name in small:
            turns = [(sides[0][0], small[name]), (sides[1][0], large[name])]
            found[name] = costs(turns, rounds=ROUNDS, each=EACH)
        written = _bare_write(folder / "floor.sqlite3")
    return {
        "rows": SIZES,
        "floor_cpu_ms": {"bare_asgi_answer": round(floor.cpu, 3), "bare_write_and_commit": round(written, 3)},
        "small": {name: one.figures() for name, (one, _) in found.items()},
        "large": {name: other.figures() for name, (_, other) in found.items()},
        "ratio": {name: round(other.cpu_least / one.cpu_least, 2) for name, (one, other) in found.items()},
        "target_ms": TARGETS_MS,
        "target_ratio": TARGET_RATIO,
    }


def _bare_write(path: Path) -> float:
    """Milliseconds of processor time of one event written and committed."""
    open_store(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    spent = []
    for number in range(WRITES):
        before = time.process_time()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO events (x, n, at, kind, data) VALUES (0, ?, ?, 'annotation.created', '{}')",
            (1_000_000 + number, time.time_ns() // 1000),
        )
        connection.execute("COMMIT")
        spent.append(time.process_time() - before)
    connection.close()
    return median(spent) * 1e3


@contextmanager
def _filled(size: int) -> Iterator[tuple[Server, Calls]]:
    """A server with `size` tasks in each of two projects and as many runs; with the requests to it."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with serving(data) as server:
            places = _places(server)
        _fill(data, places, size)
        with serving(data) as server:
            server.settle()
            yield server, _calls(server, places)


def _places(server: Server) -> Places:
    annotated, fresh = project(server), project(server)
    server.call("POST", f"/api/projects/{annotated}/import", annotated_tasks(0, PAGE))
    owner = server.json("POST", "/kiln/api/projects", {"name": "Support"})["id"]
    body = {"name": "Answer", "instruction": "Answer the customer."}
    task = server.json("POST", f"/kiln/api/projects/{owner}/tasks", body)["id"]
    prepare(server)
    server.call("POST", SYNC, batch(0, IN_TURNS))
    time.sleep(TRAIN_DELAY_SECONDS + 1)
    server.settle()
    return Places(annotated, fresh, f"/api/projects/{owner}/tasks/{task}/runs")


def _fill(data: Path, places: Places, size: int) -> None:
    """Tasks and runs straight into the store."""
    store = open_store(f"sqlite:///{data / 'headrace.sqlite3'}")
    tasks = [store.read(lambda tx, number=number: tx.datasets.get(number, None)) for number in places[:2]]  # type: ignore[misc]
    owner, task = (int(part) for part in places.runs.split("/") if part.isdigit())
    try:
        for start in range(0, size, CHUNK):
            documents = [(_document(number), None) for number in range(start, min(start + CHUNK, size))]
            store.write(lambda tx, documents=documents: _insert(tx, owner, task, documents))  # type: ignore[misc]
    finally:
        store.close()
    for dataset in tasks:
        stored(data, dataset.own_source_id, Kind.TASK, size, RECORD_BYTES)


def _insert(tx: Tx, owner: int, task: int, documents: list[tuple[dict[str, Any], None]]) -> None:
    who = admin_of(tx)
    runs.insert_many(tx, who, run_tasks.load(tx, who, owner, task), documents)


def _document(number: int) -> dict[str, Any]:
    source = {"type": "synthetic", "properties": MODEL, "run_config_id": None, "run_config": None}
    stamped = {"v": 1, "path": None, "created_at": STARTED, "created_by": "admin"}
    output = {"output": RUN["output"], "source": source, "rating": None, "model_type": "task_output"}
    return {
        "created_at": STARTED,
        "created_by": "admin",
        "input": f"{number}: {RUN['input']}",
        "input_source": source,
        "output": {**stamped, "id": f"{100_000_000_000 + number}", **output},
        "tags": [],
        "model_type": "task_run",
    }


def _calls(server: Server, places: Places) -> Calls:
    """The requests; the server is at rest, so that none meets the training of a model."""
    return {
        "health": lambda: server.call("GET", "/health"),
        **_task_calls(server, places),
        **_run_calls(server, places.runs),
        "label_comment": _labelling(server),
    }


def _task_calls(server: Server, places: Places) -> Calls:
    turn = count()
    page = f"/api/tasks/?project={places.annotated}&page_size={PAGE}"
    fresh = server.json("GET", f"/api/tasks/?project={places.fresh}&page_size={IN_TURNS}&include=id")["tasks"]
    first = server.json("GET", f"{page}&include=id")["tasks"][0]["id"]

    def annotate() -> bytes:
        path = f"/api/tasks/{fresh[next(turn) % len(fresh)]['id']}/annotations/"
        return server.call("POST", path, {"result": RESULT, "lead_time": 1.5})

    return {
        "annotate": annotate,
        "next_task": lambda: server.call("GET", f"/api/projects/{places.fresh}/next/"),
        "task_page": lambda: server.call("GET", page),
        "task_page_in_full": lambda: server.call("GET", f"{page}&fields=all"),
        "task_page_of_ids": lambda: server.call("GET", f"{page}&include=id"),
        "get_task": lambda: server.call("GET", f"/api/tasks/{first}/"),
    }


def _run_calls(server: Server, path: str) -> Calls:
    turn = count()
    known = [item["id"] for item in server.json("GET", f"{path}?limit={IN_TURNS}")]

    def patch() -> bytes:
        number = next(turn)
        rating = {"type": "five_star", "value": 1 + number % 5}
        return server.call("PATCH", f"{path}/{known[number % IN_TURNS]}", {"output": {"rating": rating}})

    def edit_tags() -> bytes:
        number = next(turn)
        tags = {"add_tags": [f"round_{number % 7}"], "remove_tags": [f"round_{(number + 3) % 7}"]}
        return server.call("POST", f"{path}/edit_tags", {"run_ids": [known[number % IN_TURNS]], **tags})

    def say() -> bytes:
        words = {"feedback": "Too long.", "source": "run-page"}
        return server.call("POST", f"{path}/{known[next(turn) % IN_TURNS]}/feedback", words)

    return {
        "run_patch": patch,
        "run_create": lambda: server.call("POST", path, RUN),
        "run_list_1000": lambda: server.call("GET", f"{path}?limit={LIST}"),
        "run_edit_tags": edit_tags,
        "run_feedback": say,
    }


def _labelling(server: Server) -> Callable[[], object]:
    turn = count()
    server.call("PUT", f"{DATASET}/streams", {"stream": {"name": "all"}})
    server.call("POST", f"{DATASET}/streams/all/reset", {"to_comment_created_at": "2020-01-01T00:00:00Z"})
    found = server.json("POST", f"{DATASET}/streams/all/fetch", {"size": IN_TURNS})["results"]
    uids = [item["comment"]["uid"] for item in found]

    def label() -> bytes:
        number = next(turn)
        labelling = [{"group": "default", "assigned": [{"name": f"Topic {number % 7}", "sentiment": "positive"}]}]
        path = f"/api/_private/datasets/default/voice/labellings/{uids[number % IN_TURNS]}"
        return server.call("POST", path, {"labelling": labelling})

    return label
