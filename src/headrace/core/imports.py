"""Imports: durable jobs that turn an upload into records, with counts and a receipt.

Everything is validated before the first row is stored, so an import is all or nothing; the rows then go in by
chunks, each in one transaction with the progress mark, and a crash resumes behind the last mark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import annotations, content, datasets, learning
from headrace.core.annotations import Judgement
from headrace.core.datasets import Dataset
from headrace.core.errors import NotFound
from headrace.core.jobs import Job
from headrace.core.records import NewRecord, ranges
from headrace.core.rights import Permission, Principal

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_ITEMS = 1_000_000


class ImportState(StrEnum):
    """Where an import stands; the last two are final."""

    CREATED = "created"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """One import. `options` are the request's own words, `found` what was found in the upload.

    `id_ranges` are the stored records' ids in the order of the request, as (first, last) pairs.
    """

    id: int
    dataset_id: int
    source_id: int
    author_id: int
    job_id: int
    state: ImportState
    options: Mapping[str, object]
    found: Mapping[str, object]
    error: str | None
    record_count: int
    annotation_count: int
    prediction_count: int
    id_ranges: Sequence[tuple[int, int]]
    created_at: int
    updated_at: int
    finished_at: int | None

    @property
    def record_ids(self) -> list[int]:
        """The ids of the records stored so far, in the order of the request."""
        return [number for first, last in self.id_ranges for number in range(first, last + 1)]


class Upload(NamedTuple):
    """A payload kept until its import has finished. `size` is in bytes."""

    id: int
    name: str
    size: int


class PushedPrediction(NamedTuple):
    """A prediction made elsewhere: result as JSON text, the name of the model version, a score or None."""

    result: str
    model_version: str
    score: float | None


class ImportRow(NamedTuple):
    """One task of an import with the judgements and predictions that came with it.

    Annotations are (author id or None for the importing user, judgement).
    """

    data: str
    meta: str | None
    annotations: Sequence[tuple[int | None, Judgement]]
    predictions: Sequence[PushedPrediction]


class Imports(Protocol):
    """Storage of imports and their uploads."""

    def add_upload(self, name: str) -> int:
        """Begin an upload; answers its id."""

    def append(self, upload_id: int, sequence: int, data: bytes) -> None:
        """Add a piece to an upload."""

    def uploads(self, import_id: int) -> list[Upload]:
        """The payloads of an import in the order of the request."""

    def pieces(self, upload_id: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Pieces of an upload behind a sequence number."""

    def drop_uploads(self, import_id: int) -> None:
        """Forget an import's payloads."""

    def discard(self, upload_ids: Sequence[int]) -> None:
        """Forget those of the payloads that no import has taken."""

    def sweep(self, before: int) -> int:
        """Forget payloads begun before an instant that no import has taken; answers how many."""

    def insert(
        self,
        *,
        dataset_id: int,
        source_id: int,
        author_id: int,
        options: Mapping[str, object],
        upload_ids: Sequence[int],
    ) -> int:
        """Store a new import over uploads; answers its id."""

    def set_job(self, import_id: int, job_id: int) -> None:
        """Say which job carries the import out."""

    def get(self, import_id: int, dataset_id: int) -> Import | None:
        """One import of a dataset."""

    def update(self, import_id: int, changes: Mapping[str, object]) -> None:
        """Set the columns named."""


def start(
    tx: "Tx",
    who: Principal,
    dataset: Dataset,
    *,
    options: Mapping[str, object],
    upload_ids: Sequence[int],
    delay: float = 0.0,
) -> Import:
    """Store an import and enqueue its job in the same transaction. The dataset must have a source of its own.

    With a `delay` in seconds the worker leaves the job that long to a caller who carries it out at once.
    """
    who.require(dataset.project_id, Permission.EDIT_MESSAGES)
    if dataset.own_source_id is None:
        raise NotFound("the dataset has no source of its own to import into", fields={"dataset": dataset.id})
    import_id = tx.imports.insert(
        dataset_id=dataset.id,
        source_id=dataset.own_source_id,
        author_id=who.user_id,
        options=options,
        upload_ids=upload_ids,
    )
    job_id = tx.jobs.enqueue("import", {"import_id": import_id, "dataset_id": dataset.id}, delay=delay)
    tx.imports.set_job(import_id, job_id)
    tx.events.add(
        "import.created",
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=import_id,
    )
    return _required(tx, import_id, dataset.id)


