"""Annotations: judgements of one author on one record in one dataset.

A record's labels in a dataset are those of its *current* annotation: the newest one that was not skipped. So a
choice made through one API and a labelling made through another replace each other, and the last word counts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import datasets, learning, queue, run_mirrors
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.store import Tx

SENTIMENTS = ("positive", "negative")
COPY_CHUNK = 1000


class Assigned(NamedTuple):
    """A label put on a record (or dismissed from it), with its sentiment."""

    name: str
    sentiment: str = "positive"


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What somebody says of a record, before it has an id. `result` is a Label Studio result as JSON text,
    `extra` JSON text of what only one dialect knows (entities, moon forms). `draft_created_at` is when the draft was
    begun that became it, `skip_reason` why a cancelled one was skipped."""

    labels: tuple[Assigned, ...] = ()
    dismissed: tuple[Assigned, ...] = ()
    result: str | None = None
    extra: str | None = None
    cancelled: bool = False
    ground_truth: bool = False
    lead_time: float | None = None
    unique_id: str | None = None
    import_id: int | None = None
    draft_created_at: int | None = None
    skip_reason: str | None = None

    @property
    def blank(self) -> bool:
        """True for a labelling that has been cleared: it says nothing, and the record counts as unreviewed."""
        return not (self.labels or self.dismissed or self.extra) and self.result is None

    @property
    def counts(self) -> bool:
        """True for a judgement that was neither skipped nor cleared."""
        return not (self.cancelled or self.blank)


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """A stored judgement; times are microseconds since the epoch."""

    id: int
    dataset_id: int
    record_id: int
    author_id: int
    judgement: Judgement
    current: bool
    created_at: int
    updated_at: int


class AnnotationCounts(NamedTuple):
    """How a dataset's annotations stand; cleared labellings are left out. Skipped ones count in `cancelled` only.

    `useful` are those that are not ground truth, `annotated` the records that have one of these. `finished` are the
    records that enough different people annotated, `mine` those that one author annotated or skipped, and
    `finished_by_others` those finished without that author.
    """

    total: int
    cancelled: int
    ground_truth: int
    useful: int
    annotated: int
    finished: int
    mine: int
    finished_by_others: int


class Annotations(Protocol):
    """Storage of annotations. Every write settles which one is current."""

    def insert(self, dataset_id: int, rows: Sequence[tuple[int, int, Judgement]]) -> list[int]:
        """Store judgements as (record id, author id, judgement); answers their ids in order."""

    def update(self, annotation_id: int, judgement: Judgement) -> None:
        """Replace a judgement; it becomes the newest word on its record."""

    def move(self, dataset_id: int, moves: Sequence[tuple[int, int]]) -> None:
        """Give annotations of the dataset, as (annotation id, record id), to other records; they stay what they are."""

    def delete(self, annotation_ids: Sequence[int]) -> None:
        """Remove annotations; an older one may become current again."""

    def get(self, annotation_id: int) -> Annotation | None:
        """One annotation."""

    def of_records(self, dataset_id: int, record_ids: Sequence[int]) -> list[Annotation]:
        """All annotations of the records in the dataset, by id."""

    def current(self, dataset_id: int, record_ids: Sequence[int]) -> dict[int, Annotation]:
        """The current annotation of each record that has one."""

    def authored(self, dataset_id: int, record_id: int, author_id: int) -> Annotation | None:
        """The author's newest labelling (not a Label Studio result) of the record."""

    def reviewed(
        self, dataset_id: int, after_record: int, limit: int, source_id: int | None = None
    ) -> list[Annotation]:
        """Current annotations by record id, behind one record id, optionally of one source."""

    def contested(self, dataset_id: int, limit: int) -> list[Annotation]:
        """All annotations of the newest records, at most `limit`, that several people judged."""

    def at_least(self, dataset_id: int, count: int) -> bool:
        """True when that many records have a current annotation in the dataset."""

    def authors(self, dataset_id: int) -> list[int]:
        """Who annotated or skipped records of the dataset, by id."""

    def count(self, dataset_id: int) -> int:
        """How many annotations of the dataset are neither skipped nor cleared."""

    def counts(self, dataset_id: int, *, overlap: int, author_id: int) -> AnnotationCounts:
        """All the counters of a dataset, with `overlap` people needed to finish a record, as one author sees them."""

    def finishing(self, dataset_id: int, *, overlap: int, skips: bool = False) -> tuple[int, int]:
        """How many records are finished, and the annotation that finished the last one (0 when none is).

        With `skips`, whoever skipped a record counts towards its overlap.
        """


