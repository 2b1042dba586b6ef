"""Between the wire and the domain: comments, labels, datasets, streams. Pure functions."""

import json
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from operator import attrgetter

import msgspec
from msgspec import Raw

from headrace.core import content
from headrace.core.annotations import Annotation, Assigned
from headrace.core.datasets import SEPARATOR, Dataset, Label
from headrace.core.errors import Invalid
from headrace.core.models import Predicted
from headrace.core.records import NewRecord, Record, key_of
from headrace.core.sources import Source
from headrace.core.streams import Stream
from headrace.core.times import format_timestamp, parse_timestamp
from headrace.dialects.communications_mining import wire, wire_datasets
from headrace.dialects.communications_mining.boundary import read_instant, to_hex, uid_of

SERVER_KEYS = ("context", "uid", "source_id", "created_at", "last_modified", "has_annotations")
NOT_SENT = (None,) * len(SERVER_KEYS)
server_values = attrgetter(*SERVER_KEYS)
PLAIN = '"text_format":"plain",'
COMMENT = content.Kind.COMMENT
TEXT_PARTS = ("body", "subject", "signature")
MARKUP_KEYS = ("text_markup", "translated_from_markup")
TextKeys = Mapping[int, tuple[str, ...]]


class _RawComments(msgspec.Struct):
    comments: list[Raw]


def new_records(body: bytes, checked: wire.Comments) -> list[NewRecord]:
    """The comments of an upload as records: their bytes as sent, completed only where an answer demands it."""
    raw = msgspec.json.decode(body, type=_RawComments).comments
    return [_new_record(comment, str(text, "utf-8")) for comment, text in zip(checked.comments, raw, strict=True)]


def _new_record(comment: wire.Comment, text: str) -> NewRecord:
    timestamp = read_instant(comment.timestamp, "timestamp")
    check_properties(comment.user_properties)
    instants = [message.sent_at for message in comment.messages if message.sent_at is not None]
    for instant in instants:
        read_instant(instant, "sent_at")
    if "null" not in text and _as_answered(comment, instants):
        stored = text if comment.text_format else "{" + PLAIN + text.lstrip()[1:]
    else:
        stored = _completed(text)
    return NewRecord(comment.id, content.Kind.COMMENT, stored, None, timestamp)


def check_properties(properties: Mapping[str, str | int | float] | None) -> None:
    """Raise Invalid unless every user property is named `string:X` or `number:X` and holds such a value."""
    for name, value in (properties or {}).items():
        kind = name.partition(":")[0]
        if kind not in ("string", "number") or len(name) < 8:
            raise Invalid(
                f"user_properties: '{name[:80]}' must start with string: or number: and have a name",
                fields={"user_properties": name[:80]},
            )
        if isinstance(value, str) is not (kind == "string"):
            raise Invalid(f"user_properties: '{name[:80]}' must be a {kind}", fields={"user_properties": name[:80]})


def _as_answered(comment: wire.Comment, instants: Sequence[str]) -> bool:
    """True when the comment's own text may stand in an answer: RFC 3339 dates everywhere, no server keys."""
    if server_values(comment) != NOT_SENT or not _zoned(comment.timestamp):
        return False
    return not instants or all(map(_zoned, instants))


def _zoned(instant: str) -> bool:
    return "T" in instant and instant[16:17] == ":" and (instant[-1] == "Z" or instant[-6] in "+-")


def _completed(text: str) -> str:
    """The comment without what only the server says and without nulls, every time with a zone."""
    comment = json.loads(text)
    kept = {key: value for key, value in comment.items() if key not in SERVER_KEYS and value is not None}
    kept["timestamp"] = _with_zone(kept["timestamp"])
    for message in kept["messages"]:
        if message.get("sent_at") is not None:
            message["sent_at"] = _with_zone(message["sent_at"])
    kept.setdefault("text_format", "plain")
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def _with_zone(instant: str) -> str:
    return instant if _zoned(instant) else format_timestamp(parse_timestamp(instant))


def comment_json(record: Record, text_keys: TextKeys) -> str:
    """A record as the JSON text of a comment, what only the server knows spliced behind what was sent."""
    key, source_id, body = key_of(record), record.source_id, record.body
    if record.kind != COMMENT:
        body = content.as_comment(record.kind, body, key, record.timestamp, text_keys.get(source_id, ()))
    return (
        f"{body.rstrip()[:-1]},"
        f'"uid":{quoted(uid_of(source_id, key))},'
        f'"source_id":"{source_id:016x}",'
        f'"created_at":"{format_timestamp(record.created_at)}",'
        f'"last_modified":"{format_timestamp(record.modified_at)}",'
        f'"context":"{record.version}",'
        f'"has_annotations":{"true" if record.annotated else "false"}}}'
    )


