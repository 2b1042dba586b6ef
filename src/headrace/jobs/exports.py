"""The export job: fills one file of a snapshot piece by piece; a new attempt begins the file again.

The pieces of the JSON file are its two brackets and one page of tasks each, so a conversion reads page by page.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace.core import snapshots, task_export, task_search, task_selection, tasks
from headrace.core.jobs import Job
from headrace.core.label_config import LabelConfig, parse
from headrace.core.rights import Principal
from headrace.core.snapshots import SnapshotFile, SnapshotState
from headrace.core.store import Store, Tx
from headrace.core.task_export import ExportFormat, Task
from headrace.core.task_regex import search
from headrace.core.task_search import Listing
from headrace.core.task_selection import Wanted

if TYPE_CHECKING:
    from headrace.jobs.worker import JobContext

BRACKETS = ("[", "]")
GONE = "the snapshot was deleted"


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A file to fill, from the dataset (of which a view may want some tasks) or from the snapshot's JSON file."""

    file: SnapshotFile
    content: SnapshotFile
    config: LabelConfig
    wanted: Wanted
    view: tuple[Principal, Listing] | None


def run(job: Job, ctx: "JobContext") -> None:
    """Fill a file to its end; raises LostLease when another worker has the job."""
    work = ctx.store.write(lambda tx: _begin(tx, job))
    if work is None:
        return
    if work.view is not None:
        work = replace(work, wanted=_seen(work.wanted, *work.view, ctx))
    digest, size, count = hashlib.md5(usedforsecurity=False), 0, 0
    for sequence, (text, tasks_in_it) in enumerate(_pieces(ctx.store, work)):
        data = text.encode()
        digest.update(data)
        size, count = size + len(data), count + tasks_in_it
        ctx.store.write(lambda tx, at=sequence, data=data: snapshots.keep(tx, job, work.file, at, data))  # type: ignore[misc]
    known = count if work.file.format is ExportFormat.JSON else None
    md5 = digest.hexdigest()
    ctx.store.write(lambda tx: snapshots.complete(tx, job, work.file, md5=md5, size=size, task_count=known))


def _seen(wanted: Wanted, who: Principal, listing: Listing, ctx: "JobContext") -> Wanted:
    """What is wanted of the tasks that a view shows."""
    found = task_search.find(ctx.store, who, listing, lambda pattern, texts: ctx.pool.run(search, pattern, texts))
    return replace(wanted, among=frozenset(found.ids))


def failed(job: Job, ctx: "JobContext", error: str) -> None:
    """Say in the file that its job has failed for good, and end the job; raises LostLease."""

    def end(tx: Tx) -> None:
        file = tx.snapshots.file(_file_id(job))
        if file is not None and file.state is not SnapshotState.COMPLETED:
            snapshots.fail(tx, file, error)
        tx.jobs.finish(job, error=error)

    ctx.store.write(end)


def _file_id(job: Job) -> int:
    return int(job.payload["file_id"])  # type: ignore[call-overload,no-any-return]


def _begin(tx: Tx, job: Job) -> _Work | None:
    """The file emptied and in progress; None, with the job ended, when there is nothing left to do."""
    file = tx.snapshots.file(_file_id(job))
    dataset = tx.datasets.get(job.payload["dataset_id"], None)  # type: ignore[arg-type]
    snapshot = tx.snapshots.get(file.snapshot_id, dataset.id) if file and dataset else None
    if file is None or dataset is None or snapshot is None:
        tx.jobs.finish(job, error=GONE)
        return None
    if file.state is SnapshotState.COMPLETED:
        tx.jobs.finish(job)
        return None
    tx.jobs.heartbeat(job, done=0, total=job.total)
    tx.snapshots.clear(file.id)
    tx.snapshots.update_file(file.id, {"state": SnapshotState.IN_PROGRESS})
    return _Work(
        file=file,
        content=snapshot.content,
        config=parse(dataset.label_config or tasks.EMPTY_CONFIG),
        wanted=snapshots.wanted(tx, dataset, snapshot),
        view=snapshots.listing(tx, dataset, snapshot) if file.format is ExportFormat.JSON else None,
    )


def _pieces(store: Store, work: _Work) -> Iterator[tuple[str, int]]:
    """The pieces of a file, each with the number of tasks it holds where that is counted."""
    if work.file.format is not ExportFormat.JSON:
        layout = task_export.layout(work.config, work.file.format)
        yield from ((text, 0) for text in task_export.texts(layout, lambda: _stored(store, work.content)))
        return
    yield BRACKETS[0], 0
    between = ""
    for page in task_selection.json_pages(store, work.wanted):
        yield between + ",".join(page), len(page)
        between = ","
    yield BRACKETS[1], 0


def _stored(store: Store, content: SnapshotFile) -> Iterator[list[Task]]:
    """The tasks of a snapshot's JSON file, page by page."""
    sequence = 0
    while piece := store.read(lambda tx, at=sequence: tx.snapshots.piece(content.id, at)):  # type: ignore[misc]
        text = piece.decode()
        if text not in BRACKETS:
            yield json.loads(f"[{text.removeprefix(',')}]")
        sequence += 1