def judge(
    tx: "Tx", who: Principal, dataset: Dataset, record_id: int, judgement: Judgement, *, author_id: int | None = None
) -> int:
    """Store a judgement of a record the caller may review, as theirs or an author's; answers the annotation's id."""
    author = who.user_id if author_id is None else author_id
    annotation_id = judge_many(tx, who, dataset, [(record_id, author, judgement)])[0]
    if not judgement.blank:
        queue.end_work(
            tx,
            who,
            dataset,
            author,
            record_id,
            result_id=annotation_id,
            skipped=judgement.cancelled,
            reason=judgement.skip_reason,
        )
    tx.events.add(
        "annotation.created",
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=annotation_id,
        data={"record_id": record_id, "counts": judgement.counts},
    )
    return annotation_id


def judge_many(tx: "Tx", who: Principal, dataset: Dataset, rows: Sequence[tuple[int, int, Judgement]]) -> list[int]:
    """Store many judgements (record id, author id, judgement), as an import does; labels are added as needed."""
    annotation_ids = tx.annotations.insert(dataset.id, rows)
    _settled(tx, who, dataset, rows)
    return annotation_ids


def rejudge(tx: "Tx", who: Principal, dataset: Dataset, annotation: Annotation, judgement: Judgement) -> None:
    """Replace what an annotation says; it becomes the last word on its record."""
    tx.annotations.update(annotation.id, judgement)
    begins = judgement.counts and not annotation.judgement.counts
    _event(tx, who, dataset, "annotation.updated", annotation, counts=begins)
    _settled(tx, who, dataset, [(annotation.record_id, annotation.author_id, judgement)])


def remove(tx: "Tx", who: Principal, dataset: Dataset, annotation: Annotation) -> None:
    """Remove an annotation; an older one of the record may count again."""
    tx.annotations.delete([annotation.id])
    queue.settle(tx, dataset, [annotation.record_id], freed=True)
    _event(tx, who, dataset, "annotation.deleted", annotation)
    run_mirrors.follow(tx, dataset, [annotation.record_id])
    learning.annotations_changed(tx, dataset.id)


def remove_many(tx: "Tx", who: Principal, dataset: Dataset, found: Sequence[Annotation]) -> None:
    """Remove annotations, as `remove` does one, told by one event."""
    if not found:
        return
    record_ids = sorted({annotation.record_id for annotation in found})
    tx.annotations.delete([annotation.id for annotation in found])
    queue.settle(tx, dataset, record_ids, freed=True)
    tx.events.add(
        "annotations.deleted",
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        data={"annotations": [annotation.id for annotation in found]},
    )
    run_mirrors.follow(tx, dataset, record_ids)
    learning.annotations_changed(tx, dataset.id)


