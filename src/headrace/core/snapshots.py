"""Snapshots: exports of a dataset's tasks that are made in the background and kept until they are deleted.

A snapshot is one file in JSON; every other format is converted from that file, so it shows the same state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from headrace.core import task_search, task_views, tasks, users
from headrace.core.datasets import Dataset
from headrace.core.errors import Conflict, NotFound, Unacceptable
from headrace.core.jobs import Job
from headrace.core.projects import check_texts
from headrace.core.rights import Principal
from headrace.core.task_export import Detail, ExportFormat
from headrace.core.task_filters import TaskQuery
from headrace.core.task_search import Listing
from headrace.core.task_selection import NEEDS, Choice, Selection, Wanted, note_export, prepared
from headrace.core.times import format_timestamp

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_SNAPSHOTS = 100
WORDS = {"only": True, "exclude": False}
KINDS = ("usual", "ground_truth", "skipped")


class SnapshotState(StrEnum):
    """Where a snapshot's file stands; the last two are final."""

    CREATED = "created"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"
    COMPLETED = "completed"


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotFile:
    """A snapshot in one format. `md5` is the hexadecimal digest of its bytes, `size` their number, once completed."""

    id: int
    snapshot_id: int
    format: ExportFormat
    state: SnapshotState
    job_id: int
    md5: str | None
    size: int
    error: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """One snapshot with its files, the JSON one first. `options` are the request's own words."""

    id: int
    dataset_id: int
    author_id: int
    title: str
    options: Mapping[str, Mapping[str, object] | None]
    task_count: int
    created_at: int
    finished_at: int | None
    files: Sequence[SnapshotFile]

    @property
    def content(self) -> SnapshotFile:
        """The file all others are converted from."""
        return self.files[0]


class Snapshots(Protocol):
    """Storage of snapshots and their files, which are kept in pieces."""

    def insert(self, dataset_id: int, author_id: int, title: str, options: Mapping[str, object]) -> int:
        """Store a new snapshot without files; answers its id."""

    def get(self, snapshot_id: int, dataset_id: int) -> Snapshot | None:
        """One snapshot of a dataset."""

    def all(self, dataset_id: int) -> list[Snapshot]:
        """The snapshots of a dataset, newest first."""

    def finish(self, snapshot_id: int, task_count: int) -> None:
        """Say how many tasks the snapshot holds, and that it is finished now."""

    def delete(self, snapshot_ids: Sequence[int]) -> None:
        """Remove snapshots with their files."""

    def add_file(self, snapshot_id: int, format: ExportFormat) -> int:
        """Begin a file; answers its id."""

    def file(self, file_id: int) -> SnapshotFile | None:
        """One file."""

    def update_file(self, file_id: int, changes: Mapping[str, object]) -> None:
        """Set the columns named."""

    def append(self, file_id: int, sequence: int, data: bytes) -> None:
        """Add a piece to a file."""

    def clear(self, file_id: int) -> None:
        """Drop the pieces of a file."""

    def piece(self, file_id: int, sequence: int) -> bytes | None:
        """One piece of a file, None behind the last."""


def is_small(tx: "Tx", dataset_id: int, most: int) -> bool:
    """True when a dataset has at most so many tasks, so that a file of them is made in a moment."""
    dataset = tx.datasets.get(dataset_id, None)
    source = tx.sources.get(dataset.own_source_id, None) if dataset and dataset.own_source_id is not None else None
    return source is not None and source.record_count <= most


