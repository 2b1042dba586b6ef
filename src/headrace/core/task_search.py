"""The task list: which tasks a query wants, in which order, and reading them page by page.

What indexes decide is decided by storage. The rest is tested on the values of each task, read in chunks, each in a
transaction of its own. The ids found are kept by the caller for as long as nothing happens, so that the pages of one
query agree with one another and are looked for once.
"""

import json
from array import array
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import (
    content,
    label_config,
    queue,
    sources,
    task_filters,
    task_predictions,
    task_views,
    tasks,
)
from headrace.core.datasets import Dataset
from headrace.core.errors import Invalid, NotFound
from headrace.core.positions import Position
from headrace.core.records import Record, shown
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Source
from headrace.core.task_columns import COLUMNS, Part, Scalar
from headrace.core.task_filters import Base, Condition, Group, IndexGroup, Order, TaskQuery
from headrace.core.task_regex import Search
from headrace.core.task_values import SortKey, Task, sort_key, values

if TYPE_CHECKING:
    from headrace.core.store import Store, Tx

CHUNK = 1_000
SEARCHED_TASKS = 20_000
SEARCHED_CHARACTERS = 16_000_000
LONGEST_SEARCHED = 100_000
SORTED_BY_INDEX = task_filters.INTEGERS | {"updated_at"}
NUMBERED = frozenset({"id", "inner_id"})


class Place(NamedTuple):
    """Where a project's tasks and what is said of them lie; `model_id` is its own model, if it has one that speaks,
    `skips` whether whoever skips a task counts towards its overlap."""

    dataset_id: int
    source_id: int
    model_id: int | None
    skips: bool