def without_markup(text: str) -> str:
    """A comment's JSON text without the markup of its texts."""
    if '_markup"' not in text and "\\u" not in text:
        return text
    comment = json.loads(text)
    parts = [part for message in comment["messages"] for name in TEXT_PARTS if (part := message.get(name))]
    removed = [part.pop(name, None) for part in parts for name in MARKUP_KEYS if name in part]
    return json.dumps(comment, ensure_ascii=False, separators=(",", ":")) if removed else text


def comment_raw(record: Record, text_keys: TextKeys) -> Raw:
    """A record as a comment, ready to stand inside an answer."""
    return Raw(comment_json(record, text_keys).encode())


def assigned_labels(labels: Sequence[wire_datasets.AssignedLabel] | None) -> tuple[Assigned, ...] | None:
    """Labels of a labelling request; None stays None."""
    if labels is None:
        return None
    return tuple(Assigned(label_name(label.name), label.sentiment) for label in labels)


def label_name(name: str | list[str]) -> str:
    """A label's name as text, whichever way it was sent."""
    return name if isinstance(name, str) else SEPARATOR.join(name)


def label_parts(name: str) -> list[str]:
    """A label's name as the list of its parts."""
    return name.split(SEPARATOR)


def assigned_json(labels: Iterable[Assigned]) -> list[dict[str, str]]:
    """Assigned labels in answers; sentiment always, also in datasets without it."""
    return [{"name": label.name, "sentiment": label.sentiment} for label in labels]


def predicted_json(labels: Iterable[Predicted], *, as_text: bool = False) -> list[dict[str, object]]:
    """Predicted labels in answers: names as lists, or as text in an export."""
    found: list[dict[str, object]] = []
    for label in labels:
        item: dict[str, object] = {
            "name": label.name if as_text else label_parts(label.name),
            "probability": label.probability,
        }
        if label.sentiment is not None:
            item["sentiment"] = label.sentiment
        found.append(item)
    return found


def labelling_json(annotation: Annotation | None) -> list[dict[str, object]]:
    """The labelling of a record: one group, as every dataset has."""
    judgement = annotation.judgement if annotation else None
    return [
        {
            "group": "default",
            "assigned": assigned_json(judgement.labels if judgement else ()),
            "dismissed": assigned_json(judgement.dismissed if judgement else ()),
        }
    ]


def source_json(source: Source) -> dict[str, object]:
    """A source in answers."""
    settings = source.settings
    found: dict[str, object] = {
        "id": to_hex(source.id),
        "owner": source.project,
        "name": source.name,
        "title": source.title,
        "description": source.description,
        "language": settings.get("language", "en"),
        "should_translate": settings.get("should_translate", False),
        "sensitive_properties": settings.get("sensitive_properties", []),
        "_kind": settings.get("_kind", "unknown"),
        "created_at": format_timestamp(source.created_at),
        "updated_at": format_timestamp(source.updated_at),
        "last_modified": format_timestamp(source.updated_at),
    }
    bucket_id, tag = settings.get("bucket_id"), settings.get("email_transform_tag")
    if isinstance(bucket_id, int):
        found["bucket_id"] = to_hex(bucket_id)
    return found | ({"email_transform_tag": tag} if tag is not None else {})


def label_json(label: Label) -> dict[str, object]:
    """A label definition in answers."""
    return {"name": label.name, "title": label.title, "instructions": label.instructions, **label.definition}


def dataset_json(dataset: Dataset, labels: Sequence[Label]) -> dict[str, object]:
    """A dataset in answers."""
    definitions = [label_json(label) for label in labels]
    settings = dataset.settings
    found: dict[str, object] = {
        "id": to_hex(dataset.id),
        "owner": dataset.project,
        "name": dataset.name,
        "title": dataset.title,
        "description": dataset.description,
        "created": format_timestamp(dataset.created_at),
        "last_modified": format_timestamp(dataset.updated_at),
        "model_family": dataset.model_family,
        "has_sentiment": dataset.has_sentiment,
        "source_ids": [to_hex(source_id) for source_id in dataset.source_ids],
        "entity_defs": settings.get("entity_defs", []),
        "general_fields": settings.get("general_fields", []),
        "label_defs": definitions,
        "label_groups": [{"name": "default", "label_defs": definitions}],
        "_dataset_flags": settings.get("_dataset_flags", []),
    }
    if settings.get("_model_config") is not None:
        found["_model_config"] = settings["_model_config"]
    return found


def stream_json(stream: Stream) -> dict[str, object]:
    """A stream in answers; a model always with its (perhaps empty) list of thresholds."""
    found: dict[str, object] = {
        "id": to_hex(stream.id),
        "dataset_id": to_hex(stream.dataset_id),
        "name": stream.name,
        "title": stream.title,
        "description": stream.description,
        "created_at": format_timestamp(stream.created_at),
        "updated_at": format_timestamp(stream.updated_at),
        "context": str(stream.changes),
    }
    if stream.filter is not None:
        found["comment_filter"] = stream.filter
    if stream.version is not None:
        thresholds = [{"name": label_parts(name), "threshold": value} for name, value in stream.thresholds]
        found["model"] = {"version": stream.version, "label_thresholds": thresholds}
    return found
