"""Views: named ways to look at a project's tasks, with filters, an order and whatever a client keeps beside them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core import task_filters, tasks
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid, NotFound, TooLarge
from headrace.core.rights import Permission, Principal
from headrace.core.task_filters import TaskQuery

if TYPE_CHECKING:
    from headrace.core.store import Tx

NEEDS = (Permission.VIEW_LABELS, Permission.VIEW_SOURCES)
MAX_VIEWS = 500
MAX_CHARACTERS = 1_000_000
KEPT = ("filters", "ordering")

Data = Mapping[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskView:
    """One view of a project; `data` is what its maker sent, `place` its place among the project's views."""

    id: int
    dataset_id: int
    author_id: int
    place: int
    data: Data
    created_at: int
    updated_at: int

    def query(self) -> TaskQuery:
        """Which tasks the view shows, in which order."""
        return task_filters.parse(dict(self.data))


class TaskViews(Protocol):
    """Storage of views."""

    def insert(self, dataset_id: int, author_id: int, data: Data) -> TaskView:
        """Store a view behind the others of its dataset."""

    def get(self, view_id: int) -> TaskView | None:
        """One view."""

    def of_dataset(self, dataset_id: int) -> list[TaskView]:
        """The views of a dataset in their order."""

    def update(self, view_id: int, data: Data) -> None:
        """Replace what a view says."""

    def arrange(self, dataset_id: int, view_ids: Sequence[int]) -> None:
        """Put these views of the dataset into this order."""

    def delete(self, view_ids: Sequence[int]) -> None:
        """Remove views."""


def list_views(tx: "Tx", who: Principal, dataset_id: int | None) -> list[TaskView]:
    """The views of a project in their order; without one, those of all projects that the caller may see."""
    if dataset_id is not None:
        return tx.task_views.of_dataset(tasks.load_project(tx, who, dataset_id, *NEEDS).id)
    seen = [dataset for dataset in tasks.list_projects(tx, who) if who.may(dataset.project_id, *NEEDS)]
    return [view for dataset in seen for view in tx.task_views.of_dataset(dataset.id)]


def get(tx: "Tx", who: Principal, view_id: int, *needs: Permission) -> TaskView:
    """A view of a project that the caller may see; raises NotFound, Forbidden."""
    view = tx.task_views.get(view_id)
    dataset = tx.datasets.get(view.dataset_id, who.scope) if view else None
    if view is None or dataset is None:
        raise NotFound("there is no such view", fields={"view": view_id})
    who.require(dataset.project_id, *NEEDS, *needs)
    return view


def create(tx: "Tx", who: Principal, dataset_id: int, data: Data) -> TaskView:
    """Store a view; raises Invalid when its filters or its order mean nothing, TooLarge for too many views."""
    dataset = tasks.load_project(tx, who, dataset_id, *NEEDS, Permission.REVIEW)
    _check(data)
    if len(tx.task_views.of_dataset(dataset.id)) >= MAX_VIEWS:
        raise TooLarge(f"a project has at most {MAX_VIEWS} views", fields={"views": MAX_VIEWS})
    view = tx.task_views.insert(dataset.id, who.user_id, data)
    _event(tx, who, dataset, "view.created", [view.id])
    return view


def update(tx: "Tx", who: Principal, view_id: int, data: Data) -> TaskView:
    """Replace what a view says; filters and an order that are not named stay."""
    view = get(tx, who, view_id, Permission.REVIEW)
    kept = {name: view.data[name] for name in KEPT if name in view.data}
    changed = {**kept, **data}
    _check(changed)
    tx.task_views.update(view.id, changed)
    _event(tx, who, tasks.load_project(tx, who, view.dataset_id), "view.updated", [view.id])
    return get(tx, who, view_id)


def arrange(tx: "Tx", who: Principal, dataset_id: int, view_ids: Sequence[int]) -> None:
    """Put views of a project into this order, before those that are not named; raises Invalid for another's view."""
    dataset = tasks.load_project(tx, who, dataset_id, *NEEDS, Permission.REVIEW)
    known = [view.id for view in tx.task_views.of_dataset(dataset.id)]
    strange = set(view_ids).difference(known)
    if strange:
        raise Invalid(f"{min(strange)} is not a view of the project", fields={"ids": min(strange)})
    named = list(dict.fromkeys(view_ids))
    tx.task_views.arrange(dataset.id, [*named, *(number for number in known if number not in set(named))])
    _event(tx, who, dataset, "view.arranged", named)


def delete(tx: "Tx", who: Principal, view_id: int) -> None:
    """Delete a view; raises NotFound."""
    view = get(tx, who, view_id, Permission.REVIEW)
    tx.task_views.delete([view.id])
    _event(tx, who, tasks.load_project(tx, who, view.dataset_id), "view.deleted", [view.id])


def delete_all(tx: "Tx", who: Principal, dataset_id: int) -> None:
    """Delete all views of a project."""
    dataset = tasks.load_project(tx, who, dataset_id, *NEEDS, Permission.MODIFY_DATASETS)
    known = [view.id for view in tx.task_views.of_dataset(dataset.id)]
    if known:
        tx.task_views.delete(known)
        _event(tx, who, dataset, "view.deleted", known)


def _check(data: Data) -> None:
    task_filters.parse(dict(data))
    if len(json.dumps(data)) > MAX_CHARACTERS:
        raise TooLarge(f"a view has at most {MAX_CHARACTERS} characters", fields={"data": MAX_CHARACTERS})


def _event(tx: "Tx", who: Principal, dataset: Dataset, kind: str, view_ids: Sequence[int]) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=view_ids[0] if view_ids else None,
        data={"views": list(view_ids)},
    )
