"""The same pages at 10,000 and at 1,000,000 records: what they cost must not grow with what is stored."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.data import DATASET, PUT_COMMENTS, SOURCE, comment, prepare, stored
from benchmarks.imports import project
from benchmarks.serving import Server, costs, serving
from headrace.core.content import Kind
from headrace.storage import open_store

SIZES = (10_000, 1_000_000)
PAGE = 100
RECORD_BYTES = 400
ROUNDS = 20
EACH = 5
TARGET = 1.3


def run() -> dict[str, object]:
    """Each page at both sizes in turns, in the middle of what is stored, where counting rows up to it would show."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_filled(count // 2)) for count in SIZES]
        small, large = (_calls(*found) for found in servers)
        pairs = {name: [(servers[0][0], small[name]), (servers[1][0], large[name])] for name in small}
        found = {name: costs(pair, rounds=ROUNDS, each=EACH) for name, pair in pairs.items()}
    return {
        "records": SIZES,
        "small": {name: one.figures() for name, (one, _) in found.items()},
        "large": {name: other.figures() for name, (_, other) in found.items()},
        "ratio": {name: round(other.cpu / one.cpu, 2) for name, (one, other) in found.items()},
        "target_ratio": TARGET,
    }


@contextmanager
def _filled(count: int) -> Iterator[tuple[Server, int, int]]:
    """A server with `count` comments in a source and as many tasks in a project; with that count and the project."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with serving(data) as server:
            prepare(server)
            project_id = project(server)
        _fill(data, count)
        with serving(data) as server:
            server.settle()
            yield server, count, project_id


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
