"""Queries and statistics: a dataset's comments by filter and order, and how many there are.

What the public material leaves open was decided so: `label_counts` are counted when asked for or with a time series;
a series has one row a day, week or month that holds a comment, in UTC: its first day, the number of comments, how many
of their labels are positive and how many negative, then both numbers for each name of `by_labels`, in its order.
Labels have no properties here, so a series of label properties is empty.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from headrace.core import filters, query, statistics
from headrace.core.errors import Invalid
from headrace.core.filters import Filter
from headrace.core.query import Order, OrderKind, QueryRequest
from headrace.core.statistics import Resolution, Statistics, StatisticsRequest, Tally
from headrace.core.store import Tx
from headrace.dialects.communications_mining import wire
from headrace.dialects.communications_mining.boundary import dialect, ok, paths, ref
from headrace.dialects.communications_mining.labellings import annotated_page
from headrace.dialects.communications_mining.translate import label_name
from headrace.dialects.kit import Call

STEM = "/api/_private/datasets"
SOURCES = "/api/v1/sources"


def whole_filter(said: Mapping[str, object] | None, where: str, attributes: object = None) -> Filter:
    """A filter with the attribute filters beside it; raises Invalid naming the field."""
    found = filters.parse(said or {}, where=where)
    if attributes is None:
        return found
    return replace(found, attributes=(*found.attributes, *filters.parse_attributes(attributes)))


def _order(said: wire.QueryOrder | None) -> Order:
    if said is None:
        return Order()
    kind = OrderKind(said.kind)
    if kind is OrderKind.BY_LABEL and said.label is None:
        raise Invalid("order.label: required, but missing", fields={"path": "order.label"})
    return Order(kind=kind, seed=said.seed or 0, label=label_name(said.label or ""))


@dialect.route("POST", *paths(STEM, "dataset", "/query"))
async def query_comments(call: Call) -> Response:
    """A page of annotated comments that match a filter, in one of the orders of `OrderKind`."""
    body, wanted = await call.json(wire.QueryBody), ref(call, "dataset")
    request = QueryRequest(
        filter=whole_filter(body.filter, "filter", body.attribute_filters),
        order=_order(body.order),
        limit=body.limit,
        continuation=body.continuation,
    )

    def read(tx: Tx) -> dict[str, object]:
        page = query.query(tx, call.who, wanted, request, call.services.predictor)
        results = annotated_page(tx, page.reviews, call.services.extractor)
        more = {} if page.continuation is None else {"continuation": page.continuation}
        return {"results": results, **more}

    return ok(**await call.read(read))


@dialect.route("POST", *paths(STEM, "dataset", "/statistics"))
async def dataset_statistics(call: Call) -> Response:
    """How many comments match a filter, and when asked how often they carry each label, in all and over time."""
    body, wanted = await call.json(wire.StatisticsBody), ref(call, "dataset")
    series = body.label_timeseries
    request = StatisticsRequest(
        filter=whole_filter(body.comment_filter, "comment_filter", body.attribute_filters),
        labels=body.label_counts or series,
        resolution=Resolution(body.time_resolution or Resolution.DAY) if series else None,
    )
    found = await call.read(lambda tx: statistics.of_dataset(tx, call.who, wanted, request))
    shown = _statistics_json(found, request)
    return ok(statistics=shown | ({"label_property_timeseries": []} if body.label_property_timeseries else {}))


@dialect.route("POST", *paths(SOURCES, "source", "/statistics"))
async def source_statistics(call: Call) -> Response:
    """How many of the source's comments match a filter."""
    body, wanted = await call.json(wire.SourceStatisticsBody), ref(call, "source")
    filter = whole_filter(body.comment_filter, "comment_filter")
    count = await call.read(lambda tx: statistics.of_source(tx, call.who, wanted, filter))
    return ok(statistics={"num_comments": count})


def _statistics_json(found: Statistics, request: StatisticsRequest) -> dict[str, Any]:
    shown: dict[str, Any] = {"num_comments": found.count}
    if request.labels:
        shown["label_counts"] = {
            name: {sentiment: found.labels[name, sentiment] for sentiment in ("positive", "negative")}
            for name in found.names
        }
    if request.resolution is not None:
        shown["by_labels"] = list(found.names)
        shown["label_timeseries"] = [
            [day.isoformat(), bin.count, *_both(bin.labels), *_columns(bin.labels, found.names)]
            for day, bin in found.bins.items()
        ]
    return shown


def _both(tally: Tally) -> tuple[int, int]:
    """How many labels are positive and how many negative."""
    positive = sum(count for (_, sentiment), count in tally.items() if sentiment == "positive")
    return positive, sum(tally.values()) - positive


def _columns(tally: Tally, names: Any) -> list[int]:
    return [tally[name, sentiment] for name in names for sentiment in ("positive", "negative")]
