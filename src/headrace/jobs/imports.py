"""The import job: checks an upload as a whole, then stores its tasks by chunks, and resumes behind the last one.

Nothing is stored before everything has been validated. The upload always parses to the same rows in the same
order, so a new attempt parses again and passes over as many rows as the import has dealt with. What lies behind an
address is fetched once and then kept, so that this holds for it too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.core import answers, import_rows, imports, label_config
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.import_rows import COUNTS, Outcome
from headrace.core.imports import FINAL, Import, ImportRow, ImportState, Upload
from headrace.core.jobs import Job
from headrace.core.label_config import LabelConfig
from headrace.core.store import Store, Tx
from headrace.core.tasks import EMPTY_CONFIG
from headrace.jobs.import_items import import_row, unknown_author
from headrace.jobs.uploads import MAX_PROBLEMS, ItemProblem, ParsedUpload, Row, UploadSpec, parse, read_rows

if TYPE_CHECKING:
    from headrace.jobs.worker import JobContext

CHUNK_ROWS = 1_000
PIECE_BYTES = 1024 * 1024
PIECES_AT_ONCE = 8
SMALL_BYTES = 1_000_000
FETCH_BYTES = 250 * 1024 * 1024
GONE = "the upload was deleted during its import"
STRAY_MICROSECONDS = 24 * 3600 * 1_000_000


def run(job: Job, ctx: "JobContext") -> None:
    """Carry an import out to its end, good or bad; raises LostLease when another worker has the job."""
    found = ctx.store.read(lambda tx: _load(tx, job))
    if found is None:
        ctx.store.write(lambda tx: _abandon(tx, job))
        return
    known, dataset, uploads = found
    with TemporaryDirectory(prefix=f"import-{known.id}-", dir=ctx.scratch) as folder:
        if known.options.get("fetch") and not uploads:
            known, uploads = _fetched(job, known, ctx, Path(folder) / "fetched")
        rows = Path(folder) / "rows"
        parsed = _parsed(_Work(job=job, known=known, dataset=dataset), uploads, ctx, rows)
        author_ids = ctx.store.read(lambda tx: answers.authors(tx, dataset, parsed.annotators))
        problems = [*parsed.errors, *(() if _rejects_rows(known) else _unknown_authors(parsed, author_ids))]
        plan = _Plan(job=replace(job, total=parsed.item_count), dataset=dataset, parsed=parsed, author_ids=author_ids)
        if parsed.fatal or problems:
            _refuse(ctx.store, job, known, parsed, problems)
        elif known.options.get("dry_run"):
            _check(ctx.store, known, plan, rows)
        elif not known.options["commit_to_project"]:
            kept = {**_found(parsed), "kept": parsed.task_count}
            ctx.store.write(lambda tx: imports.complete(tx, job, known, dataset, kept))
        else:
            _store(ctx.store, known, plan, rows)


def failed(job: Job, ctx: "JobContext", error: str) -> None:
    """Say in the import that its job has failed for good, and end the job; raises LostLease."""

    def end(tx: Tx) -> None:
        known = _import(tx, job)
        if known is not None and known.state not in FINAL:
            imports.fail(tx, known, error)
        tx.jobs.finish(job, error=error)

    ctx.store.write(end)


@dataclass(frozen=True, kw_only=True)
class _Work:
    """An import that is to be carried out."""

    job: Job
    known: Import
    dataset: Dataset


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """An import that has been validated as a whole: what its rows are stored with."""

    job: Job
    dataset: Dataset
    parsed: ParsedUpload
    author_ids: Mapping[str | int, int]


def _import(tx: Tx, job: Job) -> Import | None:
    import_id, dataset_id = job.payload["import_id"], job.payload["dataset_id"]
    return tx.imports.get(import_id, dataset_id)  # type: ignore[arg-type]


def _load(tx: Tx, job: Job) -> tuple[Import, Dataset, list[Upload]] | None:
    """The import with its dataset and payloads; None when there is nothing left to do."""
    known = _import(tx, job)
    dataset = tx.datasets.get(known.dataset_id, None) if known else None
    if known is None or dataset is None or known.state in FINAL:
        return None
    uploads = tx.imports.uploads(known.id)
    if known.is_reimport:
        uploads.sort(key=lambda upload: known.file_ids.index(upload.id))
    return known, dataset, uploads


def _abandon(tx: Tx, job: Job) -> None:
    """End the job of an import that has ended already or went with its project."""
    known = _import(tx, job)
    tx.imports.drop_uploads(job.payload["import_id"])  # type: ignore[arg-type]
    tx.jobs.finish(job, error=known.error if known else "the project was deleted")


def _begin(tx: Tx, job: Job, known: Import) -> None:
    tx.jobs.heartbeat(job, done=known.row_count, total=job.total)
    tx.imports.update(known.id, {"state": ImportState.IN_PROGRESS})


def _fetched(job: Job, known: Import, ctx: "JobContext", path: Path) -> tuple[Import, list[Upload]]:
    """Fetch what lies behind the import's address and keep it as its payload; raises what the client raises."""
    url, name = str(known.options["fetch"]), str(known.options["file_name"])
    ctx.store.write(lambda tx: _begin(tx, job, known))
    ctx.outgoing.check(url)
    with path.open("wb") as file:
        file.writelines(ctx.outgoing.fetch(url, limit=FETCH_BYTES))
    upload_id = ctx.store.write(lambda tx: tx.imports.add_upload(name))
    with path.open("rb") as arrived:
        sequence = 0
        while pieces := [piece for _ in range(PIECES_AT_ONCE) if (piece := arrived.read(PIECE_BYTES))]:
            ctx.store.write(partial(_keep, upload_id, sequence, pieces))
            sequence += len(pieces)
    path.unlink()

    def hand_over(tx: Tx) -> tuple[Import, list[Upload]]:
        taken = imports.fetched(tx, job, known, upload_id, name)
        return taken, tx.imports.uploads(known.id)

    return ctx.store.write(hand_over)


