"""Messages: the records of a collection, each a prompt or a reply in a tree, and reading them.

A message's text is its record's; everything the tree's state machine decides has a column of its own. Messages of a
collection are stored one transaction after the other, and their dates rise with that order, so that (date, id) is the
order of commits: nothing ever appears behind a message that was read.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from headrace.core import conversations
from headrace.core.conversations import Conversations
from headrace.core.faults import Fault, fault
from headrace.core.rights import Principal

if TYPE_CHECKING:
    from headrace.core.store import Tx

T = TypeVar("T")


class Role(StrEnum):
    """Who speaks: the roles alternate along a conversation, and the first one is the prompter's."""

    PROMPTER = "prompter"
    ASSISTANT = "assistant"

    @property
    def other(self) -> "Role":
        """The role that answers this one."""
        return Role.ASSISTANT if self is Role.PROMPTER else Role.PROMPTER


class TaskKind(StrEnum):
    """What may be asked of a person; the value is its name on the wire."""

    RANDOM = "random"
    SUMMARIZE_STORY = "summarize_story"
    RATE_SUMMARY = "rate_summary"
    INITIAL_PROMPT = "initial_prompt"
    PROMPTER_REPLY = "prompter_reply"
    ASSISTANT_REPLY = "assistant_reply"
    RANK_INITIAL_PROMPTS = "rank_initial_prompts"
    RANK_PROMPTER_REPLIES = "rank_prompter_replies"
    RANK_ASSISTANT_REPLIES = "rank_assistant_replies"
    LABEL_INITIAL_PROMPT = "label_initial_prompt"
    LABEL_ASSISTANT_REPLY = "label_assistant_reply"
    LABEL_PROMPTER_REPLY = "label_prompter_reply"


class Message(NamedTuple):
    """One message. `tree_id` is the root's id, `accepted` the outcome of its review (None: undecided).

    `late` messages were written when their place was taken already: kept, but never reviewed, extended or ranked.
    `live_children` and `offer` (the work that this message calls for, if any) are settled by `trees.settle`;
    `draw` is a random number by which one of many is chosen. Dates are microseconds since the epoch.
    """

    id: int
    tree_id: int
    parent_id: int | None
    role: Role
    lang: str
    depth: int
    author_id: int
    client_id: int
    frontend_id: str
    text: str
    created_at: int
    emojis: Mapping[str, int]
    review_count: int = 0
    accepted: bool | None = None
    deleted: bool = False
    edited: bool = False
    late: bool = False
    synthetic: bool = False
    model_name: str | None = None
    rank: int | None = None
    ranking_count: int = 0
    live_children: int = 0
    offer: TaskKind | None = None
    draw: int = 0

    @property
    def live(self) -> bool:
        """True for a message that takes a place in its tree: not deleted, and accepted or still under review."""
        return not self.deleted and not self.late and self.accepted is not False


