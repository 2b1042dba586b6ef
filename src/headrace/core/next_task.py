"""The next task: which one a person is to annotate now, under a lease of their own.

Tasks come in lanes, and a lane only has its turn when those before it have nothing to offer:

1. what the person holds already;
2. tasks with an open exception, to whoever has not looked at them since, one person at a time;
3. tasks with ground truth (`show_ground_truth_first`), then tasks somebody has begun (`show_overlap_first`);
4. the dataset's `sampling` over all unfinished tasks, and then these by id, so that none is missed;
5. what the person skipped (`skip_queue` REQUEUE_FOR_ME) or put off with a draft.

A task has room while those who annotated it and those who hold it are fewer than the dataset's overlap. That is decided
under a hold on the record (see `core.work`); a record that somebody else holds at this moment is tried again last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import datasets, queue, sampling, sources, tasks, work
from headrace.core.datasets import Dataset
from headrace.core.errors import NotFound
from headrace.core.queue import ANNOTATE
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref
from headrace.core.tasks import TaskPage
from headrace.core.work import NewWork, Work

if TYPE_CHECKING:
    from headrace.core.store import Tx

WINDOW = 500
STEPS = (20, 100, 1000)
MOVE = 20
"""A person's place moves by at least so much, so that not every request writes it."""
COUNT_MOST = 100_000
HISTORY_MOST = 100
SHOW_GROUND_TRUTH_FIRST = "show_ground_truth_first"
SHOW_OVERLAP_FIRST = "show_overlap_first"

HELD, EXCEPTIONS = "Task lock", "Exceptions first"


class Turn(NamedTuple):
    """A task with the lease it was handed out under, and the lane it came from."""

    page: TaskPage
    work: Work
    lane: str


class Drained(NamedTuple):
    """Why nobody could be offered anything: of `tasks`, so many are finished, done or put off by the asker, leased to
    others. Unfinished tasks are counted up to `COUNT_MOST`."""

    tasks: int
    finished: int
    yours: int
    leased: int


class Reason(NamedTuple):
    """One thing that keeps a task from somebody, or brings it to them: a code and a text for people."""

    code: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a task stands for one person: offered next time or not, why, how many annotated it, who leases it."""

    available: bool
    reasons: Sequence[Reason]
    people: int
    overlap: int
    leases: Sequence[Work]


@dataclass
class _Search:
    """One person looking for a task: what has been seen on the way."""

    tx: "Tx"
    who: Principal
    dataset: Dataset
    place: int
    may_advance: bool
    busy: list[int] = field(default_factory=list)
    full: int = 0


class _Lane(NamedTuple):
    """Where tasks may come from: candidates batch by batch; `exceptions` do not ask how many annotated them, and
    `again` does not mind that the person has touched them."""

    title: str
    batches: Iterator[Sequence[int]]
    exceptions: bool = False
    again: bool = False


def take(tx: "Tx", who: Principal, dataset_id: int) -> Turn | Drained:
    """Lease the next task of a dataset to the caller; raises NotFound, or Forbidden without the right to review.

    Whoever still holds one gets it again, with a new lease.
    """
    dataset = tasks.load_project(tx, who, dataset_id, Permission.VIEW_SOURCES, Permission.REVIEW)
    place = tx.queue.enter(dataset.id, who.user_id)
    for held in tx.work.live_of(dataset.id, who.user_id, ANNOTATE):
        if held.record_id is not None and tx.work.renew(held, work.LEASE_SECONDS):
            return _turn(tx, who, dataset, held, HELD)
    search = _Search(tx=tx, who=who, dataset=dataset, place=place or 0, may_advance=place is not None)
    found = _first(search)
    if found is None:
        return _drained(search)
    taken, lane = found
    return _turn(tx, who, dataset, taken, lane)


def release(tx: "Tx", who: Principal, ref: Ref, record_id: int) -> None:
    """Give the caller's lease on a task back; raises NotFound when they hold none."""
    dataset = _of_own(tx, who, ref, record_id, Permission.REVIEW)
    held = [item for item in tx.work.live_of(dataset.id, who.user_id, ANNOTATE) if item.record_id == record_id]
    if not held:
        raise NotFound("you do not hold this task", fields={"work": record_id})
    for item in held:
        work.release(tx, who, dataset, item)


