"""Filters and orders of the task list: how they are read, and what they mean. Pure functions.

The JSON form is that of Label Studio's data manager. A column has values: none, one, or several (the annotators).
One meaning serves every column and both databases: a condition holds when *any* value satisfies it, its `not_` form
when none does, and `empty` when there is no value but "". Texts compare without regard to case in `contains`,
`starts_with` and `ends_with`, exactly elsewhere. What has no value comes last in either order.

A condition that integers decide becomes an `IndexTest`, which storage answers without reading a task's data; the
others are tested on the values of each task.
"""

import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from headrace.core.errors import Invalid
from headrace.core.task_columns import (
    BIGGEST,
    COLUMNS,
    UNKNOWN,
    Kind,
    Scalar,
    column_name,
    number_of,
    text_of,
    truth_of,
)
from headrace.core.times import parse_timestamp

MAX_ITEMS = 100
MAX_LIST = 10_000
MAX_SELECTED = 1_000_000
MAX_ORDERS = 10
MAX_PATTERN = 1_000


INTEGERS = frozenset(
    {"id", "inner_id", "created_at", "total_annotations", "cancelled_annotations", "total_predictions"}
)
INDEXED = INTEGERS | {"annotators"}
AUTHORS = "authors"


class Base(StrEnum):
    """What a condition asks of one value."""

    EQUAL = "equal"
    LESS = "less"
    GREATER = "greater"
    LESS_OR_EQUAL = "less_or_equal"
    GREATER_OR_EQUAL = "greater_or_equal"
    IN = "in"
    IN_LIST = "in_list"
    EMPTY = "empty"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    REGEX = "regex"


OPERATORS: Mapping[str, tuple[Base, bool]] = {
    **{base.value: (base, False) for base in Base},
    "not_equal": (Base.EQUAL, True),
    "not_in": (Base.IN, True),
    "not_in_list": (Base.IN_LIST, True),
    "not_contains": (Base.CONTAINS, True),
    "exists": (Base.EMPTY, True),
    "not_exists": (Base.EMPTY, False),
}
"""Every operator as what it asks of one value, and whether no value may satisfy it."""

