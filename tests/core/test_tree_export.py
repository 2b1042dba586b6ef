"""Exports of conversations, and the scores of those who wrote them."""

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from conversing import World, some_world
from headrace.core import scores, tree_export, tree_review
from headrace.core.messages import TaskKind
from headrace.core.scores import Tally, TimeFrame
from headrace.core.tree_export import Choice, Take
from headrace.storage import open_store

K = TaskKind
RULES: dict[str, object] = {
    "goal_tree_size": 4,
    "num_reviews_initial_prompt": 1,
    "num_reviews_reply": 1,
    "num_required_rankings": 2,
    "max_active_trees": 1,
    "max_tree_depth": 2,
}


@pytest.fixture(scope="module")
def world(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One finished tree: a prompt, two ranked replies (a third was rejected), and a reply to one of them."""
    store = open_store(f"sqlite:///{copyfile(migrated_sqlite, tmp_path_factory.mktemp('export') / 'store.db')}")
    world = some_world(store, 1, RULES)
    world.grown(accepting=1)
    for name, spam in (("ann", 0), ("bob", 1), ("cem", 0)):
        world.do(world.person(name), K.ASSISTANT_REPLY)
        world.do(world.person("judge"), K.LABEL_ASSISTANT_REPLY, spam=spam)
    world.do(world.person("author"), K.PROMPTER_REPLY)
    world.do(world.person("judge"), K.LABEL_PROMPTER_REPLY)
    for name in ("judge", "other judge"):
        world.do(world.person(name), K.RANK_ASSISTANT_REPLIES)
    yield world
    store.close()


def exported(world: World, **choice: object) -> list[dict[str, Any]]:
    """The lines of an export."""
    asked = Choice(**choice)  # type: ignore[arg-type]
    return [json.loads(line) for line in tree_export.lines(world.store, world.who, asked)]


def test_a_finished_tree_is_one_line(world: World) -> None:
    """A tree holds its accepted messages, the best reply first, with what was said of them where asked for."""
    (tree,) = exported(world, labels=True, events=True)
    prompt = tree["prompt"]
    assert (tree["tree_state"], prompt["role"], prompt.get("parent_id")) == ("ready_for_export", "prompter", None)
    assert [(item["rank"], item["role"]) for item in prompt["replies"]] == [(0, "assistant"), (1, "assistant")]
    assert [len(item["replies"]) for item in prompt["replies"]] in ([1, 0], [0, 1])
    assert prompt["labels"]["spam"] == {"value": 0.0, "count": 1}
    (first, _) = prompt["events"]["ranking"]
    assert first["ranked_message_ids"] == [item["message_id"] for item in prompt["replies"]]
    assert "model_name" not in prompt


def test_filters_that_break_trees_give_messages(world: World) -> None:
    """Only spam, or only one person's messages, are lines of their own."""
    (spam,) = exported(world, spam=Take.ONLY)
    assert (spam["review_result"], spam["text"], "replies" in spam) == (False, "text 3", False)
    ann = world.person("ann").id
    assert [item["user_id"] for item in exported(world, author_id=ann)] == [tree_export.open_names("user", ann)]
    assert len(exported(world, synthetic=Take.ONLY)) == 0
    assert len(exported(world, spam=Take.INCLUDE, prompts_only=True)[0]["prompt"]["replies"]) == 0
    assert len(exported(world, spam=Take.INCLUDE)[0]["prompt"]["replies"]) == 3
    assert exported(world, lang="de") == exported(world, limit=0) == []


def test_ids_can_be_hidden(world: World) -> None:
    """Anonymised ids fit together, depend on the seed, and do not tell the real ones."""
    a, b, again = (
        next(tree_export.lines(world.store, world.who, Choice(), tree_export.anonymised(seed)))
        for seed in ("a", "b", "a")
    )
    assert a == again != b
    tree = json.loads(a)
    assert tree["prompt"]["replies"][0]["parent_id"] == tree["prompt"]["message_id"]
    assert len(tree["message_tree_id"]) == 64


def test_chats_and_preferences(world: World) -> None:
    """Every chain to a last assistant reply is a chat; every pair of ranked replies says how many agree on it."""
    chats = [json.loads(line) for line in tree_export.chats(world.store, world.who, Choice())]
    assert [[turn["role"] for turn in chat["messages"]] for chat in chats] == [["user", "assistant"]] * 2
    best = [json.loads(line) for line in tree_export.chats(world.store, world.who, Choice(), best_only=True)]
    assert len(best) == 1
    (pair,) = [json.loads(line) for line in tree_export.preferences(world.store, world.who, Choice())]
    assert pair["chosen"]["content"] == best[0]["messages"][1]["content"]
    assert (pair["judges"], pair["agreement"], pair["prompt"]) == (2, 1.0, best[0]["messages"][:1])


def test_scores_add_up_what_people_did(world: World) -> None:
    """Everybody's tally holds what they wrote and judged, and the leaderboard is in the order of the points."""
    board = world.store.read(lambda tx: scores.leaderboard(tx, world.who, TimeFrame.TOTAL))
    found = {score.person.username: score for score in board.scores}
    assert found["author"].tally == Tally(
        prompts=1, accepted_prompts=1, replies_prompter=1, accepted_replies_prompter=1
    )
    assert found["judge"].tally == Tally(labels_full=4, rankings_total=1)
    assert found["bob"].tally == Tally(replies_assistant=1)
    assert found["ann"].tally == Tally(replies_assistant=1, accepted_replies_assistant=1, reply_ranked_1=2)
    assert [score.rank for score in board.scores] == list(range(1, len(board.scores) + 1))
    points = [score.leader_score for score in board.scores]
    assert points == sorted(points, reverse=True)
    day = world.store.read(lambda tx: scores.of_person(tx, world.who, world.person("cem").id, TimeFrame.DAY))
    assert (day.tally.reply_ranked_2, day.leader_score, day.level) == (2, 4 + 4 + 6, 3)
    window = world.store.read(lambda tx: scores.window(tx, world.who, day.person.id, TimeFrame.TOTAL, 3))
    assert (len(window.scores), day.person.id in {score.person.id for score in window.scores}) == (3, True)


def test_statistics_count_messages_and_trees(world: World) -> None:
    """The counts of messages and trees are those of the collection."""
    counts = world.store.read(lambda tx: scores.message_counts(tx, world.who))
    assert (counts.all, counts.active, counts.deleted, counts.trees, counts.active_by_lang) == (5, 5, 0, 1, {"en": 5})
    assert world.store.read(lambda tx: scores.state_counts(tx, world.who)) == [("en", "ready_for_export", 1)]
    (tree,) = world.store.read(lambda tx: scores.tree_counts(tx, world.who, only_active=False))
    assert (tree.depth, tree.count, tree.goal) == (2, 5, 4)
    assert world.store.read(lambda tx: scores.human_messages(tx, world.who, "role")) == {"assistant": 3, "prompter": 2}
    labels = world.store.read(lambda tx: tree_review.valid_labels(tx, world.who))
    assert (labels[0].name, labels[-1].name, len(labels)) == ("spam", "violence", 14)
