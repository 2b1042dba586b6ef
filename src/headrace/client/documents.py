"""Documents: the server's JSON objects with attributes, and the least patch that makes one of another."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]


def difference(stored: Mapping[str, Any], local: Mapping[str, Any]) -> Json:
    """The least patch that, merged deeply into `stored`, makes it `local`; null and absent are the same."""
    patch: Json = {key: None for key, value in stored.items() if value is not None and local.get(key) is None}
    for key, value in local.items():
        known = stored.get(key)
        if value is None:
            continue
        if isinstance(value, dict) and isinstance(known, dict):
            inner = difference(known, value)
            if inner:
                patch[key] = inner
        elif not same(known, value):
            patch[key] = value
    return patch


def same(one: object, other: object) -> bool:
    """True for equal JSON values of the same types, unlike `==`, to which 1, 1.0 and True are equal."""
    return _text(one) == _text(other)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


class Document:
    """A JSON object whose members can be read and set as attributes, also further down: `run.output.rating`."""

    __slots__ = ("_data",)

    def __init__(self, data: Json) -> None:
        object.__setattr__(self, "_data", data)

    def __getattr__(self, name: str) -> Any:
        """The member of that name; raises AttributeError naming those there are."""
        data: Json = object.__getattribute__(self, "_data")
        if name not in data:
            raise AttributeError(f"there is no {name!r} here, only {', '.join(map(repr, data)) or 'nothing'}")
        return view(data[name])

    def __setattr__(self, name: str, value: object) -> None:
        """Set the member of that name."""
        self._data[name] = plain(value)

    def __delattr__(self, name: str) -> None:
        """Remove the member of that name."""
        self._data.pop(name, None)

    def __getitem__(self, name: str) -> Any:
        """The member of that name; raises KeyError."""
        return view(self._data[name])

    def __setitem__(self, name: str, value: object) -> None:
        """Set the member of that name."""
        self._data[name] = plain(value)

    def __iter__(self) -> Iterator[str]:
        """The members' names."""
        return iter(self._data)

    def __contains__(self, name: object) -> bool:
        """True when there is a member of that name."""
        return name in self._data

    def __eq__(self, other: object) -> bool:
        """True for a document or dict with the same members."""
        return bool(self._data == plain(other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Document({self._data!r})"

    def to_dict(self) -> Json:
        """The members as a dict, which is shared with the document."""
        return self._data  # type: ignore[no-any-return]


def view(value: Any) -> Any:
    """A value as it is shown: an object as a Document."""
    return Document(value) if isinstance(value, dict) else value


def plain(value: Any) -> Any:
    """A value as it is stored: a Document as the dict behind it."""
    return value.to_dict() if isinstance(value, Document) else value
