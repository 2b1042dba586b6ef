"""The one decoder of every JSON body: what it lets through suits both databases and reads back equal.

Bulk bodies are large, so each rule first asks a question that the C code of `bytes` and `re` answers over the
whole body and that may err only towards suspicion; a suspicious body then meets the exact test. In JSON a
backslash stands only inside strings: pairing backslashes from the left and blotting out `\\"` leaves just the
quotes that open and close.
"""

import codecs
import re
from collections.abc import Hashable
from functools import lru_cache
from itertools import accumulate
from math import isinf
from typing import TypeVar, cast

import msgspec
from msgspec import Raw

from headrace.core.errors import Invalid, Malformed

__all__ = ["MAX_DEPTH", "Raw", "check", "decode", "encode", "parse"]

T = TypeVar("T")

MAX_DEPTH = 100

_UTF8 = codecs.getincrementaldecoder("utf-8")
_PIECE = 1 << 20
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1

_SUSPECT_ESCAPE = re.compile(rb"\\(?:\\|u0000|u[dD][89a-fA-F])")
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F]"
_LONE_HIGH, _LONE_LOW = rb"[89abAB][0-9a-fA-F]{2}(?!%b)" % _LOW, rb"(?<!%b\\u[dD])[c-fC-F]" % _HIGH
_LONE_SURROGATE = re.compile(rb"\\u[dD](?:%b|%b)" % (_LONE_HIGH, _LONE_LOW))

_BRACES_TO_BRACKETS = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_STRING = re.compile(rb'"[^"]*"')
_LEAF_PASSES = 12
_STEP = {ord("["): 1, ord("]"): -1, ord('"'): 0}

_DIGITS_TO_ZERO = bytes.maketrans(b"123456789+E", b"0000000000e")
_SUSPECT_DIGITS = b"0" * 19
_DIGITS = re.compile(rb"0+")
_BEFORE_NUMBER = (b"", b"[", b":", b",", b"-", b" ", b"\t", b"\r", b"\n")
_SUSPECT_EXPONENT = re.compile(rb"0e000+(?![^,\]}\s])")
_NUMBER = re.compile(rb"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")

_LOCATED = re.compile(r"(.*) - at (`key` in )?`\$\.?([^`]*)`", re.DOTALL)
_FIELD_FAULT = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_TYPE_NAMES = re.compile(r"`([^`]*)`")
_WORDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "datetime": "timestamp"}
_LONGEST_REASON = 200


def decode(body: bytes, type: type[T], *, max_depth: int = MAX_DEPTH) -> T:
    """The body as a value of the type; Malformed where `check` refuses it, Invalid for another shape.

    Invalid carries `fields` "path" (as in `comments[3].id`, "" for the whole body) and "reason".
    """
    _refuse_hazards(body, max_depth)
    try:
        return _parse(body, type)
    except msgspec.ValidationError as error:
        _parse(body, Raw)
        raise _invalid(str(error)) from error


def check(body: bytes, *, max_depth: int = MAX_DEPTH) -> None:
    """Refuse, with Malformed, a body that is not one JSON document which both databases give back equal.

    Refused are: encodings other than UTF-8, NUL and lone surrogates however written, nesting beyond
    `max_depth` levels, integers outside signed 64 bits, NaN, infinities and numbers too large for a double.
    """
    _refuse_hazards(body, max_depth)
    _parse(body, Raw)


def parse(body: bytes) -> None:
    """Refuse, with Malformed, what is not one JSON document: for what `check` let pass when it came."""
    _parse(body, Raw)


def encode(value: object) -> bytes:
    """The value as compact JSON in UTF-8; msgspec structs, `Raw` and the usual builtins are understood."""
    return msgspec.json.encode(value)


@lru_cache(maxsize=1024)
def _decoder(type: Hashable) -> msgspec.json.Decoder[object]:
    return msgspec.json.Decoder(type)


def _parse(body: bytes, type: type[T]) -> T:
    """The typed value; msgspec.ValidationError for a wrong shape, Malformed for everything else."""
    try:
        return cast(T, _decoder(cast(Hashable, type)).decode(body))
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        raise Malformed(_syntax_fault(str(error))) from error
    except UnicodeDecodeError as error:
        raise Malformed("the body is not UTF-8") from error
    except RecursionError as error:
        raise Malformed("the body is nested too deeply") from error


