"""Ratings: what somebody thinks of a run's output, on one of four scales, as a whole and by requirement."""

import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

NAMED = "named::"


class Scale(StrEnum):
    """The scale of a rating; the value is its name on the wire."""

    FIVE_STAR = "five_star"
    PASS_FAIL = "pass_fail"
    PASS_FAIL_CRITICAL = "pass_fail_critical"
    CUSTOM = "custom"


WHOLE_NUMBERS: Mapping[str, tuple[int, int, str, str]] = {
    Scale.FIVE_STAR: (1, 5, "(1-5)", "between 1 and 5 stars"),
    Scale.PASS_FAIL: (0, 1, "(0 or 1)", "0 (fail) or 1 (pass)"),
    Scale.PASS_FAIL_CRITICAL: (-1, 1, "(-1, 0, or 1)", "-1 (critical fail), 0 (fail), or 1 (pass)"),
}
WORDS: Mapping[str, Mapping[int, str]] = {
    Scale.FIVE_STAR: {stars: f"{stars} star{'' if stars == 1 else 's'}" for stars in range(1, 6)},
    Scale.PASS_FAIL: {0: "fail", 1: "pass"},
    Scale.PASS_FAIL_CRITICAL: {-1: "critical fail", 0: "fail", 1: "pass"},
}


def problem(scale: str, value: float, what: str) -> str | None:
    """Why a value does not lie on the scale, said of `what`, or None when it does."""
    if scale not in WHOLE_NUMBERS:
        return None if math.isfinite(value) else f"{what} of type {scale} must be a finite number"
    least, most, whole, allowed = WHOLE_NUMBERS[scale]
    if not float(value).is_integer():
        return f"{what} of type {scale} must be an integer value {whole}"
    if not least <= value <= most:
        return f"{what} of type {scale} must be {allowed}"
    return None


def normalised(scale: str, value: float) -> float | None:
    """The value as 0..1, from the least to the most of its scale; None for the custom scale, which has no ends."""
    if scale not in WHOLE_NUMBERS:
        return None
    least, most, _, _ = WHOLE_NUMBERS[scale]
    return (value - least) / (most - least)


def is_high(rating: Mapping[str, Any] | None) -> bool:
    """True for four stars or more, and for a pass."""
    value = None if rating is None or rating.get("value") is None else normalised(rating["type"], rating["value"])
    return value is not None and value >= (0.75 if rating and rating["type"] == Scale.FIVE_STAR else 1)


def labels(rating: Mapping[str, Any] | None, requirements: Mapping[str, str]) -> Iterator[str]:
    """The dataset labels that say what a rating says, `Rating > 4 stars`; a requirement's under its name.

    `requirements` gives the names by id. The custom scale has no labels.
    """
    if rating is None:
        return
    yield from _label("Rating", rating)
    for key, item in (rating.get("requirement_ratings") or {}).items():
        yield from _label(requirements.get(key, key.removeprefix(NAMED)), item)


def _label(name: str, item: Mapping[str, Any]) -> Iterator[str]:
    word = None if item.get("value") is None else WORDS.get(item["type"], {}).get(item["value"])
    if word:
        yield f"{name} > {word}"
