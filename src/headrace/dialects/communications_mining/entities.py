"""Entities in answers: what people marked, and what the dataset's definitions find beside it.

What is found where somebody has judged an entity of that name, assigned or dismissed, is not predicted again.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headrace.core import entities, exceptions
from headrace.core.annotations import Annotation
from headrace.core.datasets import Dataset
from headrace.core.entities import Definition, Entity, Extractor
from headrace.core.exceptions import Uid
from headrace.core.records import Record, shown
from headrace.core.rights import Principal
from headrace.core.store import Tx
from headrace.core.streams import text_keys
from headrace.dialects.communications_mining.translate import TextKeys, comment_json

Json = dict[str, Any]


class Found(NamedTuple):
    """The entities of one comment: those that people assigned, and those predicted beside them."""

    assigned: Sequence[Json] = ()
    predicted: Sequence[Json] = ()

    def all(self) -> list[Json]:
        """Both, where an answer has one list."""
        return [*self.assigned, *self.predicted]


def wanted(dataset: Dataset) -> tuple[Definition, ...]:
    """What the dataset defines and there is a rule for."""
    return entities.definitions(dataset.settings)


def judged(annotation: Annotation | None) -> dict[str, list[Json]]:
    """What people said of a comment's entities: two lists, assigned and dismissed."""
    stored = annotation.judgement.extra if annotation else None
    said: Json = json.loads(stored).get("entities", {}) if stored else {}
    return {"assigned": said.get("assigned", []), "dismissed": said.get("dismissed", [])}


def of_records(
    tx: Tx, dataset: Dataset, records: Sequence[Record], keys: TextKeys, extractor: Extractor
) -> dict[int, Found]:
    """The entities of each record by its id; empty, and at no cost, when the dataset defines none.

    The records must be as the caller may see them. Raises Unavailable.
    """
    rules = wanted(dataset)
    if not rules or not records:
        return {}
    current = tx.annotations.current(dataset.id, [record.id for record in records])
    found = entities.of_comments(rules, [comment_json(record, keys) for record in records], extractor)
    return {
        record.id: _beside(judged(current.get(record.id)), [entity_json(item) for item in items])
        for record, items in zip(records, found, strict=True)
    }


def of_uids(tx: Tx, who: Principal, dataset: Dataset, uids: Sequence[Uid], extractor: Extractor) -> dict[Uid, Found]:
    """The entities of the records that uids name; empty, and at no cost, when the dataset defines none."""
    if not wanted(dataset):
        return {}
    located = exceptions.locate(tx, dataset.source_ids, uids)
    records = shown(tx, who, tx.records.by_ids(sorted(set(located.values())), dataset.source_ids))
    found = of_records(tx, dataset, records, text_keys(tx, dataset), extractor)
    return {uid: found[record_id] for uid, record_id in located.items()}


def of_documents(dataset: Dataset, comments: Sequence[str], extractor: Extractor) -> list[list[Json]]:
    """The entities predicted in comments that are not stored, in order. Raises Unavailable."""
    found = entities.of_comments(wanted(dataset), comments, extractor)
    return [[entity_json(item) for item in items] for items in found]


def entity_json(entity: Entity) -> Json:
    """A predicted entity in answers."""
    span = {
        "content_part": entity.content_part,
        "message_index": entity.message_index,
        "char_start": entity.char_start,
        "char_end": entity.char_end,
        "utf16_byte_start": entity.utf16_byte_start,
        "utf16_byte_end": entity.utf16_byte_end,
    }
    found: Json = {"name": entity.name, "formatted_value": entity.value, "spans": [span]}
    return found | ({"field_id": entity.field_id} if entity.field_id is not None else {})


def _beside(said: Mapping[str, Sequence[Json]], predicted: Sequence[Json]) -> Found:
    known: dict[str, list[Json]] = {}
    for item in (*said["assigned"], *said["dismissed"]):
        known.setdefault(item["name"], []).append(item)
    left = [item for item in predicted if not any(_same(item, other) for other in known.get(item["name"], ()))]
    return Found(assigned=said["assigned"], predicted=left)


def _same(predicted: Json, other: Json) -> bool:
    """Whether a judged entity of that name stands at the place, or anywhere with the value when it has no span."""
    if not other["spans"]:
        return bool(predicted["formatted_value"] == other["formatted_value"])
    return any(_overlap(span, known) for span in predicted["spans"] for known in other["spans"])


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    same_part = all(one[key] == other[key] for key in ("message_index", "content_part"))
    return same_part and one["char_start"] < other["char_end"] and other["char_start"] < one["char_end"]
