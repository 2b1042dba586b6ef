"""The data manager's columns."""

from starlette.responses import Response

from headrace.core import task_columns
from headrace.core.task_columns import COLUMNS, Kind
from headrace.dialects.kit import Call, json_answer
from headrace.dialects.label_studio.boundary import dialect, invalid
from headrace.dialects.label_studio.queries import number
from headrace.dialects.label_studio.summaries import summary_of
from headrace.dialects.label_studio.translate import Json

HIDDEN = frozenset({"inner_id", "annotations_ids", "updated_by", "storage_filename", "draft_exists", "exceptions"})


@dialect.route("GET", "/api/dm/columns")
async def list_columns(call: Call) -> Response:
    """The columns of a project's task list: those of every task, and the keys that its tasks' data have."""
    project = number(call, "project")
    if project is None:
        raise invalid("project", "This field is required.")
    keys = list((await summary_of(call, project))[1].columns)
    parent: Json = {
        "id": "data",
        "title": "data",
        "type": Kind.LIST,
        "target": "tasks",
        "children": keys,
        "visibility_defaults": {"explore": True, "labeling": True},
    }
    columns = [_column(name, column.title, column.kind, hidden=name in HIDDEN) for name, column in COLUMNS.items()]
    own = [{**_column(key, key, task_columns.UNKNOWN, hidden=False), "parent": "data"} for key in keys]
    return json_answer({"columns": [*columns, parent, *own]})


def _column(name: str, title: str, kind: str, *, hidden: bool) -> Json:
    return {
        "id": name,
        "title": title,
        "type": kind,
        "target": "tasks",
        "parent": None,
        "visibility_defaults": {"explore": not hidden, "labeling": name == "id"},
    }
