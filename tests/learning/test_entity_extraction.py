"""Entities found in a text: what counts as one, what it is worth, where it stands, and how long the search may take."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.entities import Choice, Definition, Kind, utf16_bytes
from headrace.learning.entities import MAX_TEXT, extract
from headrace.learning.patterns import BadPattern, compiled
from headrace.learning.process import Learner

EVERY_KIND = [Definition(name=kind.value, kind=kind) for kind in Kind]


def found(text: str, *definitions: Definition) -> list[tuple[str, str, str]]:
    """Name, text and value of each find."""
    wanted = definitions or EVERY_KIND
    hits = extract(wanted, text)
    return [(wanted[hit.definition].name, text[hit.start : hit.end], hit.value) for hit in hits]


def values(kind: Kind, text: str, region: str = "") -> list[str]:
    """The values of one kind in a text."""
    return [value for _, _, value in found(text, Definition(name="x", kind=kind, region=region))]


@pytest.fixture(scope="module")
def learner() -> Iterator[Learner]:
    """A learner with its children."""
    learner = Learner()
    yield learner
    learner.close()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on 2026-03-12, please", "2026-03-12"),
        ("2026-03-12T10:00:00Z", "2026-03-12"),
        ("am 12.03.2026.", "2026-03-12"),
        ("13/03/2026", "2026-03-13"),
        ("12 March 2026", "2026-03-12"),
        ("March 12th, 2026", "2026-03-12"),
        ("1. Dezember 2026", "2026-12-01"),
        ("3 de marzo de 2026", "2026-03-03"),
        ("12 févr. 2026", "2026-02-12"),
    ],
)
def test_dates_are_written_in_iso_8601(text: str, value: str) -> None:
    """A date with its year is found in numbers and in words of several languages."""
    assert values(Kind.DATE, text) == [value]


@pytest.mark.parametrize(
    "text",
    [
        "order 20260312",
        "03/04/2026",
        "31.02.2026",
        "March 2026",
        "version 1.2.2026.4",
        "2026-03-12-17",
        "tomorrow",
        "12",
    ],
)
def test_not_every_number_is_a_date(text: str) -> None:
    """Nothing that is impossible, part of something longer, without a year, or readable in two ways."""
    assert values(Kind.DATE, text) == []


def test_the_region_settles_what_can_be_read_in_two_ways() -> None:
    """Dates, dollars, thousands and national phone numbers are those of the region; one that does not exist is none."""
    assert [values(Kind.DATE, "03/04/2026", region) for region in ("US", "GB", "XX")] == [
        ["2026-03-04"],
        ["2026-04-03"],
        [],
    ]
    assert values(Kind.MONEY, "$5 and 1.234 EUR", "CA") == ["5.00 CAD"]
    assert values(Kind.MONEY, "1.234 EUR", "DE") == ["1234.00 EUR"]
    assert values(Kind.PHONE, "030 901820", "DE") == ["+4930901820"]
    assert values(Kind.PHONE, "030 901820", "XX") == values(Kind.PHONE, "030 901820") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("€12.50", "12.50 EUR"),
        ("$1,234.56", "1234.56 USD"),
        ("1.234,56 €", "1234.56 EUR"),
        ("1 234,5 EUR", "1234.50 EUR"),
        ("CHF 30", "30.00 CHF"),
        ("US$5", "5.00 USD"),
        ("500 JPY", "500 JPY"),
        ("12 Euros", "12.00 EUR"),
    ],
)
def test_money_is_an_amount_and_a_code(text: str, value: str) -> None:
    """Signs, codes and separators of several habits come out the same."""
    assert values(Kind.MONEY, f"pay {text} now") == [value]


@pytest.mark.parametrize("text", ["100", "TOP 10", "5-10 €", "$5 million", "€5k", "0.001 EUR", "1.234 EUR", "5 GB"])
def test_not_every_number_is_money(text: str) -> None:
    """No bare numbers, ranges, multiples, nor what may mean a thousand or one."""
    assert values(Kind.MONEY, text) == []


def test_addresses_are_normalised() -> None:
    """Domains are lower-cased and nothing else is; bare file names and versions are no addresses."""
    text = (
        "Write to Jo.Doe@Example.ORG or mailto:A@example.org, see HTTPS://Example.org/Path?Q=1. and www.Example.org/x"
    )
    assert found(text) == [
        ("email", "Jo.Doe@Example.ORG", "Jo.Doe@example.org"),
        ("email", "A@example.org", "A@example.org"),
        ("url", "HTTPS://Example.org/Path?Q=1", "https://example.org/Path?Q=1"),
        ("url", "www.Example.org/x", "http://www.example.org/x"),
    ]
    assert found("setup.py, foo@bar, 3.5m, //x and 1.2.3.4") == []


def test_phone_numbers_are_written_in_e164() -> None:
    """Valid numbers with their country code; orders and card numbers are none."""
    assert found("call +44 20 7946 0958 today") == [("phone", "+44 20 7946 0958", "+442079460958")]
    assert found("order 1234567890123, card 4111 1111 1111 1111, +1 23") == []


def test_users_patterns_and_choices() -> None:
    """A pattern's match is its value; a choice is found in any case as a word of its own and gives its name."""
    order = Definition(name="order", patterns=(r"\bAB-\d{4}\b", r"AB-\d{2}"))
    plan = Definition(name="plan", choices=(Choice(name="Gold", values=("gold", "gold plan", "größe")),))
    assert found("AB-1234 and AB-56", order) == [("order", "AB-1234", "AB-1234"), ("order", "AB-56", "AB-56")]
    assert found("My GOLD PLAN, golden, marigold, GRÖSSE, Größe!", plan) == [
        ("plan", "GOLD PLAN", "Gold"),
        ("plan", "GRÖSSE", "Gold"),
        ("plan", "Größe", "Gold"),
    ]


