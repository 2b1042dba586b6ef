"""Statements of projects."""

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, true, update

from headrace.core.origins import PROJECT
from headrace.core.projects import Project
from headrace.core.rights import Scope
from headrace.storage.origins import forget_origins
from headrace.storage.schema import buckets, datasets, grants, projects, sources
from headrace.storage.session import Repository, Session


def in_scope(session: Session, column: ColumnElement[int], scope: Scope) -> ColumnElement[bool]:
    """The condition that a row belongs to a project in scope."""
    return true() if scope is None else session.among(column, sorted(scope))


def _project(row: Row[tuple[object, ...]]) -> Project:
    return Project(**row._asdict())


class ProjectRepository(Repository):
    """See `core.projects.Projects`."""

    def insert(self, *, name: str, title: str, description: str) -> Project:
        now = self.session.now()
        values = {
            "name": name,
            "title": title,
            "description": description,
            "created_at": now,
            "updated_at": now,
        }
        return Project(id=self.session.insert_id(insert(projects).values(values)), **values)  # type: ignore[arg-type]

    def get(self, name: str, scope: Scope) -> Project | None:
        return self._one(projects.c.name == name, scope)

    def by_id(self, project_id: int, scope: Scope) -> Project | None:
        return self._one(projects.c.id == project_id, scope)

    def all(self, scope: Scope) -> list[Project]:
        statement = select(projects).where(in_scope(self.session, projects.c.id, scope)).order_by(projects.c.name)
        return [_project(row) for row in self.session.rows(statement)]

    def update(self, project_id: int, *, title: str | None, description: str | None) -> Project:
        given = {"title": title, "description": description}
        changes = {name: value for name, value in given.items() if value is not None}
        statement = update(projects).where(projects.c.id == project_id)
        self.session.run(statement.values(**changes, updated_at=self.session.now()))
        found = self.by_id(project_id, None)
        assert found is not None
        return found

    def children(self, project_id: int) -> dict[str, int]:
        counts = {}
        for table in (sources, datasets, buckets):
            statement = select(func.count()).select_from(table).where(table.c.project_id == project_id)
            counts[table.name] = int(self.session.conn.execute(statement).scalar_one())
        return {kind: count for kind, count in counts.items() if count}

    def delete(self, project_id: int) -> None:
        self.session.run(delete(grants).where(grants.c.project_id == project_id))
        forget_origins(self.session, PROJECT, project_id)
        self.session.run(delete(projects).where(projects.c.id == project_id))

    def _one(self, condition: ColumnElement[bool], scope: Scope) -> Project | None:
        visible = in_scope(self.session, projects.c.id, scope)
        row = self.session.first(select(projects).where(condition, visible))
        return _project(row) if row else None
