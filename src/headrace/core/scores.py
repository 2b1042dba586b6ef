"""Scores: what people contributed to a collection over a span of time, and the leaderboard made of it. On demand."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import conversations, persons
from headrace.core.persons import DAY, Person
from headrace.core.rights import Principal

if TYPE_CHECKING:
    from headrace.core.store import Tx

LEVELS = 100
FIRST_LEVEL, LEVEL_GROWTH = 3, 1.1521


class TimeFrame(StrEnum):
    """A span that ends now."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What one person did. Messages that were deleted do not count; `reply_ranked_k` is how often a ranking put a
    reply of theirs in place k; `rankings_good` is not computed."""

    prompts: int = 0
    replies_assistant: int = 0
    replies_prompter: int = 0
    labels_simple: int = 0
    labels_full: int = 0
    rankings_total: int = 0
    rankings_good: int = 0
    accepted_prompts: int = 0
    accepted_replies_assistant: int = 0
    accepted_replies_prompter: int = 0
    reply_ranked_1: int = 0
    reply_ranked_2: int = 0
    reply_ranked_3: int = 0


NOTHING = Tally()


class Score(NamedTuple):
    """A person's tally, the score and level it makes, and their rank: 1 is the best, None is not shown."""

    person: Person
    tally: Tally
    leader_score: int
    level: int
    rank: int | None = None


class Leaderboard(NamedTuple):
    """The best of a time frame, and when it was computed."""

    time_frame: TimeFrame
    since: int | None
    computed_at: int
    scores: list[Score]


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeCount:
    """A tree's messages in numbers; those that are live: accepted, or under review."""

    tree_id: int
    state: str
    depth: int
    oldest: int
    youngest: int
    count: int
    goal: int


class MessageCounts(NamedTuple):
    """How many messages there are, deleted or not, by language, and how many trees."""

    all: int
    active: int
    deleted: int
    trees: int
    active_by_lang: dict[str, int]


class Scores(Protocol):
    """Storage's counting for scores and statistics."""

    def tallies(self, dataset_id: int, since: int | None, person_id: int | None = None) -> dict[int, Tally]:
        """What each person (or one) did in a collection since an instant (None: ever)."""

    def message_counts(self, dataset_id: int) -> MessageCounts:
        """How many messages there are."""

    def state_counts(self, dataset_id: int) -> list[tuple[str, str, int]]:
        """How many trees there are, as (language, state, count)."""

    def tree_counts(self, dataset_id: int, *, only_active: bool) -> list[TreeCount]:
        """Every (active) tree in numbers, by id."""

    def human(self, dataset_id: int, by: str) -> dict[str, int]:
        """How many messages people wrote that were not deleted, by `lang` or `role`."""


def leader_score(tally: Tally) -> int:
    """The points of a tally."""
    return (
        int(0.1 * tally.prompts)
        + 4 * tally.replies_assistant
        + tally.replies_prompter
        + tally.labels_simple
        + 2 * tally.labels_full
        + tally.rankings_total
        + tally.rankings_good
        + int(0.1 * tally.accepted_prompts)
        + 4 * tally.accepted_replies_assistant
        + tally.accepted_replies_prompter
        + 9 * tally.reply_ranked_1
        + 3 * tally.reply_ranked_2
        + tally.reply_ranked_3
    )


def thresholds() -> list[int]:
    """The least score of every level from 1 on."""
    steps = (FIRST_LEVEL + LEVEL_GROWTH * step for step in range(1, LEVELS))
    return [0, *(round(total) for total in accumulate(steps))]


def level(score: int) -> int:
    """The level of a score."""
    return sum(threshold <= score for threshold in thresholds())


def start_of(frame: TimeFrame, now: int) -> int | None:
    """When a time frame began: a day is the last 24 hours, weeks and months are whole days back; None: ever."""
    if frame is TimeFrame.TOTAL:
        return None
    if frame is TimeFrame.DAY:
        return now - DAY
    return now // DAY * DAY - (7 if frame is TimeFrame.WEEK else 30) * DAY


