"""Tasks: the records of a dataset's own source, and the datasets (Label Studio: projects) that have one."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import (
    answers,
    content,
    datasets,
    label_config,
    label_tasks,
    learning,
    queue,
    sources,
    task_predictions,
)
from headrace.core.annotations import Annotation, AnnotationCounts
from headrace.core.datasets import Dataset, Label
from headrace.core.drafts import Draft
from headrace.core.errors import Forbidden, Invalid, NotFound
from headrace.core.projects import DEFAULT_PROJECT, check_texts
from headrace.core.records import NewRecord, Record, created, same, shown
from headrace.core.records import change as change_records
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Source
from headrace.core.task_columns import Part
from headrace.core.task_predictions import TaskPrediction
from headrace.core.users import User

if TYPE_CHECKING:
    from headrace.core.store import Tx

EMPTY_CONFIG = "<View></View>"
CREATOR = "created_by"


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskPage:
    """Tasks of one dataset with what is said of them by record id, the annotators, and how many tasks there are.

    `drafts` are those of the caller only, `files` the names of the files that tasks were made of.
    """

    dataset: Dataset
    source: Source
    records: Sequence[Record]
    annotations: Mapping[int, Sequence[Annotation]]
    predictions: Mapping[int, Sequence[TaskPrediction]]
    drafts: Mapping[int, Sequence[Draft]]
    files: Mapping[int, str]
    people: Mapping[int, User]
    total: int
    read_at: int


class Sent(NamedTuple):
    """A task's data: decoded, and as the JSON text it was sent as."""

    value: object
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectView:
    """A dataset that has tasks, with its counters and the user who made it (None when that is not known)."""

    dataset: Dataset
    task_count: int
    prediction_count: int
    counts: AnnotationCounts
    creator: User | None


def create_project(
    tx: "Tx",
    who: Principal,
    *,
    title: str,
    config_xml: str,
    description: str = "",
    settings: Mapping[str, object] | None = None,
) -> Dataset:
    """A dataset with a source of its own, in the first project where the caller may make both."""
    config = label_config.parse(config_xml)
    check_texts(title, description)
    owner = _home(tx, who)
    name = free_name(tx, owner, title)
    source = sources.create(tx, who, project=owner, name=name, title=title)
    _read_text_keys(tx, source.id, config)
    dataset = datasets.create(
        tx,
        who,
        project=owner,
        name=name,
        changes={
            "title": title,
            "description": description,
            "settings": {**(settings or {}), CREATOR: who.user_id},
            "source_ids": [source.id],
        },
        labels=_config_labels(config),
    )
    return tx.datasets.update(dataset.id, {"own_source_id": source.id, "label_config": config_xml})


def update_project(
    tx: "Tx",
    who: Principal,
    dataset_id: int,
    *,
    changes: Mapping[str, object],
    config_xml: str | None = None,
) -> Dataset:
    """Change what is named; a new label config adds its labels to the taxonomy."""
    dataset = load_project(tx, who, dataset_id, Permission.DATASETS_ADMIN)
    updated = datasets.update(tx, who, dataset.id, changes)
    queue.rules_changed(tx, dataset, updated)
    if config_xml is None:
        return updated
    config = label_config.parse(config_xml)
    if dataset.own_source_id is not None:
        _read_text_keys(tx, dataset.own_source_id, config)
    tx.datasets.ensure_labels(dataset.id, [label.name for label in _config_labels(config)])
    return tx.datasets.update(dataset.id, {"label_config": config_xml})


def load_project(tx: "Tx", who: Principal, dataset_id: int, *needs: Permission) -> Dataset:
    """The dataset of that id if it has a source of its own; raises NotFound."""
    dataset = datasets.load(tx, who, dataset_id, *needs)
    if dataset.own_source_id is None:
        raise NotFound("there is no such project", fields={"project": dataset_id})
    return dataset


def list_projects(tx: "Tx", who: Principal) -> list[Dataset]:
    """The datasets with tasks of their own that the caller may view, newest first."""
    visible = tx.datasets.all(who.scope_with(Permission.VIEW_LABELS))
    return [dataset for dataset in reversed(visible) if dataset.own_source_id is not None]


def view_project(tx: "Tx", who: Principal, dataset: Dataset) -> ProjectView:
    """A dataset that the caller has loaded, with its counters as the caller sees them."""
    creator = dataset.settings.get(CREATOR)
    source = sources.load(tx, who, _own(dataset))
    return ProjectView(
        dataset=dataset,
        task_count=source.record_count,
        prediction_count=task_predictions.count(tx, dataset),
        counts=_counts(tx, who, dataset, tasks=source.record_count),
        creator=tx.users.get(creator) if isinstance(creator, int) else None,
    )


