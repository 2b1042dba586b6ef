"""The one filter language of streams, queries, statistics and export.

A filter is an AND of what it says; what it does not say restricts nothing. Its JSON form, which the database keeps,
is the comment filter of Communications Mining. Four decisions where that form leaves a choice:

- A record without a property never matches a condition on it, not even `not_one_of`. Addresses, labels and
  exceptions are lists every record has: `one_of` asks for any of them, `not_one_of` for none, also of an empty list.
- An empty object restricts nothing; an empty `one_of` is the empty set, which nothing is in.
- Addresses, domains and content types compare without regard to case, everything else exactly, numbers by value.
- `trigger_exceptions` has the form of `annotations.labels`, over exception types; and the attribute filters of a
  query may also stand inside the filter, as `attribute_filters`, so that every filter has a JSON form.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from headrace.core.errors import Invalid
from headrace.core.times import format_timestamp, parse_timestamp

T = TypeVar("T")
Number = int | float


class RecordView(NamedTuple):
    """What a filter can see of a record; `timestamp` in microseconds.

    `labels` are the names assigned, or predicted while nobody reviewed the record; `exceptions` their types;
    `attachments` one content type each; `properties` are keyed `string:X` and `number:X`.
    """

    source_id: int
    timestamp: int
    properties: Mapping[str, str | Number]
    senders: Collection[str] = ()
    to: Collection[str] = ()
    cc: Collection[str] = ()
    bcc: Collection[str] = ()
    reviewed: bool = False
    labels: Collection[str] = ()
    exceptions: Collection[str] = ()
    attachments: Collection[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PropertyCondition:
    """What a property's value must satisfy; bounds are inclusive, domains are those of an e-mail address."""

    key: str
    one_of: frozenset[str | Number] | None = None
    not_one_of: frozenset[str | Number] | None = None
    minimum: Number | None = None
    maximum: Number | None = None
    domain_one_of: frozenset[str] | None = None
    domain_not_one_of: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SetCondition:
    """What a record's labels or exception types must satisfy."""

    one_of: frozenset[str] | None = None
    not_one_of: frozenset[str] | None = None


class Role(StrEnum):
    """Whose addresses a condition speaks of; a recipient is anyone in to, cc or bcc."""

    FROM = "from"
    TO = "to"
    CC = "cc"
    BCC = "bcc"
    RECIPIENT = "recipient"


@dataclass(frozen=True, kw_only=True, slots=True)
class AddressCondition:
    """What the addresses of one role must satisfy; the sets are in lower case."""

    role: Role
    one_of: frozenset[str] | None = None
    not_one_of: frozenset[str] | None = None
    domain_one_of: frozenset[str] | None = None
    domain_not_one_of: frozenset[str] | None = None


class Attribute(StrEnum):
    """What an attribute filter speaks of."""

    LABELS = "labels"
    ATTACHMENT_TYPES = "attachment_property_types"
    ATTACHMENT_COUNT = "attachment_property_num_attachments"


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributeCondition:
    """What an attribute must satisfy: `any_of` for names, inclusive bounds for the number of attachments."""

    attribute: Attribute
    any_of: frozenset[str] | None = None
    minimum: Number | None = None
    maximum: Number | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """A filter; None and () restrict nothing. Bounds are inclusive and in microseconds.

    Properties and addresses hold at most one condition per key or role, in the order of their names.
    """

    reviewed: bool | None = None
    minimum: int | None = None
    maximum: int | None = None
    sources: frozenset[int] | None = None
    properties: tuple[PropertyCondition, ...] = ()
    addresses: tuple[AddressCondition, ...] = ()
    labels: SetCondition = SetCondition()
    exceptions: SetCondition = SetCondition()
    attributes: tuple[AttributeCondition, ...] = ()


Predicate = Callable[[RecordView], bool]
Reader = Callable[[object, str], Any]
_STRING, _NUMBER = "string:", "number:"
_ONE_TO_ONE = ("reviewed", "properties", "labels", "exceptions")
_ROLE_FIELDS: Mapping[Role, tuple[str, ...]] = {
    Role.FROM: ("senders",),
    Role.TO: ("to",),
    Role.CC: ("cc",),
    Role.BCC: ("bcc",),
    Role.RECIPIENT: ("to", "cc", "bcc"),
}
_ATTRIBUTE_FIELDS = {
    Attribute.LABELS: "labels",
    Attribute.ATTACHMENT_TYPES: "attachments",
    Attribute.ATTACHMENT_COUNT: "attachments",
}


def is_empty(filter: Filter) -> bool:
    """True when the filter says nothing and so lets every record through."""
    return filter == Filter()


