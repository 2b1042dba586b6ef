"""Statements of datasets, the sources they view, and their labels."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, insert, select, update

from headrace.core.datasets import Dataset, Label
from headrace.core.origins import TASK
from headrace.core.rights import Scope
from headrace.core.sources import Ref
from headrace.storage.origins import forget_origins
from headrace.storage.patches import delete_batches
from headrace.storage.projects import in_scope
from headrace.storage.schema import (
    annotations,
    dataset_sources,
    datasets,
    exceptions,
    imports,
    labels,
    model_tags,
    models,
    predictions,
    projects,
    records,
    streams,
    webhooks,
)
from headrace.storage.schema_kiln import corrections, patch_batches
from headrace.storage.schema_learning import registered_models, shortlist
from headrace.storage.schema_views import tallies, views
from headrace.storage.schema_work import drafts, queue, queue_places, work
from headrace.storage.session import Repository, among, dumps, loads
from headrace.storage.snapshots import delete_snapshots
from headrace.storage.sources import SourceRepository, lookups
from headrace.storage.uploads import delete_uploads
from headrace.storage.webhooks import forget_of


def _select() -> Select[Any]:
    joined = datasets.join(projects, projects.c.id == datasets.c.project_id)
    return select(datasets, projects.c.name.label("project")).select_from(joined)


def _dataset(row: Row[Any], source_ids: tuple[int, ...]) -> Dataset:
    values = row._asdict()
    del values["next_version"]
    return Dataset(**values | {"settings": loads(row.settings), "source_ids": source_ids})


LOOKUPS = lookups(datasets, _select())
OWNING = (
    _select().join(records, records.c.source_id == datasets.c.own_source_id).where(records.c.id == bindparam("record"))
)
OWNING_WITHIN = OWNING.where(among(datasets.c.project_id, "scope"))
OWNER = select(datasets.c.id).where(datasets.c.own_source_id == bindparam("source"))
VIEWING = select(dataset_sources.c.dataset_id).where(dataset_sources.c.source_id == bindparam("source"))
KNOWN_LABELS = select(labels.c.name).where(labels.c.dataset_id == bindparam("dataset"), among(labels.c.name, "names"))
SOURCES = (
    select(dataset_sources.c.source_id)
    .where(dataset_sources.c.dataset_id == bindparam("dataset_id"))
    .order_by(dataset_sources.c.place)
)


def _label_row(dataset_id: int, label: Label) -> dict[str, object]:
    return {
        "dataset_id": dataset_id,
        "name": label.name,
        "title": label.title,
        "instructions": label.instructions,
        "definition": dumps(label.definition),
    }


class DatasetRepository(Repository):
    """See `core.datasets.Datasets`."""

    def insert(
        self,
        *,
        project_id: int,
        name: str,
        title: str,
        description: str,
        model_family: str,
        has_sentiment: bool,
        settings: Mapping[str, object],
    ) -> Dataset:
        now = self.session.now()
        dataset_id = self.session.insert_id(
            insert(datasets).values(
                project_id=project_id,
                name=name,
                title=title,
                description=description,
                model_family=model_family,
                has_sentiment=has_sentiment,
                own_source_id=None,
                label_config="",
                settings=dumps(settings),
                next_version=1,
                created_at=now,
                updated_at=now,
            )
        )
        return self._required(dataset_id)

    def get(self, ref: Ref, scope: Scope) -> Dataset | None:
        return self._with_sources(LOOKUPS.first(self.session, ref, scope))

    def all(self, scope: Scope, project: str | None = None) -> list[Dataset]:
        statement = _select().where(in_scope(self.session, datasets.c.project_id, scope))
        if project is not None:
            statement = statement.where(projects.c.name == project)
        rows = self.session.rows(statement.order_by(datasets.c.id))
        viewed = self._sources([row.id for row in rows])
        return [_dataset(row, viewed.get(row.id, ())) for row in rows]

    def owning(self, record_id: int, scope: Scope) -> Dataset | None:
        statement = OWNING if scope is None else OWNING_WITHIN
        return self._with_sources(self.session.first(statement, {"record": record_id, "scope": sorted(scope or ())}))

    def owner(self, source_id: int) -> int | None:
        row = self.session.first(OWNER, {"source": source_id})
        return int(row.id) if row else None

    def viewing(self, source_id: int) -> list[int]:
        return [row.dataset_id for row in self.session.rows(VIEWING, {"source": source_id})]

    def update(self, dataset_id: int, changes: Mapping[str, object]) -> Dataset:
        values = {**changes, "updated_at": self.session.now()}
        if "settings" in changes:
            merged = {**self._required(dataset_id).settings, **changes["settings"]}  # type: ignore[dict-item]
            values["settings"] = dumps(merged)
        self.session.run(update(datasets).where(datasets.c.id == dataset_id).values(**values))
        return self._required(dataset_id)

    def set_sources(self, dataset_id: int, source_ids: Sequence[int]) -> None:
        self.session.run(delete(dataset_sources).where(dataset_sources.c.dataset_id == dataset_id))
        rows = [
            {"dataset_id": dataset_id, "source_id": source_id, "place": place}
            for place, source_id in enumerate(source_ids)
        ]
        if rows:
            self.session.run(insert(dataset_sources), rows)

    def delete(self, dataset_id: int) -> None:
        own = self._required(dataset_id).own_source_id
        labelled = select(annotations.c.record_id).where(annotations.c.dataset_id == dataset_id, annotations.c.current)
        counted = records.c.annotated - 1
        self.session.run(update(records).where(records.c.id.in_(labelled)).values(annotated=counted))
        delete_uploads(self.session, dataset_id)
        tables = (
            exceptions,
            streams,
            predictions,
            model_tags,
            models,
            annotations,
            tallies,
            views,
            labels,
            imports,
            work,
            corrections,
            shortlist,
            registered_models,
        )
        for table in (*tables, dataset_sources, work, queue, queue_places, drafts):
            self.session.run(delete(table).where(table.c.dataset_id == dataset_id))
        delete_snapshots(self.session, dataset_id)
        delete_batches(self.session, patch_batches.c.dataset_id == dataset_id)
        forget_origins(self.session, TASK, dataset_id)
        forget_of(self.session, select(webhooks.c.id).where(webhooks.c.dataset_id == dataset_id))
        self.session.run(delete(datasets).where(datasets.c.id == dataset_id))
        if own is not None:
            SourceRepository(self.session).delete(own)

    def labels(self, dataset_id: int) -> list[Label]:
        statement = select(labels).where(labels.c.dataset_id == dataset_id).order_by(labels.c.id)
        return [
            Label(
                name=row.name,
                title=row.title,
                instructions=row.instructions,
                definition=loads(row.definition),
            )
            for row in self.session.rows(statement)
        ]

    def set_labels(self, dataset_id: int, taxonomy: Sequence[Label]) -> None:
        self.session.run(delete(labels).where(labels.c.dataset_id == dataset_id))
        if taxonomy:
            self.session.run(insert(labels), [_label_row(dataset_id, label) for label in taxonomy])

    def ensure_labels(self, dataset_id: int, names: Sequence[str]) -> None:
        if not names:
            return
        known = {row.name for row in self.session.rows(KNOWN_LABELS, {"dataset": dataset_id, "names": names})}
        new = [Label(name=name, definition={}) for name in names if name not in known]
        if new:
            self.session.run(insert(labels), [_label_row(dataset_id, label) for label in new])

    def _with_sources(self, row: Row[Any] | None) -> Dataset | None:
        if row is None:
            return None
        return _dataset(row, tuple(item.source_id for item in self.session.known(SOURCES, {"dataset_id": row.id})))

    def _sources(self, dataset_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
        if not dataset_ids:
            return {}
        statement = (
            select(dataset_sources)
            .where(self.session.among(dataset_sources.c.dataset_id, dataset_ids))
            .order_by(dataset_sources.c.dataset_id, dataset_sources.c.place)
        )
        found: dict[int, tuple[int, ...]] = {}
        for row in self.session.rows(statement):
            found[row.dataset_id] = (*found.get(row.dataset_id, ()), row.source_id)
        return found

    def _required(self, dataset_id: int) -> Dataset:
        found = self.get(dataset_id, None)
        assert found is not None
        return found
