"""Replays requests that were recorded with the original against a server of ours, and tells how its answers differ.

`examples.json` holds each request with the status and the shape of the original's answer: an object by its keys, a
list by its first item, anything else by its type.
"""

import ast
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from label_studio_api import choice, imported, make_project
from starlette.testclient import TestClient

EXAMPLES = json.loads((Path(__file__).parent / "examples.json").read_text())
FILES = {
    "csv": "text,id\na,1\nb,2\n",
    "tsv": "text\tn\na\t1\n",
    "json": '[{"text": "j"}]',
    "txt": "one\ntwo\n",
    "exe": "MZ",
    "jsonl": '{"text": "l"}\n',
}
CONTENTS = {
    "import_csv_semicolon": "text;n\na;1\n",
    "import_jsonfile_bad": "[{",
    "import_emptyfile": "",
    "import_csv_headeronly": "text,n\n",
}
MADE = {
    "project_create": ("project", 3),
    "a_project_create": ("project", 6),
    "anno_create": ("annotation", 2),
    "pred_create": ("prediction", 4),
    "draft_create": ("draft", 1),
    "view_create": ("view", 1),
    "snap_create": ("export", 1),
    "files_nocommit": ("upload", 13),
    "a_array": ("import", 1),
    "a_ids": ("import", 2),
    "a_single": ("import", 3),
    "a_full": ("import", 4),
    "a_csv": ("import", 8),
    "a_multi": ("import", 10),
    "a_nocommit": ("import", 11),
    "a_form": ("import", 14),
    "a_predbad": ("import", 15),
}
"""What an answer gives an id to, with the id that the original gave."""

PLACES = (
    ("project", r"(/api/projects/|\bproject=)(\d+)"),
    ("task", r"(/api/tasks/|\b(?:task|ids(?:\[\])?)=)(\d+)"),
    ("annotation", r"(/api/annotations/)(\d+)"),
    ("prediction", r"(/api/predictions/)(\d+)"),
    ("draft", r"(/api/drafts/)(\d+)"),
    ("view", r"(\bview=)(\d+)"),
    ("export", r"(/exports/)(\d+)"),
    ("upload", r"(/file-upload/|\bids=\[)(\d+)"),
    ("import", r"(/imports/)(\d+)"),
)
FIELDS = {
    "project": "project",
    "task": "task",
    "tasks": "task",
    "included": "task",
    "file_upload_ids": "upload",
    "value": "task",
    "min": "task",
    "max": "task",
}
LABEL_CONFIG = next(item["request"]["json"]["label_config"] for item in EXAMPLES if item["name"] == "project_create")
KINDS = {bool: "bool", int: "number", float: "number", str: "str", dict: "object", list: "list"}
OLD_TASKS = range(29, 36)


class Difference(NamedTuple):
    """How an answer differs from the original's: in its status, or in what lacks or is of another type, by its path."""

    status: int
    shape: tuple[str, ...]


class Replay:
    """A session with a server: which of its ids stand for the original's, and the last token it was given."""

    def __init__(self, api: TestClient) -> None:
        self.api = api
        self.ids: dict[tuple[str, int], int] = {}
        self.token = ""

    def begin(self, project: int, *, annotated: bool = False) -> None:
        """A project with seven tasks, perhaps five annotated, in the place of the original's of that number."""
        made = make_project(self.api, label_config=LABEL_CONFIG)
        self.ids["project", project] = made
        said = [{"result": choice("Positive"), "unique_id": "u"}] if annotated else []
        data = [{"text": f"t{number}", "n": number} for number in range(len(OLD_TASKS))]
        sent: list[dict[str, Any]] = [{"data": item, "annotations": said if item["n"] < 5 else []} for item in data]
        sent[0]["predictions"] = [{"result": choice("Positive"), "score": 0.5}]
        numbers = imported(self.api, made, sent)["task_ids"]
        self.ids |= {("task", old): new for old, new in zip(OLD_TASKS, numbers, strict=True)}

    def play(self, example: dict[str, Any]) -> Difference | None:
        """Send a request as it was recorded; None when the answer has the status and the shape of the original's."""
        answer = self._send(example["name"], example["request"])
        body = answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else None
        if example["name"] in MADE and answer.status_code < 300:
            self.ids[MADE[example["name"]]] = body.get("import") or body.get("id") or body["file_upload_ids"][0]
        if isinstance(body, dict):
            self.token = str(body.get("token") or body.get("refresh") or self.token)
        shape = tuple(differences(example["shape"], body, "")) if example["shape"] is not None else ()
        if (answer.status_code, shape) == (example["status"], ()):
            return None
        return Difference(answer.status_code, shape if answer.status_code == example["status"] else ())

    def _send(self, name: str, request: dict[str, Any]) -> Any:
        options: dict[str, Any] = {"headers": {"Prefer": "wait=30"} if not name.startswith("a_") else {}}
        if "files" in request:
            options["files"] = [
                (field, (file, CONTENTS.get(name, FILES[file.rsplit(".", 1)[1]]))) for field, file in request["files"]
            ]
        elif "form" in request:
            options["data"] = request["form"]
        elif "body" in request:
            kind = "text/plain" if name == "import_text_plain" else "application/json"
            options["content"] = ast.literal_eval(request["body"])
            options["headers"]["Content-Type"] = kind
        elif "json" in request:
            options["json"] = self._body(request["json"], None)
        if "refresh" in str(request.get("json")):
            options["json"] = {"refresh": self.token if request["json"]["refresh"] == "<jwt>" else "zzz"}
        return self.api.request(request["method"], self._path(request["path"]), **options)

    def _path(self, path: str) -> str:
        for kind, pattern in PLACES:
            path = re.sub(pattern, lambda found, kind=kind: found[1] + self._known(kind, found[2]), path)  # type: ignore[misc]
        stem, mark, query = path.partition("query=")
        return stem + mark + json.dumps(self._body(json.loads(query), None)) if query[:1] == "{" else path

    def _known(self, kind: str, number: str) -> str:
        return str(self.ids.get((kind, int(number)), int(number)))

    def _body(self, value: Any, kind: str | None) -> Any:
        if isinstance(value, dict):
            return {name: self._body(item, FIELDS.get(name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self._body(item, kind) for item in value]
        known = isinstance(value, int) and not isinstance(value, bool) and kind is not None
        return self.ids.get((str(kind), value), value) if known else value


def differences(shape: Any, got: Any, path: str) -> list[str]:
    """What of a shape an answer has not; where the original had null or an empty list, anything will do."""
    if isinstance(shape, dict):
        if not isinstance(got, dict):
            return [f"{path}: not an object"]
        missing = [f"{path}.{name}" for name in shape if name not in got]
        found = (differences(shape[name], got[name], f"{path}.{name}") for name in shape if name in got)
        return missing + [item for part in found for item in part]
    if isinstance(shape, list):
        if not isinstance(got, list) or (shape and not got):
            return [f"{path}: {'empty' if got == [] else 'not a list'}"]
        return differences(shape[0], got[0], f"{path}[]") if shape else []
    kind = KINDS.get(type(got), "null")
    return [] if shape in ("null", kind) else [f"{path}: {kind}, not {shape}"]
