"""Projects: the unit of ownership and rights."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core.errors import Conflict, Invalid, NotFound
from headrace.core.rights import EVERYTHING, Permission, Principal, Scope

if TYPE_CHECKING:
    from headrace.core.store import Tx

PROJECT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,1024}")
OBJECT_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
MAX_TITLE = 128
MAX_DESCRIPTION = 16384
DEFAULT_PROJECT = "default"


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A named owner of sources and datasets. Times are microseconds since the epoch."""

    id: int
    name: str
    title: str
    description: str
    created_at: int
    updated_at: int


class Projects(Protocol):
    """Storage of projects."""

    def insert(self, *, name: str, title: str, description: str) -> Project:
        """Store a new project; raises Conflict when the name is taken."""

    def get(self, name: str, scope: Scope) -> Project | None:
        """The project of that name, when it is in scope."""

    def by_id(self, project_id: int, scope: Scope) -> Project | None:
        """The project of that id, when it is in scope."""

    def all(self, scope: Scope) -> list[Project]:
        """The projects in scope by name."""

    def update(self, project_id: int, *, title: str | None, description: str | None) -> Project:
        """Change what is not None."""

    def children(self, project_id: int) -> dict[str, int]:
        """How many sources, datasets and buckets the project holds; kinds without any are left out."""

    def delete(self, project_id: int) -> None:
        """Remove the project and its grants; the children must be gone."""


def check_texts(title: str | None, description: str | None) -> None:
    """Raise Invalid when a title or a description is too long."""
    if title is not None and len(title) > MAX_TITLE:
        raise Invalid(f"title is longer than {MAX_TITLE} characters", fields={"title": len(title)})
    if description is not None and len(description) > MAX_DESCRIPTION:
        raise Invalid(
            f"description is longer than {MAX_DESCRIPTION} characters", fields={"description": len(description)}
        )


def check_name(name: str, what: str = "name") -> str:
    """The name of a source, dataset or stream; raises Invalid unless it matches [A-Za-z0-9-_]{1,256}."""
    if not OBJECT_NAME.fullmatch(name):
        raise Invalid(f"{what} must match [A-Za-z0-9-_]{{1,256}}", fields={what: name[:80]})
    return name


def load(tx: "Tx", who: Principal, name: str) -> Project:
    """The project of that name as far as the caller may know of it; raises NotFound."""
    project = tx.projects.get(name, who.scope)
    if project is None:
        raise NotFound(f"there is no project '{name[:80]}'", fields={"project": name[:80]})
    return project


def create(
    tx: "Tx", who: Principal, *, name: str, title: str = "", description: str = "", user_ids: tuple[int, ...] = ()
) -> Project:
    """Create a project; the users named get all rights in it. Only a server's admin may."""
    who.require_admin()
    if not PROJECT_NAME.fullmatch(name):
        raise Invalid("project must match [A-Za-z0-9-_.]{1,1024}", fields={"project": name[:80]})
    check_texts(title, description)
    if tx.projects.get(name, None):
        raise Invalid(f"the project '{name}' exists already", fields={"project": name})
    project = tx.projects.insert(name=name, title=title, description=description)
    for user_id in user_ids:
        if tx.users.get(user_id) is None:
            raise Invalid("user_ids names an unknown user", fields={"user_ids": user_id})
        tx.users.grant(user_id, project.id, EVERYTHING)
    tx.events.add("project.created", actor_id=who.user_id, project_id=project.id, subject_id=project.id)
    return project


def update(tx: "Tx", who: Principal, name: str, *, title: str | None = None, description: str | None = None) -> Project:
    """Change the project's title or description; an empty change is fine."""
    project = load(tx, who, name)
    who.require(project.id, Permission.SOURCES_ADMIN, Permission.DATASETS_ADMIN)
    check_texts(title, description)
    tx.events.add("project.updated", actor_id=who.user_id, project_id=project.id, subject_id=project.id)
    return tx.projects.update(project.id, title=title, description=description)


def delete(tx: "Tx", who: Principal, name: str, *, force: bool = False) -> None:
    """Delete an empty project, or with `force` everything in it; raises Conflict when it is not empty."""
    project = load(tx, who, name)
    who.require_admin()
    children = tx.projects.children(project.id)
    if children and not force:
        shown = ", ".join(f'"{kind}": {count}' for kind, count in children.items())
        raise Conflict(
            "Project contains child resources but force deletion was not requested: {" + shown + "}",
            fields={"children": children},
        )
    for dataset in tx.datasets.all(frozenset({project.id})):
        tx.datasets.delete(dataset.id)
        tx.events.add(
            "dataset.deleted",
            actor_id=who.user_id,
            project_id=project.id,
            dataset_id=dataset.id,
            subject_id=dataset.id,
            data={"name": dataset.name, "has_tasks": dataset.own_source_id is not None},
        )
    for source in tx.sources.all(frozenset({project.id})):
        tx.sources.delete(source.id)
    for bucket in tx.buckets.all(frozenset({project.id})):
        tx.buckets.delete(bucket.id)
    tx.events.add("project.deleted", actor_id=who.user_id, subject_id=project.id, data={"name": project.name})
    tx.projects.delete(project.id)
