"""The views of a record: as a task, a comment, a run, and as the text and properties a model or a filter reads.

Pure functions, exact for the record's own kind and sensible for the others. A record's body is JSON text as it
was sent: the `data` object of a task, the whole comment of a comment, a run's document.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from headrace.core import run_content
from headrace.core.times import format_timestamp


class Kind(StrEnum):
    """What a record was sent as."""

    TASK = "task"
    COMMENT = "comment"
    RUN = "run"
    MESSAGE = "message"


MASK = "***"
TURN_KEYS = ("text", "content")
Properties = dict[str, str | int | float]


def text(kind: str, body: str, text_keys: Sequence[str] = ()) -> str:
    """What a classifier reads of a record: subject and bodies of a comment, the text fields of a task."""
    value = json.loads(body)
    if kind == Kind.COMMENT:
        return "\n".join(_message_text(message) for message in value.get("messages", ()))
    if kind == Kind.RUN:
        return run_content.text(value)
    return task_text(value, text_keys)


def task_text(data: object, text_keys: Sequence[str]) -> str:
    """The text of a task's data: the values under the keys named, or every string when none is named."""
    if not isinstance(data, dict):
        return "\n".join(_strings(data))
    if not text_keys:
        return "\n".join(value for value in data.values() if isinstance(value, str))
    return "\n".join(part for key in text_keys for part in _strings(lookup(data, key)))


def lookup(data: Mapping[str, object], path: str) -> object:
    """The value under a dotted path, or None; a key that contains the dots itself wins."""
    if path in data:
        return data[path]
    value: object = data
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


class Facts(NamedTuple):
    """What can be filtered by inside a record's body: typed properties, addresses, attachments' content types."""

    properties: Properties
    senders: Sequence[str] = ()
    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    attachments: Sequence[str] = ()


def facts(kind: str, body: str, text_keys: Sequence[str] = (), needs: Collection[str] = Facts._fields) -> Facts:
    """A record's facts: a comment's user properties, addresses and attachments; a task's other scalar fields.

    A comment's lists are empty where the needs do not name them.
    """
    value = json.loads(body)
    if kind == Kind.RUN:
        return Facts(properties=run_content.properties(value))
    if kind != Kind.COMMENT:
        return Facts(properties=task_properties(value, text_keys))
    messages = value["messages"]
    return Facts(
        properties=value.get("user_properties") or {},
        senders=[message["from"] for message in messages if message.get("from")] if "senders" in needs else (),
        to=_addresses(messages, "to") if "to" in needs else (),
        cc=_addresses(messages, "cc") if "cc" in needs else (),
        bcc=_addresses(messages, "bcc") if "bcc" in needs else (),
        attachments=[attachment["content_type"] for attachment in value.get("attachments") or ()],
    )


def _addresses(messages: Sequence[Mapping[str, Sequence[str]]], role: str) -> list[str]:
    return [address for message in messages for address in message.get(role) or ()]


def task_properties(data: object, text_keys: Sequence[str]) -> Properties:
    """A task's scalar fields beside its text, as `string:` and `number:` properties."""
    found: Properties = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        if key in text_keys or value is None:
            continue
        if isinstance(value, bool):
            found[f"string:{key}"] = str(value).lower()
        elif isinstance(value, str):
            found[f"string:{key}"] = value
        elif isinstance(value, (int, float)):
            found[f"number:{key}"] = value
    return found


def as_comment(kind: str, body: str, comment_id: str, timestamp: int, text_keys: Sequence[str] = ()) -> str:
    """The record as the JSON text of a comment, without what only the server knows (uid, times, counters)."""
    if kind == Kind.COMMENT:
        return body
    data = json.loads(body)
    is_run = kind == Kind.RUN
    comment = {
        "id": comment_id,
        "timestamp": format_timestamp(timestamp),
        "messages": run_content.messages(data) if is_run else [{"body": {"text": task_text(data, text_keys)}}],
        "text_format": "plain",
        "user_properties": run_content.properties(data) if is_run else task_properties(data, text_keys),
    }
    return json.dumps(comment, ensure_ascii=False, separators=(",", ":"))


def masked(kind: str, body: str, names: Collection[str]) -> str:
    """The body with the values of the properties named (`string:X`, `number:X`, or X for both) hidden.

    Texts read `***`; what is not a text is left out, because every number would be a lie.
    """
    value = json.loads(body)
    if kind == Kind.RUN:
        run_content.hide(value, names, MASK)
        return run_content.dumps(value)
    fields = value.get("user_properties") if kind == Kind.COMMENT and isinstance(value, dict) else value
    if not isinstance(fields, dict):
        return body
    bare = {name.partition(":")[2] or name for name in names} if kind != Kind.COMMENT else names
    for key in [key for key in fields if key in bare or key.partition(":")[2] in bare]:
        if isinstance(fields[key], str):
            fields[key] = MASK
        else:
            del fields[key]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_task(kind: str, body: str, text_keys: Sequence[str] = ()) -> str:
    """The record as the JSON text of a task's data object."""
    if kind in (Kind.TASK, Kind.MESSAGE):
        return body
    if kind == Kind.RUN:
        return run_content.dumps(run_content.as_task(json.loads(body)))
    comment = json.loads(body)
    data: dict[str, object] = {
        name.partition(":")[2]: value for name, value in (comment.get("user_properties") or {}).items()
    }
    data[text_keys[0] if text_keys else "text"] = text(kind, body)
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def as_run(kind: str, body: str, timestamp: int, text_keys: Sequence[str] = ()) -> str:
    """The record as the JSON text of a run, without what only the server knows (v, id, path).

    A task with the texts `input` and `output` has both; anything else is all input.
    """
    if kind == Kind.RUN:
        return body
    value = json.loads(body)
    given, told = (value.get("input"), value.get("output")) if isinstance(value, dict) else (None, None)
    if kind != Kind.TASK or not (isinstance(given, str) and isinstance(told, str)):
        given, told = text(kind, body, text_keys), ""
    return run_content.dumps(run_content.of_texts(given, told, format_timestamp(timestamp)))


def _message_text(message: Mapping[str, object]) -> str:
    parts = [message.get("subject"), message.get("body")]
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, Mapping) and part.get("text"))


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [value[key] for key in TURN_KEYS if isinstance(value.get(key), str)][:1]
    if isinstance(value, list):
        return [part for item in value for part in _strings(item)]
    return [] if value is None or isinstance(value, bool) else [str(value)]
