"""Which tasks of a dataset an export takes, and reading them page by page, each page in a short transaction."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import content, task_export, task_predictions, tasks
from headrace.core.annotations import Annotation
from headrace.core.datasets import Dataset
from headrace.core.drafts import Draft
from headrace.core.errors import NotFound
from headrace.core.label_config import LabelConfig
from headrace.core.label_config import parse as parse_config
from headrace.core.positions import Position, from_token, to_token
from headrace.core.records import Record
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Source
from headrace.core.task_export import Detail, ExportFormat, Layout, Task, TaskRow
from headrace.core.task_predictions import TaskPrediction

if TYPE_CHECKING:
    from headrace.core.store import Store, Tx

NEEDS = (Permission.EXPORT_DATASETS, Permission.VIEW_SOURCES)
FIRST_PAGE = 50
MAX_PAGE = 500
PAGE_CHARACTERS = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What is decided while tasks are looked for.

    `annotated` tasks have an annotation, skipped or not, `answered` ones an annotation that was not skipped. `since`
    leaves those that were added or changed, or whose annotations were, behind a position of the log. A record above
    `last_id` came too late.
    """

    annotated: bool = False
    answered: bool = False
    ids: tuple[int, ...] | None = None
    since: Position | None = None
    last_id: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What is decided on each task: with True only those that have it, with False only those that have it not.

    `kinds` are the annotations to be shown (usual, ground_truth, skipped), None meaning all of them; with
    `only_with_annotations` a task that is left with none is left out.
    """

    skipped: bool | None = None
    finished: bool | None = None
    annotated: bool | None = None
    only_with_annotations: bool = False
    kinds: frozenset[str] | None = None


class TaskKey(NamedTuple):
    """A task's id, and its place in the order in which a selection is read."""

    place: int
    id: int


class Tasks(Protocol):
    """Storage's side of a selection."""

    def last_id(self) -> int:
        """The greatest id that any record has."""

    def keys(self, dataset_id: int, source_id: int, selection: Selection, after: int, limit: int) -> list[TaskKey]:
        """Selected tasks behind a place, in order, at most `limit`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What an export takes and how it is written; of the selected tasks only those `among` these ids, unless None.

    `position` is the head of the log at its start.
    """

    dataset: Dataset
    source: Source
    config: LabelConfig
    selection: Selection
    choice: Choice
    detail: Detail
    position: Position
    among: frozenset[int] | None = None


def begin(
    tx: "Tx",
    who: Principal,
    dataset_id: int,
    selection: Selection,
    *,
    since: str | None = None,
    choice: Choice | None = None,
) -> Wanted:
    """An export of the tasks there are now; `since` is an earlier one's token. Raises NotFound, Forbidden, Invalid."""
    dataset = tasks.load_project(tx, who, dataset_id, *NEEDS)
    behind, detail = replace(selection, since=_since(tx, dataset, since)), Detail(drafts_of=who.user_id)
    return prepared(tx, dataset, behind, choice or Choice(), detail)


def prepared(tx: "Tx", dataset: Dataset, selection: Selection, choice: Choice, detail: Detail) -> Wanted:
    """An export of a dataset that the caller has loaded; its position is taken before anything is read."""
    position = tx.records.head()
    source = tx.sources.get(dataset.own_source_id, None) if dataset.own_source_id is not None else None
    if source is None:
        raise NotFound("the dataset has no tasks of its own", fields={"dataset": dataset.id})
    return Wanted(
        dataset=dataset,
        source=source,
        config=parse_config(dataset.label_config or tasks.EMPTY_CONFIG),
        selection=replace(selection, last_id=tx.tasks.last_id()),
        choice=choice,
        detail=detail,
        position=position,
    )


def _since(tx: "Tx", dataset: Dataset, token: str | None) -> Position | None:
    return None if token is None else from_token(token, epoch=tx.epoch, owner=dataset.id, field="since")


def note_export(tx: "Tx", who: Principal, dataset: Dataset, format: ExportFormat) -> None:
    """Say in the log that somebody takes a dataset's tasks away."""
    tx.events.add(
        "dataset.exported",
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=dataset.id,
        data={"format": format.value},
    )


def since_token(tx: "Tx", wanted: Wanted) -> str:
    """The token with which the next export goes on where this one began."""
    return to_token(wanted.position, epoch=tx.epoch, owner=wanted.dataset.id)


