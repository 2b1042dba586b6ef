"""Exporting conversations: whole trees or single messages as JSON lines, chats for training, and preference pairs.

Lines are made page by page, each page from a short read of its own, so an export of any size holds little in memory
and nothing up. A tree is written as it stands when its page is read.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, islice
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from headrace.core import conversations, text_labels
from headrace.core.annotations import Annotation
from headrace.core.conversations import READ, Conversations
from headrace.core.errors import Invalid
from headrace.core.messages import Message, Role, path
from headrace.core.rankings import Ranking, agreement
from headrace.core.rights import Permission, Principal
from headrace.core.times import format_timestamp
from headrace.core.trees import Tree, TreeState
from headrace.core.uuids import Kind, number_of, uuid_of

if TYPE_CHECKING:
    from headrace.core.store import Store, Tx

T = TypeVar("T")
PAGE = 50
NEEDS = (*READ, Permission.EXPORT_DATASETS)
Naming = Callable[[str, int], str]
"""How ids are written: the kind of thing (`message`, `message_tree`, `user`) and its id become text."""
Seen = Callable[[int], None]
"""Told of every page of trees how many these were, when all of their lines were made."""
CHAT_ROLES: Mapping[Role, str] = {Role.PROMPTER: "user", Role.ASSISTANT: "assistant"}


class Take(StrEnum):
    """Whether messages of a sort are left out, taken along, or the only ones wanted."""

    EXCLUDE = "exclude"
    INCLUDE = "include"
    ONLY = "only"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What is exported. `states` None means every state; `spam` is what was not accepted; `lang` is the prompt's.

    Asking for one person's messages, or only for some sort of them, takes trees apart: then lines are messages.
    """

    states: frozenset[TreeState] | None = frozenset({TreeState.READY_FOR_EXPORT})
    lang: str | None = None
    deleted: Take = Take.EXCLUDE
    spam: Take = Take.EXCLUDE
    synthetic: Take = Take.INCLUDE
    prompts_only: bool = False
    labels: bool = False
    events: bool = False
    author_id: int | None = None
    limit: int | None = None

    @property
    def flat(self) -> bool:
        """True when lines are messages instead of trees."""
        return self.author_id is not None or Take.ONLY in (self.deleted, self.spam, self.synthetic)

    def takes(self, message: Message) -> bool:
        """True for a message that is exported."""
        sorts = (
            (self.deleted, message.deleted),
            (self.spam, message.accepted is not True),
            (self.synthetic, message.synthetic),
        )
        if any((take is Take.EXCLUDE and holds) or (take is Take.ONLY and not holds) for take, holds in sorts):
            return False
        return self.author_id in (None, message.author_id)


class Layout(StrEnum):
    """What a line of an export is."""

    TREES = "trees"
    CHAT = "chat"
    PREFERENCES = "preferences"


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """How what was chosen is written. `naming` matters to trees, `best_only` to chats."""

    layout: Layout = Layout.TREES
    naming: Naming
    best_only: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Page:
    """Some trees with all that is said of their messages."""

    trees: Sequence[Tree]
    messages: Mapping[int, Sequence[Message]]
    annotations: Mapping[int, Sequence[Annotation]]
    rankings: Mapping[int, Sequence[Ranking]]
    emojis: Mapping[int, Sequence[tuple[int, str]]]


def unseen(_count: int) -> None:
    """Nobody asks how far an export is."""


def open_names(kind: str, number: int) -> str:
    """Ids as the API of conversations writes them."""
    return uuid_of(number, Kind.USER if kind == "user" else Kind.MESSAGE)


def person_id(text: str) -> int:
    """The person that a UUID names, 0 for nobody; raises Invalid for a text that is no UUID."""
    try:
        return number_of(UUID(text), Kind.USER)
    except ValueError:
        raise Invalid("user must be a UUID", fields={"user": text[:60]}) from None


def anonymised(seed: str) -> Naming:
    """Ids that tell nothing, the same for the same seed: SHA-256 of `kind:id` and the seed, in hex digits."""

    def name(kind: str, number: int) -> str:
        return hashlib.sha256(f"{kind}:{number}{seed}".encode()).hexdigest()

    return name


def check(tx: "Tx", who: Principal) -> Conversations:
    """The collection, when the caller may export it; raises client_not_authorised."""
    return conversations.load(tx, who, NEEDS)


