"""Uploads that are kept: the files of a project, each with the tasks that were made of it.

A file outlives its import, so that it can be imported anew; a task knows its file by the ranges of ids that the
import gave out. Deleting a file keeps its tasks.
"""

import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import tasks
from headrace.core.errors import Conflict, NotFound
from headrace.core.rights import Permission, Principal

if TYPE_CHECKING:
    from headrace.core.datasets import Dataset
    from headrace.core.store import Tx

UNUSABLE = re.compile(r"[^-\w.]")


class FileUpload(NamedTuple):
    """One file that is kept. `name` is unlike that of any other file of its dataset; `size` is in bytes."""

    id: int
    dataset_id: int
    name: str
    size: int


class FileUploads(Protocol):
    """Storage of the files that are kept; their bytes are pieces of uploads (see `core.imports.Imports`)."""

    def keep(self, dataset_id: int, upload_id: int, name: str) -> None:
        """Make an upload a file of a dataset; raises Conflict when the name is taken."""

    def get(self, upload_id: int) -> FileUpload | None:
        """One file."""

    def named(self, dataset_id: int, name: str) -> FileUpload | None:
        """The file of a dataset that has the name."""

    def of_dataset(self, dataset_id: int, upload_ids: Sequence[int] | None = None) -> list[FileUpload]:
        """The files of a dataset by id, or those of them that are named."""

    def take(self, upload_ids: Sequence[int], import_id: int) -> int:
        """Give files to another import, unless theirs is still at work; answers how many were given."""

    def busy(self, upload_ids: Sequence[int]) -> bool:
        """True when an import is still at work on one of the files."""

    def swap(self, upload_id: int, other_id: int, name: str) -> None:
        """Give a file the bytes of a stray upload, which goes, and another name."""

    def delete(self, upload_ids: Sequence[int]) -> int:
        """Remove files with their bytes, and what is known of their records; answers how many there were."""

    def add_records(self, file: FileUpload, first: int, last: int, *, since: int) -> None:
        """Say that a range of record ids was made of a file; joins a neighbouring range that began at `since` or
        later."""

    def names_of(self, dataset_id: int, record_ids: Sequence[int]) -> dict[int, str]:
        """The names of the files that records were made of; the others are left out."""

    def records_before(self, upload_ids: Sequence[int], source_id: int, before: int) -> list[int]:
        """The records of a source below an id that were made of the files."""

    def forget_records(self, upload_ids: Sequence[int], *, since: int = 0, before: int | None = None) -> None:
        """Forget ranges of records that begin at `since` or later and below `before`."""


def stored_name(name: str) -> str:
    """A fresh name for a file, as `8c5b6c46-n.csv`, that can stand in a path as it is."""
    return f"{secrets.token_hex(4)}-{UNUSABLE.sub('', name.strip().replace(' ', '_'))}"


def list_files(tx: "Tx", who: Principal, dataset_id: int, upload_ids: Sequence[int] | None) -> list[FileUpload]:
    """The files of a dataset, or those of them that are named; raises NotFound for the dataset."""
    dataset = tasks.load_project(tx, who, dataset_id, Permission.VIEW_SOURCES)
    return tx.uploads.of_dataset(dataset.id, upload_ids)


def get(tx: "Tx", who: Principal, upload_id: int, *needs: Permission) -> tuple["Dataset", FileUpload]:
    """One file with its dataset, as far as the caller may know of it; raises NotFound."""
    file = tx.uploads.get(upload_id)
    dataset = tx.datasets.get(file.dataset_id, who.scope) if file else None
    if file is None or dataset is None:
        raise NotFound("there is no such file", fields={"upload": upload_id})
    who.require(dataset.project_id, *(needs or (Permission.VIEW_SOURCES,)))
    return dataset, file


def find(tx: "Tx", who: Principal, dataset_id: int, name: str) -> FileUpload:
    """The file of a dataset that has the name; raises NotFound."""
    dataset = tasks.load_project(tx, who, dataset_id, Permission.VIEW_SOURCES)
    file = tx.uploads.named(dataset.id, name)
    if file is None:
        raise NotFound("there is no such file", fields={"upload": name[:80]})
    return file


def delete(tx: "Tx", who: Principal, dataset_id: int, upload_ids: Sequence[int] | None) -> int:
    """Remove those of the files that the dataset has, or all of them; Conflict while one is being imported."""
    dataset = tasks.load_project(tx, who, dataset_id, Permission.EDIT_MESSAGES)
    found = [file.id for file in tx.uploads.of_dataset(dataset.id, upload_ids)]
    if found:
        _drop(tx, who, dataset, found)
    return len(found)


def delete_one(tx: "Tx", who: Principal, upload_id: int) -> None:
    """Remove one file; raises NotFound, or Conflict while it is being imported."""
    dataset, file = get(tx, who, upload_id, Permission.EDIT_MESSAGES)
    _drop(tx, who, dataset, [file.id])


def replace(tx: "Tx", who: Principal, upload_id: int, other_id: int, name: str) -> FileUpload:
    """Give a file other bytes, those of a stray upload; tasks made of it stay as they are. Conflict as `delete`."""
    dataset, file = get(tx, who, upload_id, Permission.EDIT_MESSAGES)
    _refuse_busy(tx, [file.id])
    tx.uploads.swap(file.id, other_id, stored_name(name))
    _event(tx, who, dataset, "file.replaced", [file.id])
    return get(tx, who, upload_id, Permission.EDIT_MESSAGES)[1]


def _drop(tx: "Tx", who: Principal, dataset: "Dataset", upload_ids: Sequence[int]) -> None:
    _refuse_busy(tx, upload_ids)
    tx.uploads.delete(upload_ids)
    _event(tx, who, dataset, "file.deleted", upload_ids)


def _refuse_busy(tx: "Tx", upload_ids: Sequence[int]) -> None:
    if tx.uploads.busy(upload_ids):
        raise Conflict("an import is at work on this file; try again when it has ended", fields={"retry_after": 5})


def _event(tx: "Tx", who: Principal, dataset: "Dataset", kind: str, upload_ids: Sequence[int]) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=upload_ids[0],
        data={"files": list(upload_ids)},
    )
