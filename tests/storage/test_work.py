"""Work is leased to one person at a time; each change starts from a state it may start from, or not at all."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from building import notes, some_admin, some_dataset, some_source
from headrace.core import work
from headrace.core.datasets import Dataset
from headrace.core.errors import NotFound
from headrace.core.positions import START
from headrace.core.rights import Principal
from headrace.core.store import Store, Tx
from headrace.core.work import KEEP_EXPIRED_SECONDS, NewWork, NotOpen, Work, WorkState
from headrace.storage.schema_work import work as table
from headrace.storage.work import PRUNE_EVERY


class Desk:
    """A dataset of one record, with two people at it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.dataset, self.record_id, self.me, self.you = store.write(self._furnish)

    def _furnish(self, tx: Tx) -> tuple[Dataset, int, Principal, Principal]:
        source = some_source(tx)
        record_id = tx.records.insert(source.id, notes(["a"]))[0]
        return some_dataset(tx, source.id), record_id, some_admin(tx), some_admin(tx)

    def offer(self, who: Principal | None = None, **wanted: object) -> Work:
        """Offer work to somebody."""
        person = who or self.me
        new = NewWork(**{"kind": "label", "person_id": person.user_id, "record_id": self.record_id} | wanted)  # type: ignore[arg-type]
        return self.store.write(lambda tx: work.offer(tx, person, self.dataset, new))

    def now(self, item: Work) -> Work:
        """The work as it stands."""
        return self.store.read(lambda tx: work.get(tx, self.me, item.id))

    def pass_time(self, item: Work, seconds: float) -> None:
        """Let the lease's end come nearer."""
        earlier = update(table).where(table.c.id == item.id)
        earlier = earlier.values(lease_until=table.c.lease_until - int(seconds * 1e6))
        self.store.write(lambda tx: tx.session.run(earlier))  # type: ignore[attr-defined]

    def live(self) -> list[int]:
        """Whose live work is on the record."""
        found = self.store.read(lambda tx: tx.work.live(self.dataset.id, [self.record_id], "label"))
        return [item.person_id or 0 for item in found]


@pytest.fixture
def desk(store: Store) -> Desk:
    """A desk on either database."""
    return Desk(store)


def test_work_goes_from_offer_to_done(desk: Desk) -> None:
    """Offered work is acknowledged under the caller's name for it and done with what was made."""
    item = desk.offer(payload='{"n":1}')
    assert (item.state, desk.live()) == (WorkState.OFFERED, [desk.me.user_id])
    desk.store.write(lambda tx: work.acknowledge(tx, desk.me, desk.dataset, item, "mine"))
    found = desk.store.read(lambda tx: tx.work.by_key(desk.dataset.id, "mine", desk.me.user_id))
    assert found is not None
    assert (found.id, found.state, found.payload) == (item.id, WorkState.ACKNOWLEDGED, '{"n":1}')
    desk.store.write(lambda tx: work.acknowledge(tx, desk.me, desk.dataset, found, "mine"))
    desk.store.write(lambda tx: work.finish(tx, desk.me, desk.dataset, found, 77))
    done = desk.now(item)
    assert (done.state, done.result_id, desk.live()) == (WorkState.DONE, 77, [])


@pytest.mark.parametrize("step", [work.acknowledge, work.release, work.refuse, work.finish])
def test_done_work_moves_no_more(desk: Desk, step: object) -> None:
    """What is done stays done: every later step raises NotOpen that names the state."""
    item = desk.offer()
    desk.store.write(lambda tx: work.finish(tx, desk.me, desk.dataset, item))
    with pytest.raises(NotOpen) as raised:
        desk.store.write(lambda tx: step(tx, desk.me, desk.dataset, item))  # type: ignore[operator]
    assert raised.value.fields == {"work": item.id, "state": "done"}


def test_lease_that_ran_out_frees_the_record(desk: Desk) -> None:
    """Expired work is not live, reads as expired, cannot be renewed or done, and still counts as pending."""
    item = desk.offer(lease_seconds=60)
    desk.pass_time(item, 61)
    assert (desk.live(), desk.now(item).state) == ([], WorkState.EXPIRED)
    with pytest.raises(NotOpen, match="expired"):
        desk.store.write(lambda tx: work.heartbeat(tx, desk.me, item))
    with pytest.raises(NotOpen, match="expired"):
        desk.store.write(lambda tx: work.finish(tx, desk.me, desk.dataset, item))
    assert desk.store.read(lambda tx: tx.work.pending(desk.dataset.id, desk.me.user_id, 0)) == 1


def test_heartbeat_keeps_the_lease(desk: Desk) -> None:
    """Renewed work outlives its first lease."""
    item = desk.offer(lease_seconds=60)
    desk.store.write(lambda tx: work.heartbeat(tx, desk.me, item, 600))
    desk.pass_time(item, 61)
    assert desk.live() == [desk.me.user_id]


