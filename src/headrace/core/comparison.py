"""Comparing two versions of a model before one is promoted: what every stream would make of recent records."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace.core import datasets, models, streams
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.matching import Selection
from headrace.core.models import Model, Predicted, Predictor
from headrace.core.records import Record
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref
from headrace.core.streams import Stream

if TYPE_CHECKING:
    from headrace.core.store import Tx

DEFAULT_RECORDS = 500
MAX_RECORDS = 2_000
MAX_SHOWN = 20
NEEDS = (Permission.VIEW_LABELS, Permission.VIEW_SOURCES, Permission.VIEW_STREAMS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a stream makes of records with one version: how many it passes and holds, and how often each label goes
    out. A record is held that the filter keeps back, or that is left without a label where thresholds are set."""

    passed: int
    held: int
    labels: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamChange:
    """One stream with both versions; `gained` are records only the new one passes, `lost` those only the old one
    does, and `relabelled` those that pass both with other labels; each at most MAX_SHOWN of `counts`."""

    stream: Stream
    before: Outcome
    after: Outcome
    gained: Sequence[Record]
    lost: Sequence[Record]
    relabelled: Sequence[Record]
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two versions and what each stream of the dataset would make of its `record_count` newest records with them."""

    dataset: Dataset
    before: Model
    after: Model
    record_count: int
    streams: Sequence[StreamChange]


Verdict = Sequence[Predicted] | None


def compare(
    tx: "Tx", who: Principal, ref: Ref, versions: tuple[int | str, int | str], count: int, predictor: Predictor
) -> Comparison:
    """Compare two versions (a number, a tag or `latest`); nothing is changed. Raises NotFound, Forbidden, Invalid."""
    dataset = datasets.load(tx, who, ref, *NEEDS)
    if not 1 <= count <= MAX_RECORDS:
        raise Invalid(f"records must be 1 to {MAX_RECORDS}", fields={"records": count})
    before, after = (models.find(tx, dataset.id, version) for version in versions)
    records = tx.queries.newest(Selection(source_ids=tuple(dataset.source_ids)), None, count)
    return Comparison(
        dataset=dataset,
        before=before,
        after=after,
        record_count=len(records),
        streams=[
            _change(
                stream,
                records,
                _verdicts(tx, dataset, stream, before, records, predictor),
                _verdicts(tx, dataset, stream, after, records, predictor),
            )
            for stream in tx.streams.all(dataset.id)
        ],
    )


def _verdicts(
    tx: "Tx", dataset: Dataset, stream: Stream, model: Model, records: Sequence[Record], predictor: Predictor
) -> list[Verdict]:
    """What the stream would let through of each record if it named this version; None where it holds the record."""
    found = streams.outcomes(tx, dataset, replace(stream, version=model.version), records, predictor)
    return [None if labels is None or (stream.thresholds and not labels) else labels for labels in found]


def _change(stream: Stream, records: Sequence[Record], old: Sequence[Verdict], new: Sequence[Verdict]) -> StreamChange:
    rows = list(zip(records, old, new, strict=True))
    gained = [record for record, was, now in rows if was is None and now is not None]
    lost = [record for record, was, now in rows if was is not None and now is None]
    relabelled = [
        record
        for record, was, now in rows
        if stream.thresholds and was is not None and now is not None and _names(was) != _names(now)
    ]
    return StreamChange(
        stream=stream,
        before=_outcome(stream, old),
        after=_outcome(stream, new),
        gained=gained[:MAX_SHOWN],
        lost=lost[:MAX_SHOWN],
        relabelled=relabelled[:MAX_SHOWN],
        counts={"gained": len(gained), "lost": len(lost), "relabelled": len(relabelled)},
    )


def _outcome(stream: Stream, verdicts: Sequence[Verdict]) -> Outcome:
    passed = [labels for labels in verdicts if labels is not None]
    counted = Counter(name for labels in passed for name in _names(labels)) if stream.thresholds else Counter()
    return Outcome(passed=len(passed), held=len(verdicts) - len(passed), labels=dict(sorted(counted.items())))


def _names(labels: Sequence[Predicted]) -> frozenset[str]:
    return frozenset(label.name for label in labels)
