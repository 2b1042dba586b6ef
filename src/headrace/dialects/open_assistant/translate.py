"""Values of the core as this dialect shows them, and its cursors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from msgspec import Struct

from headrace.core import messages, persons
from headrace.core.errors import Invalid
from headrace.core.messages import Mark, Message, Revision, Role
from headrace.core.persons import Person
from headrace.core.rights import Principal
from headrace.core.store import Tx
from headrace.core.text_labels import LabelDescription
from headrace.core.times import format_timestamp, parse_timestamp
from headrace.core.trees import Tree
from headrace.decode import Raw, encode
from headrace.dialects.open_assistant import wire
from headrace.dialects.open_assistant.boundary import INVALID_CURSOR, encoded, refused
from headrace.dialects.open_assistant.ids import Kind, number_of, uuid_of

CURSOR = re.compile(r"(?:([0-9a-fA-F-]{36})\$)?([^$]+)", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What messages are shown with: who looks at them, what they gave to each, and the authors where wanted."""

    viewer: Person | None = None
    emojis: Mapping[int, Sequence[str]] = field(default_factory=dict)
    authors: Mapping[int, Person] = field(default_factory=dict)


def view_of(tx: Tx, who: Principal, viewer: Person | None, found: Sequence[Message], *, authors: bool = False) -> View:
    """How these messages look to somebody (None: to nobody), with their authors if wanted."""
    return View(
        viewer=viewer,
        emojis=messages.user_emojis(tx, viewer.id if viewer else None, found),
        authors=persons.authors(tx, who, {item.author_id for item in found}) if authors else {},
    )


def date(micros: int) -> str:
    """An instant with microseconds and offset."""
    minutes, rest = divmod(micros, 60_000_000)
    seconds, micros = divmod(rest, 1_000_000)
    return f"{_minute(minutes)}:{seconds:02}.{micros:06}+00:00"


@lru_cache(maxsize=1024)
def _minute(minutes: int) -> str:
    return format_timestamp(minutes * 60_000_000)[:16]


def optional_date(micros: int | None) -> str | None:
    """The same for one that may be missing."""
    return None if micros is None else date(micros)


def user(person: Person) -> wire.FrontEndUser:
    """A person."""
    return wire.FrontEndUser(
        id=person.username,
        display_name=person.display_name,
        auth_method=person.auth_method,
        user_id=uuid_of(person.id, Kind.USER),
        enabled=person.enabled,
        deleted=person.deleted,
        notes=person.notes,
        created_date=date(person.created_at),
        show_on_leaderboard=person.show_on_leaderboard,
        streak_days=person.streak_days,
        streak_last_day_date=optional_date(person.streak_at),
        last_activity_date=optional_date(person.last_activity_at),
        tos_acceptance_date=optional_date(person.tos_accepted_at),
    )


def _spoken(found: Message, view: View, synthetic: bool | None) -> dict[str, object]:
    return {
        "id": uuid_of(found.id, Kind.MESSAGE),
        "user_id": uuid_of(found.author_id, Kind.USER),
        "frontend_message_id": found.frontend_id,
        "text": found.text,
        "lang": found.lang,
        "is_assistant": found.role is Role.ASSISTANT,
        "emojis": dict(found.emojis),
        "user_emojis": list(view.emojis.get(found.id, ())),
        "user_is_author": None if view.viewer is None else view.viewer.id == found.author_id,
        "synthetic": synthetic,
    }


def spoken(found: Message, view: View, *, reveal: bool = True) -> wire.ConversationMessage:
    """A message as it stands in a conversation; without `reveal` it does not tell whether it is synthetic."""
    return wire.ConversationMessage.model_validate(_spoken(found, view, found.synthetic if reveal else None))


def conversation(found: Sequence[Message], view: View) -> wire.Conversation:
    """Messages from the root on."""
    return wire.Conversation(messages=[spoken(item, view) for item in found])


def message(found: Message, view: View) -> wire.Message:
    """A message with all that is known of it."""
    author = view.authors.get(found.author_id)
    return wire.Message.model_validate(
        _spoken(found, view, found.synthetic)
        | {
            "parent_id": None if found.parent_id is None else uuid_of(found.parent_id, Kind.MESSAGE),
            "created_date": date(found.created_at),
            "review_result": found.accepted,
            "review_count": found.review_count,
            "deleted": found.deleted,
            "edited": found.edited,
            "model_name": found.model_name,
            "message_tree_id": uuid_of(found.tree_id, Kind.MESSAGE),
            "ranking_count": found.ranking_count,
            "rank": found.rank,
            "user": user(author) if author else None,
        }
    )


