"""Actions: what is done to many tasks at once, chunk by chunk, each chunk a transaction of its own.

The rights are looked at again in every chunk. Each action may be repeated after an interruption: what was done is not
done again, so an action that was cut short is finished by asking for it once more.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from headrace.core import annotations, answers, content, label_config, queue, run_mirrors, task_predictions, tasks
from headrace.core.answers import Answer, Result
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid
from headrace.core.models import Model, Predictor, load
from headrace.core.records import Record
from headrace.core.rights import Permission, Principal
from headrace.core.task_search import place_of

if TYPE_CHECKING:
    from headrace.core.store import Store, Tx

CHUNK = 1_000
NEEDS = (Permission.VIEW_SOURCES, Permission.VIEW_LABELS)


class Outcome(NamedTuple):
    """What an action did: how many things it touched, whether a list of tasks must be read anew, and in words."""

    processed: int
    reload: bool
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Doing:
    """An action in hand: whose, in which project, and what some actions need; `versions` of models, None for all."""

    store: "Store"
    who: Principal
    dataset_id: int
    predictor: Predictor
    versions: Collection[str] | None = None

    def load(self, tx: "Tx", *needs: Permission) -> Dataset:
        """The project, if the caller may still do this to it."""
        return tasks.load_project(tx, self.who, self.dataset_id, *NEEDS, *needs)

    def each(self, ids: Sequence[int], do: Callable[["Tx", Sequence[int]], int]) -> int:
        """Do something to every chunk of tasks; answers the sum."""
        return sum(self.store.write(lambda tx, some=some: do(tx, some)) for some in _chunks(ids))  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One action: its title, the rights it needs, and what it does to the tasks found."""

    title: str
    needs: tuple[Permission, ...]
    run: Callable[[Doing, Sequence[int]], Outcome]


def find_action(name: str) -> Action:
    """The action of that name; raises Invalid naming those there are."""
    if name not in ACTIONS:
        known = ", ".join(ACTIONS)
        raise Invalid(f"unknown action '{name[:60]}'; there are {known}, next_task", fields={"id": name[:60]})
    return ACTIONS[name]


def delete_all(store: "Store", who: Principal, dataset_id: int) -> int:
    """Delete all tasks that a project has now; answers how many. Raises NotFound, Forbidden."""

    def present(tx: "Tx") -> int:
        tasks.load_project(tx, who, dataset_id, Permission.EDIT_MESSAGES)
        return tx.tasks.last_id()

    last, count = store.read(present), 0
    while deleted := store.write(lambda tx: _delete_first(tx, who, dataset_id, last)):
        count += deleted
    return count


def _delete_first(tx: "Tx", who: Principal, dataset_id: int, last: int) -> int:
    """Delete the next chunk of a project's tasks with ids up to one."""
    dataset = tasks.load_project(tx, who, dataset_id, Permission.EDIT_MESSAGES)
    source = tx.sources.get(dataset.own_source_id or 0, None)
    ids = tx.task_lists.first(source.id, last, CHUNK) if source else []
    return tasks.delete_many(tx, who, dataset, ids)


def _delete_tasks(doing: Doing, ids: Sequence[int]) -> Outcome:
    def delete(tx: "Tx", some: Sequence[int]) -> int:
        return tasks.delete_many(tx, doing.who, doing.load(tx, Permission.EDIT_MESSAGES), some)

    count = doing.each(ids, delete)
    left = doing.store.read(lambda tx: tasks.task_count(tx, doing.load(tx)))
    return Outcome(count, not left, f"Deleted {count} tasks")


def _delete_annotations(doing: Doing, ids: Sequence[int]) -> Outcome:
    def delete(tx: "Tx", some: Sequence[int]) -> int:
        dataset = doing.load(tx, Permission.REVIEW, Permission.MODIFY_DATASETS)
        found = [one for said in tasks.annotations_of(tx, dataset, some).values() for one in said]
        annotations.remove_many(tx, doing.who, dataset, found)
        return len(found)

    count = doing.each(ids, delete)
    return Outcome(count, True, f"Deleted {count} annotations")