def _keep(upload_id: int, sequence: int, pieces: Sequence[bytes], tx: Tx) -> None:
    for place, piece in enumerate(pieces):
        tx.imports.append(upload_id, sequence + place, piece)


def _parsed(work: _Work, uploads: Sequence[Upload], ctx: "JobContext", rows: Path) -> ParsedUpload:
    """The outcome of parsing; its rows are in the file named. A child process parses what is not small."""
    known = work.known
    if known.keeps_files and len(uploads) != len(known.file_ids):
        raise Invalid(GONE)
    paths = [_read_upload(ctx.store, upload, rows.parent / str(upload.id)) for upload in uploads]
    spec = ctx.store.read(lambda tx: _spec(tx, known, uploads))
    judged = known.options["commit_to_project"] or known.options.get("dry_run")
    config_xml = work.dataset.label_config if judged else EMPTY_CONFIG
    if sum(upload.size for upload in uploads) <= SMALL_BYTES:
        return parse(spec, paths, rows, config_xml=config_xml)
    ctx.store.write(lambda tx: _begin(tx, work.job, known))
    return ctx.pool.run(parse, spec, paths, rows, config_xml=config_xml)


def _spec(tx: Tx, known: Import, uploads: Sequence[Upload]) -> UploadSpec:
    options: Mapping[str, Any] = known.options
    is_json = options["kind"] == "json"
    names = {file.id: file.name for file in tx.uploads.of_dataset(known.dataset_id, known.file_ids)}
    return UploadSpec(
        kind="json" if is_json else "files",
        file_names=() if is_json else tuple(upload.name for upload in uploads),
        file_addresses=tuple(f"/data/upload/{known.dataset_id}/{names.get(u.id, u.name)}" for u in uploads),
        as_tasks_list=options.get("files_as_tasks_list", True),
        preannotated_from_fields=tuple(options["preannotated_from_fields"] or ()),
        external_id=options.get("external_id"),
        reject_rows=_rejects_rows(known),
    )


def _rejects_rows(known: Import) -> bool:
    return known.options.get("on_error") == "reject_rows"


def _read_upload(store: Store, upload: Upload, path: Path) -> Path:
    """Write a payload to a file; raises Invalid when it went away meanwhile."""
    with path.open("wb") as file:
        after = -1
        while pieces := store.read(lambda tx, after=after: tx.imports.pieces(upload.id, after, PIECES_AT_ONCE)):  # type: ignore[misc]
            file.writelines(data for _, data in pieces)
            after = pieces[-1][0]
        if file.tell() != upload.size:
            raise Invalid(GONE)
    return path


