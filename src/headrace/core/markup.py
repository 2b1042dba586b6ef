"""HTML to text, in time proportional to its length, whatever it holds. Nothing is fetched and nothing is run.

`html.parser` is not used: 40 kB of `<a ` keep it busy for 19 seconds, and `<![` makes it raise.
"""

import re
from html import unescape

_SKIPPED = tuple(
    (re.compile(opening, re.I), re.compile(closing, re.I))
    for opening, closing in (
        ("<!--", "-->"),
        (r"<head[\s>]", "</head[^>]{0,20}>"),
        (r"<script[\s>]", "</script[^>]{0,20}>"),
        (r"<style[\s>]", "</style[^>]{0,20}>"),
    )
)
_SPACE = re.compile(r"\s+")
_TAG = re.compile(r"""</?([A-Za-z][A-Za-z0-9]*+)(?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+>|</?([A-Za-z!?][^<>]*+)>""")
_BLOCKS = re.compile(
    "address|article|blockquote|br|d[dlt]|div|footer|h[1-6r]|header|li|ol|p|pre|section|table|tr|ul", re.I
)
_CELLS = frozenset({"td", "th"})
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9A-Fa-f]{12,}+;?")
_SPACES = re.compile(r"[^\S\n]+")
_AROUND_LINES = re.compile(r" ?\n ?")
_MANY_LINES = re.compile(r"\n{3,}")


def html_text(html: str) -> str:
    """The text a reader of the page sees: one line a block, at most one blank line, no scripts, styles or comments."""
    for opening, closing in _SKIPPED:
        html = _without(html, opening, closing)
    text = _TAG.sub(_replacement, _SPACE.sub(" ", html))
    # A reference of thousands of digits is no character, and `unescape` would raise on it.
    text = _SPACES.sub(" ", unescape(_LONG_REFERENCE.sub("\ufffd", text)))
    return _MANY_LINES.sub("\n\n", _AROUND_LINES.sub("\n", text)).strip()


def _without(html: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    """The page without everything from an opening to its closing; without the rest when nothing closes it."""
    kept, at = [], 0
    while start := opening.search(html, at):
        kept.append(html[at : start.start()])
        end = closing.search(html, start.end())
        if end is None:
            return "".join(kept)
        at = end.end()
    kept.append(html[at:])
    return "".join(kept)


def _replacement(tag: re.Match[str]) -> str:
    name = (tag[1] or "").lower()
    if _BLOCKS.fullmatch(name):
        return "\n\n" if name == "p" else "\n"
    return " " if name in _CELLS else ""
