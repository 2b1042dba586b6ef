"""Trees: conversations as a state machine. Values in, decisions out; nothing here reads a clock or a database.

    initial_prompt_review ──> prompt_lottery_waiting ──> growing ──> ranking ──> ready_for_scoring ──> ready_for_export
              └──> aborted_low_grade       (halted_by_moderator from anywhere, and back)     backlog_ranking ──> ranking

After anything happened to a tree, `settle` says in which state it is now and what each of its messages calls for.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from headrace.core.conversations import Config
from headrace.core.messages import Message, Role, TaskKind
from headrace.core.rankings import Ranking, ranks
from headrace.core.text_labels import Review


class TreeState(StrEnum):
    """Where a tree stands; the value is its name on the wire."""

    INITIAL_PROMPT_REVIEW = "initial_prompt_review"
    PROMPT_LOTTERY_WAITING = "prompt_lottery_waiting"
    GROWING = "growing"
    RANKING = "ranking"
    READY_FOR_SCORING = "ready_for_scoring"
    READY_FOR_EXPORT = "ready_for_export"
    SCORING_FAILED = "scoring_failed"
    ABORTED_LOW_GRADE = "aborted_low_grade"
    HALTED_BY_MODERATOR = "halted_by_moderator"
    BACKLOG_RANKING = "backlog_ranking"


S = TreeState

ACTIVE = frozenset({S.INITIAL_PROMPT_REVIEW, S.GROWING, S.RANKING, S.READY_FOR_SCORING})
ENDED = frozenset({S.READY_FOR_EXPORT, S.SCORING_FAILED, S.ABORTED_LOW_GRADE, S.HALTED_BY_MODERATOR})
ACCEPTING = frozenset({S.GROWING, S.RANKING, S.READY_FOR_SCORING, S.READY_FOR_EXPORT})


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """One conversation tree; its id is that of its root. The three limits were set when the prompt was stored.

    `size` counts its live messages; `drawn_at` is when it won the lottery, in microseconds since the epoch.
    """

    id: int
    dataset_id: int
    state: TreeState
    lang: str
    goal: int
    max_children: int
    max_depth: int
    size: int = 0
    origin: str | None = None
    drawn_at: int | None = None
    created_at: int

    @property
    def active(self) -> bool:
        """False in every terminal state, and while the tree waits for its turn."""
        return self.state in ACTIVE


class Candidate(NamedTuple):
    """A message that calls for replies: where it stands, and how many live ones it has."""

    id: int
    tree_id: int
    role: Role
    live_children: int
    room: int
    """How many more messages its tree takes."""

    @property
    def kind(self) -> TaskKind:
        """The task of replying to it."""
        return TaskKind.ASSISTANT_REPLY if self.role is Role.PROMPTER else TaskKind.PROMPTER_REPLY


class Asker(NamedTuple):
    """Who wants something to do, in which language of which collection."""

    dataset_id: int
    lang: str
    person_id: int


class Lease(NamedTuple):
    """A place for a reply that was given to somebody a moment ago: which task, below which message, of which tree."""

    work_id: int
    parent_id: int
    tree_id: int


class Trees(Protocol):
    """Storage of trees: the queries behind each rule of what is available to whom."""

    def hold(self, dataset_id: int) -> bool:
        """Let others that write in the collection wait until this transaction ends.

        True when somebody else may have written since this transaction began, so that what was read is read again.
        """

    def insert(self, tree: Tree) -> None:
        """Store a new tree."""

    def get(self, tree_id: int) -> Tree | None:
        """One tree."""

    def holding(self, dataset_id: int, record_id: int) -> Tree | None:
        """The tree of a message."""

    def some(self, tree_ids: Sequence[int]) -> dict[int, Tree]:
        """Those of the trees that exist, by id."""

    def change(self, before: Tree, after: Tree) -> None:
        """Write what differs between two states of a tree."""

    def count(self, dataset_id: int, lang: str, state: TreeState) -> int:
        """How many trees of a language are in a state."""

    def young(self, dataset_id: int, lang: str) -> dict[TreeState, int]:
        """How many trees of a language are in each state up to growing; states without any are left out."""

    def ids(self, dataset_id: int, states: Sequence[TreeState], lang: str | None = None) -> list[int]:
        """The trees in these states, by id."""

    def page(
        self, dataset_id: int, states: Collection[TreeState] | None, lang: str | None, after: int, limit: int
    ) -> list[Tree]:
        """Trees by id, behind one id, in these states (None: any) and of a language (None: any)."""

    def total(self, dataset_id: int, states: Collection[TreeState] | None, lang: str | None) -> int:
        """How many trees there are in these states (None: any) and of a language (None: any)."""

    def waiting(self, dataset_id: int, lang: str) -> dict[int, list[int]]:
        """The trees that wait for the lottery and whose authors are enabled, by author."""

    def exclude(self, person_id: int, kept: Sequence[tuple[int, str]]) -> None:
        """Never again offer these messages, each for a family of tasks, to the person."""

    def available(self, asker: Asker, kinds: Sequence[TaskKind], limit: int) -> dict[TaskKind, int]:
        """How many messages call for each kind of task and may be offered to the person, counted up to a limit."""

    def pick(self, asker: Asker, kind: TaskKind, start: int) -> int | None:
        """The message with the least draw from this one on (or of all) of those that `available` counts."""

    def extendible(self, asker: Asker, kinds: Sequence[TaskKind], start: int, limit: int) -> list[Candidate]:
        """Some of the messages that call for these kinds of replies, in trees with room, and may be offered to the
        person: of each kind up to a limit, by their draws from this one on and then from the least."""

    def leases(self, dataset_id: int, tree_ids: Sequence[int], since: int) -> list[Lease]:
        """Places for replies in these trees handed out since an instant, not answered and not given back."""

    def add_review(
        self, annotation_id: int, record_id: int, person_id: int, mode: str | None, values: Mapping[str, float]
    ) -> None:
        """Note that a judgement is one of text labels: given in a task of a mode, or freely (None)."""

    def review_of(self, record_id: int, person_id: int, *, free: bool) -> int | None:
        """The judgement in which the person labelled the message, freely or in a task."""

    def reviews(self, record_id: int) -> list[tuple[int, Review]]:
        """What each reviewer said in a task of a message, by date."""

    def add_ranking(self, ranking: Ranking, authors: Mapping[int, int]) -> None:
        """Store a ranking, and the place it gives to each reply's author."""

    def rankings(self, tree_ids: Sequence[int]) -> list[Ranking]:
        """All rankings in these trees, by date."""

    def first_places(self, author_ids: Sequence[int], since: int) -> dict[int, int]:
        """How often each author's reply was put first since an instant."""


