"""The least patch, and documents with attributes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.client import Document
from headrace.client.documents import difference

Json = dict[str, Any]

KEYS = st.sampled_from("abc")
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 2.5]) | st.sampled_from(["", "x"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=3)


def merged(stored: Json, patch: Json) -> Json:
    """What a server makes of a patch: objects merge, null removes, everything else replaces."""
    result = dict(stored)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            known = result.get(key)
            result[key] = merged(known if isinstance(known, dict) else {}, value)
        else:
            result[key] = value
    return result


def without_nulls(value: Any) -> Any:
    """A document in which null and absent look alike; lists stay as they are."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def exactly(value: Any) -> str:
    """A value as text that tells 1, 1.0 and true apart."""
    return json.dumps(without_nulls(value), sort_keys=True)


@settings(max_examples=60, deadline=None)
@given(stored=DOCUMENTS, local=DOCUMENTS)
def test_the_patch_makes_the_stored_document_the_local_one(stored: Json, local: Json) -> None:
    """Merging the difference into the stored document gives the local one."""
    assert exactly(merged(stored, difference(stored, local))) == exactly(local)


@settings(max_examples=40, deadline=None)
@given(stored=DOCUMENTS, local=DOCUMENTS)
def test_no_member_of_the_patch_is_idle(stored: Json, local: Json) -> None:
    """Without any one of its members the patch would not do."""
    patch = difference(stored, local)
    for key in patch:
        rest = {name: value for name, value in patch.items() if name != key}
        assert exactly(merged(stored, rest)) != exactly(local)


def test_types_matter_to_the_patch() -> None:
    """True, 1 and 1.0 are different values, and a list is replaced as a whole."""
    assert difference({"a": 1, "b": [1, 2]}, {"a": True, "b": [2]}) == {"a": True, "b": [2]}
    assert difference({"a": 1}, {"a": 1.0}) == {"a": 1.0}


def test_members_are_attributes_further_down() -> None:
    """Reading and setting attributes reaches into nested objects; a missing one is named."""
    data = {"output": {"rating": {"value": 3.0}}, "tags": ["x"]}
    document = Document(data)
    document.output.rating.value = 5.0
    document.output.source = Document({"type": "human"})
    del document.tags
    assert data == {"output": {"rating": {"value": 5.0}, "source": {"type": "human"}}}
    assert "output" in document
    assert document["output"]["rating"] == {"value": 5.0}
    with pytest.raises(AttributeError, match="no 'ratng' here, only 'rating', 'source'"):
        _ = document.output.ratng
