"""Run tasks: datasets with a source of its own whose records are runs, and the projects they lie in.

A Kiln task is one. A Label Studio project can be read as one too: what it does not say is empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.core import datasets, label_config, label_tasks, projects, sources
from headrace.core.datasets import Dataset
from headrace.core.errors import Conflict, NotFound
from headrace.core.intake import source_name
from headrace.core.projects import Project
from headrace.core.rights import Permission, Principal
from headrace.core.run_mirrors import SETTING
from headrace.core.tasks import CREATOR, free_name

if TYPE_CHECKING:
    from headrace.core.store import Tx

MULTI_TURN = "multiturn"
VIEW = (Permission.VIEW_SOURCES, Permission.VIEW_LABELS)
LABEL_CONFIG = (
    '<View><Text name="input" value="$input"/><Text name="output" value="$output"/>'
    '<Choices name="tags" toName="output" choice="multiple"></Choices></View>'
)
Definition = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunTask:
    """A dataset of runs; `definition` is what its maker says of it (instruction, requirements, schemas, turn mode)."""

    dataset: Dataset
    source_id: int
    definition: Definition

    @property
    def multi_turn(self) -> bool:
        """True when its runs are turns of conversations."""
        return self.definition.get("turn_mode") == MULTI_TURN

    @property
    def requirements(self) -> dict[str, str]:
        """The names of its requirements by id."""
        return {item["id"]: item["name"] for item in self.definition.get("requirements") or ()}


def load_project(tx: "Tx", who: Principal, project_id: int) -> Project:
    """The project of that id as far as the caller may know of it; raises NotFound."""
    found = tx.projects.by_id(project_id, who.scope)
    if found is None:
        raise NotFound("there is no such project", fields={"project": project_id})
    return found


def list_projects(tx: "Tx", who: Principal) -> list[Project]:
    """The projects in which the caller may view runs, oldest first."""
    return sorted(tx.projects.all(who.scope_with(*VIEW)), key=lambda project: project.id)


def create_project(tx: "Tx", who: Principal, *, name: str, description: str) -> Project:
    """Create a project under a name made of the one given; raises Conflict when that is taken."""
    slug = source_name(name)
    who.require_admin()
    if tx.projects.get(slug, None):
        raise Conflict(f"the project '{name}' exists already", fields={"name": name})
    return projects.create(tx, who, name=slug, title=name, description=description)


def update_project(tx: "Tx", who: Principal, project_id: int, *, title: str | None, description: str | None) -> Project:
    """Change what is not None."""
    name = load_project(tx, who, project_id).name
    return projects.update(tx, who, name, title=title, description=description)


def load(tx: "Tx", who: Principal, project_id: int, task_id: int, *needs: Permission) -> RunTask:
    """A run task of a project; raises NotFound naming the first of the two that is missing, or Forbidden."""
    dataset = tx.datasets.get(task_id, who.scope)
    if dataset is None or dataset.project_id != project_id or dataset.own_source_id is None:
        load_project(tx, who, project_id)
        raise NotFound("there is no such task", fields={"task": task_id})
    who.require(project_id, *(needs or VIEW))
    return of_dataset(dataset, dataset.own_source_id)


def of_dataset(dataset: Dataset, source_id: int) -> RunTask:
    """A dataset with its own source, as a run task."""
    definition = dataset.settings.get(SETTING)
    return RunTask(
        dataset=dataset, source_id=source_id, definition=definition if isinstance(definition, Mapping) else {}
    )


def list_tasks(tx: "Tx", who: Principal, project_id: int) -> list[RunTask]:
    """The run tasks of a project, oldest first."""
    project = load_project(tx, who, project_id)
    who.require(project.id, *VIEW)
    return [
        of_dataset(dataset, dataset.own_source_id)
        for dataset in tx.datasets.all(frozenset({project.id}), project.name)
        if dataset.own_source_id is not None
    ]


def create(tx: "Tx", who: Principal, project_id: int, definition: Definition) -> RunTask:
    """Create a run task; `definition` has passed the caller's validation and holds at least its name."""
    project = load_project(tx, who, project_id)
    who.require(project.id, Permission.SOURCES_ADMIN, Permission.MODIFY_DATASETS)
    title = str(definition["name"])
    name = free_name(tx, project.name, title)
    source = sources.create(tx, who, project=project.name, name=name, title=title)
    config = label_config.parse(LABEL_CONFIG)
    tx.sources.update(source.id, text_keys=label_tasks.text_keys(config))
    dataset = datasets.create(
        tx,
        who,
        project=project.name,
        name=name,
        changes={
            "title": title,
            "description": definition.get("description") or "",
            "settings": {SETTING: dict(definition), CREATOR: who.user_id},
            "source_ids": [source.id],
        },
    )
    owned = tx.datasets.update(dataset.id, {"own_source_id": source.id, "label_config": LABEL_CONFIG})
    return of_dataset(owned, source.id)


def update(tx: "Tx", who: Principal, task: RunTask, definition: Definition) -> RunTask:
    """Replace what a loaded run task says of itself."""
    changes = {
        "title": definition["name"],
        "description": definition.get("description") or "",
        "settings": {SETTING: dict(definition)},
    }
    return of_dataset(datasets.update(tx, who, task.dataset.id, changes), task.source_id)


def delete(tx: "Tx", who: Principal, project_id: int, task_id: int) -> None:
    """Delete a run task with its runs."""
    task = load(tx, who, project_id, task_id)
    datasets.delete(tx, who, task.dataset.id)
