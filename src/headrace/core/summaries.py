"""Summaries: which data keys the tasks of a dataset have and what its annotations say, counted exactly, by chunks."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.core import content, label_config, label_results, tasks
from headrace.core.annotations import Annotation
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.label_config import SEPARATOR, LabelConfig
from headrace.core.records import Record
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Source
from headrace.core.task_selection import Selection

if TYPE_CHECKING:
    from headrace.core.store import Store, Tx

CHUNK = 1_000


class Answered(NamedTuple):
    """A control and what it was asked about, as a region names them."""

    from_name: str
    to_name: str
    type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The counts: tasks by data key, regions by control, and answers by control and label."""

    task_count: int
    columns: Mapping[str, int]
    answered: Mapping[Answered, int]
    labels: Mapping[str, Mapping[str, int]]

    @property
    def common_columns(self) -> list[str]:
        """The data keys that every task has."""
        return [name for name, count in self.columns.items() if count == self.task_count]


class Begun(NamedTuple):
    """A dataset to summarise, its source, and the state of the store: while that stays, so does the summary."""

    dataset: Dataset
    source: Source
    state: str
    last_id: int


def begin(tx: "Tx", who: Principal, dataset_id: int) -> Begun:
    """What `summarise` needs; raises NotFound, Forbidden."""
    dataset = tasks.load_project(tx, who, dataset_id, Permission.VIEW_LABELS, Permission.VIEW_SOURCES)
    source = tx.sources.get(dataset.own_source_id or 0, None)
    assert source is not None, "a project has a source of its own"
    return Begun(dataset, source, tx.records.state(), tx.tasks.last_id())


def summarise(store: "Store", begun: Begun) -> Summary:
    """Count everything, in a transaction of its own for each chunk."""
    columns, count = _columns(store, begun)
    answered: Counter[Answered] = Counter()
    labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
    config = label_config.parse(begun.dataset.label_config or tasks.EMPTY_CONFIG)
    after = 0
    while found := store.read(lambda tx, after=after: _annotations(tx, begun, after)):  # type: ignore[misc]
        after, annotations = found
        for annotation in annotations:
            _count(config, annotation, answered, labels)
    return Summary(task_count=count, columns=columns, answered=answered, labels=labels)


def incompatible(config: LabelConfig, summary: Summary) -> str | None:
    """Why a label config does not suit the annotations there are, in Label Studio's words, or None when it does."""
    known = {(control.name, control.type.lower(), target) for control in config.controls for target in control.to_name}
    lost = [
        f"{count} with from_name={asked.from_name}, to_name={asked.to_name}, type={asked.type}"
        for asked, count in summary.answered.items()
        if not all((asked.from_name, asked.type.lower(), target) in known for target in asked.to_name.split(","))
    ]
    if not lost:
        return None
    return "Created annotations are incompatible with provided labeling schema, we found:\n" + "\n".join(lost)


def check_config(dataset: Dataset, summary: Summary, xml: str) -> bool:
    """True when a label config changes what a project asks or shows, False when it does not.

    Raises Invalid when it cannot be read or does not suit the annotations there are.
    """
    new, old = label_config.parse(xml), label_config.parse(dataset.label_config)
    problem = incompatible(new, summary)
    if problem is not None:
        raise Invalid(problem)
    before, after = label_config.summary(old), label_config.summary(new)
    return any(name not in before or _differs(before[name], asked) for name, asked in after.items())


def _differs(before: Any, after: Any) -> bool:
    same = before["type"] == after["type"] and before["inputs"] == after["inputs"]
    return not (same and set(before["labels"]).issubset(after["labels"]))


def _columns(store: "Store", begun: Begun) -> tuple[Counter[str], int]:
    columns: Counter[str] = Counter()
    count = after = 0
    while found := store.read(lambda tx, after=after: _records(tx, begun, after)):  # type: ignore[misc]
        after, records = found
        count += len(records)
        for record in records:
            data = json.loads(content.as_task(record.kind, record.body, begun.source.text_keys))
            columns.update(list(data) if isinstance(data, dict) else ())
    return columns, count


def _records(tx: "Tx", begun: Begun, after: int) -> tuple[int, Sequence[Record]] | None:
    """The next chunk of tasks with the place of the last; None behind the end."""
    selection = Selection(last_id=begun.last_id)
    keys = tx.tasks.keys(begun.dataset.id, begun.source.id, selection, after, CHUNK)
    return (keys[-1].place, tx.records.by_ids([key.id for key in keys], [begun.source.id])) if keys else None


def _annotations(tx: "Tx", begun: Begun, after: int) -> tuple[int, Sequence[Annotation]] | None:
    """The annotations of the next chunk of annotated tasks; None behind the end."""
    selection = Selection(annotated=True, last_id=begun.last_id)
    keys = tx.tasks.keys(begun.dataset.id, begun.source.id, selection, after, CHUNK)
    return (keys[-1].place, tx.annotations.of_records(begun.dataset.id, [key.id for key in keys])) if keys else None


def _count(
    config: LabelConfig, annotation: Annotation, answered: Counter[Answered], labels: Mapping[str, Counter[str]]
) -> None:
    judgement = annotation.judgement
    regions = json.loads(judgement.result) if judgement.result is not None else None
    if regions is None and not judgement.blank:
        regions = label_results.result_of(config, [label.name for label in judgement.labels])
    for region in regions or ():
        if isinstance(region.get("from_name"), str) and isinstance(region.get("value"), dict):
            asked = Answered(region["from_name"], str(region.get("to_name")), str(region.get("type")))
            answered[asked] += 1
            labels[asked.from_name].update(_labels(region["value"].get(asked.type.lower())))


def _labels(answers: object) -> list[str]:
    """The labels in a region's answer; a path of a taxonomy is joined, a text or a number is none."""
    found = answers if isinstance(answers, list) else []
    paths = [item if isinstance(item, list) else [item] for item in found]
    return [SEPARATOR.join(path) for path in paths if all(isinstance(part, str) for part in path)]