def test_refusal_is_remembered_and_may_be_taken_back(desk: Desk) -> None:
    """A refusal keeps its reason and frees the record, yet the same person may still do the work."""
    item = desk.offer()
    desk.store.write(lambda tx: work.refuse(tx, desk.me, desk.dataset, item, "too long"))
    said = desk.store.read(lambda tx: tx.work.answered(desk.dataset.id, desk.me.user_id, [desk.record_id]))
    assert [(found.kind, found.state, found.reason) for found in said] == [("label", WorkState.REFUSED, "too long")]
    assert desk.live() == []
    desk.store.write(lambda tx: work.finish(tx, desk.me, desk.dataset, item, 1))
    assert desk.now(item).state is WorkState.DONE


def test_collective_work_ends_when_it_is_closed(desk: Desk) -> None:
    """Answers leave collective work open, its key finds it for everybody, and only close ends it."""
    item = desk.offer(person_id=None, collective=True, lease_seconds=None, key="all")
    for result in (1, 2):
        desk.store.write(lambda tx, made=result: work.finish(tx, desk.you, desk.dataset, item, made))
    found = desk.store.read(lambda tx: tx.work.by_key(desk.dataset.id, "all", desk.you.user_id))
    assert found is not None
    assert (found.state, found.result_id) == (WorkState.OFFERED, 2)
    desk.store.write(lambda tx: work.close(tx, desk.you, desk.dataset, item))
    with pytest.raises(NotOpen):
        desk.store.write(lambda tx: work.finish(tx, desk.you, desk.dataset, item, 3))


def test_newest_open_work_of_a_person_wins_the_key(desk: Desk) -> None:
    """A name given twice means the newest work that is still open, of the person who asks."""
    first, second, foreign = desk.offer(key="k"), desk.offer(key="k"), desk.offer(desk.you, key="k")

    def named() -> int:
        found = desk.store.read(lambda tx: tx.work.by_key(desk.dataset.id, "k", desk.me.user_id))
        assert found is not None
        return found.id

    before = named()
    desk.store.write(lambda tx: work.finish(tx, desk.me, desk.dataset, second))
    assert (before, named()) == (second.id, first.id)
    assert foreign.id not in (before, named())


def test_one_of_many_racers_takes_the_only_slot(desk: Desk) -> None:
    """Of people who hold the record and find nobody at it, exactly one is offered the work, many times over."""
    start = threading.Barrier(6)

    def take(tx: Tx) -> bool:
        assert tx.work.hold(desk.record_id)
        if tx.work.live(desk.dataset.id, [desk.record_id]):
            return False
        work.offer(tx, desk.me, desk.dataset, NewWork(kind="label", person_id=1, record_id=desk.record_id))
        return True

    def race(_: int) -> bool:
        start.wait(20)
        return desk.store.write(take)

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(race, range(6))) == 1


def test_one_of_many_answers_ends_the_work(desk: Desk) -> None:
    """The same work finished from several sides at once is done once."""
    item = desk.offer()
    start = threading.Barrier(6)

    def answer(result: int) -> bool:
        start.wait(20)
        try:
            desk.store.write(lambda tx: work.finish(tx, desk.me, desk.dataset, item, result))
        except NotOpen:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(answer, range(6))) == 1


def test_long_expired_work_is_forgotten(desk: Desk) -> None:
    """Work that expired longer ago than it is kept goes as other work is offered; done work stays."""
    old, done = desk.offer(), desk.offer()
    desk.store.write(lambda tx: work.finish(tx, desk.me, desk.dataset, done))
    for item in (old, done):
        desk.pass_time(item, work.LEASE_SECONDS + KEEP_EXPIRED_SECONDS + 1)
    for _ in range(PRUNE_EVERY):
        desk.offer()
    with pytest.raises(NotFound):
        desk.now(old)
    assert desk.now(done).state is WorkState.DONE


def test_work_goes_with_its_record(desk: Desk) -> None:
    """Deleting a record deletes the work on it."""
    item = desk.offer()
    source_id = desk.dataset.id and desk.store.read(lambda tx: tx.datasets.get(desk.dataset.id, None)).source_ids[0]  # type: ignore[union-attr]
    desk.store.write(lambda tx: tx.records.delete(source_id, [desk.record_id]))
    with pytest.raises(NotFound):
        desk.now(item)


def test_every_step_is_an_event(desk: Desk) -> None:
    """Offer, acknowledgement and end stand in the log, one event each."""
    item = desk.offer()
    desk.store.write(lambda tx: work.acknowledge(tx, desk.me, desk.dataset, item))
    desk.store.write(lambda tx: work.release(tx, desk.me, desk.dataset, item))
    kinds = desk.store.read(lambda tx: [event.kind for event in tx.events.of_dataset(START, desk.dataset.id, 10)])
    assert kinds == ["work.offered", "work.acknowledged", "work.released"]
