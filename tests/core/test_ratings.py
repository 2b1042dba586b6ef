"""The four scales of ratings."""

import pytest

from headrace.core.ratings import labels, problem


@pytest.mark.parametrize(
    ("scale", "allowed", "refused"),
    [
        ("five_star", [1, 5], [0, 6, 4.5]),
        ("pass_fail", [0, 1], [-1, 2, 0.5]),
        ("pass_fail_critical", [-1, 0, 1], [-2, 2, 0.5]),
        ("custom", [-7.25, 1e300], [float("nan"), float("inf")]),
    ],
)
def test_what_lies_on_a_scale(scale: str, allowed: list[float], refused: list[float]) -> None:
    """Each scale says which values it takes, and names itself where it refuses."""
    assert [problem(scale, value, "It") for value in allowed] == [None] * len(allowed)
    assert all(f"It of type {scale} must be" in str(problem(scale, value, "It")) for value in refused)


def test_labels_say_what_a_rating_says() -> None:
    """A value is a label in words under its name; nothing, and a custom value, have none."""
    items = {"1": {"type": "pass_fail_critical", "value": -1.0}, "named::Tone": {"type": "custom", "value": 7.0}}
    rating = {"type": "five_star", "value": 4.0, "requirement_ratings": items}
    assert list(labels(rating, {"1": "safe"})) == ["Rating > 4 stars", "safe > critical fail"]
    assert list(labels({"type": "five_star", "value": None}, {})) == list(labels(None, {})) == []