def get(tx: "Tx", who: Principal, dataset_id: int, import_id: int) -> Import:
    """An import of the dataset; raises NotFound."""
    dataset = datasets.load(tx, who, dataset_id, Permission.VIEW_SOURCES)
    return _required(tx, import_id, dataset.id)


def store_rows(tx: "Tx", job: Job, known: Import, dataset: Dataset, rows: Sequence[ImportRow]) -> Import:
    """Store a chunk of an import with its progress mark; raises LostLease when another worker has the job."""
    tx.jobs.heartbeat(job, done=known.record_count + len(rows), total=job.total)
    now = tx.now()
    new = [NewRecord(None, content.Kind.TASK, row.data, row.meta, now) for row in rows]
    record_ids = tx.records.insert(known.source_id, new)
    judged = [
        (record_id, known.author_id if author is None else author, judgement)
        for record_id, row in zip(record_ids, rows, strict=True)
        for author, judgement in row.annotations
    ]
    pushed = [
        (record_id, prediction)
        for record_id, row in zip(record_ids, rows, strict=True)
        for prediction in row.predictions
    ]
    if judged:
        annotations.judge_many(tx, _author(tx, known), dataset, judged)
    if pushed:
        tx.predictions.push(dataset.id, pushed)
    changes: dict[str, object] = {
        "record_count": known.record_count + len(rows),
        "annotation_count": known.annotation_count + len(judged),
        "prediction_count": known.prediction_count + len(pushed),
        "id_ranges": list(ranges([*known.id_ranges, *((number, number) for number in record_ids)])),
    }
    tx.imports.update(known.id, changes)
    return _required(tx, known.id, dataset.id)


def complete(tx: "Tx", job: Job, known: Import, dataset: Dataset) -> None:
    """End an import whose rows are all stored: say so, drop the payload, have the records predicted."""
    tx.jobs.finish(job)
    tx.imports.update(known.id, {"state": ImportState.COMPLETED, "finished_at": tx.now()})
    tx.imports.drop_uploads(known.id)
    learning.records_arrived(tx, known.source_id)
    tx.events.add(
        "import.completed",
        actor_id=known.author_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=known.id,
        data={
            "records": known.record_count,
            "annotations": known.annotation_count,
            "ranges": [list(pair) for pair in known.id_ranges],
        },
    )


def fail(tx: "Tx", known: Import, error: str) -> None:
    """Mark an import failed with its reason, take back what it had stored and drop the payload.

    The caller ends the job.
    """
    tx.records.delete(known.source_id, known.record_ids)
    nothing = {"record_count": 0, "annotation_count": 0, "prediction_count": 0, "id_ranges": []}
    ended = {"state": ImportState.FAILED, "error": error, "finished_at": tx.now()}
    tx.imports.update(known.id, {**nothing, **ended})
    tx.imports.drop_uploads(known.id)
    tx.events.add("import.failed", actor_id=known.author_id, dataset_id=known.dataset_id, subject_id=known.id)


def _author(tx: "Tx", known: Import) -> Principal:
    user = tx.users.get(known.author_id)
    if user is None:
        raise NotFound("the importing user is gone", fields={"user": known.author_id})
    return Principal(user_id=user.id, username=user.username, email=user.email, is_admin=user.is_admin)


def _required(tx: "Tx", import_id: int, dataset_id: int) -> Import:
    found = tx.imports.get(import_id, dataset_id)
    if found is None:
        raise NotFound("there is no such import in the dataset", fields={"import": import_id})
    return found