def ranked(tallies: dict[int, Tally], people: dict[int, Person]) -> list[Score]:
    """Everybody who did something, best first; ranks go to those who are enabled and show themselves."""
    found = [
        Score(people[number], tally, leader_score(tally), level(leader_score(tally)))
        for number, tally in tallies.items()
        if number in people
    ]
    found.sort(key=lambda score: (-score.leader_score, score.person.id))
    place, placed = 0, []
    for score in found:
        shown = score.person.enabled and score.person.show_on_leaderboard and not score.person.deleted
        place += shown
        placed.append(score._replace(rank=place if shown else None))
    return placed


def leaderboard(tx: "Tx", who: Principal, frame: TimeFrame, limit: int = 100) -> Leaderboard:
    """The best people of a time frame that the caller may see."""
    now = tx.now()
    shown = [score for score in _scores(tx, who, frame, now) if score.rank is not None]
    return Leaderboard(frame, start_of(frame, now), now, shown[:limit])


def of_person(tx: "Tx", who: Principal, person_id: int, frame: TimeFrame) -> Score:
    """A person's score in a time frame; raises person_not_found."""
    person = persons.get(tx, who, person_id)
    for score in _scores(tx, who, frame, tx.now()):
        if score.person.id == person_id:
            return score
    return Score(person, NOTHING, 0, level(0))


def window(tx: "Tx", who: Principal, person_id: int, frame: TimeFrame, size: int) -> Leaderboard:
    """The people around somebody on the leaderboard: at most `size`, that person among them where they show."""
    persons.get(tx, who, person_id)
    now = tx.now()
    shown = [score for score in _scores(tx, who, frame, now) if score.rank is not None]
    place = next((place for place, score in enumerate(shown) if score.person.id == person_id), None)
    first = 0 if place is None else max(0, min(place - size // 2, len(shown) - size))
    found = [] if place is None else shown[first : first + size]
    return Leaderboard(frame, start_of(frame, now), now, found)


def message_counts(tx: "Tx", who: Principal) -> MessageCounts:
    """How many messages the collection has; only for trusted clients."""
    return tx.scores.message_counts(conversations.load(tx, who, conversations.MODERATE).id)


def state_counts(tx: "Tx", who: Principal) -> list[tuple[str, str, int]]:
    """How many trees are in which state, as (language, state, count); only for trusted clients."""
    return tx.scores.state_counts(conversations.load(tx, who, conversations.MODERATE).id)


def tree_counts(tx: "Tx", who: Principal, *, only_active: bool = True) -> list[TreeCount]:
    """Every (active) tree in numbers; only for trusted clients."""
    return tx.scores.tree_counts(conversations.load(tx, who, conversations.MODERATE).id, only_active=only_active)


def human_messages(tx: "Tx", who: Principal, by: str) -> dict[str, int]:
    """How many messages people wrote, by `lang` or by `role`; only for trusted clients."""
    return tx.scores.human(conversations.load(tx, who, conversations.MODERATE).id, by)


def accepted_terms(tx: "Tx", who: Principal) -> int:
    """How many of the persons accepted the terms of service; only for trusted clients."""
    conversations.load(tx, who, conversations.MODERATE)
    return tx.persons.accepted_terms(None)


def summed(parts: Sequence[Tally]) -> Tally:
    """Tallies added up."""
    names = [item.name for item in fields(Tally)]
    return replace(NOTHING, **{name: sum(getattr(part, name) for part in parts) for name in names})


def _scores(tx: "Tx", who: Principal, frame: TimeFrame, now: int) -> list[Score]:
    collection = conversations.load(tx, who, conversations.READ)
    tallies = tx.scores.tallies(collection.id, start_of(frame, now))
    people = tx.persons.some(sorted(tallies))
    visible = {number: person for number, person in people.items() if collection.shows(who, person.client_id)}
    return ranked(tallies, visible)
