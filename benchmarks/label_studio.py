"""The same work over the same requests on headrace and on Label Studio itself: processor time of each, and the ratio.

    HEADRACE_PEER_PYTHON=<its environment>/bin/python python -m benchmarks label_studio
        [--tasks N] [--annotated N] [--grown N] [--ours-only | --peer-only] [--peer-figures FILE]

Label Studio runs as `label-studio start` on its own SQLite, from an environment of its own. FILE is what a run with
--peer-only printed; its figures are compared with instead of measuring again. Without a peer only headrace is measured.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from benchmarks.data import stored
from benchmarks.exports import annotated_tasks, bare_read, export, timed
from benchmarks.imports import project, tasks
from benchmarks.peer import PYTHON_VARIABLE, peer_version, serving_peer
from benchmarks.serving import Server, cost, running, serving
from headrace.core.content import Kind
from headrace.storage import open_store

Figures = dict[str, float]
FLOOR = (sys.executable, "-m", "benchmarks.floor")
PAGE = 100
ROUNDS = 20
EXPORTS = 5
IMPORTS = 3
GROWTH = 10_000
RECORD_BYTES = 400
REST_SECONDS = 600
# From ten annotated tasks on headrace trains a model meanwhile, which Label Studio does not.
ANNOTATED_IN_TURNS = 8
TARGETS = {"import": 1 / 5, "page": 1 / 20, "annotation": 1 / 15, "export": 1 / 20, "delete": 1 / 5}
TARGET_FIRST_BYTE_MS = 200
TARGET_GROWTH = 1.3
RESULT = [{"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": ["Good"]}}]


class Sizes(NamedTuple):
    """Tasks that are imported and deleted, annotated tasks of the page and the export, tasks of the grown project."""

    tasks: int = 100_000
    annotated: int = 10_000
    grown: int = 1_000_000


def run(sizes: Sizes, *, ours: bool = True, python: str | None = None, kept: Path | None = None) -> dict[str, object]:
    """Measure the sides asked for, one after the other; raises RuntimeError when the peer or its kept figures fail.

    `python` is the peer's, `kept` a file of its figures from an earlier run.
    """
    report: dict[str, object] = {"sizes": sizes._asdict()}
    theirs = _kept(kept, sizes) if kept else _measure_peer(python, sizes) if python else None
    report["peer"] = theirs["peer"] if theirs else f"not measured: {PYTHON_VARIABLE} names the Python that has it"
    if theirs:
        report["theirs"] = theirs["theirs"]
    if ours:
        report |= _measure_ours(sizes)
    if ours and theirs:
        report["ratio"] = _ratios(report["ours"], report["theirs"])  # type: ignore[arg-type]
    return report


def _kept(path: Path, sizes: Sizes) -> dict[str, object]:
    found = json.loads(path.read_text())
    if "theirs" not in found or found["sizes"] != sizes._asdict():
        raise RuntimeError(f"{path} holds no figures of Label Studio for {sizes}")
    return {"peer": found["peer"], "theirs": found["theirs"]}


def _measure_peer(python: str, sizes: Sizes) -> dict[str, object]:
    version = peer_version(python)
    with tempfile.TemporaryDirectory() as folder, serving_peer(python, Path(folder)) as server:
        return {"peer": f"label-studio {version}", "theirs": _measured(server, sizes)}


def _measure_ours(sizes: Sizes) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, running(FLOOR) as floor:
        found = _measured(server, sizes)
        bare_answer = cost(floor, lambda: floor.call("GET", "/"), rounds=ROUNDS).cpu
        rows_read = min(timed(lambda: bare_read(Path(folder) / "headrace.sqlite3")) for _ in range(EXPORTS))
    return {
        "ours": found,
        "floor_cpu_ms": {"bare_asgi_answer": round(bare_answer, 3), "export_rows_read": round(rows_read, 1)},
        "import_into_grown_project": _grown(sizes),
    }


def _measured(server: Server, sizes: Sizes) -> dict[str, Figures]:
    """Every path on one server; the project of the page and the export is filled in between, unmeasured."""
    big = project(server)
    body = tasks(sizes.tasks)
    found = {"import": _once(server, lambda: _import(server, big, body, sizes.tasks))}
    annotated = project(server)
    _import(server, annotated, annotated_tasks(0, sizes.annotated), sizes.annotated)
    server.settle(REST_SECONDS)
    found["page"] = _page(server, annotated, sizes.annotated)
    found["export"] = _export(server, annotated)
    found["annotation"] = _annotation(server, sizes.annotated)
    return found | {"delete": _once(server, lambda: _delete(server, big))}


def _once(server: Server, work: Callable[[], None]) -> Figures:
    """Seconds of a piece of work that cannot be repeated, with whatever the server does about it afterwards."""
    cpu, start = server.cpu(), time.perf_counter()
    work()
    wall = time.perf_counter() - start
    server.settle(REST_SECONDS)
    return {"cpu_ms": round((server.cpu() - cpu) * 1e3), "wall_ms": round(wall * 1e3)}


def _import(server: Server, number: int, body: bytes, expected: int) -> None:
    """One request to its end: Label Studio answers when all is stored, headrace names an import to follow."""
    answer = server.json("POST", f"/api/projects/{number}/import", body)
    while "import" in answer and answer.get("status") != "completed":
        time.sleep(0.1)
        answer |= server.json("GET", f"/api/projects/{number}/imports/{answer['import']}/")
        if answer["status"] == "failed":
            raise RuntimeError(answer["error"])
    if answer["task_count"] != expected:
        raise RuntimeError(f"{answer['task_count']} tasks of {expected} were imported")


def _page(server: Server, number: int, size: int) -> Figures:
    turn = count(1)

    def read() -> None:
        page = next(turn) * 7 % max(1, size // PAGE) + 1
        found = server.json("GET", f"/api/tasks/?project={number}&page={page}&page_size={PAGE}&fields=all")
        if len(found["tasks"]) != min(PAGE, size):
            raise RuntimeError(f"page {page} has {len(found['tasks'])} tasks")

    return cost(server, read, rounds=ROUNDS).figures()


def _export(server: Server, number: int) -> Figures:
    passes = [export(server, number, "JSON") for _ in range(EXPORTS)]
    return {
        "cpu_ms": round(statistics.median(one.cpu for one in passes), 1),
        "first_byte_ms": round(statistics.median(one.first for one in passes), 1),
        "wall_ms": round(statistics.median(one.last for one in passes), 1),
        "megabytes": round(passes[0].size / 1e6, 2),
    }


def _annotation(server: Server, size: int) -> Figures:
    """Annotations of a few tasks in turns, in a project of tasks that nobody annotated."""
    number = project(server)
    _import(server, number, tasks(size), size)
    page = f"/api/tasks/?project={number}&page_size={ANNOTATED_IN_TURNS}"
    ids = [task["id"] for task in server.json("GET", page)["tasks"]]
    server.settle(REST_SECONDS)
    turn = count()

    def annotate() -> None:
        task = ids[next(turn) % len(ids)]
        server.call("POST", f"/api/tasks/{task}/annotations/", {"result": RESULT, "lead_time": 1.5})

    return cost(server, annotate, rounds=ROUNDS).figures()


def _delete(server: Server, number: int) -> None:
    server.call("DELETE", f"/api/projects/{number}/tasks/")
    left = server.json("GET", f"/api/projects/{number}/")["task_number"]
    if left:
        raise RuntimeError(f"{left} tasks are left")


def _ratios(ours: Mapping[str, Figures], theirs: Mapping[str, Figures]) -> dict[str, object]:
    return {
        name: {
            "ours_over_theirs": round(ours[name]["cpu_ms"] / theirs[name]["cpu_ms"], 4),
            "target": round(target, 4),
            "met": ours[name]["cpu_ms"] <= target * theirs[name]["cpu_ms"],
        }
        for name, target in TARGETS.items()
    } | {"first_byte_met": ours["export"]["first_byte_ms"] < TARGET_FIRST_BYTE_MS}


def _grown(sizes: Sizes) -> dict[str, object]:
    """The same import into a new project and into one that holds `sizes.grown` tasks, in turns."""
    body = tasks(GROWTH)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with serving(data) as server:
            large = project(server)
        _fill(data, sizes.grown)
        with serving(data) as server:
            server.settle(REST_SECONDS)
            into = {"empty": lambda: project(server), "grown": lambda: large}
            found: dict[str, list[Figures]] = {name: [] for name in into}
            for _ in range(IMPORTS):
                for name, numbered in into.items():
                    number = numbered()
                    found[name].append(_once(server, lambda number=number: _import(server, number, body, GROWTH)))  # type: ignore[misc]
    cpu = {name: statistics.median(one["cpu_ms"] for one in passes) for name, passes in found.items()}
    ratio = round(cpu["grown"] / cpu["empty"], 2)
    return {"tasks": GROWTH, "cpu_ms": cpu, "ratio": ratio, "target": TARGET_GROWTH, "met": ratio <= TARGET_GROWTH}


def _fill(data: Path, size: int) -> None:
    """Tasks straight into the only project's own source."""
    store = open_store(f"sqlite:///{data / 'headrace.sqlite3'}")
    [source] = store.read(lambda tx: tx.sources.all(None))
    store.close()
    stored(data, source.id, Kind.TASK, size, RECORD_BYTES)


def main(arguments: Sequence[str]) -> None:
    """Print the report of a run as the arguments ask for it."""
    given = _parser().parse_args(arguments)
    python = None if given.ours_only else os.environ.get(PYTHON_VARIABLE)
    if given.peer_only and not python:
        raise SystemExit(f"--peer-only needs {PYTHON_VARIABLE}")
    sizes = Sizes(given.tasks, given.annotated, given.grown)
    report = run(sizes, ours=not given.peer_only, python=python, kept=given.peer_figures)
    print(json.dumps({"benchmark": "label_studio", **report}, indent=2), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks label_studio")
    for name, size in Sizes()._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=size)
    sides = parser.add_mutually_exclusive_group()
    sides.add_argument("--ours-only", action="store_true")
    sides.add_argument("--peer-only", action="store_true")
    sides.add_argument("--peer-figures", type=Path)
    return parser
