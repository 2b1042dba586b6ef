"""Queries: a dataset's records that match a filter, page by page in a chosen order.

Every page continues behind a key of its last record, and a key is made of nothing that labelling or learning changes.
So of what existed at the first page and was not deleted or changed since, everything comes exactly once; a record
that is changed meanwhile may come again, one that is new may come or not.
"""

import base64
import binascii
import heapq
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import datasets, reviews
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.filters import Filter
from headrace.core.matching import CHUNK, Finder, Key, Selection
from headrace.core.models import Model, Predictor
from headrace.core.positions import START, Position
from headrace.core.reviews import ReviewPage
from headrace.core.rights import Permission, Principal
from headrace.core.shortlist import Aim
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_LIMIT = 512
DEFAULT_LIMIT = 64
KEY_CHUNK = 20_000
MAX_RANKED = 65_536

_TOKEN = struct.Struct(">IQqQqQQ")
_MASK = 2**64 - 1
_RANK_STEPS = 2**40


class OrderKind(StrEnum):
    """The orders of a query."""

    RECENT = "recent"
    SAMPLE = "sample"
    BY_LABEL = "by_label"
    UNCERTAINTY = "uncertainty"
    NEED = "need"
    DISAGREEMENT = "disagreement"
    NOVELTY = "novelty"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Newest timestamp first; or shuffled, the same way for the same seed; or most probable for a label first; or
    most worth labelling by an aim of `core.shortlist`, what is not on the list last. A query by worth sees the list of
    the moment: what a new version moves while it is being read may come twice or not at all."""

    kind: OrderKind = OrderKind.RECENT
    seed: int = 0
    label: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryRequest:
    """Which page is wanted."""

    filter: Filter = Filter()
    order: Order = Order()
    limit: int = DEFAULT_LIMIT
    continuation: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryPage:
    """A page of reviews, and the token of the next one unless this is the last."""

    reviews: ReviewPage
    continuation: str | None


def query(tx: "Tx", who: Principal, ref: Ref, request: QueryRequest, predictor: Predictor | None) -> QueryPage:
    """A page of the dataset's records that match; raises Invalid for a bad limit, label or continuation."""
    dataset = datasets.load(tx, who, ref, Permission.VIEW_LABELS, Permission.VIEW_SOURCES)
    if not 1 <= request.limit <= MAX_LIMIT:
        raise Invalid(f"limit must be 1 to {MAX_LIMIT}", fields={"limit": request.limit})
    finder = Finder(tx, dataset, request.filter)
    cursor = _cursor(tx, dataset, request)
    found = _found(tx, finder, request.order, cursor, request.limit + 1)
    shown = found[: request.limit]
    token = _token(dataset, request.order, cursor, shown[-1]) if len(found) > request.limit else None
    return QueryPage(
        reviews=reviews.of_records(tx, who, dataset, [id for _, id in shown], predictor), continuation=token
    )


Place = tuple[int, int]
"""A record's rank in an order, and its id."""


class _Cursor(NamedTuple):
    """How far a query has come: behind a place, with the model and the log's position it began with."""

    after: Place | None
    model: Model | None
    horizon: Position


def _found(tx: "Tx", finder: Finder, order: Order, cursor: _Cursor, count: int) -> list[Place]:
    if order.kind is OrderKind.RECENT:
        return _recent(tx, finder, cursor.after, count)
    if order.kind is OrderKind.SAMPLE:
        return _ranked(tx, finder, _shuffled(order.seed), cursor.after, count)
    if order.kind is OrderKind.BY_LABEL:
        return _ranked(tx, finder, _by_label(tx, order.label, cursor), cursor.after, count)
    return _ranked(tx, finder, _by_worth(tx, finder, Aim(order.kind.value)), cursor.after, count)


def _recent(tx: "Tx", finder: Finder, after: Place | None, count: int) -> list[Place]:
    found: list[Place] = []
    before = None if after is None else Key(*after)
    size = count if finder.matcher.exact else max(count, CHUNK)
    while len(found) < count and (records := tx.queries.newest(finder.selection, before, size)):
        found.extend((record.timestamp, record.id) for record in finder.matcher.matching(tx, records))
        before = Key(records[-1].timestamp, records[-1].id)
    return found[:count]


Ranker = Callable[[Sequence[int]], Iterable[Place]]