def history(tx: "Tx", who: Principal, dataset_id: int) -> list[tuple[int, int]]:
    """The caller's last annotations of tasks as (record id, annotation id), newest last."""
    dataset = tasks.load_project(tx, who, dataset_id, Permission.VIEW_LABELS)
    return tx.queue.history(dataset.id, who.user_id, HISTORY_MOST)


def why(tx: "Tx", who: Principal, ref: Ref, record_id: int) -> Standing:
    """How a task stands for the caller, and why it is or is not offered to them; raises NotFound."""
    dataset = _of_own(tx, who, ref, record_id, Permission.VIEW_SOURCES, Permission.VIEW_LABELS)
    leases = tx.work.live(dataset.id, [record_id], ANNOTATE)
    unfinished = tx.queue.people(dataset.id, [record_id])
    said = [item for item in tx.annotations.of_records(dataset.id, [record_id]) if not item.judgement.blank]
    wanted, skips = queue.overlap(dataset), queue.skips_count(dataset)
    people = len({item.author_id for item in said if skips or not item.judgement.cancelled})
    excepted = record_id in tx.queue.exceptions(dataset, who.user_id, WINDOW)
    others = [item for item in leases if item.person_id != who.user_id]
    reasons: list[Reason] = []
    if excepted:
        reasons.append(Reason("exception", "a consumer could not use it, so it comes first"))
    if record_id not in unfinished and not excepted:
        reasons.append(Reason("finished", f"{people} of {wanted} people have annotated it"))
    mine = [item.judgement.cancelled for item in said if item.author_id == who.user_id]
    if mine and not excepted:
        reasons.append(_of_mine(dataset, all(mine)))
    elif (record_id, True) in tx.queue.ahead(dataset.id, who.user_id, record_id - 1, 1) and not excepted:
        reasons.append(Reason("postponed", "you put it off with a draft, so it comes last"))
    if len(others) < len(leases):
        reasons.append(Reason("yours", "you hold it"))
    elif others and (excepted or people + len(others) >= wanted):
        reasons.append(Reason("leased", f"{len(others)} other people hold it"))
    barring = {"finished", "annotated", "skipped", "leased"}
    return Standing(
        available=barring.isdisjoint(reason.code for reason in reasons),
        reasons=reasons or [Reason("waiting", "it is in the queue; it is offered when it is its turn")],
        people=people,
        overlap=wanted,
        leases=leases,
    )


def _of_mine(dataset: Dataset, skipped: bool) -> Reason:
    if not skipped:
        return Reason("annotated", "you have annotated it")
    if dataset.settings.get(queue.SKIP_QUEUE) == queue.REQUEUE_FOR_ME:
        return Reason("requeued", "you skipped it, so it comes last")
    return Reason("skipped", "you skipped it, and it goes to others")


def _of_own(tx: "Tx", who: Principal, ref: Ref, record_id: int, *needs: Permission) -> Dataset:
    """The dataset if the record is one of its own tasks; raises NotFound."""
    dataset = datasets.load(tx, who, ref, *needs)
    owner = tx.datasets.owning(record_id, who.scope)
    if owner is None or owner.id != dataset.id:
        raise NotFound("there is no such task in the dataset", fields={"task": record_id})
    return dataset


def _turn(tx: "Tx", who: Principal, dataset: Dataset, taken: Work, lane: str) -> Turn:
    assert taken.record_id is not None
    return Turn(tasks.some(tx, who, dataset, [taken.record_id]), taken, lane)


def _first(search: _Search) -> tuple[Work, str] | None:
    """Take the first task of the first lane that has one with room."""
    for lane in _lanes(search):
        for batch in lane.batches:
            for record_id in _with_room(search, lane, batch):
                if search.tx.work.hold(record_id, wait=False):
                    if _with_room(search, lane, [record_id]):
                        return _offer(search, record_id), lane.title
                else:
                    search.busy.append(record_id)
    return _last_try(search)


