"""The shapes of users, scores, leaderboards and statistics."""

from typing import Annotated, Literal

from pydantic import Field

from headrace.core.persons import PersonKey
from headrace.core.scores import TimeFrame
from headrace.dialects.open_assistant.wire import UUID, Date, FrontEndUser, Given, Id, Shown

PersonCount = Annotated[int, Field(gt=0, le=10_000)]
BoardCount = Annotated[int, Field(gt=0, le=10_000)]
AuthMethod = Literal["discord", "google", "local", "system"]


class UserChange(Given):
    """What shall be changed of a person."""

    display_name: str | None = None
    enabled: bool | None = None
    notes: str | None = None
    show_on_leaderboard: bool | None = None
    tos_acceptance: bool | None = None


class UsersQuery(Given):
    """Which persons."""

    api_client_id: UUID | None = None
    auth_method: AuthMethod | None = None
    search_text: str | None = None
    gt_id: UUID | None = None
    lt_id: UUID | None = None
    max_count: PersonCount = 100
    desc: bool = False


class UsersByNameQuery(UsersQuery):
    """Which persons, by username."""

    gte_username: str | None = None
    lte_username: str | None = None


class UsersByDisplayNameQuery(UsersQuery):
    """Which persons, by display name."""

    gte_display_name: str | None = None
    lte_display_name: str | None = None


class UsersCursorQuery(Given):
    """Which persons, and from where on."""

    before: str | None = None
    after: str | None = None
    sort_key: str = PersonKey.USERNAME.value
    max_count: PersonCount = 100
    api_client_id: UUID | None = None
    auth_method: AuthMethod | None = None
    search_text: str | None = None


class UserPage(Shown):
    """A page of persons, and the cursors of its ends."""

    prev: str | None
    next: str | None
    sort_key: PersonKey
    items: list[FrontEndUser]
    order: Literal["asc"] = "asc"


class WindowQuery(Given):
    """How many people are wanted."""

    window_size: Annotated[int, Field(gt=0, le=100)] = 5


class LeaderboardQuery(Given):
    """How many people are wanted."""

    max_count: BoardCount = 100


class UserScore(Shown):
    """What a person contributed."""

    rank: int | None
    user_id: Id
    highlighted: bool
    username: str
    auth_method: str
    display_name: str
    leader_score: int
    level: int
    base_date: Date | None
    modified_date: Date | None
    prompts: int
    replies_assistant: int
    replies_prompter: int
    labels_simple: int
    labels_full: int
    rankings_total: int
    rankings_good: int
    accepted_prompts: int
    accepted_replies_assistant: int
    accepted_replies_prompter: int
    reply_ranked_1: int
    reply_ranked_2: int
    reply_ranked_3: int
    streak_last_day_date: Date | None
    streak_days: int | None
    last_activity_date: Date | None


class Leaderboard(Shown):
    """People by what they contributed, the best first."""

    time_frame: TimeFrame
    last_updated: Date
    leaderboard: list[UserScore]


class SystemStats(Shown):
    """How many messages there are."""

    all: int
    active: int
    active_by_lang: dict[str, int]
    deleted: int
    message_trees: int


class TreeMessageCount(Shown):
    """A tree in numbers."""

    message_tree_id: Id
    state: str
    depth: int
    oldest: Date
    youngest: Date
    count: int
    goal_tree_size: int


class TreeManagerStats(Shown):
    """How many trees are in which state, and every active one in numbers."""

    state_counts: dict[str, int]
    message_counts: list[TreeMessageCount]


class MessageCountsQuery(Given):
    """Whether trees that ended are wanted too."""

    only_active: bool = True


class CachedStats(Shown):
    """One statistic."""

    name: str
    last_updated: Date
    stats: dict[str, object] | list[object]


class AllCachedStats(Shown):
    """All statistics by name."""

    stats_by_name: dict[str, CachedStats]
