"""Models: versions count up and never come again, and the sweep keeps what anybody relies on."""

import pytest

from building import notes, some_dataset, some_source
from headrace.core.errors import NotFound
from headrace.core.models import Model, Scores
from headrace.core.positions import START, Position
from headrace.core.store import Store, Tx
from headrace.core.streams import StreamSpec


def train(tx: Tx, dataset_id: int, digest: str = "") -> Model:
    """Store a version."""
    number = len(tx.models.all(dataset_id, before=None, limit=100))
    return tx.models.insert(
        dataset_id,
        family="english",
        labels=["Good"],
        artefact=digest.encode(),
        digest=digest or f"digest{number}",
        metrics={"score": 0.5},
        reviewed_size=number,
    )


@pytest.fixture
def dataset_id(store: Store) -> int:
    """A dataset with eight versions."""

    def fill(tx: Tx) -> int:
        dataset = some_dataset(tx, some_source(tx).id)
        for _ in range(8):
            train(tx, dataset.id)
        return dataset.id

    return store.write(fill)


def versions(store: Store, dataset_id: int) -> list[int]:
    """The versions there are, newest first."""
    return [model.version for model in store.read(lambda tx: tx.models.all(dataset_id, before=None, limit=100))]


def test_sweep_keeps_what_is_in_use(store: Store, dataset_id: int) -> None:
    """Old versions go, but not one that is pinned, tagged or named by a stream, nor the newest few."""

    def use(tx: Tx) -> None:
        pinned = tx.models.get(dataset_id, 1)
        assert pinned is not None
        tx.models.set_pinned(pinned.id, True)
        tx.models.set_tag(dataset_id, "prod", 2)
        tx.streams.insert(dataset_id, StreamSpec(name="s", version=4), tx.records.head())

    store.write(use)
    assert store.write(lambda tx: tx.models.sweep(dataset_id, 2)) == 3
    assert versions(store, dataset_id) == [8, 7, 4, 2, 1]
    assert store.write(lambda tx: tx.models.sweep(dataset_id, 2)) == 0


def test_sweep_spares_other_datasets(store: Store, dataset_id: int) -> None:
    """An artefact goes with its last version, and one that another dataset uses stays."""

    def fill(tx: Tx) -> int:
        other = some_dataset(tx).id
        train(tx, other, "digest0")
        tx.models.sweep(dataset_id, 1)
        return other

    other = store.write(fill)
    assert versions(store, other) == [1]
    assert store.read(lambda tx: tx.models.artefact("digest0")) == b""
    with pytest.raises(NotFound):
        store.read(lambda tx: tx.models.artefact("digest1"))


def test_version_numbers_are_never_reused(store: Store, dataset_id: int) -> None:
    """A version that was swept away leaves its number behind."""
    store.write(lambda tx: tx.models.sweep(dataset_id, 1))
    assert store.write(lambda tx: train(tx, dataset_id)).version == 9
    assert versions(store, dataset_id) == [9, 8]


def test_versions_page_downwards(store: Store, dataset_id: int) -> None:
    """Versions are listed newest first, a page behind a version; the latest is the newest."""
    found = store.read(lambda tx: tx.models.all(dataset_id, before=4, limit=2))
    assert [model.version for model in found] == [3, 2]
    latest = store.read(lambda tx: tx.models.latest(dataset_id))
    assert latest is not None
    assert (latest.version, latest.labels, latest.metrics) == (8, ("Good",), {"score": 0.5})


def test_tags_move_and_go(store: Store, dataset_id: int) -> None:
    """A tag points at one version at a time, tags are listed by name, and an unknown one cannot be removed."""
    for name, version in (("prod", 5), ("staging", 7), ("prod", 6)):
        store.write(lambda tx, n=name, v=version: tx.models.set_tag(dataset_id, n, v))
    found = store.read(lambda tx: tx.models.tags(dataset_id))
    assert [(tag.name, tag.version) for tag in found] == [("prod", 6), ("staging", 7)]
    gone = [store.write(lambda tx: tx.models.delete_tag(dataset_id, "prod")) for _ in range(2)]
    assert gone == [True, False]


def test_serving_versions(store: Store, dataset_id: int) -> None:
    """Predictions are kept up for the latest version and for those that a stream names, each once."""
    for name, version in (("a", 3), ("b", 8), ("c", 3), ("d", None)):
        spec = StreamSpec(name=name, version=version)
        store.write(lambda tx, spec=spec: tx.streams.insert(dataset_id, spec, tx.records.head()))
    assert [model.version for model in store.read(lambda tx: tx.models.serving(dataset_id))] == [8, 3]


def test_outdated_predictions_are_dropped(store: Store) -> None:
    """Scores of a text that has changed or gone meanwhile are not stored; the others replace older ones."""

    def fill(tx: Tx) -> tuple[int, list[int]]:
        source = some_source(tx)
        model = train(tx, some_dataset(tx, source.id).id)
        same, changed, gone = tx.records.insert(source.id, notes("abc"))
        tx.records.replace([(changed, notes("b", text="other")[0])])
        tx.records.delete(source.id, [gone])
        first = [(number, 1, Scores(bytes(4), 0.5)) for number in (same, changed, gone)]
        assert tx.predictions.save(model.id, first) == 1
        assert (
            tx.predictions.save(model.id, [(same, 1, Scores(b"2222", None)), (changed, 2, Scores(b"3333", -1.0))]) == 2
        )
        return model.id, [same, changed, gone]

    model_id, ids = store.write(fill)
    found = store.read(lambda tx: tx.predictions.of(model_id, ids))
    assert found == {ids[0]: Scores(b"2222", None), ids[1]: Scores(b"3333", -1.0)}
    store.write(lambda tx: tx.predictions.forget(ids[:1]))
    assert list(store.read(lambda tx: tx.predictions.of(model_id, ids))) == ids[1:2]


def test_progress_starts_again_with_other_sources(store: Store, dataset_id: int) -> None:
    """How far a version has predicted is remembered until all versions are told to begin anew."""
    model = store.read(lambda tx: tx.models.latest(dataset_id))
    assert model is not None
    assert model.predicted == START
    store.write(lambda tx: tx.models.set_predicted(model.id, Position(3, 4)))
    moved = store.read(lambda tx: tx.models.get(dataset_id, model.version))
    assert moved is not None
    assert moved.predicted == Position(3, 4)
    store.write(lambda tx: tx.models.predict_again(dataset_id))
    assert store.read(lambda tx: tx.models.get(dataset_id, model.version)) == model