class Mark(NamedTuple):
    """A place among messages in (date, id) order; an id of None stands before every message of that instant."""

    created_at: int
    id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which messages are wanted; dates are inclusive, `words` all have to occur in the text (case does not count)."""

    author_id: int | None = None
    client_id: int | None = None
    start: int | None = None
    end: int | None = None
    only_roots: bool = False
    deleted: bool = False
    lang: str | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PageRequest:
    """At most `limit` messages in the order asked, strictly behind `after` and strictly before `before`.

    With `before` alone the page ends right before it. A mark without an id is inclusive.
    """

    wanted: Filter
    limit: int
    descending: bool = False
    before: Mark | None = None
    after: Mark | None = None

    @property
    def backwards(self) -> bool:
        """True when the page is the one that ends right before a mark."""
        return self.before is not None and self.after is None


class Page(NamedTuple):
    """A page of messages in the order asked, and whether there is one before it and one behind it."""

    items: Sequence[Message]
    has_previous: bool
    has_next: bool


class FlagPage(NamedTuple):
    """A page of reported messages in the order asked, and whether there is one before it and one behind it."""

    items: Sequence["Flagged"]
    has_previous: bool
    has_next: bool


class Revision(NamedTuple):
    """What a message once said, or says now."""

    id: int
    record_id: int
    text: str
    author_id: int | None
    created_at: int


class Flagged(NamedTuple):
    """A message that somebody reported."""

    record_id: int
    reason: str
    processed: bool
    created_at: int


class Messages(Protocol):
    """Storage of messages and of what people attach to them."""

    def insert(self, dataset_id: int, message: Message) -> None:
        """Store the message of a record that was stored already."""

    def get(self, dataset_id: int, record_id: int) -> Message | None:
        """One message, deleted or not."""

    def by_frontend_id(self, dataset_id: int, client_id: int | None, frontend_id: str) -> Message | None:
        """The newest message that a client (or any) calls by this id."""

    def of_trees(self, tree_ids: Sequence[int]) -> list[Message]:
        """All messages of the trees, by date."""

    def beside(self, dataset_id: int, record_id: int) -> list[Message]:
        """All messages of the tree that a message belongs to, by date."""

    def page(self, dataset_id: int, request: PageRequest) -> list[Message]:
        """At most `limit + 1` messages in the order asked; with `before` alone the extra one is the first."""

    def last_date(self, dataset_id: int) -> int:
        """The date of the newest message; 0 when there is none."""

    def recent_texts(self, dataset_id: int, author_id: int, since: int) -> list[str]:
        """What a person wrote since an instant."""

    def change(self, before: Message, after: Message) -> None:
        """Write what differs between two states of a message."""

    def emojis_of(self, person_id: int, record_ids: Sequence[int]) -> dict[int, list[str]]:
        """The emojis that a person gave, by message."""

    def emoji_events(self, record_ids: Sequence[int]) -> list[tuple[int, int, str]]:
        """Who gave which emoji to these messages, as (message, person, emoji), by date."""

    def add_emoji(self, record_id: int, person_id: int, emoji: str) -> bool:
        """Add a person's emoji; False when it was there."""

    def remove_emoji(self, record_id: int, person_id: int, emoji: str) -> bool:
        """Take a person's emoji away; False when there was none."""

    def flag(self, record_id: int, reason: str) -> None:
        """Put a message on the list of reported ones, or there again."""

    def flagged(self, dataset_id: int, request: PageRequest) -> list[Flagged]:
        """At most `limit + 1` reported messages that nobody has processed, as `page` orders messages."""

    def process_flag(self, record_id: int) -> Flagged | None:
        """Take a reported message off the list; None when it was never reported."""

    def add_revision(self, record_id: int, text: str, author_id: int | None, created_at: int) -> None:
        """Keep what a message says."""

    def revisions(self, record_id: int) -> list[Revision]:
        """What a message said and says, oldest first; empty for one that was never edited."""


def get(tx: "Tx", who: Principal, record_id: int) -> Message:
    """One message that the caller may see, deleted or not; raises message_not_found."""
    collection = conversations.load(tx, who, conversations.READ)
    return required(tx, who, collection, record_id)


def required(tx: "Tx", who: Principal, collection: Conversations, record_id: int) -> Message:
    """One message of the collection that the caller may see; raises message_not_found."""
    message = tx.messages.get(collection.id, record_id)
    if message is None or not collection.shows(who, message.client_id):
        raise fault(Fault.MESSAGE_NOT_FOUND, "there is no such message")
    return message


def by_frontend_id(tx: "Tx", who: Principal, frontend_id: str) -> Message:
    """The newest message that the caller calls by this id (a trusted client: that any client does)."""
    collection = conversations.load(tx, who, conversations.READ)
    client_id = None if collection.trusts(who) else who.user_id
    message = tx.messages.by_frontend_id(collection.id, client_id, frontend_id)
    if message is None:
        raise fault(Fault.MESSAGE_NOT_FOUND, "there is no message with that frontend id")
    return message


def page(tx: "Tx", who: Principal, request: PageRequest) -> Page:
    """A page of the messages the caller may see; an untrusted client that names another one is Forbidden."""
    collection = conversations.load(tx, who, conversations.READ)
    wanted = replace(request.wanted, client_id=collection.narrowed(who, request.wanted.client_id))
    found = tx.messages.page(collection.id, replace(request, wanted=wanted))
    return Page(*_cut(found, request))


