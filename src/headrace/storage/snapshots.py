"""Statements of snapshots and the pieces of their files."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from headrace.core.snapshots import Snapshot, SnapshotFile, SnapshotState
from headrace.core.task_export import ExportFormat
from headrace.storage.schema import snapshot_files, snapshot_pieces, snapshots
from headrace.storage.session import Repository, Session, dumps, loads


def _file(row: Row[Any]) -> SnapshotFile:
    return SnapshotFile(**row._asdict() | {"format": ExportFormat(row.format), "state": SnapshotState(row.state)})


def delete_snapshots(session: Session, dataset_id: int) -> None:
    """Remove all snapshots of a dataset."""
    mine = select(snapshots.c.id).where(snapshots.c.dataset_id == dataset_id)
    SnapshotRepository(session).delete([row.id for row in session.rows(mine)])


class SnapshotRepository(Repository):
    """See `core.snapshots.Snapshots`."""

    def insert(self, dataset_id: int, author_id: int, title: str, options: Mapping[str, object]) -> int:
        return self.session.insert_id(
            insert(snapshots).values(
                dataset_id=dataset_id,
                author_id=author_id,
                title=title,
                options=dumps(options),
                task_count=0,
                created_at=self.session.now(),
                finished_at=None,
            )
        )

    def get(self, snapshot_id: int, dataset_id: int) -> Snapshot | None:
        statement = select(snapshots).where(snapshots.c.id == snapshot_id, snapshots.c.dataset_id == dataset_id)
        found = self._with_files(self.session.rows(statement))
        return found[0] if found else None

    def all(self, dataset_id: int) -> list[Snapshot]:
        mine = select(snapshots).where(snapshots.c.dataset_id == dataset_id).order_by(snapshots.c.id.desc())
        return self._with_files(self.session.rows(mine))

    def finish(self, snapshot_id: int, task_count: int) -> None:
        values = {"task_count": task_count, "finished_at": self.session.now()}
        self.session.run(update(snapshots).where(snapshots.c.id == snapshot_id).values(values))

    def delete(self, snapshot_ids: Sequence[int]) -> None:
        files = select(snapshot_files.c.id).where(self.session.among(snapshot_files.c.snapshot_id, snapshot_ids))
        file_ids = [row.id for row in self.session.rows(files)]
        self.session.run(delete(snapshot_pieces).where(self.session.among(snapshot_pieces.c.file_id, file_ids)))
        self.session.run(delete(snapshot_files).where(self.session.among(snapshot_files.c.id, file_ids)))
        self.session.run(delete(snapshots).where(self.session.among(snapshots.c.id, snapshot_ids)))

    def add_file(self, snapshot_id: int, format: ExportFormat) -> int:
        return self.session.insert_id(
            insert(snapshot_files).values(
                snapshot_id=snapshot_id,
                format=format,
                state=SnapshotState.CREATED,
                job_id=0,
                md5=None,
                size=0,
                error=None,
            )
        )

    def file(self, file_id: int) -> SnapshotFile | None:
        row = self.session.first(select(snapshot_files).where(snapshot_files.c.id == file_id))
        return _file(row) if row else None

    def update_file(self, file_id: int, changes: Mapping[str, object]) -> None:
        self.session.run(update(snapshot_files).where(snapshot_files.c.id == file_id).values(**changes))

    def append(self, file_id: int, sequence: int, data: bytes) -> None:
        self.session.run(insert(snapshot_pieces).values(file_id=file_id, sequence=sequence, data=data))

    def clear(self, file_id: int) -> None:
        self.session.run(delete(snapshot_pieces).where(snapshot_pieces.c.file_id == file_id))

    def piece(self, file_id: int, sequence: int) -> bytes | None:
        mine = (snapshot_pieces.c.file_id == file_id, snapshot_pieces.c.sequence == sequence)
        row = self.session.first(select(snapshot_pieces.c.data).where(*mine))
        return bytes(row.data) if row else None

    def _with_files(self, rows: Sequence[Row[Any]]) -> list[Snapshot]:
        if not rows:
            return []
        mine = self.session.among(snapshot_files.c.snapshot_id, [row.id for row in rows])
        files: dict[int, list[SnapshotFile]] = {row.id: [] for row in rows}
        for row in self.session.rows(select(snapshot_files).where(mine).order_by(snapshot_files.c.id)):
            files[row.snapshot_id].append(_file(row))
        return [Snapshot(**row._asdict() | {"options": loads(row.options), "files": files[row.id]}) for row in rows]
