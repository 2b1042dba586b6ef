"""Statements of buckets."""

from typing import Any

from sqlalchemy import Row, Select, delete, insert, select

from headrace.core.buckets import Bucket
from headrace.core.rights import Scope
from headrace.core.sources import Ref
from headrace.storage.projects import in_scope
from headrace.storage.schema import buckets, projects
from headrace.storage.session import Repository
from headrace.storage.sources import named


def _bucket(row: Row[Any]) -> Bucket:
    return Bucket(**row._asdict())


def _select() -> Select[Any]:
    joined = buckets.join(projects, projects.c.id == buckets.c.project_id)
    return select(buckets, projects.c.name.label("project")).select_from(joined)


class BucketRepository(Repository):
    """See `core.buckets.Buckets`."""

    def insert(self, *, project_id: int, name: str, title: str, kind: str, transform_tag: str | None) -> Bucket:
        now = self.session.now()
        values = {"name": name, "title": title, "kind": kind, "transform_tag": transform_tag}
        statement = insert(buckets).values(project_id=project_id, **values, created_at=now, updated_at=now)
        found = self.get(self.session.insert_id(statement), None)
        assert found is not None
        return found

    def get(self, ref: Ref, scope: Scope) -> Bucket | None:
        visible = in_scope(self.session, buckets.c.project_id, scope)
        row = self.session.first(_select().where(named(buckets, ref), visible))
        return _bucket(row) if row else None

    def all(self, scope: Scope) -> list[Bucket]:
        visible = in_scope(self.session, buckets.c.project_id, scope)
        return [_bucket(row) for row in self.session.rows(_select().where(visible).order_by(buckets.c.id))]

    def delete(self, bucket_id: int) -> None:
        self.session.run(delete(buckets).where(buckets.c.id == bucket_id))
