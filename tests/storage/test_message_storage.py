"""Messages in both databases: pages in the order of commits, availability by index, and nothing left behind."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copyfile

import pytest
from sqlalchemy import GenerativeSelect, func, select

from building import eventually
from conversing import World, some_world
from headrace.core import conversations, datasets, message_changes, messages, persons, records, tree_tasks
from headrace.core.messages import Filter, Mark, Message, PageRequest, Role, TaskKind
from headrace.core.persons import Identity, PersonKey, PersonMark, PersonRequest
from headrace.core.records import NewRecord
from headrace.core.store import Store, Tx
from headrace.core.tree_choice import FAMILIES, REPLIES
from headrace.core.trees import Asker, Tree, TreeState
from headrace.storage import open_store
from headrace.storage.schema_trees import OF_RECORDS
from headrace.storage.transaction import Transaction
from headrace.storage.trees import counting, extending, picking

K = TaskKind


def planted(tx: Tx, world: World, count: int, *, texts: list[str] | None = None, lang: str = "en") -> list[int]:
    """Prompts under review, stored in one go with dates one second apart."""
    collection = conversations.open_(tx, world.who)
    found = texts or [f"text {number}" for number in range(count)]
    bodies = [message_changes.body(Role.PROMPTER, lang, text) for text in found]
    rows = [NewRecord(None, "message", body, None, 0) for body in bodies]
    ids = list(tx.records.insert(collection.source_id, rows))
    start = tx.messages.last_date(collection.id)
    for place, (record_id, text) in enumerate(zip(ids, found, strict=True), 1):
        message = Message(
            id=record_id,
            tree_id=record_id,
            parent_id=None,
            role=Role.PROMPTER,
            lang=lang,
            depth=0,
            author_id=1,
            client_id=world.who.user_id,
            frontend_id=f"f{place}",
            text=text,
            created_at=start + place * 1_000_000,
            offer=K.LABEL_INITIAL_PROMPT,
            draw=random.Random(record_id).randrange(2**31),
            emojis={},
        )
        tx.messages.insert(collection.id, message)
        tx.trees.insert(
            Tree(
                id=record_id,
                dataset_id=collection.id,
                state=TreeState.INITIAL_PROMPT_REVIEW,
                lang=lang,
                goal=3,
                max_children=3,
                max_depth=3,
                size=1,
                created_at=message.created_at,
            )
        )
    return ids


@pytest.fixture
def world(migrated_sqlite: Path, tmp_path: Path) -> Iterator[World]:
    """An empty collection on SQLite."""
    store = open_store(f"sqlite:///{copyfile(migrated_sqlite, tmp_path / 'store.db')}")
    yield some_world(store)
    store.close()


@pytest.fixture
def either_world(store: Store) -> World:
    """An empty collection, once on SQLite and once on PostgreSQL."""
    return some_world(store)


def page(world: World, **request: object) -> messages.Page:
    """A page of messages."""
    wanted = request.pop("wanted", Filter())
    asked = PageRequest(wanted=wanted, **{"limit": 3, **request})  # type: ignore[arg-type]
    return world.store.read(lambda tx: messages.page(tx, world.who, asked))


def mark(message: Message) -> Mark:
    """The place of a message."""
    return Mark(message.created_at, message.id)


@pytest.mark.parametrize("descending", [False, True])
def test_walking_there_and_back_meets_every_message(world: World, descending: bool) -> None:
    """Pages forward hold every message once in order, and pages backward the same pages again."""
    ids = world.write(lambda tx: planted(tx, world, 8))
    forward = [page(world, descending=descending)]
    while forward[-1].has_next:
        forward.append(page(world, descending=descending, after=mark(forward[-1].items[-1])))
    assert [item.id for found in forward for item in found.items] == (ids[::-1] if descending else ids)
    assert [len(found.items) for found in forward] == [3, 3, 2]
    assert [found.has_previous for found in forward] == [False, True, True]
    back = page(world, descending=descending, before=mark(forward[2].items[0]))
    assert [item.id for item in back.items] == [item.id for item in forward[1].items]
    first = page(world, descending=descending, before=mark(back.items[0]))
    assert (first.items, first.has_previous, first.has_next) == (forward[0].items, False, True)


def test_marks_may_be_dates_and_pages_lie_between_them(world: World) -> None:
    """A date alone is inclusive; with two marks the page lies strictly between them."""
    ids = world.write(lambda tx: planted(tx, world, 5))
    found = page(world, limit=9).items
    assert [item.id for item in page(world, limit=9, after=Mark(found[2].created_at)).items] == ids[2:]
    between = page(world, limit=9, after=mark(found[0]), before=mark(found[3]))
    assert [item.id for item in between.items] == ids[1:3]


def test_filters_narrow_a_page(either_world: World) -> None:
    """Language, words, dates, roots and deleted ones can be asked for."""
    world = either_world
    texts = ["Red wine", "white WINE", "role of wine%", "bread"]
    ids = world.write(lambda tx: planted(tx, world, 4, texts=texts))
    other = world.write(lambda tx: planted(tx, world, 1, lang="x-demo"))
    found = page(world, limit=9).items

    def ids_of(**wanted: object) -> list[int]:
        return [item.id for item in page(world, limit=9, wanted=Filter(**wanted)).items]  # type: ignore[arg-type]

    assert ids_of(lang="x-demo") == other
    assert ids_of(lang="en", words=("wine",)) == ids[:3]
    assert ids_of(lang="en", words=("wine%", "ROLE")) == [ids[2]]
    assert ids_of(lang="en", words=("prompter",)) == []
    assert ids_of(start=found[3].created_at, end=found[3].created_at) == [ids[3]]
    assert ids_of(author_id=2) == []
    assert ids_of(only_roots=True, deleted=True) == ids + other


def test_nothing_appears_behind_a_reader(store: Store) -> None:
    """Whoever follows the newest message by (date, id) while several write misses none of theirs."""
    world = some_world(store, 3, {"max_initial_prompt_review": 500, "max_prompt_lottery_waiting": 500})
    writers = [world.person(f"w{number}") for number in range(4)]

    def write(number: int) -> None:
        own = World(store, world.who, random.Random(number), texts=1000 * number)
        for _ in range(5):
            own.do(writers[number], K.INITIAL_PROMPT)

    seen: list[Message] = []

    def follow() -> list[Message]:
        after = mark(seen[-1]) if seen else None
        seen.extend(page(world, limit=2, after=after).items)
        return seen

    with ThreadPoolExecutor(5) as threads:
        reader = threads.submit(lambda: eventually(follow, lambda found: len(found) >= 20))
        for done in [threads.submit(write, number) for number in range(4)]:
            done.result()
        assert len({item.id for item in reader.result()}) == 20


def test_availability_counts_and_picks_what_is_left(world: World) -> None:
    """Somebody is offered every message but those kept from them, each by some draw, and the count is capped."""
    ids = world.write(lambda tx: planted(tx, world, 6))
    number = world.tree(ids[0]).dataset_id

    def kept(tx: Tx) -> tuple[list[int], set[int | None]]:
        asker = Asker(number, "en", 7)
        tx.trees.exclude(7, [(ids[0], "labeling")])
        tx.trees.exclude(7, [(ids[0], "labeling"), (ids[1], "reply")])
        tx.trees.exclude(8, [(ids[1], "labeling")])
        draws = [message.draw for message in tx.messages.of_trees(ids)]
        picked = {tx.trees.pick(asker, K.LABEL_INITIAL_PROMPT, draw) for draw in [*draws, 2**31 - 1]}
        counts = [tx.trees.available(asker, [K.LABEL_INITIAL_PROMPT], limit) for limit in (100, 2)]
        return [count[K.LABEL_INITIAL_PROMPT] for count in counts], picked

    assert world.write(kept) == ([5, 2], set(ids[1:]))


@pytest.mark.parametrize(
    "statement", [counting(tuple(FAMILIES)), picking(K.RANK_ASSISTANT_REPLIES), extending(REPLIES)]
)
def test_choosing_a_task_uses_the_index_of_offers(store: Store, statement: GenerativeSelect) -> None:
    """Neither counting nor picking reads messages that call for nothing, however many there are."""
    given = {"dataset": 1, "language": "en", "person": 1, "most": 9, "start": 5}
    known = {name: value for name, value in given.items() if name in statement.compile().params}

    def plan(tx: Transaction) -> str:
        conn = tx.session.conn
        query = statement.params(known).compile(conn, compile_kwargs={"literal_binds": True})
        if tx.session.postgres:
            conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
            return str(conn.exec_driver_sql(f"EXPLAIN {query}").fetchall())
        return str(conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").fetchall())

    assert "ix_messages_offer" in store.read(plan)  # type: ignore[arg-type]


def test_deleting_a_collection_leaves_nothing(world: World) -> None:
    """With the dataset go its trees, messages, emojis, flags, revisions, labels, rankings and exclusions."""
    world.configure(goal_tree_size=3, num_reviews_initial_prompt=1, num_reviews_reply=1, num_required_rankings=1)
    prompt = world.grown(accepting=1)
    for name in ("ann", "bob"):
        world.do(world.person(name), K.ASSISTANT_REPLY)
        world.do(world.person("judge"), K.LABEL_ASSISTANT_REPLY)
    world.do(world.person("judge"), K.RANK_ASSISTANT_REPLIES)
    dataset_id = world.tree(prompt).dataset_id
    world.write(lambda tx: tx.messages.flag(prompt, "why"))
    world.write(lambda tx: tx.messages.add_revision(prompt, "once", None, 0))
    world.write(lambda tx: tx.messages.add_emoji(prompt, 1, "100"))

    def count(tx: Transaction) -> list[int]:
        counts = [select(func.count()).select_from(table) for table in OF_RECORDS]
        return [tx.session.conn.execute(statement).scalar_one() for statement in counts]

    assert all(world.store.read(count))  # type: ignore[arg-type]
    world.write(lambda tx: datasets.delete(tx, world.who, dataset_id))
    assert not any(world.store.read(count))  # type: ignore[arg-type]


def test_replies_to_a_prompt_that_is_gone_call_for_nothing(world: World) -> None:
    """A prompt deleted as a record, by whatever dialect, takes its tree along; its replies are offered to nobody."""
    world.configure(num_reviews_initial_prompt=1)
    prompt = world.grown(accepting=1)
    answer = world.do(world.person("ann"), K.ASSISTANT_REPLY)

    def remove(tx: Tx) -> None:
        collection = conversations.load(tx, world.who, conversations.READ)
        tx.records.delete(collection.source_id, [prompt])

    world.write(remove)
    assert set(world.available(world.person("bob"))) == {K.RANDOM, K.INITIAL_PROMPT}
    assert [item.deleted for item in world.messages(prompt) if item.id == answer] == [True]


def test_messages_are_records_for_everybody(world: World) -> None:
    """A message is a record of the collection's source, with its text where every dialect looks for it."""
    prompt = world.do(world.person("ann"), K.INITIAL_PROMPT)
    dataset_id = world.tree(prompt).dataset_id

    def read(tx: Tx) -> tuple[str, str]:
        dataset = datasets.load(tx, world.who, dataset_id)
        found = tx.records.by_ids([prompt], dataset.source_ids)
        return found[0].kind, records.shown(tx, world.who, found)[0].body

    assert world.store.read(read) == ("message", '{"text":"text 1","role":"prompter","lang":"en"}')


