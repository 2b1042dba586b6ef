"""Imports as they are shown: the status, the receipt of one that has ended, and why one was refused. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.core.errors import Invalid
from headrace.core.import_rows import Outcome, RowNote
from headrace.core.imports import Import, ImportState
from headrace.core.times import format_timestamp
from headrace.dialects.label_studio.translate import Json

MAX_ENTRIES = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportView:
    """An import with the ids of its tasks, empty unless they are wanted, and how many of its rows are done."""

    known: Import
    record_ids: Sequence[int]
    progress: tuple[int, int]


def status_json(view: ImportView) -> Json:
    """The status of an import. The posted tasks are not echoed: a poll must not cost as much as the import."""
    known, options = view.known, view.known.options
    done, total = view.progress
    return {
        "id": known.id,
        "project": known.dataset_id,
        "preannotated_from_fields": options["preannotated_from_fields"],
        "commit_to_project": options["commit_to_project"],
        "return_task_ids": options["return_task_ids"],
        "dry_run": bool(options.get("dry_run")),
        "on_error": options.get("on_error", "fail"),
        "external_id": options.get("external_id"),
        "status": known.state.value,
        "progress": {"done": done, "total": total},
        "url": options["url"],
        "error": known.error,
        "problems": known.found.get("problems", []),
        **_times(known),
        **{name: count or 0 for name, count in _counts(known).items()},
        **_outcomes(known),
        "duration": _micros(known) // 1_000_000,
        **_findings(known),
        "tasks": None,
        "task_ids": view.record_ids,
    }


def reimport_json(view: ImportView) -> Json:
    """The status of a reimport."""
    known = view.known
    done, total = view.progress
    return {
        "id": known.id,
        "project": known.dataset_id,
        "status": known.state.value,
        "progress": {"done": done, "total": total},
        "error": known.error,
        **_times(known),
        **_counts(known),
        "duration": _micros(known) // 1_000_000,
        "file_upload_ids": known.file_ids,
        "files_as_tasks_list": known.options["files_as_tasks_list"],
        "found_formats": known.found.get("found_formats", []),
        "data_columns": known.found.get("data_columns", []),
    }


def receipt_json(view: ImportView) -> Json:
    """What the answer to an upload tells of an import that is complete: the synchronous form."""
    known = view.known
    receipt: Json = {**_counts(known), "duration": _micros(known) / 1e6, **_findings(known)}
    receipt |= {name: count for name, count in _outcomes(known).items() if count and name != "created_task_count"}
    wanted = known.options["return_task_ids"] and known.options["commit_to_project"]
    return receipt | ({"task_ids": view.record_ids} if wanted else {})


def check_json(view: ImportView) -> Json:
    """The answer to an upload that is only checked: what it would become, and every problem."""
    known = view.known
    return {
        "import": known.id,
        "dry_run": True,
        "status": known.state.value,
        "error": known.error,
        **_counts(known),
        **_outcomes(known),
        "duration": _micros(known) / 1e6,
        **_findings(known),
        "problems": known.found.get("problems", []),
    }


def row_json(note: RowNote) -> Json:
    """What became of one row."""
    return {"row": note.row, "task_id": note.record_id, "status": note.outcome.value, "reason": note.reason}


def refusal(known: Import) -> Invalid:
    """Why an import failed, as the synchronous form says it: one entry per item, `{}` for a good one."""
    problems: Sequence[Mapping[str, object]] = known.found.get("problems") or ()  # type: ignore[assignment]
    text = known.error or "the import failed"
    if not problems:
        return Invalid(text, fields={"validation_errors": {"non_field_errors": [text]}})
    reasons: dict[int, object] = {}
    for problem in problems:
        reasons.setdefault(int(str(problem["item"])), problem["reason"])
    count = int(str(known.found.get("item_count") or 0))
    entries: list[object] = [reasons.get(item, {}) for item in range(min(count, MAX_ENTRIES))]
    if count > MAX_ENTRIES:
        entries[-1] = "..."
    return Invalid(text, fields={"validation_errors": {"non_field_errors": entries, "problems": problems}})


def is_complete(known: Import) -> bool:
    """True when an import has ended well."""
    return known.state is ImportState.COMPLETED


def _times(known: Import) -> dict[str, str | None]:
    return {
        "created_at": format_timestamp(known.created_at),
        "updated_at": format_timestamp(known.updated_at),
        "finished_at": None if known.finished_at is None else format_timestamp(known.finished_at),
    }


def _micros(known: Import) -> int:
    return max(0, known.finished_at - known.created_at) if known.finished_at else 0


def _would(known: Import) -> Mapping[str, int] | None:
    """The counts of a check that ended well, by outcome."""
    return known.found.get("would")  # type: ignore[return-value]


def _counts(known: Import) -> dict[str, int | None]:
    """The counts, which stay 0 until the import is complete; of what is only kept, the tasks alone are counted."""
    if not is_complete(known):
        return {"task_count": 0, "annotation_count": 0, "prediction_count": 0}
    if "kept" in known.found:
        return {"task_count": int(str(known.found["kept"])), "annotation_count": None, "prediction_count": None}
    would = _would(known)
    if would is not None:
        tasks = sum(would[name] for name in (Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED))
        return {
            "task_count": tasks,
            "annotation_count": would["annotations"],
            "prediction_count": would["predictions"],
        }
    return {
        "task_count": known.row_count - known.counts[Outcome.REJECTED],
        "annotation_count": known.annotation_count,
        "prediction_count": known.prediction_count,
    }


def _outcomes(known: Import) -> dict[str, int]:
    """How many items became what, once that is settled; of a failed import the bad ones alone are counted."""
    found = _would(known) or {Outcome.CREATED: known.record_count, **known.counts}
    settled = is_complete(known)
    return {
        "failed_task_count": found[Outcome.REJECTED],
        "created_task_count": found[Outcome.CREATED] if settled else 0,
        "updated_task_count": found[Outcome.UPDATED] if settled else 0,
        "unchanged_task_count": found[Outcome.UNCHANGED] if settled else 0,
    }


def _findings(known: Import) -> Json:
    found = known.found
    return {
        "file_upload_ids": known.file_ids,
        "could_be_tasks_list": found.get("could_be_tasks_list", False),
        "found_formats": found.get("found_formats", []),
        "data_columns": found.get("data_columns", []),
    }
