"""The views of a run as a task and as a comment, and of both as a run; `core.content` chooses among them."""

import json
from collections.abc import Collection, Mapping
from typing import Any

Properties = dict[str, str | int | float]


def text(run: Mapping[str, Any]) -> str:
    """What a classifier reads of a run: its input and its output."""
    return "\n".join(part for part in (_input(run), _output(run)) if part)


def properties(run: Mapping[str, Any]) -> Properties:
    """What can be filtered by: the properties of the output's source, or else of the input's, and the rating."""
    found: Properties = {}
    for source in (run.get("input_source"), _object(run, "output").get("source")):
        given = source.get("properties") if isinstance(source, Mapping) else None
        for key, value in given.items() if isinstance(given, Mapping) else ():
            if isinstance(value, str):
                found[f"string:{key}"] = value
            elif isinstance(value, int | float):
                found[f"number:{key}"] = value
    value = _object(_object(run, "output"), "rating").get("value")
    return found if value is None else found | {"number:rating": value}


def messages(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The run as the messages of a comment: what was put in, then what came out."""
    return [{"body": {"text": part}} for part in (_input(run), _output(run))]


def as_task(run: Mapping[str, Any]) -> dict[str, Any]:
    """The run as the data of a task."""
    return {
        **{name.partition(":")[2]: value for name, value in properties(run).items()},
        "input": _input(run),
        "output": _output(run),
    }


def of_texts(input_text: str, output_text: str, created_at: str) -> dict[str, Any]:
    """A run that was sent as something else: its texts, and nothing known of where they come from."""
    return {
        "created_at": created_at,
        "created_by": "",
        "input": input_text,
        "input_source": None,
        "output": {
            "v": 1,
            "id": None,
            "path": None,
            "created_at": created_at,
            "created_by": "",
            "output": output_text,
            "source": None,
            "rating": None,
            "model_type": "task_output",
        },
        "repair_instructions": None,
        "repaired_output": None,
        "intermediate_outputs": None,
        "tags": [],
        "usage": None,
        "cumulative_usage": None,
        "synthetic_user_usage": None,
        "trace": None,
        "parent_task_run_id": None,
        "eval_source": None,
        "model_type": "task_run",
    }


def hide(run: Mapping[str, Any], names: Collection[str], mask: str) -> None:
    """Hide the properties named, in place: texts read as the mask, what is not a text is left out."""
    bare = {name.partition(":")[2] or name for name in names}
    outputs = (_object(run, "output"), _object(run, "repaired_output"))
    for source in (run.get("input_source"), *(output.get("source") for output in outputs)):
        given = source.get("properties") if isinstance(source, Mapping) else None
        if not isinstance(given, dict):
            continue
        for key in [key for key in given if key in bare]:
            if isinstance(given[key], str):
                given[key] = mask
            else:
                del given[key]


def dumps(value: object) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _input(run: Mapping[str, Any]) -> str:
    value = run.get("input")
    return value if isinstance(value, str) else ""


def _output(run: Mapping[str, Any]) -> str:
    value = _object(run, "output").get("output")
    return value if isinstance(value, str) else ""


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}
