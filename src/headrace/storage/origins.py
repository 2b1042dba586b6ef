"""Statements of where objects came from."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update

from headrace.core.origins import Origin
from headrace.storage.schema_kiln import origins
from headrace.storage.session import Repository, Session


def forget_origins(session: Session, kind: str, object_id: int) -> None:
    """Remove what is known of where an object came from."""
    session.run(delete(origins).where(origins.c.kind == kind, origins.c.object_id == object_id))


class OriginRepository(Repository):
    """See `core.origins.Origins`."""

    def put(self, kind: str, object_id: int, scope_id: int, origin: Origin) -> None:
        mine = (origins.c.kind == kind, origins.c.object_id == object_id)
        values = {"scope_id": scope_id, **origin._asdict()}
        if not self.session.run(update(origins).where(*mine).values(values)):
            self.session.run(insert(origins).values(kind=kind, object_id=object_id, **values))

    def of(self, kind: str, object_ids: Sequence[int]) -> dict[int, Origin]:
        if not object_ids:
            return {}
        mine = (origins.c.kind == kind, self.session.among(origins.c.object_id, object_ids))
        return {
            row.object_id: Origin(row.external_id, row.created_at, row.created_by)
            for row in self.session.rows(select(origins).where(*mine))
        }

    def find(self, kind: str, scope_id: int, external_id: str) -> int | None:
        mine = (origins.c.kind == kind, origins.c.scope_id == scope_id, origins.c.external_id == external_id)
        row = self.session.first(select(origins.c.object_id).where(*mine))
        return int(row.object_id) if row else None
