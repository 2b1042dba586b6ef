"""The import job: checks an upload as a whole, then stores its tasks by chunks, and resumes behind the last one.

Nothing is stored before everything has been validated. The upload always parses to the same rows in the same
order, so a new attempt parses again and passes over as many rows as the import has records.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, Struct

from headrace.core import answers, imports, label_config
from headrace.core.answers import Answer, Result
from headrace.core.datasets import Dataset
from headrace.core.imports import Import, ImportRow, ImportState, PushedPrediction, Upload
from headrace.core.jobs import Job
from headrace.core.label_config import LabelConfig
from headrace.core.store import Store, Tx
from headrace.jobs.uploads import ParsedUpload, Row, UploadSpec, identity, parse, read_rows

if TYPE_CHECKING:
    from headrace.jobs.worker import JobContext

CHUNK_ROWS = 1_000
PIECES_AT_ONCE = 8
SMALL_BYTES = 1_000_000
STRAY_MICROSECONDS = 24 * 3600 * 1_000_000
DEFAULT_MODEL_VERSION = "undefined"
FINAL = (ImportState.COMPLETED, ImportState.FAILED)


class _Annotation(Struct):
    result: Raw
    completed_by: Any = None
    was_cancelled: Any = False
    ground_truth: Any = True
    lead_time: Any = None
    unique_id: Any = None


class _Prediction(Struct):
    result: Raw
    score: Any = None
    model_version: Any = None


_ANNOTATIONS = msgspec.json.Decoder(list[_Annotation])
_PREDICTIONS = msgspec.json.Decoder(list[_Prediction])
_VALUE = msgspec.json.Decoder()


def run(job: Job, ctx: "JobContext") -> None:
    """Carry an import out to its end, good or bad; raises LostLease when another worker has the job."""
    begun = ctx.store.write(lambda tx: _begin(tx, job))
    if begun is None:
        return
    known, dataset = begun
    with TemporaryDirectory(prefix=f"import-{known.id}-", dir=ctx.scratch) as folder:
        rows = Path(folder) / "rows"
        parsed = _parsed(known, dataset, ctx, rows)
        author_ids = ctx.store.read(lambda tx: answers.authors(tx, dataset, parsed.annotators))
        problems = _unknown_authors(parsed, author_ids)
        if parsed.error or problems:
            failed = len([problem for problem in parsed.errors if problem.reason != "..."]) + len(problems)
            _refuse(ctx.store, job, known, parsed.error or "\n".join(problems), failed)
            return
        ctx.store.write(lambda tx: _note_found(tx, known, parsed))
        _store(ctx.store, replace(job, total=parsed.task_count), known, dataset, rows, author_ids)


def failed(job: Job, ctx: "JobContext", error: str) -> None:
    """Say in the import that its job has failed for good, and end the job; raises LostLease."""

    def end(tx: Tx) -> None:
        known = _import(tx, job)
        if known is not None and known.state not in FINAL:
            imports.fail(tx, known, error)
        tx.jobs.finish(job, error=error)

    ctx.store.write(end)


def _import(tx: Tx, job: Job) -> Import | None:
    import_id, dataset_id = job.payload["import_id"], job.payload["dataset_id"]
    return tx.imports.get(import_id, dataset_id)  # type: ignore[arg-type]


def _begin(tx: Tx, job: Job) -> tuple[Import, Dataset] | None:
    """The import in progress and its dataset; None, with the job ended, when there is nothing left to do."""
    tx.imports.sweep(tx.now() - STRAY_MICROSECONDS)
    known = _import(tx, job)
    dataset = tx.datasets.get(known.dataset_id, None) if known else None
    if known is None or dataset is None:
        tx.imports.drop_uploads(job.payload["import_id"])  # type: ignore[arg-type]
        tx.jobs.finish(job, error="the project was deleted")
        return None
    if known.state in FINAL:
        tx.jobs.finish(job, error=known.error)
        return None
    tx.jobs.heartbeat(job, done=known.record_count, total=job.total)
    tx.imports.update(known.id, {"state": ImportState.IN_PROGRESS})
    return known, dataset


def _parsed(known: Import, dataset: Dataset, ctx: "JobContext", rows: Path) -> ParsedUpload:
    """The outcome of parsing; its rows are in the file named. A child process parses what is not small."""
    uploads = ctx.store.read(lambda tx: tx.imports.uploads(known.id))
    paths = [_fetch(ctx.store, upload, rows.parent / str(upload.id)) for upload in uploads]
    options = known.options
    spec = UploadSpec(
        kind="json" if options["kind"] == "json" else "files",
        file_names=() if options["kind"] == "json" else tuple(upload.name for upload in uploads),
        preannotated_from_fields=tuple(options["preannotated_from_fields"] or ()),  # type: ignore[arg-type]
    )
    if sum(upload.size for upload in uploads) <= SMALL_BYTES:
        return parse(spec, paths, rows, config_xml=dataset.label_config)
    return ctx.pool.run(parse, spec, paths, rows, config_xml=dataset.label_config)


def _fetch(store: Store, upload: Upload, path: Path) -> Path:
    """Write a payload to a file."""
    with path.open("wb") as file:
        after = -1
        while pieces := store.read(lambda tx, after=after: tx.imports.pieces(upload.id, after, PIECES_AT_ONCE)):  # type: ignore[misc]
            file.writelines(data for _, data in pieces)
            after = pieces[-1][0]
    return path


def _unknown_authors(parsed: ParsedUpload, known: Mapping[str | int, int]) -> list[str]:
    unknown = [(item, name) for name, item in parsed.annotators.items() if name not in known]
    return [
        f"Error at item {item}: {_unknown_author(name)}" for item, name in sorted(unknown, key=lambda pair: pair[0])
    ]


def _unknown_author(name: str | int) -> str:
    if isinstance(name, str):
        return f"Unknown annotator's email {name[:200]}"
    return f"Import data contains completed_by={name} which is not a valid annotator's email or ID"


def _refuse(store: Store, job: Job, known: Import, error: str, failed_count: int) -> None:
    def refuse(tx: Tx) -> None:
        tx.imports.update(known.id, {"found": {"failed_task_count": failed_count}})
        imports.fail(tx, known, error)
        tx.jobs.finish(job, error=error)

    store.write(refuse)


def _note_found(tx: Tx, known: Import, parsed: ParsedUpload) -> None:
    found: dict[str, object] = {
        "found_formats": parsed.found_formats,
        "data_columns": parsed.data_columns,
        "could_be_tasks_list": parsed.could_be_tasks_list,
    }
    tx.imports.update(known.id, {"found": found})


def _store(
    store: Store, job: Job, known: Import, dataset: Dataset, path: Path, author_ids: Mapping[str | int, int]
) -> None:
    """Store the rows that are not stored yet, chunk by chunk, and complete the import."""
    config = label_config.parse(dataset.label_config)
    model_version = None
    for chunk in _chunks(path, known.record_count):
        rows = [_import_row(row, config, author_ids) for row in chunk]
        model_version = next(
            (row.predictions[-1].model_version for row in rows[::-1] if row.predictions), model_version
        )
        known = store.write(lambda tx, known=known, rows=rows: imports.store_rows(tx, job, known, dataset, rows))  # type: ignore[misc]

    def complete(tx: Tx) -> None:
        if model_version and not dataset.settings.get("model_version"):
            tx.datasets.update(dataset.id, {"settings": {"model_version": model_version}})
        imports.complete(tx, job, known, dataset)

    store.write(complete)


def _chunks(path: Path, skip: int) -> Iterator[Sequence[Row]]:
    """The rows of a file in chunks, the first `skip` rows left out."""
    offset = 0
    while (page := read_rows(path, offset=offset, count=min(CHUNK_ROWS, skip or CHUNK_ROWS))).rows:
        offset = page.next_offset
        if skip:
            skip -= len(page.rows)
        else:
            yield page.rows


def _import_row(row: Row, config: LabelConfig, author_ids: Mapping[str | int, int]) -> ImportRow:
    annotations = () if row.annotations is UNSET else _ANNOTATIONS.decode(row.annotations)
    predictions = () if row.predictions is UNSET else _PREDICTIONS.decode(row.predictions)
    return ImportRow(
        data=_text(row.data),
        meta=None if row.meta is UNSET else _text(row.meta),
        annotations=[(_author_id(sent, author_ids), answers.judgement(config, _answer(sent))) for sent in annotations],
        predictions=[_pushed(sent) for sent in predictions],
    )


def _author_id(sent: _Annotation, author_ids: Mapping[str | int, int]) -> int | None:
    name = identity(sent.completed_by)
    return None if name is None else author_ids[name]


def _answer(sent: _Annotation) -> Answer:
    """The answer in an uploaded annotation; what Label Studio would not understand of its details is dropped."""
    return Answer(
        result=Result(value=_VALUE.decode(sent.result), text=_text(sent.result)),
        cancelled=bool(sent.was_cancelled),
        ground_truth=bool(sent.ground_truth),
        lead_time=_number(sent.lead_time),
        unique_id=sent.unique_id if isinstance(sent.unique_id, str) else None,
    )


def _pushed(sent: _Prediction) -> PushedPrediction:
    version = sent.model_version
    return PushedPrediction(
        result=_text(sent.result),
        model_version=DEFAULT_MODEL_VERSION if version is None else str(version),
        score=_number(sent.score),
    )


def _number(value: object) -> float | None:
    """The value as a finite number, also from text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _text(raw: Raw) -> str:
    return bytes(raw).decode()
