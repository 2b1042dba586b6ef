"""The edge decoder: its fast tests agree with a slow and obvious one, and its refusals can be understood."""

import enum
import json
from typing import Annotated

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.core.errors import Invalid, Malformed
from headrace.decode import MAX_DEPTH, Raw, check, decode, encode


def words(text: str) -> list[str]:
    return text.split()


HARMLESS_PIECES = words(
    r"""[ ] { } [[ }} [] \\ \\\\ \" \n \/ \t \u0041 \ud83d\ude00 \uDBFF\uDC00 \uD7ff \ue000 \\ud83d \\u0000
    u0000 ud800 1e400 : , - + . e E 0 19 NaN 1234567890123456789012 é 😀 � u d8 x"""
)
BAD_PIECES = words(r"\u0000 \\\u0000 \ud83d \uDBFF \ude00 \uDC00 \ud83d\ud83d\ude00 \ude00\ud83d \ud83d\\ude00")
HARMLESS_NUMBERS = words(
    """0 -0 1 -1 1.5 1e5 1E+5 -2.5e-3 0.1 1e99 1e308 1.7976931348623157e308 -1e-400 0e400 0.0e99999
    1e0000000005 1e-99999 12e307 9223372036854775807 -9223372036854775808 1000000000000000000
    0.12345678901234567890123 12345678901234567890.5 12345678901234567890e3"""
)
BAD_NUMBERS = words(
    """1e309 -1e309 1e+400 1E400 1E+309 12e308 9223372036854775808 -9223372036854775809 18446744073709551615
    99999999999999999999 1e400.5 01 1. NaN -Infinity"""
)
NINES, ZEROS = "9" * 400, "0" * 400
HARMLESS_LONG = [f"1{ZEROS}e-200", f"0.{ZEROS}1e405", f"1.{NINES}"]
BAD_LONG = [NINES, NINES + ".5", f"1{ZEROS}e99", "9" * 5000]
PATCHES = [b"", b'"', b"\\", b"[", b"}", b"\0", b"\xff", b"\xc3", b"9", b"e999", b","]


class Pairs(list[tuple[str, object]]):
    """The members of a JSON object, duplicate keys included."""


def refuse_constant(name: str) -> object:
    raise ValueError(name)


def keep_long(text: str) -> object:
    return int(text) if len(text) < 100 else 2**64


def acceptable(value: object, depth: int) -> bool:
    """The rules in their plainest form, over a parsed document."""
    if isinstance(value, Pairs):
        members = [part for pair in value for part in pair]
        return depth > 0 and all(acceptable(part, depth - 1) for part in members)
    if isinstance(value, list):
        return depth > 0 and all(acceptable(part, depth - 1) for part in value)
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, float):
        return abs(value) != float("inf")
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def oracle(body: bytes, max_depth: int) -> bool:
    """Whether the body may pass, found by a complete parse and a walk."""
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=Pairs, parse_int=keep_long, parse_constant=refuse_constant
        )
    except (ValueError, RecursionError):
        return False
    return acceptable(value, max_depth)


def passes(body: bytes, max_depth: int) -> bool:
    try:
        check(body, max_depth=max_depth)
    except Malformed:
        return False
    return True


def nested(inner: str, openers: str) -> str:
    """The inner text below one array or object per letter of openers."""
    for opener in openers:
        inner = f"[{inner}]" if opener == "[" else '{"]":' + inner + "}"
    return inner


spaces = st.sampled_from(["", "", "", " ", "\n\t", " \r\n "])
pieces = st.sampled_from(HARMLESS_PIECES * 8 + BAD_PIECES)
strings = st.lists(pieces, max_size=6).map(lambda parts: '"' + "".join(parts) + '"')
numbers = st.sampled_from((HARMLESS_NUMBERS + HARMLESS_LONG) * 6 + BAD_NUMBERS + BAD_LONG)
scalars = numbers | strings | st.sampled_from(["true", "false", "null", '""'])


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.lists(values, max_size=4)
    return st.builds(lambda items, gap: f"[{gap}{f'{gap},'.join(items)}{gap}]", items, spaces)


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.builds(lambda key, gap, value: f"{gap}{key}{gap}:{gap}{value}", strings, spaces, values)
    return st.lists(member, max_size=4).map(lambda members: "{" + ",".join(members) + "}")


documents = st.recursive(scalars, lambda inner: arrays(inner) | objects(inner), max_leaves=12)
bodies = st.builds(
    lambda before, text, openers, after: (before + nested(text, openers) + after).encode(),
    spaces,
    documents,
    st.text("[{", max_size=12) | st.text("[{", min_size=94, max_size=104),
    spaces,
)


