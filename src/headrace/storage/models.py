"""Statements of models, artefacts, tags and predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, delete, exists, func, insert, select, update

from headrace.core.errors import NotFound
from headrace.core.imports import PushedPrediction
from headrace.core.models import Model, ModelTag, Pushed, Scores
from headrace.core.positions import Position
from headrace.core.task_predictions import own_version
from headrace.storage.schema import artefacts, datasets, model_tags, models, predictions, records, streams
from headrace.storage.schema_learning import registered_models
from headrace.storage.session import Repository, dumps, loads

REGISTERED = ""
"""The digest of a version that was trained elsewhere and has no artefact."""
LATEST = (
    select(models)
    .where(models.c.dataset_id == bindparam("dataset"))
    .order_by(models.c.digest == REGISTERED, models.c.version.desc())
    .limit(1)
)


def _model(row: Row[Any]) -> Model:
    values = row._asdict() | {"labels": tuple(loads(row.labels)), "metrics": loads(row.metrics)}
    predicted = Position(values.pop("predicted_x"), values.pop("predicted_n"))
    return Model(**values, predicted=predicted)


def _pushed(dataset_id: int) -> tuple[ColumnElement[bool], ...]:
    return (predictions.c.dataset_id == dataset_id, predictions.c.model_id.is_(None))


class ModelRepository(Repository):
    """See `core.models.Models`."""

    def insert(
        self,
        dataset_id: int,
        *,
        family: str,
        labels: Sequence[str],
        artefact: bytes,
        digest: str,
        metrics: Mapping[str, object],
        reviewed_size: int,
    ) -> Model:
        version = self._take_version(dataset_id)
        if self.session.first(select(artefacts.c.digest).where(artefacts.c.digest == digest)) is None:
            self.session.run(insert(artefacts).values(digest=digest, data=artefact))
        self.session.run(
            insert(models).values(
                dataset_id=dataset_id,
                version=version,
                family=family,
                labels=dumps(list(labels)),
                digest=digest,
                metrics=dumps(metrics),
                reviewed_size=reviewed_size,
                pinned=False,
                trained_at=self.session.now(),
                predicted_x=0,
                predicted_n=0,
            )
        )
        found = self.get(dataset_id, version)
        assert found is not None
        return found

    def get(self, dataset_id: int, version: int) -> Model | None:
        statement = select(models).where(models.c.dataset_id == dataset_id, models.c.version == version)
        row = self.session.first(statement)
        return _model(row) if row else None

    def register(self, dataset_id: int, name: str, labels: Sequence[str]) -> Model:
        version = self._take_version(dataset_id)
        made = insert(models).values(
            dataset_id=dataset_id,
            version=version,
            family="registered",
            labels=dumps(list(labels)),
            digest=REGISTERED,
            metrics="{}",
            reviewed_size=0,
            pinned=True,
            trained_at=self.session.now(),
            predicted_x=0,
            predicted_n=0,
        )
        model_id = self.session.insert_id(made)
        self.session.run(insert(registered_models).values(model_id=model_id, dataset_id=dataset_id, name=name))
        found = self.get(dataset_id, version)
        assert found is not None
        return found

    def registered(self, dataset_id: int, name: str) -> Model | None:
        mine = (registered_models.c.dataset_id == dataset_id, registered_models.c.name == name)
        named = select(func.max(registered_models.c.model_id)).where(*mine).scalar_subquery()
        row = self.session.first(select(models).where(models.c.id == named))
        return _model(row) if row else None

    def registered_name(self, model_id: int) -> str | None:
        row = self.session.first(select(registered_models.c.name).where(registered_models.c.model_id == model_id))
        return row.name if row else None

    def latest(self, dataset_id: int) -> Model | None:
        row = self.session.first(LATEST, {"dataset": dataset_id})
        return _model(row) if row else None

    def all(self, dataset_id: int, *, before: int | None, limit: int) -> list[Model]:
        statement = select(models).where(models.c.dataset_id == dataset_id)
        if before is not None:
            statement = statement.where(models.c.version < before)
        return [_model(row) for row in self.session.rows(statement.order_by(models.c.version.desc()).limit(limit))]

    def artefact(self, digest: str) -> bytes:
        row = self.session.first(select(artefacts.c.data).where(artefacts.c.digest == digest))
        if row is None:
            raise NotFound("the model's artefact is gone", fields={"digest": digest})
        return bytes(row.data)

    def set_pinned(self, model_id: int, pinned: bool) -> None:
        self.session.run(update(models).where(models.c.id == model_id).values(pinned=pinned))

    def serving(self, dataset_id: int) -> list[Model]:
        used = exists().where(streams.c.dataset_id == dataset_id, streams.c.version == models.c.version)
        statement = select(models).where(models.c.dataset_id == dataset_id, used)
        found = {row.id: _model(row) for row in self.session.rows(statement)}
        latest = self.latest(dataset_id)
        if latest:
            found[latest.id] = latest
        return sorted(found.values(), key=lambda model: -model.version)

    def set_predicted(self, model_id: int, position: Position) -> None:
        reached = update(models).where(models.c.id == model_id)
        self.session.run(reached.values(predicted_x=position.x, predicted_n=position.n))

    def predict_again(self, dataset_id: int) -> None:
        all_versions = update(models).where(models.c.dataset_id == dataset_id)
        self.session.run(all_versions.values(predicted_x=0, predicted_n=0))

    def sweep(self, dataset_id: int, keep: int) -> int:
        kept = {model.id for model in (*self.serving(dataset_id), *self.all(dataset_id, before=None, limit=keep))}
        tagged = {tag.version for tag in self.tags(dataset_id)}
        statement = select(models.c.id, models.c.version).where(models.c.dataset_id == dataset_id, ~models.c.pinned)
        gone = [row.id for row in self.session.rows(statement) if row.id not in kept and row.version not in tagged]
        if gone:
            self.session.run(delete(predictions).where(self.session.among(predictions.c.model_id, gone)))
            self.session.run(delete(models).where(self.session.among(models.c.id, gone)))
            used = exists().where(models.c.digest == artefacts.c.digest)
            self.session.run(delete(artefacts).where(~used))
        return len(gone)

    def tags(self, dataset_id: int) -> list[ModelTag]:
        statement = (
            select(model_tags.c.name, model_tags.c.version, model_tags.c.updated_at)
            .where(model_tags.c.dataset_id == dataset_id)
            .order_by(model_tags.c.name)
        )
        return [ModelTag._make(row) for row in self.session.rows(statement)]

    def set_tag(self, dataset_id: int, name: str, version: int) -> ModelTag:
        self.delete_tag(dataset_id, name)
        tag = ModelTag(name, version, self.session.now())
        self.session.run(insert(model_tags).values(dataset_id=dataset_id, **tag._asdict()))
        return tag

    def delete_tag(self, dataset_id: int, name: str) -> bool:
        mine = (model_tags.c.dataset_id == dataset_id, model_tags.c.name == name)
        return self.session.run(delete(model_tags).where(*mine)) == 1

    def _take_version(self, dataset_id: int) -> int:
        statement = (
            update(datasets)
            .where(datasets.c.id == dataset_id)
            .values(next_version=datasets.c.next_version + 1)
            .returning(datasets.c.next_version)
        )
        row = self.session.first(statement)
        if row is None:
            raise NotFound("the dataset was deleted meanwhile", fields={"dataset": dataset_id})
        return int(row.next_version) - 1


class PredictionRepository(Repository):
    """See `core.models.Predictions`."""

    def save(self, model_id: int, rows: Sequence[tuple[int, int, Scores]]) -> int:
        named = select(models.c.dataset_id, models.c.version, datasets.c.name)
        both = models.join(datasets, datasets.c.id == models.c.dataset_id)
        model = self.session.first(named.select_from(both).where(models.c.id == model_id))
        if model is None or not rows:
            return 0
        record_ids = [record_id for record_id, _, _ in rows]
        versions = self._versions(record_ids)
        mine = self.session.among(predictions.c.record_id, record_ids)
        self.session.run(delete(predictions).where(predictions.c.model_id == model_id, mine))
        now = self.session.now()
        values = [
            {
                "dataset_id": model.dataset_id,
                "record_id": record_id,
                "model_id": model_id,
                "probabilities": scores.probabilities,
                "sentiment": scores.sentiment,
                "model_version": own_version(model.name, model.version),
                "score": round(max(scores.values(), default=0.0), 6),
                "created_at": now,
            }
            for record_id, version, scores in rows
            if versions.get(record_id) == version
        ]
        if values:
            self.session.run(insert(predictions), values)
        return len(values)

    def of(self, model_id: int, record_ids: Sequence[int]) -> dict[int, Scores]:
        statement = select(predictions.c.record_id, predictions.c.probabilities, predictions.c.sentiment).where(
            predictions.c.model_id == model_id, self.session.among(predictions.c.record_id, record_ids)
        )
        return {row.record_id: Scores(bytes(row.probabilities), row.sentiment) for row in self.session.rows(statement)}

    def push(self, dataset_id: int, rows: Sequence[tuple[int, PushedPrediction]]) -> None:
        now = self.session.now()
        values = [
            {
                "dataset_id": dataset_id,
                "record_id": record_id,
                "model_version": prediction.model_version,
                "result": prediction.result,
                "score": prediction.score,
                "created_at": now,
            }
            for record_id, prediction in rows
        ]
        self.session.run(insert(predictions), values)

    def pushed(self, dataset_id: int, record_ids: Sequence[int]) -> list[Pushed]:
        if not record_ids:
            return []
        columns = ("id", "record_id", "result", "model_version", "score", "created_at")
        statement = (
            select(*(predictions.c[name] for name in columns))
            .where(*_pushed(dataset_id), self.session.among(predictions.c.record_id, record_ids))
            .order_by(predictions.c.id)
        )
        return [
            Pushed(row.id, row.record_id, PushedPrediction(row.result, row.model_version, row.score), row.created_at)
            for row in self.session.rows(statement)
        ]

    def forget(self, record_ids: Sequence[int]) -> None:
        mine = self.session.among(predictions.c.record_id, record_ids)
        self.session.run(delete(predictions).where(mine, predictions.c.model_id.is_not(None)))

    def _versions(self, record_ids: Sequence[int]) -> dict[int, int]:
        statement = select(records.c.id, records.c.version).where(self.session.among(records.c.id, record_ids))
        return {row.id: row.version for row in self.session.rows(statement)}
