"""Text labels: the vocabulary in which people judge a message, and how their judgements decide on it.

Every label is a number from 0 to 1. Those asked as a question or a flag also become labels of the dataset, so that a
stream or another dialect sees that a message was called spam.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from headrace.core.annotations import Assigned, Judgement

DECIDING = 0.5
SPAM = "spam"
LANG_MISMATCH = "lang_mismatch"
QUALITY = "quality"


class Widget(StrEnum):
    """How a frontend asks for a label."""

    YES_NO = "yes_no"
    FLAG = "flag"
    LIKERT = "likert"


class Mode(StrEnum):
    """How much is asked of a reviewer: everything, or only what decides."""

    FULL = "full"
    SIMPLE = "simple"


class LabelDescription(NamedTuple):
    """A label as it is shown to people."""

    name: str
    widget: Widget
    display_text: str
    help_text: str | None = None


_ALL = (
    LabelDescription(SPAM, Widget.YES_NO, "Is this spam: deliberately poor or off the topic?"),
    LabelDescription(
        LANG_MISMATCH,
        Widget.FLAG,
        "Wrong language",
        "The message is not written in the language that it should be in; quotations and names do not count.",
    ),
    LabelDescription("fails_task", Widget.YES_NO, "Does the reply fail to do what was asked?"),
    LabelDescription("pii", Widget.FLAG, "Contains personal data"),
    LabelDescription("not_appropriate", Widget.FLAG, "Not appropriate"),
    LabelDescription(
        "hate_speech",
        Widget.FLAG,
        "Hate speech",
        "The message attacks or threatens people for belonging to a group, such as a religion or an origin.",
    ),
    LabelDescription("sexual_content", Widget.FLAG, "Sexual content"),
    LabelDescription("moral_judgement", Widget.FLAG, "Judges the morals of a person"),
    LabelDescription("political_content", Widget.FLAG, "Expresses political views"),
    LabelDescription(QUALITY, Widget.LIKERT, "Overall quality"),
    LabelDescription("toxicity", Widget.LIKERT, "Rude or insulting"),
    LabelDescription("humor", Widget.LIKERT, "Funny or sarcastic"),
    LabelDescription("helpfulness", Widget.LIKERT, "Helpful"),
    LabelDescription("creativity", Widget.LIKERT, "Creative"),
    LabelDescription("violence", Widget.LIKERT, "Violent, towards oneself or others"),
)
DESCRIPTIONS: Mapping[str, LabelDescription] = {item.name: item for item in _ALL}
NAMES = frozenset(DESCRIPTIONS)
FLAGS = tuple(item.name for item in _ALL if item.widget is not Widget.LIKERT)
USUAL = tuple(item.name for item in _ALL if item.name != "fails_task")
_TAIL = ("toxicity", "violence", "not_appropriate", "pii", "hate_speech", "sexual_content")
PROMPT = (SPAM, LANG_MISMATCH, QUALITY, "creativity", "humor", *_TAIL)
PROMPTER_REPLY = PROMPT
ASSISTANT_REPLY = (SPAM, LANG_MISMATCH, "fails_task", QUALITY, "helpfulness", "creativity", "humor", *_TAIL)
REPORT = (
    SPAM,
    "not_appropriate",
    "pii",
    "hate_speech",
    "sexual_content",
    "moral_judgement",
    "political_content",
    "toxicity",
    "violence",
    QUALITY,
)


class Review(NamedTuple):
    """What decides of one reviewer's labels; a language mismatch that was not named counts as 0."""

    spam: float
    lang_mismatch: float | None = None


def describe(names: Sequence[str]) -> list[LabelDescription]:
    """The labels as they are shown, in the order named."""
    return [DESCRIPTIONS[name] for name in names]


def asked(mode: Mode, valid: Sequence[str], mandatory: Sequence[str], *, reply: bool) -> tuple[str, ...]:
    """The labels a reviewer may give: all of them, or the mandatory ones, the language, and the quality of a reply."""
    if mode is Mode.FULL:
        return tuple(valid)
    return tuple(dict.fromkeys((*mandatory, LANG_MISMATCH, *((QUALITY,) if reply else ()))))


def acceptance(reviews: Sequence[Review]) -> float:
    """How acceptable the reviewers find a message: 1 minus the means of spam and of language mismatch."""
    count = len(reviews)
    spam = sum(item.spam for item in reviews) / count
    mismatch = sum(item.lang_mismatch or 0.0 for item in reviews) / count
    return 1 - (spam + mismatch)


def accepted(reviews: Sequence[Review], threshold: float) -> bool:
    """True when the reviewers accept the message; it takes more than the threshold."""
    return acceptance(reviews) > threshold


def judgement(values: Mapping[str, float], *, mode: Mode | None, report: str | None = None) -> Judgement:
    """The labels as a judgement of the record: what was affirmed as labels, every number in `extra`."""
    said: dict[str, object] = {"text_labels": dict(values)}
    if mode is not None:
        said["mode"] = mode.value
    if report is not None:
        said["report"] = report
    return Judgement(
        labels=tuple(Assigned(name) for name in FLAGS if values.get(name, 0.0) > DECIDING),
        extra=json.dumps(said, ensure_ascii=False, separators=(",", ":")),
    )


def values_of(extra: str | None) -> dict[str, float]:
    """The numbers in a judgement's `extra`; empty for a judgement of another kind."""
    said = json.loads(extra) if extra else {}
    found = said.get("text_labels") if isinstance(said, dict) else None
    return found if isinstance(found, dict) else {}
