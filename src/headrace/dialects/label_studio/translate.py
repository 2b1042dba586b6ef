"""Between the wire and the domain: projects, tasks, annotations, predictions. Pure functions."""

from collections.abc import Mapping, Sequence

from msgspec import Raw

from headrace.core import content, label_config, label_results, queue, tasks
from headrace.core.annotations import Annotation
from headrace.core.datasets import Dataset
from headrace.core.drafts import Draft
from headrace.core.label_config import LabelConfig
from headrace.core.records import Record
from headrace.core.rights import Principal
from headrace.core.task_predictions import TaskPrediction
from headrace.core.tasks import EMPTY_CONFIG, ProjectView, TaskPage
from headrace.core.times import format_timestamp
from headrace.core.users import User
from headrace.decode import encode

Json = dict[str, object]

AGES = (("day", 86_400), ("hour", 3_600), ("minute", 60))

SETTINGS: Mapping[str, object] = {
    "expert_instruction": "",
    "show_instruction": False,
    "show_skip_button": True,
    "enable_empty_annotation": True,
    "show_annotation_history": False,
    "color": "#FFFFFF",
    "maximum_annotations": 1,
    "is_published": False,
    "model_version": "",
    "is_draft": False,
    "min_annotations_to_start_training": 0,
    "start_training_on_annotation_update": False,
    "show_collab_predictions": True,
    "sampling": "Sequential sampling",
    "show_ground_truth_first": False,
    "annotator_evaluation_enabled": False,
    "show_overlap_first": False,
    "overlap_cohort_percentage": 100,
    "task_data_login": None,
    "task_data_password": None,
    "evaluate_predictions_automatically": False,
    "skip_queue": "REQUEUE_FOR_OTHERS",
    "reveal_preannotations_interactively": False,
    "pinned_at": None,
}
"""Every project setting that is kept as it was sent, with its value where none was."""


def person_json(user: User) -> Json:
    """A user as the author of something."""
    return {
        "id": user.id,
        "first_name": "",
        "last_name": "",
        "email": user.email,
        "avatar": None,
        "initials": user.email[:2],
    }


def author_json(user: User) -> Json:
    """A user as the maker of a project or a snapshot."""
    return {name: value for name, value in person_json(user).items() if name != "initials"}


def config_of(dataset: Dataset) -> LabelConfig:
    """The label config of a project; one that a dataset without tasks lacks counts as empty."""
    return label_config.parse(dataset.label_config or EMPTY_CONFIG)


def project_json(view: ProjectView, *, counted: bool = True) -> Json:
    """A project in answers; the counters are null where Label Studio leaves them out."""
    dataset, config = view.dataset, config_of(view.dataset)
    creator = view.creator
    weights = dataset.settings.get("control_weights")
    return {
        "id": dataset.id,
        "title": dataset.title,
        "description": dataset.description,
        "label_config": dataset.label_config,
        "organization": 1,
        "created_by": author_json(creator) if creator else None,
        "created_at": format_timestamp(dataset.created_at),
        **{name: dataset.settings.get(name, default) for name, default in SETTINGS.items()},
        **{name: value if counted else None for name, value in _counters(view).items()},
        "control_weights": weights if weights is not None else _weights(config),
        "parsed_label_config": label_config.summary(config),
        "config_has_control_tags": bool(config.controls),
        "queue_total": view.task_count - view.counts.finished_by_others,
        "queue_done": view.counts.mine,
        "config_suitable_for_bulk_annotation": True,
        "state": None,
    }


def counters_json(view: ProjectView) -> Json:
    """A project's counters alone."""
    return {"id": view.dataset.id, **_counters(view)}


def _counters(view: ProjectView) -> dict[str, int]:
    counts = view.counts
    return {
        "num_tasks_with_annotations": counts.annotated,
        "task_number": view.task_count,
        "useful_annotation_number": counts.useful,
        "ground_truth_number": counts.ground_truth,
        "skipped_annotations_number": counts.cancelled,
        "total_annotations_number": counts.total,
        "total_predictions_number": view.prediction_count,
        "finished_task_number": counts.finished,
    }


def _weights(config: LabelConfig) -> Json:
    return {
        control.name: {
            "overall": 1.0,
            "type": control.type,
            "labels": {label.name: 1.0 for label in control.labels},
        }
        for control in config.controls
    }


def result_raw(config: LabelConfig, annotation: Annotation) -> Raw:
    """An annotation's result as it was sent; for one made through another API, regions that say the same."""
    judgement = annotation.judgement
    if judgement.result is not None:
        return Raw(judgement.result.encode())
    return Raw(encode(label_results.result_of(config, [label.name for label in judgement.labels])))


def annotation_json(
    annotation: Annotation,
    config: LabelConfig,
    people: Mapping[int, User | Principal],
    *,
    now: int,
    whole_author: bool = False,
) -> Json:
    """An annotation in answers; its author as the id, or as an object where one task is shown."""
    author = people.get(annotation.author_id)
    judgement = annotation.judgement
    return {
        "id": annotation.id,
        "result": result_raw(config, annotation),
        "created_username": f" {author.email if author else ''}, {annotation.author_id}",
        "created_ago": age(now - annotation.created_at),
        "completed_by": person_json(author) if isinstance(author, User) and whole_author else annotation.author_id,
        "was_cancelled": judgement.cancelled,
        "ground_truth": judgement.ground_truth,
        "created_at": format_timestamp(annotation.created_at),
        "updated_at": format_timestamp(annotation.updated_at),
        "draft_created_at": _moment(judgement.draft_created_at),
        "lead_time": judgement.lead_time,
        "unique_id": judgement.unique_id,
        "import_id": judgement.import_id,
        "last_action": None,
        "bulk_created": False,
        "task": annotation.record_id,
        "project": annotation.dataset_id,
        "updated_by": annotation.author_id,
        "parent_prediction": None,
        "parent_annotation": None,
        "last_created_by": None,
        **({"skip_reason": judgement.skip_reason} if judgement.skip_reason else {}),
    }