def _unknown_authors(parsed: ParsedUpload, known: Mapping[str | int, int]) -> list[ItemProblem]:
    unknown = [(item, name) for name, item in parsed.annotators.items() if name not in known]
    return [
        ItemProblem(item=item, key="completed_by", reason=unknown_author(item, name))
        for item, name in sorted(unknown, key=lambda pair: pair[0])
    ]


def _refuse(store: Store, job: Job, known: Import, parsed: ParsedUpload, problems: Sequence[ItemProblem]) -> None:
    """End an import of which nothing may be stored, with the reason of every bad item."""
    error = parsed.fatal or "\n".join(problem.reason for problem in problems)
    told = [problem for problem in problems if problem.reason != "..."]
    found = {
        "rejected": len(told),
        "item_count": parsed.item_count,
        "problems": msgspec.to_builtins(told[:MAX_PROBLEMS]),
    }

    def refuse(tx: Tx) -> None:
        imports.fail(tx, known, error, found)
        tx.jobs.finish(job, error=error)

    store.write(refuse)


def _check(store: Store, known: Import, plan: _Plan, path: Path) -> None:
    """End an import that is only a check: count what its rows would become, and keep why some would be rejected."""
    config = label_config.parse(plan.dataset.label_config)
    counts = dict.fromkeys((Outcome.CREATED, *COUNTS, "annotations", "predictions"), 0)
    problems: list[dict[str, object]] = []
    number = 0
    for chunk in _chunks(path, 0):
        rows = _rows(chunk, number, config, plan)
        found = store.read(lambda tx, rows=rows: import_rows.sort_out(tx, known.source_id, rows))  # type: ignore[misc]
        counts[Outcome.CREATED] += len(found.new)
        counts["annotations"] += sum(len(rows[place].annotations) for place in found.new)
        counts["predictions"] += sum(len(rows[place].predictions) for place in found.new)
        counts |= found.counted(counts)
        for note in found.notes:
            if note.reason and len(problems) < MAX_PROBLEMS:
                rejected = chunk[note.row].rejected
                key = rejected.key if rejected else "completed_by"
                problems.append({"item": number + note.row, "key": key, "reason": note.reason})
        number += len(rows)
    outcome = {**_found(plan.parsed), "would": counts, "problems": problems}
    store.write(lambda tx: imports.complete(tx, plan.job, known, plan.dataset, outcome))


def _store(store: Store, known: Import, plan: _Plan, path: Path) -> None:
    """Store the rows that are not stored yet, chunk by chunk, and complete the import with the last of them."""
    config = label_config.parse(plan.dataset.label_config)
    chunks = _chunks(path, known.row_count)
    chunk, ended = next(chunks, []), False
    while not ended:
        rows = _rows(chunk, known.row_count, config, plan)
        chunk = next(chunks, [])
        ended = not chunk
        known = store.write(partial(_take, plan, known, rows, ended))


def _rows(chunk: Sequence[Row], first: int, config: LabelConfig, plan: _Plan) -> list[ImportRow]:
    return [import_row(row, first + place, config, plan.author_ids) for place, row in enumerate(chunk)]


def _take(plan: _Plan, known: Import, rows: Sequence[ImportRow], ends: bool, tx: Tx) -> Import:
    """Store a chunk, and complete the import when it ends with it.

    A project without a model version takes that of the last prediction.
    """
    stored = imports.store_rows(tx, plan.job, known, plan.dataset, rows)
    version = next((row.predictions[-1].model_version for row in reversed(rows) if row.predictions), None)
    if version and not plan.dataset.settings.get("model_version"):
        tx.datasets.update(plan.dataset.id, {"settings": {"model_version": version}})
    if ends:
        tx.imports.sweep(tx.now() - STRAY_MICROSECONDS)
        imports.complete(tx, plan.job, stored, plan.dataset, _found(plan.parsed))
    return stored


def _found(parsed: ParsedUpload) -> dict[str, object]:
    return {
        "found_formats": parsed.found_formats,
        "data_columns": parsed.data_columns,
        "could_be_tasks_list": parsed.could_be_tasks_list,
    }


def _chunks(path: Path, skip: int) -> Iterator[Sequence[Row]]:
    """The rows of a file in chunks, the first `skip` rows left out."""
    offset = 0
    while (page := read_rows(path, offset=offset, count=min(CHUNK_ROWS, skip or CHUNK_ROWS))).rows:
        offset = page.next_offset
        if skip:
            skip -= len(page.rows)
        else:
            yield page.rows
