"""Origins: the id, date and author that something had where it came from, so that it can go back there unchanged."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

PROJECT, TASK, FEEDBACK = "project", "task", "feedback"
"""What can have an origin. A run needs none: its key is the record's, its date and author are in its document."""


class Origin(NamedTuple):
    """What something was called elsewhere; `created_at` is a date as it was written there."""

    external_id: str
    created_at: str
    created_by: str


class Origins(Protocol):
    """Storage of origins. An external id is unique for its kind within a scope: 0, a project, a record."""

    def put(self, kind: str, object_id: int, scope_id: int, origin: Origin) -> None:
        """Set where an object came from."""

    def of(self, kind: str, object_ids: Sequence[int]) -> dict[int, Origin]:
        """The origins of those objects that have one."""

    def find(self, kind: str, scope_id: int, external_id: str) -> int | None:
        """The object that came from there, None when there is none."""
