"""Ids as this dialect writes them; exports of conversations write them in the same way."""

from headrace.core.uuids import Kind, number_of, uuid_of

__all__ = ["Kind", "number_of", "uuid_of"]
