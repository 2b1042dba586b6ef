"""Frontend users: people by the names under which their frontend knows them."""

from starlette.responses import Response

from headrace.core import persons
from headrace.core.store import Tx
from headrace.dialects.kit import Call, Told
from headrace.dialects.open_assistant import translate, wire
from headrace.dialects.open_assistant.boundary import BASE, answer, body_of, dialect, identity, query_of
from headrace.dialects.open_assistant.messages import AuthorOf, client_of, listed, walked

USERS = BASE + "/frontend_users"
USER = USERS + "/{auth_method}/{username}"
CHANGEABLE = {"show_on_leaderboard", "enabled", "tos_acceptance", "notes"}


@dialect.route("POST", USERS, told=Told(takes=wire.NewFrontendUser, gives=wire.FrontEndUser, slash=True))
async def register_user(call: Call) -> Response:
    """Register a person, or change one: only what the body names is changed, and only trusted clients may."""
    wanted = await body_of(call, wire.NewFrontendUser)
    changes = wanted.model_dump(include=CHANGEABLE, exclude_unset=True)
    person = await call.write(lambda tx: persons.upsert(tx, call.who, identity(wanted), changes))
    return answer(translate.user(person))


@dialect.route("GET", USER, told=Told(query=wire.FrontendUserQuery, gives=wire.FrontEndUser))
async def get_frontend_user(call: Call) -> Response:
    """One person by name."""
    client_id = client_of(query_of(call, wire.FrontendUserQuery).api_client_id)
    auth_method, username = call.text("auth_method"), call.text("username")
    person = await call.read(lambda tx: persons.named(tx, call.who, auth_method, username, client_id))
    return answer(translate.user(person))


@dialect.route("GET", USER + "/messages", told=Told(query=wire.OwnMessagesQuery, gives=list[wire.Message]))
async def messages_of_frontend_user(call: Call) -> Response:
    """What one person wrote."""
    wanted = query_of(call, wire.OwnMessagesQuery)
    return await listed(call, wanted, _author(call, wanted.api_client_id), deleted=wanted.include_deleted)


@dialect.route("GET", USER + "/messages/cursor", told=Told(query=wire.OwnCursorQuery, gives=wire.MessagePage))
async def walk_messages_of_frontend_user(call: Call) -> Response:
    """What one person wrote, page by page."""
    wanted = query_of(call, wire.OwnCursorQuery)
    return await walked(call, wanted, _author(call, wanted.api_client_id))


def _author(call: Call, client: wire.UUID | None) -> AuthorOf:
    """The person that the path names; raises person_not_found."""
    auth_method, username = call.text("auth_method"), call.text("username")

    def find(tx: Tx) -> int:
        return persons.named(tx, call.who, auth_method, username, client_of(client)).id

    return find
