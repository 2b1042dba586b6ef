"""The same pages at 10,000 and at 1,000,000 records: what they cost must not grow with what is stored."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.data import DATASET, PUT_COMMENTS, SOURCE, comment, prepare, stored
from benchmarks.imports import project
from benchmarks.serving import Cost, Server, cost, serving
from headrace.core.content import Kind
from headrace.storage import open_store

SIZES = (10_000, 1_000_000)
PAGE = 100
RECORD_BYTES = 400
ROUNDS = 20
EACH = 5
TARGET = 1.3


def run() -> dict[str, object]:
    """Each page at both sizes: in the middle of what is stored, where counting rows up to it would show."""
    small, large = (_measured(count) for count in SIZES)
    ratios = {name: round(large[name].cpu / small[name].cpu, 2) for name in small}
    return {
        "records": SIZES,
        "small": {name: found.figures() for name, found in small.items()},
        "large": {name: found.figures() for name, found in large.items()},
        "ratio": ratios,
        "target_ratio": TARGET,
    }


def _measured(count: int) -> dict[str, Cost]:
    """Half of the records are comments of a source, half the tasks of a project."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with serving(data) as server:
            prepare(server)
            project_id = project(server)
        _fill(data, count // 2)
        with serving(data) as server:
            calls = _calls(server, count // 2, project_id)
            server.settle()
            return {name: cost(server, call, rounds=ROUNDS, each=EACH) for name, call in calls.items()}


def _fill(data: Path, count: int) -> None:
    store = open_store(f"sqlite:///{data / 'headrace.sqlite3'}")
    sources = store.read(lambda tx: tx.sources.all(None))
    store.close()
    for source in sources:
        stored(data, source.id, Kind.COMMENT if source.name == "mail" else Kind.TASK, count, RECORD_BYTES)


def _calls(server: Server, count: int, project_id: int) -> dict[str, Callable[[], object]]:
    middle = count // 2
    server.call("PUT", f"{DATASET}/streams", {"stream": {"name": "all"}})
    server.call("POST", f"{DATASET}/streams/all/reset", {"to_comment_created_at": "2020-01-01T00:00:00Z"})
    page = server.json("GET", f"{PUT_COMMENTS}?limit={PAGE}")["continuation"]
    export = server.json("POST", f"{DATASET}/export", {"limit": PAGE})["continuation"]
    tasks = f"/api/tasks/?project={project_id}&page_size={PAGE}"
    return {
        "get_comment": lambda: server.call("GET", f"{SOURCE}/comments/{comment(middle)['id']}"),
        "comments_page": lambda: server.call("GET", f"{PUT_COMMENTS}?limit={PAGE}&after={page}"),
        "fetch": lambda: server.call("POST", f"{DATASET}/streams/all/fetch", {"size": PAGE}),
        "export_page": lambda: server.call("POST", f"{DATASET}/export", {"limit": PAGE, "continuation": export}),
        "task_page": lambda: server.call("GET", f"{tasks}&page={middle // PAGE}"),
        "task_ids": lambda: server.call("GET", f"{tasks}&page={middle // PAGE}&include=id"),
        "project": lambda: server.call("GET", f"/api/projects/{project_id}/"),
    }
