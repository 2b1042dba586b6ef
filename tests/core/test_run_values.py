"""What a run's document means: merging, tags, labels and previews."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.run_uploads import dealt
from headrace.core.run_values import content_of, labels_of, merged, preview, repair_state, retagged

scalars = st.booleans() | st.integers(0, 3) | st.sampled_from(["x", "y"])
trees = st.recursive(
    scalars | st.lists(scalars, max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner | st.none(), max_size=3),
    max_leaves=8,
)
changes = st.dictionaries(st.sampled_from("abc"), trees | st.none(), max_size=3)
documents = changes.map(lambda change: merged({}, change))


def has_null(value: Any) -> bool:
    """True when a null stands anywhere in objects."""
    return value is None or (isinstance(value, dict) and any(map(has_null, value.values())))


@settings(max_examples=60)
@given(documents, changes)
def test_merging_is_idempotent(document: dict[str, Any], change: dict[str, Any]) -> None:
    """The same change twice says what it says once; neither side is altered, and no null is left."""
    before = copy.deepcopy((document, change))
    once = merged(document, change)
    assert merged(once, change) == once
    assert (document, change) == before
    assert not has_null(once)


@settings(max_examples=60)
@given(documents, changes)
def test_merging_touches_only_what_is_named(document: dict[str, Any], change: dict[str, Any]) -> None:
    """Keys that the change does not name stay, null removes, and what is no object replaces."""
    result = merged(document, change)
    for key in document.keys() - change.keys():
        assert result[key] == document[key]
    for key, value in change.items():
        if value is None:
            assert key not in result
        elif not isinstance(value, dict):
            assert result[key] == value


def test_merging_an_object_onto_something_else() -> None:
    """An object onto what is none begins empty."""
    assert merged({"a": 1, "b": [1]}, {"a": {"x": None, "y": {"z": None}}, "b": [2]}) == {"a": {"y": {}}, "b": [2]}


def test_retagging() -> None:
    """Removals come first, then additions; what is there already is not added twice."""
    assert retagged(["a", "b", "a"], add=["a", "c", "c"], remove=["a"]) == ["b", "a", "c"]


def test_labels_of_a_run() -> None:
    """Tags, the rating and the requirements' ratings are labels; a known label keeps its spelling."""
    ratings = {"1": {"type": "pass_fail", "value": 0.0}, "named::Tone": {"type": "pass_fail_critical", "value": -1.0}}
    rating = {"type": "five_star", "value": 1.0, "requirement_ratings": ratings}
    run = {"tags": ["Lost_card", "x" * 65], "output": {"rating": rating}}
    expected = ["Lost card", "Rating > 1 star", "safe > fail", "Tone > critical fail"]
    assert labels_of(run, {"1": "safe"}, known=["Lost card"]) == expected


def test_content_is_what_nobody_judges() -> None:
    """Tags, rating and repair are judgements; everything else is content."""
    run = {"input": "i", "tags": [], "repair_instructions": "r", "output": {"output": "o", "rating": {}}}
    assert content_of(run) == {"input": "i", "output": {"output": "o"}}


@pytest.mark.parametrize(
    ("rating", "output", "instructions", "state"),
    [
        (None, "o", None, "NA"),
        ({"type": "five_star", "value": None}, "o", None, "NA"),
        ({"type": "five_star", "value": 4.0}, "", None, "No output"),
        ({"type": "five_star", "value": 5.0}, "o", None, "No repair needed"),
        ({"type": "five_star", "value": 4.0}, "o", None, "Repair needed"),
        ({"type": "pass_fail", "value": 1.0}, "o", None, "Unknown"),
        ({"type": "pass_fail", "value": 1.0}, "o", "r", "Repaired"),
    ],
)
def test_repair_state(rating: Any, output: str, instructions: str | None, state: str) -> None:
    """The run list's word for whether an output was repaired or should be."""
    assert repair_state({"output": {"output": output, "rating": rating}, "repair_instructions": instructions}) == state


def test_preview_ends_with_an_ellipsis() -> None:
    """A text longer than a hundred characters is cut there."""
    assert (preview("x" * 100), preview("x" * 101)) == ("x" * 100, "x" * 100 + "…")


@settings(max_examples=30)
@given(st.integers(0, 40), st.sampled_from([{"a": 1.0}, {"a": 0.5, "b": 0.5}, {"a": 0.8, "b": 0.1, "c": 0.1}]))
def test_splits_follow_their_shares(count: int, splits: dict[str, float]) -> None:
    """Every item gets one split, in numbers off by less than one from the shares but for the largest."""
    tags = dealt(count, splits)
    assert len(tags) == count
    for tag, share in list(splits.items())[1:]:
        assert 0 <= count * share - tags.count(tag) < 1
