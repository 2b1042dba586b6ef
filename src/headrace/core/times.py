"""Instants as integers: microseconds since 1970-01-01T00:00:00Z, and their ISO 8601 text."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from headrace.core.errors import Invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND

_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_ZONE = r"Z|[+-]\d\d:?[0-5]\d"
_TIMESTAMP = re.compile(rf"{_DATE}(?:[T ]{_TIME}(?:{_ZONE})?)?", re.ASCII)


def parse_timestamp(text: str) -> int:
    """Microseconds since the epoch of an ISO 8601 / RFC 3339 date or date and time; no zone means UTC.

    Digits beyond microseconds are cut off. Any other text, or a year outside 0001 to 9999, raises Invalid.
    """
    if _TIMESTAMP.fullmatch(text) is None:
        raise _not_a_timestamp(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _not_a_timestamp(text) from error
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not _EARLIEST <= micros <= _LATEST:
        raise _not_a_timestamp(text)
    return micros


@lru_cache(maxsize=8192)
def format_timestamp(micros: int) -> str:
    """The instant as `2018-10-15T15:48:49.603000Z`, always six digits and Z; Invalid outside 0001 to 9999."""
    if not _EARLIEST <= micros <= _LATEST:
        raise Invalid(f"{micros} microseconds lie outside the years 0001 to 9999")
    moment = (_EPOCH + timedelta(microseconds=micros)).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='microseconds')}Z"


def _not_a_timestamp(text: str) -> Invalid:
    return Invalid(f"'{text[:60]}' is not an ISO 8601 timestamp such as 2018-10-15T15:48:49.603000Z")
