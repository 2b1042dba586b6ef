"""Export: pages of a dataset's records with what people and the latest model say of them."""

import base64
import binascii
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import datasets, exceptions, filters, matching, models, streams
from headrace.core.annotations import Annotation
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.exceptions import Uid
from headrace.core.filters import Filter
from headrace.core.models import Predicted, Predictor
from headrace.core.records import Record, TimeOrder, TimePage, shown
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_LIMIT = 256
DEFAULT_LIMIT = 64
MAX_UIDS = 256
MAX_SOURCES = 1024
MAX_READ = 16_384
_KEY = struct.Struct(">Qqq")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportRequest:
    """Which page is wanted. Times are microseconds, both bounds inclusive, on the clock of `order`.

    With a filter a page may hold fewer records than the limit, even none, and still not be the last.
    """

    uids: tuple[Uid, ...] | None = None
    source_ids: tuple[int, ...] | None = None
    order: TimeOrder = TimeOrder.TIMESTAMP
    start: int | None = None
    end: int | None = None
    continuation: str | None = None
    limit: int = DEFAULT_LIMIT
    filter: Filter = Filter()


class Exported(NamedTuple):
    """One record with its current annotation and its predictions."""

    record: Record
    annotation: Annotation | None
    predictions: Sequence[Predicted] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportPage:
    """A page, and the token of the next one unless this is the last."""

    dataset: Dataset
    text_keys: Mapping[int, tuple[str, ...]]
    items: Sequence[Exported]
    continuation: str | None


def export(tx: "Tx", who: Principal, ref: Ref, request: ExportRequest, predictor: Predictor) -> ExportPage:
    """A page of the dataset; raises Invalid for a bad limit, filter or continuation."""
    dataset = datasets.load(tx, who, ref, Permission.EXPORT_DATASETS)
    _check(dataset, request)
    if request.uids is not None:
        found = exceptions.locate(tx, dataset.source_ids, request.uids)
        records = tx.records.by_ids(list(dict.fromkeys(found[uid] for uid in request.uids)), dataset.source_ids)
        last = None
    else:
        records, last = _read(tx, dataset, request)
    keys = streams.text_keys(tx, dataset)
    items = judged(tx, dataset, records, keys, predictor)
    return ExportPage(
        dataset=dataset,
        text_keys=keys,
        items=[item._replace(record=record) for item, record in zip(items, shown(tx, who, records), strict=True)],
        continuation=_continuation(dataset, last, request.order) if last else None,
    )


def judged(
    tx: "Tx",
    dataset: Dataset,
    records: Sequence[Record],
    keys: Mapping[int, tuple[str, ...]],
    predictor: Predictor,
) -> list[Exported]:
    """The records with their current annotations and the latest model's predictions (None without a model)."""
    current = tx.annotations.current(dataset.id, [record.id for record in records])
    model = tx.models.latest(dataset.id)
    if model is None or not records:
        return [Exported(record, current.get(record.id), None) for record in records]
    known = streams.scores(tx, model, records, keys, predictor)
    return [
        Exported(
            record,
            current.get(record.id),
            models.predicted(model, known[record.id], sentiment=dataset.has_sentiment),
        )
        for record in records
    ]


def _read(tx: "Tx", dataset: Dataset, request: ExportRequest) -> tuple[list[Record], Record | None]:
    """The page's records that match, and the last one read when there are more behind it."""
    source_ids, page = _sources(dataset, request), _time_page(dataset, request)
    matcher = matching.Matcher(tx, dataset, request.filter)
    if matcher.exact:
        found = tx.records.by_time(source_ids, page)
        return found[: request.limit], found[request.limit - 1] if len(found) > request.limit else None
    kept: list[Record] = []
    for _ in range(0, MAX_READ, matching.CHUNK):
        records = tx.records.by_time(source_ids, replace(page, limit=matching.CHUNK))
        kept.extend(matcher.matching(tx, records))
        if len(kept) > request.limit:
            return kept[: request.limit], kept[request.limit - 1]
        if len(records) < matching.CHUNK:
            return kept, None
        page = replace(page, after=_place(records[-1], request.order))
    return kept, records[-1]


def _check(dataset: Dataset, request: ExportRequest) -> None:
    if not 1 <= request.limit <= MAX_LIMIT:
        raise Invalid(f"limit must be 1 to {MAX_LIMIT}", fields={"limit": request.limit})
    if request.source_ids is not None and len(request.source_ids) > MAX_SOURCES:
        raise Invalid(f"source_ids holds more than {MAX_SOURCES} ids", fields={"source_ids": len(request.source_ids)})
    if request.uids is None:
        return
    if len(request.uids) > MAX_UIDS:
        raise Invalid(f"comment_uids holds more than {MAX_UIDS} uids", fields={"comment_uids": len(request.uids)})
    filtered = None if filters.is_empty(request.filter) else ""
    others = {"source_ids": request.source_ids, "from": request.start, "to": request.end, "comment_filter": filtered}
    for name, value in others.items():
        if value is not None:
            raise Invalid(f"comment_uids excludes {name}", fields={"comment_uids": "", name: ""})


def _sources(dataset: Dataset, request: ExportRequest) -> list[int]:
    if request.source_ids is None:
        return list(dataset.source_ids)
    unknown = set(request.source_ids).difference(dataset.source_ids)
    if unknown:
        raise Invalid(
            "source_ids names a source that is not in the dataset",
            fields={"source_ids": f"{min(unknown):016x}"},
        )
    return list(dict.fromkeys(request.source_ids))


def _time_page(dataset: Dataset, request: ExportRequest) -> TimePage:
    after = None
    if request.continuation is not None:
        after = _parse_continuation(dataset, request.continuation)
    return TimePage(order=request.order, limit=request.limit + 1, start=request.start, end=request.end, after=after)


def _continuation(dataset: Dataset, last: Record, order: TimeOrder) -> str:
    return base64.urlsafe_b64encode(_KEY.pack(dataset.id, *_place(last, order))).rstrip(b"=").decode()


def _place(record: Record, order: TimeOrder) -> tuple[int, int]:
    return record.timestamp if order is TimeOrder.TIMESTAMP else record.created_at, record.id


def _parse_continuation(dataset: Dataset, token: str) -> tuple[int, int]:
    try:
        packed = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        owner, instant, record_id = _KEY.unpack(packed)
    except (struct.error, binascii.Error, UnicodeEncodeError):
        owner = None
    if owner != dataset.id:
        raise Invalid("continuation is not one that this dataset gave out", fields={"continuation": token[:80]})
    return instant, record_id
