"""Reviews: records of a dataset with all that is said of them, as a person who labels them sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import datasets, exceptions, export, streams
from headrace.core.annotations import Annotation
from headrace.core.datasets import Dataset
from headrace.core.exceptions import StreamException, Uid
from headrace.core.models import Predicted, Predictor
from headrace.core.records import Record, shown
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.store import Tx


class Reviewed(NamedTuple):
    """One record with its current annotation, its predictions when asked for, and its exceptions."""

    record: Record
    annotation: Annotation | None
    predictions: Sequence[Predicted] | None
    exceptions: Sequence[StreamException]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewPage:
    """Reviewed records of one dataset."""

    dataset: Dataset
    text_keys: Mapping[int, tuple[str, ...]]
    items: Sequence[Reviewed]


def locate_one(tx: "Tx", dataset: Dataset, uid: Uid) -> int:
    """The id of the record a uid names in the dataset; raises NotFound."""
    return exceptions.locate(tx, dataset.source_ids, [uid])[uid]


def named(tx: "Tx", who: Principal, ref: Ref, uids: Sequence[Uid], predictor: Predictor | None) -> ReviewPage:
    """The records named, in that order, reviewed or not; raises NotFound for one that is not in the dataset."""
    dataset = datasets.load(tx, who, ref, Permission.VIEW_LABELS, Permission.VIEW_SOURCES)
    found = exceptions.locate(tx, dataset.source_ids, uids)
    return of_records(tx, who, dataset, [found[uid] for uid in uids], predictor)


def page(
    tx: "Tx",
    who: Principal,
    ref: Ref,
    *,
    after: int,
    limit: int,
    source_id: int | None = None,
    predictor: Predictor | None = None,
) -> ReviewPage:
    """Records with a current annotation, by record id behind one, optionally of one source."""
    dataset = datasets.load(tx, who, ref, Permission.VIEW_LABELS, Permission.VIEW_SOURCES)
    while reviewed := tx.annotations.reviewed(dataset.id, after, limit, source_id):
        found = of_records(tx, who, dataset, [item.record_id for item in reviewed], predictor)
        if found.items:
            return found
        # All of these lie in sources that have left the dataset, and an empty page would end the client's reading.
        after = reviewed[-1].record_id
    return of_records(tx, who, dataset, [], predictor)


def of_records(
    tx: "Tx", who: Principal, dataset: Dataset, record_ids: Sequence[int], predictor: Predictor | None = None
) -> ReviewPage:
    """The records as the caller may see them, with what is said of them; predictions only with a predictor."""
    records = tx.records.by_ids(record_ids, dataset.source_ids)
    keys = streams.text_keys(tx, dataset)
    current = tx.annotations.current(dataset.id, record_ids)
    predicted: dict[int, Sequence[Predicted] | None] = {}
    if predictor is not None:
        judged = export.judged(tx, dataset, records, keys, predictor)
        predicted = {item.record.id: item.predictions for item in judged}
    tagged: dict[int, list[StreamException]] = {}
    for exception in tx.exceptions.of_records(dataset.id, record_ids):
        tagged.setdefault(exception.record_id, []).append(exception)
    items = [
        Reviewed(record, current.get(record.id), predicted.get(record.id), tagged.get(record.id, ()))
        for record in shown(tx, who, records)
    ]
    return ReviewPage(dataset=dataset, text_keys=keys, items=items)