def draft_json(draft: Draft, author: User | None, *, now: int) -> Json:
    """A draft in answers."""
    email = author.email if author else ""
    return {
        "id": draft.id,
        "user": email,
        "created_username": f" {email}, {draft.author_id}",
        "created_ago": age(now - draft.created_at),
        "result": Raw(draft.result.encode()),
        "lead_time": draft.lead_time,
        "was_postponed": draft.postponed,
        "import_id": draft.import_id,
        "created_at": format_timestamp(draft.created_at),
        "updated_at": format_timestamp(draft.updated_at),
        "task": draft.record_id,
        "annotation": draft.annotation_id,
    }


def _moment(micros: int | None) -> str | None:
    return None if micros is None else format_timestamp(micros)


def age(micros: int) -> str:
    """How long ago something was, in its largest unit: `3 hours`; less than a minute is `0 minutes`."""
    seconds = max(0, micros // 1_000_000)
    unit, size = next((unit for unit in AGES if seconds >= unit[1]), AGES[-1])
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def prediction_json(predicted: TaskPrediction, dataset_id: int, *, now: int) -> Json:
    """A prediction in answers."""
    return {
        "id": predicted.id,
        "result": Raw(predicted.result.encode()),
        "model_version": predicted.model_version,
        "created_ago": age(now - predicted.created_at),
        "score": predicted.score,
        "cluster": None,
        "neighbors": None,
        "mislabeling": 0.0,
        "created_at": format_timestamp(predicted.created_at),
        "updated_at": format_timestamp(predicted.updated_at),
        "model": None,
        "model_run": None,
        "task": predicted.record_id,
        "project": dataset_id,
    }


def task_json(page: TaskPage, record: Record, config: LabelConfig, *, single: bool = False, whole: bool = True) -> Json:
    """A task in answers with what is said of it in full, or counted but for drafts; its data are the bytes sent.

    The two texts of results stay empty: Label Studio fills them only for views that show these columns.
    """
    found, predicted = page.annotations.get(record.id, ()), page.predictions.get(record.id, ())
    valid = [item for item in found if not item.judgement.cancelled]
    done = tasks.completed_at(page.dataset, found)
    authors = list(dict.fromkeys(item.author_id for item in found))
    times = [item.judgement.lead_time for item in valid if item.judgement.lead_time is not None]
    scores = [item.score for item in predicted if item.score is not None]
    changed = max([record.modified_at, *(item.updated_at for item in found)])
    return {
        **task_core(page, record),
        "updated_at": format_timestamp(changed),
        "is_labeled": done is not None,
        "total_annotations": len(valid),
        "cancelled_annotations": len(found) - len(valid),
        "total_predictions": len(predicted),
        "completed_at": None if done is None else format_timestamp(done),
        "updated_by": [{"user_id": author_id} for author_id in authors[-1:]],
        "storage_filename": None,
        "annotators": authors,
        "annotations_ids": ",".join(str(item.id) for item in found),
        "annotations_results": "",
        "predictions_results": "",
        "predictions_model_versions": ",".join(item.model_version for item in predicted),
        "predictions_score": sum(scores) / len(scores) if scores else None,
        "avg_lead_time": sum(times) / len(times) if times else None,
        "draft_exists": bool(page.drafts[record.id]),
        **(_said(page, record, config, single=single) if whole else {}),
        "drafts": [
            draft_json(item, page.people.get(item.author_id), now=page.read_at) for item in page.drafts[record.id]
        ],
    }


def _said(page: TaskPage, record: Record, config: LabelConfig, *, single: bool) -> Json:
    """The annotations and predictions of a task, in full."""
    now, people = page.read_at, page.people
    found, predicted = page.annotations[record.id], page.predictions[record.id]
    return {
        "annotations": [annotation_json(item, config, people, now=now, whole_author=single) for item in found],
        "predictions": [prediction_json(item, page.dataset.id, now=now) for item in predicted],
    }


def task_core(page: TaskPage, record: Record) -> Json:
    """What a task is by itself, as the answer to its creation shows it."""
    return {
        "id": record.id,
        "data": Raw(content.as_task(record.kind, record.body, page.source.text_keys).encode()),
        "meta": Raw((record.meta or "{}").encode()),
        "created_at": format_timestamp(record.created_at),
        "updated_at": format_timestamp(record.modified_at),
        "is_labeled": False,
        "overlap": queue.overlap(page.dataset),
        "inner_id": record.number,
        "total_annotations": 0,
        "cancelled_annotations": 0,
        "total_predictions": 0,
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "project": page.dataset.id,
        "updated_by": None,
        "file_upload": page.files.get(record.id),
        "comment_authors": [],
    }


def only(values: Json, wanted: Sequence[str]) -> Json:
    """The values under the names wanted, or all of them when none is."""
    return {name: value for name, value in values.items() if name in wanted} if wanted else values