def _delete_predictions(doing: Doing, ids: Sequence[int]) -> Outcome:
    def delete(tx: "Tx", some: Sequence[int]) -> int:
        dataset = doing.load(tx, Permission.MODIFY_DATASETS)
        count = tx.task_lists.delete_predictions(place_of(tx, dataset), some)
        _event(tx, doing.who, dataset, "predictions.deleted", count)
        return count

    count = doing.each(ids, delete)
    return Outcome(count, True, f"Deleted {count} predictions")


def _to_annotations(doing: Doing, ids: Sequence[int]) -> Outcome:
    count = doing.each(ids, lambda tx, some: _annotate(tx, doing, some))
    return Outcome(count, True, f"Created {count} annotations")


def _annotate(tx: "Tx", doing: Doing, ids: Sequence[int]) -> int:
    """Make an annotation of each prediction that has not become one yet; its `unique_id` names the prediction."""
    dataset = doing.load(tx, Permission.REVIEW)
    config = label_config.parse(dataset.label_config)
    said = tasks.annotations_of(tx, dataset, ids)
    made = {one.judgement.unique_id for found in said.values() for one in found}
    rows = []
    for record_id, told in task_predictions.of_records(tx, dataset, ids).items():
        for one in told:
            name = f"prediction-{one.id}"
            if name not in made and (doing.versions is None or one.model_version in doing.versions):
                answer = Answer(result=Result(value=json.loads(one.result), text=one.result), unique_id=name)
                rows.append((record_id, doing.who.user_id, answers.judgement(config, answer)))
    made_ids = annotations.judge_many(tx, doing.who, dataset, rows) if rows else []
    for (record_id, _, judgement), number in zip(rows, made_ids, strict=True):
        tx.events.add(
            "annotation.created",
            actor_id=doing.who.user_id,
            project_id=dataset.project_id,
            dataset_id=dataset.id,
            subject_id=number,
            data={"record_id": record_id, "counts": judgement.counts},
        )
    return len(rows)


def _remove_duplicates(doing: Doing, ids: Sequence[int]) -> Outcome:
    kept: dict[bytes, tuple[bool, int]] = {}
    digests: dict[int, bytes] = {}
    for some in _chunks(sorted(ids)):
        for record_id, digest, annotated in doing.store.read(lambda tx, some=some: _digests(tx, doing, some)):  # type: ignore[misc]
            digests[record_id] = digest
            if digest not in kept or (annotated and not kept[digest][0]):
                kept[digest] = (annotated, record_id)
    twins = {record_id: kept[digest][1] for record_id, digest in digests.items() if kept[digest][1] != record_id}
    count = doing.each(list(twins), lambda tx, some: _merge(tx, doing, {number: twins[number] for number in some}))
    return Outcome(count, True, f"Removed {count} duplicated tasks")


def _digests(tx: "Tx", doing: Doing, ids: Sequence[int]) -> list[tuple[int, bytes, bool]]:
    """What tells tasks with the same data, and whether anybody annotated or skipped them."""
    dataset = doing.load(tx, Permission.EDIT_MESSAGES, Permission.REVIEW)
    said = tasks.annotations_of(tx, dataset, ids)
    return [(record.id, _digest(record), bool(said[record.id])) for record in _records(tx, dataset, ids)]


