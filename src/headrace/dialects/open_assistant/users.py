"""Users: people by their ids, in order of their names, and what one of them wrote."""

import random
import re
from uuid import UUID

from starlette.responses import Response

from headrace.core import message_changes, persons, tree_growth
from headrace.core.persons import Person, PersonKey, PersonMark, PersonPage, PersonRequest
from headrace.core.store import Tx
from headrace.dialects.kit import Call, Told
from headrace.dialects.open_assistant import translate, wire
from headrace.dialects.open_assistant.boundary import (
    BASE,
    INVALID_CURSOR,
    SORT_KEY_UNSUPPORTED,
    answer,
    dialect,
    nothing,
    number,
    query_of,
    refused,
)
from headrace.dialects.open_assistant.frontend_users import USER as FRONTEND_USER
from headrace.dialects.open_assistant.ids import Kind, number_of, uuid_of
from headrace.dialects.open_assistant.messages import AuthorOf, client_of, listed, walked
from headrace.dialects.open_assistant.wire_people import (
    UserChange,
    UserPage,
    UsersByDisplayNameQuery,
    UsersByNameQuery,
    UsersCursorQuery,
    UsersQuery,
)

USERS = BASE + "/users"
USER = USERS + "/{user_id}"
USER_ID = {"user_id": wire.UUID}
CURSOR = re.compile(r"([0-9a-fA-F-]{36})\$(.*)", re.ASCII | re.DOTALL)


@dialect.route("GET", USERS + "/by_username", told=Told(query=UsersByNameQuery, gives=list[wire.FrontEndUser]))
async def users_by_username(call: Call) -> Response:
    """People in the order of their usernames."""
    wanted = query_of(call, UsersByNameQuery)
    return await _listed(call, _between(wanted, PersonKey.USERNAME, wanted.gte_username, wanted.lte_username))


@dialect.route(
    "GET", USERS + "/by_display_name", told=Told(query=UsersByDisplayNameQuery, gives=list[wire.FrontEndUser])
)
async def users_by_display_name(call: Call) -> Response:
    """People in the order of the names they show."""
    wanted = query_of(call, UsersByDisplayNameQuery)
    bounds = wanted.gte_display_name, wanted.lte_display_name
    return await _listed(call, _between(wanted, PersonKey.DISPLAY_NAME, *bounds))


async def _listed(call: Call, request: PersonRequest) -> Response:
    found = await call.read(lambda tx: persons.page(tx, call.who, request))
    return answer([translate.user(person) for person in found.items])


def _between(wanted: UsersQuery, key: PersonKey, least: str | None, most: str | None) -> PersonRequest:
    """Those between two names; an id makes its bound exclusive. Raises code 0 for an id without a name."""
    lower, upper = _bound(least, wanted.gt_id), _bound(most, wanted.lt_id)
    return PersonRequest(
        key=key,
        limit=wanted.max_count,
        descending=wanted.desc,
        after=upper if wanted.desc else lower,
        before=lower if wanted.desc else upper,
        client_id=client_of(wanted.api_client_id),
        auth_method=wanted.auth_method,
        search=wanted.search_text,
        from_start=True,
    )


def _bound(name: str | None, user_id: UUID | None) -> PersonMark | None:
    if name is None and user_id is not None:
        raise refused(0, "an id bounds a list only together with a name")
    return None if name is None else PersonMark(name, None if user_id is None else number_of(user_id, Kind.USER))


@dialect.route("GET", USERS + "/cursor", told=Told(query=UsersCursorQuery, gives=UserPage))
async def walk_users(call: Call) -> Response:
    """A page of people in the order of a name, and cursors to go on from in both directions."""
    wanted = query_of(call, UsersCursorQuery)
    if wanted.sort_key not in tuple(PersonKey):
        raise refused(SORT_KEY_UNSUPPORTED, f"sort_key must be one of {', '.join(PersonKey)}")
    request = PersonRequest(
        key=PersonKey(wanted.sort_key),
        limit=wanted.max_count,
        after=_mark_of(wanted.after),
        before=_mark_of(wanted.before),
        client_id=client_of(wanted.api_client_id),
        auth_method=wanted.auth_method,
        search=wanted.search_text,
    )
    return answer(_page(await call.read(lambda tx: persons.page(tx, call.who, request)), request))


