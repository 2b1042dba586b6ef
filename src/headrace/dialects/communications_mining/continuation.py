"""Continuations of comment pages: a (timestamp, id) key, so the row it was made of may be gone."""

import base64
import binascii
import struct

from headrace.core.errors import Invalid
from headrace.core.records import Record

_KEY = struct.Struct(">qq?")


def time_key(record: Record, flag: bool) -> str:
    """The continuation behind a record in timestamp order; it remembers a flag of the first page."""
    return base64.urlsafe_b64encode(_KEY.pack(record.timestamp, record.id, flag)).rstrip(b"=").decode()


def parse_time_key(text: str, field: str) -> tuple[tuple[int, int], bool]:
    """The key and the flag in a continuation; raises Invalid naming the field."""
    try:
        packed = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        timestamp, record_id, flag = _KEY.unpack(packed)
    except (struct.error, binascii.Error, UnicodeEncodeError):
        raise Invalid(f"{field} is not a continuation of this list", fields={field: text[:80]}) from None
    return (timestamp, record_id), flag


def record_key(record: Record) -> str:
    """The continuation behind a record in id order."""
    return f"{record.id:016x}"


def parse_record_key(text: str, field: str) -> int:
    """The id in a continuation; raises Invalid naming the field."""
    if len(text) != 16 or not set(text) <= set("0123456789abcdef") or text[0] > "7":
        raise Invalid(f"{field} is not a continuation of this list", fields={field: text[:80]})
    return int(text, 16)
