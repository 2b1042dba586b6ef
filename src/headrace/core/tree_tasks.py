"""Tasks of conversations: what is available to a person, and being given it. A task is a unit of work.

A place for a reply is leased: for `recent_tasks_span_sec` it is kept free for whoever was offered it. A task can be
answered much longer; if the place was given to somebody else meanwhile, the answer is kept as a late one.
"""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core import conversations, message_changes, messages, persons, text_labels, tree_choice, tree_growth, work
from headrace.core.conversations import Conversations
from headrace.core.faults import Fault, fault
from headrace.core.messages import Message, TaskKind
from headrace.core.persons import Person
from headrace.core.rights import Principal
from headrace.core.text_labels import Mode
from headrace.core.tree_choice import FAMILIES, REPLIES, WRITING, Family
from headrace.core.trees import Asker, Candidate, TreeState, rankable
from headrace.core.work import NewWork, NotOpen, Work, WorkState

if TYPE_CHECKING:
    from headrace.core.store import Tx

K = TaskKind
SECOND = 1_000_000
COUNTED = 1000
"""How far available messages are counted; beyond it the number does not matter to anybody."""
SAMPLED = 50
"""How far they are counted to choose one of them, and out of how many a message to answer is chosen."""
MAX_DRAW = 2**31 - 1
MAX_FRONTEND_ID = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Details:
    """What has to be known of a task to judge its answer; kept as the work's payload."""

    client_id: int
    lang: str
    mode: Mode | None = None
    valid: tuple[str, ...] = ()
    mandatory: tuple[str, ...] = ()
    ranked: tuple[int, ...] = ()

    @classmethod
    def of(cls, task: Work) -> "Details":
        """The details of stored work."""
        given = json.loads(task.payload or "{}")
        return cls(
            client_id=given["client_id"],
            lang=given["lang"],
            mode=Mode(given["mode"]) if given["mode"] else None,
            valid=tuple(given["valid"]),
            mandatory=tuple(given["mandatory"]),
            ranked=tuple(given["ranked"]),
        )

    def to_text(self) -> str:
        """As JSON text."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A task as it is shown to the person who got it.

    `conversation` leads from the root to the message to answer, to label (its last one), or whose `replies` (in the
    order shown) are to be ranked; it is empty for a first prompt. `reveal_synthetic` is False as soon as a human
    wrote one of the replies: then nobody shall be told which ones are synthetic.
    """

    work: Work
    kind: TaskKind
    details: Details
    conversation: Sequence[Message] = ()
    replies: Sequence[Message] = ()

    @property
    def message(self) -> Message | None:
        """The message that the task is about: the one to answer, to label, or whose replies are ranked."""
        return self.conversation[-1] if self.conversation else None

    @property
    def reveal_synthetic(self) -> bool:
        """True when every reply to be ranked is synthetic."""
        return all(item.synthetic for item in self.replies)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """Who wants to know what there is to do in a language, how far that is counted, and how many young trees there
    are."""

    collection: Conversations
    person: Person
    lang: str
    counted: int
    young: Mapping[TreeState, int]

    @property
    def asker(self) -> Asker:
        """The same for the store."""
        return Asker(self.collection.id, self.lang, self.person.id)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asking:
    """Somebody who wants a task in a language, with what can be offered to them."""

    collection: Conversations
    person: Person
    lang: str
    available: Mapping[TaskKind, int]
    places: Mapping[TaskKind, Sequence[Candidate]]


def availability(tx: "Tx", who: Principal, person: Person, lang: str, rng: random.Random) -> dict[TaskKind, int]:
    """How many tasks of each kind there are for a person in a language; `random` is the sum. May run the lottery."""
    collection = conversations.open_(tx, who)
    message_changes.checked_lang(lang)
    young = tree_growth.lottery(tx, who, collection, lang, tree_growth.DRAWS_PER_LOOK, rng)
    asked = _Asked(collection=collection, person=person, lang=lang, counted=COUNTED, young=young)
    found = _look(tx, asked, K.RANDOM, rng).available
    return {kind: sum(found.values()) if kind is K.RANDOM else found.get(kind, 0) for kind in TaskKind}


def request(
    tx: "Tx",
    who: Principal,
    person: Person,
    kind: TaskKind,
    *,
    lang: str = "en",
    collective: bool = False,
    rng: random.Random,
) -> Task:
    """Give a person a task of a kind (or any) in a language, for as long as `task_validity_minutes`.

    Raises person_disabled, terms_not_accepted, too_many_pending, and task_not_available when there is nothing to do.
    """
    collection = conversations.open_(tx, who)
    config = collection.config
    persons.require_able(person, terms=config.require_terms)
    since = tx.now() - config.recent_tasks_span_sec * SECOND
    if tx.work.pending(collection.id, person.id, since) >= config.max_pending_tasks_per_user:
        raise fault(Fault.TOO_MANY_PENDING, "this user has too many tasks that are not answered")
    message_changes.checked_lang(lang)
    young = tree_growth.lottery(tx, who, collection, lang, tree_growth.DRAWS_PER_REQUEST, rng)
    asked = _Asked(collection=collection, person=person, lang=lang, counted=SAMPLED, young=young)
    asking = _look(tx, asked, kind, rng)
    chosen = tree_choice.kind_of(rng, asking.available) if kind is K.RANDOM else kind
    if chosen is None or not asking.available.get(chosen):
        raise fault(Fault.TASK_NOT_AVAILABLE, f"there is no task of the kind {kind.value} for this user now")
    return _offered(tx, who, asking, chosen, requested=kind, collective=collective, rng=rng)


