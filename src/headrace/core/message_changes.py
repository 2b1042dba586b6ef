"""What happens to a message after it was written: emojis, reports, edits, deletion; and what moderation follows."""

import json
import random
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from headrace.core import content, conversations, messages, persons, records, tree_growth
from headrace.core.conversations import Conversations
from headrace.core.errors import Invalid
from headrace.core.faults import Fault, fault
from headrace.core.messages import Flagged, Message, Role
from headrace.core.persons import Person
from headrace.core.records import NewRecord
from headrace.core.rights import Principal
from headrace.core.trees import ENDED, Settled, TreeState

if TYPE_CHECKING:
    from headrace.core.store import Tx

THUMBS_UP, THUMBS_DOWN = "+1", "-1"
RED_FLAG = "red_flag"
EMOJIS = frozenset(
    {
        THUMBS_UP,
        THUMBS_DOWN,
        RED_FLAG,
        "100",
        "rofl",
        "clap",
        "diamond",
        "heart_eyes",
        "disappointed",
        "poop",
        "skull",
    }
)
SKIPS = {"reply": "_skip_reply", "ranking": "_skip_ranking", "labeling": "_skip_labeling"}


class EmojiOp(StrEnum):
    """What to do with an emoji."""

    TOGGLE = "toggle"
    ADD = "add"
    REMOVE = "remove"


def body(role: Role, lang: str, text: str) -> str:
    """A message as the JSON text of its record."""
    return json.dumps({"text": text, "role": role.value, "lang": lang}, ensure_ascii=False, separators=(",", ":"))


def react(
    tx: "Tx", who: Principal, person: Person, record_id: int, emoji: str, op: EmojiOp, rng: random.Random
) -> Message:
    """Give or take back an emoji; thumbs exclude each other and mean nothing on one's own message.

    Raises emoji_not_supported, message_not_found, person_disabled.
    """
    collection = conversations.open_(tx, who)
    persons.require_able(person, terms=False)
    if emoji not in EMOJIS:
        raise fault(Fault.EMOJI_NOT_SUPPORTED, "there is no such emoji")
    message = messages.required(tx, who, collection, record_id)
    if emoji in (THUMBS_UP, THUMBS_DOWN) and message.author_id == person.id:
        return message
    given = emoji in tx.messages.emojis_of(person.id, [record_id]).get(record_id, ())
    if op is EmojiOp.REMOVE or (op is EmojiOp.TOGGLE and given):
        return _uncount(tx, message, person.id, emoji)
    return mark(tx, who, collection, message, person.id, emoji, rng=rng)


def mark(
    tx: "Tx",
    who: Principal,
    collection: Conversations,
    message: Message,
    person_id: int,
    emoji: str,
    *,
    rng: random.Random,
) -> Message:
    """Put a person's emoji or skip on a message, once, and let moderation follow; answers the message after that."""
    opposite = {THUMBS_UP: THUMBS_DOWN, THUMBS_DOWN: THUMBS_UP}.get(emoji)
    if opposite:
        message = _uncount(tx, message, person_id, opposite)
    if not tx.messages.add_emoji(message.id, person_id, emoji):
        return message
    counts = {**message.emojis, emoji: message.emojis.get(emoji, 0) + 1}
    tx.messages.change(message, counted := message._replace(emojis=counts))
    _moderate(tx, who, collection, counted, rng)
    return tx.messages.get(collection.id, message.id) or counted


def _uncount(tx: "Tx", message: Message, person_id: int, emoji: str) -> Message:
    if not tx.messages.remove_emoji(message.id, person_id, emoji):
        return message
    left = {**message.emojis, emoji: message.emojis.get(emoji, 1) - 1}
    after = message._replace(emojis={name: count for name, count in left.items() if count > 0})
    tx.messages.change(message, after)
    return after


def _moderate(tx: "Tx", who: Principal, collection: Conversations, message: Message, rng: random.Random) -> None:
    """Act on a message that was flagged or skipped too often."""
    config = collection.config
    if not config.auto_mod_enabled:
        return
    tree = tree_growth.load(tx, message.tree_id)
    if tree.tree.state in ENDED:
        return
    if message.emojis.get(RED_FLAG, 0) >= config.auto_mod_red_flags and not message.deleted:
        after = (
            tree_growth.changed(tree, state=TreeState.ABORTED_LOW_GRADE)
            if message.parent_id is None
            else with_deleted(tree, [item.id for item in messages.below(tree.messages, message.id)], True)
        )
        tree = tree_growth.advance(tx, who, collection, tree, after, rng)
    if message.emojis.get(SKIPS["reply"], 0) >= config.auto_mod_max_skip_reply and tree.tree.state not in ENDED:
        halted = tree_growth.changed(tree, state=TreeState.HALTED_BY_MODERATOR)
        tree_growth.advance(tx, who, collection, tree, halted, rng)