class TaskLists(Protocol):
    """Storage's side of the task list."""

    def numbered(self, source: Source, skip: int, limit: int, *, newest_first: bool) -> list[int]:
        """Ids of a source's records in the order of their numbers or the other way round, the first `skip` left out."""

    def matching(
        self, place: Place, query: TaskQuery, groups: Sequence[IndexGroup], ordering: Sequence[Order]
    ) -> list[int]:
        """Ids of the records that the query selects by id and that satisfy every group, in order, then by number."""

    def totals(self, place: Place, record_ids: Sequence[int]) -> tuple[int, int]:
        """How many annotations that were not skipped, and how many predictions, these records have."""

    def first(self, source_id: int, last: int, limit: int) -> list[int]:
        """Ids of the first records of a source, none above the last one named."""

    def delete_predictions(self, place: Place, record_ids: Sequence[int]) -> int:
        """Remove the predictions that these records show; answers how many there were."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """A query of a project's tasks, the properties hidden from the caller, whose drafts it asks about if it does, how
    far its model has predicted (which the log does not tell), and the state of the store at its start."""

    dataset: Dataset
    source: Source
    place: Place
    query: TaskQuery
    hidden: tuple[str, ...]
    drafter: int | None
    predicted: Position | None
    state: str

    @property
    def key(self) -> Hashable:
        """While the state stays, listings with the same key find the same."""
        return ("tasks", self.place, self.query, self.hidden, self.drafter, self.predicted)

    @property
    def plain(self) -> bool:
        """True when all tasks are wanted in the order of their numbers, or the other way round."""
        ordering = self.query.ordering
        return not self.query.restricts and (not ordering or ordering[0].column in NUMBERED)

    @property
    def newest_first(self) -> bool:
        """True when a plain listing begins with the last task."""
        return bool(self.query.ordering) and self.query.ordering[0].descending


class Found(NamedTuple):
    """The tasks a listing found, in order, and how many annotations and predictions these have."""

    ids: "array[int]"
    annotations: int
    predictions: int


class _Candidate(NamedTuple):
    """A task in hand: what it is ordered by, and for each condition whether it holds, or the texts to be searched."""

    id: int
    keys: Sequence[SortKey | None]
    outcomes: list[bool | list[str]]


def begin(
    tx: "Tx",
    who: Principal,
    query: TaskQuery,
    *,
    project_id: int | None = None,
    view_id: int | None = None,
    needs: Sequence[Permission] = (),
) -> Listing:
    """What the other functions need. A view's filters apply beside the query's; raises NotFound, Forbidden, Invalid."""
    if view_id is not None:
        view = task_views.get(tx, who, view_id)
        if project_id not in (None, view.dataset_id):
            raise NotFound("there is no such view", fields={"view": view_id})
        project_id, query = view.dataset_id, task_filters.both(view.query(), query)
    if project_id is None:
        raise Invalid("neither project nor view is named", fields={"project": ""})
    dataset = tasks.load_project(tx, who, project_id, Permission.VIEW_SOURCES, Permission.VIEW_LABELS, *needs)
    source = sources.load(tx, who, dataset.own_source_id or 0)
    hidden = sources.hidden(tx, who, [source.id]).get(source.id, ())
    newest = tx.models.latest(dataset.id)
    return Listing(
        dataset=dataset,
        source=source,
        place=place_of(tx, dataset),
        query=query,
        hidden=hidden,
        drafter=who.user_id if "draft_exists" in query.columns else None,
        predicted=newest.predicted if newest else None,
        state=tx.records.state(),
    )


def place_of(tx: "Tx", dataset: Dataset) -> Place:
    """Where the tasks of a loaded project lie."""
    own = task_predictions.own_model(tx, dataset)
    return Place(dataset.id, dataset.own_source_id or 0, own.id if own else None, queue.skips_count(dataset))


def find(store: "Store", who: Principal, listing: Listing, search: Search) -> Found:
    """All tasks that a listing wants; raises Invalid when a regular expression takes too long."""
    dataset, query = listing.dataset, listing.query
    groups, left = task_filters.split(query, queue.overlap(dataset))
    by_index = not left and all(order.column in SORTED_BY_INDEX for order in query.ordering)
    ordering = query.ordering if by_index else ()

    def matching(tx: "Tx") -> list[int]:
        return tx.task_lists.matching(listing.place, query, groups, ordering)

    ids = store.read(matching)
    if not by_index:
        ids = _sorted(query.ordering, list(_tested(store, who, _with_groups(listing, left), ids, search)))
    said, told = store.read(lambda tx: tx.task_lists.totals(listing.place, ids))
    return Found(array("q", ids), said, told)


def _with_groups(listing: Listing, groups: Sequence[Group]) -> Listing:
    return replace(listing, query=replace(listing.query, groups=tuple(groups)))


def plain_ids(tx: "Tx", listing: Listing, skip: int, limit: int) -> list[int]:
    """Ids of a plain listing, the first `skip` left out."""
    source = tx.sources.get(listing.source.id, None)
    if source is None:
        return []
    return tx.task_lists.numbered(source, skip, limit, newest_first=listing.newest_first)


def _sorted(ordering: Sequence[Order], found: list[_Candidate]) -> list[int]:
    """The ids in the order asked; of equals in the order they came, and without a value last."""
    for place, order in reversed(list(enumerate(ordering))):
        down = order.descending

        def key(candidate: _Candidate, place: int = place, down: bool = down) -> tuple[bool, SortKey]:
            value = candidate.keys[place]
            return ((value is None) is not down, value or ())

        found.sort(key=key, reverse=down)
    return [candidate.id for candidate in found]


def _tested(
    store: "Store", who: Principal, listing: Listing, ids: Sequence[int], search: Search
) -> Iterator[_Candidate]:
    """The tasks among these that satisfy every group."""
    groups = listing.query.groups
    conditions = list(dict.fromkeys(one for group in groups for item in group.items for one in item))
    searched = any(condition.base is Base.REGEX for condition in conditions)
    waiting: list[_Candidate] = []
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        waiting += store.read(lambda tx, chunk=chunk: _candidates(tx, who, listing, conditions, chunk))  # type: ignore[misc]
        if not searched or _is_much(waiting):
            yield from _satisfying(groups, conditions, waiting, search)
            waiting = []
    yield from _satisfying(groups, conditions, waiting, search)


def _is_much(waiting: Sequence[_Candidate]) -> bool:
    texts = (text for one in waiting for outcome in one.outcomes if isinstance(outcome, list) for text in outcome)
    return len(waiting) >= SEARCHED_TASKS or sum(map(len, texts)) >= SEARCHED_CHARACTERS


def _satisfying(
    groups: Sequence[Group], conditions: Sequence[Condition], found: Sequence[_Candidate], search: Search
) -> Iterator[_Candidate]:
    for number, condition in enumerate(conditions):
        if condition.base is not Base.REGEX or not found:
            continue
        hits = search(condition.text, [one.outcomes[number] for one in found])  # type: ignore[misc]
        if hits is None:
            raise Invalid(
                f"the regular expression on {condition.column} takes too long; narrow the filter or simplify it",
                fields={"filters": condition.text[:100]},
            )
        for one, hit in zip(found, hits, strict=True):
            one.outcomes[number] = hit is not condition.negated
    places = {condition: number for number, condition in enumerate(conditions)}
    wanted = [(group.any, [[places[one] for one in item] for item in group.items]) for group in groups]
    for one in found:
        if all(
            (any if some else all)(all(one.outcomes[place] for place in item) for item in items)
            for some, items in wanted
        ):
            yield one


def _candidates(
    tx: "Tx", who: Principal, listing: Listing, conditions: Sequence[Condition], ids: Sequence[int]
) -> list[_Candidate]:
    ordering = listing.query.ordering
    found = _read(tx, who, listing, ids)
    return [
        _Candidate(
            task.record.id,
            [sort_key(task, order.column) for order in ordering],
            [_outcome(condition, values(task, condition.column, condition.kind)) for condition in conditions],
        )
        for task in found
    ]


def _outcome(condition: Condition, found: Sequence[Scalar]) -> bool | list[str]:
    if condition.base is Base.REGEX:
        return [str(value)[:LONGEST_SEARCHED] for value in found]
    return condition.holds(found)


def _read(tx: "Tx", who: Principal, listing: Listing, ids: Sequence[int]) -> list[Task]:
    """What the listing's columns need of tasks, those left out that do not exist any more."""
    dataset, source = listing.dataset, listing.source
    parts = {COLUMNS[name].part if name in COLUMNS else Part.DATA for name in listing.query.columns}
    config = label_config.parse(dataset.label_config or tasks.EMPTY_CONFIG)
    said = tasks.annotations_of(tx, dataset, ids) if Part.ANNOTATIONS in parts else {}
    told = task_predictions.of_records(tx, dataset, ids) if Part.PREDICTIONS in parts else {}
    tagged: dict[int, list[str]] = {}
    for exception in tx.exceptions.of_records(dataset.id, ids) if Part.EXCEPTIONS in parts else ():
        if exception.answered_at is None:
            tagged.setdefault(exception.record_id, []).append(exception.type)
    drafts = tx.drafts.of_records(dataset.id, ids, who.user_id) if Part.DRAFTS in parts else ()
    drafted = {draft.record_id for draft in drafts}
    files = tx.uploads.names_of(dataset.id, ids) if "file_upload" in listing.query.columns else {}
    return [
        Task(
            dataset=dataset,
            config=config,
            record=record,
            data=_data(source, record) if Part.DATA in parts else None,
            found=said.get(record.id, ()),
            predictions=told.get(record.id, ()),
            exceptions=tagged.get(record.id, ()),
            file_name=files.get(record.id),
            has_draft=record.id in drafted,
        )
        for record in shown(tx, who, tx.records.by_ids(ids, [source.id]))
    ]


def _data(source: Source, record: Record) -> object:
    return json.loads(content.as_task(record.kind, record.body, source.text_keys))
