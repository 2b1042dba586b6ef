"""Records: numbered pages, pages by time, places by creation, and what goes when one is deleted."""

from collections.abc import Sequence

import pytest

from building import behind, eventually, keys_behind, notes, some_dataset, some_source
from headrace.core.annotations import Assigned, Judgement
from headrace.core.exceptions import StreamException
from headrace.core.models import Scores
from headrace.core.records import NewRecord, Record, TimeOrder, TimePage
from headrace.core.store import Store, Tx
from headrace.core.streams import StreamSpec

LABELLED = Judgement(labels=(Assigned("Good"),))


def names(found: Sequence[Record]) -> list[str]:
    """The keys of records."""
    return [str(record.external_id) for record in found]


def page(store: Store, source_id: int, skip: int, limit: int) -> list[str]:
    """The keys of a numbered page."""

    def read(tx: Tx) -> list[Record]:
        source = tx.sources.get(source_id, None)
        assert source is not None
        return tx.records.numbered(source, skip, limit)

    return names(store.read(read))


@pytest.mark.parametrize("deleted", [[], ["k0"], ["k19"], ["k3", "k4", "k11"], [f"k{n}" for n in range(20)]])
def test_numbered_pages_have_no_gaps(store: Store, deleted: list[str]) -> None:
    """Page by page every record comes once in the order stored, whatever was deleted and added since."""
    source = store.write(some_source)
    ids = store.write(lambda tx: tx.records.insert(source.id, notes(f"k{n}" for n in range(20))))
    gone = [ids[int(key[1:])] for key in deleted]
    assert store.write(lambda tx: tx.records.delete(source.id, gone)) == len(deleted)
    store.write(lambda tx: tx.records.insert(source.id, notes(["k20", "k21"])))
    left = [f"k{n}" for n in range(22) if f"k{n}" not in deleted]
    for limit in (1, 7, 50):
        assert [page(store, source.id, skip, limit) for skip in range(0, 25, limit)] == [
            left[skip : skip + limit] for skip in range(0, 25, limit)
        ]


def test_counts_follow_the_records(store: Store) -> None:
    """A source knows how many records it holds; deleting one twice, or in the wrong source, counts for nothing."""
    mine, other = store.write(lambda tx: (some_source(tx).id, some_source(tx).id))
    ids = store.write(lambda tx: tx.records.insert(mine, notes("abc")))
    assert store.write(lambda tx: tx.records.delete(other, ids)) == 0
    assert store.write(lambda tx: tx.records.delete(mine, [ids[0], ids[0]])) == 1
    assert store.write(lambda tx: tx.records.delete(mine, [ids[0]])) == 0
    source = store.read(lambda tx: tx.sources.get(mine, None))
    assert source is not None
    assert source.record_count == 2


def test_deleting_takes_what_hangs_on_the_record(store: Store) -> None:
    """With a record go its annotations, predictions and exceptions, and nothing of its neighbour's."""

    def fill(tx: Tx) -> tuple[int, int, int, int]:
        source = some_source(tx)
        dataset = some_dataset(tx, source.id)
        first, second = tx.records.insert(source.id, notes("ab"))
        tx.annotations.insert(dataset.id, [(first, 1, LABELLED), (second, 1, LABELLED)])
        model = tx.models.insert(
            dataset.id, family="english", labels=[], artefact=b"", digest="d", metrics={}, reviewed_size=0
        )
        tx.predictions.save(model.id, [(first, 1, Scores(b"", None)), (second, 1, Scores(b"", None))])
        stream = tx.streams.insert(dataset.id, StreamSpec(name="s"), tx.records.head())
        tx.exceptions.tag(stream.id, dataset.id, [(first, "bad"), (second, "bad")])
        tx.records.delete(source.id, [first])
        return dataset.id, model.id, first, second

    def left(tx: Tx) -> tuple[list[int], list[int], list[StreamException]]:
        both = [first, second]
        found = tx.annotations.of_records(dataset_id, both)
        return (
            [item.record_id for item in found],
            list(tx.predictions.of(model_id, both)),
            tx.exceptions.of_records(dataset_id, both),
        )

    dataset_id, model_id, first, second = store.write(fill)
    annotated, predicted, tagged = store.read(left)
    assert (annotated, predicted, [item.record_id for item in tagged]) == ([second], [second], [second])


