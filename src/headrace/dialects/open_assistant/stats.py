"""Statistics of the collection; those that the peer computes now and then are computed when asked for."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response

from headrace.core import conversations, scores
from headrace.core.rights import Principal
from headrace.core.scores import TreeCount
from headrace.core.store import Tx
from headrace.dialects.kit import Call, Told
from headrace.dialects.open_assistant.boundary import (
    BASE,
    STATISTICS_MISSING,
    answer,
    dialect,
    nothing,
    query_of,
    refused,
)
from headrace.dialects.open_assistant.ids import Kind, uuid_of
from headrace.dialects.open_assistant.translate import date
from headrace.dialects.open_assistant.wire_people import (
    AllCachedStats,
    CachedStats,
    MessageCountsQuery,
    SystemStats,
    TreeManagerStats,
    TreeMessageCount,
)

if TYPE_CHECKING:
    Count = Callable[[Tx, Principal], dict[str, object] | list[object]]

STATS = BASE + "/stats"


@dialect.route("GET", STATS, told=Told(gives=SystemStats, slash=True))
async def system_stats(call: Call) -> Response:
    """How many messages and trees there are. Takes a trusted client, like all statistics."""
    found = await call.read(lambda tx: scores.message_counts(tx, call.who))
    return answer(
        SystemStats(
            all=found.all,
            active=found.active,
            active_by_lang=found.active_by_lang,
            deleted=found.deleted,
            message_trees=found.trees,
        )
    )


@dialect.route("GET", STATS + "/tree_manager", told=Told(gives=TreeManagerStats))
async def tree_manager_stats(call: Call) -> Response:
    """How many trees are in which state, and every active one in numbers."""

    def read(tx: Tx) -> TreeManagerStats:
        counted = [_counted(item) for item in scores.tree_counts(tx, call.who)]
        return TreeManagerStats(state_counts=_by_state(tx, call.who), message_counts=counted)

    return answer(await call.read(read))


@dialect.route("GET", STATS + "/tree_manager/state_counts", told=Told(gives=dict[str, int]))
async def state_counts(call: Call) -> Response:
    """How many trees are in which state."""
    return answer(await call.read(lambda tx: _by_state(tx, call.who)))


@dialect.route(
    "GET",
    STATS + "/tree_manager/message_counts",
    told=Told(query=MessageCountsQuery, gives=list[TreeMessageCount]),
)
async def message_counts(call: Call) -> Response:
    """Every (active) tree in numbers."""
    only_active = query_of(call, MessageCountsQuery).only_active
    found = await call.read(lambda tx: scores.tree_counts(tx, call.who, only_active=only_active))
    return answer([_counted(item) for item in found])


def _counted(found: TreeCount) -> TreeMessageCount:
    return TreeMessageCount(
        message_tree_id=uuid_of(found.tree_id, Kind.MESSAGE),
        state=found.state,
        depth=found.depth,
        oldest=date(found.oldest),
        youngest=date(found.youngest),
        count=found.count,
        goal_tree_size=found.goal,
    )


def _by_state(tx: Tx, who: Principal) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _, state, number in scores.state_counts(tx, who):
        counts[state] = counts.get(state, 0) + number
    return counts


def _by_state_and_lang(tx: Tx, who: Principal) -> list[object]:
    return [{"lang": lang, "state": state, "count": number} for lang, state, number in scores.state_counts(tx, who)]


CACHED: "Mapping[str, Count]" = {
    "human_messages_by_lang": lambda tx, who: {**scores.human_messages(tx, who, "lang")},
    "human_messages_by_role": lambda tx, who: {**scores.human_messages(tx, who, "role")},
    "message_trees_by_state": lambda tx, who: {**_by_state(tx, who)},
    "message_trees_states_by_lang": _by_state_and_lang,
    "users_accepted_tos": lambda tx, who: {"count": scores.accepted_terms(tx, who)},
}
"""How each of the named statistics is computed."""


def _cached(tx: Tx, call: Call, name: str) -> CachedStats:
    return CachedStats(name=name, last_updated=date(tx.now()), stats=CACHED[name](tx, call.who))


@dialect.route("GET", STATS + "/cached", told=Told(gives=AllCachedStats))
async def all_cached_stats(call: Call) -> Response:
    """All named statistics."""

    def read(tx: Tx) -> AllCachedStats:
        return AllCachedStats(stats_by_name={name: _cached(tx, call, name) for name in CACHED})

    return answer(await call.read(read))


@dialect.route("GET", STATS + "/cached/{name}", told=Told(gives=CachedStats))
async def cached_stats(call: Call) -> Response:
    """One named statistic."""
    name = call.text("name")
    if name not in CACHED:
        raise refused(STATISTICS_MISSING, f"there are {', '.join(CACHED)}")
    return answer(await call.read(lambda tx: _cached(tx, call, name)))


@dialect.route("POST", STATS + "/cached/update", told=Told(status=204))
async def update_cached_stats(call: Call) -> Response:
    """Recompute the named statistics: they always are. Takes a trusted client."""
    await call.read(lambda tx: conversations.load(tx, call.who, conversations.MODERATE))
    return nothing()
