"""When a dataset learns: the rules that turn annotations into training jobs and records into prediction jobs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.core.store import Tx

ENOUGH_ANNOTATIONS = 10
TRAIN_DELAY_SECONDS = 2.0
TRAIN_INTERVAL_SECONDS = 20.0
KEEP_VERSIONS = 10


def annotations_changed(tx: "Tx", dataset_id: int) -> None:
    """Have the dataset trained soon, once enough records are annotated; calls close together make one training."""
    if not tx.annotations.at_least(dataset_id, ENOUGH_ANNOTATIONS):
        return
    latest = tx.models.latest(dataset_id)
    since = (tx.now() - latest.trained_at) / 1e6 if latest else TRAIN_INTERVAL_SECONDS
    delay = max(TRAIN_DELAY_SECONDS, TRAIN_INTERVAL_SECONDS - max(since, 0.0))
    tx.jobs.enqueue("train", {"dataset_id": dataset_id}, key=f"train:{dataset_id}", delay=delay)


def records_arrived(tx: "Tx", source_id: int) -> None:
    """Have new records predicted in every dataset that views the source and has a model."""
    for dataset_id in tx.datasets.viewing(source_id):
        if tx.models.latest(dataset_id):
            predict_soon(tx, dataset_id)


def predict_soon(tx: "Tx", dataset_id: int) -> None:
    """Have the dataset's serving models predict the records they have not seen."""
    tx.jobs.enqueue("predict", {"dataset_id": dataset_id}, key=f"predict:{dataset_id}")
