"""The rules of trees, without a store: states, what messages call for, acceptance, ranking, lots, levels."""

import random
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core import persons, scores, text_labels, tree_choice
from headrace.core.conversations import Config
from headrace.core.messages import Message, Role, TaskKind
from headrace.core.persons import DAY, Person
from headrace.core.rankings import Ranking, agreement, consensus
from headrace.core.text_labels import Mode, Review
from headrace.core.trees import Candidate, Lease, Tree, TreeState, has_place, reactivated, settle

K = TaskKind
CONFIG = Config()
TREE = Tree(id=1, dataset_id=1, state=TreeState.GROWING, lang="en", goal=4, max_children=2, max_depth=2, created_at=0)


def message(number: int, parent: Message | None = None, *, accepted: bool | None = True, **other: object) -> Message:
    """A message below another one, or a prompt."""
    plain = Message(
        id=number,
        tree_id=1,
        parent_id=parent.id if parent else None,
        role=parent.role.other if parent else Role.PROMPTER,
        lang="en",
        depth=parent.depth + 1 if parent else 0,
        author_id=number,
        client_id=1,
        frontend_id=str(number),
        text=str(number),
        created_at=number,
        accepted=accepted,
        emojis={},
    )
    return plain._replace(**other)  # type: ignore[arg-type]


ROOT = message(1)
REPLY, OTHER = message(2, ROOT), message(3, ROOT)


def offers(tree: Tree, *found: Message, config: Config = CONFIG) -> dict[int, TaskKind]:
    """What the messages call for, where they call for something."""
    return {item.id: item.offer for item in settle(tree, found, config).messages if item.offer}


def state(tree: Tree, *found: Message, config: Config = CONFIG) -> TreeState:
    """The state after settling."""
    return settle(tree, found, config).tree.state


@pytest.mark.parametrize(
    ("reviews", "accepted"),
    [
        ([Review(1), Review(0), Review(0)], True),
        ([Review(1), Review(1), Review(0)], False),
        ([Review(1), Review(0, 1), Review(0)], False),
        ([Review(0.3, 0.1), Review(0.3, 0.1), Review(0.3, 0.15)], False),
        ([Review(0.25, 0.1)] * 3, True),
    ],
)
def test_acceptance_is_as_observed(reviews: list[Review], accepted: bool) -> None:
    """The votes that were seen to accept or reject a message do so here."""
    assert text_labels.accepted(reviews, 0.6) is accepted


def test_a_reviewed_prompt_waits_or_ends() -> None:
    """A prompt's review decides where its tree goes; until then it calls for review."""
    fresh = replace(TREE, state=TreeState.INITIAL_PROMPT_REVIEW)
    assert offers(fresh, message(1, accepted=None)) == {1: K.LABEL_INITIAL_PROMPT}
    assert state(fresh, message(1, accepted=True)) is TreeState.PROMPT_LOTTERY_WAITING
    assert state(fresh, message(1, accepted=False)) is TreeState.ABORTED_LOW_GRADE


def test_growing_messages_call_for_replies_and_reviews() -> None:
    """What was accepted and has room calls for a reply of the other role, what is undecided for its review."""
    undecided = message(3, ROOT, accepted=None)
    assert offers(TREE, ROOT, REPLY) == {1: K.ASSISTANT_REPLY, 2: K.PROMPTER_REPLY}
    assert offers(TREE, ROOT, REPLY, undecided) == {2: K.PROMPTER_REPLY, 3: K.LABEL_ASSISTANT_REPLY}
    assert offers(TREE, ROOT, REPLY, message(4, REPLY, accepted=None)) == {
        1: K.ASSISTANT_REPLY,
        4: K.LABEL_PROMPTER_REPLY,
    }


@pytest.mark.parametrize("lost", [{"accepted": False}, {"deleted": True}])
def test_a_parent_whose_replies_are_all_gone_is_offered_again(lost: dict[str, bool]) -> None:
    """Rejected and deleted replies take no place."""
    gone = [item._replace(**lost) for item in (REPLY, OTHER)]
    assert offers(TREE, ROOT, *gone) == {1: K.ASSISTANT_REPLY}


def test_a_tree_at_its_goal_is_ranked_once_all_is_reviewed() -> None:
    """Ranking begins with the goal reached and nothing undecided, and ends with enough rankings of every reply."""
    last = message(4, REPLY)
    assert state(TREE, ROOT, REPLY, OTHER, last._replace(accepted=None)) is TreeState.GROWING
    assert offers(TREE, ROOT, REPLY, OTHER, last) == {1: K.RANK_ASSISTANT_REPLIES}
    ranked = [item._replace(ranking_count=3) for item in (REPLY, OTHER)]
    assert state(TREE, ROOT, *ranked, last) is TreeState.READY_FOR_EXPORT


