"""Annotations: the newest word on a record is the current one, and the counters always agree with the rows."""

import random
from typing import NamedTuple

import pytest

from building import notes, some_dataset, some_source
from headrace.core.annotations import Annotation, Assigned, Judgement
from headrace.core.store import Store, Tx

GOOD = Judgement(labels=(Assigned("Good"),))
BAD = Judgement(labels=(Assigned("Bad", "negative"),))
SKIPPED = Judgement(labels=(Assigned("Good"),), cancelled=True)
CLEARED = Judgement()
RESULT = Judgement(result="[]")
KINDS = {"good": GOOD, "bad": BAD, "skipped": SKIPPED, "cleared": CLEARED, "result": RESULT}
DATASETS, STEPS = 2, 40


class Place(NamedTuple):
    """Two datasets over three records."""

    datasets: list[int]
    records: list[int]


@pytest.fixture
def place(store: Store) -> Place:
    """Two datasets over one source with three records."""

    def fill(tx: Tx) -> Place:
        source = some_source(tx)
        datasets = [some_dataset(tx, source.id).id for _ in range(DATASETS)]
        return Place(datasets, list(tx.records.insert(source.id, notes("abc"))))

    return store.write(fill)


def add(store: Store, place: Place, judgement: Judgement, *, record: int = 0, author: int = 1) -> int:
    """Annotate a record in the first dataset; answers the annotation's id."""
    row = (place.records[record], author, judgement)
    return store.write(lambda tx: tx.annotations.insert(place.datasets[0], [row]))[0]


def current(store: Store, place: Place, record: int = 0) -> Annotation | None:
    """The current annotation of a record in the first dataset."""
    record_id = place.records[record]
    return store.read(lambda tx: tx.annotations.current(place.datasets[0], [record_id])).get(record_id)


def annotated(store: Store, place: Place) -> list[int]:
    """For each record, the number of datasets in which it counts as annotated."""

    def read(tx: Tx) -> list[int]:
        sources = [source.id for source in tx.sources.all(None)]
        return [record.annotated for record in tx.records.by_ids(place.records, sources)]

    return store.read(read)


def test_newest_annotation_is_current(store: Store, place: Place) -> None:
    """Of two authors the one who spoke last counts, and changing the older annotation makes it the last word."""
    first = add(store, place, GOOD, author=1)
    second = add(store, place, BAD, author=2)
    found = current(store, place)
    assert found is not None
    assert (found.id, found.judgement) == (second, BAD)
    store.write(lambda tx: tx.annotations.update(first, RESULT))
    found = current(store, place)
    assert found is not None
    assert (found.id, found.judgement) == (first, RESULT)
    assert annotated(store, place) == [1, 0, 0]


def test_skipping_does_not_count(store: Store, place: Place) -> None:
    """A skipped annotation never becomes current; one that turns into a skip makes room for the older."""
    older = add(store, place, GOOD)
    newer = add(store, place, BAD, author=2)
    store.write(lambda tx: tx.annotations.update(newer, SKIPPED))
    found = current(store, place)
    assert found is not None
    assert found.id == older
    assert annotated(store, place) == [1, 0, 0]
    store.write(lambda tx: tx.annotations.update(older, SKIPPED))
    assert current(store, place) is None
    assert annotated(store, place) == [0, 0, 0]


def test_cleared_labelling_counts_as_unreviewed(store: Store, place: Place) -> None:
    """Clearing the newest labelling leaves the record without one, whatever older authors said."""
    add(store, place, GOOD, author=1)
    add(store, place, CLEARED, author=2)
    assert current(store, place) is None
    assert annotated(store, place) == [0, 0, 0]


def test_deleting_brings_back_the_older(store: Store, place: Place) -> None:
    """When the current annotation is deleted the one before it counts again; with the last one nothing does."""
    older = add(store, place, GOOD)
    newer = add(store, place, BAD, author=2)
    store.write(lambda tx: tx.annotations.delete([newer]))
    found = current(store, place)
    assert found is not None
    assert found.id == older
    assert annotated(store, place) == [1, 0, 0]
    store.write(lambda tx: tx.annotations.delete([older]))
    assert current(store, place) is None
    assert annotated(store, place) == [0, 0, 0]


