"""Statements of the task list: what indexes know of tasks, without a look at what the tasks hold."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    true,
)

from headrace.core.sources import Source
from headrace.core.task_filters import AUTHORS, IndexGroup, IndexTest, Order, TaskQuery
from headrace.core.task_search import Place
from headrace.storage.schema import annotations, predictions, records
from headrace.storage.session import Repository
from headrace.storage.task_predictions import kinds

# Built once: every page of tasks runs one of them (benchmark requests).
_NUMBERED = select(records.c.id).where(records.c.source_id == bindparam("source")).limit(bindparam("size"))
SKIPPING = _NUMBERED.order_by(records.c.number).offset(bindparam("skip"))
SKIPPING_DOWN = _NUMBERED.order_by(records.c.number.desc()).offset(bindparam("skip"))
BEHIND = _NUMBERED.order_by(records.c.number).where(records.c.number > bindparam("behind"))
BELOW = _NUMBERED.order_by(records.c.number.desc()).where(records.c.number < bindparam("below"))


class TaskListRepository(Repository):
    """See `core.task_search.TaskLists`."""

    def numbered(self, source: Source, skip: int, limit: int, *, newest_first: bool) -> list[int]:
        given = {"source": source.id, "size": limit, "skip": skip, "behind": skip, "below": source.next_number - skip}
        if source.record_count != source.next_number - 1:
            statement = SKIPPING_DOWN if newest_first else SKIPPING
        else:
            statement = BELOW if newest_first else BEHIND
        return [row[0] for row in self.session.tuples(statement, given)]

    def matching(
        self, place: Place, query: TaskQuery, groups: Sequence[IndexGroup], ordering: Sequence[Order]
    ) -> list[int]:
        conditions = [or_(*(self._all(place, tests) for tests in group)) for group in groups]
        if query.included is not None:
            conditions.append(self.session.among(records.c.id, sorted(query.included)))
        if query.excluded:
            conditions.append(not_(self.session.among(records.c.id, sorted(query.excluded))))
        values = (self._value(place, order.column) for order in ordering)
        turned = [value.desc() if order.descending else value for order, value in zip(ordering, values, strict=True)]
        statement = select(records.c.id).where(records.c.source_id == place.source_id, *conditions)
        return [row[0] for row in self.session.tuples(statement.order_by(*turned, records.c.number))]

    def totals(self, place: Place, record_ids: Sequence[int]) -> tuple[int, int]:
        mine = (annotations.c.dataset_id == place.dataset_id, annotations.c.blank.is_(False))
        said = select(func.count()).where(
            *mine, annotations.c.cancelled.is_(False), self.session.among(annotations.c.record_id, record_ids)
        )
        told = (
            select(func.count()).where(*kind, self.session.among(predictions.c.record_id, record_ids))
            for kind in kinds(place.dataset_id, place.model_id)
        )
        return self._number(said), sum(map(self._number, told))

    def delete_predictions(self, place: Place, record_ids: Sequence[int]) -> int:
        mine = self.session.among(predictions.c.record_id, record_ids)
        return sum(
            self.session.run(delete(predictions).where(*kind, mine)) for kind in kinds(place.dataset_id, place.model_id)
        )

    def first(self, source_id: int, last: int, limit: int) -> list[int]:
        mine = (records.c.source_id == source_id, records.c.id <= last)
        statement = select(records.c.id).where(*mine).order_by(records.c.number).limit(limit)
        return [row[0] for row in self.session.tuples(statement)]

    def _number(self, statement: Select[Any]) -> int:
        return int(self.session.conn.execute(statement).scalar_one())

    def _all(self, place: Place, tests: Sequence[IndexTest]) -> ColumnElement[bool]:
        return and_(true(), *(self._holds(place, test) for test in tests))

    def _holds(self, place: Place, test: IndexTest) -> ColumnElement[bool]:
        if test.column == "annotators":
            said = _said(place, self._fits(annotations.c.author_id, test))
            found: ColumnElement[bool] = exists().where(*said).correlate(records)
        else:
            found = self._fits(self._value(place, test.column), test)
        return not_(found) if test.negated else found

    def _fits(self, value: ColumnElement[int], test: IndexTest) -> ColumnElement[bool]:
        if test.members is not None:
            return self.session.among(value, sorted(test.members))
        bounds = [] if test.low is None else [value >= test.low]
        if test.high is not None:
            bounds.append(value <= test.high)
        return and_(true(), *bounds)

    def _value(self, place: Place, column: str) -> ColumnElement[int]:
        """What a task has in a column that indexes know."""
        valid = annotations.c.cancelled.is_(False)
        if column == "updated_at":
            return _updated_at(place)
        if column == "total_annotations":
            return _of_task(func.count(), *_said(place, valid))
        if column == "cancelled_annotations":
            return _of_task(func.count(), *_said(place, annotations.c.cancelled.is_(True)))
        if column == AUTHORS:
            counted = () if place.skips else (valid,)
            return _of_task(func.count(annotations.c.author_id.distinct()), *_said(place, *counted))
        if column == "total_predictions":
            told = predictions.c.record_id == records.c.id
            return reduce(
                add, (_of_task(func.count(), *kind, told) for kind in kinds(place.dataset_id, place.model_id))
            )
        return {"id": records.c.id, "inner_id": records.c.number, "created_at": records.c.created_at}[column]


def _said(place: Place, *conditions: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
    """The conditions of what was said of the task in hand."""
    return (
        annotations.c.dataset_id == place.dataset_id,
        annotations.c.record_id == records.c.id,
        annotations.c.blank.is_(False),
        *conditions,
    )


def _of_task(value: ColumnElement[int], *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(value).where(*conditions).correlate(records).scalar_subquery()


def _updated_at(place: Place) -> ColumnElement[int]:
    latest = _of_task(func.max(annotations.c.updated_at), *_said(place))
    return case((latest > records.c.modified_at, latest), else_=records.c.modified_at)
