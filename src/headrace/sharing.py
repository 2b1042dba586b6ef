"""Whose a call is where two dialects have the same paths: Label Studio's projects or Kiln's.

What is decided here is only who answers. Rights are decided behind it, the same for both.
"""

import re

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from headrace.core.errors import Invalid
from headrace.decode import Raw, decode

SHARED = re.compile(r"/api/projects(/(?!(counts|roles|validate)$)[^/]+(/tasks)?)?")
PEEK_LIMIT = 1 << 20


async def kilns(scope: Scope, receive: Receive) -> tuple[bool, Receive]:
    """Whether a call is Kiln's, and how its body is to be received from here on.

    A trailing slash, the Token scheme and Label Studio's client are Label Studio's; so is a new project with a
    title or a label config but no name. Everything else on a shared path is Kiln's.
    """
    if not SHARED.fullmatch(scope["path"]) or _says_label_studio(Headers(scope=scope)):
        return False, receive
    if scope["method"] != "POST" or scope["path"] != "/api/projects":
        return True, receive
    messages = await _beginning(receive)
    body = b"".join(message.get("body", b"") for message in messages)
    return not _makes_labelling_project(body), _again(messages, receive)


def _says_label_studio(headers: Headers) -> bool:
    scheme = headers.get("authorization", "").partition(" ")[0].lower()
    client = headers.get("x-fern-sdk-name", "") + headers.get("user-agent", "")
    return scheme == "token" or "label-studio" in client.lower() or "label_studio" in client.lower()


async def _beginning(receive: Receive) -> list[Message]:
    """The messages of a body, up to its end or to the limit."""
    messages: list[Message] = []
    size = 0
    while size < PEEK_LIMIT:
        messages.append(await receive())
        size += len(messages[-1].get("body", b""))
        if not messages[-1].get("more_body"):
            break
    return messages


def _makes_labelling_project(body: bytes) -> bool:
    try:
        fields = decode(body, dict[str, Raw])
    except Invalid:
        return False
    return "name" not in fields and bool({"title", "label_config"} & set(fields))


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Receives what was received already, then the rest."""
    waiting = iter(messages)

    async def replayed() -> Message:
        for message in waiting:
            return message
        return await receive()

    return replayed
