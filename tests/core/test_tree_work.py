"""Conversations end to end in a store: tasks, answers, what is refused and why, and what moderators do."""

import random
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import pytest

from conversing import Clock, World, installed, some_world
from headrace.core import (
    api_clients,
    conversations,
    message_changes,
    messages,
    persons,
    tree_answers,
    tree_growth,
    tree_review,
    tree_tasks,
    users,
)
from headrace.core.errors import HeadraceError, Invalid
from headrace.core.faults import Fault, fault_of
from headrace.core.message_changes import EmojiOp
from headrace.core.messages import Filter, PageRequest, TaskKind
from headrace.core.persons import Identity, Person
from headrace.core.rights import Principal
from headrace.core.text_labels import Mode
from headrace.core.tree_answers import Order, Text
from headrace.core.trees import TreeState
from headrace.storage import open_store

K = TaskKind
REPORTED = PageRequest(wanted=Filter(), limit=10)
SMALL: dict[str, object] = {
    "goal_tree_size": 3,
    "num_reviews_initial_prompt": 1,
    "num_reviews_reply": 1,
    "num_required_rankings": 1,
    "max_active_trees": 1,
}


@pytest.fixture
def world(migrated_sqlite: Path, tmp_path: Path) -> Iterator[World]:
    """A collection of small trees."""
    store = open_store(f"sqlite:///{copyfile(migrated_sqlite, tmp_path / 'store.db')}")
    yield some_world(store, 1, SMALL)
    store.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """A clock that moves when it is told to."""
    return installed(monkeypatch)


def grown(world: World) -> int:
    """A prompt that grows."""
    return world.grown(accepting=1)


def reply(world: World, name: str) -> int:
    """A reply of somebody to the prompt, accepted by `judge`."""
    made = world.do(world.person(name), K.ASSISTANT_REPLY)
    world.do(world.person("judge"), K.LABEL_ASSISTANT_REPLY)
    return made


def test_a_tree_from_its_prompt_to_its_export(world: World) -> None:
    """A prompt that is accepted, drawn, answered, reviewed and ranked ends with the ranks of its replies."""
    prompt = grown(world)
    first, second = reply(world, "ann"), reply(world, "bob")
    assert world.tree(prompt).state is TreeState.RANKING
    assert K.RANK_ASSISTANT_REPLIES not in world.available(world.person("ann"))
    world.do(world.person("judge"), K.RANK_ASSISTANT_REPLIES)
    assert world.tree(prompt).state is TreeState.READY_FOR_EXPORT
    assert {item.id: item.rank for item in world.messages(prompt)} == {prompt: None, first: 0, second: 1}


def test_the_request_that_draws_a_prompt_gets_its_task(world: World) -> None:
    """A reply can be asked for as soon as a prompt was accepted."""
    prompt = world.do(world.person("author"), K.INITIAL_PROMPT)
    world.do(world.person("judge"), K.LABEL_INITIAL_PROMPT)
    assert world.tree(prompt).state is TreeState.PROMPT_LOTTERY_WAITING
    task = world.ask(world.person("ann"), K.ASSISTANT_REPLY)
    assert [item.id for item in task.conversation] == [prompt]
    assert world.tree(prompt).state is TreeState.GROWING


def test_what_is_never_offered_is_refused(world: World) -> None:
    """Kinds that the engine does not make, and kinds of which there is nothing, are not available."""
    for kind in (K.SUMMARIZE_STORY, K.RATE_SUMMARY, K.RANK_INITIAL_PROMPTS, K.ASSISTANT_REPLY):
        assert world.fault(lambda kind=kind: world.ask(world.person("ann"), kind)) is Fault.TASK_NOT_AVAILABLE
    world.configure(init_prompt_disabled_langs=["en"])
    assert world.available(world.person("ann")) == {}