def acknowledge(tx: "Tx", who: Principal, task_id: int, key: str, person: Person | None = None) -> None:
    """Bind a task to the frontend's own id for it; again with the same id changes nothing.

    Raises task_not_found, invalid_frontend_id, task_expired, task_already_updated (another id, or done), and
    task_not_assigned when another person is named.
    """
    collection = conversations.load(tx, who, conversations.WORK)
    task = required(tx, who, collection, task_id)
    if not 0 < len(key) <= MAX_FRONTEND_ID:
        raise fault(Fault.INVALID_FRONTEND_ID, f"message_id must have 1 to {MAX_FRONTEND_ID} characters")
    if person is not None and not task.collective and task.person_id != person.id:
        raise fault(Fault.TASK_NOT_ASSIGNED, "the task was given to another user")
    if task.state is WorkState.REFUSED and task.key not in (None, key):
        raise fault(Fault.TASK_ALREADY_UPDATED, "the task was acknowledged under another id")
    try:
        work.acknowledge(tx, who, collection.dataset, task, key)
    except NotOpen as error:
        if error.fields["state"] == WorkState.EXPIRED:
            raise fault(Fault.TASK_EXPIRED, "the task has expired") from error
        raise fault(Fault.TASK_ALREADY_UPDATED, "the task was acknowledged under another id, or is done") from error


def refuse(
    tx: "Tx",
    who: Principal,
    task_id: int,
    person: Person | None = None,
    *,
    reason: str | None = None,
    rng: random.Random,
) -> None:
    """Skip a task: its message is not offered to the person again for this kind of work. Again changes nothing.

    Raises task_not_found, task_not_assigned, task_already_done, task_expired.
    """
    collection = conversations.open_(tx, who)
    task = required(tx, who, collection, task_id)
    skipper = task.person_id if person is None else person.id
    if person is not None and not task.collective and task.person_id != person.id:
        raise fault(Fault.TASK_NOT_ASSIGNED, "the task was given to another user")
    if task.state not in (WorkState.REFUSED, WorkState.RELEASED) and not task.collective:
        try:
            work.refuse(tx, who, collection.dataset, task, reason)
        except NotOpen as error:
            raise not_open(WorkState(str(error.fields["state"]))) from error
    family = FAMILIES.get(TaskKind(task.kind))
    if family is None or task.record_id is None or skipper is None:
        return
    message = tx.messages.get(collection.id, task.record_id)
    if message is not None:
        tx.trees.exclude(skipper, [(message.id, family)])
        skip = message_changes.SKIPS[family]
        message_changes.mark(tx, who, collection, message, skipper, skip, rng=rng)


def close(tx: "Tx", who: Principal, key: str) -> int:
    """End a collective task by the id it was acknowledged under; answers its own id.

    Raises invalid_frontend_id, task_not_found, task_not_collective, task_already_done.
    """
    collection = conversations.load(tx, who, conversations.WORK)
    if not 0 < len(key) <= MAX_FRONTEND_ID:
        raise fault(Fault.INVALID_FRONTEND_ID, f"message_id must have 1 to {MAX_FRONTEND_ID} characters")
    task = tx.work.by_key(collection.id, key)
    if task is None or not collection.shows(who, Details.of(task).client_id):
        raise fault(Fault.TASK_NOT_FOUND, "there is no such task")
    if not task.collective:
        raise fault(Fault.TASK_NOT_COLLECTIVE, "only a collective task can be closed")
    try:
        work.close(tx, who, collection.dataset, task)
    except NotOpen as error:
        raise not_open(WorkState(str(error.fields["state"]))) from error
    return task.id


def required(tx: "Tx", who: Principal, collection: Conversations, task_id: int) -> Work:
    """A task that the caller's client (or any, for a trusted one) was given; raises task_not_found."""
    task = tx.work.get(task_id, who.scope)
    known = task is not None and task.dataset_id == collection.id and task.kind in tuple(TaskKind)
    if task is None or not known or not collection.shows(who, Details.of(task).client_id):
        raise fault(Fault.TASK_NOT_FOUND, "there is no such task")
    return task


def not_open(state: WorkState) -> Exception:
    """The fault that stands for work in a state that takes no answer."""
    if state is WorkState.EXPIRED:
        return fault(Fault.TASK_EXPIRED, "the task has expired")
    return fault(Fault.TASK_ALREADY_DONE, "the task is done")


