"""Who may do what: permissions granted per project, and the principal that carries them.

The names are those of Communications Mining (its user objects carry them on the wire); every other
dialect is judged by the same ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headrace.core.errors import Forbidden, Invalid


class Permission(StrEnum):
    """One right inside one project; the value is its name on the wire."""

    VIEW_SOURCES = "sources-read"
    VIEW_SENSITIVE = "sources-read-sensitive"
    EDIT_MESSAGES = "sources-add-comments"
    SOURCES_ADMIN = "sources-admin"
    VIEW_LABELS = "voc-readonly"
    REVIEW = "datasets-review"
    MODIFY_DATASETS = "voc"
    DATASETS_ADMIN = "datasets-admin"
    EXPORT_DATASETS = "datasets-export"
    MODELS_ADMIN = "models-admin"
    VIEW_STREAMS = "streams-read"
    MODIFY_STREAMS = "streams-write"
    STREAMS_ADMIN = "streams-admin"
    CONSUME_STREAMS = "streams-consume"
    VIEW_USERS = "users-read"
    MODIFY_USERS = "users-write"
    BUCKETS_READ = "buckets-read"
    BUCKETS_WRITE = "buckets-write"
    BUCKETS_APPEND = "buckets-append"
    INTEGRATIONS_READ = "integrations-read"
    INTEGRATIONS_WRITE = "integrations-write"
    FILES_WRITE = "files-write"
    APPLIANCE_READ = "appliance-config-read"
    APPLIANCE_WRITE = "appliance-config-write"


P = Permission

IMPLIED: Mapping[Permission, frozenset[Permission]] = {
    P.VIEW_SENSITIVE: frozenset({P.VIEW_SOURCES}),
    P.EDIT_MESSAGES: frozenset({P.VIEW_SOURCES}),
    P.SOURCES_ADMIN: frozenset({P.VIEW_SOURCES, P.EDIT_MESSAGES}),
    P.REVIEW: frozenset({P.VIEW_LABELS}),
    P.MODIFY_DATASETS: frozenset({P.VIEW_LABELS, P.REVIEW}),
    P.DATASETS_ADMIN: frozenset({P.VIEW_LABELS, P.REVIEW, P.MODIFY_DATASETS}),
    P.EXPORT_DATASETS: frozenset({P.VIEW_LABELS}),
    P.MODELS_ADMIN: frozenset({P.VIEW_LABELS}),
    P.MODIFY_STREAMS: frozenset({P.VIEW_STREAMS}),
    P.STREAMS_ADMIN: frozenset({P.VIEW_STREAMS, P.MODIFY_STREAMS}),
    P.MODIFY_USERS: frozenset({P.VIEW_USERS}),
    P.BUCKETS_WRITE: frozenset({P.BUCKETS_READ, P.BUCKETS_APPEND}),
    P.INTEGRATIONS_WRITE: frozenset({P.INTEGRATIONS_READ}),
    P.APPLIANCE_WRITE: frozenset({P.APPLIANCE_READ}),
}

EVERYTHING = frozenset(Permission)

ROLES: Mapping[str, frozenset[Permission]] = {
    "viewer": frozenset({P.VIEW_SOURCES, P.VIEW_LABELS, P.VIEW_STREAMS}),
    "annotator": frozenset({P.VIEW_SOURCES, P.VIEW_LABELS, P.VIEW_STREAMS, P.REVIEW}),
    "consumer": frozenset({P.VIEW_SOURCES, P.VIEW_LABELS, P.VIEW_STREAMS, P.CONSUME_STREAMS}),
    "developer": frozenset(
        {
            P.VIEW_SOURCES,
            P.VIEW_LABELS,
            P.VIEW_STREAMS,
            P.REVIEW,
            P.CONSUME_STREAMS,
            P.EDIT_MESSAGES,
            P.MODIFY_DATASETS,
            P.SOURCES_ADMIN,
            P.STREAMS_ADMIN,
            P.EXPORT_DATASETS,
        }
    ),
    "admin": EVERYTHING,
}

GLOBAL_PERMISSIONS = frozenset(
    {
        "root",
        "tenant-admin",
        "tenant-quota-write",
        "deployment-quota-write",
        "support-tenant-admin",
        "support-users-write",
        "subscriptions-read",
        "artefacts-read",
        "debug",
        "demo",
        "dialog",
    }
)

ADMIN_PERMISSIONS = frozenset({"root", "tenant-admin"})

Scope = frozenset[int] | None
"""The projects a query may touch; None means all of them."""


def permissions(names: Iterable[str]) -> frozenset[Permission]:
    """The permissions named on the wire; a role's name stands for its set. Raises Invalid."""
    granted: set[Permission] = set()
    for name in names:
        if name in ROLES:
            granted |= ROLES[name]
            continue
        try:
            granted.add(Permission(name))
        except ValueError:
            raise Invalid(f"'{name}' is not a permission or a role", fields={"permission": name}) from None
    return frozenset(granted)


def closure(granted: frozenset[Permission]) -> frozenset[Permission]:
    """What is granted plus everything it implies."""
    return granted.union(*(IMPLIED.get(permission, frozenset()) for permission in granted))


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """The caller of one request: a user with the permissions of each of their projects."""

    user_id: int
    username: str
    email: str
    is_admin: bool = False
    grants: Mapping[int, frozenset[Permission]] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        """The projects whose objects this caller may know about at all."""
        return None if self.is_admin else frozenset(self.grants)

    def scope_with(self, *needs: Permission) -> Scope:
        """The projects in which the caller holds all the permissions named."""
        if self.is_admin:
            return None
        return frozenset(project for project in self.grants if self.may(project, *needs))

    def may(self, project_id: int, *needs: Permission) -> bool:
        """True when the caller holds all the permissions in that project."""
        return self.is_admin or closure(self.grants.get(project_id, frozenset())).issuperset(needs)

    def require(self, project_id: int, *needs: Permission) -> None:
        """Raise Forbidden, naming what is missing, unless the caller holds all the permissions there."""
        if self.may(project_id, *needs):
            return
        held = closure(self.grants.get(project_id, frozenset()))
        missing = sorted(permission.value for permission in needs if permission not in held)
        raise Forbidden(f"this needs the permission {', '.join(missing)} in the project", fields={"missing": missing})

    def require_admin(self) -> None:
        """Raise Forbidden unless the caller administers the whole server."""
        if not self.is_admin:
            raise Forbidden("this needs the global permission root", fields={"missing": ["root"]})
