"""The webhook job: order under failures, death between sending and settling, dead letters."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from building import eventually, some_admin
from headrace.core import deliveries, tasks, webhooks
from headrace.core.datasets import Dataset
from headrace.core.jobs import Job, LostLease
from headrace.core.rights import Principal
from headrace.core.store import Store, Tx
from headrace.core.webhooks import Webhook, WebhookSpec
from headrace.dialects import label_studio
from headrace.jobs.webhooks import Delivery
from headrace.jobs.worker import ChildPool, JobContext
from headrace.learning.process import Learner
from headrace.outgoing import Outgoing
from listener import Listener, Received, Reply, listening

NO_DELAYS = (0.0, 0.0)


@dataclass
class World:
    """A project with a webhook, and the means to deliver for it without a worker."""

    store: Store
    ctx: JobContext
    who: Principal
    dataset: Dataset
    webhook: Webhook
    listener: Listener
    delays: Sequence[float] = NO_DELAYS

    @property
    def delivery(self) -> Delivery:
        """Delivers with the delays of this world."""
        return Delivery(render=label_studio.messages, delays=self.delays)

    def add(self, text: str) -> None:
        """Make a task."""
        data = {"text": text}

        def add(tx: Tx) -> None:
            tasks.add(tx, self.who, self.dataset.id, data=data, body=json.dumps(data), meta=None)

        self.store.write(add)

    def claim(self) -> Job | None:
        """Take a job that is due."""
        return self.store.write(lambda tx: tx.jobs.claim("test", kinds=["webhook"]))

    def work(self, count: int) -> None:
        """Carry out so many jobs, as soon as they are due."""
        for _ in range(count):
            job = eventually(self.claim, lambda found: found is not None)
            assert job is not None
            self.delivery.run(job, self.ctx)

    def texts(self) -> list[str]:
        """The tasks that were received so far."""
        found = []
        while not self.listener.received.empty():
            found.append(text_of(self.listener.next()))
        return found


def text_of(received: Received) -> str:
    """The task that a message tells."""
    return str(json.loads(received.body)["tasks"][0]["data"]["text"])


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    """A project with a webhook on both databases."""

    def make(tx: Tx, url: str) -> tuple[Principal, Dataset, Webhook]:
        who = some_admin(tx)
        tx.projects.insert(name="default", title="", description="")
        dataset = tasks.create_project(tx, who, title="Reviews", config_xml=tasks.EMPTY_CONFIG)
        spec = WebhookSpec(url=url, send_for_all_actions=False, actions=("TASKS_CREATED",))
        return who, dataset, webhooks.create(tx, who, dataset_id=dataset.id, spec=spec)

    with listening() as listener:
        who, dataset, webhook = store.write(lambda tx: make(tx, listener.url))
        ctx = JobContext(
            store=store,
            scratch=tmp_path,
            pool=ChildPool(),
            learner=Learner(),
            outgoing=Outgoing(allowed_hosts=frozenset({"127.0.0.1"})),
        )
        found = World(store=store, ctx=ctx, who=who, dataset=dataset, webhook=webhook, listener=listener)
        yield found


def behind(world: World) -> bool:
    """True while something is left to be told."""
    webhook = world.store.read(lambda tx: tx.webhooks.get(world.webhook.id, None))
    assert webhook is not None
    return world.store.read(lambda tx: tx.events.any_behind(webhook.progress.cursor, webhook.dataset_id))


def drain(world: World) -> None:
    """Work until nothing is left."""

    def step() -> bool:
        job = world.claim()
        if job is not None:
            world.delivery.run(job, world.ctx)
        return job is None and not behind(world)

    eventually(step, bool)


def test_a_failed_message_holds_back_those_behind_it(world: World) -> None:
    """The order is kept: the second message waits until a retry of the first one succeeds."""
    replies = iter([Reply(500), Reply(503), *[Reply()] * 9])
    world.listener.answer = lambda _: next(replies)
    for text in ("one", "two", "three"):
        world.add(text)
    drain(world)
    assert world.texts() == ["one", "one", "one", "two", "three"]
    attempts = world.store.read(lambda tx: tx.webhooks.attempts(world.webhook.id, 10))
    assert [(attempt.number, attempt.status) for attempt in attempts[::-1]] == [
        (1, 500),
        (2, 503),
        (3, 200),
        (1, 200),
        (1, 200),
    ]
    assert world.store.read(lambda tx: tx.webhooks.dead_letters(world.webhook.id, 10)) == []


def test_a_retry_waits_its_time(world: World) -> None:
    """After a failure nothing is sent until the delay is over, whatever else happens."""
    world.delays = (600.0,)
    world.listener.answer = lambda _: Reply(500)
    world.add("one")
    eventually(lambda: world.work(1) or world.listener.connections, lambda count: count == 1)
    world.add("two")
    job = world.store.write(lambda tx: tx.jobs.enqueue("webhook", {"webhook_id": world.webhook.id}, key="early"))
    claimed = world.store.write(lambda tx: tx.jobs.claim("test", job_id=job))
    assert claimed is not None
    world.delivery.run(claimed, world.ctx)
    assert world.listener.connections == 1
    webhook = world.store.read(lambda tx: tx.webhooks.get(world.webhook.id, None))
    assert webhook is not None
    assert 590 < world.store.read(lambda tx: deliveries.waiting(tx, webhook)) <= 600


def test_a_job_that_dies_after_sending_sends_again(world: World) -> None:
    """Between delivery and cursor the lease is lost: the message comes again, and none is lost or out of order."""
    held: list[Job] = []

    def take_over(_: Received) -> Reply:
        if held:
            lost = held.pop()
            world.store.write(lambda tx: tx.jobs.retry(lost, error="killed", delay=0))
        return Reply()

    world.listener.answer = take_over
    world.add("one")
    world.add("two")

    def die() -> bool:
        job = world.claim()
        if job is None:
            return False
        held[:] = [job]
        try:
            world.delivery.run(job, world.ctx)
        except LostLease:
            return True
        return False

    eventually(die, bool)
    drain(world)
    assert world.texts() == ["one", "one", "two"]


def test_two_jobs_never_deliver_for_one_webhook(world: World) -> None:
    """A second job leaves the work to the one that runs, also when that one is in the midst of sending."""
    others: list[bool] = []

    def interfere(_: Received) -> Reply:
        if not others:
            world.add("two")
        other = world.claim()
        others.append(other is not None)
        if other is not None:
            world.delivery.run(other, world.ctx)
        return Reply()

    world.listener.answer = interfere
    world.add("one")
    drain(world)
    assert others[0]
    assert world.texts() == ["one", "two"]


def test_a_message_that_never_arrives_is_buried_and_can_be_revived(world: World) -> None:
    """After the last delay it becomes a dead letter and the next goes on; tried again, it goes or stays dead."""
    world.listener.answer = lambda received: Reply(500 if text_of(received) == "one" else 200)
    world.add("one")
    world.add("two")
    drain(world)
    assert world.texts() == ["one", "one", "one", "two"]
    letters = world.store.read(lambda tx: tx.webhooks.dead_letters(world.webhook.id, 10))
    assert [(letter.action, letter.attempts, letter.error) for letter in letters] == [
        ("TASKS_CREATED", 3, "answered with 500")
    ]
    for answer, left in ((Reply(500), [(4, False)]), (Reply(), [])):
        world.listener.answer = lambda _, answer=answer: answer
        world.store.write(lambda tx: webhooks.replay_dead_letters(tx, world.who, world.webhook.id, None))
        world.work(1)
        drain(world)
        assert world.texts() == ["one"]
        found = world.store.read(lambda tx: tx.webhooks.dead_letters(world.webhook.id, 10))
        assert [(letter.attempts, letter.due) for letter in found] == left


def test_nothing_is_sent_to_an_address_that_became_private(world: World) -> None:
    """The address is checked at every delivery, not at creation alone."""
    world.ctx = JobContext(store=world.store, scratch=world.ctx.scratch, pool=world.ctx.pool, learner=world.ctx.learner)
    world.add("one")
    drain(world)
    letters = world.store.read(lambda tx: tx.webhooks.dead_letters(world.webhook.id, 10))
    assert [letter.error for letter in letters] == ["could not be fetched"]
    assert world.listener.connections == 0


def test_a_job_given_up_leaves_the_webhook_in_care(world: World) -> None:
    """When the worker gives a job up, another will look after the webhook later."""
    world.add("one")
    job = eventually(world.claim, lambda found: found is not None)
    assert job is not None
    world.delivery.failed(job, world.ctx, "out of luck")
    due = world.store.read(lambda tx: tx.jobs.next_due(["webhook"]))
    assert due is not None
    assert 3500 < due <= 3600