def conversation(tx: "Tx", who: Principal, record_id: int) -> list[Message]:
    """The messages from the root to this one."""
    message = get(tx, who, record_id)
    return path(tx.messages.of_trees([message.tree_id]), message.id)


def tree(tx: "Tx", who: Principal, record_id: int, *, spam: bool = True, deleted: bool = False) -> list[Message]:
    """All messages of the tree a message belongs to, by date; without `spam` only those not rejected."""
    found = tx.messages.of_trees([get(tx, who, record_id).tree_id])
    return [item for item in found if (deleted or not item.deleted) and (spam or item.accepted is not False)]


def children(tx: "Tx", who: Principal, record_id: int) -> list[Message]:
    """The replies to a message that are not deleted, reviewed or not."""
    found = tx.messages.of_trees([get(tx, who, record_id).tree_id])
    return [item for item in found if item.parent_id == record_id and not item.deleted]


def descendants(tx: "Tx", who: Principal, record_id: int) -> list[Message]:
    """A message and everything below it, by date; deleted ones are left out."""
    found = tx.messages.of_trees([get(tx, who, record_id).tree_id])
    return [item for item in below(found, record_id) if not item.deleted]


def longest_conversation(tx: "Tx", who: Principal, record_id: int) -> list[Message]:
    """The longest chain of the tree from the root on; of several the one whose end came first."""
    found = [item for item in tree(tx, who, record_id) if not item.deleted]
    deepest = max(found, key=lambda item: (item.depth, -item.created_at, -item.id), default=None)
    return path(found, deepest.id) if deepest else []


def most_children(tx: "Tx", who: Principal, record_id: int) -> list[Message]:
    """The message of the tree with most replies, and these."""
    found = [item for item in tree(tx, who, record_id) if not item.deleted]
    counts = {item.id: sum(child.parent_id == item.id for child in found) for item in found}
    busiest = max(counts, key=lambda key: (counts[key], -key), default=None)
    return [item for item in found if busiest in (item.id, item.parent_id)]


def history(tx: "Tx", who: Principal, record_id: int) -> list[Revision]:
    """What a message said over time, oldest first; only for trusted clients."""
    collection = conversations.load(tx, who, conversations.MODERATE)
    message = required(tx, who, collection, record_id)
    known = tx.messages.revisions(record_id)
    return known or [Revision(0, record_id, message.text, message.author_id, message.created_at)]


def flagged(tx: "Tx", who: Principal, request: PageRequest) -> FlagPage:
    """A page of the reported messages that nobody has processed, by date; only for trusted clients."""
    collection = conversations.load(tx, who, conversations.MODERATE)
    return FlagPage(*_cut(tx.messages.flagged(collection.id, request), request))


def _cut(found: list[T], request: PageRequest) -> tuple[list[T], bool, bool]:
    """What was found without the extra one, and whether there is something before and behind it."""
    more = len(found) > request.limit
    if request.backwards:
        return (found[1:] if more else found), more, True
    return found[: request.limit], request.after is not None, more or request.before is not None


def user_emojis(tx: "Tx", person_id: int | None, found: Collection[Message]) -> dict[int, list[str]]:
    """The emojis that a person gave to these messages, by message id."""
    given = [item.id for item in found if item.emojis]
    return tx.messages.emojis_of(person_id, given) if given and person_id is not None else {}


def path(found: Sequence[Message], record_id: int) -> list[Message]:
    """The chain from the root to a message, out of the messages of its tree."""
    by_id = {item.id: item for item in found}
    chain: list[Message] = []
    step = by_id.get(record_id)
    while step is not None:
        chain.append(step)
        step = by_id.get(step.parent_id) if step.parent_id is not None else None
    return chain[::-1]


def below(found: Sequence[Message], record_id: int) -> list[Message]:
    """A message and all that hangs on it, in the order given, out of the messages of its tree."""
    parents = {item.id: item.parent_id for item in found}
    inside = {record_id}
    for item in sorted(found, key=lambda item: item.depth):
        if parents[item.id] in inside:
            inside.add(item.id)
    return [item for item in found if item.id in inside]
