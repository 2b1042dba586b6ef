"""What a label configuration demands of a Label Studio task, and where its text stands.

The wording is Label Studio's, because people search for it. The number of the item is the caller's to add.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.core.label_config import SHOWN_CHARACTERS, DataKey, LabelConfig, shown

_TEXT_TAGS = frozenset({"Text", "HyperText", "Header", "Paragraphs", "Chat"})
_MISSING = object()

NOT_A_TASK = 'Task root must be dict with "data", "meta", "annotations", "predictions" fields'
BARE = "[assume: item as is = task root with values] "
ENVELOPE = '[assume: item["data"] = task root with values]'


@dataclass(frozen=True, kw_only=True)
class TaskFault:
    """Why a task does not fit: the data key at fault, if it is about one, and the text for people."""

    key: str | None
    text: str


def task_problem(config: LabelConfig, data: object) -> str | None:
    """Why decoded task data does not fit (a missing key, a wrong type), or None when it does."""
    fault = data_fault(config, data)
    return fault.text if fault else None


def item_problem(config: LabelConfig, item: object) -> str | None:
    """Why a whole import item, bare data or envelope, cannot become a task; None when it can."""
    fault = item_fault(config, item)
    return fault.text if fault else None


def data_fault(config: LabelConfig, data: object) -> TaskFault | None:
    """The first data key that decoded task data lacks or holds with a wrong type, or None."""
    values = data if isinstance(data, dict) else {}
    for key in config.required:
        value = values.get(key.name, _MISSING)
        if value is _MISSING:
            value = _nested(values, key.name)
        if not isinstance(value, key.types):
            return _fault(key, value)
    return None


def item_fault(config: LabelConfig, item: object) -> TaskFault | None:
    """Like `item_problem`, with the data key at fault."""
    if not isinstance(item, dict):
        root = item[:SHOWN_CHARACTERS] if isinstance(item, str) else shown(item)
        return TaskFault(key=None, text=f"{NOT_A_TASK} :: {root}")
    if "data" not in item:
        fault, assumed = data_fault(config, item), BARE
    else:
        problem = envelope_problem(item)
        if problem is not None:
            return TaskFault(key=None, text=f"{problem} :: {shown(item)}")
        fault, assumed = data_fault(config, item["data"]), ENVELOPE
    if fault is None:
        return None
    return TaskFault(key=fault.key, text=f"{fault.text} {assumed} :: {shown(item)}")


def envelope_problem(item: Mapping[str, object]) -> str | None:
    """Why an envelope's `data`, `meta`, `annotations`, `predictions` or `drafts` is misshapen, or None."""
    if not isinstance(item.get("data"), dict | list):
        return "Task[data] must be dict or list"
    if not isinstance(item.get("meta"), dict | None):
        return "Task[meta] must be dict"
    for field, noun in (("annotations", "Annotation"), ("predictions", "Prediction"), ("drafts", "Draft")):
        judgements = item.get(field)
        if judgements:
            problem = _judgements_problem(judgements, field, noun)
            if problem is not None:
                return problem
    return None


def _judgements_problem(judgements: object, field: str, noun: str) -> str | None:
    """What an export writes comes in again: predictions and drafts as bare ids, annotations with null for a result."""
    if not isinstance(judgements, list):
        return f"Task[{field}] must be list"
    for judgement in judgements:
        if field != "annotations" and isinstance(judgement, int):
            continue
        if not isinstance(judgement, dict):
            return f"{noun} must be dict"
        if "result" not in judgement:
            return f'{noun} must have "result" fields'
        if field != "predictions" and not isinstance(judgement["result"], list | None):
            return f'"result" field in {noun.lower()} must be list'
    return None


def _nested(values: Mapping[str, object], name: str) -> object:
    """The value at a dotted path, or _MISSING."""
    found: object = values
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return _MISSING
        found = found[part]
    return found


def _fault(key: DataKey, value: object) -> TaskFault:
    if value is _MISSING:
        return TaskFault(key=key.name, text=f'"{key.name}" key is expected in task data')
    accepted = [kind.__name__ for kind in key.types]
    text = (
        f"data['{key.name}']={shown(value)} is of type '{type(value).__name__}', "
        f"but the object tag {key.tag} expects the following types: {accepted}"
    )
    return TaskFault(key=key.name, text=text)


def text_keys(config: LabelConfig) -> tuple[str, ...]:
    """The data keys whose values are a task's text, in the order shown."""
    found = (tag.variable.partition("[")[0] for tag in config.objects if tag.type in _TEXT_TAGS and tag.variable)
    return tuple(dict.fromkeys(found))
