"""Statements of views."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update

from headrace.core.task_views import Data, TaskView
from headrace.storage.schema_views import views
from headrace.storage.session import Repository, dumps, loads

PLACE = update(views).where(views.c.id == bindparam("view")).values(place=bindparam("at"))


def _view(row: Row[Any]) -> TaskView:
    return TaskView(**{**row._asdict(), "data": loads(row.data)})


class TaskViewRepository(Repository):
    """See `core.task_views.TaskViews`."""

    def insert(self, dataset_id: int, author_id: int, data: Data) -> TaskView:
        now = self.session.now()
        behind = select(func.coalesce(func.max(views.c.place) + 1, 0)).where(views.c.dataset_id == dataset_id)
        statement = insert(views).values(
            dataset_id=dataset_id,
            author_id=author_id,
            place=behind.scalar_subquery(),
            data=dumps(data),
            created_at=now,
            updated_at=now,
        )
        view = self.get(self.session.insert_id(statement))
        assert view is not None, "it has just been stored"
        return view

    def get(self, view_id: int) -> TaskView | None:
        row = self.session.first(select(views).where(views.c.id == view_id))
        return _view(row) if row else None

    def of_dataset(self, dataset_id: int) -> list[TaskView]:
        statement = select(views).where(views.c.dataset_id == dataset_id).order_by(views.c.place, views.c.id)
        return [_view(row) for row in self.session.rows(statement)]

    def update(self, view_id: int, data: Data) -> None:
        changed = update(views).where(views.c.id == view_id)
        self.session.run(changed.values(data=dumps(data), updated_at=self.session.now()))

    def arrange(self, dataset_id: int, view_ids: Sequence[int]) -> None:
        if view_ids:
            self.session.run(PLACE, [{"view": number, "at": place} for place, number in enumerate(view_ids)])

    def delete(self, view_ids: Sequence[int]) -> None:
        self.session.run(delete(views).where(self.session.among(views.c.id, view_ids)))