def with_deleted(tree: Settled, record_ids: Iterable[int], deleted: bool) -> Settled:
    """The tree with these messages deleted, or not any more."""
    chosen = set(record_ids)
    return Settled(tree.tree, [item._replace(deleted=deleted) if item.id in chosen else item for item in tree.messages])


def delete(tx: "Tx", who: Principal, record_id: int, rng: random.Random) -> None:
    """Mark a message and everything below it as deleted; only trusted clients may."""
    collection = conversations.open_(tx, who, conversations.MODERATE)
    message = messages.required(tx, who, collection, record_id)
    tree = tree_growth.load(tx, message.tree_id)
    gone = [item.id for item in messages.below(tree.messages, record_id)]
    tree_growth.advance(tx, who, collection, tree, with_deleted(tree, gone, True), rng)
    _event(tx, who, collection, "messages.deleted", gone)


def undelete(tx: "Tx", who: Principal, record_id: int, rng: random.Random) -> None:
    """Bring a message and those above it back; only trusted clients may. A tree that was stopped stays so."""
    collection = conversations.open_(tx, who, conversations.MODERATE)
    message = messages.required(tx, who, collection, record_id)
    tree = tree_growth.load(tx, message.tree_id)
    back = [item.id for item in messages.path(tree.messages, record_id)]
    tree_growth.advance(tx, who, collection, tree, with_deleted(tree, back, False), rng)
    _event(tx, who, collection, "messages.undeleted", back)


def delete_all_of(tx: "Tx", who: Principal, author_id: int, rng: random.Random) -> int:
    """Delete all that a person wrote, with what hangs on it; only trusted clients may. Answers how many they wrote.

    Raises person_not_found.
    """
    collection = conversations.open_(tx, who, conversations.MODERATE)
    persons.get(tx, who, author_id)
    mine = messages.Filter(author_id=author_id)
    count = 0
    while found := tx.messages.page(collection.id, messages.PageRequest(wanted=mine, limit=100)):
        for message in found:
            delete(tx, who, message.id, rng)
        count += len(found)
    return count


def edit(tx: "Tx", who: Principal, person: Person, record_id: int, text: str) -> None:
    """Give a message another text and keep what it said; only trusted clients may.

    Raises message_empty and message_too_long.
    """
    collection = conversations.open_(tx, who, conversations.MODERATE)
    message = messages.required(tx, who, collection, record_id)
    words = checked_text(collection, text)
    if not tx.messages.revisions(record_id):
        tx.messages.add_revision(record_id, message.text, message.author_id, message.created_at)
    tx.messages.add_revision(record_id, words, person.id, tx.now())
    row = NewRecord(None, content.Kind.MESSAGE, body(message.role, message.lang, words), None, message.created_at)
    records.change(tx, [(record_id, row)])
    tx.messages.change(message, message._replace(edited=True))
    _event(tx, who, collection, "messages.edited", [record_id])


def process_flag(tx: "Tx", who: Principal, record_id: int) -> Flagged:
    """Take a reported message off the list; only trusted clients may. Raises message_not_found."""
    collection = conversations.open_(tx, who, conversations.MODERATE)
    messages.required(tx, who, collection, record_id)
    found = tx.messages.process_flag(record_id)
    if found is None:
        raise fault(Fault.MESSAGE_NOT_FOUND, "that message was not reported")
    return found


def checked_text(collection: Conversations, text: str) -> str:
    """The text without space around it; raises message_empty and message_too_long."""
    words = text.strip()
    if not words:
        raise fault(Fault.MESSAGE_EMPTY, "the message has no text")
    if len(words) > collection.config.message_size_limit:
        raise fault(Fault.MESSAGE_TOO_LONG, f"a message has at most {collection.config.message_size_limit} characters")
    return words


def checked_lang(lang: str) -> str:
    """A language's tag: 1 to 32 characters; raises Invalid."""
    if not 0 < len(lang) <= 32:
        raise Invalid("lang must have 1 to 32 characters", fields={"lang": lang[:40]})
    return lang


def _event(tx: "Tx", who: Principal, collection: Conversations, kind: str, record_ids: list[int]) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=collection.dataset.project_id,
        dataset_id=collection.id,
        subject_id=record_ids[0] if record_ids else None,
        data={"records": record_ids},
    )
