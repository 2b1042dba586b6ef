"""The event feed: the log of everything that happened, read with a cursor that the reader keeps.

An event is shown to those who may view the labels of its project; what concerns people and tokens to those who may
view users there. What belongs to no project is for the server's admins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core import datasets, projects
from headrace.core.errors import Invalid
from headrace.core.events import Event, Wanted
from headrace.core.positions import START, Position, from_token, to_token
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.store import Tx

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
SCANNED = 10_000
"""At most this many events are looked through for one page, however few of them are wanted."""

NOW = "now"
_WHOLE_LOG = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedRequest:
    """Which events are wanted: behind a cursor, of a project, of a dataset, of kinds (`annotation.created`), or of
    whole nouns (`annotation`). `after` is a cursor that an earlier page gave; None is the beginning, `now` the end."""

    after: str | None = None
    project: str | None = None
    dataset: Ref | None = None
    kinds: tuple[str, ...] = ()
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedPage:
    """Events in the order in which they were committed, each with its cursor, and the cursor behind the page.

    `at_end` is True when nothing more was to be read.
    """

    events: Sequence[Event]
    cursors: Sequence[str]
    cursor: str
    at_end: bool


def read(tx: "Tx", who: Principal, request: FeedRequest) -> FeedPage:
    """A page of the feed. Raises NotFound for a project or dataset the caller cannot see, Forbidden, and Invalid."""
    wanted = _wanted(tx, who, request)
    found, reached, at_end = tx.events.feed(wanted, SCANNED)
    full = len(found) == wanted.limit
    return FeedPage(
        events=found,
        cursors=[_cursor(tx, event.position) for event in found],
        cursor=_cursor(tx, found[-1].position if full else reached),
        at_end=at_end and not full,
    )


def _wanted(tx: "Tx", who: Principal, request: FeedRequest) -> Wanted:
    if not 1 <= request.limit <= MAX_LIMIT:
        raise Invalid(f"limit must be 1 to {MAX_LIMIT}", fields={"limit": request.limit})
    dataset = None if request.dataset is None else datasets.load(tx, who, request.dataset, Permission.VIEW_LABELS)
    shown, people = who.scope_with(Permission.VIEW_LABELS), who.scope_with(Permission.VIEW_USERS)
    if request.project is not None:
        project = projects.load(tx, who, request.project)
        who.require(project.id, Permission.VIEW_LABELS)
        shown = frozenset({project.id})
        people = shown if people is None else shown & people
    return Wanted(
        position=_position(tx, request.after),
        shown=shown,
        people=people,
        dataset_id=dataset.id if dataset else None,
        kinds=request.kinds,
        limit=request.limit,
    )


def _position(tx: "Tx", after: str | None) -> Position:
    if after is None:
        return START
    if after == NOW:
        return tx.records.head()
    return from_token(after, epoch=tx.epoch, owner=_WHOLE_LOG, field="after")


def _cursor(tx: "Tx", position: Position) -> str:
    return to_token(position, epoch=tx.epoch, owner=_WHOLE_LOG)