def test_a_tree_without_anything_to_rank_is_done_at_once() -> None:
    """Nothing to compare is no reason to wait, nor is a goal that cannot be reached."""
    narrow = replace(TREE, max_children=1)
    assert state(narrow, ROOT, REPLY, message(4, REPLY)) is TreeState.READY_FOR_EXPORT


def test_late_and_deleted_messages_take_no_part() -> None:
    """A late reply is neither counted nor reviewed; a tree of which nothing is left is halted."""
    late = message(3, ROOT, accepted=None, late=True)
    found = settle(TREE, [ROOT, REPLY, late], CONFIG)
    assert (found.tree.size, found.messages[0].live_children, found.messages[2].offer) == (2, 1, None)
    assert state(TREE, ROOT._replace(deleted=True)) is TreeState.HALTED_BY_MODERATOR


def test_scoring_ranks_by_consensus() -> None:
    """Replies get the places on which people agree; one that nobody ranked gets none."""
    replies = [message(number, ROOT, ranking_count=3) for number in (2, 3)]
    orders = [(3, 2), (3, 2), (2, 3)]
    rankings = [
        Ranking(
            annotation_id=number, tree_id=1, parent_id=1, person_id=number, order=order, not_rankable=None, created_at=0
        )
        for number, order in enumerate(orders)
    ]
    ready = replace(TREE, state=TreeState.RANKING)
    found = settle(ready, [ROOT, *replies, message(4, REPLY)], CONFIG, rankings)
    assert {item.id: item.rank for item in found.messages} == {1: None, 2: 1, 3: 0, 4: None}


def test_prompter_replies_are_ranked_only_when_wanted() -> None:
    """Replies of prompters call for ranking only where the collection says so."""
    config = Config(num_prompter_replies=2, rank_prompter_replies=True)
    ranking = replace(TREE, state=TreeState.RANKING)
    tree = [ROOT, REPLY, message(4, REPLY), message(5, REPLY)]
    assert offers(ranking, *tree, config=config) == {2: K.RANK_PROMPTER_REPLIES}
    assert offers(ranking, *tree) == {}


@given(st.permutations([0, 1, 2]), st.integers(0, 4))
def test_settling_again_changes_nothing(order: list[int], undecided: int) -> None:
    """A settled tree is settled, in whatever order its messages are read."""
    tree = [item._replace(accepted=None) if item.id == undecided else item for item in (ROOT, REPLY, OTHER)]
    once = settle(TREE, [tree[place] for place in order], CONFIG)
    assert settle(once.tree, once.messages, CONFIG) == once


def test_a_halted_tree_goes_on_where_it_belongs() -> None:
    """What won the lottery grows again; what never did is reviewed."""
    halted = replace(TREE, state=TreeState.HALTED_BY_MODERATOR)
    assert reactivated(replace(halted, drawn_at=5)).state is TreeState.GROWING
    assert reactivated(halted).state is TreeState.INITIAL_PROMPT_REVIEW
    assert reactivated(TREE) == TREE


def test_a_place_held_by_somebody_else_is_taken() -> None:
    """Leases count against the children of their parent and against the goal of the tree."""
    root = ROOT._replace(live_children=1)
    tree = replace(TREE, size=2)
    assert has_place(tree, root, CONFIG, [])
    assert not has_place(tree, root, CONFIG, [Lease(9, 1, 1)])
    assert has_place(tree, root, CONFIG, [Lease(9, 2, 1)])
    assert not has_place(tree, root, CONFIG, [Lease(9, 2, 1), Lease(8, 3, 1)])


@given(st.permutations([1, 2, 3, 4]))
def test_unanimous_rankings_are_the_consensus(order: list[int]) -> None:
    """Whoever agrees gets their order; an id that one person did not rank takes no part."""
    assert consensus([tuple(order)] * 3) == tuple(order)
    assert consensus([tuple(order), tuple(item for item in order if item != 4)]) == tuple(i for i in order if i != 4)


def test_a_circle_of_majorities_is_broken_at_its_weakest() -> None:
    """Ranked pairs lock the strongest majorities and leave out the one that would close the circle."""
    orders = [(1, 2, 3)] * 7 + [(2, 3, 1)] * 5 + [(3, 1, 2)] * 4
    assert consensus(orders) == (1, 2, 3)
    assert consensus([(1,), (1, 2)]) == ()
    assert consensus([]) == ()
    assert agreement(orders, 1, 3) == (7, 16)


@given(st.lists(st.sampled_from(list(permutations(range(4)))), min_size=1, max_size=9))
def test_a_condorcet_winner_comes_first(orders: list[tuple[int, ...]]) -> None:
    """Whoever beats everybody else in pairs is the best, and everybody is placed once."""
    found = consensus(orders)
    assert sorted(found) == [0, 1, 2, 3]
    for item in found:
        beats = [2 * agreement(orders, item, other)[0] > len(orders) for other in found if other != item]
        if all(beats):
            assert found[0] == item


