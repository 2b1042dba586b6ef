"""Reviews: labels given to a message in a task, which decide whether it is accepted; and labels and reports that
nobody asked for, which decide nothing."""

import random
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from headrace.core import (
    annotations,
    conversations,
    message_changes,
    messages,
    persons,
    text_labels,
    tree_growth,
    tree_tasks,
)
from headrace.core.conversations import Conversations
from headrace.core.errors import Invalid
from headrace.core.faults import Fault, fault
from headrace.core.messages import Message, Role, TaskKind
from headrace.core.persons import Person
from headrace.core.rights import Principal
from headrace.core.text_labels import LANG_MISMATCH, SPAM, LabelDescription, Review
from headrace.core.tree_answers import finish, takes_answer
from headrace.core.tree_choice import FAMILIES, Family
from headrace.core.tree_tasks import Details
from headrace.core.work import Work

if TYPE_CHECKING:
    from headrace.core.store import Tx

K = TaskKind
MAX_REASON = 4000


def review(
    tx: "Tx",
    who: Principal,
    person: Person,
    task_id: int,
    message_id: int,
    labels: Mapping[str, float],
    *,
    rng: random.Random,
) -> int:
    """Answer a labelling task by its own id; answers the id of the judgement. Values lie in 0 to 1.

    Raises the faults of `tree_answers.answerable`, task_payload_mismatch, labels_wrong_message, labels_invalid,
    labels_mandatory_missing, labels_repeated (one's own message, or judged before).
    """
    collection = conversations.open_(tx, who)
    task = takes_answer(tree_tasks.required(tx, who, collection, task_id), person)
    persons.require_able(person, terms=collection.config.require_terms)
    _check_message(task, message_id)
    tree, message = tree_growth.around(tx, collection, message_id)
    details = Details.of(task)
    check_labels(labels)
    if not set(labels) <= set(details.valid):
        raise fault(Fault.LABELS_INVALID, "the task does not ask for that label")
    if not set(details.mandatory) <= set(labels):
        raise fault(Fault.LABELS_MANDATORY_MISSING, f"mandatory labels: {', '.join(details.mandatory)}")
    said = tx.trees.reviews(message.id)
    _check_reviewer(collection, person, message, [number for number, _ in said])
    judgement = text_labels.judgement(labels, mode=details.mode)
    annotation_id = annotations.judge(tx, who, collection.dataset, message.id, judgement, author_id=person.id)
    mode = details.mode.value if details.mode else None
    tx.trees.add_review(annotation_id, message.id, person.id, mode, labels)
    said.append((person.id, Review(labels.get(SPAM, 0.0), labels.get(LANG_MISMATCH))))
    decided = tree_growth.reviewed(collection, message, [review for _, review in said])
    tree_growth.advance(tx, who, collection, tree, tree_growth.changed(tree, only=decided), rng)
    if not collection.config.allow_duplicate_tasks:
        tx.trees.exclude(person.id, [(message.id, Family.LABELING)])
    finish(tx, who, collection, person, task, annotation_id)
    return annotation_id


def label(
    tx: "Tx",
    who: Principal,
    person: Person,
    message_id: int,
    labels: Mapping[str, float],
    *,
    report: str | None = None,
    rng: random.Random,
) -> None:
    """Label a message that nobody asked about; later labels of the same person replace these. Decides nothing.

    With a `report` (the reason) the message is also red-flagged by the person and put on the moderators' list.
    Raises message_not_found and Invalid for an unknown label or a value outside 0 to 1.
    """
    collection = conversations.open_(tx, who)
    persons.require_able(person, terms=False)
    message = messages.required(tx, who, collection, message_id)
    check_labels(labels)
    judgement = text_labels.judgement(labels, mode=None, report=None if report is None else report[:MAX_REASON])
    known = tx.trees.review_of(message.id, person.id, free=True)
    annotation = tx.annotations.get(known) if known else None
    if annotation is None:
        known = annotations.judge(tx, who, collection.dataset, message.id, judgement, author_id=person.id)
    else:
        known = annotation.id
        annotations.rejudge(tx, who, collection.dataset, annotation, judgement)
    tx.trees.add_review(known, message.id, person.id, None, labels)
    if report is not None:
        tx.messages.flag(message.id, report[:MAX_REASON])
        message_changes.mark(tx, who, collection, message, person.id, message_changes.RED_FLAG, rng=rng)


def valid_labels(tx: "Tx", who: Principal, message_id: int | None = None) -> list[LabelDescription]:
    """The labels that a message can be given, in the order to be shown; without a message: the usual ones."""
    collection = conversations.load(tx, who, conversations.READ)
    if message_id is None:
        return text_labels.describe(text_labels.USUAL)
    message = messages.required(tx, who, collection, message_id)
    return text_labels.describe(tree_tasks.labels_of(collection, _review_kind(message))[0])


def check_labels(labels: Mapping[str, float]) -> None:
    """Raise Invalid for a label that is not in the vocabulary, or a value that is not in 0 to 1."""
    for name, value in labels.items():
        if name not in text_labels.NAMES:
            raise Invalid(f"'{name[:60]}' is not a text label", fields={"labels": name[:60]})
        if not 0 <= value <= 1:
            raise Invalid(f"the value of {name} must lie in 0 to 1", fields={"labels": name})


def _check_reviewer(collection: Conversations, person: Person, message: Message, reviewers: Collection[int]) -> None:
    config = collection.config
    if message.author_id == person.id and not config.allow_self_labeling:
        raise fault(Fault.LABELS_REPEATED, "nobody reviews their own message")
    if not config.allow_duplicate_tasks and person.id in reviewers:
        raise fault(Fault.LABELS_REPEATED, "this user has reviewed the message before")


def _check_message(task: Work, message_id: int) -> None:
    if FAMILIES.get(TaskKind(task.kind)) is not Family.LABELING:
        raise fault(Fault.TASK_PAYLOAD_MISMATCH, "the task does not ask for labels")
    if task.record_id != message_id:
        raise fault(Fault.LABELS_WRONG_MESSAGE, "the task is about another message")


def _review_kind(message: Message) -> TaskKind:
    if message.parent_id is None:
        return K.LABEL_INITIAL_PROMPT
    return K.LABEL_ASSISTANT_REPLY if message.role is Role.ASSISTANT else K.LABEL_PROMPTER_REPLY