def _counts(tx: "Tx", who: Principal, dataset: Dataset, *, tasks: int) -> AnnotationCounts:
    """The counters as the caller sees them; where a skip counts, the queue says what is finished."""
    found = tx.annotations.counts(dataset.id, overlap=queue.overlap(dataset), author_id=who.user_id)
    if not queue.skips_count(dataset):
        return found
    unfinished, begun_by_me = tx.queue.standing(dataset.id, who.user_id)
    finished = tasks - unfinished
    return found._replace(finished=finished, finished_by_others=finished - (found.mine - begun_by_me))


def finishing(dataset: Dataset, found: Sequence[Annotation]) -> Annotation | None:
    """Which of a task's annotations made enough different people, or None while there are not enough."""
    authors: set[int] = set()
    skips, wanted = queue.skips_count(dataset), queue.overlap(dataset)
    for annotation in sorted(found, key=lambda item: item.id):
        said = annotation.judgement
        if said.counts or (skips and said.cancelled):
            authors.add(annotation.author_id)
            if len(authors) == wanted:
                return annotation
    return None


def completed_at(dataset: Dataset, found: Sequence[Annotation]) -> int | None:
    """When a task with these annotations was finished by enough different people, or None while it is not."""
    last = finishing(dataset, found)
    return last.created_at if last else None


def page(tx: "Tx", who: Principal, dataset_id: int, *, skip: int, limit: int, newest_first: bool = False) -> TaskPage:
    """Tasks of a dataset in the order of their ids, or the other way round, the first `skip` left out."""
    dataset = load_project(tx, who, dataset_id, Permission.VIEW_SOURCES, Permission.VIEW_LABELS)
    source = sources.load(tx, who, _own(dataset))
    if not newest_first:
        return _page(tx, who, dataset, source, shown(tx, who, tx.records.numbered(source, skip, limit)))
    last = max(0, source.record_count - skip)
    first = max(0, last - limit)
    return _page(tx, who, dataset, source, shown(tx, who, tx.records.numbered(source, first, last - first)[::-1]))


def totals(tx: "Tx", dataset: Dataset) -> tuple[int, int]:
    """How many annotations and how many predictions the tasks of a loaded dataset have."""
    return tx.annotations.count(dataset.id), task_predictions.count(tx, dataset)


def get(tx: "Tx", who: Principal, record_id: int) -> TaskPage:
    """One task by its id, as a page of one; raises NotFound."""
    dataset = datasets.of_record(tx, who, record_id, Permission.VIEW_SOURCES, Permission.VIEW_LABELS)
    return some(tx, who, dataset, [record_id])


def some(
    tx: "Tx",
    who: Principal,
    dataset: Dataset,
    record_ids: Sequence[int],
    *,
    parts: Collection[Part] = (Part.ANNOTATIONS, Part.PREDICTIONS),
) -> TaskPage:
    """Those of the tasks of a loaded dataset that still exist, in the order asked; of what is said, the parts named."""
    source = sources.load(tx, who, _own(dataset))
    return _page(tx, who, dataset, source, shown(tx, who, tx.records.by_ids(record_ids, [source.id])), parts)


def add(tx: "Tx", who: Principal, dataset_id: int, *, data: object, body: str, meta: str | None) -> TaskPage:
    """Store one task; `data` is the decoded form of `body`. Raises Invalid when it does not fit the config."""
    dataset = load_project(tx, who, dataset_id, Permission.EDIT_MESSAGES)
    problem = label_tasks.task_problem(label_config.parse(dataset.label_config), data)
    if problem:
        raise Invalid(f"{problem} {label_tasks.ENVELOPE}", fields={"data": problem})
    row = NewRecord(None, content.Kind.TASK, body, meta, tx.now())
    record_id = tx.records.insert(_own(dataset), [row])[0]
    created(tx, who, dataset, [record_id])
    learning.records_arrived(tx, _own(dataset))
    return some(tx, who, dataset, [record_id])


def delete(tx: "Tx", who: Principal, record_id: int) -> None:
    """Delete one task with its annotations; raises NotFound."""
    delete_many(tx, who, datasets.of_record(tx, who, record_id, Permission.EDIT_MESSAGES), [record_id])


def delete_many(tx: "Tx", who: Principal, dataset: Dataset, record_ids: Sequence[int]) -> int:
    """Delete tasks of a dataset that the caller may edit, with their annotations; answers how many there were."""
    count = tx.records.delete(_own(dataset), record_ids)
    if count:
        tx.events.add(
            "records.deleted",
            actor_id=who.user_id,
            project_id=dataset.project_id,
            dataset_id=dataset.id,
            data={"records": list(record_ids)},
        )
    return count


