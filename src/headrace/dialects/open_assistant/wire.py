"""The shapes of this dialect's bodies, parameters and answers; the published description is made from them.

Requests are read as leniently as the peer reads them: unknown keys are ignored, numbers may arrive as text. Answers
always have all of their keys.
"""

import re
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from headrace.core import text_labels
from headrace.core.errors import Invalid
from headrace.core.messages import TaskKind
from headrace.core.text_labels import Widget
from headrace.core.times import parse_timestamp
from headrace.core.trees import TreeState

__all__ = ["UUID"]

SPACE_BEFORE_ZONE = re.compile(r" (?=\d\d:?\d\d$)", re.ASCII)


class Given(BaseModel):
    """What clients send."""

    model_config = ConfigDict(coerce_numbers_to_str=True, allow_inf_nan=False, protected_namespaces=())


class Shown(BaseModel):
    """What the server answers."""

    model_config = ConfigDict(frozen=True, protected_namespaces=(), json_schema_serialization_defaults_required=True)


def _instant(value: object) -> int:
    """Microseconds of a date-time in the query, where an unescaped plus has become a space."""
    try:
        return parse_timestamp(SPACE_BEFORE_ZONE.sub("+", str(value)))
    except Invalid as error:
        raise PydanticCustomError("datetime", "invalid datetime format") from error


def _label_name(text: str) -> str:
    if text not in text_labels.NAMES:
        expected = ", ".join(f"'{name}'" for name in text_labels.DESCRIPTIONS)
        raise PydanticCustomError("enum", "this is not a text label", {"expected": expected})
    return text