def label(
    tx: "Tx",
    who: Principal,
    dataset: Dataset,
    record_id: int,
    *,
    assigned: Sequence[Assigned] | None,
    dismissed: Sequence[Assigned] | None,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Set a record's labelling: a list that is None keeps what is there, an empty one clears it.

    `extra` is what only one dialect knows; keys that it does not name keep their value, one level down too.
    Assigning a child assigns its parents. The labelling is stored as the caller's own judgement.
    """
    before = tx.annotations.current(dataset.id, [record_id]).get(record_id)
    known = before.judgement if before else Judgement()
    judgement = Judgement(
        labels=known.labels if assigned is None else expanded(assigned),
        dismissed=known.dismissed if dismissed is None else tuple(dict.fromkeys(dismissed)),
        extra=merged(known.extra, extra or {}),
    )
    _check(judgement)
    mine = tx.annotations.authored(dataset.id, record_id, who.user_id)
    if mine is None:
        annotation_id = tx.annotations.insert(dataset.id, [(record_id, who.user_id, judgement)])[0]
    else:
        annotation_id = mine.id
        tx.annotations.update(mine.id, judgement)
    if not judgement.blank:
        queue.end_work(tx, who, dataset, who.user_id, record_id, result_id=annotation_id)
    tx.events.add(
        "annotation.created" if mine is None else "annotation.updated",
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=annotation_id,
        data={
            "record_id": record_id,
            "labels": [name for name, _ in judgement.labels],
            "counts": judgement.counts and not (mine and mine.judgement.counts),
        },
    )
    _settled(tx, who, dataset, [(record_id, who.user_id, judgement)])


def copy(tx: "Tx", who: Principal, dataset: Dataset, ref: Ref) -> int:
    """Take over the current annotations of another dataset on records that both see; answers how many."""
    other = datasets.load(tx, who, ref, Permission.VIEW_LABELS)
    copied = 0
    for source_id in set(dataset.source_ids) & set(other.source_ids):
        after = 0
        while found := tx.annotations.reviewed(other.id, after, COPY_CHUNK, source_id):
            after = found[-1].record_id
            rows = [(item.record_id, item.author_id, item.judgement) for item in found]
            copied += len(judge_many(tx, who, dataset, rows))
    return copied


def expanded(assigned: Sequence[Assigned]) -> tuple[Assigned, ...]:
    """The labels with their parents, each once; a parent named by nobody takes its child's sentiment."""
    named = {item.name: item.sentiment for item in assigned}
    found: dict[str, str] = {}
    for name, sentiment in named.items():
        for parent in datasets.with_parents([name]):
            found.setdefault(parent, named.get(parent, sentiment))
    return tuple(Assigned(name, sentiment) for name, sentiment in found.items())


def merged(stored: str | None, change: Mapping[str, object]) -> str | None:
    """The stored extra as JSON text after a change; None when nothing is left in it."""
    known: dict[str, object] = json.loads(stored) if stored else {}
    for key, value in change.items():
        before = known.get(key)
        known[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, Mapping) else value
    kept = {key: value for key, value in known.items() if _says_something(value)}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else None


def _says_something(value: object) -> bool:
    return any(map(_says_something, value.values())) if isinstance(value, Mapping) else bool(value)


def _event(
    tx: "Tx", who: Principal, dataset: Dataset, kind: str, annotation: Annotation, *, counts: bool = False
) -> None:
    """Tell what happened to an annotation, and whether it counts from now on where it did not before."""
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=annotation.id,
        data={"record_id": annotation.record_id, "counts": counts},
    )


def _check(judgement: Judgement) -> None:
    for item in (*judgement.labels, *judgement.dismissed):
        datasets.check_label_name(item.name)
        if item.sentiment not in SENTIMENTS:
            raise Invalid(
                f"sentiment must be positive or negative, not '{item.sentiment[:40]}'",
                fields={"sentiment": item.sentiment[:40]},
            )


def _settled(tx: "Tx", who: Principal, dataset: Dataset, rows: Sequence[tuple[int, int, Judgement]]) -> None:
    names = [item.name for _, _, judgement in rows for item in (*judgement.labels, *judgement.dismissed)]
    tx.datasets.ensure_labels(dataset.id, list(dict.fromkeys(names)))
    freed = any(judgement.blank for _, _, judgement in rows)
    queue.settle(tx, dataset, [record_id for record_id, _, _ in rows], freed=freed)
    answered = [record_id for record_id, _, judgement in rows if not (judgement.blank or judgement.cancelled)]
    for exception in tx.exceptions.answer(dataset.id, answered):
        tx.events.add(
            "exception.answered",
            actor_id=who.user_id,
            project_id=dataset.project_id,
            dataset_id=dataset.id,
            subject_id=exception.id,
            data={"record_id": exception.record_id, "type": exception.type},
        )
    run_mirrors.follow(tx, dataset, [record_id for record_id, _, _ in rows])
    learning.annotations_changed(tx, dataset.id)
