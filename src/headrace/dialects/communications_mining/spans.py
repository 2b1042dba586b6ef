"""Entities that people mark in a comment: their spans, counted in characters and in bytes of UTF-16."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.core.errors import Invalid
from headrace.dialects.communications_mining import wire_datasets


def entities_json(entities: Sequence[wire_datasets.Entity], comment: str) -> list[dict[str, object]]:
    """Entities as they are stored and answered, each span complete; raises Invalid for one outside the comment."""
    messages = json.loads(comment).get("messages", []) if entities else []
    return [_entity(entity, messages) for entity in entities]


def _entity(entity: wire_datasets.Entity, messages: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    spans = [_span(span, _part(span, messages)) for span in entity.spans]
    found: dict[str, object] = {
        "name": entity.name,
        "formatted_value": entity.formatted_value,
        "spans": spans,
    }
    return found | ({"field_id": entity.field_id} if entity.field_id is not None else {})


def _part(span: wire_datasets.EntitySpan, messages: Sequence[Mapping[str, Any]]) -> str:
    """The text that a span lies in."""
    if not 0 <= span.message_index < len(messages):
        raise Invalid("entities: message_index names no message of the comment", fields={"message_index": ""})
    part = messages[span.message_index].get(span.content_part)
    text = part.get("text") if isinstance(part, dict) else None
    if not isinstance(text, str):
        raise Invalid(
            f"entities: the message has no {span.content_part[:40]}", fields={"content_part": span.content_part[:40]}
        )
    return text


def _span(span: wire_datasets.EntitySpan, text: str) -> dict[str, object]:
    start, end = (
        _character(span.utf16_byte_start, span.char_start, text),
        _character(span.utf16_byte_end, span.char_end, text),
    )
    if not 0 <= start <= end <= len(text):
        raise Invalid("entities: a span lies outside its text", fields={"char_start": start, "char_end": end})
    return {
        "content_part": span.content_part,
        "message_index": span.message_index,
        "char_start": start,
        "char_end": end,
        "utf16_byte_start": len(text[:start].encode("utf-16-le", "surrogatepass")),
        "utf16_byte_end": len(text[:end].encode("utf-16-le", "surrogatepass")),
    }


def _character(byte: int | None, character: int | None, text: str) -> int:
    """The place of a span's edge in characters, from bytes where they are given."""
    if byte is None:
        if character is None:
            raise Invalid("entities: a span needs utf16_byte_start and utf16_byte_end", fields={"utf16_byte_start": ""})
        return character
    encoded = text.encode("utf-16-le", "surrogatepass")
    try:
        found = len(encoded[:byte].decode("utf-16-le"))
    except UnicodeDecodeError:
        found = -1
    if not 0 <= byte <= len(encoded) or found < 0:
        raise Invalid("entities: a span's edge lies inside a character or outside its text", fields={"byte": byte})
    return found
