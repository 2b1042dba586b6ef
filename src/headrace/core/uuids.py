"""Ids as UUIDs of version 8 that say what they name and carry its number, for whoever wants no plain numbers."""

from enum import IntEnum
from uuid import UUID

_FIRST = "68656164"


class Kind(IntEnum):
    """What a UUID names, so that the id of one thing is never taken for that of another."""

    MESSAGE = 1
    USER = 2
    TASK = 3
    CLIENT = 4
    ANSWER = 5
    REVISION = 6


_SMALL = {kind: f"{_FIRST}-{kind:04x}-8000-8000-" for kind in Kind}
_SMALL_LIMIT = 1 << 48


def uuid_of(number: int, kind: Kind) -> str:
    """The UUID of something; the UUIDs of a kind sort like the numbers, of 63 bits, that they carry."""
    if 0 <= number < _SMALL_LIMIT:
        return f"{_SMALL[kind]}{number:012x}"
    low = number & (_SMALL_LIMIT - 1)
    return f"{_FIRST}-{kind:04x}-8{number >> 62:03x}-{0x8000 | number >> 48 & 0x3FFF:04x}-{low:012x}"


def number_of(found: UUID, kind: Kind) -> int:
    """The number that a UUID carries; 0, which nothing has, for the UUID of anything else."""
    value = found.int
    number = (value >> 64 & 1) << 62 | (value & (1 << 62) - 1)
    return number if uuid_of(number, kind) == str(found) else 0
