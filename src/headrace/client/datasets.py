"""Datasets: import into them, export from them, open streams on them."""

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import quote

from headrace.client.errors import HeadraceError
from headrace.client.exports import Row, Spool, Target, extra, frame_of, row_of
from headrace.client.imports import Importer, Receipt
from headrace.client.progress import Bar
from headrace.client.runs import Task
from headrace.client.steps import Bound, C, Give, Listing, Plan, listing, operation
from headrace.client.streams import Stream

PAGE = 256


class Project(Bound[C]):
    """A unit of ownership and rights, by its name."""

    def __init__(self, client: C, name: str) -> None:
        self._client = client
        self.name = name

    def __repr__(self) -> str:
        return f"Project({self.name!r})"

    def dataset(self, name: str) -> "Dataset[C]":
        """The dataset of that name in this project; nothing is sent."""
        return Dataset(self._client, f"{self.name}/{name}")

    @operation
    def datasets(self) -> "Plan[list[Dataset[C]]]":
        """The project's datasets that the token's user may see."""
        answer = yield from self._client.call("GET", f"/api/v1/datasets/{quote(self.name, safe='')}")
        return [named(self._client, document) for document in answer["datasets"]]

    @operation
    def tasks(self) -> "Plan[list[Task[C]]]":
        """The project's Kiln tasks; every dataset with records of its own is one."""
        project = yield from self._id()
        answer = yield from self._client.call("GET", f"/api/projects/{project}/tasks")
        return [Task(self._client, project, str(item["id"])) for item in answer]

    @operation
    def create_task(self, /, name: str, instruction: str, **fields: object) -> "Plan[Task[C]]":
        """Make a Kiln task; `fields` are others of Kiln's: description, requirements, output_json_schema, ..."""
        project = yield from self._id()
        body = {"name": name, "instruction": instruction, **fields}
        made = yield from self._client.call("POST", f"/api/projects/{project}/tasks", json=body)
        return Task(self._client, project, str(made["id"]))

    def _id(self) -> Plan[str]:
        """The project's id as Kiln writes it."""
        answer = yield from self._client.call("GET", f"/api/_private/projects/{quote(self.name, safe='')}")
        return str(int(answer["project"]["id"], 16))


