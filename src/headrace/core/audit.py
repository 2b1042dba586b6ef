"""The audit trail: the log of events as those may read it who answer for a project's people."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from headrace.core.datasets import Dataset
from headrace.core.errors import Forbidden, Invalid
from headrace.core.events import Event
from headrace.core.positions import START, from_token, to_token
from headrace.core.projects import Project
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Source
from headrace.core.users import User

if TYPE_CHECKING:
    from headrace.core.store import Tx

T = TypeVar("T")

MAX_LIMIT = 1024
DEFAULT_LIMIT = 256
_WHOLE_LOG = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditRequest:
    """Which events are wanted: a span of time with both bounds inclusive, in microseconds, page by page."""

    start: int | None = None
    end: int | None = None
    continuation: str | None = None
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditPage:
    """Events in the order they were committed, with what still exists of the things they name, by id."""

    events: Sequence[Event]
    users: dict[int, User]
    projects: dict[int, Project]
    datasets: dict[int, Dataset]
    sources: dict[int, Source]
    continuation: str | None


def query(tx: "Tx", who: Principal, request: AuditRequest) -> AuditPage:
    """A page of the trail: everything for an admin, else the projects in which the caller may view users.

    Raises Forbidden when there is no such project, Invalid for a bad limit or continuation.
    """
    scope = who.scope_with(Permission.VIEW_USERS)
    if scope is not None and not scope:
        raise Forbidden(
            f"this needs the permission {Permission.VIEW_USERS.value} in a project",
            fields={"missing": [Permission.VIEW_USERS.value]},
        )
    if not 1 <= request.limit <= MAX_LIMIT:
        raise Invalid(f"limit must be 1 to {MAX_LIMIT}", fields={"limit": request.limit})
    after = START
    if request.continuation is not None:
        after = from_token(request.continuation, epoch=tx.epoch, owner=_WHOLE_LOG, field="continuation")
    found = tx.events.after(after, scope=scope, limit=request.limit + 1, start=request.start, end=request.end)
    shown, more = found[: request.limit], len(found) > request.limit
    return AuditPage(
        events=shown,
        users=_known({*(event.actor_id for event in shown), *map(user_of, shown)}, tx.users.get),
        projects=_known({event.project_id for event in shown}, lambda number: tx.projects.by_id(number, None)),
        datasets=_known({event.dataset_id for event in shown}, lambda number: tx.datasets.get(number, None)),
        sources=_known(map(source_of, shown), lambda number: tx.sources.get(number, None)),
        continuation=to_token(shown[-1].position, epoch=tx.epoch, owner=_WHOLE_LOG) if more else None,
    )


def user_of(event: Event) -> int | None:
    """The user an event speaks of, other than its actor."""
    if event.kind.startswith("user."):
        return event.subject_id
    named = event.data.get("user_id")
    return named if isinstance(named, int) else None


def source_of(event: Event) -> int | None:
    """The source an event speaks of."""
    return event.subject_id if event.kind.startswith(("source.", "records.")) else None


def stream_of(event: Event) -> int | None:
    """The stream an event speaks of."""
    return event.subject_id if event.kind.startswith("stream.") else None


def _known(ids: Iterable[int | None], get: Callable[[int], T | None]) -> dict[int, T]:
    found = {number: get(number) for number in set(ids) if number is not None}
    return {number: thing for number, thing in found.items() if thing is not None}