class _Listed(Struct, gc=False):
    """A message in a list: the fields of `wire.Message` in their order."""

    id: str
    user_id: str
    frontend_message_id: str
    text: str
    lang: str
    is_assistant: bool
    emojis: Mapping[str, int]
    user_emojis: Sequence[str]
    user_is_author: bool | None
    synthetic: bool
    parent_id: str | None
    created_date: str
    review_result: bool | None
    review_count: int
    deleted: bool
    edited: bool
    model_name: str | None
    message_tree_id: str
    ranking_count: int
    rank: int | None
    user: Raw | None


class _Ids(dict[int, str]):
    """The UUIDs of a kind by their numbers, each written once: in a list most of them recur."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self._kind = kind

    def __missing__(self, number: int) -> str:
        text = self[number] = uuid_of(number, self._kind)
        return text


def messages_json(found: Sequence[Message], view: View) -> bytes:
    """Messages as JSON, the same as of `message` but several times faster: lists are long (benchmark conversations)."""
    ids, users = _Ids(Kind.MESSAGE), _Ids(Kind.USER)
    authors = {number: Raw(encoded(user(person))) for number, person in view.authors.items()}
    viewer_id = view.viewer.id if view.viewer else None
    return encode(
        [
            _Listed(
                ids[item.id],
                users[item.author_id],
                item.frontend_id,
                item.text,
                item.lang,
                item.role is Role.ASSISTANT,
                item.emojis,
                view.emojis.get(item.id, ()),
                None if viewer_id is None else viewer_id == item.author_id,
                item.synthetic,
                None if item.parent_id is None else ids[item.parent_id],
                date(item.created_at),
                item.accepted,
                item.review_count,
                item.deleted,
                item.edited,
                item.model_name,
                ids[item.tree_id],
                item.ranking_count,
                item.rank,
                authors.get(item.author_id),
            )
            for item in found
        ]
    )


def tree_of(found: Sequence[Message], tree_id: int, view: View) -> wire.MessageTree:
    """Messages of one tree."""
    return wire.MessageTree(id=uuid_of(tree_id, Kind.MESSAGE), messages=[message(item, view) for item in found])


def tree_state(tree: Tree) -> wire.TreeStateShown:
    """Where a tree stands."""
    return wire.TreeStateShown(
        message_tree_id=uuid_of(tree.id, Kind.MESSAGE),
        state=tree.state,
        active=tree.active,
        goal_tree_size=tree.goal,
        max_children_count=tree.max_children,
        max_depth=tree.max_depth,
        origin=tree.origin,
    )


def revision(found: Revision, view: View) -> wire.MessageRevision:
    """What a message said."""
    known = found.author_id is not None and view.viewer is not None
    return wire.MessageRevision(
        id=uuid_of(found.id, Kind.REVISION),
        text=found.text,
        message_id=uuid_of(found.record_id, Kind.MESSAGE),
        user_id=None if found.author_id is None else uuid_of(found.author_id, Kind.USER),
        created_date=date(found.created_at),
        user_is_author=view.viewer.id == found.author_id if known and view.viewer else None,
    )


def labels(found: Sequence[LabelDescription]) -> list[wire.LabelDescription]:
    """Labels, and how a frontend asks for them."""
    return [
        wire.LabelDescription(
            name=item.name, widget=item.widget, display_text=item.display_text, help_text=item.help_text
        )
        for item in found
    ]


def mark_of(text: str | None) -> Mark | None:
    """The place that a cursor among messages names; one that is only a date is inclusive. Raises code 101."""
    if not text:
        return None
    found = CURSOR.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        when = parse_timestamp(wire.SPACE_BEFORE_ZONE.sub("+", found[2]))
        return Mark(when, None if found[1] is None else number_of(wire.UUID(found[1]), Kind.MESSAGE))
    except (Invalid, ValueError) as error:
        raise refused(INVALID_CURSOR, "the cursor is not one of this server's") from error


def cursor(found: Message) -> str:
    """The place of a message."""
    return f"{uuid_of(found.id, Kind.MESSAGE)}${date(found.created_at)}"


def page_json(found: messages.Page, request: messages.PageRequest, view: View) -> bytes:
    """A page of messages as JSON; an empty one leads back to where it was asked for."""
    before, after = (item and date(item.created_at) for item in (request.before, request.after))
    items = found.items
    previous = cursor(items[0]) if items and found.has_previous else None if items else after
    following = cursor(items[-1]) if items and found.has_next else None if items else before
    shown = wire.MessagePage(prev=previous, next=following, items=[], order="desc" if request.descending else "asc")
    head, _, tail = encoded(shown).partition(b"[]")
    return head + messages_json(items, view) + tail
