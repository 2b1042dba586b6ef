"""What happens to a message after it was written: deletion and back, edits with their history, emojis."""

import random

from starlette.responses import Response

from headrace.core import message_changes, messages, persons
from headrace.core.store import Tx
from headrace.dialects.kit import Call, Told
from headrace.dialects.open_assistant import translate, wire
from headrace.dialects.open_assistant.boundary import (
    acting,
    answer,
    body_of,
    dialect,
    identity,
    nothing,
    number,
)
from headrace.dialects.open_assistant.ids import Kind
from headrace.dialects.open_assistant.messages import MESSAGE, MESSAGE_ID
from headrace.dialects.open_assistant.translate import View, view_of
from headrace.dialects.open_assistant.wire_changes import MessageEdit, MessageEmoji


@dialect.route("DELETE", MESSAGE, told=Told(path=MESSAGE_ID, status=204))
async def delete_message(call: Call) -> Response:
    """Delete a message and everything below it. Takes a trusted client."""
    message_id = number(call, "message_id", Kind.MESSAGE)
    await call.write(lambda tx: message_changes.delete(tx, call.who, message_id, random.Random()))
    return nothing()


@dialect.route("PUT", MESSAGE + "/undelete", told=Told(path=MESSAGE_ID, status=202))
async def undelete_message(call: Call) -> Response:
    """Bring a message and those above it back. Takes a trusted client."""
    message_id = number(call, "message_id", Kind.MESSAGE)
    await call.write(lambda tx: message_changes.undelete(tx, call.who, message_id, random.Random()))
    return answer(None, 202)


@dialect.route("POST", MESSAGE + "/edit", told=Told(path=MESSAGE_ID, takes=MessageEdit))
async def edit_message(call: Call) -> Response:
    """Give a message another text; what it said is kept. Takes a trusted client."""
    message_id = number(call, "message_id", Kind.MESSAGE)
    wanted = await body_of(call, MessageEdit)

    def edit(tx: Tx) -> None:
        person = persons.ensure(tx, call.who, identity(wanted.user))
        message_changes.edit(tx, call.who, person, message_id, wanted.new_content)

    await call.write(edit)
    return answer(None)


@dialect.route("GET", MESSAGE + "/history", told=Told(path=MESSAGE_ID, gives=list[wire.MessageRevision]))
async def message_history(call: Call) -> Response:
    """What a message said over time, oldest first. Takes a trusted client."""
    message_id = number(call, "message_id", Kind.MESSAGE)

    def read(tx: Tx) -> list[wire.MessageRevision]:
        view = View(viewer=acting(tx, call))
        return [translate.revision(item, view) for item in messages.history(tx, call.who, message_id)]

    return answer(await call.read(read))


@dialect.route(
    "POST", MESSAGE + "/emoji", told=Told(path=MESSAGE_ID, takes=MessageEmoji, gives=wire.Message, status=202)
)
async def react(call: Call) -> Response:
    """Give a message an emoji, or take it back."""
    message_id = number(call, "message_id", Kind.MESSAGE)
    wanted = await body_of(call, MessageEmoji)

    def give(tx: Tx) -> wire.Message:
        person = persons.ensure(tx, call.who, identity(wanted.user))
        found = message_changes.react(tx, call.who, person, message_id, wanted.emoji, wanted.op, random.Random())
        return translate.message(found, view_of(tx, call.who, person, [found]))

    return answer(await call.write(give), 202)