def create(
    tx: "Tx",
    who: Principal,
    dataset_id: int,
    *,
    title: str,
    options: Mapping[str, Mapping[str, object] | None],
    delay: float = 0.0,
) -> Snapshot:
    """Store a snapshot and enqueue the job that fills it after `delay` seconds.

    Raises NotFound for a view that the project does not have, Unacceptable when the dataset has MAX_SNAPSHOTS.
    """
    dataset = tasks.load_project(tx, who, dataset_id, *NEEDS)
    view_id = _view_id(options)
    if view_id is not None and task_views.get(tx, who, view_id).dataset_id != dataset.id:
        raise NotFound("there is no such view", fields={"view": view_id})
    check_texts(title, None)
    if len(tx.snapshots.all(dataset.id)) >= MAX_SNAPSHOTS:
        raise Unacceptable(f"a project keeps at most {MAX_SNAPSHOTS} snapshots; delete one first")
    named = title or f"{dataset.title} at {format_timestamp(tx.now())[:16].replace('T', ' ')}"
    snapshot_id = tx.snapshots.insert(dataset.id, who.user_id, named, options)
    _enqueue(tx, dataset, snapshot_id, tx.snapshots.add_file(snapshot_id, ExportFormat.JSON), delay)
    _event(tx, who, dataset, "snapshot.created", snapshot_id)
    return _required(tx, dataset.id, snapshot_id)


def get(tx: "Tx", who: Principal, dataset_id: int, snapshot_id: int) -> Snapshot:
    """A snapshot of the dataset; raises NotFound."""
    return _required(tx, tasks.load_project(tx, who, dataset_id, *NEEDS).id, snapshot_id)


def list_snapshots(tx: "Tx", who: Principal, dataset_id: int) -> list[Snapshot]:
    """The snapshots of the dataset, newest first."""
    return tx.snapshots.all(tasks.load_project(tx, who, dataset_id, *NEEDS).id)


def delete(tx: "Tx", who: Principal, dataset_id: int, snapshot_id: int) -> None:
    """Delete a snapshot with its files; a job that still fills one ends by itself. Raises NotFound."""
    dataset = tasks.load_project(tx, who, dataset_id, *NEEDS)
    tx.snapshots.delete([_required(tx, dataset.id, snapshot_id).id])
    _event(tx, who, dataset, "snapshot.deleted", snapshot_id)


def convert(
    tx: "Tx", who: Principal, dataset_id: int, snapshot_id: int, format: ExportFormat, *, delay: float = 0.0
) -> SnapshotFile:
    """The snapshot's file in a format, with a job that makes it unless it is there or being made.

    Raises Conflict while the snapshot itself is not completed.
    """
    dataset = tasks.load_project(tx, who, dataset_id, *NEEDS)
    snapshot = _required(tx, dataset.id, snapshot_id)
    if snapshot.content.state is not SnapshotState.COMPLETED:
        raise Conflict("the snapshot is not completed, so it cannot be converted yet")
    known = next((file for file in snapshot.files if file.format is format), None)
    if known is not None and known.state is not SnapshotState.FAILED:
        return known
    file_id = tx.snapshots.add_file(snapshot.id, format) if known is None else known.id
    tx.snapshots.update_file(file_id, {"state": SnapshotState.CREATED, "error": None})
    _enqueue(tx, dataset, snapshot.id, file_id, delay)
    return _required_file(tx, file_id)


def download(
    tx: "Tx", who: Principal, dataset_id: int, snapshot_id: int, format: ExportFormat
) -> tuple[Snapshot, SnapshotFile]:
    """The completed file of a snapshot in a format; raises NotFound until it has been made."""
    dataset = tasks.load_project(tx, who, dataset_id, *NEEDS)
    snapshot = _required(tx, dataset.id, snapshot_id)
    found = next((file for file in snapshot.files if file.format is format), None)
    if found is None or found.state is not SnapshotState.COMPLETED:
        raise NotFound(f"{format.value} format is not converted yet", fields={"format": format.value})
    note_export(tx, who, dataset, format)
    return snapshot, found


def wanted(tx: "Tx", dataset: Dataset, snapshot: Snapshot) -> Wanted:
    """What a snapshot takes of its dataset, for the job that fills it."""
    shown = snapshot.options.get("serialization_options") or {}
    ids = {user_id: tx.users.get(user_id) for user_id in tx.annotations.authors(dataset.id)}
    authors = {user_id: user for user_id, user in ids.items() if user is not None}
    detail = Detail(
        predictions=_in_full(shown.get("predictions")),
        drafts=shown.get("drafts") is None or _in_full(shown.get("drafts")),
        drafts_of=snapshot.author_id,
        authors=authors if _in_full(shown.get("annotations__completed_by")) else None,
    )
    choice = choice_of(snapshot.options)
    return prepared(tx, dataset, Selection(annotated=choice.annotated is True), choice, detail)