def test_only_eight_tasks_may_be_pending(world: World, clock: Clock) -> None:
    """Somebody who leaves eight tasks lying gets no more, until five minutes have passed."""
    person = world.person("ann")
    for _ in range(8):
        world.ask(person, K.INITIAL_PROMPT)
    assert world.fault(lambda: world.ask(person, K.INITIAL_PROMPT)) is Fault.TOO_MANY_PENDING
    clock.pass_(301)
    world.ask(person, K.INITIAL_PROMPT)


def test_acknowledging_binds_a_task_to_one_id(world: World, clock: Clock) -> None:
    """The same id again is harmless; another one, an empty one, a foreign task and an expired one are refused."""
    task = world.ask(world.person("ann"), K.INITIAL_PROMPT)

    def ack(key: str, number: int = task.work.id, person: Person | None = None) -> Fault | None:
        return world.fault(lambda: world.write(lambda tx: tree_tasks.acknowledge(tx, world.who, number, key, person)))

    assert ack("m", person=world.person("bob")) is Fault.TASK_NOT_ASSIGNED
    assert [ack("m"), ack("m"), ack("n"), ack(""), ack("m", 999)] == [
        None,
        None,
        Fault.TASK_ALREADY_UPDATED,
        Fault.INVALID_FRONTEND_ID,
        Fault.TASK_NOT_FOUND,
    ]
    late = world.ask(world.person("ann"), K.INITIAL_PROMPT)
    clock.pass_(3 * 24 * 3600)
    assert ack("m", late.work.id) is Fault.TASK_EXPIRED


def test_one_id_for_two_tasks_means_the_open_one(world: World) -> None:
    """Ids may be used again: an answer goes to the task that is still open, and then there is none."""
    person = world.person("ann")
    for number in range(2):
        task = world.ask(person, K.INITIAL_PROMPT)
        world.write(lambda tx, task=task: tree_tasks.acknowledge(tx, world.who, task.work.id, "same"))

        def write(number: int = number) -> int:
            text = Text(key="same", frontend_id="f", text=f"text {number}")
            return world.write(lambda tx: tree_answers.write(tx, world.who, person, text, world.rng))

        write()
    assert world.fault(lambda: write(7)) is Fault.TASK_ALREADY_DONE
    assert len(world.trees()) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [("  ", Fault.MESSAGE_EMPTY), ("x" * 2001, Fault.MESSAGE_TOO_LONG), ("text 1", Fault.MESSAGE_DUPLICATE)],
)
def test_a_text_that_is_refused_leaves_the_task_open(world: World, text: str, reason: Fault) -> None:
    """Blank, long and repeated texts are refused; the task can be answered afterwards."""
    person = world.person("ann")
    world.do(person, K.INITIAL_PROMPT)
    task = world.asked(person, K.INITIAL_PROMPT)
    bad = Text(key=f"key-{task.work.id}", frontend_id="f", text=text)
    assert (
        world.fault(lambda: world.write(lambda tx: tree_answers.write(tx, world.who, person, bad, world.rng))) is reason
    )
    world.answer(person, task)


def test_answers_of_the_wrong_kind_are_refused(world: World) -> None:
    """A text is no ranking and no review, and the other way round; somebody else's task is not one's own."""
    grown(world)
    ann, task = world.person("ann"), world.asked(world.person("ann"), K.ASSISTANT_REPLY)
    key = f"key-{task.work.id}"

    def tried(kind: str, who: Person = ann) -> Fault | None:
        if kind == "rank":
            return world.fault(
                lambda: world.write(
                    lambda tx: tree_answers.rank(tx, world.who, who, Order(key=key, ranking=[0]), world.rng)
                )
            )
        return world.fault(
            lambda: world.write(
                lambda tx: tree_review.review(tx, world.who, who, task.work.id, 1, {"spam": 0}, rng=world.rng)
            )
        )

    assert tried("rank") is Fault.TASK_PAYLOAD_MISMATCH
    assert tried("review") is Fault.TASK_PAYLOAD_MISMATCH
    assert tried("rank", world.person("bob")) is Fault.TASK_NOT_ASSIGNED