def begin(tx: "Tx", who: Principal, choice: Choice, layout: Layout) -> int:
    """Say in the log that somebody takes conversations away; answers how many trees there are to look through.

    Raises client_not_authorised.
    """
    collection = check(tx, who)
    tx.events.add(
        "conversations.exported",
        actor_id=who.user_id,
        project_id=collection.dataset.project_id,
        dataset_id=collection.id or None,
        subject_id=collection.id or None,
        data={"layout": layout.value},
    )
    return tx.trees.total(collection.id, choice.states, choice.lang)


def texts(store: "Store", who: Principal, choice: Choice, form: Form, seen: Seen = unseen) -> Iterator[str]:
    """The lines of an export as it was asked for, at most as many as chosen."""
    if form.layout is Layout.CHAT:
        return islice(chats(store, who, choice, best_only=form.best_only, seen=seen), choice.limit)
    if form.layout is Layout.PREFERENCES:
        return islice(preferences(store, who, choice, seen=seen), choice.limit)
    return lines(store, who, choice, form.naming, seen=seen)


def lines(
    store: "Store", who: Principal, choice: Choice, naming: Naming = open_names, *, seen: Seen = unseen
) -> Iterator[str]:
    """The trees (or messages) chosen, one JSON text each without a line break; only those the caller may export."""
    count = 0
    for page in _pages(store, who, choice, seen):
        for tree in page.trees:
            for line in _tree_lines(page, tree, choice, naming):
                if count == choice.limit:
                    return
                count += 1
                yield _dumps(line)


def chats(
    store: "Store", who: Principal, choice: Choice, *, best_only: bool = False, seen: Seen = unseen
) -> Iterator[str]:
    """Conversations for fine-tuning, one JSON text each: `{"messages": [{"role", "content"}], "lang"}`.

    Every chain of accepted messages from a prompt to its last assistant reply is one; with `best_only` only those
    whose every reply was ranked first (or has no rank).
    """
    for page in _pages(store, who, choice, seen):
        for tree in page.trees:
            found = [item for item in page.messages[tree.id] if choice.takes(item)]
            for end in _ends(found):
                chain = path(found, end.id)
                if chain[0].parent_id is None and not (best_only and any(item.rank for item in chain)):
                    yield _dumps({"messages": [_turn(item) for item in chain], "lang": tree.lang})


def preferences(store: "Store", who: Principal, choice: Choice, *, seen: Seen = unseen) -> Iterator[str]:
    """Pairs of ranked replies, one JSON text each: `prompt` (turns), `chosen` and `rejected` (a turn each).

    `judges` is how many people compared the two, `agreement` the share of them who prefer the chosen one.
    """
    for page in _pages(store, who, choice, seen):
        for tree in page.trees:
            yield from map(_dumps, _pairs(page, tree, choice))


def _pairs(page: _Page, tree: Tree, choice: Choice) -> Iterator[dict[str, object]]:
    found = [item for item in page.messages[tree.id] if choice.takes(item)]
    for parent in found:
        replies = sorted((item for item in found if item.parent_id == parent.id), key=_by_rank)
        orders = [ranking.order for ranking in page.rankings.get(parent.id, ())]
        for better, worse in combinations([item for item in replies if item.rank is not None], 2):
            agreed, judges = agreement(orders, better.id, worse.id)
            yield {
                "prompt": [_turn(item) for item in path(found, parent.id)],
                "chosen": _turn(better),
                "rejected": _turn(worse),
                "judges": judges,
                "agreement": agreed / judges if judges else None,
                "lang": tree.lang,
            }


def _ends(found: Sequence[Message]) -> list[Message]:
    """The assistant replies behind which no other one follows."""
    parents = {item.id: item.parent_id for item in found}
    followed = {parents.get(item.parent_id or 0) for item in found if item.role is Role.ASSISTANT}
    return [item for item in found if item.role is Role.ASSISTANT and item.id not in followed]


def _turn(message: Message) -> dict[str, str]:
    return {"role": CHAT_ROLES[message.role], "content": message.text}


def _pages(store: "Store", who: Principal, choice: Choice, seen: Seen) -> Iterator[_Page]:
    after = 0
    while page := store.read(lambda tx, after=after: _page(tx, who, choice, after)):  # type: ignore[misc]
        after = page.trees[-1].id
        yield page
        seen(len(page.trees))


