"""Crowds at work: whatever people do and in whatever order, trees end, limits hold and nobody works in vain."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversing import Clock, Crash, World, installed, some_world
from headrace.core import conversations
from headrace.core.faults import Fault
from headrace.core.messages import Message, Role, TaskKind
from headrace.core.persons import Person
from headrace.core.store import Store, Tx
from headrace.core.tree_tasks import Task
from headrace.core.trees import ENDED, TreeState
from headrace.storage import open_store

K = TaskKind
LANGS = ("en", "x-demo")
CROWD = 300
LIMITS: dict[str, object] = {
    "max_active_trees": 2,
    "max_initial_prompt_review": 2,
    "max_prompt_lottery_waiting": 3,
    "goal_tree_size": 4,
    "max_tree_depth": 2,
    "max_children_count": 2,
    "num_reviews_initial_prompt": 2,
    "num_reviews_reply": 1,
    "num_required_rankings": 2,
    "max_pending_tasks_per_user": 3,
}
TWICE = {Fault.REPLY_DUPLICATE, Fault.LABELS_REPEATED, Fault.TASK_ALREADY_DONE}


@dataclass
class Crowd:
    """Many people of differing care, and the tasks they left lying."""

    world: World
    clock: Clock
    rng: random.Random
    left: list[tuple[Person, Task, int]] = field(default_factory=list)
    did: set[tuple[int, str, int | None]] = field(default_factory=set)
    here: list[str] = field(default_factory=list)

    def somebody(self, *, new: bool) -> Person:
        """One of hundreds: somebody who was here a moment ago, or anybody."""
        if new or not self.here or self.rng.random() < 0.3:
            self.here = [f"p{self.rng.randrange(CROWD)}", *self.here[:5]]
        return self.world.person(self.here[0] if new else self.rng.choice(self.here))

    def step(self, lang: str | None = None) -> bool:
        """Somebody asks for a task and does something with it; False when there is nothing to do for them.

        With a language it is somebody new who asks for a task in it.
        """
        if self.left and self.rng.random() < 0.3:
            self.late(*self.left.pop(self.rng.randrange(len(self.left))))
            return True
        person, spoken = self.somebody(new=lang is not None), lang or self.rng.choice(LANGS)
        tasks: list[Task] = []
        refused = self.world.fault(lambda: tasks.append(self.world.asked(person, lang=spoken)))
        if refused:
            assert refused in (Fault.TASK_NOT_AVAILABLE, Fault.TOO_MANY_PENDING)
            return False
        act = self.rng.random()
        if act < 0.1:
            self.world.skip(person, tasks[0])
        elif act < 0.3:
            self.left.append((person, tasks[0], self.clock.micros))
            self.clock.pass_(self.rng.choice([5, 400, 400, 3 * 24 * 3600]))
        else:
            self.answer(person, tasks[0])
        return True

    def answer(self, person: Person, task: Task) -> None:
        """An answer in time, now and then after a crash in the middle of it: it must be taken."""
        if self.rng.random() < 0.1:
            with pytest.raises(Crash):
                self.world.answer(person, task, crash=True)
        refused = self.world.fault(lambda: self.world.answer(person, task, spam=self.rng.choice([0, 0, 0, 1])))
        assert refused is None, (refused, task.kind)
        self.did.add((person.id, task.kind, task.work.record_id))

    def late(self, person: Person, task: Task, since: int) -> None:
        """An answer to a task that lay about: refused only if it expired, or if the same person did the same before."""
        refused = self.world.fault(lambda: self.world.answer(person, task))
        if self.clock.micros - since > 2 * 24 * 3600 * 1_000_000:
            assert refused in (Fault.TASK_EXPIRED, Fault.TASK_NOT_FOUND)
        elif task.work.record_id and (person.id, task.kind, task.work.record_id) in self.did:
            assert refused in TWICE
        else:
            assert refused is None, (refused, task.kind)
            self.did.add((person.id, task.kind, task.work.record_id))


def check_limits(world: World) -> None:
    """No tree has more, deeper or other messages than it may, and no language more growing trees."""
    trees = world.trees()
    for lang in LANGS:
        growing = [tree for tree in trees if tree.state is TreeState.GROWING and tree.lang == lang]
        assert len(growing) <= 2
    for tree in trees:
        messages = world.messages(tree.id)
        assert tree.size == sum(item.live for item in messages) <= tree.goal
        for item in messages:
            replies = [child for child in messages if child.parent_id == item.id]
            assert item.live_children == sum(child.live for child in replies)
            assert item.live_children <= (2 if item.role is Role.PROMPTER else 1)
            assert item.depth <= tree.max_depth
            assert len({child.author_id for child in replies}) == len(replies)


def check_judges(world: World) -> None:
    """Nobody judged their own message, nor the same one twice."""

    def read(tx: Tx) -> tuple[dict[int, Message], list[tuple[int, int, str]]]:
        collection = conversations.load(tx, world.who, conversations.READ)
        found = tx.messages.of_trees([tree.id for tree in world.trees()])
        said = tx.annotations.of_records(collection.id, [item.id for item in found])
        kinds = [(item.record_id, item.author_id, str(item.judgement.extra)[:9]) for item in said]
        return {item.id: item for item in found}, kinds

    messages, judged = world.store.read(read)
    assert len(judged) == len(set(judged))
    for record_id, author_id, kind in judged:
        if "rank" in kind:
            replies = [item for item in messages.values() if item.parent_id == record_id]
            assert author_id not in {item.author_id for item in replies if not item.late}
        else:
            assert author_id != messages[record_id].author_id


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_every_tree_ends_within_its_limits(migrated_sqlite: Path, tmp_path: Path, seed: int) -> None:
    """However people work, skip, vanish and crash: limits hold, answers are taken, and every tree ends."""
    path = tmp_path / f"{seed}.db"
    store = open_store(f"sqlite:///{copyfile(migrated_sqlite, path)}")
    with pytest.MonkeyPatch.context() as patch:
        crowd = Crowd(some_world(store, seed, LIMITS), installed(patch), random.Random(seed))
        for step in range(40):
            crowd.step()
            if step % 10 == 0:
                check_limits(crowd.world)
        crowd.world.configure(init_prompt_disabled_langs=list(LANGS))
        idle = 0
        while idle < 12:
            idle = 0 if crowd.step(LANGS[idle % 2]) else idle + 1
            if idle:
                crowd.clock.pass_(400)
        check_limits(crowd.world)
        check_judges(crowd.world)
        assert {tree.state for tree in crowd.world.trees()} <= ENDED
    store.close()
    path.unlink()


@pytest.fixture
def postgres(database_url: str) -> Store:
    """A store in which transactions overlap."""
    return open_store(database_url)


def test_people_on_several_nodes_keep_the_limits(postgres: Store) -> None:
    """Many threads on PostgreSQL, asking and answering at once, exceed no limit and refuse no answer."""
    world = some_world(postgres, 7, LIMITS)
    people = [world.person(f"p{number}") for number in range(24)]

    def work(number: int) -> int:
        own = World(postgres, world.who, random.Random(number), texts=number * 1000)
        done = 0
        for person in people[number::6] * 4:
            tasks: list[Task] = []
            if own.fault(lambda tasks=tasks, person=person: tasks.append(own.asked(person))) is None:
                own.answer(person, tasks[0])
                done += 1
        return done

    with ThreadPoolExecutor(6) as threads:
        done = sum(threads.map(work, range(6)))
    assert done > 30
    check_limits(world)
    check_judges(world)
    postgres.close()