def needs(filter: Filter) -> frozenset[str]:
    """The fields of RecordView that decide; a view for this filter may leave the others at their defaults."""
    empty = Filter()
    found = {name for name in _ONE_TO_ONE if getattr(filter, name) != getattr(empty, name)}
    if filter.minimum is not None or filter.maximum is not None:
        found.add("timestamp")
    if filter.sources is not None:
        found.add("source_id")
    found.update(field for condition in filter.addresses for field in _ROLE_FIELDS[condition.role])
    found.update(_ATTRIBUTE_FIELDS[condition.attribute] for condition in filter.attributes)
    return frozenset(found)


def matches(filter: Filter, view: RecordView) -> bool:
    """Whether the record satisfies everything the filter says; `compile` is faster for many records."""
    return compile(filter)(view)


def compile(filter: Filter) -> Predicate:
    """The filter as one function from a record's view to whether it matches."""
    tests = [
        *_own_tests(filter),
        *map(_property_test, filter.properties),
        *(test for condition in filter.addresses for test in _address_tests(condition)),
        *_set_tests(filter.labels, lambda view: view.labels),
        *_set_tests(filter.exceptions, lambda view: view.exceptions),
        *(test for condition in filter.attributes for test in _attribute_tests(condition)),
    ]
    return _all(tests)


def _all(tests: Sequence[Callable[[T], bool]]) -> Callable[[T], bool]:
    if len(tests) == 1:
        return tests[0]

    def all_hold(value: T) -> bool:
        for test in tests:  # noqa: SIM110 - a generator would cost more than most tests
            if not test(value):
                return False
        return True

    return all_hold


def _own_tests(filter: Filter) -> Iterable[Predicate]:
    reviewed, minimum, maximum, sources = filter.reviewed, filter.minimum, filter.maximum, filter.sources
    if sources is not None:
        yield lambda view: view.source_id in sources
    if minimum is not None:
        yield lambda view: view.timestamp >= minimum
    if maximum is not None:
        yield lambda view: view.timestamp <= maximum
    if reviewed is not None:
        yield lambda view: view.reviewed is reviewed


def _property_test(condition: PropertyCondition) -> Predicate:
    key = condition.key
    # The exact classes: bool is a subclass of int, and True would equal 1.
    classes = frozenset({str}) if key.startswith(_STRING) else frozenset({int, float})
    test = _all(list(_value_tests(condition)))

    def holds(view: RecordView) -> bool:
        value: Any = view.properties.get(key)
        return value.__class__ in classes and test(value)

    return holds


def _value_tests(condition: PropertyCondition) -> Iterable[Callable[[Any], bool]]:
    one_of, not_one_of = condition.one_of, condition.not_one_of
    minimum, maximum = condition.minimum, condition.maximum
    domains, other_domains = condition.domain_one_of, condition.domain_not_one_of
    if one_of is not None:
        yield one_of.__contains__
    if not_one_of is not None:
        yield lambda value: value not in not_one_of
    if minimum is not None:
        yield lambda value: value >= minimum
    if maximum is not None:
        yield lambda value: value <= maximum
    if domains is not None:
        yield lambda value: not domains.isdisjoint(_domains((value,)))
    if other_domains is not None:
        yield lambda value: other_domains.isdisjoint(_domains((value,)))


def _address_tests(condition: AddressCondition) -> Iterable[Predicate]:
    fields = _ROLE_FIELDS[condition.role]

    def addresses(view: RecordView) -> list[str]:
        return [address.lower() for field in fields for address in getattr(view, field)]

    whole = SetCondition(one_of=condition.one_of, not_one_of=condition.not_one_of)
    domain = SetCondition(one_of=condition.domain_one_of, not_one_of=condition.domain_not_one_of)
    yield from _set_tests(whole, addresses)
    yield from _set_tests(domain, lambda view: _domains(addresses(view)))


def _set_tests(condition: SetCondition, of: Callable[[RecordView], Collection[str]]) -> Iterable[Predicate]:
    one_of, not_one_of = condition.one_of, condition.not_one_of
    if one_of is not None:
        yield lambda view: not one_of.isdisjoint(of(view))
    if not_one_of is not None:
        yield lambda view: not_one_of.isdisjoint(of(view))


def _attribute_tests(condition: AttributeCondition) -> Iterable[Predicate]:
    any_of, minimum, maximum = condition.any_of, condition.minimum, condition.maximum
    if any_of is not None and condition.attribute is Attribute.LABELS:
        yield lambda view: not any_of.isdisjoint(view.labels)
    elif any_of is not None:
        yield lambda view: not any_of.isdisjoint(map(str.lower, view.attachments))
    if minimum is not None:
        yield lambda view: len(view.attachments) >= minimum
    if maximum is not None:
        yield lambda view: len(view.attachments) <= maximum


