"""What moderators and a server's admin do: settings, clients, reported messages."""

from dataclasses import asdict

from starlette.responses import Response

from headrace.core import api_clients, conversations, message_changes, messages
from headrace.core.conversations import Config
from headrace.core.messages import Filter, Flagged, Mark, PageRequest
from headrace.dialects.kit import Call, Told
from headrace.dialects.open_assistant.boundary import (
    BASE,
    ROOT_PATH,
    answer,
    body_of,
    dialect,
    number,
    query_of,
)
from headrace.dialects.open_assistant.ids import Kind, uuid_of
from headrace.dialects.open_assistant.messages import MESSAGE_ID
from headrace.dialects.open_assistant.translate import date, mark_of
from headrace.dialects.open_assistant.wire_changes import (
    FlaggedCursorQuery,
    FlaggedMessage,
    FlaggedPage,
    FlaggedQuery,
    NewApiClient,
)

ADMIN = BASE + "/admin"
SETTINGS = ADMIN + "/backend_settings"
FLAGGED = ADMIN + "/flagged_messages"


@dialect.route("GET", SETTINGS + "/public", told=Told(gives=dict[str, object]))
async def public_settings(call: Call) -> Response:
    """What the collection aims at, and the limits of messages and tasks."""
    found = await call.read(lambda tx: conversations.load(tx, call.who, conversations.READ))
    return answer(_settings(found.config))


@dialect.route("GET", SETTINGS + "/full", told=Told(gives=dict[str, object]))
async def full_settings(call: Call) -> Response:
    """The same with what it is called and where. Takes a trusted client."""
    found = await call.read(lambda tx: conversations.load(tx, call.who, conversations.MODERATE))
    dataset = found.dataset
    return answer({**_settings(found.config), "project": dataset.project, "dataset": dataset.name})


def _settings(config: Config) -> dict[str, object]:
    return {
        "PROJECT_NAME": "open-assistant backend",
        "API_V1_STR": BASE,
        "MESSAGE_SIZE_LIMIT": config.message_size_limit,
        "DUPLICATE_MESSAGE_FILTER_WINDOW_MINUTES": config.duplicate_message_filter_window_minutes,
        "TASK_VALIDITY_MINUTES": config.task_validity_minutes,
        **asdict(config),
    }


@dialect.route("POST", ROOT_PATH, told=Told(takes=NewApiClient, gives=str))
async def create_api_client(call: Call) -> Response:
    """Make a client; its key is shown only now. Takes the root token: that of a server's admin."""
    wanted = await body_of(call, NewApiClient)
    key = await call.write(lambda tx: api_clients.create(tx, call.who, **wanted.model_dump()))
    return answer(key)


@dialect.route("GET", FLAGGED, told=Told(query=FlaggedQuery, gives=list[FlaggedMessage]))
async def flagged_messages(call: Call) -> Response:
    """Reported messages that nobody has processed, the oldest first. Takes a trusted client."""
    request = PageRequest(wanted=Filter(), limit=query_of(call, FlaggedQuery).max_count)
    found = await call.read(lambda tx: messages.flagged(tx, call.who, request))
    return answer([_flagged(item) for item in found.items])


@dialect.route("GET", FLAGGED + "/cursor", told=Told(query=FlaggedCursorQuery, gives=FlaggedPage))
async def walk_flagged_messages(call: Call) -> Response:
    """The same page by page."""
    wanted = query_of(call, FlaggedCursorQuery)
    request = PageRequest(
        wanted=Filter(),
        limit=wanted.max_count,
        descending=wanted.desc,
        before=mark_of(wanted.before),
        after=mark_of(wanted.after),
    )
    found = await call.read(lambda tx: messages.flagged(tx, call.who, request))
    items = found.items
    previous = _cursor(items[0]) if items and found.has_previous else None if items else _start(request.after)
    following = _cursor(items[-1]) if items and found.has_next else None if items else _start(request.before)
    return answer(
        FlaggedPage(
            prev=previous,
            next=following,
            items=[_flagged(item) for item in items],
            order="desc" if wanted.desc else "asc",
        )
    )


def _cursor(found: Flagged) -> str:
    return f"{uuid_of(found.record_id, Kind.MESSAGE)}${date(found.created_at)}"


def _start(mark: Mark | None) -> str | None:
    return None if mark is None else date(mark.created_at)


def _flagged(found: Flagged) -> FlaggedMessage:
    return FlaggedMessage(
        message_id=uuid_of(found.record_id, Kind.MESSAGE),
        processed=found.processed,
        created_date=date(found.created_at),
    )


@dialect.route("POST", FLAGGED + "/{message_id}/processed", told=Told(path=MESSAGE_ID, gives=FlaggedMessage))
async def process_flagged_message(call: Call) -> Response:
    """Take a reported message off the list. Takes a trusted client."""
    message_id = number(call, "message_id", Kind.MESSAGE)
    return answer(_flagged(await call.write(lambda tx: message_changes.process_flag(tx, call.who, message_id))))