class Settled(NamedTuple):
    """A tree and its messages after everything that follows from what happened was drawn."""

    tree: Tree
    messages: Sequence[Message]


def settle(tree: Tree, messages: Sequence[Message], config: Config, rankings: Sequence[Ranking] = ()) -> Settled:
    """The state that follows from the messages, and what each of them calls for. Settling again changes nothing."""
    counted = _counted(messages)
    size = sum(item.live for item in counted)
    tree = replace(tree, size=size)
    while (state := _next(tree, counted, config)) is not tree.state:
        if state is S.READY_FOR_EXPORT:
            counted = scored(counted, rankings)
        tree = replace(tree, state=state)
    return Settled(tree, [_offering(item, offer(tree, item, counted, config)) for item in counted])


def scored(messages: Sequence[Message], rankings: Sequence[Ranking]) -> list[Message]:
    """The messages with the ranks on which the rankings agree, None where they say nothing."""
    kept = {item.id for item in messages if item.live and item.accepted}
    orders: dict[int, list[tuple[int, ...]]] = {}
    for ranking in rankings:
        orders.setdefault(ranking.parent_id, []).append(tuple(item for item in ranking.order if item in kept))
    found = ranks(orders)
    return [item._replace(rank=found.get(item.id)) for item in messages]


def reactivated(tree: Tree) -> Tree:
    """A tree that was stopped, as it goes on: growing when it ever won the lottery, else under review again."""
    if tree.state not in ENDED:
        return tree
    return replace(tree, state=S.INITIAL_PROMPT_REVIEW if tree.drawn_at is None else S.GROWING)


