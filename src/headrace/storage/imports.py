"""Statements of imports and their uploads."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update

from headrace.core.import_rows import Outcome, RowNote
from headrace.core.imports import Import, ImportState, Upload
from headrace.storage.schema import imports, upload_pieces, uploads
from headrace.storage.schema_uploads import file_uploads, import_rows
from headrace.storage.session import Repository, dumps, loads

JSON_COLUMNS = ("options", "found", "id_ranges")


class ImportRepository(Repository):
    """See `core.imports.Imports`."""

    def add_upload(self, name: str) -> int:
        values = {"name": name, "size": 0, "created_at": self.session.now()}
        return self.session.insert_id(insert(uploads).values(values))

    def append(self, upload_id: int, sequence: int, data: bytes) -> None:
        self.session.run(insert(upload_pieces).values(upload_id=upload_id, sequence=sequence, data=data))
        grown = uploads.c.size + len(data)
        self.session.run(update(uploads).where(uploads.c.id == upload_id).values(size=grown))

    def uploads(self, import_id: int) -> list[Upload]:
        statement = (
            select(uploads.c.id, uploads.c.name, uploads.c.size)
            .where(uploads.c.import_id == import_id)
            .order_by(uploads.c.id)
        )
        return [Upload._make(row) for row in self.session.rows(statement)]

    def pieces(self, upload_id: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        statement = (
            select(upload_pieces.c.sequence, upload_pieces.c.data)
            .where(upload_pieces.c.upload_id == upload_id, upload_pieces.c.sequence > after)
            .order_by(upload_pieces.c.sequence)
            .limit(limit)
        )
        return [(row.sequence, bytes(row.data)) for row in self.session.rows(statement)]

    def drop_uploads(self, import_id: int) -> None:
        kept = select(file_uploads.c.upload_id).where(file_uploads.c.upload_id == uploads.c.id).exists()
        self._drop(select(uploads.c.id).where(uploads.c.import_id == import_id, ~kept))

    def discard(self, upload_ids: Sequence[int]) -> None:
        self._drop(
            select(uploads.c.id).where(uploads.c.import_id.is_(None), self.session.among(uploads.c.id, upload_ids))
        )

    def sweep(self, before: int) -> int:
        return self._drop(select(uploads.c.id).where(uploads.c.import_id.is_(None), uploads.c.created_at < before))

    def insert(
        self,
        *,
        dataset_id: int,
        source_id: int,
        author_id: int,
        options: Mapping[str, object],
        upload_ids: Sequence[int],
    ) -> int:
        now = self.session.now()
        import_id = self.session.insert_id(
            insert(imports).values(
                dataset_id=dataset_id,
                source_id=source_id,
                author_id=author_id,
                job_id=0,
                state=ImportState.CREATED,
                options=dumps(options),
                found="{}",
                error=None,
                record_count=0,
                annotation_count=0,
                prediction_count=0,
                id_ranges="[]",
                created_at=now,
                updated_at=now,
                finished_at=None,
            )
        )
        mine = self.session.among(uploads.c.id, upload_ids)
        self.session.run(update(uploads).where(mine).values(import_id=import_id))
        return import_id

    def set_job(self, import_id: int, job_id: int) -> None:
        self.session.run(update(imports).where(imports.c.id == import_id).values(job_id=job_id))

    def get(self, import_id: int, dataset_id: int) -> Import | None:
        mine = (imports.c.id == import_id, imports.c.dataset_id == dataset_id)
        row = self.session.first(select(imports).where(*mine))
        if row is None:
            return None
        values = row._asdict() | {name: loads(getattr(row, name)) for name in JSON_COLUMNS}
        values["state"] = ImportState(row.state)
        values["id_ranges"] = [(first, last) for first, last in values["id_ranges"]]
        return Import(**values)

    def update(self, import_id: int, changes: Mapping[str, object]) -> None:
        values = {name: dumps(value) if name in JSON_COLUMNS else value for name, value in changes.items()}
        statement = update(imports).where(imports.c.id == import_id)
        self.session.run(statement.values(**values, updated_at=self.session.now()))

    def note_rows(self, import_id: int, notes: Sequence[RowNote]) -> None:
        self.session.run(insert(import_rows), [{"import_id": import_id, **note._asdict()} for note in notes])

    def noted_rows(self, import_id: int, after: int, limit: int) -> list[RowNote]:
        statement = (
            select(*(import_rows.c[name] for name in RowNote._fields))
            .where(import_rows.c.import_id == import_id, import_rows.c.row > after)
            .order_by(import_rows.c.row)
            .limit(limit)
        )
        found = [RowNote._make(row) for row in self.session.rows(statement)]
        return [note._replace(outcome=Outcome(note.outcome)) for note in found]

    def count_noted(self, import_id: int, before: int) -> int:
        mine = (import_rows.c.import_id == import_id, import_rows.c.row < before)
        return int(self.session.conn.execute(select(func.count()).select_from(import_rows).where(*mine)).scalar_one())

    def settle_rows(self, import_id: int) -> None:
        changed = (import_rows.c.import_id == import_id, import_rows.c.before.is_not(None))
        self.session.run(update(import_rows).where(*changed).values(before=None))

    def forget_rows(self, import_id: int) -> None:
        self.session.run(delete(import_rows).where(import_rows.c.import_id == import_id))

    def _drop(self, which: Select[Any]) -> int:
        """Remove uploads with their pieces; answers how many uploads there were."""
        found = [row.id for row in self.session.rows(which)]
        if not found:
            return 0
        self.session.run(delete(upload_pieces).where(self.session.among(upload_pieces.c.upload_id, found)))
        return self.session.run(delete(uploads).where(self.session.among(uploads.c.id, found)))
