"""Entities in a text by rule: built-in kinds, users' patterns, and lists of choices. Runs in a learning process."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain

import phonenumbers
from linkify_it import LinkifyIt
from linkify_it.main import Match

from headrace.core.entities import Choice, Definition, Hit, Kind
from headrace.learning import dates, money
from headrace.learning.patterns import BadPattern, Pattern, compiled, spellings

MAX_TEXT = 65_536
PHONE_TRIES = 1000
LINKS = ("http:", "https:", "ftp:")

_DIGIT = re.compile(r"\d")
_PHONE = re.compile(r"(?:\d[^\w\r\n]{0,3}){7}")
_ORIGIN = re.compile(r"[a-z]+://[^/?#@]*(?=[/?#]|$)", re.IGNORECASE)

Place = tuple[int, int, str]
"""Where something stands in a text, and its value."""
Finder = Callable[[str, str], Iterator[Place]]


def extract(definitions: Sequence[Definition], text: str) -> list[Hit]:
    """What the definitions find in a text's first 65,536 characters, by place; finds of one definition do not overlap,
    and of two that do the one that begins first stays, then the longer one."""
    shown = text[:MAX_TEXT]
    found = [
        Hit(number, value, start, end)
        for number, definition in enumerate(definitions)
        for start, end, value in _apart(_finds(definition, shown))
    ]
    return sorted(found, key=lambda hit: (hit.start, hit.end, hit.definition))


def warm() -> None:
    """Build the tables of the built-in kinds, which takes longer than a text may."""
    for tables in (dates.months, _linkify):
        tables()
    money.tokens("")
    phonenumbers.PhoneMetadata.metadata_for_region("US")


def _apart(places: Iterator[Place]) -> Iterator[Place]:
    reached = 0
    for place in sorted(places, key=lambda place: (place[0], -place[1])):
        if place[0] >= reached:
            yield place
            reached = place[1]


def _finds(definition: Definition, text: str) -> Iterator[Place]:
    if definition.kind is not None:
        yield from FINDERS[definition.kind](text, definition.region)
    for pattern in definition.patterns:
        yield from _matches(pattern, text)
    if definition.choices:
        yield from _chosen(definition.choices, text)


def _matches(pattern: str, text: str) -> Iterator[Place]:
    """The matches of a user's pattern; none of one that was stored before patterns were checked and is bad."""
    try:
        known = compiled(pattern)
    except BadPattern:
        return
    for match in known.finditer(text):
        if match.end() > match.start():
            yield match.start(), match.end(), match.group()


@lru_cache(maxsize=64)
def _spelled(choices: tuple[Choice, ...]) -> tuple[Pattern | None, dict[str, str]]:
    """A pattern of all spellings and the name that each stands for; no pattern when that is too large."""
    names = {value.casefold(): choice.name for choice in reversed(choices) for value in choice.values if value}
    try:
        return spellings(*(value for choice in choices for value in choice.values)) if names else None, names
    except BadPattern:
        return None, {}


def _chosen(choices: tuple[Choice, ...], text: str) -> Iterator[Place]:
    """Where a choice stands as a word or words of its own."""
    pattern, names = _spelled(choices)
    if pattern is None:
        return
    for match in pattern.finditer(text):
        start, end = match.span()
        if not (_joined(text, start) or _joined(text, end)):
            yield start, end, names.get(match.group().casefold(), match.group())


def _joined(text: str, place: int) -> bool:
    """True when a word goes on across that place."""
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def _dates(text: str, region: str) -> Iterator[Place]:
    return dates.find(text, region)


def _money(text: str, region: str) -> Iterator[Place]:
    return money.find(text, region) if _DIGIT.search(text) else iter(())


@cache
def _linkify() -> LinkifyIt:
    return LinkifyIt()


@lru_cache(maxsize=1)
def _links(text: str) -> list[Match]:
    """The addresses of the text at hand, which two kinds ask for."""
    return _linkify().match(text) or []


def _emails(text: str, region: str) -> Iterator[Place]:
    """E-mail addresses, their domain in lower case."""
    if "@" not in text:
        return
    for match in _links(text):
        if match.schema == "mailto:":
            start = match.index + (len("mailto:") if match.raw.casefold().startswith("mailto:") else 0)
            local, _, domain = text[start : match.last_index].rpartition("@")
            yield start, match.last_index, f"{local}@{domain.lower()}"


def _urls(text: str, region: str) -> Iterator[Place]:
    """Web addresses with a scheme or `www.`; a bare name such as `setup.py` is too often none."""
    if "://" not in text and "www." not in text.casefold():
        return
    for match in _links(text):
        if match.schema in LINKS or (not match.schema and match.raw[:4].casefold() == "www."):
            url = _ORIGIN.sub(lambda origin: origin[0].lower(), match.url, count=1)
            yield match.index, match.last_index, url


def _phones(text: str, region: str) -> Iterator[Place]:
    """Valid phone numbers in E.164: those with a country code, and with a region also its national ones."""
    if not _PHONE.search(text):
        return
    matchers = [phonenumbers.PhoneNumberMatcher(text, None, max_tries=PHONE_TRIES)]
    if region in phonenumbers.SUPPORTED_REGIONS:
        # Without a country code only the usual grouping tells a number from a date or an order.
        strict = phonenumbers.Leniency.STRICT_GROUPING
        matchers.append(phonenumbers.PhoneNumberMatcher(text, region, leniency=strict, max_tries=PHONE_TRIES))
    for match in chain.from_iterable(matchers):
        yield match.start, match.end, phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)


FINDERS: dict[Kind, Finder] = {
    Kind.DATE: _dates,
    Kind.MONEY: _money,
    Kind.EMAIL: _emails,
    Kind.URL: _urls,
    Kind.PHONE: _phones,
}
