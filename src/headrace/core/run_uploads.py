"""Uploads of runs: many at once, whole conversations in order, each given to one of the splits."""

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import run_tasks, runs
from headrace.core.rights import Permission, Principal
from headrace.core.run_values import Document
from headrace.core.runs import Place

if TYPE_CHECKING:
    from headrace.core.store import Tx

Conversation = Sequence[Document]
"""Checked documents of runs of which each follows the one before."""


class UploadCounts(NamedTuple):
    """What an upload made."""

    runs: int
    conversations: int


def store(
    tx: "Tx", who: Principal, place: Place, conversations: Sequence[Conversation], splits: Mapping[str, float]
) -> UploadCounts:
    """Store conversations (of one run each where the task has none); the last run of each gets its split's tag."""
    task = run_tasks.load(tx, who, *place)
    who.require(task.dataset.project_id, Permission.EDIT_MESSAGES)
    tagged = [
        [*items[:-1], items[-1] | {"tags": [*items[-1]["tags"], tag]}] if tag else list(items)
        for items, tag in zip(conversations, dealt(len(conversations), splits), strict=True)
    ]
    parents: dict[int, int] = {}
    for turn in range(max(map(len, tagged), default=0)):
        live = [number for number, items in enumerate(tagged) if turn < len(items)]
        rows = [tagged[number][turn] | _parent(parents.get(number)) for number in live]
        parents = dict(zip(live, runs.insert_many(tx, who, task, [(row, None) for row in rows]), strict=True))
    return UploadCounts(sum(map(len, tagged)), len(tagged))


def dealt(count: int, splits: Mapping[str, float]) -> list[str | None]:
    """A split's tag for each of so many items, in random order; what rounding leaves goes to the largest split."""
    if not splits:
        return [None] * count
    sizes = {tag: int(count * share) for tag, share in splits.items()}
    largest = max(splits, key=lambda tag: splits[tag])
    sizes[largest] += count - sum(sizes.values())
    tags: list[str | None] = [tag for tag, size in sizes.items() for _ in range(size)]
    random.shuffle(tags)
    return tags


def _parent(parent_id: int | None) -> Document:
    return {} if parent_id is None else {"parent_task_run_id": str(parent_id)}
