"""Patterns that users write, matched in time linear in the text: RE2, which has no backtracking to blow up.

Light enough for the serving process, which checks patterns before they are stored.
"""

from typing import TypeAlias

import re2

Pattern: TypeAlias = re2._Regexp
MAX_PROGRAM = 4000
MAX_MEMORY = 8 << 20


class BadPattern(ValueError):
    """The text is no RE2 pattern, or its program is too large."""


def compiled(pattern: str) -> Pattern:
    """The pattern, ready to match; raises BadPattern, whose text says why."""
    found = _compiled(pattern)
    if found.programsize > MAX_PROGRAM:
        raise BadPattern("the pattern is too large")
    return found


def spellings(*values: str) -> Pattern:
    """A pattern that matches any of the values, the longest first, in upper or lower case; raises BadPattern."""
    either = {spelling for value in values if value for spelling in (value, value.casefold())}
    longest_first = sorted(either, key=lambda value: (-len(value), value))
    return _compiled("(?i)" + "|".join(map(re2.escape, longest_first)))


def _compiled(pattern: str) -> Pattern:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise BadPattern(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from None