def texts(store: "Store", wanted: Wanted, layout: Layout) -> Iterator[str]:
    """The pieces of a file, each made when it is asked for; a table's tasks are read twice, first for its columns.

    Nothing is held open between two pieces. Raises NotFound when the dataset is deleted on the way.
    """
    if layout.format is not ExportFormat.JSON:
        yield from task_export.texts(layout, lambda: _decoded_pages(store, wanted))
        return
    yield task_export.head(layout)
    between = ""
    for page in json_pages(store, wanted):
        yield between + ",".join(page)
        between = task_export.separator(layout)
    yield task_export.tail(layout)


def json_pages(store: "Store", wanted: Wanted) -> Iterator[list[str]]:
    """The tasks of an export as JSON text, page by page, no page empty."""
    for page in _pages(store, wanted):
        yield [task_export.task_json(wanted.config, wanted.dataset.id, row, wanted.detail) for row in page]


def _decoded_pages(store: "Store", wanted: Wanted) -> Iterator[list[Task]]:
    for page in _pages(store, wanted):
        yield [task_export.task_of(wanted.config, row) for row in page]


def _pages(store: "Store", wanted: Wanted) -> Iterator[list[TaskRow]]:
    """The tasks of an export, page by page; a page grows and shrinks with the size of what it holds."""
    after, limit = 0, FIRST_PAGE
    while True:
        keys, rows = store.read(lambda tx, after=after, limit=limit: _page(tx, wanted, after, limit))  # type: ignore[misc]
        if not keys:
            return
        after = keys[-1].place
        limit = _next_limit(len(keys), sum(map(_size, rows)))
        if rows:
            yield rows


def _size(row: TaskRow) -> int:
    said = (len(item.judgement.result or "") for item in row.annotations)
    return len(row.data) + sum(said) + sum(len(item.said) for item in row.predictions)


def _next_limit(count: int, size: int) -> int:
    return max(1, min(MAX_PAGE, count * 4, PAGE_CHARACTERS * count // max(size, 1)))


def _page(tx: "Tx", wanted: Wanted, after: int, limit: int) -> tuple[list[TaskKey], list[TaskRow]]:
    if tx.datasets.get(wanted.dataset.id, None) is None:
        raise NotFound("the project was deleted during its export", fields={"project": wanted.dataset.id})
    keys = tx.tasks.keys(wanted.dataset.id, wanted.source.id, wanted.selection, after, limit)
    ids = [key.id for key in keys if wanted.among is None or key.id in wanted.among]
    said = _by_record(tx.annotations.of_records(wanted.dataset.id, ids))
    predicted = task_predictions.of_records(tx, wanted.dataset, ids)
    records = tx.records.by_ids(ids, [wanted.source.id])
    rows = (_row(wanted, record, said.get(record.id, ()), predicted[record.id]) for record in records)
    chosen = [row for row in rows if _is_chosen(wanted, row)]
    files = tx.uploads.names_of(wanted.dataset.id, ids)
    drafts: dict[int, list[Draft]] = {}
    for draft in (
        tx.drafts.of_records(wanted.dataset.id, ids, wanted.detail.drafts_of) if wanted.detail.drafts_of else ()
    ):
        drafts.setdefault(draft.record_id, []).append(draft)
    return keys, [row._replace(drafts=drafts.get(row.record.id, ()), file=files.get(row.record.id)) for row in chosen]


def _by_record(found: Sequence[Annotation]) -> Mapping[int, Sequence[Annotation]]:
    said: dict[int, list[Annotation]] = {}
    for annotation in found:
        if not annotation.judgement.blank:
            said.setdefault(annotation.record_id, []).append(annotation)
    return said


def _row(wanted: Wanted, record: Record, found: Sequence[Annotation], predicted: Sequence[TaskPrediction]) -> TaskRow:
    kinds = wanted.choice.kinds
    return TaskRow(
        record=record,
        data=content.as_task(record.kind, record.body, wanted.source.text_keys),
        annotations=found,
        shown=found if kinds is None else [item for item in found if not kinds.isdisjoint(_kinds(item))],
        predictions=predicted,
    )


def _kinds(annotation: Annotation) -> list[str]:
    judgement = annotation.judgement
    found = [name for name in ("ground_truth",) if judgement.ground_truth]
    found += ["skipped"] if judgement.cancelled else []
    return found or ["usual"]


def _is_chosen(wanted: Wanted, row: TaskRow) -> bool:
    choice = wanted.choice
    has_skipped = any(item.judgement.cancelled for item in row.annotations)
    return (
        choice.skipped in (None, has_skipped)
        and choice.annotated in (None, bool(row.annotations))
        and (
            choice.finished is None
            or choice.finished == (tasks.completed_at(wanted.dataset, row.annotations) is not None)
        )
        and not (choice.only_with_annotations and not row.shown)
    )
