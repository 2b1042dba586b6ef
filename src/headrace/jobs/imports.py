"""The import job: checks an upload as a whole, then stores its tasks by chunks, and resumes behind the last one.

Nothing is stored before everything has been validated. The upload always parses to the same rows in the same
order, so a new attempt parses again and passes over as many rows as the import has records.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
    found = ctx.store.read(lambda tx: _load(tx, job))
    if found is None:
        ctx.store.write(lambda tx: _abandon(tx, job))
        return
    known, dataset, uploads = found
    with TemporaryDirectory(prefix=f"import-{known.id}-", dir=ctx.scratch) as folder:
        rows = Path(folder) / "rows"
        parsed = _parsed(job, known, dataset, uploads, ctx, rows)
        author_ids = ctx.store.read(lambda tx: answers.authors(tx, dataset, parsed.annotators))
        problems = _unknown_authors(parsed, author_ids)
        if parsed.error or problems:
            failed = len([problem for problem in parsed.errors if problem.reason != "..."]) + len(problems)
            _refuse(ctx.store, job, known, parsed.error or "\n".join(problems), failed)
        else:
            job = replace(job, total=parsed.task_count)
            plan = _Plan(job=job, dataset=dataset, parsed=parsed, author_ids=author_ids)
            _store(ctx.store, known, plan, rows)


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


def _load(tx: Tx, job: Job) -> tuple[Import, Dataset, list[Upload]] | None:
    """The import with its dataset and payloads; None when there is nothing left to do."""
    known = _import(tx, job)
    dataset = tx.datasets.get(known.dataset_id, None) if known else None
    if known is None or dataset is None or known.state in FINAL:
        return None
    return known, dataset, tx.imports.uploads(known.id)


def _abandon(tx: Tx, job: Job) -> None:
    """End the job of an import that has ended already or went with its project."""
    known = _import(tx, job)
    tx.imports.drop_uploads(job.payload["import_id"])  # type: ignore[arg-type]
    tx.jobs.finish(job, error=known.error if known else "the project was deleted")


def _begin(tx: Tx, job: Job, known: Import) -> None:
    tx.jobs.heartbeat(job, done=known.record_count, total=job.total)
    tx.imports.update(known.id, {"state": ImportState.IN_PROGRESS})


def _parsed(
    job: Job, known: Import, dataset: Dataset, uploads: Sequence[Upload], ctx: "JobContext", rows: Path
) -> ParsedUpload:
    """The outcome of parsing; its rows are in the file named. A child process parses what is not small."""
    paths = [_fetch(ctx.store, upload, rows.parent / str(upload.id)) for upload in uploads]
    is_json = known.options["kind"] == "json"
    spec = UploadSpec(
        kind="json" if is_json else "files",
        file_names=() if is_json else tuple(upload.name for upload in uploads),
        preannotated_from_fields=tuple(known.options["preannotated_from_fields"] or ()),  # type: ignore[arg-type]
    )
    if sum(upload.size for upload in uploads) <= SMALL_BYTES:
        return parse(spec, paths, rows, config_xml=dataset.label_config)
    ctx.store.write(lambda tx: _begin(tx, job, known))
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


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """An import that has been validated as a whole: what its rows are stored with."""

    job: Job
    dataset: Dataset
    parsed: ParsedUpload
    author_ids: Mapping[str | int, int]


def _store(store: Store, known: Import, plan: _Plan, path: Path) -> None:
    """Store the rows that are not stored yet, chunk by chunk, and complete the import with the last of them."""
    config = label_config.parse(plan.dataset.label_config)
    chunks = _chunks(path, known.record_count)
    chunk, ended = next(chunks, []), False
    while not ended:
        rows = [_import_row(row, config, plan.author_ids) for row in chunk]
        chunk = next(chunks, [])
        ended = not chunk
        known = store.write(partial(_take, plan, known, rows, ended))


def _take(plan: _Plan, known: Import, rows: Sequence[ImportRow], ends: bool, tx: Tx) -> Import:
    """Store a chunk, and complete the import when it ends with it.

    A project without a model version takes that of the last prediction.
    """
    stored = imports.store_rows(tx, plan.job, known, plan.dataset, rows)
    version = next((row.predictions[-1].model_version for row in reversed(rows) if row.predictions), None)
    if version and not plan.dataset.settings.get("model_version"):
        tx.datasets.update(plan.dataset.id, {"settings": {"model_version": version}})
    if ends:
        tx.imports.update(known.id, {"found": _found(plan.parsed)})
        tx.imports.sweep(tx.now() - STRAY_MICROSECONDS)
        imports.complete(tx, plan.job, stored, plan.dataset)
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