@pytest.mark.parametrize("pattern", ["(", "a{9999}", "(?=x)", r"(a)\1", "(?:a?){900}a{900}(?:b?){900}"])
def test_patterns_that_could_not_be_searched_in_linear_time_are_refused(pattern: str) -> None:
    """What RE2 does not take, and what is too large for it."""
    with pytest.raises(BadPattern):
        compiled(pattern)


def test_rules_stored_before_they_were_checked_find_nothing() -> None:
    """A bad pattern and too many choices break nothing and find nothing."""
    many = tuple(Choice(name=str(number), values=("x" * 250 + str(number),)) for number in range(4000))
    assert found("a(1", Definition(name="bad", patterns=("(",)), Definition(name="many", choices=many)) == []


PIECES = st.sampled_from(
    [
        "\U0001f600",
        "e\u0301",
        "\r\n",
        " ",
        "ß",
        "12 March 2026",
        "€5",
        "a@example.org",
        "http://example.org/",
        "AB-1234",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=12).map(" ".join))
def test_places_are_exact(text: str) -> None:
    """Wherever something stands, its characters and its bytes of UTF-16 are the very same text, in order."""
    wanted = [*EVERY_KIND, Definition(name="order", patterns=(r"AB-\d{4}",))]
    hits = extract(wanted, text)
    assert len(hits) == sum(text.count(piece) for piece in ("March", "€", "@", "http", "AB-"))
    encoded = text.encode("utf-16-le")
    for hit in hits:
        shown = encoded[utf16_bytes(text, hit.start) : utf16_bytes(text, hit.end)].decode("utf-16-le")
        assert shown == text[hit.start : hit.end]
        assert shown in ("12 March 2026", "€5", "a@example.org", "http://example.org/", "AB-1234")
    assert [hit.start for hit in hits] == sorted(hit.start for hit in hits)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("0123456789.,-/€$ @:+aTw\u0661\U0001f600\r\n"), max_size=60))
def test_no_text_breaks_the_search(text: str) -> None:
    """Whatever stands there, finds lie inside the text, hold something, and those of one definition keep apart."""
    hits = extract([Definition(name=kind.value, kind=kind, region="US") for kind in Kind], text)
    assert all(0 <= hit.start < hit.end <= len(text) for hit in hits)
    for kind in range(len(Kind)):
        mine = [hit for hit in hits if hit.definition == kind]
        assert all(one.end <= other.start for one, other in pairwise(mine))


def test_the_child_finds_the_same(learner: Learner) -> None:
    """What crosses the pipe is what the rules find here, one list a text, in order."""
    texts = ["12 March 2026 \U0001f600 €5", "", "a@example.org"]
    assert learner.extract(EVERY_KIND, texts) == [extract(EVERY_KIND, text) for text in texts]
    assert learner.extract(EVERY_KIND, []) == []


def test_a_text_that_takes_too_long_has_no_entities(learner: Learner) -> None:
    """A pattern that looks through the whole text from every place is cut off; the texts around it are answered."""
    slow = [Definition(name="x", patterns=("a.*b|a",))]
    hits = learner.extract(slow, ["ab", "a" * MAX_TEXT, "ab"], seconds=0.1)
    assert [len(some) for some in hits] == [1, 0, 1]


def test_only_the_beginning_of_a_very_long_text_is_searched() -> None:
    """Behind 65,536 characters nothing is looked for."""
    assert found("x" * MAX_TEXT + " €5") == []
    assert len(found("x" * (MAX_TEXT - 3) + " €5")) == 1
