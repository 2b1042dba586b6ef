"""Tallies: the kept counters are what counting all annotations would give, whatever happens to them, at once too."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from building import some_dataset, some_source
from headrace.core.annotations import Annotation, AnnotationCounts, Judgement
from headrace.core.records import NewRecord
from headrace.core.store import Store, Tx

JUDGEMENTS = (
    Judgement(result="[]"),
    Judgement(result="[]", cancelled=True),
    Judgement(result="[]", ground_truth=True),
    Judgement(),
)
STEPS = st.tuples(
    st.sampled_from(["insert", "insert", "update", "delete", "move", "forget"]),
    st.integers(0, 2),
    st.integers(1, 3),
    st.sampled_from(JUDGEMENTS),
)


def counted(found: list[Annotation], overlap: int, author_id: int) -> AnnotationCounts:
    """The counters, by looking at every annotation."""
    said: defaultdict[int, list[Annotation]] = defaultdict(list)
    for one in found:
        if not one.judgement.blank:
            said[one.record_id].append(one)
    valid = [one for some in said.values() for one in some if not one.judgement.cancelled]
    useful = [one for one in valid if not one.judgement.ground_truth]
    finished = {
        number
        for number, some in said.items()
        if len({one.author_id for one in some if not one.judgement.cancelled}) >= overlap
    }
    mine = {number for number, some in said.items() if any(one.author_id == author_id for one in some)}
    return AnnotationCounts(
        total=len(valid),
        cancelled=sum(one.judgement.cancelled for some in said.values() for one in some),
        ground_truth=sum(one.judgement.ground_truth for some in said.values() for one in some),
        useful=len(useful),
        annotated=len({one.record_id for one in useful}),
        finished=len(finished),
        mine=len(mine),
        finished_by_others=len(finished - mine),
    )


def prepared(tx: Tx) -> tuple[int, int, list[int]]:
    """A dataset, its source, and three records in it."""
    source = some_source(tx)
    rows = [NewRecord(None, "task", "{}", None, 0)] * 3
    return some_dataset(tx, source.id).id, source.id, list(tx.records.insert(source.id, rows))


def take(tx: Tx, dataset_id: int, source_id: int, records: list[int], step: Any) -> None:
    """One change of the annotations of a record by an author."""
    kind, place, author, judgement = step
    if place >= len(records):
        return
    if kind == "insert":
        tx.annotations.insert(dataset_id, [(records[place], author, judgement)])
    elif kind == "forget":
        tx.records.delete(source_id, [records.pop(place)])
    elif found := tx.annotations.of_records(dataset_id, [records[place]]):
        if kind == "update":
            tx.annotations.update(found[-1].id, judgement)
        elif kind == "delete":
            tx.annotations.delete([one.id for one in found[author - 1 :]])
        else:
            tx.annotations.move(dataset_id, [(found[0].id, records[0])])


def test_tallies_are_what_counting_gives(store: Store) -> None:
    """After any changes the counters are those that all annotations together have, for every author and overlap."""

    @given(st.lists(STEPS, min_size=1, max_size=12))
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def check(steps: list[Any]) -> None:
        def run(tx: Tx) -> None:
            dataset_id, source_id, records = prepared(tx)
            for step in steps:
                take(tx, dataset_id, source_id, records, step)
            found = tx.annotations.of_records(dataset_id, records)
            for overlap in (1, 2):
                for author in (1, 2):
                    told = tx.annotations.counts(dataset_id, overlap=overlap, author_id=author)
                    assert told == counted(found, overlap, author)
            assert tx.annotations.count(dataset_id) == counted(found, 1, 1).total
            current = {number: 0 for number in records} | {one.record_id: 1 for one in found if one.current}
            assert {record.id: record.annotated for record in tx.records.by_ids(records, [source_id])} == current

        store.write(run)

    check()


def test_people_who_annotate_at_once_are_all_counted(store: Store) -> None:
    """Annotations of the same record in transactions at the same time are tallied as if one came after the other."""
    dataset_id, _, records = store.write(prepared)

    def annotate(number: int) -> None:
        rows = [(records[number % 2], 1 + number % 5, Judgement(result="[]"))]
        store.write(lambda tx: tx.annotations.insert(dataset_id, rows))

    with ThreadPoolExecutor(6) as people:
        list(people.map(annotate, range(18)))
    found = store.read(lambda tx: tx.annotations.of_records(dataset_id, records))
    told = store.read(lambda tx: tx.annotations.counts(dataset_id, overlap=2, author_id=1))
    assert (len(found), told) == (18, counted(found, 2, 1))


def test_a_dataset_that_is_deleted_leaves_no_tallies(store: Store) -> None:
    """Deleting a dataset, or a source that others view, takes its counters along."""

    def run(tx: Tx) -> tuple[int, int]:
        dataset_id, source_id, records = prepared(tx)
        other = some_dataset(tx, source_id).id
        for number in (dataset_id, other):
            tx.annotations.insert(number, [(records[0], 1, Judgement(result="[]"))])
        tx.datasets.delete(dataset_id)
        left = tx.annotations.count(dataset_id)
        tx.sources.delete(source_id)
        return left, tx.annotations.count(other)

    assert store.write(run) == (0, 0)