COMPARED = frozenset({Base.LESS, Base.GREATER, Base.LESS_OR_EQUAL, Base.GREATER_OR_EQUAL, Base.IN})
WORDED = frozenset({Base.CONTAINS, Base.STARTS_WITH, Base.ENDS_WITH, Base.REGEX})
SUITED: Mapping[Kind, frozenset[Base]] = {
    Kind.NUMBER: COMPARED | {Base.EQUAL, Base.IN_LIST, Base.EMPTY},
    Kind.DATETIME: COMPARED | {Base.EQUAL, Base.IN_LIST, Base.EMPTY},
    Kind.STRING: WORDED | {Base.EQUAL, Base.IN_LIST, Base.EMPTY},
    Kind.BOOLEAN: frozenset({Base.EQUAL, Base.EMPTY}),
    Kind.LIST: frozenset({Base.EQUAL, Base.CONTAINS, Base.IN_LIST, Base.EMPTY}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One condition on a column. `members` are what equality asks for, `low` and `high` inclusive or open bounds,
    `text` is what a wording asks for."""

    column: str
    kind: Kind
    base: Base
    negated: bool = False
    members: frozenset[Scalar] = frozenset()
    low: int | float | None = None
    high: int | float | None = None
    text: str = ""

    def holds(self, values: Sequence[Scalar]) -> bool:
        """Whether the values of a task's column satisfy the condition; not for a regex, which takes its time."""
        return any(map(self._holds_of_one(), values)) is not self.negated

    def _holds_of_one(self) -> Callable[[Scalar], bool]:
        if self.base in (Base.EQUAL, Base.IN_LIST):
            return self.members.__contains__
        if self.base is Base.EMPTY:
            return lambda value: value != ""
        wanted = self.text.casefold()
        if self.base is Base.CONTAINS:
            return lambda value: wanted in str(value).casefold()
        if self.base is Base.STARTS_WITH:
            return lambda value: str(value).casefold().startswith(wanted)
        if self.base is Base.ENDS_WITH:
            return lambda value: str(value).casefold().endswith(wanted)
        return self._within

    def _within(self, value: Scalar) -> bool:
        assert not isinstance(value, str), "numbers and times alone are compared"
        above = self.low is None or (value > self.low if self.base is Base.GREATER else value >= self.low)
        below = self.high is None or (value < self.high if self.base is Base.LESS else value <= self.high)
        return above and below


Item = tuple[Condition, ...]
"""Conditions that must all hold: a filter with its child filters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Items of which all must hold, or any."""

    any: bool
    items: tuple[Item, ...]


class Order(NamedTuple):
    """A column to order by, and which way."""

    column: str
    descending: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskQuery:
    """Which tasks are wanted, in which order: every group must hold; of ids only those included, if any are named,
    and none of those excluded."""

    groups: tuple[Group, ...] = ()
    ordering: tuple[Order, ...] = ()
    included: frozenset[int] | None = None
    excluded: frozenset[int] = frozenset()

    @property
    def restricts(self) -> bool:
        """True when not every task is wanted."""
        return bool(self.groups or self.excluded) or self.included is not None

    @property
    def columns(self) -> frozenset[str]:
        """The columns it speaks of."""
        said = (condition.column for group in self.groups for item in group.items for condition in item)
        return frozenset((*said, *(order.column for order in self.ordering)))


class IndexTest(NamedTuple):
    """A condition on integers that an index answers: within bounds, or among members unless that is None.

    `column` is one of INDEXED, or AUTHORS: how many different people have annotated the task.
    """

    column: str
    low: int | None
    high: int | None
    members: frozenset[int] | None
    negated: bool


IndexGroup = tuple[tuple[IndexTest, ...], ...]
"""Alternatives, each of tests that must all hold."""

ANNOTATED = Group(
    any=False,
    items=((Condition(column="total_annotations", kind=Kind.NUMBER, base=Base.GREATER_OR_EQUAL, low=1),),),
)
"""What leaves the tasks with an annotation that was not skipped."""


def parse(query: object) -> TaskQuery:
    """The query of decoded JSON with `filters`, `ordering` and `selectedItems`, each of which may be absent or null.

    Raises Invalid naming the column, the operator or the value at fault.
    """
    if not isinstance(query, dict):
        raise _invalid("query", "the query must be a JSON object")
    included, excluded = parse_selected(query.get("selectedItems"))
    return TaskQuery(
        groups=_groups(query.get("filters")),
        ordering=_ordering(query.get("ordering")),
        included=included,
        excluded=excluded,
    )


def both(first: TaskQuery, second: TaskQuery) -> TaskQuery:
    """What satisfies both queries; the second's order and selection are taken where it has any."""
    selects = second.included is not None or second.excluded
    chosen = second if selects else first
    return TaskQuery(
        groups=first.groups + second.groups,
        ordering=second.ordering or first.ordering,
        included=chosen.included,
        excluded=chosen.excluded,
    )


def split(query: TaskQuery, overlap: int) -> tuple[list[IndexGroup], list[Group]]:
    """What indexes decide, and the groups that are left; `overlap` people complete a task."""
    tests: list[IndexGroup] = []
    left: list[Group] = []
    for group in query.groups:
        items = [[index_test(condition, overlap) for condition in item] for item in group.items]
        if group.any:
            known = tuple(tuple(test for test in item if test) for item in items)
            if all(len(found) == len(item) for found, item in zip(known, group.items, strict=True)):
                tests.append(known)
            else:
                left.append(group)
            continue
        tests += [((test,),) for item in items for test in item if test]
        pairs = [pair for item, found in zip(group.items, items, strict=True) for pair in zip(item, found, strict=True)]
        rest = tuple((condition,) for condition, test in pairs if test is None)
        left += [Group(any=False, items=rest)] if rest else []
    return tests, left


def index_test(condition: Condition, overlap: int) -> IndexTest | None:
    """The condition as a test of integers, or None when it is more than that."""
    column, negated = condition.column, condition.negated
    if column == "completed_at" and condition.base is Base.EMPTY:
        return IndexTest(AUTHORS, overlap, None, None, negated)
    if column not in INDEXED:
        return None
    if condition.base is Base.EMPTY:
        return IndexTest(column, None, None, None, negated)
    if condition.base in COMPARED:
        low, high = _bounds(condition)
        return IndexTest(column, low, high, None, negated)
    members = (value for value in condition.members if not isinstance(value, str) and value == int(value))
    return IndexTest(column, None, None, frozenset(int(value) for value in members if abs(value) <= BIGGEST), negated)


def _bounds(condition: Condition) -> tuple[int | None, int | None]:
    """The inclusive integers that a comparison with any number comes to."""
    low, high = condition.low, condition.high
    least = None if low is None else math.floor(low) + 1 if condition.base is Base.GREATER else math.ceil(low)
    most = None if high is None else math.ceil(high) - 1 if condition.base is Base.LESS else math.floor(high)
    return _clamped(least), _clamped(most)


def _clamped(value: int | None) -> int | None:
    return None if value is None else max(-BIGGEST, min(value, BIGGEST))


def parse_selected(value: object) -> tuple[frozenset[int] | None, frozenset[int]]:
    """The ids of `selectedItems` that alone are wanted (None: all are), and those that are not; raises Invalid."""
    if value is None:
        return None, frozenset()
    if not isinstance(value, dict) or not isinstance(value.get("all", False), bool):
        raise _invalid("selectedItems", 'selectedItems must be {"all": false, "included": [..]} or {"all": true, ..}')
    if value.get("all", False):
        return None, _ids(value.get("excluded"), "excluded")
    return _ids(value.get("included"), "included"), frozenset()


def _ids(value: object, name: str) -> frozenset[int]:
    if value is None:
        return frozenset()
    if not isinstance(value, list) or not all(isinstance(item, int) and not isinstance(item, bool) for item in value):
        raise _invalid("selectedItems", f"selectedItems.{name} must be a list of task ids")
    if len(value) > MAX_SELECTED:
        raise _invalid("selectedItems", f"selectedItems.{name} holds more than {MAX_SELECTED} ids")
    return frozenset(value)


def _groups(filters: object) -> tuple[Group, ...]:
    if filters is None:
        return ()
    if not isinstance(filters, dict) or not isinstance(filters.get("items") or [], list):
        raise _invalid("filters", 'filters must be {"conjunction": "and" or "or", "items": [..]}')
    items = filters.get("items") or []
    if len(items) > MAX_ITEMS:
        raise _invalid("filters", f"filters holds more than {MAX_ITEMS} items")
    conjunction = filters.get("conjunction", "and")
    if conjunction not in ("and", "or"):
        raise _invalid("filters", f"the conjunction must be and or or, not '{str(conjunction)[:40]}'")
    return (Group(any=conjunction == "or", items=tuple(map(_item, items))),) if items else ()


def _item(item: object) -> Item:
    """A filter with its child filters, which cannot have any themselves."""
    if not isinstance(item, dict):
        raise _invalid("filters", "each of filters.items must be an object")
    children = item.get("child_filters") or []
    fits = isinstance(children, list) and len(children) <= MAX_ITEMS
    if not fits or not all(isinstance(one, dict) for one in children):
        raise _invalid("filters", "child_filters must be a list of filters")
    return tuple(_condition(one) for one in (item, *children))


def _condition(item: Mapping[str, object]) -> Condition:
    column = column_name(item.get("filter"), "filter:tasks:", "filters")
    operator = item.get("operator")
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise _invalid("filters", f"unknown operator '{str(operator)[:60]}' of the column {column}")
    base, negated = OPERATORS[operator]
    kind = _kind(column, item.get("type"))
    if base not in SUITED[kind]:
        raise _invalid("filters", f"the operator {operator} does not suit the column {column} of type {kind}")
    condition = Condition(column=column, kind=kind, base=base, negated=negated)
    try:
        return _with_operand(condition, item.get("value"), operator)
    except (ValueError, Invalid) as error:
        raise _invalid("filters", f"the value of {column} {operator} is not usable: {error}") from error


def _kind(column: str, named: object) -> Kind:
    """What a column's values are; those of the tasks' data are what the filter says they are."""
    if column in COLUMNS:
        return COLUMNS[column].kind
    if named is None or named == UNKNOWN:
        return Kind.STRING
    if not isinstance(named, str) or named not in set(map(str, Kind)):
        raise _invalid("filters", f"unknown type '{str(named)[:60]}' of the column {column}")
    return Kind.STRING if named == Kind.LIST else Kind(named)


def _with_operand(condition: Condition, value: object, operator: str) -> Condition:
    column, kind, base, negated = condition.column, condition.kind, condition.base, condition.negated
    if base is Base.EMPTY:
        # `Condition.holds` looks for a value, so that what is empty is the negated form.
        absent = True if operator in ("exists", "not_exists") else _truth(value)
        return Condition(column=column, kind=kind, base=base, negated=absent is not negated)
    if base in WORDED and kind is Kind.STRING:
        return Condition(column=column, kind=kind, base=base, negated=negated, text=_text(value, base))
    if base in COMPARED:
        low, high = _range(value, kind, base)
        return Condition(column=column, kind=kind, base=base, negated=negated, low=low, high=high)
    several = value if isinstance(value, list) and (base is Base.IN_LIST or kind is Kind.LIST) else [value]
    if base is Base.IN_LIST and not isinstance(value, list):
        raise ValueError("a list is expected")
    if len(several) > MAX_LIST:
        raise ValueError(f"the list holds more than {MAX_LIST} values")
    members = frozenset(_scalar(one, kind) for one in several)
    return Condition(column=column, kind=kind, base=Base.IN_LIST, negated=negated, members=members)


def _text(value: object, base: Base) -> str:
    text = str(_scalar(value, Kind.STRING))
    if base is Base.REGEX:
        _check_pattern(text)
    return text


def _check_pattern(pattern: str) -> None:
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a regular expression has at most {MAX_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from error


def _range(value: object, kind: Kind, base: Base) -> tuple[int | float | None, int | float | None]:
    """The bounds of a comparison; `in` takes an object with min and max, of which one may be null."""
    if base is Base.IN:
        if not isinstance(value, dict):
            raise ValueError('{"min": .., "max": ..} is expected')
        ends = (value.get("min"), value.get("max"))
        low, high = (None if end is None else _bound(end, kind) for end in ends)
        return low, high
    bound = _bound(value, kind)
    return (bound, None) if base in (Base.GREATER, Base.GREATER_OR_EQUAL) else (None, bound)


def _bound(value: object, kind: Kind) -> int | float:
    found = _scalar(value, kind)
    assert not isinstance(found, str), "numbers and times alone are compared"
    return found


def _scalar(value: object, kind: Kind) -> Scalar:
    """The value as one of a column's; raises ValueError or Invalid."""
    if kind is Kind.BOOLEAN:
        return _truth(value)
    if kind is Kind.DATETIME:
        if not isinstance(value, str):
            raise ValueError("a timestamp is expected")
        return parse_timestamp(value)
    if kind is Kind.STRING:
        if not isinstance(value, str | int | float):
            raise ValueError("a text is expected")
        return text_of(value)
    found = number_of(value)
    if found is None:
        raise ValueError("a number is expected")
    return found


def _truth(value: object) -> bool:
    found = truth_of(value)
    if found is None:
        raise ValueError("true or false is expected")
    return found


def _ordering(value: object) -> tuple[Order, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_ORDERS:
        raise _invalid("ordering", f"ordering must be a list of at most {MAX_ORDERS} columns")
    return tuple(map(_order, value))


def _order(text: object) -> Order:
    name = text if isinstance(text, str) else str(text)
    return Order(column_name(name.removeprefix("-"), "tasks:", "ordering"), name.startswith("-"))


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, fields={field: message})
