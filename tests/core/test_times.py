"""Instants: one integer inside, one text outside, and no text that is guessed at."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import Invalid
from headrace.core.times import format_timestamp, parse_timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = -62_135_596_800_000_000
LATEST = 253_402_300_799_999_999

moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001 - the zone is drawn apart
micros = st.integers(EARLIEST, LATEST)

SAME_INSTANT = [
    "2018-10-15T15:48:49.603000Z",
    "2018-10-15T15:48:49.603Z",
    "2018-10-15T15:48:49.603",
    "2018-10-15 15:48:49.603000999",
    "2018-10-15T17:48:49.603+02:00",
    "2018-10-15T17:48:49.603+0200",
    "2018-10-15 10:18:49.6030-05:30",
    "2018-10-16T00:48:49.603+09:00",
]

READ = [
    ("1970-01-01", 0),
    ("1970-01-01T00:00", 0),
    ("1970-01-01T00:00Z", 0),
    ("1970-01-01T00:00:00-00:00", 0),
    ("1970-01-01 00:00:00.000001", 1),
    ("1970-01-01 00:00:00.0000019", 1),
    ("1969-12-31T23:59:59.9999999Z", -1),
    ("1970-01-01T00:00:00.1", 100_000),
    ("1970-01-01T00:00:00.12", 120_000),
    ("1970-01-01T01:00+01:00", 0),
    ("2024-02-29", 1_709_164_800_000_000),
    ("0001-01-01", EARLIEST),
    ("9999-12-31T23:59:59.999999", LATEST),
    ("0001-01-01T01:00+01:00", EARLIEST),
]

REFUSED = [
    "",
    "now",
    "2018",
    "2018-10",
    "20181015",
    "2018-W42-1",
    "18-10-15",
    "2018-10-15T",
    "2018-10-15Z",
    "2018-10-15T15",
    "2018-10-15T15:48:",
    "2018-10-15T154849Z",
    "2018-10-15t15:48:49Z",
    "2018-10-15T15:48:49z",
    "2018-10-15_15:48:49",
    "2018-10-15  15:48:49",
    "2018-10-15T15:48:49.Z",
    "2018-10-15T15:48:49,5Z",
    "2018-10-15T15:48.5",
    "2018-10-15T15:48:49.1234567890",
    "2018-10-15T15:48:49 Z",
    "2018-10-15T15:48:49+02",
    "2018-10-15T15:48:49+02:60",
    "2018-10-15T15:48:49+24:00",
    "2018-10-15T15:48:49+02:00:00",
    "2018-10-15T15:48:49ZZ",
    " 2018-10-15",
    "2018-10-15\n",
    "2018-10-15T15:48:49Z\n",
    "2018-13-01",
    "2018-00-01",
    "2018-02-29",
    "2018-10-15T24:00:00Z",
    "2018-10-15T23:60:00Z",
    "2018-10-15T23:59:60Z",
    "0000-01-01",
    "10000-01-01",
    "-2018-10-15",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59.999999-00:01",
    "٢٠١٨-10-15",
    "2018-10-15T15:48:49Z" + "0" * 10_000,
]


@pytest.mark.parametrize("text", SAME_INSTANT)
def test_spellings_of_one_instant(text: str) -> None:
    """Every accepted spelling of an instant is read as that instant and written one way."""
    assert format_timestamp(parse_timestamp(text)) == "2018-10-15T15:48:49.603000Z"


@pytest.mark.parametrize(("text", "expected"), READ)
def test_parse_counts_microseconds(text: str, expected: int) -> None:
    """Parsing counts microseconds from the epoch, cuts off finer digits and takes UTC for granted."""
    assert parse_timestamp(text) == expected


@pytest.mark.parametrize("text", REFUSED)
def test_parse_refuses_anything_else(text: str) -> None:
    """A text in another form, or a date that does not exist, is Invalid with a short message."""
    with pytest.raises(Invalid, match="not an ISO 8601 timestamp") as caught:
        parse_timestamp(text)
    assert len(caught.value.message) < 200


@given(micros)
def test_format_then_parse_is_identity(instant: int) -> None:
    """Every instant of the years 0001 to 9999 survives being written and read."""
    text = format_timestamp(instant)
    assert len(text) == len("2018-10-15T15:48:49.603000Z")
    assert parse_timestamp(text) == instant


@given(micros, micros)
def test_text_order_is_time_order(first: int, second: int) -> None:
    """Written instants sort as text in the order of time."""
    assert (format_timestamp(first) < format_timestamp(second)) == (first < second)


@given(moments, st.integers(-1439, 1439), st.sampled_from(["T", " "]), st.booleans())
def test_parse_agrees_with_datetime(moment: datetime, offset: int, separator: str, colon: bool) -> None:
    """A zone moves the instant by exactly its hours and minutes."""
    hours, minutes = divmod(abs(offset), 60)
    zone = f"{'-' if offset < 0 else '+'}{hours:02}{':' if colon else ''}{minutes:02}"
    text = f"{moment.isoformat(separator, 'microseconds')}{zone}"
    expected = (moment.replace(tzinfo=UTC) - EPOCH - timedelta(minutes=offset)) // timedelta(microseconds=1)
    assert parse_timestamp(text) == expected


@given(st.text("0123456789-:.TZ +", max_size=32))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text made of the right characters is either read or Invalid."""
    try:
        instant = parse_timestamp(text)
    except Invalid:
        return
    assert EARLIEST <= instant <= LATEST


@pytest.mark.parametrize("instant", [EARLIEST - 1, LATEST + 1, 2**63 - 1, -(2**63), 10**40])
def test_format_refuses_other_years(instant: int) -> None:
    """An instant that four digits of year cannot show is Invalid, never an overflow."""
    with pytest.raises(Invalid, match="0001 to 9999"):
        format_timestamp(instant)
