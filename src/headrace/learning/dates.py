"""Dates in texts, written with their year: 2026-03-12, 12.03.2026, 12 March 2026, March 12th, 2026.

Precise rather than complete: a date that can be read in two ways counts only where the region says which one is meant.
"""

import re
from collections.abc import Iterator
from datetime import date
from functools import cache

from babel import Locale

LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "pl")
FIRST_YEAR, LAST_YEAR = 1900, 2199

_YEAR = re.compile(r"(?<!\d)(?:19|2[01])\d\d(?!\d)")
_BEFORE = r"(?<![\w./-])"
_AFTER = r"(?!\w|[./-]\d)"
_GAP = r"(?:[ \u00a0]{1,2}|\r?\n)"
_MONTH = r"(?P<m>[^\W\d_]{3,12})\.?"
_ISO = re.compile(rf"{_BEFORE}(?P<y>\d{{4}})(?P<s>[-/])(?P<m>\d{{1,2}})(?P=s)(?P<d>\d{{1,2}})(?:(?=T\d\d:)|{_AFTER})")
_NUMERIC = re.compile(rf"{_BEFORE}(?P<a>\d{{1,2}})(?P<s>[./-])(?P<b>\d{{1,2}})(?P=s)(?P<y>\d{{4}}){_AFTER}")
_DAY_FIRST = re.compile(
    rf"{_BEFORE}(?P<d>\d{{1,2}})(?:st|nd|rd|th|er|\.|º)?{_GAP}?(?:(?:of|de){_GAP})?"
    rf"{_MONTH},?{_GAP}(?:de{_GAP})?(?P<y>\d{{4}}){_AFTER}",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(
    rf"(?<!\w){_MONTH}{_GAP}(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?{_GAP}(?P<y>\d{{4}}){_AFTER}", re.IGNORECASE
)


def find(text: str, region: str) -> Iterator[tuple[int, int, str]]:
    """Where each date stands, and the date in ISO 8601; not in order."""
    if not _YEAR.search(text):
        return
    for pattern in (_ISO, _NUMERIC, _DAY_FIRST, _MONTH_FIRST):
        for match in pattern.finditer(text):
            day = _numeric(match, region) if pattern is _NUMERIC else _named(match)
            if day:
                yield match.start(), match.end(), day.isoformat()


@cache
def months() -> dict[str, int]:
    """The months' names, whole and short, in the languages known here; without those that two months share."""
    found: dict[str, set[int]] = {}
    for language in LANGUAGES:
        for form in Locale(language).months.values():
            for width in ("wide", "abbreviated"):
                for number, name in form[width].items():
                    found.setdefault(name.casefold().rstrip("."), set()).add(number)
    return {name: next(iter(numbers)) for name, numbers in found.items() if len(numbers) == 1}


@cache
def month_first(region: str) -> bool | None:
    """Whether the region writes the month before the day; None for an unknown region."""
    if region not in Locale("en").territories:
        return None
    short = str(Locale.parse(f"und_{region}").date_formats["short"].pattern)
    return short.find("M") < short.find("d")


def _named(match: re.Match[str]) -> date | None:
    """The date of a match that says which number is the month, or names it."""
    month = int(match["m"]) if match["m"].isdecimal() else months().get(match["m"].casefold())
    return _date(int(match["y"]), month, int(match["d"])) if month else None


def _numeric(match: re.Match[str], region: str) -> date | None:
    """The date of two numbers and a year; without a region only when one order of the two is possible."""
    first, second, year = int(match["a"]), int(match["b"]), int(match["y"])
    month_ahead = False if match["s"] == "." else month_first(region)
    if month_ahead is None:
        both = {_date(year, first, second), _date(year, second, first)} - {None}
        return both.pop() if len(both) == 1 else None
    return _date(year, first, second) if month_ahead else _date(year, second, first)


def _date(year: int, month: int, day: int) -> date | None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None
