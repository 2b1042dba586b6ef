"""Imports: a file or records go up as one durable job, and a receipt comes back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.client.errors import HeadraceError, ImportFailed
from headrace.client.progress import Bar, Watched
from headrace.client.steps import Plan, Wait

if TYPE_CHECKING:
    from headrace.client.clients import BaseClient

FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".txt")
FIRST_LOOK, LAST_LOOK = 0.1, 2.0
"""Seconds between two looks at an import that runs: the first, and the longest."""
ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not stored: its number in the upload, from 0, and why."""

    row: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What became of an import, by rows. `task_ids` are in the order of the upload, without the rejected rows."""

    import_id: int
    created: int
    updated: int
    unchanged: int
    rejected: tuple[Rejected, ...]
    task_ids: tuple[int, ...]


class Importer:
    """Imports into one dataset, `stem` being its Label Studio project."""

    def __init__(self, client: "BaseClient[Any]", project: int, external_id: str | None, reject_rows: bool) -> None:
        self._client = client
        self._stem = f"/api/projects/{project}"
        self._params = {
            "return_task_ids": True,
            "external_id": external_id,
            "on_error": "reject_rows" if reject_rows else "fail",
        }

    def file(self, path: Path, *, progress: bool) -> Plan[Receipt]:
        """Send a file and wait for the import's end; raises ImportFailed."""
        if path.suffix.lower() not in FORMATS:
            raise HeadraceError(f"cannot import {path.name!r}; use one of {', '.join(FORMATS)}")
        with Bar(f"Sending {path.name}", shown=progress) as bar, path.open("rb", buffering=0) as file:
            size = path.stat().st_size
            sent = Watched(file, lambda done: bar.move(done, size))
            started = yield from self._start(files={"file": (path.name, sent)})
        return (yield from self._ended(started, progress))

    def records(self, records: Iterable[Mapping[str, Any]], *, progress: bool) -> Plan[Receipt]:
        """Send records as one body and wait for the import's end; raises ImportFailed."""
        started = yield from self._start(json=list(records))
        return (yield from self._ended(started, progress))

    def _start(self, **body: Any) -> Plan[int]:
        answer = yield from self._client.call("POST", f"{self._stem}/import", params=self._params, **body)
        return int(answer["import"])

    def _ended(self, import_id: int, progress: bool) -> Plan[Receipt]:
        seconds = FIRST_LOOK
        with Bar("Importing", shown=progress) as bar:
            while True:
                status = yield from self._client.call("GET", f"{self._stem}/imports/{import_id}")
                bar.move(status["progress"]["done"], status["progress"]["total"], "rows")
                if status["status"] == "failed":
                    raise ImportFailed(str(status["error"]), import_id)
                if status["status"] == "completed":
                    return (yield from self._receipt(status))
                yield Wait(seconds)
                seconds = min(seconds * 1.5, LAST_LOOK)

    def _receipt(self, status: Mapping[str, Any]) -> Plan[Receipt]:
        rejected = (yield from self._rejected(status["id"])) if status["failed_task_count"] else ()
        return Receipt(
            import_id=int(status["id"]),
            created=int(status["created_task_count"]),
            updated=int(status["updated_task_count"]),
            unchanged=int(status["unchanged_task_count"]),
            rejected=tuple(rejected),
            task_ids=tuple(status["task_ids"]),
        )

    def _rejected(self, import_id: int) -> Plan[list[Rejected]]:
        found: list[Rejected] = []
        number: int | None = 1
        while number is not None:
            params = {"page": number, "page_size": ROWS}
            page = yield from self._client.call("GET", f"{self._stem}/imports/{import_id}/rows", params=params)
            rows = [row for row in page["rows"] if row["status"] == "rejected"]
            found += [Rejected(int(row["row"]), str(row["reason"])) for row in rows]
            number = page["next"]
        return found