@settings(max_examples=300, deadline=None)
@given(bodies, st.sampled_from([1, 2, 5, 12, 13, 14, MAX_DEPTH]))
@example(b'"\\ud83d\\ud83d\\ude00"', 1)
@example(b'"\\ud83d\\\\ude00"', 1)
@example(b'["\\\\","]",["\\\\\\"]"]]', 2)
@example(b'["\\\\\\u0000"]', 1)
@example(b'["\\\\u0000"]', 1)
def test_fast_equals_slow(body: bytes, max_depth: int) -> None:
    """A document passes exactly when a full parse and a walk find nothing to refuse."""
    assert passes(body, max_depth) == oracle(body, max_depth)


@settings(max_examples=200, deadline=None)
@given(bodies, st.data())
def test_fast_equals_slow_on_damaged_bodies(body: bytes, data: st.DataObject) -> None:
    """Cutting, doubling or inserting bytes leads both to the same verdict: no damage opens a gap."""
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 8)))
    patch = data.draw(st.sampled_from(PATCHES))
    damaged = body[:start] + patch + body[end:]
    assert passes(damaged, MAX_DEPTH) == oracle(damaged, MAX_DEPTH)


@settings(max_examples=150, deadline=None)
@given(bodies)
def test_accepted_reads_back_equal(body: bytes) -> None:
    """What is decoded equals what the standard library reads, and survives being encoded again."""
    try:
        value = decode(body, object)
    except Malformed:
        return
    assert repr(value) == repr(json.loads(body))
    assert decode(encode(value), object) == value


@settings(max_examples=150, deadline=None)
@given(st.lists(strings, min_size=1, max_size=40), numbers, st.integers(0, 40))
def test_number_beside_strings_full_of_numbers(texts: list[str], number: str, place: int) -> None:
    """Digits in strings never refuse a body and never hide a number that must be refused."""
    body = "[" + ",".join([*texts[:place], number, *texts[place:]]) + "]"
    assert passes(body.encode(), MAX_DEPTH) == oracle(body.encode(), MAX_DEPTH)


@pytest.mark.parametrize("opener", ["[", "{"])
def test_depth_limit(opener: str) -> None:
    """A hundred levels pass and one more is refused, however many brackets the strings hold."""
    text = '"' + "[{]}" * 200 + '"'
    check(nested(text, opener * 100).encode())
    with pytest.raises(Malformed, match="nested deeper than 100 levels"):
        check(nested(text, opener * 101).encode())


BRACKETS = [b"[" * 1_000_000, b"[" * 500_000 + b"]" * 500_000, b'{"a":' * 200_000, b"]" * 500]


@pytest.mark.parametrize("body", BRACKETS)
def test_hostile_nesting_is_refused(body: bytes) -> None:
    """A megabyte of brackets ends in a refusal, not in a recursion error."""
    with pytest.raises(Malformed):
        decode(body, object)


MALFORMED = [
    (b"", "the body is empty"),
    (b"  ", "the body is not valid JSON: it ends too early"),
    (b'{"a":1', "the body is not valid JSON: it ends too early"),
    (b'{"a":1,}', "the body is not valid JSON: trailing comma in object (byte 7)"),
    (b"{} x", "the body is not valid JSON: trailing characters (byte 4)"),
    (b"NaN", "the body is not valid JSON: invalid character (byte 0)"),
    (b'{"a":-Infinity}', "the body is not valid JSON: invalid character (byte 6)"),
    (b'["\xff"]', "the body is not UTF-8 (byte 2)"),
    (b'["\xed\xa0\x80"]', "the body is not UTF-8 (byte 2)"),
    (b'["a\0"]', "the body contains a NUL character (byte 3)"),
    (b'["a\\u0000"]', "the body contains an escaped NUL character (byte 3)"),
    (b'{"\\u0000":1}', "the body contains an escaped NUL character (byte 2)"),
    (b'["\\uD83D"]', "the body contains half of a surrogate pair (byte 2)"),
    (b'["\\uDBFF "]', "the body contains half of a surrogate pair (byte 2)"),
    (b'["\\\\\\ude00"]', "the body contains half of a surrogate pair (byte 4)"),
    (b"[9223372036854775808]", "the integer 9223372036854775808 does not fit in 64 bits"),
    (b"[1e400]", "the number 1e400 is too large"),
    (b"[" + b"7" * 9000 + b"]", f"the integer {'7' * 40} does not fit in 64 bits"),
]