def _last_try(search: _Search) -> tuple[Work, str] | None:
    """Wait for the records that others held while they were looked at."""
    order = sampling.order_of(search.dataset)
    lane = _Lane(order.title, iter(()))
    for record_id in sorted(set(search.busy)):
        if search.tx.work.hold(record_id) and _with_room(search, lane, [record_id]):
            return _offer(search, record_id), lane.title
    return None


def _offer(search: _Search, record_id: int) -> Work:
    wanted = NewWork(kind=ANNOTATE, person_id=search.who.user_id, record_id=record_id)
    return work.offer(search.tx, search.who, search.dataset, wanted)


def _with_room(search: _Search, lane: _Lane, record_ids: Sequence[int]) -> list[int]:
    """Those of the records that the person may have now, in the order given."""
    tx, dataset, me = search.tx, search.dataset, search.who.user_id
    if not record_ids:
        return []
    if not lane.exceptions:
        return tx.queue.room(dataset, me, record_ids, again=lane.again)
    busy = {item.record_id for item in tx.work.live(dataset.id, record_ids, ANNOTATE) if item.person_id != me}
    found = tx.exceptions.of_records(dataset.id, record_ids)
    opened = {item.record_id for item in found if item.answered_at is None}
    return [record_id for record_id in record_ids if record_id in opened - busy]


def _lanes(search: _Search) -> Iterator[_Lane]:
    tx, dataset, me = search.tx, search.dataset, search.who.user_id
    yield _Lane(EXCEPTIONS, iter([tx.queue.exceptions(dataset, me, WINDOW)]), exceptions=True)
    if queue.overlap(dataset) > 1:
        yield from _begun_lanes(search)
    order = sampling.order_of(dataset)
    if order.rank is not None or order.aim is not None:
        best = sampling.ranked(tx, dataset, order, search.place)
        yield _Lane(order.title, (best[start : start + STEPS[0]] for start in range(0, len(best), STEPS[0])))
    yield _Lane(order.title, _by_id(search))
    if dataset.settings.get(queue.SKIP_QUEUE) == queue.REQUEUE_FOR_ME:
        yield _Lane("Skipped queue", iter([tx.queue.skipped(dataset.id, me, WINDOW)]), again=True)
    yield _Lane("Postponed draft queue", iter([tx.queue.postponed(dataset.id, me, WINDOW)]), again=True)


def _begun_lanes(search: _Search) -> Iterator[_Lane]:
    tx, dataset = search.tx, search.dataset
    first = {name: dataset.settings.get(name) is True for name in (SHOW_GROUND_TRUTH_FIRST, SHOW_OVERLAP_FIRST)}
    begun = tx.queue.after(dataset.id, search.place, WINDOW, begun=True) if any(first.values()) else []
    if first[SHOW_GROUND_TRUTH_FIRST]:
        yield _Lane("Ground truth queue", iter([sorted(tx.queue.ground_truth(dataset.id, begun))]))
    if first[SHOW_OVERLAP_FIRST]:
        yield _Lane("Show overlap first", iter([begun]))


def _by_id(search: _Search) -> Iterator[Sequence[int]]:
    """All unfinished tasks behind the person's place, which moves past those that are nothing for them any more."""
    tx, dataset_id, me = search.tx, search.dataset.id, search.who.user_id
    start, leading, step = search.place, search.may_advance, 0
    while rows := tx.queue.ahead(dataset_id, me, start, STEPS[min(step, len(STEPS) - 1)]):
        left = [record_id for record_id, touched in rows if not touched]
        passed = left[0] - 1 if left else rows[-1][0]
        if leading and passed >= search.place + MOVE:
            tx.queue.advance(dataset_id, me, passed)
            search.place = passed
        leading = leading and not left
        search.full += len(left)
        yield left
        start, step = rows[-1][0], step + 1


def _drained(search: _Search) -> Drained:
    tx, dataset = search.tx, search.dataset
    count = sources.load(tx, search.who, dataset.own_source_id or 0).record_count
    unfinished = tx.queue.count(dataset.id, COUNT_MOST)
    leased = min(search.full, unfinished)
    return Drained(tasks=count, finished=count - unfinished, yours=unfinished - leased, leased=leased)
