"""Statistics: how many records match a filter, and how often they carry each label, in all and over time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from headrace.core import datasets, filters, matching, sources, views
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.filters import Filter, RecordView
from headrace.core.matching import Finder
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.records import Record
    from headrace.core.store import Tx

MAX_CELLS = 2_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Tally = Counter[tuple[str, str]]
"""How many records carry a label, by (name, sentiment)."""


class Resolution(StrEnum):
    """How long a bin of a time series is; weeks begin on Monday, and all are counted in UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, kw_only=True, slots=True)
class StatisticsRequest:
    """What is wanted beside the number of records."""

    filter: Filter = Filter()
    labels: bool = False
    resolution: Resolution | None = None


@dataclass(kw_only=True, slots=True)
class Bin:
    """The records of one stretch of time."""

    count: int = 0
    labels: Tally = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """The number of records; with labels asked for, the dataset's names and their tally; with a resolution, the
    bins that hold anything, by their first day in order."""

    count: int
    names: Sequence[str] = ()
    labels: Tally = field(default_factory=Counter)
    bins: Mapping[date, Bin] = field(default_factory=dict)


def of_dataset(tx: "Tx", who: Principal, ref: Ref, request: StatisticsRequest) -> Statistics:
    """The statistics of a dataset's records that match; labels as a filter sees them (`core.views`).

    Raises Invalid when a time series would have more than two million cells.
    """
    dataset = datasets.load(tx, who, ref, Permission.VIEW_LABELS, Permission.VIEW_SOURCES)
    finder = Finder(tx, dataset, request.filter)
    if not request.labels and request.resolution is None:
        return Statistics(count=_count(tx, finder))
    tally: Tally = Counter()
    bins: dict[date, Bin] = {}
    count = 0
    for records in finder.scan(tx):
        count += len(records)
        _add(tx, dataset, records, request, tally, bins)
    names = _names(tx, dataset, tally)
    if len(bins) * len(names) > MAX_CELLS:
        raise Invalid("time_resolution is too fine: the series is too long", fields={"time_resolution": len(bins)})
    return Statistics(count=count, names=names, labels=tally, bins=dict(sorted(bins.items())))


def of_source(tx: "Tx", who: Principal, ref: Ref, filter: Filter) -> int:
    """How many of a source's records match.

    Reviewed means annotated in any dataset; what only a dataset knows (labels, exceptions) raises Invalid.
    """
    source = sources.load(tx, who, ref, Permission.VIEW_SOURCES)
    selection, rest = matching.split([source.id], filter, None)
    needs = filters.needs(rest)
    for name, said in {"labels": "annotations", "exceptions": "trigger_exceptions"}.items():
        if name in needs:
            raise Invalid(f"comment_filter.{said}: a source has none, ask a dataset", fields={"path": said})
    if filters.is_empty(rest):
        return tx.queries.count(selection)
    matches, keys = filters.compile(rest), {source.id: source.text_keys}
    return sum(
        matches(RecordView(record.source_id, record.timestamp, **views.facts_of(record, keys, needs)._asdict()))
        for records in matching.pages(tx, selection, matching.CHUNK)
        for record in records
    )


def _count(tx: "Tx", finder: Finder) -> int:
    if finder.matcher.exact:
        return tx.queries.count(finder.selection)
    return sum(len(records) for records in finder.scan(tx))


def _add(
    tx: "Tx",
    dataset: Dataset,
    records: Sequence["Record"],
    request: StatisticsRequest,
    tally: Tally,
    bins: dict[date, Bin],
) -> None:
    labels = _labels(tx, dataset, records) if request.labels else {}
    for record in records:
        carried = [(label.name, label.sentiment) for label in labels.get(record.id, ())]
        tally.update(carried)
        if request.resolution is not None:
            current = bins.setdefault(first_day(record.timestamp, request.resolution), Bin())
            current.count += 1
            current.labels.update(carried)


def _labels(tx: "Tx", dataset: Dataset, records: Sequence["Record"]) -> views.Labels:
    ids = [record.id for record in records]
    predicted = views.predicted_labels(tx, tx.models.latest(dataset.id), ids)
    return {**predicted, **views.assigned_labels(tx, dataset, ids)}


def _names(tx: "Tx", dataset: Dataset, tally: Tally) -> list[str]:
    """The dataset's labels in their order, then others that were counted."""
    names = dict.fromkeys(label.name for label in tx.datasets.labels(dataset.id))
    return [*names, *sorted({name for name, _ in tally}.difference(names))]


def first_day(timestamp: int, resolution: Resolution) -> date:
    """The first day of the bin in which an instant (microseconds) lies."""
    day = (_EPOCH + timedelta(microseconds=timestamp)).date()
    if resolution is Resolution.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if resolution is Resolution.MONTH else day
