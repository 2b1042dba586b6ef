"""Statements of the files that are kept, and of the ranges of records that were made of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, bindparam, case, delete, func, insert, select, update

from headrace.core.imports import ImportState
from headrace.core.uploads import FileUpload
from headrace.storage.schema import imports, records, upload_pieces, uploads
from headrace.storage.schema_uploads import file_records, file_uploads, import_rows
from headrace.storage.session import Repository, Session

AT_WORK = (ImportState.CREATED, ImportState.IN_PROGRESS)
# Built once: every page of tasks asks for them (benchmark requests).
_OF_DATASET = file_records.c.dataset_id == bindparam("dataset")
_FIRST = select(func.max(file_records.c.first_id)).where(_OF_DATASET, file_records.c.first_id <= bindparam("low"))
NAMES = (
    select(file_records.c.first_id, file_records.c.last_id, file_uploads.c.name)
    .join(file_uploads, file_uploads.c.upload_id == file_records.c.upload_id)
    .where(
        _OF_DATASET,
        file_records.c.first_id <= bindparam("high"),
        file_records.c.first_id >= func.coalesce(_FIRST.scalar_subquery(), 0),
    )
)


def _select() -> Select[Any]:
    joined = file_uploads.join(uploads, uploads.c.id == file_uploads.c.upload_id)
    return select(uploads.c.id, file_uploads.c.dataset_id, file_uploads.c.name, uploads.c.size).select_from(joined)


def file_name(dataset_id: int, record_id: ColumnElement[int]) -> ScalarSelect[Any]:
    """The name of the file that a record was made of, as a column of a statement; NULL for no file."""
    return (
        select(case((file_records.c.last_id >= record_id, file_uploads.c.name)))
        .join(file_records, file_records.c.upload_id == file_uploads.c.upload_id)
        .where(file_records.c.dataset_id == dataset_id, file_records.c.first_id <= record_id)
        .order_by(file_records.c.first_id.desc())
        .limit(1)
        .scalar_subquery()
    )


def delete_uploads(session: Session, dataset_id: int) -> None:
    """Remove all files of a dataset, and what became of the rows of its imports."""
    mine = select(imports.c.id).where(imports.c.dataset_id == dataset_id)
    session.run(delete(import_rows).where(import_rows.c.import_id.in_(mine)))
    files = UploadRepository(session)
    files.delete([file.id for file in files.of_dataset(dataset_id)])


class UploadRepository(Repository):
    """See `core.uploads.FileUploads`."""

    def keep(self, dataset_id: int, upload_id: int, name: str) -> None:
        self.session.run(insert(file_uploads).values(upload_id=upload_id, dataset_id=dataset_id, name=name))

    def get(self, upload_id: int) -> FileUpload | None:
        row = self.session.first(_select().where(uploads.c.id == upload_id))
        return FileUpload._make(row) if row else None

    def named(self, dataset_id: int, name: str) -> FileUpload | None:
        mine = (file_uploads.c.dataset_id == dataset_id, file_uploads.c.name == name)
        row = self.session.first(_select().where(*mine))
        return FileUpload._make(row) if row else None

    def of_dataset(self, dataset_id: int, upload_ids: Sequence[int] | None = None) -> list[FileUpload]:
        statement = _select().where(file_uploads.c.dataset_id == dataset_id).order_by(uploads.c.id)
        if upload_ids is not None:
            statement = statement.where(self.session.among(uploads.c.id, upload_ids))
        return [FileUpload._make(row) for row in self.session.rows(statement)]

    def take(self, upload_ids: Sequence[int], import_id: int) -> int:
        at_work = select(imports.c.id).where(imports.c.state.in_(AT_WORK), imports.c.id == uploads.c.import_id)
        free = (self.session.among(uploads.c.id, upload_ids), ~at_work.exists())
        return self.session.run(update(uploads).where(*free).values(import_id=import_id))

    def busy(self, upload_ids: Sequence[int]) -> bool:
        joined = uploads.join(imports, imports.c.id == uploads.c.import_id)
        mine = (self.session.among(uploads.c.id, upload_ids), imports.c.state.in_(AT_WORK))
        return self.session.first(select(uploads.c.id).select_from(joined).where(*mine)) is not None

    def swap(self, upload_id: int, other_id: int, name: str) -> None:
        other = self.session.first(select(uploads).where(uploads.c.id == other_id))
        assert other is not None
        self.session.run(delete(upload_pieces).where(upload_pieces.c.upload_id == upload_id))
        self.session.run(update(upload_pieces).where(upload_pieces.c.upload_id == other_id).values(upload_id=upload_id))
        self.session.run(delete(uploads).where(uploads.c.id == other_id))
        self.session.run(update(uploads).where(uploads.c.id == upload_id).values(name=other.name, size=other.size))
        self.session.run(update(file_uploads).where(file_uploads.c.upload_id == upload_id).values(name=name))

    def delete(self, upload_ids: Sequence[int]) -> int:
        if not upload_ids:
            return 0
        for column in (file_records.c.upload_id, upload_pieces.c.upload_id, uploads.c.id):
            self.session.run(delete(column.table).where(self.session.among(column, upload_ids)))
        return self.session.run(delete(file_uploads).where(self.session.among(file_uploads.c.upload_id, upload_ids)))

    def add_records(self, file: FileUpload, first: int, last: int, *, since: int) -> None:
        neighbour = (
            file_records.c.dataset_id == file.dataset_id,
            file_records.c.upload_id == file.id,
            file_records.c.last_id == first - 1,
            file_records.c.first_id >= since,
        )
        if not self.session.run(update(file_records).where(*neighbour).values(last_id=last)):
            values = {"dataset_id": file.dataset_id, "first_id": first, "last_id": last, "upload_id": file.id}
            self.session.run(insert(file_records).values(values))

    def names_of(self, dataset_id: int, record_ids: Sequence[int]) -> dict[int, str]:
        if not record_ids:
            return {}
        given = {"dataset": dataset_id, "low": min(record_ids), "high": max(record_ids)}
        found = self.session.rows(NAMES, given)
        return {number: row.name for row in found for number in record_ids if row.first_id <= number <= row.last_id}

    def records_before(self, upload_ids: Sequence[int], source_id: int, before: int) -> list[int]:
        within = records.c.id.between(file_records.c.first_id, file_records.c.last_id)
        statement = (
            select(records.c.id)
            .join(file_records, within)
            .where(
                self.session.among(file_records.c.upload_id, upload_ids),
                records.c.source_id == source_id,
                records.c.id < before,
            )
            .order_by(records.c.id)
        )
        return [row.id for row in self.session.rows(statement)]

    def forget_records(self, upload_ids: Sequence[int], *, since: int = 0, before: int | None = None) -> None:
        statement = delete(file_records).where(
            self.session.among(file_records.c.upload_id, upload_ids), file_records.c.first_id >= since
        )
        self.session.run(statement if before is None else statement.where(file_records.c.first_id < before))
