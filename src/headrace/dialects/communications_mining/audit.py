"""Audit events: who did what, when; oldest first, in the order in which it was committed.

Everything an event names by id is described beside the events, as clients look it up there without asking whether
it still exists: what has been deleted since is called `(deleted)`, and what the server did by itself was done by the
user `system`. This server is one tenant.
"""

from collections.abc import Iterable

from starlette.responses import Response

from headrace.core import audit
from headrace.core.audit import AuditPage, AuditRequest
from headrace.core.datasets import Dataset
from headrace.core.events import Event
from headrace.core.projects import Project
from headrace.core.sources import Source
from headrace.core.times import format_timestamp, parse_timestamp
from headrace.core.users import User
from headrace.dialects.communications_mining.boundary import dialect, ok, to_hex
from headrace.dialects.communications_mining.wire import Closed
from headrace.dialects.kit import Call

SYSTEM = 0
TENANT = to_hex(1)
DELETED = "(deleted)"


class Span(Closed):
    """A span of time, both bounds inclusive."""

    minimum: str | None = None
    maximum: str | None = None


class AuditFilter(Closed):
    """Which audit events are wanted."""

    timestamp: Span | None = None


class AuditBody(Closed):
    """Body of the audit query."""

    filter: AuditFilter | None = None
    limit: int | None = None
    continuation: str | None = None


@dialect.route("POST", "/api/v1/audit_events/query")
async def query_audit_events(call: Call) -> Response:
    """Audit events of a span of time, with the users, projects, datasets and sources that they name."""
    body = await call.json(AuditBody)
    span = (body.filter and body.filter.timestamp) or Span()
    request = AuditRequest(
        start=None if span.minimum is None else parse_timestamp(span.minimum),
        end=None if span.maximum is None else parse_timestamp(span.maximum),
        continuation=body.continuation,
        limit=audit.DEFAULT_LIMIT if body.limit is None else body.limit,
    )
    page = await call.read(lambda tx: audit.query(tx, call.who, request))
    shown = _page_json(page)
    return ok(**shown) if page.continuation is None else ok(**shown, continuation=page.continuation)


def _page_json(page: AuditPage) -> dict[str, object]:
    events = page.events
    users = _ids([event.actor_id or SYSTEM for event in events] + [audit.user_of(event) for event in events])
    projects, sources = _ids(event.project_id for event in events), _ids(map(audit.source_of, events))
    datasets = {event.dataset_id: event for event in events if event.dataset_id is not None}
    return {
        "audit_events": [_event_json(event) for event in events],
        "tenants": [{"id": TENANT, "name": "headrace"}],
        "users": [_user_json(number, page.users.get(number)) for number in users],
        "projects": [_project_json(number, page.projects.get(number)) for number in projects],
        "datasets": [
            _titled_json(number, page.datasets.get(number), event.project_id) for number, event in datasets.items()
        ],
        "sources": [_titled_json(number, page.sources.get(number), None) for number in sources],
    }


def _ids(found: Iterable[int | None]) -> list[int]:
    return sorted({number for number in found if number is not None})


def _hex_list(number: int | None) -> list[str]:
    return [] if number is None else [to_hex(number)]


def _event_json(event: Event) -> dict[str, object]:
    return {
        "event_id": to_hex(event.id),
        "event_type": event.kind,
        "timestamp": format_timestamp(event.at),
        "actor_user_id": to_hex(event.actor_id or SYSTEM),
        "actor_tenant_id": TENANT,
        "tenant_ids": [TENANT],
        "user_ids": _hex_list(audit.user_of(event)),
        "project_ids": _hex_list(event.project_id),
        "dataset_ids": _hex_list(event.dataset_id),
        "source_ids": _hex_list(audit.source_of(event)),
        "trigger_ids": _hex_list(audit.stream_of(event)),
        "details": event.data,
    }


def _user_json(number: int, user: User | None) -> dict[str, object]:
    name = user.username if user else "system" if number == SYSTEM else DELETED
    return {
        "id": to_hex(number),
        "tenant_id": TENANT,
        "username": name,
        "display_name": name,
        "email": user.email if user else "system@example.org",
    }


def _project_json(number: int, project: Project | None) -> dict[str, object]:
    return {"id": to_hex(number), "tenant_id": TENANT, "name": project.name if project else DELETED}


def _titled_json(number: int, thing: Dataset | Source | None, project_id: int | None) -> dict[str, object]:
    owner = thing.project_id if thing else project_id
    return {
        "id": to_hex(number),
        "name": thing.name if thing else DELETED,
        "title": thing.title if thing else "",
        "project_id": to_hex(owner or SYSTEM),
    }