def _page(tx: "Tx", who: Principal, choice: Choice, after: int) -> _Page | None:
    collection = check(tx, who)
    found = tx.trees.page(collection.id, choice.states, choice.lang, after, PAGE)
    if not found:
        return None
    messages: dict[int, list[Message]] = {tree.id: [] for tree in found}
    for message in tx.messages.of_trees(list(messages)):
        if collection.shows(who, message.client_id):
            messages[message.tree_id].append(message)
    record_ids = [item.id for items in messages.values() for item in items]
    said = tx.annotations.of_records(collection.id, record_ids) if choice.labels else ()
    return _Page(
        trees=found,
        messages=messages,
        annotations=_grouped((item.record_id, item) for item in said),
        rankings=_grouped((item.parent_id, item) for item in tx.trees.rankings(list(messages))),
        emojis=_grouped(
            (record_id, (person_id, emoji))
            for record_id, person_id, emoji in (tx.messages.emoji_events(record_ids) if choice.events else ())
        ),
    )


def _grouped(pairs: Iterable[tuple[int, T]]) -> dict[int, list[T]]:
    found: dict[int, list[T]] = {}
    for key, item in pairs:
        found.setdefault(key, []).append(item)
    return found


def _tree_lines(page: _Page, tree: Tree, choice: Choice, naming: Naming) -> Iterator[dict[str, object]]:
    taken = [item for item in page.messages[tree.id] if choice.takes(item)]
    if choice.prompts_only:
        taken = [item for item in taken if item.parent_id is None]
    nodes = {item.id: _node(page, item, choice, naming) for item in taken}
    about = {"message_tree_id": naming("message_tree", tree.id), "tree_state": tree.state.value}
    if choice.flat:
        yield from ({**node, **about} for node in nodes.values())
        return
    for item in sorted(taken, key=_by_rank):
        parent = nodes.get(item.parent_id or 0)
        if parent is not None:
            replies = parent["replies"]
            assert isinstance(replies, list)
            replies.append(nodes[item.id])
    root = nodes.get(tree.id)
    if root is not None:
        yield {**about, **({"origin": tree.origin} if tree.origin else {}), "prompt": root}


def _node(page: _Page, message: Message, choice: Choice, naming: Naming) -> dict[str, object]:
    node: dict[str, object | None] = {
        "message_id": naming("message", message.id),
        "parent_id": None if message.parent_id is None else naming("message", message.parent_id),
        "user_id": naming("user", message.author_id),
        "created_date": format_timestamp(message.created_at).replace("Z", "+00:00"),
        "text": message.text,
        "role": message.role.value,
        "lang": message.lang,
        "review_count": message.review_count,
        "review_result": message.accepted,
        "deleted": message.deleted,
        "rank": message.rank,
        "synthetic": message.synthetic,
        "model_name": message.model_name,
        "emojis": dict(message.emojis) or None,
        "labels": _labels(page.annotations.get(message.id, ())) or None,
        "events": (_events(page, message, naming) or None) if choice.events else None,
    }
    if not choice.flat:
        node["replies"] = []
    return {name: value for name, value in node.items() if value is not None}


def _labels(said: Sequence[Annotation]) -> dict[str, object]:
    """The mean of each label over everybody who gave it, in a task or freely."""
    values: dict[str, list[float]] = {}
    for annotation in said:
        for name, value in text_labels.values_of(annotation.judgement.extra).items():
            values.setdefault(name, []).append(value)
    return {
        name: {"value": sum(found) / len(found), "count": len(found)}
        for name, found in sorted(values.items(), key=lambda item: list(text_labels.DESCRIPTIONS).index(item[0]))
    }


def _events(page: _Page, message: Message, naming: Naming) -> dict[str, object]:
    found: dict[str, list[dict[str, object]]] = {"emoji": [], "ranking": []}
    for person_id, emoji in page.emojis.get(message.id, ()):
        found["emoji"].append({"type": "emoji", "user_id": naming("user", person_id), "emoji": emoji})
    for ranking in page.rankings.get(message.id, ()):
        event: dict[str, object | None] = {
            "type": "ranking",
            "user_id": naming("user", ranking.person_id),
            "ranking": list(range(len(ranking.order))),
            "ranked_message_ids": [naming("message", item) for item in ranking.order],
            "ranking_parent_id": naming("message", ranking.parent_id),
            "message_tree_id": naming("message_tree", ranking.tree_id),
            "not_rankable": ranking.not_rankable,
        }
        found["ranking"].append({name: value for name, value in event.items() if value is not None})
    return {name: events for name, events in found.items() if events}


def _by_rank(message: Message) -> tuple[bool, int, int, int]:
    return message.rank is None, message.rank or 0, message.created_at, message.id


def _dumps(line: Mapping[str, object]) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))