def _domains(addresses: Iterable[str]) -> list[str]:
    """The lower-case domains of the addresses that have one, also of the form `Name <user@domain>`."""
    return [address.rpartition("@")[2].rstrip("> ").lower() for address in addresses if "@" in address]


def parse(value: Mapping[str, object], *, where: str = "comment_filter") -> Filter:
    """The filter a JSON object describes; Invalid names the field that is unknown or of the wrong type."""
    said = _read(value, where, _FILTER)
    return Filter(
        reviewed=said.get("reviewed"),
        **said.get("timestamp", {}),
        sources=said.get("sources"),
        properties=said.get("user_properties", ()),
        addresses=said.get("messages", ()),
        labels=said.get("annotations", {}).get("labels", SetCondition()),
        exceptions=said.get("trigger_exceptions", SetCondition()),
        attributes=said.get("attribute_filters", ()),
    )


def parse_attributes(value: object, *, where: str = "attribute_filters") -> tuple[AttributeCondition, ...]:
    """The attribute filters of a query, for `Filter.attributes`; raises Invalid like `parse`."""
    return tuple(_attribute(item, f"{where}[{index}]") for index, item in enumerate(_items(value, where)))


def to_json(filter: Filter) -> dict[str, object]:
    """The JSON object from which `parse` makes an equal filter."""
    bounds = {"minimum": filter.minimum, "maximum": filter.maximum}
    parts: dict[str, object] = {
        "reviewed": _REVIEWED_NAMES[filter.reviewed],
        "timestamp": {name: format_timestamp(at) for name, at in bounds.items() if at is not None},
        "user_properties": {condition.key: _said(condition) for condition in filter.properties},
        "messages": {condition.role.value: _said(condition) for condition in filter.addresses},
        "annotations": {"labels": _said(filter.labels)} if filter.labels != SetCondition() else {},
        "trigger_exceptions": _said(filter.exceptions),
        "attribute_filters": [_attribute_json(condition) for condition in filter.attributes],
    }
    found = {name: part for name, part in parts.items() if part}
    if filter.sources is not None:
        found["sources"] = [f"{source:016x}" for source in sorted(filter.sources)]
    return found


def _said(condition: PropertyCondition | AddressCondition | SetCondition) -> dict[str, object]:
    """The parts of a condition that are given, sets as sorted lists."""
    values = {name: getattr(condition, name, None) for name in _STRING_CONDITION | _NUMBER_CONDITION}
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in values.items()
        if value is not None
    }


def _attribute_json(condition: AttributeCondition) -> dict[str, object]:
    kind, _ = _ATTRIBUTES[condition.attribute]
    any_of = None if condition.any_of is None else sorted(condition.any_of)
    values = {"any_of": any_of, "minimum": condition.minimum, "maximum": condition.maximum}
    given = {name: value for name, value in values.items() if value is not None}
    return {"attribute": condition.attribute.value, "filter": {"kind": kind, **given}}


