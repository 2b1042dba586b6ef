"""Streams: named durable cursors over a dataset's records, with a filter, a pinned model and thresholds.

Reading never moves a stream; advancing does, durably. The queue is the log of records in commit order, so nothing
can appear behind a cursor. A changed record takes a new place at the end and is delivered again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import content, datasets, filters, models, registered_models, views
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid, NotFound
from headrace.core.models import Model, Predicted, Predictor, Scores
from headrace.core.positions import Position, from_token
from headrace.core.projects import check_name, check_texts
from headrace.core.records import Record, shown
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_SIZE = 1024
MAX_STREAMS = 1000


class Threshold(NamedTuple):
    """A label of the model and the probability it must exceed to be returned."""

    name: str
    threshold: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """One cursor. `filter` is the stored JSON form of a filter; no thresholds means every label is returned."""

    id: int
    dataset_id: int
    name: str
    title: str
    description: str
    filter: Mapping[str, object] | None
    version: int | None
    thresholds: tuple[Threshold, ...]
    cursor: Position
    changes: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSpec:
    """What a client says of a stream; what is None is not said."""

    name: str
    title: str | None = None
    description: str | None = None
    filter: Mapping[str, object] | None = None
    version: int | None = None
    thresholds: tuple[Threshold, ...] = ()


class Delivered(NamedTuple):
    """One record of a batch, with the labels its stream lets through."""

    record: Record
    labels: Sequence[Predicted]


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What one fetch read: `position` is the place after the last entry read, filtered ones included, `version` the
    model that the stream names."""

    dataset: Dataset
    version: int | None
    text_keys: Mapping[int, tuple[str, ...]]
    results: Sequence[Delivered]
    filtered: int
    position: Position
    at_end: bool


class Streams(Protocol):
    """Storage of streams."""

    def insert(self, dataset_id: int, spec: StreamSpec, cursor: Position) -> Stream:
        """Store a new stream."""

    def update(self, stream_id: int, spec: StreamSpec) -> Stream:
        """Replace what the spec says of model and filter, and title and description when given."""

    def get(self, dataset_id: int, name: str) -> Stream | None:
        """One stream."""

    def all(self, dataset_id: int) -> list[Stream]:
        """The dataset's streams by name."""

    def move(self, stream_id: int, cursor: Position) -> None:
        """Set the cursor."""

    def delete(self, stream_id: int) -> None:
        """Remove the stream and its exceptions."""


def load(tx: "Tx", who: Principal, ref: Ref, name: str, *needs: Permission) -> tuple[Dataset, Stream]:
    """A stream with its dataset; raises NotFound, or Forbidden when a need is unmet."""
    dataset = datasets.load(tx, who, ref, *needs)
    stream = tx.streams.get(dataset.id, name)
    if stream is None:
        raise NotFound(f"there is no stream '{name[:80]}' in the dataset", fields={"stream": name[:80]})
    return dataset, stream


def put(tx: "Tx", who: Principal, ref: Ref, spec: StreamSpec) -> Stream:
    """Create a stream that starts now, or update the one of that name, which keeps its cursor."""
    dataset = datasets.load(tx, who, ref, Permission.VIEW_LABELS)
    check_name(spec.name, "stream name")
    known = tx.streams.get(dataset.id, spec.name)
    if known:
        return update(tx, who, ref, spec)
    who.require(dataset.project_id, Permission.STREAMS_ADMIN)
    _check(tx, dataset, spec)
    if len(tx.streams.all(dataset.id)) >= MAX_STREAMS:
        raise Invalid(f"the dataset has {MAX_STREAMS} streams already", fields={"streams": MAX_STREAMS})
    stream = tx.streams.insert(dataset.id, spec, tx.records.head())
    _pin(tx, dataset, spec)
    _event(tx, who, dataset, stream, "stream.created")
    return stream


def update(tx: "Tx", who: Principal, ref: Ref, spec: StreamSpec) -> Stream:
    """Update a stream in place; its id, creation time and cursor stay."""
    dataset, stream = load(tx, who, ref, spec.name, Permission.MODIFY_STREAMS, Permission.VIEW_LABELS)
    _check(tx, dataset, spec)
    _pin(tx, dataset, spec)
    _event(tx, who, dataset, stream, "stream.updated")
    return tx.streams.update(stream.id, spec)


def get(tx: "Tx", who: Principal, ref: Ref, name: str) -> Stream:
    """One stream."""
    return load(tx, who, ref, name, Permission.VIEW_STREAMS, Permission.VIEW_LABELS)[1]


