"""Answers: what people, and imports in their name, say to a task, and the judgements these become."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace.core import annotations, datasets, drafts, label_config, label_results
from headrace.core.annotations import Annotation, Assigned, Judgement
from headrace.core.datasets import Dataset
from headrace.core.drafts import Draft
from headrace.core.errors import Invalid, NotFound
from headrace.core.label_config import LabelConfig
from headrace.core.rights import Permission, Principal
from headrace.core.users import User

if TYPE_CHECKING:
    from headrace.core.store import Tx

NO_RESULT = "null"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A Label Studio result: decoded, and as the JSON text it was sent as. An absent one is None and `null`."""

    value: object = None
    text: str = NO_RESULT


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer to a task. `lead_time` is in seconds."""

    result: Result
    cancelled: bool = False
    ground_truth: bool = False
    lead_time: float | None = None
    unique_id: str | None = None
    skip_reason: str | None = None


def judgement(config: LabelConfig, answer: Answer) -> Judgement:
    """The answer as a judgement: its text as sent, and the dataset labels it assigns with their parents."""
    return Judgement(
        labels=_labels(config, answer.result),
        result=answer.result.text,
        cancelled=answer.cancelled,
        ground_truth=answer.ground_truth,
        lead_time=answer.lead_time,
        unique_id=answer.unique_id,
        skip_reason=answer.skip_reason if answer.cancelled else None,
    )


def authors(tx: "Tx", dataset: Dataset, named: Iterable[str | int]) -> dict[str | int, int]:
    """The user ids behind emails and user ids; whoever has no part in the dataset's project is left out."""
    wanted = set(named)
    if not wanted:
        return {}
    found: dict[str | int, int] = {}
    for user in tx.users.all():
        if user.is_admin or dataset.project_id in user.grants:
            found[user.id] = user.id
            found.setdefault(user.email.casefold(), user.id)
    keys = {name: name.casefold() if isinstance(name, str) else name for name in wanted}
    return {name: found[key] for name, key in keys.items() if key in found}


def annotate(
    tx: "Tx",
    who: Principal,
    record_id: int,
    answer: Answer,
    *,
    author: str | int | None = None,
    draft_id: int | None = None,
) -> tuple[Dataset, Annotation]:
    """Store an answer to a task as the caller's, or as another member's when the caller administers the dataset.

    The caller's draft that it was made of goes; Forbidden when that is not theirs, or of another task.
    """
    dataset = datasets.of_record(tx, who, record_id, Permission.REVIEW)
    config = label_config.parse(dataset.label_config)
    _check(config, answer.result)
    author_id = _author(tx, who, dataset, author)
    stored = judgement(config, answer)
    if draft_id is not None:
        stored = replace(stored, draft_created_at=drafts.become(tx, who, dataset, record_id, draft_id))
    annotation_id = annotations.judge(tx, who, dataset, record_id, stored, author_id=author_id)
    return dataset, _required(tx, annotation_id)


def load(tx: "Tx", who: Principal, annotation_id: int, *needs: Permission) -> tuple[Dataset, Annotation]:
    """An annotation of a task with its dataset, as far as the caller may know of it; raises NotFound."""
    annotation = tx.annotations.get(annotation_id)
    dataset = tx.datasets.owning(annotation.record_id, who.scope) if annotation else None
    if annotation is None or dataset is None or dataset.id != annotation.dataset_id:
        raise NotFound("there is no such annotation", fields={"annotation": annotation_id})
    who.require(dataset.project_id, *needs)
    return dataset, annotation


def get(tx: "Tx", who: Principal, annotation_id: int) -> tuple[Dataset, Annotation]:
    """An annotation of a task with its dataset; raises NotFound."""
    return load(tx, who, annotation_id, Permission.VIEW_LABELS)


def revise(
    tx: "Tx", who: Principal, annotation_id: int, *, result: Result | None, changes: Mapping[str, object]
) -> tuple[Dataset, Annotation]:
    """Change what is named (fields of a judgement) and the result unless it is None; the author stays."""
    dataset, annotation = load(tx, who, annotation_id, Permission.REVIEW)
    changed = replace(annotation.judgement, **changes)  # type: ignore[arg-type]
    if result is not None:
        config = label_config.parse(dataset.label_config)
        _check(config, result)
        changed = replace(changed, result=result.text, labels=_labels(config, result))
    annotations.rejudge(tx, who, dataset, annotation, changed)
    return dataset, _required(tx, annotation.id)


def remove(tx: "Tx", who: Principal, annotation_id: int) -> None:
    """Remove an annotation of a task; raises NotFound."""
    dataset, annotation = load(tx, who, annotation_id, Permission.REVIEW)
    annotations.remove(tx, who, dataset, annotation)


def people(tx: "Tx", found: Iterable[Annotation | Draft]) -> dict[int, User]:
    """The authors of annotations and drafts by id, as far as they still exist."""
    known = ((author_id, tx.users.get(author_id)) for author_id in {item.author_id for item in found})
    return {author_id: user for author_id, user in known if user is not None}


def _labels(config: LabelConfig, result: Result) -> tuple[Assigned, ...]:
    names = label_results.labels_of(config, result.value)
    return annotations.expanded([Assigned(name) for name in names if datasets.is_label_name(name)])


def _check(config: LabelConfig, result: Result) -> None:
    problem = None if result.value is None else label_results.result_problem(config, result.value)
    if problem is not None:
        raise Invalid(problem, fields={"result": problem})


def _author(tx: "Tx", who: Principal, dataset: Dataset, author: str | int | None) -> int:
    if author is None or author in (who.user_id, who.email):
        return who.user_id
    who.require(dataset.project_id, Permission.DATASETS_ADMIN)
    found = authors(tx, dataset, [author])
    if not found:
        raise Invalid(f"there is no annotator {str(author)[:80]}", fields={"completed_by": str(author)[:80]})
    return found[author]


def _required(tx: "Tx", annotation_id: int) -> Annotation:
    annotation = tx.annotations.get(annotation_id)
    if annotation is None:
        raise NotFound("there is no such annotation", fields={"annotation": annotation_id})
    return annotation