def _look(tx: "Tx", asked: _Asked, wanted: TaskKind, rng: random.Random) -> _Asking:
    """What can be offered to a person in a language: of one kind, or of every kind for `random`."""
    kinds = [kind for kind in (K.INITIAL_PROMPT, *FAMILIES) if kind is wanted or wanted is K.RANDOM]
    places = _places(tx, asked, [kind for kind in kinds if kind in REPLIES], rng.randint(0, MAX_DRAW))
    counted = [kind for kind in kinds if kind in FAMILIES and kind not in REPLIES]
    available = tx.trees.available(asked.asker, counted, asked.counted)
    available |= {kind: len(found) for kind, found in places.items()}
    if K.INITIAL_PROMPT in kinds:
        available[K.INITIAL_PROMPT] = _prompts(asked)
    return _Asking(
        collection=asked.collection, person=asked.person, lang=asked.lang, available=available, places=places
    )


def _prompts(asked: _Asked) -> int:
    return tree_choice.prompts_wanted(
        asked.collection.config,
        asked.lang,
        growing=asked.young.get(TreeState.GROWING, 0),
        reviewed=asked.young.get(TreeState.INITIAL_PROMPT_REVIEW, 0),
        waiting=asked.young.get(TreeState.PROMPT_LOTTERY_WAITING, 0),
    )


def _places(tx: "Tx", asked: _Asked, kinds: Sequence[TaskKind], start: int) -> dict[TaskKind, list[Candidate]]:
    """Messages that the person may answer now, from a random one on, as many as are counted or all there are."""
    collection, limit = asked.collection, asked.counted
    since = tx.now() - collection.config.recent_tasks_span_sec * SECOND
    while True:
        some = tx.trees.extendible(asked.asker, kinds, start, limit)
        leases = tx.trees.leases(collection.id, sorted({item.tree_id for item in some}), since)
        read = Counter(item.kind for item in some)
        found: dict[TaskKind, list[Candidate]] = {kind: [] for kind in kinds}
        for item in tree_choice.open_places(some, leases):
            found[item.kind].append(item)
        if all(read[kind] < limit or len(found[kind]) >= asked.counted for kind in kinds):
            return {kind: items[: asked.counted] for kind, items in found.items()}
        limit *= 4


def _offered(
    tx: "Tx",
    who: Principal,
    asking: _Asking,
    kind: TaskKind,
    *,
    requested: TaskKind,
    collective: bool,
    rng: random.Random,
) -> Task:
    collection, config = asking.collection, asking.collection.config
    found: list[Message] = []
    record_id = _chosen(tx, asking, kind, rng)
    if record_id is not None:
        found = tx.messages.beside(collection.id, record_id)
    replies: list[Message] = []
    mode: Mode | None = None
    if kind in (K.RANK_ASSISTANT_REPLIES, K.RANK_PROMPTER_REPLIES):
        parent = next(item for item in found if item.id == record_id)
        replies = tree_choice.shuffled(rng, rankable(parent, found, config))
    elif FAMILIES.get(kind) is Family.LABELING:
        mode = tree_choice.mode_of(rng, kind, requested, config)
    valid, mandatory = _labels(collection, kind, mode)
    details = Details(
        client_id=who.user_id,
        lang=asking.lang,
        mode=mode,
        valid=valid,
        mandatory=mandatory,
        ranked=tuple(item.id for item in replies),
    )
    wanted = NewWork(
        kind=kind.value,
        person_id=None if collective else asking.person.id,
        record_id=record_id,
        lease_seconds=None if collective else collection.lease_seconds,
        collective=collective,
        payload=details.to_text(),
    )
    offered = work.offer(tx, who, collection.dataset, wanted)
    shown = messages.path(found, record_id) if record_id is not None else []
    return Task(work=offered, kind=kind, details=details, conversation=shown, replies=replies)


def _chosen(tx: "Tx", asking: _Asking, kind: TaskKind, rng: random.Random) -> int | None:
    """The message that the task will be about; None for a first prompt."""
    if kind is K.INITIAL_PROMPT:
        return None
    if kind in WRITING:
        return tree_choice.parent_of(rng, asking.places[kind], asking.collection.config).id
    asker = Asker(asking.collection.id, asking.lang, asking.person.id)
    return tx.trees.pick(asker, kind, rng.randint(0, MAX_DRAW))


def _labels(collection: Conversations, kind: TaskKind, mode: Mode | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels that a reviewer may give and must give; none for other kinds of tasks."""
    if mode is None:
        return (), ()
    valid, mandatory = labels_of(collection, kind)
    return text_labels.asked(mode, valid, mandatory, reply=kind is not K.LABEL_INITIAL_PROMPT), mandatory


def labels_of(collection: Conversations, kind: TaskKind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All labels that messages reviewed in this kind of task can have, and those that are mandatory."""
    config = collection.config
    if kind is K.LABEL_INITIAL_PROMPT:
        return config.labels_initial_prompt, config.mandatory_labels_initial_prompt
    if kind is K.LABEL_ASSISTANT_REPLY:
        return config.labels_assistant_reply, config.mandatory_labels_assistant_reply
    return config.labels_prompter_reply, config.mandatory_labels_prompter_reply