def test_counter_spans_datasets(store: Store, place: Place) -> None:
    """A record counts once for each dataset that has a word on it, and no more once such a dataset is deleted."""
    for dataset_id in place.datasets:
        rows = [(record_id, 1, GOOD) for record_id in place.records[:2]]
        store.write(lambda tx, rows=rows, dataset_id=dataset_id: tx.annotations.insert(dataset_id, rows))
    assert annotated(store, place) == [2, 2, 0]
    store.write(lambda tx: tx.datasets.delete(place.datasets[1]))
    assert annotated(store, place) == [1, 1, 0]


def test_reviewed_pages_by_record(store: Store, place: Place) -> None:
    """The reviewed records come once each in the order of their ids, behind an id, skipped ones left out."""
    add(store, place, GOOD, record=2)
    add(store, place, BAD, record=0)
    add(store, place, GOOD, record=0, author=2)
    add(store, place, SKIPPED, record=1)
    first = store.read(lambda tx: tx.annotations.reviewed(place.datasets[0], 0, 1))
    rest = store.read(lambda tx: tx.annotations.reviewed(place.datasets[0], first[-1].record_id, 10))
    assert [item.record_id for item in (*first, *rest)] == [place.records[0], place.records[2]]
    enough = [store.read(lambda tx, n=n: tx.annotations.at_least(place.datasets[0], n)) for n in (1, 2, 3)]
    assert enough == [True, True, False]


class Model:
    """What the rows should say, kept naively: annotations in the order of their last change."""

    def __init__(self) -> None:
        self.spoken: list[tuple[int, int, int, Judgement]] = []

    def current(self, dataset_id: int, record_id: int) -> int | None:
        """The id of the annotation that counts."""
        words = [word for word in self.spoken if word[1:3] == (dataset_id, record_id) and not word[3].cancelled]
        return words[-1][0] if words and not words[-1][3].blank else None

    def forget(self, annotation_id: int) -> tuple[int, int, int, Judgement]:
        """Take an annotation out."""
        found = next(word for word in self.spoken if word[0] == annotation_id)
        self.spoken.remove(found)
        return found


def random_step(store: Store, place: Place, model: Model, chance: random.Random) -> None:
    """Insert some annotations, or change or delete one, in the store and in the model alike."""
    judgement = KINDS[chance.choice(sorted(KINDS))]
    action = chance.choice(("insert", "insert", "update", "delete")) if model.spoken else "insert"
    if action == "insert":
        dataset_id = chance.choice(place.datasets)
        rows = [(record_id, 1, judgement) for record_id in chance.choices(place.records, k=chance.choice((1, 2)))]
        ids = store.write(lambda tx: tx.annotations.insert(dataset_id, rows))
        model.spoken += [(number, dataset_id, row[0], judgement) for number, row in zip(ids, rows, strict=True)]
        return
    picked = chance.choice(model.spoken)[0]
    dataset_id, record_id = model.forget(picked)[1:3]
    if action == "delete":
        store.write(lambda tx: tx.annotations.delete([picked]))
    else:
        store.write(lambda tx: tx.annotations.update(picked, judgement))
        model.spoken.append((picked, dataset_id, record_id, judgement))


@pytest.mark.parametrize("seed", range(2))
def test_current_agrees_with_a_naive_model(store: Store, place: Place, seed: int) -> None:
    """After any sequence of changes the current annotations and the records' counters are what they should be."""
    chance, model = random.Random(seed), Model()
    for _ in range(STEPS):
        random_step(store, place, model, chance)
        for dataset_id in place.datasets:
            found = store.read(lambda tx, d=dataset_id: tx.annotations.current(d, place.records))
            expected = {record_id: model.current(dataset_id, record_id) for record_id in place.records}
            assert {record_id: item.id for record_id, item in found.items()} == {
                record_id: number for record_id, number in expected.items() if number is not None
            }
        assert annotated(store, place) == [
            sum(model.current(dataset_id, record_id) is not None for dataset_id in place.datasets)
            for record_id in place.records
        ]