def _ranked(tx: "Tx", finder: Finder, rank: Ranker, after: Place | None, count: int) -> list[Place]:
    """The next matching places by rank. Ranks are looked through anew for each batch of candidates, and batches
    grow, so that a filter which nearly nothing matches costs few passes."""
    found: list[Place] = []
    size = 2 * count if finder.matcher.exact else max(2 * count, CHUNK)
    while len(found) < count:
        places = (place for ids in _id_chunks(tx, finder.selection) for place in rank(ids))
        behind = places if after is None else (place for place in places if place > after)
        candidates = heapq.nsmallest(size, behind)
        for start in range(0, len(candidates), CHUNK):
            found.extend(_matching_places(tx, finder, candidates[start : start + CHUNK]))
            if len(found) >= count:
                break
        if len(candidates) < size:
            break
        after, size = candidates[-1], min(8 * size, MAX_RANKED)
    return found[:count]


def _matching_places(tx: "Tx", finder: Finder, places: Sequence[Place]) -> list[Place]:
    if finder.matcher.exact:
        return list(places)
    records = tx.records.by_ids([id for _, id in places], finder.selection.source_ids)
    kept = {record.id for record in finder.matcher.matching(tx, records)}
    return [place for place in places if place[1] in kept]


def _id_chunks(tx: "Tx", selection: Selection) -> Iterator[list[int]]:
    for source_id in selection.source_ids:
        mine, before = replace(selection, source_ids=(source_id,)), None
        while keys := tx.queries.keys(mine, before, KEY_CHUNK):
            yield [key.id for key in keys]
            before = keys[-1]


def _shuffled(seed: int) -> Ranker:
    """Ranks by a hash of seed and id: SplitMix64, which scatters neighbouring ids."""

    def scattered(record_id: int) -> int:
        mixed = (record_id + seed * 0x9E3779B97F4A7C15) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return (mixed ^ (mixed >> 31)) >> 1

    return lambda ids: [(scattered(record_id), record_id) for record_id in ids]


def _by_label(tx: "Tx", label: str, cursor: _Cursor) -> Ranker:
    """Ranks by the probability that the cursor's model stored for records up to its horizon; others come last."""
    model = cursor.model
    if model is None or label not in model.labels:
        return lambda ids: [(0, record_id) for record_id in ids]
    model_id, index, horizon = model.id, model.labels.index(label), cursor.horizon

    def ranked(ids: Sequence[int]) -> list[Place]:
        known = tx.queries.likelihoods(model_id, index, horizon, ids)
        return [(round((1.0 - known.get(record_id, -1.0)) * _RANK_STEPS), record_id) for record_id in ids]

    return ranked


def _by_worth(tx: "Tx", finder: Finder, aim: Aim) -> Ranker:
    """Ranks by what labelling a record would teach; what is not on the shortlist comes last."""
    listed = tx.shortlists.best(finder.selection.dataset_id or 0, aim, MAX_RANKED)
    places = {record_id: place for place, record_id in enumerate(listed)}
    return lambda ids: [(places.get(number, len(places)), number) for number in ids]


def _cursor(tx: "Tx", dataset: Dataset, request: QueryRequest) -> _Cursor:
    by_label = request.order.kind is OrderKind.BY_LABEL
    if request.continuation is not None:
        return _parsed(tx, dataset, request.order, request.continuation)
    model = tx.models.latest(dataset.id) if by_label else None
    if by_label:
        _check_label(tx, dataset, model, request.order.label)
    return _Cursor(None, model, model.predicted if model else START)


def _check_label(tx: "Tx", dataset: Dataset, model: Model | None, label: str) -> None:
    known = {item.name for item in tx.datasets.labels(dataset.id)}.union(model.labels if model else ())
    if label not in known:
        raise Invalid(f"order.label names an unknown label '{label[:100]}'", fields={"order.label": label[:100]})


def _token(dataset: Dataset, order: Order, cursor: _Cursor, last: Place) -> str:
    version = cursor.model.version if cursor.model else -1
    packed = _TOKEN.pack(_binding(order), dataset.id, *last, version, *cursor.horizon)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def _parsed(tx: "Tx", dataset: Dataset, order: Order, token: str) -> _Cursor:
    refused = Invalid("continuation is not one that this query gave out", fields={"continuation": token[:80]})
    try:
        packed = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        binding, owner, rank, record_id, version, x, n = _TOKEN.unpack(packed)
    except (struct.error, binascii.Error, UnicodeEncodeError):
        raise refused from None
    if (binding, owner) != (_binding(order), dataset.id) or max(record_id, x, n) >= 2**63:
        raise refused
    model = tx.models.get(dataset.id, version) if version >= 0 else None
    if version >= 0 and model is None:
        raise Invalid("continuation was made with a model that is gone; start again", fields={"continuation": ""})
    return _Cursor((rank, record_id), model, Position(x, n))


def _binding(order: Order) -> int:
    """What ties a token to the order it was made in."""
    return zlib.crc32(f"{order.kind.value}:{order.seed}:{order.label}".encode())