def test_reviews_are_checked_against_their_task(world: World) -> None:
    """Labels outside the task, missing mandatory ones, another message and unknown names are refused."""
    prompt = world.do(world.person("author"), K.INITIAL_PROMPT)
    ann = world.person("ann")
    task = world.ask(ann, K.LABEL_INITIAL_PROMPT)

    def review(labels: dict[str, float], message: int = prompt) -> Fault | None:
        return world.fault(
            lambda: world.write(
                lambda tx: tree_review.review(tx, world.who, ann, task.work.id, message, labels, rng=world.rng)
            )
        )

    assert review({"spam": 0}) is Fault.TASK_NOT_ACKNOWLEDGED
    world.ack(task)
    assert review({"spam": 0}, prompt + 1) is Fault.LABELS_WRONG_MESSAGE
    assert review({"spam": 0, "fails_task": 1}) is Fault.LABELS_INVALID
    assert review({"quality": 1}) is Fault.LABELS_MANDATORY_MISSING
    with pytest.raises(Invalid):
        review({"spam": 2})
    assert review({"spam": 0, "quality": 0.75}) is None
    assert review({"spam": 0}) is Fault.TASK_ALREADY_DONE
    assert task.details.mode is Mode.FULL
    assert K.LABEL_INITIAL_PROMPT not in world.available(world.person("author"))


def test_a_skipped_message_is_not_offered_again(world: World) -> None:
    """Skipping marks the message and keeps it from the person, not from others; the task may still be answered."""
    prompt = grown(world)
    ann = world.person("ann")
    task = world.asked(ann, K.ASSISTANT_REPLY)
    world.skip(ann, task)
    world.skip(ann, task)
    assert K.ASSISTANT_REPLY not in world.available(ann)
    assert K.ASSISTANT_REPLY in world.available(world.person("bob"))
    assert world.messages(prompt)[0].emojis == {"_skip_reply": 1}
    world.answer(ann, task)
    assert world.fault(lambda: world.skip(ann, task)) is Fault.TASK_ALREADY_DONE


def test_a_place_is_given_to_one_person_at_a_time(world: World, clock: Clock) -> None:
    """While somebody is at a reply nobody else is; after five minutes others are, and the late answer is kept apart."""
    world.configure(max_children_count=1)
    prompt = grown(world)
    slow, quick = world.person("slow"), world.person("quick")
    task = world.asked(slow, K.ASSISTANT_REPLY)
    assert K.ASSISTANT_REPLY not in world.available(quick)
    clock.pass_(301)
    world.do(quick, K.ASSISTANT_REPLY)
    late = world.answer(slow, task)
    found = {item.id: item.late for item in world.messages(prompt)}
    assert (found[late], sum(found.values())) == (True, 1)
    assert K.LABEL_ASSISTANT_REPLY in world.available(slow)
    assert world.tree(prompt).size == 2


def test_nobody_replies_twice_to_a_message(world: World) -> None:
    """A rejected reply makes room for others, not for its author."""
    grown(world)
    ann = world.person("ann")
    world.do(ann, K.ASSISTANT_REPLY)
    world.do(world.person("judge"), K.LABEL_ASSISTANT_REPLY, spam=1)
    assert K.ASSISTANT_REPLY not in world.available(ann)
    assert K.ASSISTANT_REPLY in world.available(world.person("bob"))


