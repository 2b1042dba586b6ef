"""Intake by dataset: records that say themselves which source they come from, as the oldest uploaders send them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from headrace.core import datasets, records, sources
from headrace.core.projects import MAX_TITLE, OBJECT_NAME
from headrace.core.records import NewRecord, SyncCounts
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.store import Tx

_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_-]+")


def deliver(tx: "Tx", who: Principal, ref: Ref, rows: Mapping[str, Sequence[NewRecord]]) -> SyncCounts:
    """Insert or update records in the sources they name, which are made and added to the dataset when missing.

    Needs the right to edit messages; making a source needs Sources admin and adding one Datasets admin besides.
    """
    dataset = datasets.load(tx, who, ref, Permission.VIEW_LABELS)
    counts = [records.sync(tx, who, _source(tx, who, dataset.id, said), group) for said, group in rows.items()]
    return SyncCounts(*(sum(column) for column in zip(*counts, strict=True))) if counts else SyncCounts(0, 0, 0)


def source_name(said: str) -> str:
    """The name of the source that a text stands for: the text itself where it may be a name, else one made of it."""
    if OBJECT_NAME.fullmatch(said):
        return said
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_UNNAMEABLE.sub('-', said)[:200]}-{digest}"


def _source(tx: "Tx", who: Principal, dataset_id: int, said: str) -> int:
    """The id of the source a record names; it is in the dataset afterwards."""
    dataset = datasets.load(tx, who, dataset_id)
    ref = (dataset.project, source_name(said))
    source = tx.sources.get(ref, who.scope)
    if source is None:
        source = sources.create(tx, who, project=ref[0], name=ref[1], title=said[:MAX_TITLE])
    if source.id not in dataset.source_ids:
        datasets.update(tx, who, dataset.id, {"source_ids": [*dataset.source_ids, source.id]})
    return source.id
