"""Statements of sources."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, insert, select, update

from headrace.core.rights import Scope
from headrace.core.sources import Ref, Source
from headrace.storage.projects import in_scope
from headrace.storage.schema import dataset_sources, projects, records, sources
from headrace.storage.session import Repository, dumps, loads


def _source(row: Row[Any]) -> Source:
    values = row._asdict()
    return Source(**values | {"settings": loads(row.settings), "text_keys": tuple(loads(row.text_keys))})


def _select() -> Select[Any]:
    joined = sources.join(projects, projects.c.id == sources.c.project_id)
    return select(sources, projects.c.name.label("project")).select_from(joined)


def named(table: Any, ref: Ref) -> ColumnElement[bool]:
    """The condition that a row of a table joined with projects is the one referred to."""
    if isinstance(ref, int):
        matching: ColumnElement[bool] = table.c.id == ref
        return matching
    by_name: ColumnElement[bool] = (projects.c.name == ref[0]) & (table.c.name == ref[1])
    return by_name


def lookups(table: Any, statement: Select[Any]) -> tuple[Select[Any], Select[Any]]:
    """The statement for one row of a table joined with projects, by id and by name, to be run with `naming`.

    Built once: every request looks up a source or a dataset, and building took longer than running (benchmark tiny).
    """
    by_name = statement.where(projects.c.name == bindparam("in_project"), table.c.name == bindparam("named"))
    return statement.where(table.c.id == bindparam("numbered")), by_name


def naming(ref: Ref) -> dict[str, object]:
    """What a reference gives to the statements of `lookups`."""
    return {"numbered": ref} if isinstance(ref, int) else {"in_project": ref[0], "named": ref[1]}


BY_ID, BY_NAME = lookups(sources, _select())


class SourceRepository(Repository):
    """See `core.sources.Sources`."""

    def insert(
        self, *, project_id: int, name: str, title: str, description: str, settings: Mapping[str, object]
    ) -> Source:
        now = self.session.now()
        source_id = self.session.insert_id(
            insert(sources).values(
                project_id=project_id,
                name=name,
                title=title,
                description=description,
                settings=dumps(settings),
                text_keys="[]",
                record_count=0,
                next_number=1,
                created_at=now,
                updated_at=now,
            )
        )
        return self._required(source_id)

    def get(self, ref: Ref, scope: Scope) -> Source | None:
        statement = BY_ID if isinstance(ref, int) else BY_NAME
        if scope is not None:
            statement = statement.where(in_scope(self.session, sources.c.project_id, scope))
        row = self.session.first(statement, naming(ref))
        return _source(row) if row else None

    def all(self, scope: Scope, project: str | None = None) -> list[Source]:
        statement = _select().where(in_scope(self.session, sources.c.project_id, scope))
        if project is not None:
            statement = statement.where(projects.c.name == project)
        return [_source(row) for row in self.session.rows(statement.order_by(sources.c.id))]

    def known(self, source_ids: tuple[int, ...], scope: Scope) -> set[int]:
        statement = select(sources.c.id).where(
            self.session.among(sources.c.id, source_ids), in_scope(self.session, sources.c.project_id, scope)
        )
        return {row.id for row in self.session.rows(statement)}

    def sensitive(self, source_ids: Sequence[int]) -> list[tuple[int, int, tuple[str, ...]]]:
        statement = select(sources.c.id, sources.c.project_id, sources.c.settings).where(
            self.session.among(sources.c.id, source_ids), sources.c.settings.contains('"sensitive_properties":["')
        )
        return [
            (row.id, row.project_id, tuple(loads(row.settings)["sensitive_properties"]))
            for row in self.session.rows(statement)
        ]

    def update(
        self,
        source_id: int,
        *,
        title: str | None = None,
        description: str | None = None,
        settings: Mapping[str, object] | None = None,
        text_keys: tuple[str, ...] | None = None,
    ) -> Source:
        changes: dict[str, object] = {"updated_at": self.session.now()}
        if title is not None:
            changes["title"] = title
        if description is not None:
            changes["description"] = description
        if settings is not None:
            changes["settings"] = dumps({**self._required(source_id).settings, **settings})
        if text_keys is not None:
            changes["text_keys"] = dumps(text_keys)
        self.session.run(update(sources).where(sources.c.id == source_id).values(**changes))
        return self._required(source_id)

    def delete(self, source_id: int) -> None:
        from headrace.storage.queue import delete_queued
        from headrace.storage.records import delete_dependants

        of_source = select(records.c.id).where(records.c.source_id == source_id)
        delete_dependants(self.session, lambda column: column.in_(of_source))
        delete_queued(self.session, source_id)
        self.session.run(delete(records).where(records.c.source_id == source_id))
        self.session.run(delete(dataset_sources).where(dataset_sources.c.source_id == source_id))
        self.session.run(delete(sources).where(sources.c.id == source_id))

    def _required(self, source_id: int) -> Source:
        found = self.get(source_id, None)
        assert found is not None
        return found
