"""The shortlist of records worth labelling next, on both databases."""

from building import notes, some_dataset, some_source
from headrace.core.annotations import Judgement
from headrace.core.shortlist import KEPT, Aim, Listed
from headrace.core.store import Store, Tx


def dataset_with_records(store: Store, count: int) -> tuple[int, list[int]]:
    """A dataset over a source of so many records; answers its id and theirs."""

    def make(tx: Tx) -> tuple[int, list[int]]:
        source = some_source(tx)
        ids = tx.records.insert(source.id, notes(f"k{number}" for number in range(count)))
        return some_dataset(tx, source.id).id, list(ids)

    return store.write(make)


def offer(store: Store, dataset_id: int, ids: list[int], worths: dict[Aim, list[float]]) -> None:
    """Offer records with their worths."""
    store.write(lambda tx: tx.shortlists.offer(dataset_id, ids, worths))


def listed(store: Store, dataset_id: int, aim: Aim, limit: int = 10) -> list[Listed]:
    """The head of a list."""
    return store.read(lambda tx: tx.shortlists.best(dataset_id, aim, limit))


def test_the_most_worthy_come_first(store: Store) -> None:
    """Each aim has an order of its own, ties in the order of ids; an offer replaces what was listed of a record."""
    dataset_id, ids = dataset_with_records(store, 3)
    offer(store, dataset_id, ids, {Aim.NEED: [0.1, 0.9, 0.9], Aim.NOVELTY: [0.5, 0.0, 0.2]})
    assert [item.record_id for item in listed(store, dataset_id, Aim.NEED)] == [ids[1], ids[2], ids[0]]
    assert listed(store, dataset_id, Aim.NOVELTY, 1) == [Listed(ids[0], 0.5)]
    offer(store, dataset_id, ids[:1], {Aim.NEED: [1.0]})
    assert listed(store, dataset_id, Aim.NEED, 1) == [Listed(ids[0], 1.0)]
    assert [item.record_id for item in listed(store, dataset_id, Aim.NOVELTY)] == [ids[2], ids[1]]


def test_a_reviewed_record_leaves_the_list(store: Store) -> None:
    """What somebody has labelled is not offered, and a deleted record takes its place along."""
    dataset_id, ids = dataset_with_records(store, 2)
    offer(store, dataset_id, ids, {Aim.NEED: [0.5, 0.4]})
    store.write(lambda tx: tx.annotations.insert(dataset_id, [(ids[0], 1, Judgement(result="[]"))]))
    assert [item.record_id for item in listed(store, dataset_id, Aim.NEED)] == [ids[1]]


def test_only_the_best_are_kept(store: Store) -> None:
    """The list stays bounded, however much is offered."""
    dataset_id, ids = dataset_with_records(store, KEPT + 5)
    for part, worth in ((ids[:10], 0.1), (ids[10:], 0.5)):
        offer(store, dataset_id, part, {Aim.NEED: [worth] * len(part)})
    kept = store.read(lambda tx: tx.shortlists.worths(dataset_id, Aim.NEED))
    assert sorted(kept) == [*ids[:5], *ids[10:]]
