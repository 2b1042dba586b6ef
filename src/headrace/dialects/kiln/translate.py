"""From domain objects to Kiln's, and from its bodies to run documents."""

import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headrace.core import content, run_values
from headrace.core.feedback import Feedback
from headrace.core.origins import Origin
from headrace.core.projects import Project
from headrace.core.records import Record
from headrace.core.run_tasks import RunTask
from headrace.core.run_values import Document
from headrace.core.runs import Check
from headrace.core.times import format_timestamp
from headrace.core.users import User
from headrace.decode import encode
from headrace.dialects.kiln import schemas, wire
from headrace.dialects.kiln.boundary import issue, rule, unprocessable, validated

Json = dict[str, Any]

TASK_SCHEMAS = ("output_json_schema", "input_json_schema")
INCLUDABLE = ("updated_at", "external_id")
NOT_SINGLE_TURN = "parent_task_run_id is only valid on multi-turn tasks. This task's turn_mode is single_turn."
INPUT_MISMATCH = "Input does not match task input schema."
OUTPUT_MISMATCH = (
    "This task requires a specific output schema. While the model produced JSON, that JSON didn't meet the schema. "
    "Search 'Troubleshooting Structured Data Issues' in our docs for more information."
)
REPAIR_MISMATCH = "Repaired output does not match task output schema."
UNKNOWN_AUTHOR = "headrace"


def fresh_id() -> str:
    """An id for an object inside another one: twelve digits, as Kiln makes them."""
    return str(100_000_000_000 + secrets.randbelow(900_000_000_000))


