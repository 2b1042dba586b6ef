"""Fetch of 1,024 comments of 1 KB: at most 6 ms of the server's processor time without a model."""

import tempfile
from array import array
from pathlib import Path

from benchmarks.data import DATASET, SYNC, batch, prepare
from benchmarks.serving import Cost, Server, cost, serving
from headrace.core.models import Scores
from headrace.core.positions import START
from headrace.core.store import Tx
from headrace.storage import open_store

COUNT = 4_096
SIZE = 1_024
LABELS = 20
ROUNDS = 30
TARGET_MS = 6.0
THRESHOLDS = [{"name": ["Area", f"Topic {number}"], "threshold": 0.5} for number in range(5)]
STREAMS: dict[str, dict[str, object]] = {
    "plain": {},
    "filtered": {"comment_filter": {"user_properties": {"string:team": {"one_of": ["a", "b"]}}}},
    "predicted": {"model": {"version": 1, "label_thresholds": THRESHOLDS}},
    "every_label": {"model": {"version": 1}},
}


def run() -> dict[str, object]:
    """Fetch without and with a filter, and with the stored predictions of a model of 20 labels."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with serving(data) as server:
            prepare(server)
            for start in range(0, COUNT, SIZE):
                server.call("POST", SYNC, batch(start, SIZE))
        _predict_all(data)
        with serving(data) as server:
            costs = {name: _cost(server, name, stream) for name, stream in STREAMS.items()}
    return {
        "comments": SIZE,
        "streams": {name: found.figures() for name, found in costs.items()},
        "target_cpu_ms": {"plain": TARGET_MS},
    }


def _cost(server: Server, name: str, stream: dict[str, object]) -> Cost:
    server.call("PUT", f"{DATASET}/streams", {"stream": {"name": name, **stream}})
    start = {"to_comment_created_at": "2020-01-01T00:00:00Z"}
    server.call("POST", f"{DATASET}/streams/{name}/reset", start)
    body = {"size": SIZE, "max_filtered": SIZE if "comment_filter" in stream else 0}
    found = server.json("POST", f"{DATASET}/streams/{name}/fetch", body)
    if len(found["results"]) + found["filtered"] < SIZE:
        raise RuntimeError(f"only {len(found['results'])} comments came back")
    server.settle()
    return cost(server, lambda: server.call("POST", f"{DATASET}/streams/{name}/fetch", body), rounds=ROUNDS)


def _predict_all(data: Path) -> None:
    """Store a version's predictions of every record, straight into the store."""
    store = open_store(f"sqlite:///{data / 'headrace.sqlite3'}")

    def predict(tx: Tx) -> None:
        dataset = tx.datasets.get(("default", "voice"), None)
        assert dataset is not None
        labels = tuple(f"Area > Topic {number}" for number in range(LABELS))
        described = {"family": "english", "labels": labels, "metrics": {}, "reviewed_size": 0}
        model = tx.models.insert(dataset.id, artefact=b"", digest="none", **described)  # type: ignore[arg-type]
        found = tx.records.after(dataset.source_ids, START, COUNT)
        rows = [(item.id, item.version, Scores(_probabilities(item.id), None)) for item in found]
        tx.predictions.save(model.id, rows)
        tx.models.set_predicted(model.id, found[-1].position)

    try:
        store.write(predict)
    finally:
        store.close()


def _probabilities(number: int) -> bytes:
    return array("f", [(number * 37 + label * 53) % 100 / 100 for label in range(LABELS)]).tobytes()
