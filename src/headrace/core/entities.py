"""Entities: values such as dates, amounts and order numbers that stand in the texts of a record.

A dataset's settings define which are looked for; where they stand is counted in characters and in bytes of UTF-16.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

ENTITY_RULES_VERSION = 1
"""Counts the changes of what the built-in kinds find or how they write it down."""

MAX_LINEAGE = 16
CONTENT_PARTS = ("subject", "body", "signature")


class Kind(StrEnum):
    """The built-in kinds."""

    DATE = "date"
    MONEY = "money"
    EMAIL = "email"
    URL = "url"
    PHONE = "phone"


KIND_NAMES = {
    "date": Kind.DATE,
    "money": Kind.MONEY,
    "monetary-quantity": Kind.MONEY,
    "email": Kind.EMAIL,
    "e-mail": Kind.EMAIL,
    "email-address": Kind.EMAIL,
    "e-mail-address": Kind.EMAIL,
    "url": Kind.URL,
    "phone": Kind.PHONE,
    "phone-number": Kind.PHONE,
    "telephone-number": Kind.PHONE,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A value of an entity and the spellings it has in texts."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """What is looked for under a name: a built-in kind, patterns (RE2), choices, or several of them.

    `region` (ISO 3166, two letters, or empty) says whose phone numbers, dates and dollars are meant.
    """

    name: str
    kind: Kind | None = None
    patterns: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    region: str = ""
    field_id: str | None = None

    @property
    def finds(self) -> bool:
        """True when there is something to look for."""
        return bool(self.kind or self.patterns or self.choices)


class Hit(NamedTuple):
    """A find in one text: the place of its definition in the list, its value, and where it stands in characters."""

    definition: int
    value: str
    start: int
    end: int


class Entity(NamedTuple):
    """A find in a comment."""

    name: str
    value: str
    field_id: str | None
    message_index: int
    content_part: str
    char_start: int
    char_end: int
    utf16_byte_start: int
    utf16_byte_end: int


class Part(NamedTuple):
    """One text of a comment."""

    message_index: int
    content_part: str
    text: str


class Extractor(Protocol):
    """Finds entities outside this process."""

    def extract(self, definitions: Sequence[Definition], texts: Sequence[str]) -> list[list[Hit]]:
        """The finds in each text, by where they stand; raises Unavailable."""


def kind_of(name: str) -> Kind | None:
    """The built-in kind of that name, however it is spelled."""
    return KIND_NAMES.get("-".join(name.casefold().replace("_", " ").split()))


def definitions(settings: Mapping[str, object]) -> tuple[Definition, ...]:
    """What a dataset's settings define: its entities, then its general fields, as far as there is a rule for them."""
    raw: list[dict[str, Any]] = settings.get("entity_defs") or []  # type: ignore[assignment]
    fields: list[dict[str, Any]] = settings.get("general_fields") or []  # type: ignore[assignment]
    known = {str(item[key]): item for key in ("name", "id") for item in raw}
    found = [_entity(item, known) for item in raw]
    entities = {str(item[key]): entity for key in ("name", "id") for item, entity in zip(raw, found, strict=True)}
    return tuple(item for item in (*found, *(_field(field, entities) for field in fields)) if item.finds)


def of_comments(wanted: Sequence[Definition], comments: Sequence[str], extractor: Extractor) -> list[list[Entity]]:
    """The entities in each comment (JSON text), by message, part and place."""
    if not wanted:
        return [[] for _ in comments]
    split = [parts(comment) for comment in comments]
    hits = iter(extractor.extract(wanted, [part.text for some in split for part in some]))
    return [[entity for part in some for entity in _placed(wanted, part, next(hits))] for some in split]


def parts(comment: str) -> list[Part]:
    """The texts of a comment that may hold entities: subject, body and signature of each message."""
    found = []
    for index, message in enumerate(json.loads(comment).get("messages", ())):
        for name in CONTENT_PARTS:
            part = message.get(name)
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                found.append(Part(index, name, part["text"]))
    return found


def utf16_bytes(text: str, place: int) -> int:
    """How many bytes of UTF-16 stand before a character."""
    return len(text[:place].encode("utf-16-le", "surrogatepass"))


def _placed(wanted: Sequence[Definition], part: Part, hits: Sequence[Hit]) -> list[Entity]:
    return [
        Entity(
            name=wanted[hit.definition].name,
            value=hit.value,
            field_id=wanted[hit.definition].field_id,
            message_index=part.message_index,
            content_part=part.content_part,
            char_start=hit.start,
            char_end=hit.end,
            utf16_byte_start=utf16_bytes(part.text, hit.start),
            utf16_byte_end=utf16_bytes(part.text, hit.end),
        )
        for hit in hits
    ]


def _entity(raw: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> Definition:
    """A definition with what it inherits; its own name says what it is only when nothing else does."""
    found = Definition(name=str(raw["name"]))
    for item in _lineage(raw, known):
        found = replace(found, kind=found.kind or kind_of(item)) if isinstance(item, str) else _with_rules(found, item)
    if found.finds:
        return found
    return replace(found, kind=kind_of(found.name) or kind_of(str(raw.get("title", ""))))


def _lineage(raw: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any] | str]:
    """The definition and what it inherits from, near before far, each once: definitions, or names of kinds."""
    found: dict[str, Mapping[str, Any] | str] = {str(raw["id"]): raw}
    for item in (waiting := [raw]):
        for name in map(str, item.get("inherits_from") or ()):
            parent = known.get(name)
            key = name if parent is None else str(parent["id"])
            if key in found or len(found) >= MAX_LINEAGE:
                continue
            found[key] = name if parent is None else parent
            waiting.extend([] if parent is None else [parent])
    return list(found.values())


def _field(raw: Mapping[str, Any], entities: Mapping[str, Definition]) -> Definition:
    """A general field finds what the entity of its type does, or the built-in kind that its type names."""
    name, field_id = str(raw["api_name"]), str(raw["field_id"])
    types = [str(raw[key]) for key in ("field_type_id", "field_type_name") if raw.get(key)]
    for known in types:
        if known in entities:
            return replace(entities[known], name=name, field_id=field_id)
    kinds = [kind for kind in map(kind_of, types) if kind]
    return Definition(name=name, field_id=field_id, kind=kinds[0] if kinds else None)


def _with_rules(found: Definition, raw: Mapping[str, Any]) -> Definition:
    """The definition with the rules of another one beside its own."""
    rules = raw.get("rules")
    if not isinstance(rules, dict):
        return found
    return replace(
        found,
        patterns=(*found.patterns, *patterns(rules.get("regex"))),
        choices=(*found.choices, *_choices(rules.get("choices"))),
        region=found.region or str(rules.get("region") or ""),
    )


def patterns(regex: object) -> list[str]:
    """The patterns of a rule: a text, `{"pattern"}` or `{"templates": [{"pattern"}]}`; of anything else, none."""
    if isinstance(regex, str):
        return [regex]
    if not isinstance(regex, dict):
        return []
    found = [item.get("pattern") for item in (regex, *_dicts(regex.get("templates")))]
    return [pattern for pattern in found if isinstance(pattern, str)]


def _choices(choices: object) -> list[Choice]:
    found = [(item.get("name"), item.get("values")) for item in _dicts(choices)]
    return [Choice(name=str(name), values=tuple(map(str, some))) for name, some in found if isinstance(some, list)]


def _dicts(items: object) -> list[dict[str, Any]]:
    # Rules were once stored as they came.
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