Date = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Id = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Count = Annotated[int, Field(gt=0, le=1000)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
RequestType = TaskKind
LabelName = Annotated[
    str,
    AfterValidator(_label_name),
    WithJsonSchema({"type": "string", "enum": list(text_labels.DESCRIPTIONS)}),
]
LabelValue = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
NoLabels = Annotated[list[float], Field(max_length=0)]


class Failure(Shown):
    """Why a request was refused."""

    error_code: int
    message: str


class Mistake(Shown):
    """What is wrong with one part of a request; `ctx` is there only if there is more to say."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    loc: list[str | int]
    msg: str
    type: str
    ctx: dict[str, object] = {}


class Invalidity(Shown):
    """Why a request was not understood."""

    detail: list[Mistake]


class User(Given):
    """A person, as their frontend knows them."""

    id: str
    display_name: str
    auth_method: Literal["discord", "google", "local", "system"]


class NewFrontendUser(User):
    """A person to be registered or changed; of one who exists only the keys that are there are changed."""

    show_on_leaderboard: bool = True
    enabled: bool = True
    tos_acceptance: bool | None = None
    notes: str | None = None


class TaskRequest(Given):
    """What somebody wants to do."""

    type: RequestType = TaskKind.RANDOM
    user: User | None = None
    collective: bool = False
    lang: str | None = None


class TaskAck(Given):
    """The frontend's own id for a task."""

    message_id: str


class TaskNAck(Given):
    """Why somebody does not want a task."""

    reason: str | None = None


class TaskClose(Given):
    """The id under which a task was acknowledged."""

    message_id: str


class TextReplyToMessage(Given):
    """A message that somebody wrote."""

    type: Literal["text_reply_to_message"] = "text_reply_to_message"
    user: User
    message_id: str
    user_message_id: str
    text: Text
    lang: str | None = None


class MessageRating(Given):
    """A number for a message."""

    type: Literal["message_rating"] = "message_rating"
    user: User
    message_id: str
    rating: Annotated[int, Field(gt=0)]


class MessageRanking(Given):
    """The order of replies, best first, as indices into those shown."""

    type: Literal["message_ranking"] = "message_ranking"
    user: User
    message_id: str
    ranking: Annotated[list[int], Field(min_length=1)]
    not_rankable: bool | None = None


class TextLabels(Given):
    """What somebody thinks of a message: labels with values from 0 to 1."""

    type: Literal["text_labels"] = "text_labels"
    user: User
    message_id: UUID
    task_id: UUID | None = None
    text: str
    labels: Annotated[
        dict[LabelName, LabelValue],
        BeforeValidator(
            lambda value: {} if value == [] else value, json_schema_input_type=dict[LabelName, LabelValue] | NoLabels
        ),
    ]
    is_report: bool | None = None

    @field_validator("labels")
    @classmethod
    def _within(cls, labels: dict[str, float]) -> dict[str, float]:
        if not all(0 <= value <= 1 for value in labels.values()):
            raise ValueError("label values must lie in 0 to 1")
        return labels


Interaction = TextReplyToMessage | MessageRating | MessageRanking | TextLabels
INTERACTIONS: tuple[type[Interaction], ...] = (TextReplyToMessage, MessageRating, MessageRanking, TextLabels)
"""In the order in which they are tried."""


class AvailabilityQuery(Given):
    """For which language."""

    lang: str = "en"


class ValidLabelsQuery(Given):
    """For which message."""

    message_id: UUID | None = None


class FrontendUserQuery(Given):
    """Of which client."""

    api_client_id: UUID | None = None


class OwnMessagesQuery(Given):
    """Which messages of one person."""

    max_count: Count = 10
    desc: bool = True
    api_client_id: UUID | None = None
    start_date: Instant | None = None
    end_date: Instant | None = None
    only_roots: bool = False
    include_deleted: bool = False
    lang: str | None = None


class MessagesQuery(Given):
    """Which messages."""

    max_count: Count = 10
    desc: bool = True
    auth_method: str | None = None
    username: str | None = None
    api_client_id: UUID | None = None
    start_date: Instant | None = None
    end_date: Instant | None = None
    only_roots: bool = False
    allow_deleted: bool = False
    lang: str | None = None


class OwnCursorQuery(Given):
    """Which messages of one person, and from where on."""

    max_count: Count = 10
    desc: bool = False
    before: str | None = None
    after: str | None = None
    api_client_id: UUID | None = None
    only_roots: bool = False
    include_deleted: bool = False
    include_user: bool = False
    lang: str | None = None
    search_query: str | None = None


class CursorQuery(OwnCursorQuery):
    """Which messages, and from where on."""

    auth_method: str | None = None
    username: str | None = None
    user_id: UUID | None = None


class FrontEndUser(Shown):
    """A person."""

    id: str
    display_name: str
    auth_method: str
    user_id: Id
    enabled: bool
    deleted: bool
    notes: str
    created_date: Date
    show_on_leaderboard: bool
    streak_days: int | None
    streak_last_day_date: Date | None
    last_activity_date: Date | None
    tos_acceptance_date: Date | None


class ConversationMessage(Shown):
    """A message as it stands in a conversation."""

    id: Id
    user_id: Id
    frontend_message_id: str
    text: str
    lang: str
    is_assistant: bool
    emojis: dict[str, int]
    user_emojis: list[str]
    user_is_author: bool | None
    synthetic: bool | None


class Message(ConversationMessage):
    """A message with its place in a tree and what became of it."""

    parent_id: Id | None
    created_date: Date
    review_result: bool | None
    review_count: int
    deleted: bool
    edited: bool
    model_name: str | None
    message_tree_id: Id
    ranking_count: int
    rank: int | None
    user: FrontEndUser | None


class Conversation(Shown):
    """Messages from the root on."""

    messages: list[ConversationMessage]


class MessageTree(Shown):
    """Messages of one tree."""

    id: Id
    messages: list[Message]


class MessagePage(Shown):
    """A page of messages, and the cursors of its ends."""

    prev: str | None
    next: str | None
    sort_key: Literal["created_date"] = "created_date"
    items: list[Message]
    order: Literal["asc", "desc"]


class MessageRevision(Shown):
    """What a message said."""

    id: Id
    text: str
    message_id: Id
    user_id: Id | None
    created_date: Date | None
    user_is_author: bool | None


class TreeStateShown(Shown):
    """Where a tree stands."""

    message_tree_id: Id
    state: TreeState
    active: bool
    goal_tree_size: int
    max_children_count: int
    max_depth: int
    origin: str | None


class LabelDescription(Shown):
    """A label, and how a frontend asks for it."""

    name: str
    widget: Widget
    display_text: str
    help_text: str | None


class ValidLabels(Shown):
    """The labels that may be given."""

    valid_labels: list[LabelDescription]


class TaskDone(Shown):
    """Nothing more to do for this task."""

    id: Id
    type: Literal["task_done"] = "task_done"