class Dataset(Bound[C]):
    """A labelling view over records. `name` is `project/name`, or `id:` and 16 hex digits."""

    def __init__(self, client: C, name: str | int) -> None:
        self._client = client
        self.name = f"id:{name:016x}" if isinstance(name, int) else name
        self.path = f"/api/v1/datasets/{_address(self.name)}"
        self._number = name if isinstance(name, int) else None

    def __repr__(self) -> str:
        return f"Dataset({self.name!r})"

    def stream(self, name: str) -> Stream[C]:
        """The stream of that name; nothing is sent."""
        return Stream(self._client, self.path, name)

    @operation
    def streams(self) -> Plan[list[Stream[C]]]:
        """The dataset's streams."""
        answer = yield from self._client.call("GET", f"{self.path}/streams")
        return [self.stream(item["name"]) for item in answer["streams"]]

    @operation
    def document(self) -> Plan[dict[str, Any]]:
        """The dataset as the server describes it: name, title, label definitions, sources."""
        answer = yield from self._client.call("GET", self.path)
        return dict(answer["dataset"])

    @operation
    def create_stream(
        self,
        name: str,
        *,
        comment_filter: Mapping[str, Any] | None = None,
        model_version: int | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> Plan[Stream[C]]:
        """Make a stream that delivers what is uploaded from now on; one of that name is changed and goes on.

        With a model version its comments carry predictions: of all labels, or of those that reach their threshold.
        """
        wanted: dict[str, Any] = {"name": name}
        if comment_filter is not None:
            wanted["comment_filter"] = comment_filter
        if model_version is not None:
            limits = [{"name": label.split(" > "), "threshold": least} for label, least in (thresholds or {}).items()]
            wanted["model"] = {"version": model_version, "label_thresholds": limits}
        yield from self._client.call("PUT", f"{self.path}/streams", json={"stream": wanted})
        return self.stream(name)

    @operation
    def import_file(
        self,
        path: str | PathLike[str],
        *,
        external_id: str | None = None,
        reject_rows: bool = False,
        progress: bool = False,
    ) -> Plan[Receipt]:
        """Import a CSV, TSV, JSON, JSONL or TXT file, which is streamed; raises ImportFailed.

        `external_id` names the field that is the caller's own key: a row whose key is known updates its record. One
        bad row fails the whole import unless `reject_rows`. `progress` draws bars on stderr if that is a terminal.
        """
        importer = Importer(self._client, (yield from self._id()), external_id, reject_rows)
        return (yield from importer.file(Path(path), progress=progress))

    @operation
    def import_records(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        external_id: str | None = None,
        reject_rows: bool = False,
        progress: bool = False,
    ) -> Plan[Receipt]:
        """Import records like a file: each the data of a task, or a task with `data` and perhaps `annotations`."""
        importer = Importer(self._client, (yield from self._id()), external_id, reject_rows)
        return (yield from importer.records(records, progress=progress))

    @listing
    def rows(self) -> Listing[Row]:
        """Every record as a flat row, oldest first; `exports.row_of` says what is in one."""
        rows, behind = yield from self._page(None)
        while True:
            for row in rows:
                yield Give(row)
            if behind is None:
                return
            rows, behind = yield from self._page(behind)

    @operation
    def export(self, path: str | PathLike[str], *, raw: bool = False, progress: bool = False) -> Plan[int]:
        """Write every record to a file of the format that its name says: JSONL, CSV or Parquet; answers how many.

        CSV cells that a spreadsheet would run as a formula get an apostrophe unless `raw`. Parquet needs the extra
        `parquet`; raises MissingExtra without it.
        """
        target = Target(Path(path), raw)
        with TemporaryFile() as file, Bar(f"Exporting {target.path.name}", shown=progress) as bar:
            spool = yield from self._spooled(Spool(file), bar)
            spool.save(target)
            return spool.count

    @operation
    def to_pandas(self) -> Plan[Any]:
        """Every record as a row of a pandas frame, with the columns of `rows`; needs the extra `pandas`."""
        extra("pandas", "pandas")
        with TemporaryFile() as file, Bar("", shown=False) as bar:
            spool = yield from self._spooled(Spool(file), bar)
            return frame_of(list(spool.rows()))

    def _spooled(self, spool: Spool, bar: Bar) -> Plan[Spool]:
        rows, behind = yield from self._page(None)
        while True:
            for row in rows:
                spool.add(row)
            bar.move(spool.count, unit="records")
            if behind is None:
                return spool
            rows, behind = yield from self._page(behind)

    def _page(self, behind: str | None) -> Plan[tuple[list[Row], str | None]]:
        """A page of rows, and the continuation behind it unless it is the last."""
        asked: dict[str, Any] = {"limit": PAGE, "order_by": "created_at"}
        if behind is not None:
            asked["continuation"] = behind
        page = yield from self._client.call("POST", f"{self.path}/export", json=asked)
        return [row_of(exported) for exported in page["comments"]], page.get("continuation")

    def _id(self) -> Plan[int]:
        """The dataset's id as Label Studio writes it, asked for once."""
        if self._number is None:
            answer = yield from self._client.call("GET", self.path)
            self._number = int(answer["dataset"]["id"], 16)
        return self._number


def named(client: C, document: Mapping[str, Any]) -> Dataset[C]:
    """A dataset of the name in its document."""
    return Dataset(client, f"{document['owner']}/{document['name']}")


def _address(name: str) -> str:
    """A dataset in a path; raises HeadraceError for a name without a project."""
    if name.startswith("id:"):
        return f"id:{quote(name[3:], safe='')}"
    project, _, rest = name.partition("/")
    if not project or not rest:
        raise HeadraceError(f"{name!r} does not name a dataset; write it as 'project/name', or give its integer id")
    return f"{quote(project, safe='')}/{quote(rest, safe='')}"
