"""The shortlist of records worth labelling next, on both databases."""

from building import notes, some_dataset, some_source
from headrace.core.annotations import Judgement
from headrace.core.shortlist import KEPT, KEPT_A_LABEL, Aim, Listed
from headrace.core.store import Store, Tx


def dataset_with_records(store: Store, count: int) -> tuple[int, list[int]]:
    """A dataset over a source of so many records; answers its id and theirs."""

    def make(tx: Tx) -> tuple[int, list[int]]:
        source = some_source(tx)
        ids = tx.records.insert(source.id, notes(f"k{number}" for number in range(count)))
        return some_dataset(tx, source.id).id, list(ids)

    return store.write(make)


def offer(store: Store, dataset_id: int, **found: list[Listed]) -> None:
    """Offer records for aims, all of them predicted just now."""
    ids = sorted({item.record_id for listed in found.values() for item in listed})
    by_aim = {Aim(name): listed for name, listed in found.items()}
    store.write(lambda tx: tx.shortlists.offer(dataset_id, ids, by_aim))


def best(store: Store, dataset_id: int, aim: Aim, limit: int = 2_000) -> list[int]:
    """The head of a list."""
    return store.read(lambda tx: tx.shortlists.best(dataset_id, aim, limit))


def test_the_most_worthy_come_first(store: Store) -> None:
    """Each aim has an order of its own, ties in the order of ids; an offer replaces what was listed of a record."""
    dataset_id, (a, b, c) = dataset_with_records(store, 3)
    uncertain = [Listed(a, 0.1), Listed(b, 0.9), Listed(c, 0.9)]
    offer(store, dataset_id, uncertainty=uncertain, novelty=[Listed(a, 0.5), Listed(b, 0.0)])
    assert best(store, dataset_id, Aim.UNCERTAINTY) == [b, c, a]
    assert best(store, dataset_id, Aim.NOVELTY, 1) == [a]
    offer(store, dataset_id, uncertainty=[Listed(a, 1.0)])
    assert best(store, dataset_id, Aim.UNCERTAINTY) == [a, b, c]
    assert best(store, dataset_id, Aim.NOVELTY) == [b]


def test_labels_take_turns(store: Store) -> None:
    """By need the best of each label comes before the second of any, and a record comes once."""
    dataset_id, (a, b, c) = dataset_with_records(store, 3)
    need = [Listed(a, 0.9, "A"), Listed(b, 0.8, "A"), Listed(c, 0.3, "B"), Listed(a, 0.2, "B")]
    offer(store, dataset_id, need=need)
    assert best(store, dataset_id, Aim.NEED) == [a, c, b]


def test_a_reviewed_record_leaves_the_list(store: Store) -> None:
    """What somebody has labelled is not offered any more."""
    dataset_id, (a, b) = dataset_with_records(store, 2)
    offer(store, dataset_id, uncertainty=[Listed(a, 0.5), Listed(b, 0.4)])
    store.write(lambda tx: tx.annotations.insert(dataset_id, [(a, 1, Judgement(result="[]"))]))
    assert best(store, dataset_id, Aim.UNCERTAINTY) == [b]


def test_only_the_best_are_kept(store: Store) -> None:
    """The list stays bounded, however much is offered: by aim, and by need for each label."""
    dataset_id, ids = dataset_with_records(store, KEPT + 5)
    offer(store, dataset_id, uncertainty=[Listed(number, 0.1) for number in ids[:10]])
    offer(store, dataset_id, uncertainty=[Listed(number, 0.5) for number in ids[10:]])
    assert sorted(best(store, dataset_id, Aim.UNCERTAINTY)) == [*ids[:5], *ids[10:]]
    offer(store, dataset_id, need=[Listed(number, 0.5, "AB"[number % 2]) for number in ids])
    assert len(best(store, dataset_id, Aim.NEED)) == 2 * KEPT_A_LABEL