def test_place_before_a_creation_time(store: Store) -> None:
    """The place before an instant lies in front of everything created then or later, also if it has changed since."""
    source = store.write(some_source)
    for key in "abc":
        store.write(lambda tx, key=key: tx.records.insert(source.id, notes(key)))
    a, b, c = eventually(lambda: behind(store, [source.id]), lambda found: len(found) == 3)

    def from_instant(created_at: int) -> list[str]:
        return keys_behind(
            store, [source.id], store.read(lambda tx: tx.records.before_created([source.id], created_at))
        )

    assert eventually(lambda: from_instant(0), lambda keys: len(keys) == 3) == ["a", "b", "c"]
    assert from_instant(b.created_at)[-2:] == ["b", "c"]
    assert from_instant(c.created_at + 1) == []
    store.write(lambda tx: tx.records.replace([(b.id, notes("b", text="changed")[0])]))
    assert eventually(lambda: from_instant(c.created_at), lambda keys: len(keys) == 2) == ["c", "b"]
    assert a.created_at <= b.created_at <= c.created_at


def test_pages_by_time_merge_sources(store: Store) -> None:
    """Pages by timestamp run over several sources in (time, id) order, both bounds inclusive, behind a key."""
    one, two = store.write(lambda tx: (some_source(tx).id, some_source(tx).id))
    for key, source_id, timestamp in (("a", one, 30), ("b", two, 20), ("c", one, 20), ("d", two, 10), ("e", one, 40)):
        store.write(lambda tx, r=(key, source_id, timestamp): tx.records.insert(r[1], notes(r[0], timestamp=r[2])))

    def page_of(**options: object) -> list[Record]:
        wanted = TimePage(**{"order": TimeOrder.TIMESTAMP, "limit": 10, **options})  # type: ignore[arg-type]
        return store.read(lambda tx: tx.records.by_time([one, two], wanted))

    assert names(page_of()) == ["d", "b", "c", "a", "e"]
    assert names(page_of(start=20, end=30)) == ["b", "c", "a"]
    first = page_of(limit=2)
    assert names(page_of(limit=2, after=(first[-1].timestamp, first[-1].id))) == ["c", "a"]
    assert names(page_of(order=TimeOrder.CREATED_AT)) == ["a", "b", "c", "d", "e"]


def test_replacing_keeps_what_does_not_change(store: Store) -> None:
    """A replaced record keeps id, number and creation time; its version and its times of change move."""
    source = store.write(some_source)
    store.write(lambda tx: tx.records.insert(source.id, notes("a")))
    before = store.read(lambda tx: tx.records.by_external(source.id, ["a"]))[0]
    changed = NewRecord("a", "comment", '{"changed":true}', None, 77)
    store.write(lambda tx: tx.records.replace([(before.id, changed)]))
    after = store.read(lambda tx: tx.records.by_external(source.id, ["a"]))[0]
    kept = ("id", "source_id", "external_id", "number", "created_at", "annotated")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert (after.body, after.timestamp, after.version) == (changed.body, 77, before.version + 1)
    assert after.modified_at >= before.modified_at
    assert after.position > before.position


def test_body_is_kept_to_the_byte(store: Store) -> None:
    """A body comes back as it was sent: spacing, number formats, order of keys, any script."""
    body = '{ "b":1.0,"a": 1e2,\n "ж":"\\u00e9\\ud83d\\ude00 é😀", "deep":' + "[" * 90 + "]" * 90 + "}"
    source = store.write(some_source)
    store.write(lambda tx: tx.records.insert(source.id, [NewRecord(None, "task", body, '{"m":0.10}', 0)]))
    record = behind_one(store, source.id)
    assert (record.body, record.meta, record.external_id) == (body, '{"m":0.10}', None)


def behind_one(store: Store, source_id: int) -> Record:
    """The only record of a source."""
    return eventually(lambda: behind(store, [source_id]), lambda found: len(found) == 1)[0]
