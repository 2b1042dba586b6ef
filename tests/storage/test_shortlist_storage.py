"""The shortlist of records worth labelling next, on both databases."""

from building import notes, some_dataset, some_source
from headrace.core.annotations import Judgement
from headrace.core.shortlist import KEPT, Aim
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


def best(store: Store, dataset_id: int, aim: Aim, limit: int = 2_000) -> list[int]:
    """The head of a list."""
    return store.read(lambda tx: tx.shortlists.best(dataset_id, aim, limit))


def test_the_most_worthy_come_first(store: Store) -> None:
    """Each aim has an order of its own, ties in the order of ids; an offer replaces what was listed of a record."""
    dataset_id, (a, b, c) = dataset_with_records(store, 3)
    offer(store, dataset_id, [a, b, c], {Aim.NEED: [0.1, 0.9, 0.9], Aim.NOVELTY: [0.5, 0.0, 0.2]})
    assert best(store, dataset_id, Aim.NEED) == [b, c, a]
    assert best(store, dataset_id, Aim.NOVELTY, 1) == [a]
    offer(store, dataset_id, [a], {Aim.NEED: [1.0]})
    assert best(store, dataset_id, Aim.NEED) == [a, b, c]
    assert best(store, dataset_id, Aim.NOVELTY) == [c, b]


def test_a_reviewed_record_leaves_the_list(store: Store) -> None:
    """What somebody has labelled is not offered any more."""
    dataset_id, (a, b) = dataset_with_records(store, 2)
    offer(store, dataset_id, [a, b], {Aim.NEED: [0.5, 0.4]})
    store.write(lambda tx: tx.annotations.insert(dataset_id, [(a, 1, Judgement(result="[]"))]))
    assert best(store, dataset_id, Aim.NEED) == [b]


def test_only_the_best_are_kept(store: Store) -> None:
    """The list stays bounded, however much is offered."""
    dataset_id, ids = dataset_with_records(store, KEPT + 5)
    offer(store, dataset_id, ids[:10], {Aim.NEED: [0.1] * 10})
    offer(store, dataset_id, ids[10:], {Aim.NEED: [0.5] * (KEPT - 5)})
    assert sorted(best(store, dataset_id, Aim.NEED)) == [*ids[:5], *ids[10:]]
