"""The log of everything that happened: who did what, on what, when; written with its effect or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from headrace.core.positions import Position
from headrace.core.rights import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One fact. `kind` is `noun.verb` in the past tense; `data` is JSON of the kind's own shape."""

    id: int
    position: Position
    at: int
    actor_id: int | None
    kind: str
    project_id: int | None
    dataset_id: int | None
    subject_id: int | None
    data: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which events a reader of the feed wants, behind a position; `kinds` are kinds or whole nouns, none meaning all.

    What concerns people and tokens is shown of the projects in `people`, everything else of those in `shown`.
    """

    position: Position
    shown: Scope
    people: Scope
    dataset_id: int | None
    kinds: tuple[str, ...]
    limit: int


class Events(Protocol):
    """Storage of events. There is no update and no delete."""

    def add(
        self,
        kind: str,
        *,
        actor_id: int | None,
        project_id: int | None = None,
        dataset_id: int | None = None,
        subject_id: int | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        """Append one event at a new position of the log, and wake the webhooks that are told of its dataset."""

    def after(
        self, position: Position, *, scope: Scope, limit: int, start: int | None = None, end: int | None = None
    ) -> list[Event]:
        """Events behind the position in order, at most `limit`, of the projects in scope, within a span of time."""

    def get(self, event_id: int) -> Event | None:
        """One event."""

    def of_dataset(self, position: Position, dataset_id: int | None, limit: int) -> list[Event]:
        """Events behind the position in order, at most `limit`, that speak of the dataset; None: of any dataset."""

    def feed(self, wanted: Wanted, scanned: int) -> tuple[list[Event], Position, bool]:
        """The wanted ones among the next `scanned` events, where these end, and whether the log ends there."""

    def any_behind(self, position: Position, dataset_id: int | None) -> bool:
        """True when `of_dataset` has something behind the position, or will as soon as it may be read."""

    def first_since(self, at: int) -> Position | None:
        """Where the first event at or after an instant (in microseconds) stands."""
