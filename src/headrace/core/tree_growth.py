"""Trees in the store: writing what follows from a change, the lottery, and moderators who stop and restart them.

All of this runs in a collection that is held (`conversations.open_`), so what was read stays true until the end.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from headrace.core import conversations, messages, persons, tree_choice
from headrace.core.conversations import Conversations
from headrace.core.faults import Fault, fault
from headrace.core.messages import Message
from headrace.core.persons import DAY
from headrace.core.rights import Principal
from headrace.core.text_labels import Review, accepted
from headrace.core.trees import ACTIVE, ENDED, Settled, Tree, TreeState, reactivated, settle

if TYPE_CHECKING:
    from headrace.core.store import Tx

S = TreeState
MONTH = 30 * DAY
DRAWS_PER_REQUEST = 2
DRAWS_PER_LOOK = 1


def load(tx: "Tx", tree_id: int) -> Settled:
    """A tree with its messages by date; raises message_not_found."""
    tree = tx.trees.get(tree_id)
    if tree is None:
        raise fault(Fault.MESSAGE_NOT_FOUND, "there is no such tree")
    return Settled(tree, tx.messages.of_trees([tree_id]))


def around(tx: "Tx", collection: Conversations, record_id: int | None) -> tuple[Settled, Message]:
    """The tree of a message with all its messages by date, and that message; raises message_not_found."""
    tree = None if record_id is None else tx.trees.holding(collection.id, record_id)
    if tree is None:
        raise fault(Fault.MESSAGE_NOT_FOUND, "the message was deleted")
    found = tx.messages.of_trees([tree.id])
    return Settled(tree, found), next(item for item in found if item.id == record_id)


def advance(
    tx: "Tx", who: Principal, collection: Conversations, before: Settled, after: Settled, rng: random.Random
) -> Settled:
    """Settle a tree that was changed and write all that differs from before, new messages included; a tree that ends
    may wake another."""
    found = settle(after.tree, after.messages, collection.config)
    if found.tree.state is S.READY_FOR_EXPORT and before.tree.state is not S.READY_FOR_EXPORT:
        found = settle(after.tree, after.messages, collection.config, tx.trees.rankings([found.tree.id]))
    tx.trees.change(before.tree, found.tree)
    known = {item.id: item for item in before.messages}
    for item in found.messages:
        if item.id not in known:
            tx.messages.insert(collection.id, item)
        elif item is not known[item.id]:
            tx.messages.change(known[item.id], item)
    if found.tree.state is not before.tree.state:
        _moved(tx, who, collection, before.tree, found.tree)
        if found.tree.state in ENDED and before.tree.state not in ENDED:
            _wake(tx, who, collection, found.tree.lang, rng)
    return found


def changed(tree: Settled, *, only: Message | None = None, state: TreeState | None = None) -> Settled:
    """The tree with one message replaced, and in another state, where given."""
    moved = tree.tree if state is None else replace(tree.tree, state=state)
    if only is None:
        return Settled(moved, tree.messages)
    return Settled(moved, [only if item.id == only.id else item for item in tree.messages])


def reviewed(collection: Conversations, message: Message, reviews: Sequence[Review]) -> Message:
    """The message after these reviews: decided as soon as there are enough of them, and then for good."""
    config, is_prompt = collection.config, message.parent_id is None
    needed = config.num_reviews_initial_prompt if is_prompt else config.num_reviews_reply
    counted = message._replace(review_count=len(reviews))
    if message.accepted is not None or not reviews or len(reviews) < needed:
        return counted
    threshold = config.acceptance_threshold_initial_prompt if is_prompt else config.acceptance_threshold_reply
    return counted._replace(accepted=accepted(reviews, threshold))


def lottery(
    tx: "Tx", who: Principal, collection: Conversations, lang: str, at_most: int, rng: random.Random
) -> Mapping[TreeState, int]:
    """Let prompts that wait grow while there are fewer active trees than wanted; answers how many trees of the
    language are then in each state up to growing."""
    for _ in range(at_most):
        counts = tx.trees.young(collection.id, lang)
        waits = counts.get(S.PROMPT_LOTTERY_WAITING) and counts.get(S.GROWING, 0) < collection.config.max_active_trees
        waiting = tx.trees.waiting(collection.id, lang) if waits else {}
        if not waiting:
            return counts
        first = tx.trees.first_places(sorted(waiting), tx.now() - MONTH)
        tree = load(tx, tree_choice.prompt_drawn(rng, waiting, first))
        start = Settled(replace(tree.tree, state=S.GROWING, drawn_at=tx.now()), tree.messages)
        advance(tx, who, collection, tree, start, rng)
    return tx.trees.young(collection.id, lang)


def state(tx: "Tx", who: Principal, record_id: int) -> Tree:
    """The tree that a message belongs to; raises message_not_found."""
    message = messages.get(tx, who, record_id)
    return load(tx, message.tree_id).tree


def halt(tx: "Tx", who: Principal, record_id: int, *, stop: bool, rng: random.Random) -> Tree:
    """Stop the tree of a message, or let it go on where it belongs; only trusted clients may."""
    collection = conversations.open_(tx, who, conversations.MODERATE)
    message = messages.required(tx, who, collection, record_id)
    tree = load(tx, message.tree_id)
    if stop:
        return advance(tx, who, collection, tree, changed(tree, state=S.HALTED_BY_MODERATOR), rng).tree
    again = reactivated(tree.tree)
    if again.state is S.INITIAL_PROMPT_REVIEW and tree.tree.state in ENDED:
        reopened = [item._replace(accepted=item.accepted or None) for item in tree.messages]
        return advance(tx, who, collection, tree, Settled(again, reopened), rng).tree
    return advance(tx, who, collection, tree, Settled(again, tree.messages), rng).tree


def withdraw(tx: "Tx", who: Principal, author_id: int, rng: random.Random) -> int:
    """Halt the prompts of somebody who was disabled that wait for the lottery; answers how many."""
    collection = conversations.open_(tx, who, conversations.MODERATE)
    waiting = tx.trees.ids(collection.id, [S.PROMPT_LOTTERY_WAITING])
    mine = [item.id for item in tx.messages.of_trees(waiting) if item.parent_id is None and item.author_id == author_id]
    for tree_id in mine:
        tree = load(tx, tree_id)
        advance(tx, who, collection, tree, changed(tree, state=S.HALTED_BY_MODERATOR), rng)
    return len(mine)


def update_author(tx: "Tx", who: Principal, person_id: int, changes: Mapping[str, object], rng: random.Random) -> None:
    """Change a person as `persons.update` does; the prompts of somebody who is disabled leave the lottery."""
    persons.update(tx, who, person_id, changes)
    if changes.get("enabled") is False:
        withdraw(tx, who, person_id, rng)


def settle_all(tx: "Tx", who: Principal, rng: random.Random) -> int:
    """Settle every active tree, after the configuration was changed; answers how many there are."""
    collection = conversations.open_(tx, who, conversations.MODERATE)
    active = tx.trees.ids(collection.id, sorted(ACTIVE))
    for tree_id in active:
        tree = load(tx, tree_id)
        undecided = (item for item in tree.messages if item.accepted is None and item.review_count)
        found = {item.id: reviewed(collection, item, reviews(tx, item.id)) for item in undecided}
        after = Settled(tree.tree, [found.get(item.id, item) for item in tree.messages])
        advance(tx, who, collection, tree, after, rng)
    return len(active)


def reviews(tx: "Tx", record_id: int) -> list[Review]:
    """What reviewers said of a message in tasks."""
    return [said for _, said in tx.trees.reviews(record_id)]


def _wake(tx: "Tx", who: Principal, collection: Conversations, lang: str, rng: random.Random) -> None:
    reserve = tx.trees.ids(collection.id, [S.BACKLOG_RANKING], lang)
    ranking = tx.trees.count(collection.id, lang, S.RANKING) if reserve else 0
    if reserve and tree_choice.wakes_backlog(rng, collection.config, ranking):
        tree = load(tx, rng.choice(reserve))
        advance(tx, who, collection, tree, changed(tree, state=S.RANKING), rng)


def _moved(tx: "Tx", who: Principal, collection: Conversations, before: Tree, after: Tree) -> None:
    tx.events.add(
        "tree.moved",
        actor_id=who.user_id,
        project_id=collection.dataset.project_id,
        dataset_id=collection.id,
        subject_id=after.id,
        data={"from": before.state.value, "to": after.state.value},
    )
