"""Amounts of money in texts: a number with a currency's sign or code before or after it.

Precise rather than complete: no bare numbers, no percentages, no ranges, no multiples ("5 million dollars").
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache

from babel import Locale
from babel.numbers import (
    get_currency_precision,
    get_currency_symbol,
    get_group_symbol,
    get_territory_currencies,
    list_currencies,
)

WORDS_TOO = frozenset({"ALL", "BAM", "COP", "CUP", "GEL", "LAK", "MAD", "MOP", "PEN", "SOS", "TOP", "TRY"})
"""Codes that are words as well, and count behind the amount only: "TOP 10" is no money."""

SEPARATORS = ".,'’ \u00a0\u202f"

_AMOUNT = r"(?:[1-9]\d{{0,2}}(?:(?P<{0}>[.,'’ \u00a0\u202f])\d{{3}}(?!\d))(?:(?P={0})\d{{3}}(?!\d)){{0,4}}|\d{{1,15}})"
_CENTS = r"(?:[.,]\d{1,2}(?!\d))?"
_NOT_BEHIND = (
    r"(?![.,'’]?\d|[ \u00a0]?%|[ \u00a0]?[-–][ \u00a0]?\d|"
    r"[ \u00a0]?(?i:k|m|mn|bn|tn|mio|mrd|thousand|millions?|billions?|trillions?|tausend|millionen|milliarden)\b)"
)


def find(text: str, region: str) -> Iterator[tuple[int, int, str]]:
    """Where each amount stands, and the amount as a decimal number with the currency's ISO 4217 code."""
    for match in _pattern(region).finditer(text):
        token, number = match["before"] or match["after"], match["a"] or match["b"]
        grouping, given = match["g"] or match["h"], grouping_sign(region)
        if grouping and sum(map(number.count, SEPARATORS)) == 1 and not _groups(grouping, given):
            continue
        code = tokens(region).get(token) or tokens(region)[token.casefold()]
        yield match.start(), match.end(), f"{_decimal(number, grouping, code)} {code}"


@cache
def grouping_sign(region: str) -> str | None:
    """What the region puts between thousands; None for an unknown region."""
    if region not in Locale("en").territories:
        return None
    return str(get_group_symbol(Locale.parse(f"und_{region}")))


def _groups(sign: str, usual: str | None) -> bool:
    """Whether the only separator of a number, three digits before its end, separates thousands."""
    return sign not in ".," or sign == (usual or ",")


@cache
def tokens(region: str) -> dict[str, str]:
    """What stands for a currency, and its code: codes in use, signs, the euro's name; the region's own sign first."""
    territories = [name for name in map(str, Locale("en").territories) if len(name) == 2 and name.isalpha()]
    found = {code: code for name in territories for code in get_territory_currencies(name)}
    for language in ("en_CA", "en"):
        signs = {get_currency_symbol(code, language): code for code in list_currencies("en") if code in found}
        found.update((sign, code) for sign, code in signs.items() if not sign.isalpha())
    found.update({"$": "USD", "¥": "JPY", "￥": "JPY", "euro": "EUR", "euros": "EUR"})
    own = get_territory_currencies(region) if region in territories else []
    if own:
        sign = get_currency_symbol(own[0], Locale.parse(f"und_{region}"))
        found.update({sign: own[0]} if not sign.isalpha() else {})
    return found


@cache
def _pattern(region: str) -> re.Pattern[str]:
    """An amount behind a sign or code, or before one."""
    known = sorted(tokens(region), key=lambda token: (-len(token), token))
    spelled = [re.escape(token) if not token.islower() else f"(?i:{token})" for token in known]
    ahead = [spelling for token, spelling in zip(known, spelled, strict=True) if token not in WORDS_TOO]
    gap = r"[ \u00a0\u202f]?"
    before = rf"(?P<before>{'|'.join(ahead)}){gap}(?P<a>{_AMOUNT.format('g')}{_CENTS}){_NOT_BEHIND}(?!\w)"
    after = rf"(?P<b>{_AMOUNT.format('h')}{_CENTS}){gap}(?P<after>{'|'.join(spelled)})(?!\w)"
    return re.compile(rf"(?<![\w.,'’–-])(?:{before}|{after})")


def _decimal(number: str, grouping: str | None, code: str) -> str:
    """The amount with a point and at least the currency's usual decimals."""
    plain = number.replace(grouping, "") if grouping else number
    amount = Decimal(plain.replace(",", "."))
    given = -int(amount.as_tuple().exponent)
    return f"{amount:.{max(given, get_currency_precision(code))}f}"
