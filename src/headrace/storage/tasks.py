"""Statements that look for the tasks of an export."""

from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, tuple_

from headrace.core.positions import Position
from headrace.core.task_selection import Selection, TaskKey
from headrace.storage.schema import annotations, records
from headrace.storage.session import Repository


class TaskRepository(Repository):
    """See `core.task_selection.Tasks`.

    Annotated tasks are looked for among the annotations, in the order of their ids, so that the cost follows what is
    found; all tasks are read in the order of their numbers.
    """

    def last_id(self) -> int:
        return int(self.session.conn.execute(select(func.coalesce(func.max(records.c.id), 0))).scalar_one())

    def keys(self, dataset_id: int, source_id: int, selection: Selection, after: int, limit: int) -> list[TaskKey]:
        annotated = selection.annotated or selection.answered
        statement = self._annotated(dataset_id, selection, after) if annotated else self._all(source_id, after)
        record_id = statement.selected_columns[1]
        statement = statement.where(record_id <= selection.last_id)
        if selection.ids is not None:
            statement = statement.where(self.session.among(record_id, selection.ids))
        if selection.since is not None:
            statement = statement.where(or_(*self._changed(dataset_id, record_id, selection.since)))
        return [TaskKey._make(row) for row in self.session.rows(statement.limit(limit))]

    def _all(self, source_id: int, after: int) -> Select[Any]:
        behind = (records.c.source_id == source_id, records.c.number > after)
        return select(records.c.number, records.c.id).where(*behind).order_by(records.c.number)

    def _annotated(self, dataset_id: int, selection: Selection, after: int) -> Select[Any]:
        record_id = annotations.c.record_id
        statement = select(record_id, record_id.label("id")).where(
            annotations.c.dataset_id == dataset_id, annotations.c.blank.is_(False), record_id > after
        )
        if selection.answered:
            statement = statement.where(annotations.c.cancelled.is_(False))
        return statement.group_by(record_id).order_by(record_id)

    def _changed(self, dataset_id: int, record_id: ColumnElement[int], since: Position) -> list[ColumnElement[bool]]:
        """Conditions of which one holds for a task that changed, or was annotated anew, behind a position."""
        place = tuple_(since.x, since.n)
        record, said = records.alias("changed"), annotations.alias("said")
        return [
            exists().where(record.c.id == record_id, tuple_(record.c.x, record.c.n) > place),
            exists().where(
                said.c.record_id == record_id, said.c.dataset_id == dataset_id, tuple_(said.c.x, said.c.n) > place
            ),
        ]