@pytest.mark.parametrize(("body", "message"), MALFORMED)
def test_malformed_says_what_and_where(body: bytes, message: str) -> None:
    """A body nobody can keep is Malformed, with the reason and the position where there is one."""
    for refuse in (check, lambda body: decode(body, object), lambda body: decode(body, Raw)):
        with pytest.raises(Malformed) as caught:
            refuse(body)
        assert caught.value.message == message


class Kind(enum.Enum):
    plain = "plain"
    markdown = "markdown"


class Comment(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    id: str
    size: Annotated[int, msgspec.Meta(ge=1)] = 1
    kind: Kind = Kind.plain
    thread: str | None = None
    properties: dict[Annotated[str, msgspec.Meta(min_length=2)], float] = {}

    def __post_init__(self) -> None:
        if self.id == "taken":
            raise ValueError("this id is taken")


class Batch(msgspec.Struct):
    comments: list[Comment]


WRONG_SHAPES = [
    ('[{"id":"a"},{"id":1}]', "comments[1].id", "expected string, got integer"),
    ('[{"id":"a","thread":[]}]', "comments[0].thread", "expected string or null, got array"),
    ('[{"size":1}]', "comments[0].id", "required, but missing"),
    ('[{"id":"a","sise":1}]', "comments[0].sise", "unknown field"),
    ('[{"id":"a","size":0}]', "comments[0].size", "expected integer >= 1"),
    ('[{"id":"a","kind":"html"}]', "comments[0].kind", "invalid enum value 'html'"),
    ('[{"id":"a","properties":{"ab":"x"}}]', "comments[0].properties[...]", "expected number, got string"),
    ('[{"id":"a","properties":{"a":1}}]', "comments[0].properties", "key: expected string of length >= 2"),
    ('[{"id":"taken"}]', "comments[0]", "this id is taken"),
    ('{"a":1}', "comments", "expected array, got object"),
]


@pytest.mark.parametrize(("comments", "path", "reason"), WRONG_SHAPES)
def test_wrong_shape_names_the_field(comments: str, path: str, reason: str) -> None:
    """Valid JSON of another shape is Invalid, not Malformed, and says which field and why."""
    with pytest.raises(Invalid) as caught:
        decode(f'{{"comments":{comments}}}'.encode(), Batch)
    assert type(caught.value) is Invalid
    assert caught.value.fields == {"path": path, "reason": reason}
    assert caught.value.message == f"{path}: {reason}"


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"[]", "the body: expected object, got array"), (b"{}", "comments: required, but missing")],
)
def test_wrong_shape_of_the_whole_body(body: bytes, message: str) -> None:
    """A fault of the outermost value speaks of the body, or of the field it lacks."""
    with pytest.raises(Invalid) as caught:
        decode(body, Batch)
    assert caught.value.message == message


def test_path_at_the_top_of_a_list() -> None:
    """An element of a top-level array is named by its index."""
    with pytest.raises(Invalid, match=r"^\[1\]: expected integer, got string$"):
        decode(b'[1,"x"]', list[int])


def test_shape_never_hides_bad_syntax() -> None:
    """A body that is wrong in shape first and broken later is still not JSON, hence Malformed."""
    with pytest.raises(Malformed, match="ends too early"):
        decode(b'{"comments":[{"id":1}', Batch)


def test_hazards_are_found_outside_the_declared_shape() -> None:
    """Fields the type ignores or keeps raw are held to the same rules."""
    for hazard in (b"1e400", b"9223372036854775808", b'"\\u0000"', b'"\xff"', b'"\\ud800"', b"NaN"):
        with pytest.raises(Malformed):
            decode(b'{"comments":[],"other":' + hazard + b"}", Batch)
        with pytest.raises(Malformed):
            decode(b'{"x":' + hazard + b"}", dict[str, Raw])


def test_long_reasons_are_cut() -> None:
    """A megabyte of a wrong value does not come back as a megabyte of message."""
    with pytest.raises(Invalid) as caught:
        decode(b'{"comments":[{"id":"a","kind":"' + b"x" * 1_000_000 + b'"}]}', Batch)
    assert len(caught.value.message) < 300


def test_raw_keeps_the_bytes() -> None:
    """A Raw field keeps the text as it was sent, and encode splices it back unchanged."""
    body = b'{"a":{"b" : [1.0, 1e2,"\\u00e9"]},"c":1}'
    fields = decode(body, dict[str, Raw])
    assert bytes(fields["a"]) == b'{"b" : [1.0, 1e2,"\\u00e9"]}'
    assert encode(fields) == body
