"""Two copies of a document that were changed apart, and what they last agreed on: the newest change of a field wins."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from headrace.client.documents import difference, same
from headrace.core.run_values import merged

Json = dict[str, Any]


class Merge(NamedTuple):
    """What the server is to be sent, empty for nothing, and the document as it then is."""

    patch: Json
    document: Json


def merge(base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any], *, mine_newer: bool) -> Merge:
    """The changes of both since `base`; of a field that both changed, `mine` counts if it is newer."""
    patch = difference(base, mine)
    if not mine_newer:
        patch = without(patch, difference(base, theirs))
    document = merged(theirs, patch)
    return Merge(patch if difference(theirs, document) else {}, document)


def without(patch: Mapping[str, Any], other: Mapping[str, Any]) -> Json:
    """The patch without the fields that another patch changes too."""
    left: Json = {}
    for key, value in patch.items():
        if key not in other:
            left[key] = value
        elif isinstance(value, dict) and isinstance(other[key], dict):
            inner = without(value, other[key])
            if inner:
                left[key] = inner
    return left


def additions(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Json:
    """The patch that puts what `mine` says over `theirs`, empty for nothing; what it does not say stays."""
    patch = _said(difference(theirs, mine))
    return patch if difference(theirs, merged(theirs, patch)) else {}


def _said(patch: Mapping[str, Any]) -> Json:
    # The properties of a source belong together: those of another type of source must go.
    return {
        key: _said(value) if isinstance(value, dict) and key != "properties" else value
        for key, value in patch.items()
        if value is not None
    }


def filed(mine: Mapping[str, Any], document: Mapping[str, Any]) -> Json:
    """The document as it goes into a file that may hold members which the server does not know."""
    return {**document, **{key: value for key, value in mine.items() if key not in document}}


def equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """True when both say the same, the order of their members apart."""
    return same(dict(one), dict(other))
