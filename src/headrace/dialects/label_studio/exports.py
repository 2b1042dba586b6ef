"""Exports of a project's tasks, written while they are read."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from starlette.responses import Response, StreamingResponse

from headrace.core import task_export, task_selection, tasks
from headrace.core.rights import Permission
from headrace.core.store import Tx
from headrace.core.task_export import UNBUILT_FORMATS, ExportFormat, Layout
from headrace.core.task_selection import Selection, Wanted
from headrace.dialects.kit import MAX_ID, Call, json_answer
from headrace.dialects.label_studio.boundary import dialect, flag, invalid
from headrace.dialects.label_studio.translate import config_of

TITLES = {ExportFormat.JSON_MIN: "JSON-MIN"}
DESCRIPTIONS = {
    ExportFormat.JSON: "List of tasks with everything that was said of them, as it can be imported again.",
    ExportFormat.JSON_MIN: "List of annotations, each with its task's data and its answers by control.",
    ExportFormat.CSV: "Table of annotations, separated by commas, with the data keys and controls as columns.",
    ExportFormat.TSV: "Table of annotations, separated by tabs, with the data keys and controls as columns.",
    ExportFormat.CONLL2003: "Words of labelled texts with their tags, one to a line.",
}
SINCE_HEADER = "Headrace-Position"


@dialect.route("GET", "/api/projects/{project}/export")
async def export_tasks(call: Call) -> Response:
    """Stream the annotated tasks, or all of them, in a format; nothing is held in memory but a page of tasks."""
    number, wished = call.number("project"), _format(call)
    selection, raw = _selection(call), flag(call, "raw", False)
    since = call.query("since")

    def begin(tx: Tx) -> tuple[Wanted, Layout, str]:
        wanted = task_selection.begin(tx, call.who, number, selection, since=since)
        layout = task_export.layout(wanted.config, wished, raw=raw)
        task_selection.note_export(tx, call.who, wanted.dataset, wished)
        return wanted, layout, task_selection.since_token(tx, wanted)

    wanted, layout, token = await call.write(begin)
    name = file_name(number, call.request.state.request_id[:8], wished)
    headers = {**file_headers(name), SINCE_HEADER: token}
    return StreamingResponse(_bytes(call, wanted, layout), media_type=wished.media_type, headers=headers)


def _bytes(call: Call, wanted: Wanted, layout: Layout) -> Iterator[bytes]:
    for text in task_selection.texts(call.services.store, wanted, layout):
        yield text.encode()


def _format(call: Call) -> ExportFormat:
    """The format asked for under either spelling; both optional parameters about resources are only checked."""
    for name in ("download_resources", "interpolate_key_frames"):
        flag(call, name, False)
    return task_export.export_format(call.query("export_type") or call.query("exportType") or ExportFormat.JSON)


def _selection(call: Call) -> Selection:
    return Selection(
        annotated=not flag(call, "download_all_tasks", False),
        answered=flag(call, "only_annotated", False),
        ids=_ids(call),
    )


def _ids(call: Call) -> tuple[int, ...] | None:
    """The tasks asked for under either spelling, repeated or between commas; None when the request names none."""
    found: set[int] = set()
    given = [*call.queries("ids[]"), *call.queries("ids")]
    for text in (part.strip() for value in given for part in value.split(",")):
        if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > MAX_ID:
            raise invalid("ids", f"'{text[:40]}' is not the id of a task")
        found.add(int(text))
    return tuple(sorted(found)) if given else None


def file_name(project: int, digest: str, format: ExportFormat) -> str:
    """The name of a file as Label Studio gives it; `digest` is eight hexadecimal digits."""
    now = datetime.now(UTC).strftime("%Y-%m-%d-%H-%M")
    return f"project-{project}-at-{now}-{digest}.{format.extension}"


def file_headers(name: str) -> dict[str, str]:
    """The two headers from which clients take a file's name."""
    return {"Content-Disposition": f'attachment; filename="{name}"', "filename": name}


@dialect.route("GET", "/api/projects/{project}/export/formats")
async def list_formats(call: Call) -> Response:
    """The formats by name; those that do not fit the label config, or that are not built, are disabled."""
    number = call.number("project")
    dataset = await call.read(lambda tx: tasks.load_project(tx, call.who, number, Permission.VIEW_LABELS))
    config = config_of(dataset)
    formats: list[dict[str, object]] = [
        {
            "title": TITLES.get(format, format.value),
            "description": DESCRIPTIONS[format],
            "link": "",
            "name": format.value,
            **({} if task_export.fits(config, format) else {"disabled": True}),
        }
        for format in ExportFormat
    ]
    formats += [
        {"title": name.replace("_", " "), "description": "Not built.", "link": "", "name": name, "disabled": True}
        for name in UNBUILT_FORMATS
    ]
    return json_answer(formats)