def _mark_of(text: str | None) -> PersonMark | None:
    """The place that a cursor names; one that is only a name is inclusive. Raises code 101."""
    found = None if text is None else CURSOR.fullmatch(text)
    if text is None or found is None:
        return None if text is None else PersonMark(text)
    try:
        return PersonMark(found[2], number_of(UUID(found[1]), Kind.USER))
    except ValueError as error:
        raise refused(INVALID_CURSOR, "the cursor is not one of this server's") from error


def _page(found: PersonPage, request: PersonRequest) -> UserPage:
    before, after = (mark and mark.value for mark in (request.before, request.after))
    items = found.items
    previous = _cursor(items[0], request.key) if items and found.has_previous else None if items else after
    following = _cursor(items[-1], request.key) if items and found.has_next else None if items else before
    return UserPage(
        prev=previous, next=following, sort_key=request.key, items=[translate.user(person) for person in items]
    )


def _cursor(person: Person, key: PersonKey) -> str:
    value = person.username if key is PersonKey.USERNAME else person.display_name
    return f"{uuid_of(person.id, Kind.USER)}${value}"


@dialect.route("GET", USER, told=Told(path=USER_ID, gives=wire.FrontEndUser))
async def get_user(call: Call) -> Response:
    """One person."""
    user_id = number(call, "user_id", Kind.USER)
    return answer(translate.user(await call.read(lambda tx: persons.get(tx, call.who, user_id))))


@dialect.route("PUT", USER, told=Told(path=USER_ID, query=UserChange, status=204))
async def update_user(call: Call) -> Response:
    """Change a person; the prompts of somebody who is disabled leave the lottery. Takes a trusted client."""
    user_id = number(call, "user_id", Kind.USER)
    changes = query_of(call, UserChange).model_dump(exclude_none=True)
    await call.write(lambda tx: tree_growth.update_author(tx, call.who, user_id, changes, random.Random()))
    return nothing()


@dialect.route("DELETE", USER, told=Told(path=USER_ID, status=204))
async def delete_user(call: Call) -> Response:
    """Make a person nameless; what they wrote stays. Takes a trusted client."""
    user_id = number(call, "user_id", Kind.USER)
    await call.write(lambda tx: persons.forget(tx, call.who, user_id))
    return nothing()


@dialect.route(
    "GET", USER + "/messages", told=Told(path=USER_ID, query=wire.OwnMessagesQuery, gives=list[wire.Message])
)
async def messages_of_user(call: Call) -> Response:
    """What one person wrote."""
    wanted = query_of(call, wire.OwnMessagesQuery)
    return await listed(call, wanted, _author(call), deleted=wanted.include_deleted)


@dialect.route(
    "GET", USER + "/messages/cursor", told=Told(path=USER_ID, query=wire.OwnCursorQuery, gives=wire.MessagePage)
)
async def walk_messages_of_user(call: Call) -> Response:
    """What one person wrote, page by page."""
    return await walked(call, query_of(call, wire.OwnCursorQuery), _author(call))


def _author(call: Call) -> AuthorOf:
    """The person whose id the path holds; raises person_not_found."""
    user_id = number(call, "user_id", Kind.USER)
    return lambda tx: persons.get(tx, call.who, user_id).id


@dialect.route("DELETE", USER + "/messages", told=Told(path=USER_ID, status=204))
async def delete_messages_of_user(call: Call) -> Response:
    """Delete all that a person wrote, with the replies to it. Takes a trusted client."""
    user_id = number(call, "user_id", Kind.USER)
    await call.write(lambda tx: message_changes.delete_all_of(tx, call.who, user_id, random.Random()))
    return nothing()


@dialect.route("DELETE", FRONTEND_USER + "/messages", told=Told(query=wire.FrontendUserQuery, status=204))
async def delete_messages_of_frontend_user(call: Call) -> Response:
    """Delete all that a person of this name wrote, with the replies to it. Takes a trusted client."""
    client_id = client_of(query_of(call, wire.FrontendUserQuery).api_client_id)
    auth_method, username = call.text("auth_method"), call.text("username")

    def delete(tx: Tx) -> None:
        person = persons.named(tx, call.who, auth_method, username, client_id)
        message_changes.delete_all_of(tx, call.who, person.id, random.Random())

    await call.write(delete)
    return nothing()