def test_a_collective_task_takes_many_answers_until_it_is_closed(world: World) -> None:
    """Everybody may answer a collective task once it was acknowledged; closing ends it, and only it."""
    ann = world.person("ann")
    task = world.ask(ann, K.INITIAL_PROMPT, collective=True)
    key = world.ack(task)
    for name in ("ann", "bob"):
        world.answer(world.person(name), task)
    assert world.write(lambda tx: tree_tasks.close(tx, world.who, key)) == task.work.id
    assert world.fault(lambda: world.answer(ann, task)) is Fault.TASK_ALREADY_DONE
    assert world.fault(lambda: world.write(lambda tx: tree_tasks.close(tx, world.who, key))) is Fault.TASK_ALREADY_DONE
    own = world.ack(world.ask(ann, K.INITIAL_PROMPT))
    assert (
        world.fault(lambda: world.write(lambda tx: tree_tasks.close(tx, world.who, own))) is Fault.TASK_NOT_COLLECTIVE
    )


def test_free_labels_decide_nothing_and_are_replaced(world: World) -> None:
    """Labels nobody asked for count once per person, leave the review alone, and a report flags the message."""
    prompt = world.do(world.person("author"), K.INITIAL_PROMPT)
    ann = world.person("ann")

    def label(labels: dict[str, float], report: str | None = None) -> None:
        world.write(lambda tx: tree_review.label(tx, world.who, ann, prompt, labels, report=report, rng=world.rng))

    label({"quality": 0.5})
    label({"spam": 1}, "it is an advertisement")
    found = world.messages(prompt)[0]
    assert (found.review_count, found.accepted, found.emojis) == (0, None, {"red_flag": 1})
    said = world.store.read(lambda tx: tx.annotations.of_records(world.tree(prompt).dataset_id, [prompt]))
    assert [item.judgement.labels[0].name for item in said] == ["spam"]
    flags = world.store.read(lambda tx: messages.flagged(tx, world.who, REPORTED).items)
    assert [(item.record_id, item.reason) for item in flags] == [(prompt, "it is an advertisement")]
    world.write(lambda tx: message_changes.process_flag(tx, world.who, prompt))
    assert world.store.read(lambda tx: messages.flagged(tx, world.who, REPORTED).items) == []
    assert K.LABEL_INITIAL_PROMPT in world.available(ann)


def test_red_flags_end_a_prompt(world: World) -> None:
    """Four red flags abort a prompt's tree; the same person counts once, and thumbs exclude each other."""
    prompt = world.do(world.person("author"), K.INITIAL_PROMPT)

    def react(name: str, emoji: str, op: EmojiOp = EmojiOp.ADD) -> None:
        person = world.person(name)
        world.write(lambda tx: message_changes.react(tx, world.who, person, prompt, emoji, op, world.rng))

    react("author", "+1")
    react("ann", "+1")
    react("ann", "-1")
    react("bob", "+1", EmojiOp.TOGGLE)
    react("bob", "+1", EmojiOp.TOGGLE)
    assert world.messages(prompt)[0].emojis == {"-1": 1}
    for name in ("ann", "ann", "bob", "cem", "dee"):
        react(name, "red_flag")
    assert world.tree(prompt).state is TreeState.ABORTED_LOW_GRADE
    assert world.fault(lambda: react("ann", "banana")) is Fault.EMOJI_NOT_SUPPORTED


def test_moderators_delete_restore_edit_and_halt(world: World) -> None:
    """Deleting takes what hangs on a message, restoring what it hangs on; edits keep the past; trees can stop."""
    prompt = grown(world)
    answer = reply(world, "ann")
    who, rng = world.who, world.rng
    world.write(lambda tx: message_changes.delete(tx, who, prompt, rng))
    assert [item.deleted for item in world.messages(prompt)] == [True, True]
    assert world.tree(prompt).state is TreeState.HALTED_BY_MODERATOR
    world.write(lambda tx: message_changes.undelete(tx, who, answer, rng))
    assert [item.deleted for item in world.messages(prompt)] == [False, False]
    assert world.write(lambda tx: tree_growth.halt(tx, who, answer, stop=False, rng=rng)).state is TreeState.GROWING
    ann = world.person("ann")
    world.write(lambda tx: message_changes.edit(tx, who, ann, answer, " better "))
    history = world.store.read(lambda tx: messages.history(tx, who, answer))
    assert [item.text for item in history][1:] == ["better"]
    edited = world.store.read(lambda tx: messages.get(tx, who, answer))
    assert (edited.text, edited.edited) == ("better", True)
    assert world.write(lambda tx: tree_growth.halt(tx, who, answer, stop=True, rng=rng)).active is False


