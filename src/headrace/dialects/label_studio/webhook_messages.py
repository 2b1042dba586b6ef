"""What webhooks are sent: events in the words of Label Studio, made of what is known when they are delivered.

What has been deleted since is told by its id alone. Two actions are headrace's own: TASK_COMPLETED, when enough
people have annotated a task, and PROJECT_COMPLETED, when the last task of a project has been completed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple

from headrace.core import queue, task_predictions, tasks
from headrace.core.annotations import Annotation
from headrace.core.datasets import Dataset
from headrace.core.events import Event
from headrace.core.records import Record
from headrace.core.rights import Principal
from headrace.core.store import Tx
from headrace.core.tasks import TaskPage
from headrace.core.times import format_timestamp
from headrace.core.webhooks import Message, Webhook
from headrace.decode import decode, encode
from headrace.dialects.label_studio.translate import (
    Json,
    annotation_json,
    config_of,
    prediction_json,
    project_json,
    task_core,
)

TASKS_AT_ONCE = 1_000


class Action(NamedTuple):
    """One action as `/api/webhooks/info/` describes it: its title, the body's key, whether only the server's hooks
    can have it."""

    title: str
    key: str
    organization_only: bool = False


ACTIONS: Mapping[str, Action] = {
    "PROJECT_CREATED": Action("Project created", "project", True),
    "PROJECT_UPDATED": Action("Project updated", "project"),
    "PROJECT_DELETED": Action("Project deleted", "project", True),
    "TASKS_CREATED": Action("Task created", "tasks"),
    "TASKS_DELETED": Action("Task deleted", "tasks"),
    "ANNOTATION_CREATED": Action("Annotation created", "annotation"),
    "ANNOTATIONS_CREATED": Action("Annotations created", "annotation"),
    "ANNOTATION_UPDATED": Action("Annotation updated", "annotation"),
    "ANNOTATIONS_DELETED": Action("Annotation deleted", "annotations"),
    "LABEL_LINK_CREATED": Action("Label link created", "label_link"),
    "LABEL_LINK_UPDATED": Action("Label link updated", "label_link"),
    "LABEL_LINK_DELETED": Action("Label link deleted", "label_link"),
    "PREDICTIONS_CREATED": Action("Predictions created", "predictions"),
    "PREDICTION_UPDATED": Action("Prediction updated", "prediction"),
    "PREDICTIONS_DELETED": Action("Predictions deleted", "predictions"),
    "TASK_COMPLETED": Action("Task completed", "task"),
    "PROJECT_COMPLETED": Action("Project completed", "project"),
}

ANNOTATION_KEYS = (
    "id",
    "result",
    "was_cancelled",
    "ground_truth",
    "created_at",
    "updated_at",
    "draft_created_at",
    "lead_time",
    "unique_id",
    "import_id",
    "last_action",
    "bulk_created",
    "task",
    "project",
    "parent_prediction",
    "parent_annotation",
    "last_created_by",
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An event of a project, and whose eyes see it."""

    tx: Tx
    who: Principal
    dataset: Dataset
    event: Event

    def project(self) -> Json:
        """The project as it is now."""
        view = tasks.view_project(self.tx, self.who, self.dataset)
        return {
            **project_json(view),
            "created_by": view.creator.id if view.creator else None,
            "updated_at": format_timestamp(self.dataset.updated_at),
        }

    def page(self, record_ids: Sequence[int]) -> TaskPage:
        """Those of the tasks that still exist."""
        return tasks.some(self.tx, self.who, self.dataset, record_ids)

    def task(self) -> Json:
        """The task that was annotated."""
        return self.tasks([self.record_id])[0]

    def tasks(self, record_ids: Sequence[int]) -> list[Json]:
        """Tasks in full, those that are gone by their id."""
        page = self.page(record_ids)
        found = {record.id: task_row(page, record) for record in page.records}
        return [found.get(record_id, {"id": record_id}) for record_id in record_ids]

    def predictions(self, ids: Sequence[int]) -> list[Json]:
        """Predictions in full, those that are gone by their id."""
        found = task_predictions.some(self.tx, self.dataset, ids)
        now = self.tx.now()
        return [
            prediction_json(found[number], self.dataset.id, now=now) if number in found else {"id": number}
            for number in ids
        ]

    @property
    def record_id(self) -> int:
        """The record that an event of an annotation is about."""
        return int(str(self.event.data["record_id"]))

    def annotation(self) -> Annotation | None:
        """The annotation the event is about, if it still exists."""
        return self.tx.annotations.get(self.event.subject_id or 0)


