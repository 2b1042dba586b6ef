"""Tasks handed out to many people at once: nobody too many, nobody twice, nothing left over."""

import threading
from array import array
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copyfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from building import some_admin
from headrace.core import annotations, next_task, sampling, tasks
from headrace.core.annotations import Judgement
from headrace.core.datasets import Dataset
from headrace.core.models import Scores
from headrace.core.next_task import Turn
from headrace.core.records import NewRecord
from headrace.core.rights import Principal
from headrace.core.store import Store, Tx
from headrace.storage import open_store

PEOPLE = 8
TASKS = 40
SAID = Judgement(result="[]")


def a_project(store: Store, count: int, **chosen: object) -> tuple[Dataset, list[int]]:
    """A dataset with so many tasks of its own, and their ids."""

    def make(tx: Tx) -> tuple[Dataset, list[int]]:
        if not tx.projects.all(None):
            tx.projects.insert(name="default", title="", description="")
        who = some_admin(tx)
        dataset = tasks.create_project(tx, who, title="", config_xml=tasks.EMPTY_CONFIG, settings=chosen)
        rows = [NewRecord(None, "task", '{"text":"t"}', None, 0)] * count
        return dataset, list(tx.records.insert(dataset.own_source_id or 0, rows))

    return store.write(make)


def take(store: Store, who: Principal, dataset: Dataset) -> int | None:
    """The next task of somebody, None when there is none."""
    found = store.write(lambda tx: next_task.take(tx, who, dataset.id))
    return found.work.record_id if isinstance(found, Turn) else None


def judge(store: Store, who: Principal, dataset: Dataset, record_id: int, judgement: Judgement = SAID) -> int:
    """Annotate a task."""
    return store.write(lambda tx: annotations.judge(tx, who, dataset, record_id, judgement))


def test_many_people_drain_the_queue_together(store: Store) -> None:
    """Eight people with an overlap of two: every task gets two different people, and no task a third."""
    dataset, ids = a_project(store, TASKS, maximum_annotations=2)
    people = store.write(lambda tx: [some_admin(tx) for _ in range(PEOPLE)])
    start = threading.Barrier(PEOPLE)

    def work(who: Principal) -> list[int]:
        seen = []
        start.wait(30)
        while (record_id := take(store, who, dataset)) is not None:
            seen.append(record_id)
            judge(store, who, dataset, record_id)
        return seen

    with ThreadPoolExecutor(PEOPLE) as threads:
        seen = list(threads.map(work, people))
    # Whoever asks while others hold the last tasks is told that there is nothing; somebody takes what they leave.
    assert all(len(set(mine)) == len(mine) for mine in seen)
    counted = Counter(record_id for mine in seen for record_id in mine)
    assert set(counted) == set(ids)
    assert set(counted.values()) == {2}
    assert store.read(lambda tx: tx.queue.after(dataset.id, 0, TASKS)) == []


def test_one_person_asking_twice_at_once_gets_one_task(store: Store) -> None:
    """Requests of one person that arrive together are answered with the same lease."""
    dataset, ids = a_project(store, 5, maximum_annotations=3)
    who = store.write(some_admin)
    start = threading.Barrier(4)

    def ask(_: int) -> int | None:
        start.wait(20)
        return take(store, who, dataset)

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(ask, range(4))) == {ids[0]}


def test_annotations_at_once_finish_a_task(store: Store) -> None:
    """Two people who annotate the same task in the same moment finish it, whoever counts first."""
    dataset, ids = a_project(store, 20, maximum_annotations=2)
    people = store.write(lambda tx: [some_admin(tx) for _ in range(2)])
    start = threading.Barrier(2)

    def race(who: Principal) -> None:
        for record_id in ids:
            start.wait(20)
            judge(store, who, dataset, record_id)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(race, people))
    assert store.read(lambda tx: tx.queue.after(dataset.id, 0, 100)) == []


def test_place_passes_what_is_done_and_goes_back(store: Store) -> None:
    """A person's place moves past what they annotated, so that it is not looked at again, and back on a deletion."""
    dataset, ids = a_project(store, 30, maximum_annotations=2)
    who = store.write(some_admin)
    made = {}
    for _ in ids:
        record_id = take(store, who, dataset)
        assert record_id is not None
        made[record_id] = judge(store, who, dataset, record_id)
    assert take(store, who, dataset) is None
    place = store.write(lambda tx: tx.queue.enter(dataset.id, who.user_id))
    assert place is not None
    assert place >= ids[-1] - next_task.MOVE

    def remove(tx: Tx) -> None:
        annotation = tx.annotations.get(made[ids[3]])
        assert annotation is not None
        annotations.remove(tx, who, dataset, annotation)

    store.write(remove)
    assert take(store, who, dataset) == ids[3]


Step = tuple[int, int, str]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from(["say", "skip", "drop"])), max_size=12
    ),
    overlap=st.integers(1, 3),
    skip_queue=st.sampled_from(["REQUEUE_FOR_OTHERS", "IGNORE_SKIPPED"]),
)
def test_queue_always_is_what_is_unfinished(
    sqlite_store: Store, steps: list[Step], overlap: int, skip_queue: str
) -> None:
    """After any annotations, skips and deletions the queue holds the unfinished tasks with their numbers of people."""
    dataset, ids = a_project(sqlite_store, 4, maximum_annotations=overlap, skip_queue=skip_queue)
    people = sqlite_store.write(lambda tx: [some_admin(tx) for _ in range(3)])
    for person, place, kind in steps:
        if kind == "drop":
            sqlite_store.write(lambda tx, place=place: _drop(tx, people[0], dataset, ids[place]))
        else:
            judge(sqlite_store, people[person], dataset, ids[place], Judgement(result="[]", cancelled=kind == "skip"))

    def compare(tx: Tx) -> None:
        said = tasks.annotations_of(tx, dataset, ids)
        ignores = skip_queue == "IGNORE_SKIPPED"
        wanted = {
            record_id: len({item.author_id for item in found if ignores or not item.judgement.cancelled})
            for record_id, found in said.items()
        }
        assert tx.queue.people(dataset.id, ids) == {key: count for key, count in wanted.items() if count < overlap}
        before = tx.queue.people(dataset.id, ids)
        tx.queue.rebuild(dataset, overlap=overlap, skips=ignores)
        assert tx.queue.people(dataset.id, ids) == before

    sqlite_store.write(compare)


def _drop(tx: Tx, who: Principal, dataset: Dataset, record_id: int) -> None:
    for annotation in tasks.annotations_of(tx, dataset, [record_id])[record_id][:1]:
        annotations.remove(tx, who, dataset, annotation)


@pytest.fixture
def sqlite_store(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Store]:
    """An empty store on SQLite."""
    store = open_store(f"sqlite:///{copyfile(migrated_sqlite, tmp_path / 'queue.db')}")
    yield store
    store.close()


def test_margin_is_between_the_two_most_probable() -> None:
    """The margin is the lead of the most probable label; a label alone is compared with its absence."""
    assert sampling.margin(Scores(_floats(0.2, 0.7, 0.6), None), [0, 1, 2]) == pytest.approx(0.1)
    assert sampling.margin(Scores(_floats(0.2, 0.7), None), [1]) == pytest.approx(0.4)


def _floats(*values: float) -> bytes:
    return array("f", values).tobytes()
