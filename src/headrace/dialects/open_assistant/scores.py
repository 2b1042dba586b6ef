"""What people contributed: a person's score, the people around them, and the leaderboards. Computed when asked for."""

from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from headrace.core import conversations, scores
from headrace.core.persons import Person
from headrace.core.scores import Score, TimeFrame
from headrace.core.store import Tx
from headrace.dialects.kit import Call, Told
from headrace.dialects.open_assistant.boundary import (
    BASE,
    Unprocessable,
    acting,
    answer,
    dialect,
    issues_in,
    nothing,
    number,
    query_of,
)
from headrace.dialects.open_assistant.ids import Kind, uuid_of
from headrace.dialects.open_assistant.translate import date, optional_date
from headrace.dialects.open_assistant.users import USER, USER_ID
from headrace.dialects.open_assistant.wire_people import Leaderboard, LeaderboardQuery, UserScore, WindowQuery

STATS = USER + "/stats"
BOARDS = BASE + "/leaderboards"
FRAME = {"time_frame": TimeFrame}


def score_shown(found: Score, viewer: Person | None, since: int | None, computed_at: int) -> UserScore:
    """A person's score as the dialect shows it."""
    person = found.person
    return UserScore(
        rank=found.rank,
        user_id=uuid_of(person.id, Kind.USER),
        highlighted=viewer is not None and viewer.id == person.id,
        username=person.username,
        auth_method=person.auth_method,
        display_name=person.display_name,
        leader_score=found.leader_score,
        level=found.level,
        base_date=optional_date(since),
        modified_date=date(computed_at),
        **asdict(found.tally),
        streak_last_day_date=optional_date(person.streak_at),
        streak_days=person.streak_days,
        last_activity_date=optional_date(person.last_activity_at),
    )


def board_shown(found: scores.Leaderboard, viewer: Person | None) -> Leaderboard:
    """A leaderboard as the dialect shows it."""
    return Leaderboard(
        time_frame=found.time_frame,
        last_updated=date(found.computed_at),
        leaderboard=[score_shown(score, viewer, found.since, found.computed_at) for score in found.scores],
    )


def frame_of(call: Call) -> TimeFrame:
    """The time frame that the path names; raises Unprocessable."""
    try:
        return TypeAdapter(TimeFrame).validate_python(call.text("time_frame"))
    except ValidationError as error:
        found = [{**item, "loc": ["path", "time_frame"]} for item in issues_in(error, "path")]
        raise Unprocessable("there is no such time frame", fields={"issues": found}) from error


@dialect.route("GET", STATS, told=Told(path=USER_ID, gives=dict[str, UserScore]))
async def user_stats(call: Call) -> Response:
    """What a person contributed, by time frame."""
    user_id = number(call, "user_id", Kind.USER)

    def read(tx: Tx) -> dict[str, UserScore]:
        return {frame.value: _score_of(tx, call, user_id, frame) for frame in TimeFrame}

    return answer(await call.read(read))


@dialect.route("GET", STATS + "/{time_frame}", told=Told(path={**USER_ID, **FRAME}, gives=UserScore))
async def user_stats_of_frame(call: Call) -> Response:
    """What a person contributed in a time frame."""
    user_id, frame = number(call, "user_id", Kind.USER), frame_of(call)
    return answer(await call.read(lambda tx: _score_of(tx, call, user_id, frame)))


def _score_of(tx: Tx, call: Call, user_id: int, frame: TimeFrame) -> UserScore:
    now = tx.now()
    found = scores.of_person(tx, call.who, user_id, frame)
    return score_shown(found, acting(tx, call), scores.start_of(frame, now), now)


@dialect.route(
    "GET", STATS + "/{time_frame}/window", told=Told(path={**USER_ID, **FRAME}, query=WindowQuery, gives=Leaderboard)
)
async def user_stats_window(call: Call) -> Response:
    """The people around a person on the leaderboard."""
    user_id, frame = number(call, "user_id", Kind.USER), frame_of(call)
    size = query_of(call, WindowQuery).window_size

    def read(tx: Tx) -> Leaderboard:
        return board_shown(scores.window(tx, call.who, user_id, frame, size), acting(tx, call))

    return answer(await call.read(read))


@dialect.route("GET", BOARDS + "/{time_frame}", told=Told(path=FRAME, query=LeaderboardQuery, gives=Leaderboard))
async def leaderboard(call: Call) -> Response:
    """The people who contributed most in a time frame."""
    frame, limit = frame_of(call), query_of(call, LeaderboardQuery).max_count

    def read(tx: Tx) -> Leaderboard:
        return board_shown(scores.leaderboard(tx, call.who, frame, limit), acting(tx, call))

    return answer(await call.read(read))


@dialect.route("POST", BOARDS + "/update", told=Told(status=204))
async def update_leaderboards(call: Call) -> Response:
    """Recompute every leaderboard: they always are. Takes a trusted client."""
    await call.read(lambda tx: conversations.load(tx, call.who, conversations.MODERATE))
    return nothing()


@dialect.route("POST", BOARDS + "/update/{time_frame}", told=Told(path=FRAME, status=204))
async def update_leaderboard(call: Call) -> Response:
    """Recompute a leaderboard: it always is. Takes a trusted client."""
    frame_of(call)
    return await update_leaderboards(call)