def list_streams(tx: "Tx", who: Principal, ref: Ref) -> list[Stream]:
    """The dataset's streams."""
    return tx.streams.all(datasets.load(tx, who, ref, Permission.VIEW_STREAMS, Permission.VIEW_LABELS).id)


def delete(tx: "Tx", who: Principal, ref: Ref, name: str) -> None:
    """Delete a stream with its exceptions."""
    dataset, stream = load(tx, who, ref, name, Permission.STREAMS_ADMIN, Permission.VIEW_LABELS)
    tx.streams.delete(stream.id)
    _event(tx, who, dataset, stream, "stream.deleted")


def fetch(tx: "Tx", who: Principal, ref: Ref, name: str, size: int, max_filtered: int, predictor: Predictor) -> Batch:
    """Read a batch behind the cursor without moving it.

    Reading stops at the end of the queue or when results plus what was filtered out beyond `max_filtered`
    reach `size`.
    """
    dataset, stream = load(
        tx, who, ref, name, Permission.CONSUME_STREAMS, Permission.VIEW_LABELS, Permission.VIEW_SOURCES
    )
    _check_size(size, max_filtered)
    keys = text_keys(tx, dataset)
    allowance = max_filtered if stream.filter else 0
    queued = tx.records.after(dataset.source_ids, stream.cursor, size + allowance + 1)
    shown = _views(tx, dataset, stream, queued, keys, predictor) if stream.filter else None
    wanted, read, filtered = _select(stream, queued, shown, size, allowance)
    return Batch(
        dataset=dataset,
        version=stream.version,
        text_keys=keys,
        results=_shown(tx, who, _labelled(tx, dataset, stream, wanted, keys, predictor)),
        filtered=filtered,
        position=queued[read - 1].position if read else stream.cursor,
        at_end=read == len(queued),
    )


def advance(tx: "Tx", who: Principal, ref: Ref, name: str, token: str) -> None:
    """Move the cursor to exactly the position named, also an earlier one; raises Invalid for a foreign token."""
    dataset, stream = load(tx, who, ref, name, Permission.CONSUME_STREAMS, Permission.VIEW_LABELS)
    position = from_token(token, epoch=tx.epoch, owner=dataset.id)
    if position != stream.cursor:
        tx.streams.move(stream.id, position)


def reset(tx: "Tx", who: Principal, ref: Ref, name: str, created_at: int) -> tuple[Stream, Position]:
    """Move the cursor to just before the first record created at or after the instant, backwards or forwards."""
    dataset, stream = load(tx, who, ref, name, Permission.CONSUME_STREAMS, Permission.VIEW_LABELS)
    position = tx.records.before_created(dataset.source_ids, created_at)
    tx.streams.move(stream.id, position)
    _event(tx, who, dataset, stream, "stream.reset")
    return stream, position


def text_keys(tx: "Tx", dataset: Dataset) -> dict[int, tuple[str, ...]]:
    """For each source of the dataset, the data keys that hold a task's text."""
    found = (tx.sources.get(source_id, None) for source_id in dataset.source_ids)
    return {source.id: source.text_keys for source in found if source}


def scores(
    tx: "Tx",
    model: Model,
    records: Sequence[Record],
    keys: Mapping[int, tuple[str, ...]],
    predictor: Predictor,
) -> dict[int, Scores]:
    """What a model says of the records: what is stored, and the rest computed now, unless it was trained elsewhere."""
    if model.registered:
        return registered_models.scores(tx, model, records)
    known = tx.predictions.of(model.id, [record.id for record in records])
    missing = [record for record in records if record.id not in known]
    if missing:
        texts = [content.text(record.kind, record.body, keys.get(record.source_id, ())) for record in missing]
        computed = predictor.predict(model, texts)
        known.update((record.id, score) for record, score in zip(missing, computed, strict=True))
    return known


def outcomes(
    tx: "Tx", dataset: Dataset, stream: Stream, records: Sequence[Record], predictor: Predictor
) -> list[Sequence[Predicted] | None]:
    """What a stream makes of each record: None for one that its filter holds back, else the labels it lets through."""
    keys = text_keys(tx, dataset)
    matching = list(records)
    if stream.filter is not None:
        matches = filters.compile(filters.parse(stream.filter))
        shown = _views(tx, dataset, stream, records, keys, predictor)
        matching = [record for record, view in zip(records, shown, strict=True) if matches(view)]
    labels = {item.record.id: item.labels for item in _labelled(tx, dataset, stream, matching, keys, predictor)}
    return [labels.get(record.id) for record in records]


