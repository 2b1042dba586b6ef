"""Sources: ordered logs of records inside a project."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core import buckets, transforms
from headrace.core.errors import Invalid, NotFound
from headrace.core.projects import check_name, check_texts
from headrace.core.projects import load as load_project
from headrace.core.rights import Permission, Principal, Scope

if TYPE_CHECKING:
    from headrace.core.store import Tx

Ref = int | tuple[str, str]
"""How a client names a source or a dataset: by id, or by (project, name)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One log of records. `text_keys` are the data keys whose values are a task's text."""

    id: int
    project_id: int
    project: str
    name: str
    title: str
    description: str
    settings: Mapping[str, object]
    text_keys: tuple[str, ...]
    record_count: int
    next_number: int
    created_at: int
    updated_at: int


class Sources(Protocol):
    """Storage of sources."""

    def insert(
        self, *, project_id: int, name: str, title: str, description: str, settings: Mapping[str, object]
    ) -> Source:
        """Store a new, empty source; raises Conflict when the name is taken in the project."""

    def get(self, ref: Ref, scope: Scope) -> Source | None:
        """The source, when it is in scope."""

    def all(self, scope: Scope, project: str | None = None) -> list[Source]:
        """The sources in scope by name, of one project or of all."""

    def known(self, source_ids: tuple[int, ...], scope: Scope) -> set[int]:
        """Which of the ids are sources in scope."""

    def sensitive(self, source_ids: Sequence[int]) -> list[tuple[int, int, tuple[str, ...]]]:
        """Those of the sources with sensitive properties, as (id, project id, names of the properties)."""

    def update(
        self,
        source_id: int,
        *,
        title: str | None = None,
        description: str | None = None,
        settings: Mapping[str, object] | None = None,
        text_keys: tuple[str, ...] | None = None,
    ) -> Source:
        """Change what is not None; settings are merged."""

    def delete(self, source_id: int) -> None:
        """Remove the source with its records and all that hangs on them; datasets drop it."""


def describe(ref: Ref) -> str:
    """The reference in words, for messages."""
    return f"id {ref:016x}" if isinstance(ref, int) else f"'{'/'.join(ref)[:200]}'"


def load(tx: "Tx", who: Principal, ref: Ref, *needs: Permission) -> Source:
    """The source as far as the caller may know of it; raises NotFound, or Forbidden when a need is unmet."""
    source = tx.sources.get(ref, who.scope)
    if source is None:
        raise NotFound(f"there is no source {describe(ref)}", fields={"source": describe(ref)})
    who.require(source.project_id, *needs)
    return source


def hidden(tx: "Tx", who: Principal, source_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The user properties of each source that are called sensitive and not for the caller's eyes."""
    if who.is_admin:
        return {}
    return {
        source_id: names
        for source_id, project_id, names in tx.sources.sensitive(source_ids)
        if not who.may(project_id, Permission.VIEW_SENSITIVE)
    }


def create(
    tx: "Tx",
    who: Principal,
    *,
    project: str,
    name: str,
    title: str = "",
    description: str = "",
    settings: Mapping[str, object] | None = None,
) -> Source:
    """Create a source; raises Invalid when the name is bad or taken."""
    owner = load_project(tx, who, project)
    who.require(owner.id, Permission.SOURCES_ADMIN)
    check_name(name, "source name")
    check_texts(title, description)
    _check_settings(tx, who, settings or {})
    if tx.sources.get((project, name), None):
        raise Invalid(f"the source '{project}/{name}' exists already", fields={"name": name})
    source = tx.sources.insert(
        project_id=owner.id, name=name, title=title, description=description, settings=settings or {}
    )
    tx.events.add("source.created", actor_id=who.user_id, project_id=owner.id, subject_id=source.id)
    return source


def update(
    tx: "Tx",
    who: Principal,
    ref: Ref,
    *,
    title: str | None = None,
    description: str | None = None,
    settings: Mapping[str, object] | None = None,
) -> Source:
    """Change what is given; settings not named stay."""
    source = load(tx, who, ref, Permission.SOURCES_ADMIN)
    check_texts(title, description)
    _check_settings(tx, who, settings or {})
    tx.events.add("source.updated", actor_id=who.user_id, project_id=source.project_id, subject_id=source.id)
    return tx.sources.update(source.id, title=title, description=description, settings=settings)


def list_sources(tx: "Tx", who: Principal, project: str | None = None) -> list[Source]:
    """The sources the caller may view, of one project (which must exist for them) or of all."""
    if project is not None:
        load_project(tx, who, project)
    return tx.sources.all(who.scope_with(Permission.VIEW_SOURCES), project)


def delete(tx: "Tx", who: Principal, ref: Ref) -> None:
    """Delete a source and its records; datasets over it lose them."""
    source = load(tx, who, ref, Permission.SOURCES_ADMIN)
    tx.sources.delete(source.id)
    tx.events.add(
        "source.deleted",
        actor_id=who.user_id,
        project_id=source.project_id,
        subject_id=source.id,
        data={"name": source.name},
    )


def _check_settings(tx: "Tx", who: Principal, settings: Mapping[str, object]) -> None:
    """Raise Invalid for a bucket that is not the caller's to read, Unacceptable for an unknown transform tag."""
    bucket_id, tag = settings.get("bucket_id"), settings.get("email_transform_tag")
    if isinstance(bucket_id, int):
        buckets.check_readable(tx, who, bucket_id)
    if isinstance(tag, str):
        transforms.check_tag(tag)
