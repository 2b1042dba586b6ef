"""The tree around a message: its conversation, replies and state, by the server's id or by the frontend's own."""

import random
from collections.abc import Callable, Mapping, Sequence

from pydantic import BaseModel
from starlette.responses import Response

from headrace.core import messages, tree_growth
from headrace.core.messages import Message
from headrace.core.store import Tx
from headrace.dialects.kit import Call, Told
from headrace.dialects.open_assistant import translate, wire
from headrace.dialects.open_assistant.boundary import BASE, acting, answer, dialect, number, query_of
from headrace.dialects.open_assistant.ids import Kind
from headrace.dialects.open_assistant.messages import MESSAGE, MESSAGE_ID
from headrace.dialects.open_assistant.translate import View, view_of
from headrace.dialects.open_assistant.wire_changes import HaltQuery, TreeQuery

FRONTEND_MESSAGE = BASE + "/frontend_messages/{frontend_message_id}"
IdOf = Callable[[Tx], int]
Shape = Callable[[Sequence[Message], View], object]


def named_by(call: Call) -> IdOf:
    """Finds the message that the path names: by a UUID, or the newest that the client calls by its own id."""
    if "message_id" in call.request.path_params:
        message_id = number(call, "message_id", Kind.MESSAGE)
        return lambda tx: message_id
    frontend_id = call.text("frontend_message_id")
    return lambda tx: messages.by_frontend_id(tx, call.who, frontend_id).id


def told(gives: object, query: type[BaseModel] | None = None) -> Told:
    """What the description says of a route that answers for a message."""
    path: Mapping[str, object] = MESSAGE_ID
    return Told(path=path, gives=gives, query=query)


async def shown(call: Call, read: Callable[[Tx, int], Sequence[Message]], shape: Shape) -> Response:
    """The messages that hang together with the one that the path names, in a shape."""
    named = named_by(call)

    def look(tx: Tx) -> object:
        viewer = acting(tx, call)
        found = read(tx, named(tx))
        return shape(found, view_of(tx, call.who, viewer, found))

    return answer(await call.read(look))


def _listed(found: Sequence[Message], view: View) -> list[wire.Message]:
    return [translate.message(item, view) for item in found]


def _tree(found: Sequence[Message], view: View) -> wire.MessageTree:
    return translate.tree_of(found, found[0].tree_id if found else 0, view)


@dialect.route("GET", FRONTEND_MESSAGE, told=Told(gives=wire.Message))
async def get_frontend_message(call: Call) -> Response:
    """The newest message that the client calls by this id."""
    named = named_by(call)

    def read(tx: Tx) -> wire.Message:
        found = messages.get(tx, call.who, named(tx))
        return translate.message(found, view_of(tx, call.who, acting(tx, call), [found]))

    return answer(await call.read(read))


@dialect.route("GET", MESSAGE + "/conversation", told=told(wire.Conversation))
@dialect.route("GET", FRONTEND_MESSAGE + "/conversation", told=Told(gives=wire.Conversation))
async def get_conversation(call: Call) -> Response:
    """The messages from the prompt to this one."""
    return await shown(call, lambda tx, number: messages.conversation(tx, call.who, number), translate.conversation)


@dialect.route("GET", MESSAGE + "/tree", told=told(wire.MessageTree, TreeQuery))
@dialect.route("GET", FRONTEND_MESSAGE + "/tree", told=Told(gives=wire.MessageTree, query=TreeQuery))
async def get_tree(call: Call) -> Response:
    """All messages of the tree, by date."""
    wanted, named = query_of(call, TreeQuery), named_by(call)

    def read(tx: Tx) -> wire.MessageTree:
        viewer, found = acting(tx, call), messages.get(tx, call.who, named(tx))
        tree = messages.tree(tx, call.who, found.id, spam=wanted.include_spam, deleted=wanted.include_deleted)
        return translate.tree_of(tree, found.tree_id, view_of(tx, call.who, viewer, tree))

    return answer(await call.read(read))


@dialect.route("GET", MESSAGE + "/tree/state", told=told(wire.TreeStateShown))
@dialect.route("GET", FRONTEND_MESSAGE + "/tree/state", told=Told(gives=wire.TreeStateShown))
async def get_tree_state(call: Call) -> Response:
    """Where the tree stands."""
    named = named_by(call)
    tree = await call.read(lambda tx: tree_growth.state(tx, call.who, named(tx)))
    return answer(translate.tree_state(tree))


@dialect.route("PUT", MESSAGE + "/tree/state", told=told(wire.TreeStateShown, HaltQuery))
async def set_tree_state(call: Call) -> Response:
    """Stop the tree, or let it go on where it belongs. Takes a trusted client."""
    message_id, stop = number(call, "message_id", Kind.MESSAGE), query_of(call, HaltQuery).halt
    tree = await call.write(lambda tx: tree_growth.halt(tx, call.who, message_id, stop=stop, rng=random.Random()))
    return answer(translate.tree_state(tree))


@dialect.route("GET", MESSAGE + "/children", told=told(list[wire.Message]))
@dialect.route("GET", FRONTEND_MESSAGE + "/children", told=Told(gives=list[wire.Message]))
async def get_children(call: Call) -> Response:
    """The replies to the message that are not deleted, reviewed or not."""
    return await shown(call, lambda tx, number: messages.children(tx, call.who, number), _listed)


@dialect.route("GET", MESSAGE + "/descendants", told=told(wire.MessageTree))
@dialect.route("GET", FRONTEND_MESSAGE + "/descendants", told=Told(gives=wire.MessageTree))
async def get_descendants(call: Call) -> Response:
    """The message and everything below it."""
    named = named_by(call)

    def read(tx: Tx) -> wire.MessageTree:
        message_id, viewer = named(tx), acting(tx, call)
        found = messages.descendants(tx, call.who, message_id)
        return translate.tree_of(found, message_id, view_of(tx, call.who, viewer, found))

    return answer(await call.read(read))


@dialect.route("GET", MESSAGE + "/longest_conversation_in_tree", told=told(wire.Conversation))
@dialect.route("GET", FRONTEND_MESSAGE + "/longest_conversation_in_tree", told=Told(gives=wire.Conversation))
async def get_longest_conversation(call: Call) -> Response:
    """The longest chain of the tree, from the prompt on."""
    return await shown(
        call, lambda tx, number: messages.longest_conversation(tx, call.who, number), translate.conversation
    )


@dialect.route("GET", MESSAGE + "/max_children_in_tree", told=told(wire.MessageTree))
@dialect.route("GET", FRONTEND_MESSAGE + "/max_children_in_tree", told=Told(gives=wire.MessageTree))
async def get_max_children(call: Call) -> Response:
    """The message of the tree with most replies, and these."""
    named = named_by(call)

    def read(tx: Tx) -> wire.MessageTree:
        viewer, message = acting(tx, call), messages.get(tx, call.who, named(tx))
        found = messages.most_children(tx, call.who, message.id)
        return translate.tree_of(found, message.tree_id, view_of(tx, call.who, viewer, found))

    return answer(await call.read(read))