def test_prompts_wanted_follow_the_room() -> None:
    """Prompts are wanted for missing trees and for review, within the lottery's room, not in closed languages."""
    assert tree_choice.prompts_wanted(CONFIG, "en", growing=0, reviewed=0, waiting=0) == 110
    assert tree_choice.prompts_wanted(CONFIG, "en", growing=12, reviewed=99, waiting=0) == 1
    assert tree_choice.prompts_wanted(CONFIG, "en", growing=0, reviewed=0, waiting=245) == 5
    closed = Config(init_prompt_disabled_langs=("de",))
    assert tree_choice.prompts_wanted(closed, "de", growing=0, reviewed=0, waiting=0) == 0


def test_kinds_are_drawn_by_weight_among_what_there_is() -> None:
    """Ranking comes before review, review before writing; what is not available is never drawn."""
    rng = random.Random(3)
    there = {K.RANK_ASSISTANT_REPLIES: 1, K.LABEL_INITIAL_PROMPT: 9, K.ASSISTANT_REPLY: 4, K.INITIAL_PROMPT: 99}
    drawn = [tree_choice.kind_of(rng, there) for _ in range(2000)]
    shares = [drawn.count(kind) / 2000 for kind in there]
    assert shares == pytest.approx([10 / 17, 5 / 17, 2 / 17, 0], abs=0.04)
    assert tree_choice.kind_of(rng, {K.ASSISTANT_REPLY: 0}) is None


def test_places_are_given_once() -> None:
    """A parent somebody is at is not offered, nor one in a tree whose room was given away."""
    places = [
        Candidate(1, 1, Role.PROMPTER, 0, 2),
        Candidate(2, 1, Role.ASSISTANT, 0, 2),
        Candidate(7, 7, Role.PROMPTER, 0, 1),
    ]
    assert [item.id for item in tree_choice.open_places(places, [Lease(1, 2, 1)])] == [1, 7]
    assert [item.id for item in tree_choice.open_places(places, [Lease(1, 2, 1), Lease(2, 9, 1), Lease(3, 8, 7)])] == []


def test_lonely_parents_are_preferred() -> None:
    """Three times of four a prompter's message with one reply is extended, where there is one."""
    rng = random.Random(1)
    places = [Candidate(number, 1, Role.PROMPTER, int(number == 0), 5) for number in range(10)]
    drawn = [tree_choice.parent_of(rng, places, CONFIG).id for _ in range(1000)]
    assert drawn.count(0) / 1000 == pytest.approx(0.75 + 0.025, abs=0.04)


def test_modes_are_drawn_where_anything_was_asked_for() -> None:
    """Who asks for the review of replies gets the full one; others now and then the simple one."""
    rng = random.Random(1)
    config = Config(p_full_labeling_review_reply_prompter=0.0, p_full_labeling_review_prompt=0.0)
    assert tree_choice.mode_of(rng, K.LABEL_PROMPTER_REPLY, K.RANDOM, config) is Mode.SIMPLE
    assert tree_choice.mode_of(rng, K.LABEL_PROMPTER_REPLY, K.LABEL_PROMPTER_REPLY, config) is Mode.FULL
    assert tree_choice.mode_of(rng, K.LABEL_INITIAL_PROMPT, K.LABEL_INITIAL_PROMPT, config) is Mode.SIMPLE
    simple = text_labels.asked(Mode.SIMPLE, text_labels.ASSISTANT_REPLY, ("spam",), reply=True)
    assert simple == ("spam", "lang_mismatch", "quality")


def test_the_lottery_favours_good_authors() -> None:
    """An author ranked first nine times wins ten times as often as one who never was."""
    rng = random.Random(5)
    drawn = [tree_choice.prompt_drawn(rng, {1: [10], 2: [20, 21]}, {1: 9}) for _ in range(1100)]
    assert drawn.count(10) / 1100 == pytest.approx(10 / 11, abs=0.03)


def test_levels_begin_where_they_should() -> None:
    """The first levels need 0, 4, 9 and 16 points, and the hundredth is the last."""
    assert scores.thresholds()[:4] == [0, 4, 9, 16]
    assert [scores.level(points) for points in (0, 3, 4, 9, 10**6)] == [1, 1, 2, 3, 100]
    assert scores.leader_score(scores.Tally(prompts=25, replies_assistant=2, labels_full=3, reply_ranked_1=1)) == 25


def test_streaks_survive_a_night_but_not_two() -> None:
    """A streak counts whole days since it began, and begins anew after 36 hours of rest."""
    someone = Person(id=1, client_id=1, auth_method="local", username="a", display_name="A", created_at=0)
    first = persons.active(someone, 10 * DAY)
    later = persons.active(first, 11 * DAY + DAY // 4)
    assert (first.streak_days, later.streak_days, later.streak_at) == (0, 1, 10 * DAY)
    assert persons.active(later, 14 * DAY).streak_days == 0
