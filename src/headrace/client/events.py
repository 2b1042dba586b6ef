"""Events: what happened on the server, in the order in which it was committed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """One fact: `actor` did `kind` to `subject` at `at`, all of them ids; `cursor` is where to go on behind it."""

    id: int
    cursor: str
    at: datetime
    kind: str
    actor: int | None = None
    project: int | None = None
    dataset: int | None = None
    subject: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def event_of(document: Mapping[str, Any]) -> Event:
    """An event as the server wrote it."""
    return Event(
        id=int(document["id"]),
        cursor=str(document["cursor"]),
        at=datetime.fromisoformat(document["at"]),
        kind=str(document["kind"]),
        actor=document.get("actor"),
        project=document.get("project"),
        dataset=document.get("dataset"),
        subject=document.get("subject"),
        data=document.get("data") or {},
    )