def test_persons_are_listed_by_either_name(either_world: World) -> None:
    """Persons come by username or display name, a part of it will do, and marks lie between them."""
    world = either_world
    for name in ("ann", "bob", "Cem"):
        world.person(name)

    def names(**request: object) -> tuple[list[str], bool]:
        asked = PersonRequest(client_id=world.who.user_id, **request)  # type: ignore[arg-type]
        found = world.store.read(lambda tx: persons.page(tx, world.who, asked))
        return sorted(item.username for item in found.items), found.has_next

    assert names() == (["Cem", "ann", "bob"], False)
    assert names(limit=2)[1] is True
    assert names(search="nn") == (["ann"], False)
    assert names(key=PersonKey.DISPLAY_NAME, search="ann") == ([], False)
    assert names(after=PersonMark("ann"))[0] == ["ann", "bob"]
    assert names(after=PersonMark("ann", 2**62))[0] == ["bob"]


def test_a_person_is_one_user_however_often_seen(store: Store) -> None:
    """Whoever comes at once from several threads is stored once, and a new display name is taken over."""
    world = some_world(store)

    def see(number: int) -> int:
        identity = Identity("local", "ann", f"Ann {number}")
        return world.write(lambda tx: persons.ensure(tx, world.who, identity)).id

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(see, range(6)))) == 1
    assert see(9) == world.store.read(lambda tx: persons.named(tx, world.who, "local", "ann")).id
    assert world.store.read(lambda tx: persons.named(tx, world.who, "local", "ann")).display_name == "Ann 9"


def test_places_given_out_hide_no_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of the first messages that are looked at are being answered, the one that is free is found."""
    world.configure(num_reviews_initial_prompt=1, max_active_trees=10)
    for _ in range(6):
        world.grown(accepting=1)
    monkeypatch.setattr(tree_tasks, "SAMPLED", 1)
    found = {world.ask(world.person(f"writer {number}"), K.ASSISTANT_REPLY).work.record_id for number in range(6)}
    assert len(found) == 6
    assert K.ASSISTANT_REPLY not in world.available(world.person("late"))