def _merge(tx: "Tx", doing: Doing, twins: Mapping[int, int]) -> int:
    """Delete tasks that still say the same as their twins, to which their annotations go."""
    dataset = doing.load(tx, Permission.EDIT_MESSAGES, Permission.REVIEW)
    digests = {record.id: _digest(record) for record in _records(tx, dataset, sorted({*twins, *twins.values()}))}
    same = {gone: kept for gone, kept in twins.items() if gone in digests and digests[gone] == digests.get(kept, b"")}
    said = tasks.annotations_of(tx, dataset, sorted(same))
    moves = [(one.id, same[record_id]) for record_id, found in said.items() for one in found]
    tx.annotations.move(dataset.id, moves)
    kept_ids = sorted({kept for _, kept in moves})
    queue.settle(tx, dataset, kept_ids)
    run_mirrors.follow(tx, dataset, kept_ids)
    return tasks.delete_many(tx, doing.who, dataset, sorted(same))


def _records(tx: "Tx", dataset: Dataset, ids: Sequence[int]) -> list[Record]:
    return tx.records.by_ids(ids, [dataset.own_source_id or 0])


def _digest(record: Record) -> bytes:
    canonical = json.dumps([record.kind, json.loads(record.body)], sort_keys=True)
    return hashlib.blake2b(canonical.encode(), digest_size=16).digest()


def _retrieve(doing: Doing, ids: Sequence[int]) -> Outcome:
    count = sum(_predict(doing, some) for some in _chunks(ids))
    return Outcome(count, True, f"Retrieved {count} predictions")


def _predict(doing: Doing, ids: Sequence[int]) -> int:
    """Have the project's own model predict the tasks it has not seen; the predictor runs outside the transactions."""

    def due(tx: "Tx") -> tuple[Model, list[Record], list[str]]:
        dataset = doing.load(tx, Permission.REVIEW)
        newest = tx.models.latest(dataset.id)
        if newest is None or task_predictions.own_model(tx, dataset) is None:
            reason = "the project has no model of its own that knows its labels; it is trained from ten annotations on"
            raise Invalid(reason, fields={"id": "retrieve_tasks_predictions"})
        known = tx.predictions.of(newest.id, ids)
        records = [record for record in _records(tx, dataset, ids) if record.id not in known]
        source = tx.sources.get(dataset.own_source_id or 0, None)
        keys = source.text_keys if source else ()
        return newest, records, [content.text(record.kind, record.body, keys) for record in records]

    model, records, texts = doing.store.read(due)
    scores = doing.predictor.predict(model, texts) if texts else []
    rows = [(record.id, record.version, score) for record, score in zip(records, scores, strict=True)]

    def save(tx: "Tx") -> None:
        dataset = doing.load(tx, Permission.REVIEW)
        saved = tx.predictions.save(load(tx, dataset.id, model.version).id, rows)
        _event(tx, doing.who, dataset, "predictions.computed", saved)

    if rows:
        doing.store.write(save)
    return len(ids)


def _event(tx: "Tx", who: Principal, dataset: Dataset, kind: str, count: int) -> None:
    if count:
        tx.events.add(
            kind,
            actor_id=who.user_id,
            project_id=dataset.project_id,
            dataset_id=dataset.id,
            subject_id=dataset.id,
            data={"count": count},
        )


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


ACTIONS: Mapping[str, Action] = {
    "retrieve_tasks_predictions": Action(title="Retrieve Predictions", needs=(Permission.REVIEW,), run=_retrieve),
    "predictions_to_annotations": Action(
        title="Create Annotations From Predictions", needs=(Permission.REVIEW,), run=_to_annotations
    ),
    "remove_duplicates": Action(
        title="Remove Duplicated Tasks", needs=(Permission.EDIT_MESSAGES, Permission.REVIEW), run=_remove_duplicates
    ),
    "delete_tasks": Action(title="Delete Tasks", needs=(Permission.EDIT_MESSAGES,), run=_delete_tasks),
    "delete_tasks_annotations": Action(
        title="Delete Annotations", needs=(Permission.REVIEW, Permission.MODIFY_DATASETS), run=_delete_annotations
    ),
    "delete_tasks_predictions": Action(
        title="Delete Predictions", needs=(Permission.MODIFY_DATASETS,), run=_delete_predictions
    ),
}