def now_text() -> str:
    """This instant as Kiln writes it."""
    return format_timestamp(time.time_ns() // 1000)


def file_name(text: str) -> str:
    """A name in which what Kiln does not allow is replaced, for objects that were named elsewhere."""
    bare = re.sub(r"[\s_]+", " ", re.sub(r"[/\\?%*:|\"<>.,;=\n]", " ", text)).strip()
    return bare[:120].strip() or "unnamed"


def origin_json(origin: Origin | None) -> Json:
    """What is said of an object's origin beside it."""
    return {"origin": None if origin is None else origin._asdict()}


def project_json(project: Project, origin: Origin | None = None) -> Json:
    """A project, with the date and the author it has where it came from."""
    return {
        "v": 1,
        "id": str(project.id),
        "path": None,
        "created_at": origin.created_at if origin else format_timestamp(project.created_at),
        "created_by": origin.created_by if origin else UNKNOWN_AUTHOR,
        "name": file_name(project.title or project.name),
        "description": project.description or None,
        "model_type": "project",
    }


def definition_of(task: RunTask) -> Json:
    """What a task says of itself; for a dataset that was made through another API, what can be said of it."""
    name = file_name(task.dataset.title or task.dataset.name)
    derived: Json = {"name": name, "description": task.dataset.description or None, "instruction": name}
    return wire.Task.model_construct(**derived).model_dump(mode="json") | dict(task.definition)


def task_json(task: RunTask, creator: User | None, origin: Origin | None = None) -> Json:
    """A task, with the date and the author it has where it came from."""
    said = definition_of(task)
    return {
        "v": 1,
        "id": str(task.dataset.id),
        "path": None,
        "created_at": origin.created_at if origin else format_timestamp(task.dataset.created_at),
        "created_by": origin.created_by if origin else creator.username if creator else UNKNOWN_AUTHOR,
        **{name: said[name] for name in wire.Task.model_fields},
        "model_type": "task",
    }


def checked_task(body: Mapping[str, Any]) -> Json:
    """A whole task as it is stored; raises Unprocessable. Requirements without an id get one."""
    given = dict(body)
    if isinstance(given.get("requirements"), list):
        given["requirements"] = [
            {**item, "id": item.get("id") or fresh_id()} if isinstance(item, dict) else item
            for item in given["requirements"]
        ]
    task = validated(wire.Task, given)
    for name in TASK_SCHEMAS:
        text = getattr(task, name)
        problem = None if text is None else schemas.problem(text, array_allowed=name == "input_json_schema")
        if problem:
            raise unprocessable(issue("value_error", (name,), f"Value error, {problem}", text, error=problem))
    return task.model_dump(mode="json")


def new_document(body: wire.NewRun) -> Document:
    """The document of a run that a model made."""
    properties = {name: getattr(body, name) for name in ("model_name", "model_provider", "adapter_name")}
    source = {"type": wire.SourceType.SYNTHETIC, "properties": properties}
    output: Document = {"output": body.output, "source": source}
    if body.rating is not None:
        output["rating"] = run_values.merged({}, body.rating)
    return {"input": body.input, "input_source": source, "output": output, "tags": body.tags or []}


def upserted_document(body: Mapping[str, Any]) -> Document:
    """A partial run, from one or from the flat form in which runs are made."""
    if isinstance(body.get("output"), str):
        return new_document(validated(wire.NewRun, body, "body"))
    return dict(body)


def checker(author: str, change: Mapping[str, Any], run_id: int = 0) -> Check:
    """Validates a run that somebody changes or makes; an id in the change must be the run's own."""

    def check(document: Document, task: RunTask) -> Document:
        if "id" in change and change["id"] != str(run_id):
            raise unprocessable(issue("value_error", ("id",), "The id of a run cannot be changed", change["id"]))
        run = validated(wire.Run, _stamped(document, author))
        problem = _task_problem(run, task)
        if problem:
            raise rule(problem)
        return run.model_dump(mode="json")

    return check


def _stamped(document: Document, author: str) -> Document:
    """The document with id, date and author in each of its objects that has none."""
    given = {"created_at": now_text(), "created_by": author}
    whole = given | document
    for name in ("output", "repaired_output"):
        output = whole.get(name)
        if isinstance(output, dict):
            whole[name] = given | {"id": fresh_id()} | output
            if isinstance(output.get("rating"), dict):
                whole[name]["rating"] = given | {"id": fresh_id()} | output["rating"]
    return whole


def _task_problem(run: wire.Run, task: RunTask) -> str | None:
    """Why a valid run does not fit its task, or None."""
    if run.parent_task_run_id is not None and not task.multi_turn:
        return NOT_SINGLE_TURN
    wanted_in, wanted_out = (task.definition.get(f"{side}_json_schema") for side in ("input", "output"))
    problem = schemas.mismatch(wanted_in, run.input, what="Input", said=INPUT_MISMATCH) if wanted_in else None
    if problem or not wanted_out:
        return problem
    problem = schemas.mismatch(wanted_out, run.output.output, what="Output", said=OUTPUT_MISMATCH)
    if problem or run.repaired_output is None:
        return problem
    return schemas.mismatch(wanted_out, run.repaired_output.output, what="Repaired output", said=REPAIR_MISMATCH)


def run_text(record: Record, text_keys: Sequence[str] = (), include: Iterable[str] = ()) -> str:
    """A record as a run, spliced from its stored text; a run that was only imagined has no id."""
    body = content.as_run(record.kind, record.body, record.timestamp, text_keys)
    quoted = f'"{record.id}"' if record.id else "null"
    extra = "".join(f',"{name}":{_extra(record, name)}' for name in include)
    return f'{{"v":1,"id":{quoted},"path":null,{body[1:-1]}{extra}}}'


def _extra(record: Record, name: str) -> str:
    value = format_timestamp(record.modified_at) if name == "updated_at" else record.external_id
    return encode(value).decode()


def etag(record: Record) -> str:
    """The run's version, for conditional requests."""
    return f'"{record.id}-{record.version}"'


def feedback_json(feedback: Feedback, author: User | None, origin: Origin | None) -> Json:
    """Feedback on a run, with the date and the author it has where it came from."""
    return {
        "v": 1,
        "id": str(feedback.id),
        "path": None,
        "created_at": origin.created_at if origin else format_timestamp(feedback.created_at),
        "created_by": origin.created_by if origin else author.username if author else UNKNOWN_AUTHOR,
        "feedback": feedback.text,
        "source": feedback.origin,
        "model_type": "feedback",
    }