def _read(value: object, path: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """An object with no other keys than the readers', each value read by its own."""
    members = _object(value, path)
    for name in members:
        if name not in readers:
            raise _invalid(_join(path, name[:_LONGEST_KEY]), f"unknown; known are {', '.join(readers)}")
    return {name: readers[name](member, _join(path, name)) for name, member in members.items()}


def _properties(value: object, path: str) -> tuple[PropertyCondition, ...]:
    found = []
    for key, condition in sorted(_object(value, path).items()):
        place = f'{path}["{key[:_LONGEST_KEY]}"]'
        if not key.startswith((_STRING, _NUMBER)):
            raise _invalid(place, "a property is named string:<name> or number:<name>")
        readers = _STRING_CONDITION if key.startswith(_STRING) else _NUMBER_CONDITION
        if said := _read(condition, place, readers):
            found.append(PropertyCondition(key=key, **said))
    return tuple(found)


def _messages(value: object, path: str) -> tuple[AddressCondition, ...]:
    conditions = _read(value, path, {role.value: _address_condition for role in Role})
    return tuple(AddressCondition(role=Role(role), **said) for role, said in sorted(conditions.items()) if said)


def _address_condition(value: object, path: str) -> dict[str, frozenset[str]]:
    return _read(value, path, _ADDRESS_CONDITION)


def _attribute(value: object, path: str) -> AttributeCondition:
    members = _read(value, path, {"attribute": _named({item.value: item for item in Attribute}), "filter": _object})
    for name in ("attribute", "filter"):
        if name not in members:
            raise _invalid(_join(path, name), "required, but missing")
    attribute = members["attribute"]
    kind, readers = _ATTRIBUTES[attribute]
    place = _join(path, "filter")
    if members["filter"].get("kind") != kind:
        raise _invalid(_join(place, "kind"), f"must be {kind} for {attribute.value}")
    # The `re` client writes a bound that is not set as null.
    given = {name: value for name, value in members["filter"].items() if value is not None}
    said = _read(given, place, {"kind": _text, **readers})
    return AttributeCondition(attribute=attribute, **{name: said[name] for name in readers if name in said})


def _object(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _invalid(path, "must be an object")
    return value


def _items(value: object, path: str) -> list[object]:
    if not isinstance(value, list):
        raise _invalid(path, "must be a list")
    return value


def _each(read: Reader) -> Reader:
    """A reader of lists of what `read` reads, as a frozenset."""
    return lambda value, path: frozenset(
        read(item, f"{path}[{index}]") for index, item in enumerate(_items(value, path))
    )


def _set_condition(read: Reader) -> Reader:
    readers = {"one_of": _each(read), "not_one_of": _each(read)}
    return lambda value, path: SetCondition(**_read(value, path, readers))


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise _invalid(path, "must be a string")
    return value


def _lower(value: object, path: str) -> str:
    return _text(value, path).lower()


def _label(value: object, path: str) -> str:
    """A label's name, written as text or as the list of its parts."""
    if not isinstance(value, list):
        return _text(value, path)
    return " > ".join(_text(part, f"{path}[{index}]") for index, part in enumerate(value))


def _number(value: object, path: str) -> Number:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _invalid(path, "must be a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise _invalid(path, "must be a finite number")
    return value


def _instant(value: object, path: str) -> int:
    try:
        return parse_timestamp(_text(value, path))
    except Invalid as error:
        raise _invalid(path, "must be an ISO 8601 timestamp") from error


def _source(value: object, path: str) -> int:
    if _SOURCE_ID.fullmatch(_text(value, path)) is None:
        raise _invalid(path, "must be a source id of 16 hexadecimal digits")
    return int(_text(value, path), 16)


def _named(values: Mapping[str, object]) -> Reader:
    """A reader of one of a few names, as the value it stands for."""

    def read(value: object, path: str) -> object:
        if _text(value, path) not in values:
            raise _invalid(path, f"must be one of {', '.join(values)}")
        return values[_text(value, path)]

    return read


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _invalid(path: str, reason: str) -> Invalid:
    return Invalid(f"{path}: {reason}", fields={"path": path, "reason": reason})


_REVIEWED_NAMES = {True: "only_reviewed", False: "only_unreviewed", None: ""}
_SOURCE_ID = re.compile(r"[0-7][0-9a-f]{15}", re.IGNORECASE | re.ASCII)
_LONGEST_KEY = 100

_DOMAIN_CONDITION = {"domain_one_of": _each(_lower), "domain_not_one_of": _each(_lower)}
_STRING_CONDITION = {"one_of": _each(_text), "not_one_of": _each(_text), **_DOMAIN_CONDITION}
_ADDRESS_CONDITION = {"one_of": _each(_lower), "not_one_of": _each(_lower), **_DOMAIN_CONDITION}
_NUMBER_CONDITION = {
    "one_of": _each(_number),
    "not_one_of": _each(_number),
    "minimum": _number,
    "maximum": _number,
}
_ATTRIBUTES: Mapping[Attribute, tuple[str, Mapping[str, Reader]]] = {
    Attribute.LABELS: ("string_any_of", {"any_of": _each(_label)}),
    Attribute.ATTACHMENT_TYPES: ("string_any_of", {"any_of": _each(_lower)}),
    Attribute.ATTACHMENT_COUNT: ("number_range", {"minimum": _number, "maximum": _number}),
}
_BOUNDS = {"minimum": _instant, "maximum": _instant}
_FILTER: Mapping[str, Reader] = {
    "reviewed": _named({name: reviewed for reviewed, name in _REVIEWED_NAMES.items() if name}),
    "timestamp": lambda value, path: _read(value, path, _BOUNDS),
    "sources": _each(_source),
    "user_properties": _properties,
    "messages": _messages,
    "annotations": lambda value, path: _read(value, path, {"labels": _set_condition(_label)}),
    "trigger_exceptions": _set_condition(_text),
    "attribute_filters": lambda value, path: parse_attributes(value, where=path),
}
