"""What a run's document means, as pure functions: merging, tags, previews, and what the other dialects see of it.

A document is the decoded JSON of a run without what only the server knows (id, path).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headrace.core import ratings
from headrace.core.datasets import is_label_name

Document = dict[str, Any]

PREVIEW = 100
JUDGED = ("tags", "repair_instructions", "repaired_output")


def merged(stored: Mapping[str, Any], change: Mapping[str, Any]) -> Document:
    """The document after a partial one: objects merge key by key, null removes, everything else replaces."""
    result = dict(stored)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            before = result.get(key)
            result[key] = merged(before if isinstance(before, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def content_of(document: Mapping[str, Any]) -> Document:
    """The document without what people judge: tags, rating and repair."""
    kept = {key: value for key, value in document.items() if key not in JUDGED}
    output = kept.get("output")
    if isinstance(output, Mapping):
        kept["output"] = {key: value for key, value in output.items() if key != "rating"}
    return kept


def judgement_of(document: Mapping[str, Any]) -> Document:
    """What people judge of a run: its tags, rating and repair."""
    return {key: document.get(key) for key in JUDGED} | {"rating": rating_of(document)}


def rating_of(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The rating of the run's output."""
    output = document.get("output")
    found = output.get("rating") if isinstance(output, Mapping) else None
    return found if isinstance(found, Mapping) else None


def retagged(tags: Sequence[str], *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> list[str]:
    """The tags after removals, then additions; those that are there already are not added again."""
    leaving = set(remove)
    kept = [tag for tag in tags if tag not in leaving]
    return kept + [tag for tag in dict.fromkeys(add) if tag not in kept]


def tag_of(label: str) -> str:
    """The tag that stands for a dataset label: tags have no spaces."""
    return label.replace(" ", "_")


def labels_of(document: Mapping[str, Any], requirements: Mapping[str, str], known: Iterable[str] = ()) -> list[str]:
    """The dataset labels that say what the run's tags and rating say.

    A tag keeps the label among the `known` ones that it stands for. What cannot be a label's name is left out.
    """
    spelled = {tag_of(label): label for label in known}
    wanted = [spelled.get(tag, tag) for tag in document.get("tags") or ()]
    return [
        name
        for name in dict.fromkeys([*wanted, *ratings.labels(rating_of(document), requirements)])
        if is_label_name(name)
    ]


def preview(text: str) -> str:
    """The first characters of a text, with an ellipsis where it goes on."""
    return text if len(text) <= PREVIEW else f"{text[:PREVIEW]}…"


def repair_state(document: Mapping[str, Any]) -> str:
    """Whether a run's output was repaired, or should be, in the words of the run list."""
    rating, output = rating_of(document), document.get("output")
    if document.get("repair_instructions"):
        return "Repaired"
    if rating is None or rating.get("value") is None:
        return "NA"
    if not (isinstance(output, Mapping) and output.get("output")):
        return "No output"
    if rating["type"] != ratings.Scale.FIVE_STAR:
        return "Unknown"
    return "No repair needed" if rating["value"] == 5 else "Repair needed"
