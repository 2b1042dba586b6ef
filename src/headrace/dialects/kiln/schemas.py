"""JSON schemas of structured tasks: reading them, and validating inputs and outputs against them.

Schemas come from clients. So nothing is ever fetched for a `$ref`, patterns run on an engine whose time is linear
(that of pydantic, in Rust), and a validation ends after a bounded number of steps.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from threading import local
from typing import Annotated, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend
from pydantic import StringConstraints, TypeAdapter
from pydantic import ValidationError as PatternFault
from pydantic_core import SchemaError as PatternError
from referencing import Registry
from referencing.exceptions import Unresolvable

from headrace.core.errors import Malformed
from headrace.decode import decode

MAX_SCHEMA = 100_000
MAX_TEXT = 1_000_000
MAX_STEPS = 5_000
MAX_SHOWN = 2_000
REFUSED = ("patternProperties", "$dynamicRef", "$dynamicAnchor", "unevaluatedProperties", "unevaluatedItems")


class _Steps(local):
    """How many references the validation in this thread has followed."""

    taken = 0


_STEPS = _Steps()


class TooManySteps(Exception):
    """A schema that goes in circles, or branches without end."""


@lru_cache(maxsize=1024)
def _pattern(text: str) -> TypeAdapter[str]:
    return TypeAdapter(Annotated[str, StringConstraints(pattern=text)])


def _check_pattern(_: Any, pattern: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str):
        try:
            _pattern(pattern).validate_python(instance)
        except PatternFault:
            yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _follow(validator: Any, ref: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    _STEPS.taken += 1
    if _STEPS.taken > MAX_STEPS:
        raise TooManySteps
    yield from Draft202012Validator.VALIDATORS["$ref"](validator, ref, instance, schema) or ()


BoundedValidator = extend(Draft202012Validator, {"pattern": _check_pattern, "$ref": _follow})


def problem(text: str, *, array_allowed: bool) -> str | None:
    """Why a text cannot serve as a schema, in Kiln's words, or None: it must describe an object with properties.

    An input schema may describe something else too.
    """
    if len(text) > MAX_SCHEMA:
        return f"The JSON schema is longer than {MAX_SCHEMA} characters"
    try:
        schema = _read(text)
    except ValueError as error:
        return f"Invalid JSON: {text[:200]}\n {error}"
    fault = _fault(schema, array_allowed)
    return None if fault is None else f"Unexpected error parsing JSON schema: {text[:200]}\n {fault}"


def _read(text: str) -> object:
    """The value of JSON text; raises ValueError for what the edge would not let pass in a body either."""
    try:
        return decode(text.encode(), object)
    except Malformed as fault:
        raise ValueError(_syntax_fault(text) or fault.message) from fault


def _syntax_fault(text: str) -> str | None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return str(error)
    except (RecursionError, ValueError):
        return None
    return None


def _fault(schema: object, array_allowed: bool) -> str | None:
    if not isinstance(schema, dict):
        return f"JSON schema must be a dict, not {type(schema)}"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"Invalid JSON schema: {str(schema)[:200]} \n{error.message[:200]}"
    is_object = schema.get("type") == "object" and isinstance(schema.get("properties"), dict)
    if not is_object and not (array_allowed and schema.get("type") not in ("object", None)):
        return f"JSON schema must be an object with properties: {str(schema)[:200]}"
    return next(_hazards(schema), None)


def _hazards(schema: object) -> Iterator[str]:
    """What a schema may not hold here."""
    for item in _objects(schema):
        for name in REFUSED:
            if name in item:
                yield f"JSON schema uses {name}, which is not supported here"
        ref = item.get("$ref")
        if isinstance(ref, str) and not ref.startswith("#"):
            yield f"JSON schema refers to something outside itself: {ref[:80]}"
        pattern = item.get("pattern")
        if isinstance(pattern, str) and not _is_usable(pattern):
            yield f"JSON schema has a pattern that is not supported here: {pattern[:80]}"


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _is_usable(pattern: str) -> bool:
    try:
        _pattern(pattern)
    except PatternError:
        return False
    return True


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    return BoundedValidator(json.loads(schema), registry=Registry())


def mismatch(schema: str, text: str, *, what: str, said: str) -> str | None:
    """Why a text does not fit a stored schema, or None: it is no JSON, or `said` with the schema's own error."""
    if len(text) > MAX_TEXT:
        return f"{what} is longer than {MAX_TEXT} characters"
    try:
        value = _read(text)
    except ValueError:
        return f"{what} is not a valid JSON object"
    fault = _first_fault(schema, value)
    if fault is None:
        return None
    return (
        f"{said} The error from the schema check was: {fault}. The JSON was: \n```json\n{str(value)[:MAX_SHOWN]}\n```"
    )


def _first_fault(schema: str, value: object) -> str | None:
    _STEPS.taken = 0
    try:
        error = best_match(_validator(schema).iter_errors(value))
    except (RecursionError, TooManySteps):
        return "it takes too many steps"
    except Unresolvable as unresolvable:
        return f"{unresolvable.ref} is not there"
    return None if error is None else str(error.message)[:MAX_SHOWN]
