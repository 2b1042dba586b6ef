"""Answers to tasks of conversations: a text or a ranking. Labels have a module of their own, `tree_review`.

An answer, the end of its task and all that follows for the tree are one transaction. A failed one leaves the task
open, so the frontend may correct it and send it again; an answer that was taken is refused as done.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core import (
    annotations,
    content,
    conversations,
    learning,
    message_changes,
    persons,
    records,
    tree_choice,
    tree_growth,
    tree_tasks,
    work,
)
from headrace.core.annotations import Judgement
from headrace.core.conversations import Conversations
from headrace.core.faults import Fault, fault
from headrace.core.messages import Message, Role, TaskKind
from headrace.core.persons import Person
from headrace.core.rankings import Ranking
from headrace.core.records import NewRecord
from headrace.core.rights import Principal
from headrace.core.tree_choice import WRITING, Family
from headrace.core.tree_tasks import MAX_DRAW, MAX_FRONTEND_ID, SECOND, Details
from headrace.core.trees import ACCEPTING, Settled, Tree, TreeState, has_place
from headrace.core.work import NotOpen, Work, WorkState

if TYPE_CHECKING:
    from headrace.core.store import Tx

K = TaskKind
RANKINGS = (K.RANK_ASSISTANT_REPLIES, K.RANK_PROMPTER_REPLIES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A message somebody wrote for the task acknowledged as `key`; `frontend_id` is its own. No lang: the task's."""

    key: str
    frontend_id: str
    text: str
    lang: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Written:
    """A text that was checked, by whom, for which task, and the tree it goes into (None: it starts one)."""

    person: Person
    task: Work
    tree: Settled | None
    words: str
    lang: str
    frontend_id: str

    @property
    def parent(self) -> Message | None:
        """The message it replies to."""
        found = self.tree.messages if self.tree else ()
        return next((item for item in found if item.id == self.task.record_id), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A ranking for the task acknowledged as `key`: indices into the replies as they were shown, best first."""

    key: str
    ranking: Sequence[int]
    not_rankable: bool | None = None


def write(tx: "Tx", who: Principal, person: Person, answer: Text, rng: random.Random) -> int:
    """Answer a writing task; answers the new message's id.

    Raises the faults of `answerable`, task_unexpected_payload, message_empty, message_too_long, message_duplicate,
    reply_duplicate, tree_not_accepting, invalid_frontend_id.
    """
    collection = conversations.open_(tx, who)
    task = answerable(tx, who, collection, person, answer.key)
    if task.kind not in WRITING:
        raise fault(Fault.TASK_UNEXPECTED_PAYLOAD, "the task does not ask for a text")
    if not 0 < len(answer.frontend_id) <= MAX_FRONTEND_ID:
        raise fault(Fault.INVALID_FRONTEND_ID, f"a message's id must have 1 to {MAX_FRONTEND_ID} characters")
    words = message_changes.checked_text(collection, answer.text)
    lang = message_changes.checked_lang(answer.lang or Details.of(task).lang)
    _check_duplicate(tx, collection, person, words)
    tree = None if task.record_id is None else _parent_tree(tx, collection, person, task.record_id)
    written = _Written(person=person, task=task, tree=tree, words=words, lang=lang, frontend_id=answer.frontend_id)
    message = _stored(tx, who, collection, written, rng)
    finish(tx, who, collection, person, task, message.id)
    return message.id


def rank(tx: "Tx", who: Principal, person: Person, answer: Order, rng: random.Random) -> int:
    """Answer a ranking task; answers the id of the judgement it is kept as.

    Raises the faults of `answerable`, task_payload_mismatch, invalid_ranking, and task_already_done for somebody who
    ranked the same replies in another task.
    """
    collection = conversations.open_(tx, who)
    task = answerable(tx, who, collection, person, answer.key)
    if task.kind not in RANKINGS:
        raise fault(Fault.TASK_PAYLOAD_MISMATCH, "the task does not ask for a ranking")
    ranked = Details.of(task).ranked
    if sorted(answer.ranking) != list(range(len(ranked))):
        raise fault(Fault.INVALID_RANKING, "ranking is not a permutation of the replies shown")
    tree, parent = tree_growth.around(tx, collection, task.record_id)
    _check_ranker(tx, collection, person, parent)
    ordered = tuple(ranked[place] for place in answer.ranking)
    said = {"ranking": {"ranked": ordered, "not_rankable": answer.not_rankable}}
    before = tx.annotations.current(collection.id, [parent.id]).get(parent.id)
    # A ranking says nothing of its parent's labels, so it repeats those that hold.
    labels = before.judgement.labels if before else ()
    judgement = Judgement(labels=labels, extra=json.dumps(said, separators=(",", ":")))
    annotation_id = annotations.judge(tx, who, collection.dataset, parent.id, judgement, author_id=person.id)
    ranking = Ranking(
        annotation_id=annotation_id,
        tree_id=parent.tree_id,
        parent_id=parent.id,
        person_id=person.id,
        order=ordered,
        not_rankable=answer.not_rankable,
        created_at=tx.now(),
    )
    _counted(tx, who, collection, tree, ranking, rng)
    if not collection.config.allow_duplicate_tasks:
        tx.trees.exclude(person.id, [(parent.id, Family.RANKING)])
    finish(tx, who, collection, person, task, annotation_id)
    return annotation_id


def answerable(tx: "Tx", who: Principal, collection: Conversations, person: Person, key: str) -> Work:
    """The task that was acknowledged under this id and that the person may answer.

    Raises task_not_found, task_expired, task_not_acknowledged, task_already_done, task_not_assigned, person_disabled.
    """
    persons.require_able(person, terms=collection.config.require_terms)
    task = tx.work.by_key(collection.id, key, person.id) or tx.work.by_key(collection.id, key)
    if task is None or task.kind not in tuple(TaskKind) or not collection.shows(who, Details.of(task).client_id):
        raise fault(Fault.TASK_NOT_FOUND, "no task was acknowledged under this id")
    return takes_answer(task, person)


def takes_answer(task: Work, person: Person) -> Work:
    """The task, if it is open to the person; raises what `answerable` does."""
    if task.state is WorkState.EXPIRED:
        raise tree_tasks.not_open(task.state)
    if task.key is None:
        raise fault(Fault.TASK_NOT_ACKNOWLEDGED, "the task was not acknowledged")
    if task.state in (WorkState.DONE, WorkState.RELEASED):
        raise tree_tasks.not_open(task.state)
    if not task.collective and task.person_id != person.id:
        raise fault(Fault.TASK_NOT_ASSIGNED, "the task was given to another user")
    return task


def finish(tx: "Tx", who: Principal, collection: Conversations, person: Person, task: Work, result_id: int) -> None:
    """End the task with what was made. Of two answers at once the second finds it done, and leaves no trace."""
    try:
        work.finish(tx, who, collection.dataset, task, result_id)
    except NotOpen as error:
        raise tree_tasks.not_open(WorkState(str(error.fields["state"]))) from error
    tx.persons.change(person, persons.active(person, tx.now()))


def _check_duplicate(tx: "Tx", collection: Conversations, person: Person, words: str) -> None:
    since = tx.now() - collection.config.duplicate_message_filter_window_minutes * 60 * SECOND
    if words in tx.messages.recent_texts(collection.id, person.id, since):
        raise fault(Fault.MESSAGE_DUPLICATE, "this user sent the same text a short while ago")


def _parent_tree(tx: "Tx", collection: Conversations, person: Person, parent_id: int) -> Settled:
    """The tree in which a reply is to be stored, if it takes one from this person."""
    tree, _ = tree_growth.around(tx, collection, parent_id)
    replied = any(item.parent_id == parent_id and item.author_id == person.id for item in tree.messages)
    if replied and not collection.config.allow_duplicate_tasks:
        raise fault(Fault.REPLY_DUPLICATE, "this user has replied to the message before")
    if tree.tree.state not in ACCEPTING:
        raise fault(Fault.TREE_NOT_ACCEPTING, f"the tree is {tree.tree.state.value} and takes no replies")
    return tree


def _stored(tx: "Tx", who: Principal, collection: Conversations, written: _Written, rng: random.Random) -> Message:
    """The message that was written, stored in its tree (a new one for a prompt), with what follows from it."""
    # Dates rise with the order of commits, whatever the clock does: the collection is held.
    created_at = max(tx.now(), tx.messages.last_date(collection.id) + 1)
    message = _message_of(tx, who, collection, written, created_at, rng.randint(0, MAX_DRAW))
    before = written.tree or _planted(tx, collection, message, rng)
    after = Settled(before.tree, [*before.messages, message])
    tree_growth.advance(tx, who, collection, before, after, rng)
    _exclude_author(tx, collection, message)
    return message


def _message_of(
    tx: "Tx", who: Principal, collection: Conversations, written: _Written, created_at: int, draw: int
) -> Message:
    parent = written.parent
    role = parent.role.other if parent else Role.PROMPTER
    body = message_changes.body(role, written.lang, written.words)
    row = NewRecord(None, content.Kind.MESSAGE, body, None, created_at)
    record_id = tx.records.insert(collection.source_id, [row])[0]
    records.created(tx, who, collection.dataset, [record_id])
    learning.records_arrived(tx, collection.source_id)
    in_time = (
        parent is None or written.tree is None or _in_time(tx, collection, written.tree.tree, parent, written.task)
    )
    return Message(
        id=record_id,
        tree_id=parent.tree_id if parent else record_id,
        parent_id=parent.id if parent else None,
        role=role,
        lang=written.lang,
        depth=parent.depth + 1 if parent else 0,
        author_id=written.person.id,
        client_id=who.user_id,
        frontend_id=written.frontend_id,
        text=written.words,
        created_at=created_at,
        deleted=bool(parent and parent.deleted),
        late=not in_time,
        draw=draw,
        emojis={},
    )


def _planted(tx: "Tx", collection: Conversations, root: Message, rng: random.Random) -> Settled:
    """A new tree before its prompt is in it; its limits are those of today."""
    config = collection.config
    tree = Tree(
        id=root.id,
        dataset_id=collection.id,
        state=TreeState.INITIAL_PROMPT_REVIEW,
        lang=root.lang,
        goal=tree_choice.goal_size(rng, config),
        max_children=config.max_children_count,
        max_depth=config.max_tree_depth,
        size=1,
        created_at=root.created_at,
    )
    tx.trees.insert(tree)
    return Settled(tree, [])


def _in_time(tx: "Tx", collection: Conversations, tree: Tree, parent: Message, task: Work) -> bool:
    """True when the place that the task stands for is still there, the places given to others set aside."""
    since = tx.now() - collection.config.recent_tasks_span_sec * SECOND
    others = [lease for lease in tx.trees.leases(collection.id, [tree.id], since) if lease.work_id != task.id]
    return has_place(tree, parent, collection.config, others)


def _exclude_author(tx: "Tx", collection: Conversations, message: Message) -> None:
    """See to it that nobody judges their own message, and that nobody replies twice to the same one."""
    config, kept = collection.config, list[tuple[int, str]]()
    if not config.allow_self_labeling:
        kept.append((message.id, Family.LABELING))
    if message.parent_id is not None and not config.allow_duplicate_tasks:
        kept.append((message.parent_id, Family.REPLY))
    if message.parent_id is not None and not config.allow_self_ranking:
        kept.append((message.parent_id, Family.RANKING))
    tx.trees.exclude(message.author_id, kept)


def _counted(
    tx: "Tx", who: Principal, collection: Conversations, tree: Settled, ranking: Ranking, rng: random.Random
) -> None:
    """Store a ranking, count it for the replies that were ranked, and let the tree go on."""
    ranked = set(ranking.order)
    tx.trees.add_ranking(ranking, {item.id: item.author_id for item in tree.messages if item.id in ranked})
    after = [
        item._replace(ranking_count=item.ranking_count + 1) if item.id in ranked else item for item in tree.messages
    ]
    tree_growth.advance(tx, who, collection, tree, Settled(tree.tree, after), rng)


def _check_ranker(tx: "Tx", collection: Conversations, person: Person, parent: Message) -> None:
    mine = [item for item in tx.trees.rankings([parent.tree_id]) if item.person_id == person.id]
    if any(item.parent_id == parent.id for item in mine) and not collection.config.allow_duplicate_tasks:
        raise fault(Fault.TASK_ALREADY_DONE, "this user has ranked these replies before")
