"""Answers in bulk: the same answer for many tasks, and many annotations removed, all or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core import answers, datasets
from headrace.core.answers import Answer
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid, NotFound
from headrace.core.rights import Permission, Principal
from headrace.core.task_selection import Selection

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_BULK = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Picked:
    """Tasks of a dataset: those named, or with `all` the others. None: those named, of any dataset."""

    dataset_id: int | None
    record_ids: Sequence[int]
    all: bool = False


def annotate(tx: "Tx", who: Principal, picked: Picked, answer: Answer, *, author: str | int | None = None) -> list[int]:
    """Store one answer to each of the tasks, as `answers.annotate` does; answers the annotations' ids in order.

    Raises Invalid for none or more than MAX_BULK tasks, and for one that is not there.
    """
    record_ids = _picked(tx, who, picked)
    if not 1 <= len(record_ids) <= MAX_BULK:
        raise Invalid(f"1 to {MAX_BULK} tasks can be annotated at once", fields={"tasks": len(record_ids)})
    made = []
    for record_id in record_ids:
        try:
            dataset, annotation = answers.annotate(tx, who, record_id, answer, author=author)
        except NotFound as error:
            raise _no_task(record_id) from error
        if picked.dataset_id not in (None, dataset.id):
            raise _no_task(record_id)
        made.append(annotation.id)
    return made


def remove(tx: "Tx", who: Principal, dataset_id: int, annotation_ids: Sequence[int]) -> int:
    """Remove annotations of a dataset; answers how many. Raises Invalid for too many, and for one not there."""
    dataset = datasets.load(tx, who, dataset_id, Permission.REVIEW)
    wanted = list(dict.fromkeys(annotation_ids))
    if len(wanted) > MAX_BULK:
        raise Invalid(f"at most {MAX_BULK} annotations can be deleted at once", fields={"ids": len(wanted)})
    for annotation_id in wanted:
        known = tx.annotations.get(annotation_id)
        if known is None or known.dataset_id != dataset.id:
            raise Invalid(f"there is no annotation {annotation_id} in the project", fields={"ids": annotation_id})
        answers.remove(tx, who, annotation_id)
    return len(wanted)


def _picked(tx: "Tx", who: Principal, picked: Picked) -> list[int]:
    named = list(dict.fromkeys(picked.record_ids))
    if not picked.all:
        return named
    if picked.dataset_id is None:
        raise Invalid("project is required to select all tasks", fields={"project": ""})
    dataset = datasets.load(tx, who, picked.dataset_id, Permission.REVIEW)
    keys = _first(tx, dataset, MAX_BULK + 1 + len(named))
    return [record_id for record_id in keys if record_id not in set(named)]


def _first(tx: "Tx", dataset: Dataset, limit: int) -> list[int]:
    """The ids of the first tasks of a dataset: one more than may be annotated tells that there are too many."""
    if dataset.own_source_id is None:
        return []
    every = Selection(last_id=tx.tasks.last_id())
    return [key.id for key in tx.tasks.keys(dataset.id, dataset.own_source_id, every, 0, limit)]


def _no_task(record_id: int) -> Invalid:
    return Invalid(f"there is no task {record_id} in the project", fields={"tasks": record_id})
