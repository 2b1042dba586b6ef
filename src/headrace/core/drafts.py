"""Drafts: what a person has begun to say of a task and not yet said. Nobody but their author sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core import datasets, queue, work
from headrace.core.datasets import Dataset
from headrace.core.errors import Conflict, Forbidden, NotFound
from headrace.core.rights import Permission, Principal

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_DRAFTS = 20
"""How many drafts one person may have of one task."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A stored draft of a task, or of a change to one of its annotations; times are microseconds since the epoch.

    `result` is a Label Studio result as JSON text, `lead_time` in seconds. A `postponed` draft puts the task at the
    end of its author's queue.
    """

    id: int
    dataset_id: int
    record_id: int
    annotation_id: int | None
    author_id: int
    result: str
    lead_time: float | None
    postponed: bool
    import_id: int | None
    created_at: int
    updated_at: int


class Drafts(Protocol):
    """Storage of drafts."""

    def insert(
        self, dataset_id: int, record_id: int, author_id: int, annotation_id: int | None, values: Mapping[str, object]
    ) -> int:
        """Store a draft; `values` may hold result, lead_time and postponed. Answers its id."""

    def update(self, draft_id: int, values: Mapping[str, object]) -> None:
        """Change what is named."""

    def delete(self, draft_id: int) -> None:
        """Remove a draft."""

    def get(self, draft_id: int, author_id: int) -> Draft | None:
        """One draft of this author."""

    def of_records(self, dataset_id: int, record_ids: Sequence[int], author_id: int | None = None) -> list[Draft]:
        """The drafts of the records by id, of one author or of everybody."""


def create(
    tx: "Tx", who: Principal, record_id: int, values: Mapping[str, object], annotation_id: int | None = None
) -> tuple[Dataset, Draft]:
    """Store a draft of a task, or of a change to its annotation; raises NotFound, or Conflict for too many.

    A draft keeps the lease on its task alive; a postponed one gives it back.
    """
    dataset = datasets.of_record(tx, who, record_id, Permission.REVIEW)
    _check_annotation(tx, dataset, record_id, annotation_id)
    mine = tx.drafts.of_records(dataset.id, [record_id], who.user_id)
    if len(mine) >= MAX_DRAFTS:
        raise Conflict(f"a task may have {MAX_DRAFTS} drafts of one person", fields={"drafts": len(mine)})
    draft_id = tx.drafts.insert(dataset.id, record_id, who.user_id, annotation_id, values)
    draft = _mine(tx, who, draft_id)
    _changed(tx, who, dataset, draft, "draft.created")
    return dataset, draft


def of_task(tx: "Tx", who: Principal, record_id: int, annotation_id: int | None = None) -> list[Draft]:
    """The caller's drafts of a task, or of changes to one of its annotations."""
    dataset = datasets.of_record(tx, who, record_id, Permission.VIEW_LABELS)
    _check_annotation(tx, dataset, record_id, annotation_id)
    found = tx.drafts.of_records(dataset.id, [record_id], who.user_id)
    return [draft for draft in found if annotation_id in (None, draft.annotation_id)]


def get(tx: "Tx", who: Principal, draft_id: int) -> Draft:
    """One of the caller's drafts; raises NotFound."""
    return _load(tx, who, draft_id, Permission.VIEW_LABELS)[1]


def update(tx: "Tx", who: Principal, draft_id: int, values: Mapping[str, object]) -> Draft:
    """Change what is named in one of the caller's drafts; raises NotFound."""
    dataset, before = _load(tx, who, draft_id, Permission.REVIEW)
    tx.drafts.update(draft_id, values)
    draft = _mine(tx, who, draft_id)
    _changed(tx, who, dataset, draft, "draft.updated", freed=before.postponed and not draft.postponed)
    return draft


def delete(tx: "Tx", who: Principal, draft_id: int) -> None:
    """Remove one of the caller's drafts; raises NotFound."""
    _remove(tx, who, *_load(tx, who, draft_id, Permission.REVIEW))


def become(tx: "Tx", who: Principal, dataset: Dataset, record_id: int, draft_id: int) -> int:
    """Remove the caller's draft that becomes an annotation of the task; answers when it was begun.

    Raises Forbidden when it is not theirs, or of another task.
    """
    draft = tx.drafts.get(draft_id, who.user_id)
    if draft is None or (draft.dataset_id, draft.record_id) != (dataset.id, record_id):
        raise Forbidden("draft_id is not the id of your draft of this task", fields={"draft_id": draft_id})
    _remove(tx, who, dataset, draft)
    return draft.created_at


def _load(tx: "Tx", who: Principal, draft_id: int, *needs: Permission) -> tuple[Dataset, Draft]:
    draft = _mine(tx, who, draft_id)
    dataset = tx.datasets.get(draft.dataset_id, who.scope)
    if dataset is None:
        raise _unknown(draft_id)
    who.require(dataset.project_id, *needs)
    return dataset, draft


def _mine(tx: "Tx", who: Principal, draft_id: int) -> Draft:
    draft = tx.drafts.get(draft_id, who.user_id)
    if draft is None:
        raise _unknown(draft_id)
    return draft


def _unknown(draft_id: int) -> NotFound:
    return NotFound("there is no such draft", fields={"draft": draft_id})


def _check_annotation(tx: "Tx", dataset: Dataset, record_id: int, annotation_id: int | None) -> None:
    if annotation_id is None:
        return
    found = tx.annotations.get(annotation_id)
    if found is None or (found.dataset_id, found.record_id) != (dataset.id, record_id):
        raise NotFound("there is no such annotation", fields={"annotation": annotation_id})


def _changed(tx: "Tx", who: Principal, dataset: Dataset, draft: Draft, kind: str, *, freed: bool = False) -> None:
    for held in tx.work.live_of(dataset.id, who.user_id, queue.ANNOTATE):
        if held.record_id != draft.record_id:
            continue
        if draft.postponed:
            work.release(tx, who, dataset, held)
        else:
            tx.work.renew(held, work.LEASE_SECONDS)
    if freed:
        queue.settle(tx, dataset, [draft.record_id], freed=True)
    _event(tx, who, dataset, draft, kind)


def _remove(tx: "Tx", who: Principal, dataset: Dataset, draft: Draft) -> None:
    tx.drafts.delete(draft.id)
    if draft.postponed:
        queue.settle(tx, dataset, [draft.record_id], freed=True)
    _event(tx, who, dataset, draft, "draft.deleted")


def _event(tx: "Tx", who: Principal, dataset: Dataset, draft: Draft, kind: str) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=draft.id,
        data={"record_id": draft.record_id},
    )
