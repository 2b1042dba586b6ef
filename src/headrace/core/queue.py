"""The queue: the tasks of a dataset that are not finished yet, and how far each person has come in it.

A task is finished when enough different people have annotated it (`overlap`). Its row leaves the queue then and
comes back when an annotation goes away, so what is looked through to find a task for somebody never contains what
is finished. A person's *place* is a record id: of the tasks up to it, none is left for them. It moves forward past
what they have annotated or skipped, and back whenever something up to it may have become theirs to do again.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from headrace.core import work
from headrace.core.datasets import Dataset
from headrace.core.rights import Principal

if TYPE_CHECKING:
    from headrace.core.store import Tx

ANNOTATE = "annotate"
"""The kind of the work that a task is handed out as."""

OVERLAP = "maximum_annotations"
SKIP_QUEUE = "skip_queue"
IGNORE_SKIPPED = "IGNORE_SKIPPED"
REQUEUE_FOR_ME = "REQUEUE_FOR_ME"


class Queue(Protocol):
    """Storage of the queue. Records enter it when they are stored in a dataset's own source. Ids are record ids."""

    def settle(self, dataset: Dataset, record_ids: Sequence[int], *, overlap: int, skips: bool, freed: bool) -> None:
        """Count anew who annotated these records (or skipped them, where `skips` count), and keep the queue so.

        `freed`: somebody may have them again, so nobody's place stays behind them.
        """

    def rebuild(self, dataset: Dataset, *, overlap: int, skips: bool) -> None:
        """Settle all records of the dataset under new rules."""

    def enter(self, dataset_id: int, person_id: int) -> int | None:
        """The person's place, held against the person's other requests until the transaction ends.

        None for a person who is new here: their place is 0 and must not move in the same transaction, because who
        sets places back could not see it yet.
        """

    def advance(self, dataset_id: int, person_id: int, place: int) -> None:
        """Move the person's place."""

    def after(self, dataset_id: int, place: int, limit: int, *, begun: bool = False) -> list[int]:
        """Unfinished records behind a place by id, all of them or only those that somebody has annotated."""

    def last(self, dataset_id: int) -> int:
        """The last unfinished record, 0 when there is none."""

    def people(self, dataset_id: int, record_ids: Sequence[int]) -> dict[int, int]:
        """How many people have annotated each of the records that are unfinished."""

    def count(self, dataset_id: int, most: int) -> int:
        """How many records are unfinished, counted up to `most`."""

    def standing(self, dataset_id: int, person_id: int) -> tuple[int, int]:
        """How many records are unfinished, and how many of these the person has annotated or skipped. Counts all."""

    def ahead(self, dataset_id: int, person_id: int, place: int, limit: int) -> list[tuple[int, bool]]:
        """Unfinished records behind a place by id, each with whether the person has touched it: annotated or skipped
        it, or put it off with a draft."""

    def room(self, dataset: Dataset, person_id: int, record_ids: Sequence[int], *, again: bool = False) -> list[int]:
        """Those of the records that the person may have now: unfinished, not touched by them (unless `again`), and
        with fewer people who annotated them or have them on lease than the overlap."""

    def ground_truth(self, dataset_id: int, record_ids: Sequence[int]) -> set[int]:
        """Which of the records have an annotation that is ground truth."""

    def exceptions(self, dataset: Dataset, person_id: int, limit: int) -> list[int]:
        """Own records with an open exception that the person has not judged or skipped since, the oldest first."""

    def skipped(self, dataset_id: int, person_id: int, limit: int) -> list[int]:
        """Unfinished records that the person skipped and did not annotate, the longest ago first."""

    def postponed(self, dataset_id: int, person_id: int, limit: int) -> list[int]:
        """Unfinished records that the person put off with a draft and did not annotate, the longest ago first."""

    def history(self, dataset_id: int, person_id: int, limit: int) -> list[tuple[int, int]]:
        """The person's newest annotations as (record id, annotation id), newest last."""


def overlap(dataset: Dataset) -> int:
    """How many different people must annotate a task of the dataset before it is finished."""
    wanted = dataset.settings.get(OVERLAP)
    return wanted if isinstance(wanted, int) and wanted > 0 else 1


def skips_count(dataset: Dataset) -> bool:
    """True when a skip counts as an annotation towards the overlap."""
    return dataset.settings.get(SKIP_QUEUE) == IGNORE_SKIPPED


def end_work(
    tx: "Tx",
    who: Principal,
    dataset: Dataset,
    author_id: int,
    record_id: int,
    *,
    result_id: int,
    skipped: bool = False,
    reason: str | None = None,
) -> None:
    """End the lease under which an author annotated or skipped a task, if they hold one."""
    if dataset.own_source_id is None:
        return
    for held in tx.work.live_of(dataset.id, author_id, ANNOTATE):
        if held.record_id != record_id:
            continue
        # A lease that runs out in this very moment needs no end.
        with suppress(work.NotOpen):
            if skipped:
                work.refuse(tx, who, dataset, held, reason)
            else:
                work.finish(tx, who, dataset, held, result_id)


def settle(tx: "Tx", dataset: Dataset, record_ids: Collection[int], *, freed: bool = False) -> None:
    """Keep the queue after annotations of these records were written or removed (`freed`: or say less now)."""
    if dataset.own_source_id is not None and record_ids:
        skips = skips_count(dataset)
        tx.queue.settle(dataset, sorted(set(record_ids)), overlap=overlap(dataset), skips=skips, freed=freed)


def rules_changed(tx: "Tx", before: Dataset, after: Dataset) -> None:
    """Rebuild the queue when the number of people wanted, or whether a skip counts, has changed."""
    if (overlap(before), skips_count(before)) != (overlap(after), skips_count(after)):
        tx.queue.rebuild(after, overlap=overlap(after), skips=skips_count(after))