def test_a_disabled_person_does_not_work(world: World) -> None:
    """Who is disabled gets no task and cannot answer; their waiting prompts leave the lottery."""
    author = world.person("author")
    world.configure(max_active_trees=0)
    prompt = world.do(author, K.INITIAL_PROMPT)
    task = world.asked(author, K.INITIAL_PROMPT)
    world.do(world.person("judge"), K.LABEL_INITIAL_PROMPT)
    off = world.write(lambda tx: persons.update(tx, world.who, author.id, {"enabled": False}))
    assert world.write(lambda tx: tree_growth.withdraw(tx, world.who, author.id, world.rng)) == 1
    assert world.tree(prompt).state is TreeState.HALTED_BY_MODERATOR
    assert world.fault(lambda: world.ask(off, K.INITIAL_PROMPT)) is Fault.PERSON_DISABLED
    assert world.fault(lambda: world.answer(off, task)) is Fault.PERSON_DISABLED


def test_an_untrusted_client_sees_only_its_own(world: World) -> None:
    """Another client's messages, persons and tasks look absent; listing or changing them is not allowed."""
    prompt, ann = grown(world), world.person("ann")
    task = world.ask(ann, K.ASSISTANT_REPLY)
    key = world.write(lambda tx: api_clients.create(tx, world.who, description="a bot", frontend_type="discord"))
    other: Principal = world.store.read(lambda tx: users.authenticate(tx, key))

    def refused(fn: object) -> Fault | None:
        return world.fault(lambda: world.write(fn))  # type: ignore[arg-type]

    rng = random.Random(1)
    assert refused(lambda tx: messages.get(tx, other, prompt)) is Fault.MESSAGE_NOT_FOUND
    assert refused(lambda tx: persons.get(tx, other, ann.id)) is Fault.PERSON_NOT_FOUND
    assert refused(lambda tx: tree_tasks.acknowledge(tx, other, task.work.id, "m")) is Fault.TASK_NOT_FOUND
    assert refused(lambda tx: message_changes.delete(tx, other, prompt, rng)) is Fault.CLIENT_NOT_AUTHORISED
    assert refused(lambda tx: conversations.configure(tx, other, {})) is Fault.CLIENT_NOT_AUTHORISED
    theirs = messages.PageRequest(wanted=messages.Filter(client_id=world.who.user_id), limit=5)
    assert refused(lambda tx: messages.page(tx, other, theirs)) is Fault.CLIENT_NOT_AUTHORISED
    mine = messages.PageRequest(wanted=messages.Filter(), limit=5)
    assert world.store.read(lambda tx: messages.page(tx, other, mine)).items == []
    bot = world.write(lambda tx: persons.ensure(tx, other, Identity("local", "ann", "Ann of the bot")))
    assert bot.id != ann.id
    asked = world.write(lambda tx: tree_tasks.request(tx, other, bot, K.INITIAL_PROMPT, rng=rng))
    assert asked.kind is K.INITIAL_PROMPT


def test_configuration_is_checked(world: World) -> None:
    """A setting that is unknown, of the wrong type or out of bounds changes nothing."""
    for bad in ({"colour": 1}, {"max_active_trees": -1}, {"goal_tree_size": "x"}, {"rank_prompter_replies": 1}):
        with pytest.raises(Invalid):
            world.configure(**bad)
    with pytest.raises(HeadraceError) as refused:
        world.configure(labels_prompter_reply=["sparkle"])
    assert fault_of(refused.value) is None
    assert world.configure(p_lonely_child_extension=1).goal_tree_size == 3