def listing(tx: "Tx", dataset: Dataset, snapshot: Snapshot) -> tuple[Principal, Listing] | None:
    """The tasks of the view that a snapshot is of, as its maker sees them; None when it is of no view.

    Raises NotFound when the view or its maker has been deleted since, Forbidden when they lost the right.
    """
    view_id = _view_id(snapshot.options)
    if view_id is None:
        return None
    author = tx.users.get(snapshot.author_id)
    if author is None:
        raise NotFound("whoever asked for the snapshot was deleted", fields={"user": snapshot.author_id})
    who = users.principal(author)
    return who, task_search.begin(tx, who, TaskQuery(), project_id=dataset.id, view_id=view_id)


def _view_id(options: Mapping[str, Mapping[str, object] | None]) -> int | None:
    asked = (options.get("task_filter_options") or {}).get("view")
    return asked if isinstance(asked, int) else None


def choice_of(options: Mapping[str, Mapping[str, object] | None]) -> Choice:
    """Which tasks and annotations the options of a snapshot ask for beside its view; without any, all."""
    asked, kinds = options.get("task_filter_options") or {}, options.get("annotation_filter_options")
    shown = None
    if kinds is not None:
        given = {name: kinds.get(name) for name in KINDS}
        shown = frozenset(name for name, value in given.items() if (name == "usual" if value is None else value))
    return Choice(
        skipped=WORDS.get(str(asked.get("skipped"))),
        finished=WORDS.get(str(asked.get("finished"))),
        annotated=WORDS.get(str(asked.get("annotated"))),
        only_with_annotations=bool(asked.get("only_with_annotations")),
        kinds=shown,
    )


def keep(tx: "Tx", job: Job, file: SnapshotFile, sequence: int, data: bytes) -> None:
    """Store a piece of a file; raises LostLease when another worker has the job, NotFound when the file is gone."""
    _required_file(tx, file.id)
    tx.jobs.heartbeat(job, done=sequence + 1, total=job.total)
    tx.snapshots.append(file.id, sequence, data)


def complete(tx: "Tx", job: Job, file: SnapshotFile, *, md5: str, size: int, task_count: int | None) -> None:
    """End a file whose pieces are all stored; the JSON file tells how many tasks the snapshot has."""
    _required_file(tx, file.id)
    tx.jobs.finish(job)
    tx.snapshots.update_file(file.id, {"state": SnapshotState.COMPLETED, "md5": md5, "size": size})
    if task_count is not None:
        tx.snapshots.finish(file.snapshot_id, task_count)


def fail(tx: "Tx", file: SnapshotFile, error: str) -> None:
    """Mark a file failed with its reason and drop its pieces; the caller ends the job."""
    tx.snapshots.clear(file.id)
    tx.snapshots.update_file(file.id, {"state": SnapshotState.FAILED, "error": error})


def _in_full(option: object) -> bool:
    return isinstance(option, Mapping) and option.get("only_id") is False


def _enqueue(tx: "Tx", dataset: Dataset, snapshot_id: int, file_id: int, delay: float) -> None:
    payload = {"dataset_id": dataset.id, "snapshot_id": snapshot_id, "file_id": file_id}
    tx.snapshots.update_file(file_id, {"job_id": tx.jobs.enqueue("export", payload, delay=delay)})


def _event(tx: "Tx", who: Principal, dataset: Dataset, kind: str, snapshot_id: int) -> None:
    tx.events.add(
        kind, actor_id=who.user_id, project_id=dataset.project_id, dataset_id=dataset.id, subject_id=snapshot_id
    )


def _required(tx: "Tx", dataset_id: int, snapshot_id: int) -> Snapshot:
    found = tx.snapshots.get(snapshot_id, dataset_id)
    if found is None:
        raise NotFound("there is no such snapshot of the project", fields={"export": snapshot_id})
    return found


def _required_file(tx: "Tx", file_id: int) -> SnapshotFile:
    found = tx.snapshots.file(file_id)
    if found is None:
        raise NotFound("the snapshot was deleted", fields={"export": file_id})
    return found