Body = Callable[[], Json]
Part = tuple[str, Body]


def messages(tx: Tx, who: Principal, webhook: Webhook, event: Event) -> list[Message]:
    """The messages of an event that a webhook wants; see `core.webhooks.Render`."""
    if event.kind == "dataset.deleted" and event.data.get("has_tasks") and webhook.dataset_id is None:
        parts: Iterator[Part] = iter([("PROJECT_DELETED", lambda: {"project": {"id": event.dataset_id}})])
    elif event.kind in PARTS and (dataset := tx.datasets.get(event.dataset_id or 0, who.scope)):
        scene = Scene(tx=tx, who=who, dataset=dataset, event=event)
        parts = PARTS[event.kind](scene, webhook) if dataset.own_source_id is not None else iter(())
    else:
        parts = iter(())
    return [_message(webhook, action, body) for action, body in parts if webhook.spec.wants(action)]


def _message(webhook: Webhook, action: str, body: Body) -> Message:
    whole = webhook.spec.send_payload
    return Message(action, lambda: encode({"action": action, **(body() if whole else {})}))


def _project_created(scene: Scene, webhook: Webhook) -> Iterator[Part]:
    if webhook.dataset_id is None:
        yield "PROJECT_CREATED", lambda: {"project": scene.project()}


def _project_updated(scene: Scene, webhook: Webhook) -> Iterator[Part]:
    yield "PROJECT_UPDATED", lambda: {"project": scene.project()}


def _tasks_created(scene: Scene, webhook: Webhook) -> Iterator[Part]:
    ranges: Any = scene.event.data.get("ranges", ())
    record_ids = chain.from_iterable(range(first, last + 1) for first, last in ranges)
    while some := list(islice(record_ids, TASKS_AT_ONCE)):
        yield "TASKS_CREATED", lambda some=some: {"tasks": scene.tasks(some), "project": scene.project()}  # type: ignore[misc]


def _tasks_deleted(scene: Scene, webhook: Webhook) -> Iterator[Part]:
    record_ids: Any = scene.event.data.get("records", ())
    rows = [{"id": record_id} for record_id in record_ids]
    if rows:
        yield "TASKS_DELETED", lambda: {"tasks": rows, "project": scene.project()}


def _annotated(action: str) -> Callable[[Scene, Webhook], Iterator[Part]]:
    def parts(scene: Scene, webhook: Webhook) -> Iterator[Part]:
        yield action, lambda: {"annotation": _annotation(scene), "project": scene.project(), "task": scene.task()}
        completes = scene.event.data.get("counts") and any(map(webhook.spec.wants, COMPLETIONS))
        if completes and _completes_task(scene):
            yield "TASK_COMPLETED", lambda: {"task": scene.task(), "project": scene.project()}
            if webhook.spec.wants("PROJECT_COMPLETED") and _completes_project(scene):
                yield "PROJECT_COMPLETED", lambda: {"project": scene.project()}

    return parts


def _annotation_deleted(scene: Scene, webhook: Webhook) -> Iterator[Part]:
    annotations = [{"id": scene.event.subject_id}]
    yield "ANNOTATIONS_DELETED", lambda: {"annotations": annotations, "project": scene.project()}


def _annotations_deleted(scene: Scene, webhook: Webhook) -> Iterator[Part]:
    numbers: Any = scene.event.data.get("annotations", ())
    annotations = [{"id": number} for number in numbers]
    yield "ANNOTATIONS_DELETED", lambda: {"annotations": annotations, "project": scene.project()}