def task_count(tx: "Tx", dataset: Dataset) -> int:
    """How many tasks a loaded dataset has."""
    source = tx.sources.get(_own(dataset), None)
    return source.record_count if source else 0


def change(tx: "Tx", who: Principal, record_id: int, *, data: Sent | None = None, meta: str | None = None) -> TaskPage:
    """Give a task other data or another meta, where they are not None; the rest stays.

    Raises Invalid when data does not fit the config, Forbidden when the caller does not see all of the task's data.
    """
    dataset = datasets.of_record(tx, who, record_id, Permission.EDIT_MESSAGES, Permission.VIEW_LABELS)
    known = tx.records.by_ids([record_id], [_own(dataset)])[0]
    row = NewRecord(known.external_id, known.kind, known.body, known.meta if meta is None else meta, known.timestamp)
    if data is not None:
        if sources.hidden(tx, who, [known.source_id]):
            who.require(dataset.project_id, Permission.VIEW_SENSITIVE)
        if known.kind != content.Kind.TASK:
            raise Invalid(f"the task was sent as a {known.kind}; change it there", fields={"data": known.kind})
        problem = label_tasks.task_problem(label_config.parse(dataset.label_config), data.value)
        if problem:
            raise Invalid(f"{problem} {label_tasks.ENVELOPE}", fields={"data": problem})
        row = row._replace(body=data.text)
    if not same(known, row):
        change_records(tx, [(record_id, row)])
        learning.records_arrived(tx, _own(dataset))
    elif row.meta != known.meta:
        tx.records.replace([(record_id, row)])
    return some(tx, who, dataset, [record_id])


def annotations_of(tx: "Tx", dataset: Dataset, record_ids: Sequence[int]) -> dict[int, list[Annotation]]:
    """The annotations of each record in a loaded dataset by id, those left out that have been cleared."""
    found: dict[int, list[Annotation]] = {record_id: [] for record_id in record_ids}
    for annotation in tx.annotations.of_records(dataset.id, record_ids):
        if not annotation.judgement.blank:
            found[annotation.record_id].append(annotation)
    return found


def _page(
    tx: "Tx",
    who: Principal,
    dataset: Dataset,
    source: Source,
    records: Sequence[Record],
    parts: Collection[Part] = (Part.ANNOTATIONS, Part.PREDICTIONS),
) -> TaskPage:
    record_ids = [record.id for record in records]
    found = annotations_of(tx, dataset, record_ids if Part.ANNOTATIONS in parts else ())
    said = [annotation for some in found.values() for annotation in some]
    begun = tx.drafts.of_records(dataset.id, record_ids, who.user_id)
    return TaskPage(
        dataset=dataset,
        source=source,
        records=records,
        annotations=found,
        predictions=task_predictions.of_records(tx, dataset, record_ids if Part.PREDICTIONS in parts else ()),
        drafts={record_id: [draft for draft in begun if draft.record_id == record_id] for record_id in record_ids},
        files=tx.uploads.names_of(dataset.id, record_ids),
        people=answers.people(tx, [*said, *begun]),
        total=source.record_count,
        read_at=tx.now(),
    )


def _own(dataset: Dataset) -> int:
    if dataset.own_source_id is None:
        raise NotFound("the dataset has no tasks of its own", fields={"dataset": dataset.id})
    return dataset.own_source_id


def _home(tx: "Tx", who: Principal) -> str:
    """The project that new datasets of this caller go to: `default` where allowed, else their first one."""
    allowed = who.scope_with(Permission.SOURCES_ADMIN, Permission.MODIFY_DATASETS)
    names = [project.name for project in tx.projects.all(allowed)]
    if not names:
        raise Forbidden(
            "this needs the permissions sources-admin and voc in some project",
            fields={"missing": [Permission.SOURCES_ADMIN.value, Permission.MODIFY_DATASETS.value]},
        )
    return DEFAULT_PROJECT if DEFAULT_PROJECT in names else names[0]


def free_name(tx: "Tx", project: str, title: str) -> str:
    """A name made of the title that neither a source nor a dataset of the project has."""
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", title).strip("-").lower()[:200] or "project"
    taken = {dataset.name for dataset in tx.datasets.all(None, project)}
    taken |= {source.name for source in tx.sources.all(None, project)}
    name, count = stem, 1
    while name in taken:
        count += 1
        name = f"{stem}-{count}"
    return name


def _read_text_keys(tx: "Tx", source_id: int, config: label_config.LabelConfig) -> None:
    tx.sources.update(source_id, text_keys=label_tasks.text_keys(config))


def _config_labels(config: label_config.LabelConfig) -> list[Label]:
    names = datasets.with_parents(label_config.labels(config))
    return [Label(name=datasets.check_label_name(name), definition={}) for name in names]
