"""Matching: the records of some sources that satisfy a filter, found in bounded memory.

A filter is taken apart: sources, timestamps and whether a record is reviewed are decided by indexes, the rest is
tested on what `core.views` shows of each record, chunk by chunk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import filters, streams, views
from headrace.core.datasets import Dataset
from headrace.core.filters import Filter
from headrace.core.positions import Position

if TYPE_CHECKING:
    from headrace.core.records import Record
    from headrace.core.store import Tx

CHUNK = 1000


class Key(NamedTuple):
    """A place in the order of timestamps, newest first."""

    timestamp: int
    id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What indexes decide: sources, inclusive bounds in microseconds, and whether a record is reviewed.

    Reviewed means annotated in the dataset, or in any dataset when none is named.
    """

    source_ids: tuple[int, ...]
    minimum: int | None = None
    maximum: int | None = None
    reviewed: bool | None = None
    dataset_id: int | None = None


class Queries(Protocol):
    """Storage's side of a query."""

    def count(self, selection: Selection) -> int:
        """How many records are selected; kept by the sources when nothing but these restricts."""

    def newest(self, selection: Selection, before: Key | None, limit: int) -> list["Record"]:
        """Selected records behind a key, newest timestamp first, at most `limit`."""

    def keys(self, selection: Selection, before: Key | None, limit: int) -> list[Key]:
        """The keys of the records that `newest` would answer."""

    def likelihoods(self, model_id: int, label: int, up_to: Position, record_ids: Sequence[int]) -> dict[int, float]:
        """The stored probability of a model's label, by its index, of the records not behind the position."""


class Matcher:
    """A filter made ready to be tested on a dataset's records."""

    def __init__(self, tx: "Tx", dataset: Dataset, filter: Filter) -> None:
        self._dataset = dataset
        self._needs = filters.needs(filter)
        self._matches = filters.compile(filter)
        self._model = tx.models.latest(dataset.id) if "labels" in self._needs else None
        self.exact = filters.is_empty(filter)
        """True when there is nothing to test."""
        self._keys = {} if self.exact else streams.text_keys(tx, dataset)

    def matching(self, tx: "Tx", records: Sequence["Record"]) -> list["Record"]:
        """Those of the records that match, in their order."""
        if self.exact:
            return list(records)
        predicted = views.predicted_labels(tx, self._model, [record.id for record in records])
        shown = views.record_views(tx, self._dataset, records, self._keys, self._needs, predicted)
        return [record for record, view in zip(records, shown, strict=True) if self._matches(view)]


class Finder:
    """A filter over a dataset's sources: what indexes select of them, and what is left to test."""

    def __init__(self, tx: "Tx", dataset: Dataset, filter: Filter) -> None:
        self.selection, rest = split(dataset.source_ids, filter, dataset.id)
        self.matcher = Matcher(tx, dataset, rest)

    def scan(self, tx: "Tx") -> Iterator[list["Record"]]:
        """All records that match, in chunks and in no promised order."""
        for source_id in self.selection.source_ids:
            mine = replace(self.selection, source_ids=(source_id,))
            for records in pages(tx, mine, CHUNK):
                yield self.matcher.matching(tx, records)


def split(source_ids: Sequence[int], filter: Filter, dataset_id: int | None) -> tuple[Selection, Filter]:
    """The filter over these sources as what indexes decide, and what is left of it."""
    wanted = [source for source in source_ids if filter.sources is None or source in filter.sources]
    selection = Selection(
        source_ids=tuple(wanted),
        minimum=filter.minimum,
        maximum=filter.maximum,
        reviewed=filter.reviewed,
        dataset_id=dataset_id,
    )
    return selection, replace(filter, sources=None, minimum=None, maximum=None, reviewed=None)


def pages(tx: "Tx", selection: Selection, size: int) -> Iterator[list["Record"]]:
    """All selected records, newest timestamp first, `size` at a time."""
    before: Key | None = None
    while records := tx.queries.newest(selection, before, size):
        yield records
        before = Key(records[-1].timestamp, records[-1].id)
