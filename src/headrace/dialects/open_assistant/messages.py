"""Messages: one, a list, or page by page; `listed` and `walked` serve those of one person too."""

from collections.abc import Callable
from dataclasses import replace

from starlette.responses import Response

from headrace.core import messages, persons
from headrace.core.errors import NotFound
from headrace.core.faults import Fault, fault, fault_of
from headrace.core.messages import Filter, Page, PageRequest
from headrace.core.store import Tx
from headrace.dialects.kit import Call, Told, json_bytes
from headrace.dialects.open_assistant import translate, wire
from headrace.dialects.open_assistant.boundary import BASE, acting, answer, dialect, number, query_of
from headrace.dialects.open_assistant.ids import Kind, number_of
from headrace.dialects.open_assistant.translate import mark_of, view_of

MESSAGES = BASE + "/messages"
MESSAGE = MESSAGES + "/{message_id}"
MESSAGE_ID = {"message_id": wire.UUID}
AuthorOf = Callable[[Tx], int | None]


@dialect.route("GET", MESSAGES, told=Told(query=wire.MessagesQuery, gives=list[wire.Message], slash=True))
async def list_messages(call: Call) -> Response:
    """Messages, the newest first unless asked otherwise."""
    wanted = query_of(call, wire.MessagesQuery)
    author = author_named(call, wanted.auth_method, wanted.username, client_of(wanted.api_client_id))
    return await listed(call, wanted, author, deleted=wanted.allow_deleted)


@dialect.route("GET", MESSAGES + "/cursor", told=Told(query=wire.CursorQuery, gives=wire.MessagePage))
async def walk_messages(call: Call) -> Response:
    """A page of messages, and cursors to go on from in both directions."""
    wanted = query_of(call, wire.CursorQuery)
    by_name = author_named(call, wanted.auth_method, wanted.username, client_of(wanted.api_client_id))
    user_id = None if wanted.user_id is None else number_of(wanted.user_id, Kind.USER)
    return await walked(call, wanted, by_name if user_id is None else lambda tx: user_id)


@dialect.route("GET", MESSAGE, told=Told(path=MESSAGE_ID, gives=wire.Message))
async def get_message(call: Call) -> Response:
    """One message, deleted or not."""
    message_id = number(call, "message_id", Kind.MESSAGE)

    def read(tx: Tx) -> wire.Message:
        found = messages.get(tx, call.who, message_id)
        return translate.message(found, view_of(tx, call.who, acting(tx, call), [found]))

    return answer(await call.read(read))


async def listed(
    call: Call, wanted: wire.MessagesQuery | wire.OwnMessagesQuery, author: AuthorOf, *, deleted: bool
) -> Response:
    """The messages that a list's parameters ask for."""
    request = PageRequest(
        wanted=Filter(
            client_id=client_of(wanted.api_client_id),
            start=wanted.start_date,
            end=wanted.end_date,
            only_roots=wanted.only_roots,
            deleted=deleted,
            lang=wanted.lang,
        ),
        limit=wanted.max_count,
        descending=wanted.desc,
    )

    def read(tx: Tx) -> bytes:
        # Spliced in the thread that read, so that a long list does not hold up the event loop.
        viewer = acting(tx, call)
        found = messages_of(tx, call, request, author).items
        return translate.messages_json(found, view_of(tx, call.who, viewer, found))

    return json_bytes(await call.read(read))


async def walked(call: Call, wanted: wire.OwnCursorQuery, author: AuthorOf) -> Response:
    """The page that a cursor's parameters ask for."""
    request = PageRequest(
        wanted=Filter(
            client_id=client_of(wanted.api_client_id),
            only_roots=wanted.only_roots,
            deleted=wanted.include_deleted,
            lang=wanted.lang,
            words=tuple((wanted.search_query or "").split()),
        ),
        limit=wanted.max_count,
        descending=wanted.desc,
        before=mark_of(wanted.before),
        after=mark_of(wanted.after),
    )

    def read(tx: Tx) -> bytes:
        viewer = acting(tx, call)
        found = messages_of(tx, call, request, author)
        view = view_of(tx, call.who, viewer, found.items, authors=wanted.include_user)
        return translate.page_json(found, request, view)

    return json_bytes(await call.read(read))


def messages_of(tx: Tx, call: Call, request: PageRequest, author: AuthorOf) -> Page:
    """A page of what one author wrote, or everybody."""
    author_id = author(tx)
    return messages.page(tx, call.who, replace(request, wanted=replace(request.wanted, author_id=author_id)))


def author_named(call: Call, auth_method: str | None, username: str | None, client_id: int | None) -> AuthorOf:
    """Finds the author of that name; somebody unknown wrote nothing. Raises username_required for half a name."""
    if auth_method is None and username is None:
        return lambda tx: None
    if not auth_method or not username:
        raise fault(Fault.USERNAME_REQUIRED, "auth_method and username go together")

    def find(tx: Tx) -> int:
        try:
            return persons.named(tx, call.who, auth_method, username, client_id).id
        except NotFound as error:
            if fault_of(error) is not Fault.PERSON_NOT_FOUND:
                raise
            return 0

    return find


def client_of(named: wire.UUID | None) -> int | None:
    """The client that a parameter names."""
    return None if named is None else number_of(named, Kind.CLIENT)