def _select(
    stream: Stream,
    queued: Sequence[Record],
    shown: Sequence[filters.RecordView] | None,
    size: int,
    allowance: int,
) -> tuple[list[Record], int, int]:
    """The entries that match, how many were read, and how many of those were filtered out."""
    if shown is None or stream.filter is None:
        return list(queued[:size]), min(size, len(queued)), 0
    matches = filters.compile(filters.parse(stream.filter))
    wanted: list[Record] = []
    filtered = read = 0
    for record, view in zip(queued, shown, strict=True):
        if len(wanted) + max(0, filtered - allowance) >= size:
            break
        read += 1
        if matches(view):
            wanted.append(record)
        else:
            filtered += 1
    return wanted, read, filtered


def _views(
    tx: "Tx",
    dataset: Dataset,
    stream: Stream,
    queued: Sequence[Record],
    keys: Mapping[int, tuple[str, ...]],
    predictor: Predictor,
) -> list[filters.RecordView]:
    """What the stream's filter can see of the queue. Labels of unreviewed records come from the stream's own
    version, else from the latest, and are computed where they are not stored: a record passed over never returns."""
    needs = filters.needs(filters.parse(stream.filter or {}))
    predicted: views.Labels = {}
    if "labels" in needs:
        pinned = None if stream.version is None else models.load(tx, dataset.id, stream.version)
        model = pinned or tx.models.latest(dataset.id)
        reviewed = views.assigned_labels(tx, dataset, [record.id for record in queued])
        open_ones = [record for record in queued if record.id not in reviewed]
        known = scores(tx, model, open_ones, keys, predictor) if model and open_ones else {}
        predicted = {record_id: views.present(model, score) for record_id, score in known.items()} if model else {}
    return views.record_views(tx, dataset, queued, keys, needs, predicted)


def _labelled(
    tx: "Tx",
    dataset: Dataset,
    stream: Stream,
    records: Sequence[Record],
    keys: Mapping[int, tuple[str, ...]],
    predictor: Predictor,
) -> list[Delivered]:
    if stream.version is None or not records:
        return [Delivered(record, ()) for record in records]
    model = models.load(tx, dataset.id, stream.version)
    known = scores(tx, model, records, keys, predictor)
    limits = dict(stream.thresholds)
    found = []
    for record in records:
        labels = models.predicted(model, known[record.id], sentiment=dataset.has_sentiment)
        if limits:
            labels = [item for item in labels if item.name in limits and item.probability > limits[item.name]]
        found.append(Delivered(record, labels))
    return found


def _shown(tx: "Tx", who: Principal, delivered: Sequence[Delivered]) -> list[Delivered]:
    found = [item.record for item in delivered]
    visible = shown(tx, who, found)
    if visible is found:
        return list(delivered)
    return [item._replace(record=record) for item, record in zip(delivered, visible, strict=True)]


def record_views(
    tx: "Tx", dataset: Dataset, records: Sequence[Record], keys: Mapping[int, tuple[str, ...]]
) -> list[filters.RecordView]:
    """All that a filter can see of each record in the dataset, with the latest model's stored predictions."""
    ids = [record.id for record in records]
    predicted = views.predicted_labels(tx, tx.models.latest(dataset.id), ids)
    return views.record_views(tx, dataset, records, keys, frozenset(filters.RecordView._fields), predicted)


def _check_size(size: int, max_filtered: int) -> None:
    if not 1 <= size <= MAX_SIZE:
        raise Invalid(f"size must be 1 to {MAX_SIZE}", fields={"size": size})
    if not 0 <= max_filtered <= MAX_SIZE:
        raise Invalid(f"max_filtered must be 0 to {MAX_SIZE}", fields={"max_filtered": max_filtered})


def _check(tx: "Tx", dataset: Dataset, spec: StreamSpec) -> None:
    check_texts(spec.title, spec.description)
    if spec.filter is not None:
        filters.parse(spec.filter)
    if spec.version is None:
        return
    model = models.load(tx, dataset.id, spec.version)
    known = {label.name for label in tx.datasets.labels(dataset.id)}.union(model.labels)
    for name, threshold in spec.thresholds:
        if not 0 <= threshold <= 1:
            raise Invalid("threshold must be 0 to 1", fields={"threshold": threshold, "label": name})
        if name not in known:
            raise Invalid(f"label_thresholds names an unknown label '{name[:100]}'", fields={"label": name[:100]})


def _pin(tx: "Tx", dataset: Dataset, spec: StreamSpec) -> None:
    if spec.version is not None:
        tx.models.set_pinned(models.load(tx, dataset.id, spec.version).id, True)


def _event(tx: "Tx", who: Principal, dataset: Dataset, stream: Stream, kind: str) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=stream.id,
        data={"name": stream.name},
    )