def places(tree: Tree, message: Message, config: Config) -> int:
    """How many live replies the message may have."""
    if message.depth >= tree.max_depth:
        return 0
    return tree.max_children if message.role is Role.PROMPTER else min(tree.max_children, config.num_prompter_replies)


def has_place(tree: Tree, parent: Message, config: Config, leases: Sequence[Lease]) -> bool:
    """True when one more reply to the message is within all limits, the places of others' leases set aside."""
    held = sum(lease.parent_id == parent.id for lease in leases)
    return (
        tree.state is S.GROWING
        and bool(parent.live and parent.accepted)
        and parent.live_children + held < places(tree, parent, config)
        and tree.size + len(leases) < tree.goal
    )


def rankable(parent: Message, messages: Sequence[Message], config: Config) -> list[Message]:
    """The accepted replies to a message that are to be ranked; empty when there is nothing to compare."""
    if not parent.live or (parent.role is Role.ASSISTANT and not config.rank_prompter_replies):
        return []
    replies = [item for item in messages if item.parent_id == parent.id and item.live and item.accepted]
    return replies if len(replies) > 1 else []


def offer(tree: Tree, message: Message, messages: Sequence[Message], config: Config) -> TaskKind | None:
    """The work that a message calls for in the present state of its tree."""
    if not message.live:
        return None
    if tree.state is S.INITIAL_PROMPT_REVIEW:
        return TaskKind.LABEL_INITIAL_PROMPT if message.parent_id is None and message.accepted is None else None
    if tree.state is S.GROWING:
        return _growing_offer(tree, message, config)
    if tree.state is S.RANKING and _unranked(message, messages, config):
        assistant = message.role is Role.PROMPTER
        return TaskKind.RANK_ASSISTANT_REPLIES if assistant else TaskKind.RANK_PROMPTER_REPLIES
    return None


def _growing_offer(tree: Tree, message: Message, config: Config) -> TaskKind | None:
    assistant = message.role is Role.ASSISTANT
    if message.accepted is None:
        return TaskKind.LABEL_ASSISTANT_REPLY if assistant else TaskKind.LABEL_PROMPTER_REPLY
    if message.live_children < places(tree, message, config):
        return TaskKind.PROMPTER_REPLY if assistant else TaskKind.ASSISTANT_REPLY
    return None


def _unranked(parent: Message, messages: Sequence[Message], config: Config) -> bool:
    needed = config.num_required_rankings
    return any(item.ranking_count < needed for item in rankable(parent, messages, config))


def _counted(messages: Sequence[Message]) -> list[Message]:
    """The messages with the number of their live replies; what hangs on nothing is dead."""
    live: dict[int, int] = {}
    for item in messages:
        if item.parent_id is not None and item.live:
            live[item.parent_id] = live.get(item.parent_id, 0) + 1
    return [_with_children(item, live.get(item.id, 0)) for item in messages]


def _with_children(message: Message, count: int) -> Message:
    return message if message.live_children == count else message._replace(live_children=count)


def _offering(message: Message, kind: TaskKind | None) -> Message:
    return message if message.offer is kind else message._replace(offer=kind)


def _next(tree: Tree, messages: Sequence[Message], config: Config) -> TreeState:
    """The state after this one, or this one."""
    root = next((item for item in messages if item.parent_id is None), None)
    if tree.state not in ENDED and all(item.deleted for item in messages):
        return S.HALTED_BY_MODERATOR
    if tree.state is S.INITIAL_PROMPT_REVIEW and root is not None and root.accepted is not None:
        return S.PROMPT_LOTTERY_WAITING if root.accepted else S.ABORTED_LOW_GRADE
    if tree.state is S.GROWING and _full_grown(tree, messages, config):
        return S.RANKING
    if tree.state is S.RANKING and not any(_unranked(item, messages, config) for item in messages):
        return S.READY_FOR_SCORING
    if tree.state is S.READY_FOR_SCORING:
        return S.READY_FOR_EXPORT
    return tree.state


def _full_grown(tree: Tree, messages: Sequence[Message], config: Config) -> bool:
    """True when nothing awaits review and the goal is reached, or can never be because every place is taken."""
    live = [item for item in messages if item.live]
    if any(item.accepted is None for item in live):
        return False
    return len(live) >= tree.goal or not any(item.live_children < places(tree, item, config) for item in live)
