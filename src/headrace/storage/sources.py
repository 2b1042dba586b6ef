"""Statements of sources."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, insert, select, update

from headrace.core.rights import Scope
from headrace.core.sources import Ref, Source
from headrace.storage.projects import in_scope
from headrace.storage.schema import dataset_sources, projects, records, sources
from headrace.storage.session import Repository, Session, among, dumps, loads


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


class Lookups(NamedTuple):
    """The statements for one row of a table joined with projects: by id and by name, of any project or of those named
    `scope`."""

    by_id: Select[Any]
    by_name: Select[Any]
    by_id_within: Select[Any]
    by_name_within: Select[Any]

    def first(self, session: Session, ref: Ref, scope: Scope) -> Row[Any] | None:
        """The row referred to, when it is in scope."""
        given = {"numbered": ref} if isinstance(ref, int) else {"in_project": ref[0], "named": ref[1]}
        if scope is None:
            found = session.known(self.by_id if isinstance(ref, int) else self.by_name, given)
        else:
            within = self.by_id_within if isinstance(ref, int) else self.by_name_within
            found = session.known(within, given | {"scope": sorted(scope)})
        return found[0] if found else None


def lookups(table: Any, statement: Select[Any]) -> Lookups:
    """The lookups of a table that a statement joins with projects.

    Built once: every request looks up a source or a dataset, and building took longer than running (benchmark tiny).
    """
    by_name = statement.where(projects.c.name == bindparam("in_project"), table.c.name == bindparam("named"))
    by_id = statement.where(table.c.id == bindparam("numbered"))
    within = among(table.c.project_id, "scope")
    return Lookups(by_id, by_name, by_id.where(within), by_name.where(within))


LOOKUPS = lookups(sources, _select())
SENSITIVE = select(sources.c.id, sources.c.project_id, sources.c.settings).where(
    among(sources.c.id, "those"), sources.c.settings.contains('"sensitive_properties":["')
)


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
        row = LOOKUPS.first(self.session, ref, scope)
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
        return [
            (row.id, row.project_id, tuple(loads(row.settings)["sensitive_properties"]))
            for row in self.session.rows(SENSITIVE, {"those": source_ids})
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
