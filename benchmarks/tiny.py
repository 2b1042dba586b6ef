"""Small requests, one at a time: what each costs, and how much of it is the server and the framework."""

import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

from benchmarks.data import DATASET, SOURCE, SYNC, batch, comment, prepare
from benchmarks.serving import Cost, Server, cost, running, serving

COMMENTS = 1_000
ROUNDS = 15
EACH = 40


def run() -> dict[str, object]:
    """Reads, an annotation and an advance, beside a bare ASGI callable and a route that touches nothing."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, _bare() as bare:
        calls = _calls(server)
        server.settle()
        costs = {"floor_bare_asgi": _cost(bare, lambda: bare.call("GET", "/"))}
        costs |= {name: _cost(server, call) for name, call in calls.items()}
    return {"requests": {name: found.figures() for name, found in costs.items()}}


def _cost(server: Server, call: Callable[[], object]) -> Cost:
    return cost(server, call, rounds=ROUNDS, each=EACH)


def _bare() -> AbstractContextManager[Server]:
    return running([sys.executable, "-m", "benchmarks.floor"])


def _calls(server: Server) -> dict[str, Callable[[], object]]:
    prepare(server)
    server.call("POST", SYNC, batch(0, COMMENTS))
    server.call("PUT", f"{DATASET}/streams", {"stream": {"name": "all"}})
    moved = server.json("POST", f"{DATASET}/streams/all/reset", {"to_comment_created_at": "2020-01-01T00:00:00Z"})
    places = [moved["sequence_id"]]
    fetched = server.json("POST", f"{DATASET}/streams/all/fetch", {"size": COMMENTS})["results"]
    places += [item["sequence_id"] for item in fetched]
    uids = [item["comment"]["uid"] for item in fetched]
    turn, change = count(), count()

    def annotate() -> bytes:
        number = next(change)
        labelling = [{"group": "default", "assigned": [{"name": f"Topic {number % 7}", "sentiment": "positive"}]}]
        path = f"/api/_private/datasets/default/voice/labellings/{uids[number % 8]}"
        return server.call("POST", path, {"labelling": labelling})

    def advance() -> bytes:
        return server.call("POST", f"{DATASET}/streams/all/advance", {"sequence_id": places[next(turn) % COMMENTS]})

    return {
        "health": lambda: server.call("GET", "/health"),
        "get_dataset": lambda: server.call("GET", DATASET),
        "get_comment": lambda: server.call("GET", f"{SOURCE}/comments/{comment(7)['id']}"),
        "fetch_16": lambda: server.call("POST", f"{DATASET}/streams/all/fetch", {"size": 16}),
        "advance": advance,
        "annotate": annotate,
    }