def _predictions(action: str, *, whole: bool) -> Callable[[Scene, Webhook], Iterator[Part]]:
    """Messages of the predictions that an event names, in full or by their ids."""

    def parts(scene: Scene, webhook: Webhook) -> Iterator[Part]:
        ranges: Any = scene.event.data.get("ranges", ())
        ids = chain.from_iterable(range(first, last + 1) for first, last in ranges)
        while some := list(islice(ids, TASKS_AT_ONCE)):
            yield (
                action,
                lambda some=some: {  # type: ignore[misc]
                    "predictions": scene.predictions(some) if whole else [{"id": number} for number in some],
                    "project": scene.project(),
                },
            )

    return parts


def _prediction_updated(scene: Scene, webhook: Webhook) -> Iterator[Part]:
    def body() -> Json:
        prediction = scene.predictions([scene.event.subject_id or 0])[0]
        return {"prediction": prediction, "task": scene.task(), "project": scene.project()}

    yield "PREDICTION_UPDATED", body


COMPLETIONS = ("TASK_COMPLETED", "PROJECT_COMPLETED")
PARTS: Mapping[str, Callable[[Scene, Webhook], Iterator[Part]]] = {
    "dataset.created": _project_created,
    "dataset.updated": _project_updated,
    "records.created": _tasks_created,
    "import.completed": _tasks_created,
    "records.deleted": _tasks_deleted,
    "annotation.created": _annotated("ANNOTATION_CREATED"),
    "annotation.updated": _annotated("ANNOTATION_UPDATED"),
    "annotation.deleted": _annotation_deleted,
    "predictions.created": _predictions("PREDICTIONS_CREATED", whole=True),
    "prediction.updated": _prediction_updated,
    "predictions.deleted": _predictions("PREDICTIONS_DELETED", whole=False),
    "annotations.deleted": _annotations_deleted,
}


def _completes_task(scene: Scene) -> bool:
    """True when the event's annotation is the one that made enough people."""
    page = scene.page([scene.record_id])
    last = tasks.finishing(scene.dataset, page.annotations[scene.record_id]) if page.records else None
    return last is not None and last.id == scene.event.subject_id


def _completes_project(scene: Scene) -> bool:
    """True when the event's annotation is the last of those that completed the tasks, and none is left."""
    finished, last = scene.tx.annotations.finishing(
        scene.dataset.id, overlap=queue.overlap(scene.dataset), skips=queue.skips_count(scene.dataset)
    )
    total = scene.page(()).total
    return finished == total and last == scene.event.subject_id


def _annotation(scene: Scene) -> Json:
    known = scene.annotation()
    if known is None:
        return {"id": scene.event.subject_id, "task": scene.record_id, "project": scene.dataset.id}
    shown = annotation_json(known, config_of(scene.dataset), {}, now=scene.tx.now())
    regions = shown["result"]
    return {
        **{key: shown[key] for key in ANNOTATION_KEYS},
        "completed_by": known.author_id,
        "updated_by": known.author_id,
        "prediction": {},
        "result_count": _length(regions),
    }


def _length(result: Any) -> int:
    """How many regions a result has."""
    decoded = decode(bytes(result), object)
    return len(decoded) if isinstance(decoded, list) else 0


def task_row(page: TaskPage, record: Record) -> Json:
    """A task as webhooks are sent it: without its annotations, but counting them."""
    found = page.annotations[record.id]
    valid = [item for item in found if not item.judgement.cancelled]
    changed = max([record.modified_at, *(item.updated_at for item in found)])
    return {
        **task_core(page, record),
        "updated_at": format_timestamp(changed),
        "is_labeled": tasks.finishing(page.dataset, found) is not None,
        "allow_skip": True,
        "total_annotations": len(valid),
        "cancelled_annotations": len(found) - len(valid),
        "total_predictions": len(page.predictions[record.id]),
        "precomputed_agreement": None,
        "updated_by": found[-1].author_id if found else None,
    }
