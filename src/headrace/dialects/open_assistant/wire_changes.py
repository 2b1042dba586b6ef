"""The shapes of what is done to messages, and of what moderators and a server's admin do."""

from typing import Annotated, Literal

from pydantic import Field

from headrace.core.message_changes import EmojiOp
from headrace.dialects.open_assistant.wire import Count, Date, Given, Id, Shown, User


class TreeQuery(Given):
    """Which messages of a tree."""

    include_spam: bool = True
    include_deleted: bool = False


class HaltQuery(Given):
    """Whether a tree shall stop or go on."""

    halt: bool


class MessageEdit(Given):
    """What a message shall say from now on, and who says so."""

    user: User
    new_content: str


class MessageEmoji(Given):
    """What somebody does with an emoji."""

    user: User
    op: EmojiOp = EmojiOp.TOGGLE
    emoji: str


class NewApiClient(Given):
    """A client to be made."""

    description: str
    frontend_type: str
    trusted: bool = False
    admin_email: str | None = None


class FlaggedQuery(Given):
    """How many reported messages."""

    max_count: Count = 10


class FlaggedCursorQuery(FlaggedQuery):
    """Which reported messages, and from where on."""

    before: str | None = None
    after: str | None = None
    desc: bool = False


class FlaggedMessage(Shown):
    """A message that somebody reported."""

    message_id: Id
    processed: bool
    created_date: Date


class FlaggedPage(Shown):
    """A page of reported messages, and the cursors of its ends."""

    prev: str | None
    next: str | None
    sort_key: Literal["created_date"] = "created_date"
    items: list[FlaggedMessage]
    order: Annotated[str, Field(pattern="^(asc|desc)$")]