def _refuse_hazards(body: bytes, max_depth: int) -> None:
    """Refuse what a grammatical JSON document may still hold; grammar itself is the decoder's question."""
    if not body:
        raise Malformed("the body is empty")
    _refuse_encoding(body)
    bare = body
    if _SUSPECT_ESCAPE.search(body):
        bare = body.replace(rb"\\", b"__")
        _refuse_escapes(bare)
    bare = bare.replace(rb"\"", b"__")
    if _depth(bare) > max_depth:
        raise Malformed(f"the body is nested deeper than {max_depth} levels")
    if _may_hold_big_numbers(body):
        _refuse_numbers(bare)


def _refuse_encoding(body: bytes) -> None:
    # Piece by piece, because one emoji makes the text of a whole body four times as large as its bytes.
    decoder = _UTF8()
    for start in range(0, 0 if body.isascii() else len(body), _PIECE):
        waiting = len(decoder.getstate()[0])
        try:
            decoder.decode(body[start : start + _PIECE], start + _PIECE >= len(body))
        except UnicodeDecodeError as error:
            at = start - waiting + error.start
            raise Malformed(f"the body is not UTF-8 (byte {at})") from error
    if (at := body.find(b"\0")) >= 0:
        raise Malformed(f"the body contains a NUL character (byte {at})")


def _refuse_escapes(paired: bytes) -> None:
    """Exact once doubled backslashes are blotted out: each backslash left begins an escape of its own."""
    if (at := paired.find(rb"\u0000")) >= 0:
        raise Malformed(f"the body contains an escaped NUL character (byte {at})")
    if lone := _LONE_SURROGATE.search(paired):
        raise Malformed(f"the body contains half of a surrogate pair (byte {lone.start()})")


def _depth(bare: bytes) -> int:
    """Levels of nesting of a document without escapes; never too few, also when its brackets do not match.

    Taking away two neighbouring quotes moves nothing else into or out of a string. Taking away every
    innermost pair of brackets lowers the depth by exactly one, so flat documents are gone in a few passes.
    """
    brackets = bare.translate(_BRACES_TO_BRACKETS, _ALL_BUT_STRUCTURE).replace(b'""', b"")
    brackets = _STRING.sub(b"", brackets)
    for level in range(_LEAF_PASSES):
        if not brackets:
            return level
        brackets = brackets.replace(b"[]", b"")
    return _LEAF_PASSES + max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _may_hold_big_numbers(body: bytes) -> bool:
    """False only if every integer has fewer than 19 digits and every exponent fewer than 3."""
    zeros = body.translate(_DIGITS_TO_ZERO)
    return _may_hold_long_integers(zeros) or _SUSPECT_EXPONENT.search(zeros) is not None


def _may_hold_long_integers(zeros: bytes) -> bool:
    """False only if no run of 19 digits stands where a number can begin; inside hexadecimal ids many do (benchmark
    sync)."""
    at = zeros.find(_SUSPECT_DIGITS)
    while at >= 0:
        if zeros[max(at - 1, 0) : at] in _BEFORE_NUMBER:
            return True
        at = zeros.find(_SUSPECT_DIGITS, _DIGITS.match(zeros, at).end())  # type: ignore[union-attr]
    return False


def _refuse_numbers(bare: bytes) -> None:
    """Look at every number that stands outside strings."""
    for number in _NUMBER.finditer(b"".join(bare.split(b'"')[::2])):
        text = number[0].decode()
        if number[1] or number[2]:
            if isinf(float(text)):
                raise Malformed(f"the number {text[:40]} is too large")
        elif len(text) > 20 or not _INT_MIN <= int(text) <= _INT_MAX:
            raise Malformed(f"the integer {text[:40]} does not fit in 64 bits")


def _syntax_fault(message: str) -> str:
    if message == "Input data was truncated":
        return "the body is not valid JSON: it ends too early"
    return f"the body is not valid JSON: {message.removeprefix('JSON is malformed: ')}"


def _invalid(message: str) -> Invalid:
    """msgspec's sentence as an error that names the field first and speaks of JSON types."""
    located = _LOCATED.fullmatch(message)
    fault, key, path = located.groups() if located else (message, None, "")
    if field := _FIELD_FAULT.fullmatch(fault):
        path = f"{path}.{field[2]}" if path else field[2]
        reason = "required, but missing" if field[1].startswith("missing") else "unknown field"
    else:
        fault = _TYPE_NAMES.sub(lambda names: _in_json_words(names[1]), fault)
        reason = ("key: " if key else "") + fault[:1].lower() + fault[1:]
    reason = reason if len(reason) <= _LONGEST_REASON else reason[:_LONGEST_REASON] + "..."
    return Invalid(f"{path or 'the body'}: {reason}", fields={"path": path, "reason": reason})


def _in_json_words(names: str) -> str:
    return " or ".join(_WORDS.get(name, name) for name in names.split(" | "))
