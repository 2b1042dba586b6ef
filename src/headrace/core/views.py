"""What filters see of records, built the same way for streams, queries, statistics and export.

A record's labels in a dataset are those its current annotation assigns. While nobody reviewed it they are the ones
a model predicts with a probability above one half: the latest model's stored predictions, or for a stream those of
the version it is pinned to, computed where they are not stored yet, so that a stream never passes over a record
only because its prediction was late.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from headrace.core import content
from headrace.core.annotations import Assigned
from headrace.core.datasets import Dataset
from headrace.core.filters import RecordView
from headrace.core.models import Model, Scores

if TYPE_CHECKING:
    from headrace.core.records import Record
    from headrace.core.store import Tx

PRESENT_ABOVE = 0.5
IN_BODY = frozenset({"properties", "senders", "to", "cc", "bcc", "attachments"})
_NO_FACTS = content.Facts(properties={})

Labels = Mapping[int, Sequence[Assigned]]
TextKeys = Mapping[int, tuple[str, ...]]


def record_views(
    tx: "Tx",
    dataset: Dataset,
    records: Sequence["Record"],
    keys: TextKeys,
    needs: frozenset[str],
    predicted: Labels,
) -> list[RecordView]:
    """What a filter with these needs can see of each record; `predicted` are the labels of unreviewed records."""
    ids = [record.id for record in records]
    assigned = assigned_labels(tx, dataset, ids) if needs & {"reviewed", "labels"} else {}
    labels = {**predicted, **assigned}
    tagged = _exceptions(tx, dataset, ids) if "exceptions" in needs else {}
    views = []
    for record in records:
        facts = facts_of(record, keys, needs)
        views.append(
            RecordView(
                source_id=record.source_id,
                timestamp=record.timestamp,
                properties=facts.properties,
                senders=facts.senders,
                to=facts.to,
                cc=facts.cc,
                bcc=facts.bcc,
                reviewed=record.id in assigned,
                labels=[label.name for label in labels.get(record.id, ())],
                exceptions=tagged.get(record.id, ()),
                attachments=facts.attachments,
            )
        )
    return views


def facts_of(record: "Record", keys: TextKeys, needs: frozenset[str]) -> content.Facts:
    """What the record's body tells a filter; nothing when the filter does not ask for it."""
    if needs.isdisjoint(IN_BODY):
        return _NO_FACTS
    return content.facts(record.kind, record.body, keys.get(record.source_id, ()), needs)


def assigned_labels(tx: "Tx", dataset: Dataset, record_ids: Sequence[int]) -> Labels:
    """What the current annotations assign; a record that nobody reviewed is absent."""
    return {
        record_id: annotation.judgement.labels
        for record_id, annotation in tx.annotations.current(dataset.id, record_ids).items()
    }


def predicted_labels(tx: "Tx", model: Model | None, record_ids: Sequence[int]) -> Labels:
    """The labels that the model's stored predictions put above one half, with the sentiment predicted."""
    if model is None:
        return {}
    return {record_id: present(model, scores) for record_id, scores in tx.predictions.of(model.id, record_ids).items()}


def present(model: Model, scores: Scores) -> list[Assigned]:
    """The labels with a probability above one half, in the order of the model."""
    sentiment = "negative" if (scores.sentiment or 0.0) < 0 else "positive"
    pairs = zip(model.labels, scores.values(), strict=True)
    return [Assigned(name, sentiment) for name, probability in pairs if probability > PRESENT_ABOVE]


def _exceptions(tx: "Tx", dataset: Dataset, record_ids: Sequence[int]) -> dict[int, list[str]]:
    tagged: dict[int, list[str]] = {}
    for exception in tx.exceptions.of_records(dataset.id, record_ids):
        tagged.setdefault(exception.record_id, []).append(exception.type)
    return tagged
