"""People who write, review and rank messages: a small world for tests of conversations, with a clock of its own."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from building import some_admin
from headrace.core import conversations, persons, tree_answers, tree_growth, tree_review, tree_tasks
from headrace.core.conversations import Config
from headrace.core.errors import HeadraceError
from headrace.core.faults import Fault, fault_of
from headrace.core.messages import Message, TaskKind
from headrace.core.persons import Identity, Person
from headrace.core.projects import DEFAULT_PROJECT
from headrace.core.rights import Principal
from headrace.core.store import Store, Tx
from headrace.core.text_labels import FLAGS
from headrace.core.tree_answers import Order, Text
from headrace.core.tree_choice import FAMILIES, Family
from headrace.core.tree_tasks import Task
from headrace.core.trees import Tree, TreeState

T = TypeVar("T")
K = TaskKind
START = 1_700_000_000_000_000


@dataclass
class Clock:
    """The time as the storage sees it; it only moves when a test moves it."""

    micros: int = START

    def time_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return self.micros * 1000

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.micros / 1e6

    def pass_(self, seconds: float) -> None:
        """Let some time go by."""
        self.micros += int(seconds * 1e6)


def installed(patch: pytest.MonkeyPatch) -> Clock:
    """A clock that the storage goes by until the patch is undone."""
    clock = Clock()
    for module in ("session", "work"):
        patch.setattr(f"headrace.storage.{module}.time", clock)
    return clock


class Crash(Exception):
    """A transaction that ends before it is committed."""


@dataclass
class World:
    """A collection in a store, and the client through which everybody works in it."""

    store: Store
    who: Principal
    rng: random.Random
    texts: int = 0
    known: dict[str, Person] = field(default_factory=dict)

    def write(self, fn: Callable[[Tx], T]) -> T:
        """Do something in a transaction."""
        return self.store.write(fn)

    def person(self, name: str) -> Person:
        """Somebody of that name."""
        if name not in self.known:
            identity = Identity("local", name, name.title())
            self.known[name] = self.write(lambda tx: persons.ensure(tx, self.who, identity))
        return self.known[name]

    def ask(self, person: Person, kind: TaskKind = K.RANDOM, lang: str = "en", *, collective: bool = False) -> Task:
        """A task for somebody, not acknowledged yet."""
        return self.write(
            lambda tx: tree_tasks.request(tx, self.who, person, kind, lang=lang, collective=collective, rng=self.rng)
        )

    def ack(self, task: Task, person: Person | None = None) -> str:
        """Acknowledge a task; answers the id it was given."""
        key = f"key-{task.work.id}"
        self.write(lambda tx: tree_tasks.acknowledge(tx, self.who, task.work.id, key, person))
        return key

    def asked(self, person: Person, kind: TaskKind = K.RANDOM, lang: str = "en") -> Task:
        """An acknowledged task."""

        def take(tx: Tx) -> Task:
            task = tree_tasks.request(tx, self.who, person, kind, lang=lang, rng=self.rng)
            tree_tasks.acknowledge(tx, self.who, task.work.id, f"key-{task.work.id}", person)
            return task

        return self.write(take)

    def answer(self, person: Person, task: Task, *, spam: float = 0, crash: bool = False) -> int:
        """Answer an acknowledged task as its kind demands; with `crash` the transaction is rolled back."""

        def attempt(tx: Tx) -> int:
            made = self._answer(tx, person, task, spam)
            if crash:
                raise Crash
            return made

        return self.write(attempt)

    def _answer(self, tx: Tx, person: Person, task: Task, spam: float) -> int:
        key = f"key-{task.work.id}"
        if FAMILIES.get(task.kind) is Family.LABELING:
            assert task.message is not None
            labels = {name: 0.0 for name in task.details.valid if name in FLAGS} | {"spam": spam}
            return tree_review.review(tx, self.who, person, task.work.id, task.message.id, labels, rng=self.rng)
        if FAMILIES.get(task.kind) is Family.RANKING:
            order = sorted(range(len(task.replies)), key=lambda place: task.replies[place].id)
            return tree_answers.rank(tx, self.who, person, Order(key=key, ranking=order), self.rng)
        self.texts += 1
        text = Text(key=key, frontend_id=f"m{self.texts}", text=f"text {self.texts}")
        return tree_answers.write(tx, self.who, person, text, self.rng)

    def do(self, person: Person, kind: TaskKind = K.RANDOM, lang: str = "en", *, spam: float = 0) -> int:
        """Ask for a task, acknowledge it and answer it."""
        return self.answer(person, self.asked(person, kind, lang), spam=spam)

    def skip(self, person: Person, task: Task) -> None:
        """Refuse a task."""
        self.write(lambda tx: tree_tasks.refuse(tx, self.who, task.work.id, person, rng=self.rng))

    def available(self, person: Person, lang: str = "en") -> dict[TaskKind, int]:
        """What there is to do for somebody, without that of which there is nothing."""
        found = self.write(lambda tx: tree_tasks.availability(tx, self.who, person, lang, self.rng))
        return {kind: count for kind, count in found.items() if count}

    def tree(self, record_id: int) -> Tree:
        """The tree of a message."""
        return self.store.read(lambda tx: tree_growth.state(tx, self.who, record_id))

    def messages(self, tree_id: int) -> list[Message]:
        """All messages of a tree."""
        return self.store.read(lambda tx: tx.messages.of_trees([tree_id]))

    def trees(self) -> list[Tree]:
        """All trees of the collection."""

        def read(tx: Tx) -> list[Tree]:
            dataset = conversations.load(tx, self.who, conversations.READ)
            return list(tx.trees.some(tx.trees.ids(dataset.id, list(TreeState))).values())

        return self.store.read(read)

    def fault(self, fn: Callable[[], object]) -> Fault | None:
        """Why something is refused; None when it is not."""
        try:
            fn()
        except HeadraceError as error:
            found = fault_of(error)
            if found is None:
                raise
            return found
        return None

    def grown(self, accepting: int = 3) -> int:
        """The id of a prompt that was accepted and drawn, written by `author` and reviewed by three others."""
        prompt = self.do(self.person("author"), K.INITIAL_PROMPT)
        for number in range(accepting):
            self.do(self.person(f"reviewer {number}"), K.LABEL_INITIAL_PROMPT)
        self.available(self.person("author"))
        return prompt

    def configure(self, **changes: object) -> Config:
        """Change what the collection aims at."""

        def change(tx: Tx) -> Config:
            config = conversations.configure(tx, self.who, changes)
            tree_growth.settle_all(tx, self.who, self.rng)
            return config

        return self.write(change)


def some_world(store: Store, seed: int = 1, settings: Mapping[str, object] | None = None) -> World:
    """A new collection in an empty store."""

    def begin(tx: Tx) -> Principal:
        if tx.projects.get(DEFAULT_PROJECT, None) is None:
            tx.projects.insert(name=DEFAULT_PROJECT, title="", description="")
        return some_admin(tx)

    world = World(store, store.write(begin), random.Random(seed))
    world.configure(**(settings or {}))
    return world
