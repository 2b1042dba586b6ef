"""Statements of predictions as tasks show them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, select, union_all, update

from headrace.core.imports import PushedPrediction
from headrace.core.task_predictions import StoredPrediction
from headrace.storage.schema import models, predictions, records
from headrace.storage.session import Repository, among, loads

COLUMNS = tuple(predictions.c[name] for name in StoredPrediction._fields)
# Built once: every page of tasks runs them (benchmark requests).
NEWEST = (
    select(models.c.id, models.c.labels)
    .where(models.c.dataset_id == bindparam("dataset"), models.c.digest != "")
    .order_by(models.c.version.desc())
    .limit(1)
)
_OF_RECORDS = select(*COLUMNS).where(among(predictions.c.record_id, "records"))
PUSHED_OF = _OF_RECORDS.where(predictions.c.dataset_id == bindparam("dataset"), predictions.c.model_id.is_(None))
ALL_OF = union_all(PUSHED_OF, _OF_RECORDS.where(predictions.c.model_id == bindparam("model")))
COUNT_PUSHED = select(func.count()).where(
    predictions.c.dataset_id == bindparam("dataset"), predictions.c.model_id.is_(None)
)
COUNT_ALL = union_all(COUNT_PUSHED, select(func.count()).where(predictions.c.model_id == bindparam("model")))
PUSHED = ("id", "dataset_id", "record_id", "result", "model_version", "score", "created_at")
INSERT_SQLITE = f"INSERT INTO predictions ({', '.join(PUSHED)}) VALUES ({', '.join('?' * len(PUSHED))})"
INSERT_POSTGRES = (
    f"INSERT INTO predictions ({', '.join(PUSHED)}) SELECT * FROM unnest("
    "%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::float8[], %s::bigint[])"
)


def kinds(dataset_id: int, model_id: int | None) -> list[tuple[ColumnElement[bool], ...]]:
    """The conditions of the pushed predictions of a dataset and, when it has one that speaks, of its own model's.

    Each has an index of its own that goes on with the record's id.
    """
    pushed = (predictions.c.dataset_id == dataset_id, predictions.c.model_id.is_(None))
    return [pushed] if model_id is None else [pushed, (predictions.c.model_id == model_id,)]


def _within(statement: Select[Any], source_id: int | None) -> Select[Any]:
    """The statement about the records of one source, when one is named."""
    if source_id is None:
        return statement.select_from(predictions)
    joined = statement.select_from(predictions.join(records, records.c.id == predictions.c.record_id))
    return joined.where(records.c.source_id == source_id)


class TaskPredictionRepository(Repository):
    """See `core.task_predictions.TaskPredictions`."""

    def newest(self, dataset_id: int) -> tuple[int, tuple[str, ...]] | None:
        rows = self.session.known(NEWEST, {"dataset": dataset_id})
        return (rows[0].id, tuple(loads(rows[0].labels))) if rows else None

    def labels(self, model_id: int) -> tuple[str, ...]:
        row = self.session.first(select(models.c.labels).where(models.c.id == model_id))
        return tuple(loads(row.labels)) if row else ()

    def of_records(self, dataset_id: int, model_id: int | None, record_ids: Sequence[int]) -> list[StoredPrediction]:
        if not record_ids:
            return []
        given = {"dataset": dataset_id, "model": model_id, "records": record_ids}
        found = self.session.tuples(PUSHED_OF if model_id is None else ALL_OF, given)
        return sorted(map(StoredPrediction._make, found))

    def get(self, prediction_id: int) -> StoredPrediction | None:
        row = self.session.first(select(*COLUMNS).where(predictions.c.id == prediction_id))
        return StoredPrediction._make(row) if row else None

    def some(self, dataset_id: int, prediction_ids: Sequence[int]) -> list[StoredPrediction]:
        mine = (*kinds(dataset_id, None)[0], self.session.among(predictions.c.id, prediction_ids))
        return [StoredPrediction._make(row) for row in self.session.tuples(select(*COLUMNS).where(*mine))]

    def count(self, dataset_id: int, model_id: int | None, source_id: int | None) -> int:
        if source_id is None:
            counted = COUNT_PUSHED if model_id is None else COUNT_ALL
            return sum(row[0] for row in self.session.tuples(counted, {"dataset": dataset_id, "model": model_id}))
        found = (_within(select(func.count()).where(*kind), source_id) for kind in kinds(dataset_id, model_id))
        return sum(int(self.session.conn.execute(statement).scalar_one()) for statement in found)

    def versions(self, dataset_id: int, model_id: int | None, source_id: int | None) -> dict[str, int]:
        found: dict[str, int] = {}
        version, held = predictions.c.model_version, func.count().label("held")
        for kind in kinds(dataset_id, model_id):
            statement = select(version, held).where(*kind).group_by(version).order_by(version)
            for row in self.session.rows(_within(statement, source_id)):
                found[row.model_version] = found.get(row.model_version, 0) + row.held
        return found

    def behind(
        self, dataset_id: int, model_id: int | None, source_id: int | None, record_id: int, limit: int
    ) -> list[int]:
        found: set[int] = set()
        place = predictions.c.record_id
        for kind in kinds(dataset_id, model_id):
            statement = select(place).where(*kind, place > record_id).distinct().order_by(place).limit(limit)
            found.update(row.record_id for row in self.session.rows(_within(statement, source_id)))
        return sorted(found)[:limit]

    def insert(self, dataset_id: int, rows: Sequence[tuple[int, PushedPrediction]]) -> Sequence[int]:
        now, ids = self.session.now(), self.session.take_ids("predictions", len(rows))
        values = [
            (number, dataset_id, record_id, said.result, said.model_version, said.score, now)
            for number, (record_id, said) in zip(ids, rows, strict=True)
        ]
        if self.session.postgres:
            columns = tuple(list(column) for column in zip(*values, strict=True))
            self.session.conn.exec_driver_sql(INSERT_POSTGRES, columns)
        else:
            self.session.conn.exec_driver_sql(INSERT_SQLITE, values)
        return ids

    def update(self, prediction_id: int, changes: Mapping[str, object]) -> None:
        mine = update(predictions).where(predictions.c.id == prediction_id, predictions.c.model_id.is_(None))
        self.session.run(mine.values(**changes, updated_at=self.session.now()))

    def delete(self, prediction_id: int) -> None:
        mine = (predictions.c.id == prediction_id, predictions.c.model_id.is_(None))
        self.session.run(delete(predictions).where(*mine))

    def delete_version(self, dataset_id: int, version: str) -> list[int]:
        mine = (*kinds(dataset_id, None)[0], predictions.c.model_version == version)
        return sorted(row.id for row in self.session.rows(delete(predictions).where(*mine).returning(predictions.c.id)))

    def strangers(self, source_id: int, record_ids: Iterable[int]) -> set[int]:
        wanted = set(record_ids)
        mine = (records.c.source_id == source_id, self.session.among(records.c.id, list(wanted)))
        return wanted.difference(row.id for row in self.session.rows(select(records.c.id).where(*mine)))
