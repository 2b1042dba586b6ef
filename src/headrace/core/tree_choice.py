"""Which task somebody gets: what is available, and the weighted lots that decide between it. Pure.

Every function that draws takes the source of its luck, so that a test can repeat what happened.
"""

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from headrace.core.conversations import Config
from headrace.core.messages import Role, TaskKind
from headrace.core.text_labels import Mode
from headrace.core.trees import Candidate, Lease

K = TaskKind
T = TypeVar("T")


class Family(StrEnum):
    """What somebody who did or skipped a task of a message is not offered again for it."""

    REPLY = "reply"
    RANKING = "ranking"
    LABELING = "labeling"


FAMILIES: Mapping[TaskKind, Family] = {
    K.PROMPTER_REPLY: Family.REPLY,
    K.ASSISTANT_REPLY: Family.REPLY,
    K.RANK_PROMPTER_REPLIES: Family.RANKING,
    K.RANK_ASSISTANT_REPLIES: Family.RANKING,
    K.LABEL_INITIAL_PROMPT: Family.LABELING,
    K.LABEL_ASSISTANT_REPLY: Family.LABELING,
    K.LABEL_PROMPTER_REPLY: Family.LABELING,
}
REPLIES = (K.PROMPTER_REPLY, K.ASSISTANT_REPLY)
WRITING = (K.INITIAL_PROMPT, *REPLIES)
WEIGHTS: Sequence[tuple[float, tuple[TaskKind, ...]]] = (
    (10, (K.RANK_PROMPTER_REPLIES, K.RANK_ASSISTANT_REPLIES)),
    (5, (K.LABEL_ASSISTANT_REPLY, K.LABEL_PROMPTER_REPLY)),
    (5, (K.LABEL_INITIAL_PROMPT,)),
    (2, REPLIES),
    (0.01, (K.INITIAL_PROMPT,)),
)


def prompts_wanted(config: Config, lang: str, *, growing: int, reviewed: int, waiting: int) -> int:
    """How many first prompts a language takes now; `reviewed` counts those under review."""
    if lang in config.init_prompt_disabled_langs:
        return 0
    missing = max(0, config.max_active_trees - growing)
    review_room = max(0, config.max_initial_prompt_review - reviewed)
    return min(missing + review_room, max(0, config.max_prompt_lottery_waiting - waiting))


def kind_of(rng: random.Random, available: Mapping[TaskKind, int]) -> TaskKind | None:
    """The kind of task for somebody who takes any; within a kind every message is as likely. None: nothing to do."""
    groups = [(weight, kinds) for weight, kinds in WEIGHTS if any(available.get(kind) for kind in kinds)]
    if not groups:
        return None
    kinds = rng.choices([kinds for _, kinds in groups], [weight for weight, _ in groups])[0]
    return rng.choices(kinds, [available.get(kind, 0) for kind in kinds])[0]


def open_places(candidates: Sequence[Candidate], leases: Sequence[Lease]) -> list[Candidate]:
    """The messages that may be answered now: nobody is at it, and their tree has room beside the places given out."""
    busy = {lease.parent_id for lease in leases}
    held: dict[int, int] = {}
    for lease in leases:
        held[lease.tree_id] = held.get(lease.tree_id, 0) + 1
    return [item for item in candidates if item.id not in busy and held.get(item.tree_id, 0) < item.room]


def parent_of(rng: random.Random, places: Sequence[Candidate], config: Config) -> Candidate:
    """The message to answer, out of some: often one that has few replies rather than none or many."""
    lonely = [item for item in places if item.role is Role.PROMPTER and _is_lonely(item, config)]
    if lonely and rng.random() < config.p_lonely_child_extension:
        return rng.choice(lonely)
    return rng.choice(places)


def _is_lonely(place: Candidate, config: Config) -> bool:
    return 0 < place.live_children < config.lonely_children_count


def mode_of(rng: random.Random, kind: TaskKind, requested: TaskKind, config: Config) -> Mode:
    """How much a reviewer is asked; who asked to review replies is asked everything."""
    chances = {
        K.LABEL_INITIAL_PROMPT: config.p_full_labeling_review_prompt,
        K.LABEL_ASSISTANT_REPLY: config.p_full_labeling_review_reply_assistant,
        K.LABEL_PROMPTER_REPLY: config.p_full_labeling_review_reply_prompter,
    }
    if requested is not K.RANDOM and kind is not K.LABEL_INITIAL_PROMPT:
        return Mode.FULL
    return Mode.FULL if rng.random() < chances[kind] else Mode.SIMPLE


def prompt_drawn(rng: random.Random, waiting: Mapping[int, Sequence[int]], first_places: Mapping[int, int]) -> int:
    """The tree that wins the lottery: first an author is drawn, who was ranked first more often rather, then one tree.

    `waiting` holds each author's trees and is not empty.
    """
    authors = sorted(waiting)
    author = rng.choices(authors, [1 + first_places.get(item, 0) for item in authors])[0]
    return rng.choice(sorted(waiting[author]))


def goal_size(rng: random.Random, config: Config) -> int:
    """How many messages a new tree shall have."""
    if not config.random_goal_tree_size or config.min_goal_tree_size >= config.goal_tree_size:
        return config.goal_tree_size
    return rng.randint(config.min_goal_tree_size, config.goal_tree_size)


def wakes_backlog(rng: random.Random, config: Config, ranking: int) -> bool:
    """True when a tree kept in reserve shall be ranked now that another one has ended."""
    return ranking < config.min_active_rankings_per_lang or rng.random() < config.p_activate_backlog_tree


def shuffled(rng: random.Random, items: Sequence[T]) -> list[T]:
    """The items in an order drawn by lot."""
    return rng.sample(items, len(items))
