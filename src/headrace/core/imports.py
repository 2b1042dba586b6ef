"""Imports: durable jobs that turn an upload into records, with counts and a receipt.

Everything is validated before the first row is stored, so an import is all or nothing; the rows then go in by
chunks, each in one transaction with the progress mark, and a crash resumes behind the last mark. An import that only
keeps its files, or only checks them, is carried out alike and stores no rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import annotations, datasets, import_rows, learning, registered_models, uploads
from headrace.core.annotations import Judgement
from headrace.core.datasets import Dataset
from headrace.core.errors import Conflict, NotFound
from headrace.core.import_rows import COUNTS, Outcome, RowNote
from headrace.core.jobs import Job
from headrace.core.records import ranges
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


FINAL = (ImportState.COMPLETED, ImportState.FAILED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """One import. `options` are the request's own words, `found` what was found in the upload and done with it.

    `id_ranges` are the ids of the records that it made, in the order of the request, as (first, last) pairs.
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
        """The ids of the records made so far, in the order of the request."""
        return [number for first, last in self.id_ranges for number in range(first, last + 1)]

    @property
    def row_count(self) -> int:
        """How many rows of the upload have been dealt with."""
        return self.record_count + sum(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many rows became something else than a new record, by outcome."""
        return {name: int(str(self.found.get(name, 0))) for name in COUNTS}

    @property
    def first_id(self) -> int | None:
        """The first id that it gave to a record; later ones are greater."""
        return self.id_ranges[0][0] if self.id_ranges else None

    @property
    def file_ids(self) -> list[int]:
        """The files it reads, in order."""
        found: Sequence[int] = self.options.get("file_upload_ids") or ()  # type: ignore[assignment]
        return list(found)

    @property
    def keeps_files(self) -> bool:
        """False when its payload goes once it has ended: a JSON body, or the files of a mere check."""
        return self.options.get("kind") == "files" and not self.options.get("dry_run")

    @property
    def is_reimport(self) -> bool:
        """True when its files were there before, and its records take the place of those made of them."""
        return bool(self.options.get("reimport"))


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


class ImportedDraft(NamedTuple):
    """A draft that came with a task: result as JSON text, and the ids that it and its annotation had before."""

    result: str
    lead_time: float | None
    postponed: bool
    import_id: int | None
    annotation_id: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportRow:
    """One task of an import with the judgements and predictions that came with it, or why it is rejected.

    Annotations are (author id or None for the importing user, judgement). `file` is the place of its file.
    """

    data: str
    meta: str | None
    annotations: Sequence[tuple[int | None, Judgement]] = ()
    predictions: Sequence[PushedPrediction] = ()
    drafts: Sequence[ImportedDraft] = ()
    external_id: str | None = None
    rejected: str | None = None
    file: int = 0


class Imports(Protocol):
    """Storage of imports, their uploads and their rows."""

    def add_upload(self, name: str) -> int:
        """Begin an upload; answers its id."""

    def append(self, upload_id: int, sequence: int, data: bytes) -> None:
        """Add a piece to an upload."""

    def uploads(self, import_id: int) -> list[Upload]:
        """The payloads of an import in the order of the request."""

    def pieces(self, upload_id: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Pieces of an upload behind a sequence number."""

    def drop_uploads(self, import_id: int) -> None:
        """Forget an import's payloads, except for files that are kept."""

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

    def note_rows(self, import_id: int, notes: Sequence[RowNote]) -> None:
        """Keep what became of rows that made no new record."""

    def noted_rows(self, import_id: int, after: int, limit: int) -> list[RowNote]:
        """Such rows behind a row number, in order."""

    def count_noted(self, import_id: int, before: int) -> int:
        """How many such rows there are below a row number."""

    def settle_rows(self, import_id: int) -> None:
        """Forget what records were before the import changed them."""

    def forget_rows(self, import_id: int) -> None:
        """Forget all such rows of an import."""


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

    Files are kept from here on. With a `delay` in seconds the worker leaves the job that long to a caller who carries
    it out at once.
    """
    known = _insert(tx, who, dataset, options, upload_ids)
    if known.keeps_files:
        for upload in tx.imports.uploads(known.id):
            tx.uploads.keep(dataset.id, upload.id, uploads.stored_name(upload.name))
    return _enqueued(tx, who, dataset, known, delay)


def restart(tx: "Tx", who: Principal, dataset: Dataset, *, options: Mapping[str, object], delay: float = 0.0) -> Import:
    """Like `start` for files that are kept already; raises NotFound, or Conflict while another import reads them."""
    known = _insert(tx, who, dataset, options, ())
    found = {file.id for file in tx.uploads.of_dataset(dataset.id, known.file_ids)}
    missing = [number for number in known.file_ids if number not in found]
    if missing:
        raise NotFound("there is no such file in the project", fields={"upload": missing[0]})
    if tx.uploads.take(known.file_ids, known.id) != len(known.file_ids):
        raise Conflict("an import is at work on one of these files; try again when it has ended")
    return _enqueued(tx, who, dataset, known, delay)


def _insert(
    tx: "Tx", who: Principal, dataset: Dataset, options: Mapping[str, object], upload_ids: Sequence[int]
) -> Import:
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
    return _required(tx, import_id, dataset.id)


def _enqueued(tx: "Tx", who: Principal, dataset: Dataset, known: Import, delay: float) -> Import:
    """The import with its job; one that waits for somebody else's server has a queue of its own."""
    kind = "fetch" if known.options.get("fetch") else "import"
    job_id = tx.jobs.enqueue(kind, {"import_id": known.id, "dataset_id": dataset.id}, delay=delay)
    tx.imports.set_job(known.id, job_id)
    tx.events.add(
        "import.created",
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=known.id,
    )
    return _required(tx, known.id, dataset.id)


def get(tx: "Tx", who: Principal, dataset_id: int, import_id: int) -> Import:
    """An import of the dataset, a reimport too; raises NotFound."""
    dataset = datasets.load(tx, who, dataset_id, Permission.VIEW_SOURCES)
    return _required(tx, import_id, dataset.id)


def progress(tx: "Tx", known: Import) -> tuple[int, int]:
    """How many rows an import has dealt with, and how many it has (0 while that is not known)."""
    job = tx.jobs.get(known.job_id)
    return known.row_count, job.total if job else known.row_count


def fetched(tx: "Tx", job: Job, known: Import, upload_id: int, name: str) -> Import:
    """Give an import the payload that its job has fetched; raises LostLease."""
    tx.jobs.heartbeat(job, done=0, total=0)
    tx.uploads.take([upload_id], known.id)
    if known.keeps_files:
        tx.uploads.keep(known.dataset_id, upload_id, uploads.stored_name(name))
        tx.imports.update(known.id, {"options": {**known.options, "file_upload_ids": [upload_id]}})
    return _required(tx, known.id, known.dataset_id)


def store_rows(tx: "Tx", job: Job, known: Import, dataset: Dataset, rows: Sequence[ImportRow]) -> Import:
    """Store a chunk of an import with its progress mark; raises LostLease when another worker has the job."""
    tx.jobs.heartbeat(job, done=known.row_count + len(rows), total=job.total)
    sorted_rows = import_rows.sort_out(tx, known.source_id, rows)
    record_ids = import_rows.store(tx, known, sorted_rows)
    new = [(record_id, rows[place]) for record_id, place in zip(record_ids, sorted_rows.new, strict=True)]
    judged = [
        (record_id, known.author_id if author is None else author, judgement)
        for record_id, row in new
        for author, judgement in row.annotations
    ]
    pushed = [(record_id, prediction) for record_id, row in new for prediction in row.predictions]
    annotation_ids = annotations.judge_many(tx, _author(tx, known), dataset, judged) if judged else ()
    before = [(record_id, judgement.import_id) for record_id, _, judgement in judged]
    _store_drafts(tx, known, new, dict(zip(before, annotation_ids, strict=True)))
    if pushed:
        tx.predictions.push(dataset.id, pushed)
        registered_models.met(tx, _author(tx, known), dataset, {item.model_version for _, item in pushed})
    changes: dict[str, object] = {
        "record_count": known.record_count + len(record_ids),
        "annotation_count": known.annotation_count + len(judged),
        "prediction_count": known.prediction_count + len(pushed),
        "id_ranges": list(ranges([*known.id_ranges, *((number, number) for number in record_ids)])),
    }
    if len(new) < len(rows):
        changes["found"] = {**known.found, **sorted_rows.counted(known.counts)}
    tx.imports.update(known.id, changes)
    return _required(tx, known.id, dataset.id)


def _store_drafts(
    tx: "Tx",
    known: Import,
    new: Sequence[tuple[int, ImportRow]],
    annotation_ids: Mapping[tuple[int, int | None], int],
) -> None:
    """Store drafts as the importing user's own, each with the annotation that it would change, if that came too.

    `annotation_ids` are by record and by the id that an annotation had before.
    """
    for record_id, row in new:
        for draft in row.drafts:
            values = {name: getattr(draft, name) for name in ("result", "lead_time", "postponed", "import_id")}
            mine = annotation_ids.get((record_id, draft.annotation_id)) if draft.annotation_id is not None else None
            tx.drafts.insert(known.dataset_id, record_id, known.author_id, mine, values)


def complete(tx: "Tx", job: Job, known: Import, dataset: Dataset, found: Mapping[str, object]) -> None:
    """End an import whose rows are all stored: say so, drop the payload, have the records predicted.

    What a reimport puts aside goes in the same transaction.
    """
    tx.jobs.finish(job)
    if known.is_reimport:
        import_rows.put_aside(tx, known, dataset)
    ended = {"state": ImportState.COMPLETED, "finished_at": tx.now(), "found": {**known.found, **found}}
    tx.imports.update(known.id, ended)
    tx.imports.drop_uploads(known.id)
    if known.counts[Outcome.UPDATED]:
        tx.imports.settle_rows(known.id)
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
            **({"updated": count} if (count := known.counts[Outcome.UPDATED]) else {}),
        },
    )


def fail(tx: "Tx", known: Import, error: str, found: Mapping[str, object] | None = None) -> None:
    """Mark an import failed with its reason, take back what it had stored and drop the payload.

    The files of a reimport stay. The caller ends the job.
    """
    tx.records.delete(known.source_id, known.record_ids)
    import_rows.restore(tx, known)
    options = dict(known.options)
    if known.is_reimport:
        tx.uploads.forget_records(known.file_ids, since=known.first_id or tx.tasks.last_id() + 1)
    elif known.keeps_files:
        tx.uploads.delete(known.file_ids)
        options["file_upload_ids"] = []
    nothing = {"record_count": 0, "annotation_count": 0, "prediction_count": 0, "id_ranges": [], "options": options}
    ended = {"state": ImportState.FAILED, "error": error, "finished_at": tx.now(), "found": dict(found or {})}
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
