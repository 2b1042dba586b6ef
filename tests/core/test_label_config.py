"""What a label configuration declares and what it demands of a task."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.content import task_text
from headrace.core.errors import Invalid
from headrace.core.label_config import (
    MAX_CONFIG_CHARACTERS,
    SHOWN_CHARACTERS,
    labels,
    parse,
    shown,
    summary,
    undefined_key,
)
from headrace.core.label_tasks import item_problem, task_problem, text_keys

SENTIMENT = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
BARE = "[assume: item as is = task root with values]  :: "
ENVELOPE = '[assume: item["data"] = task root with values] :: '


def one_object(tag: str, value: str = "$x") -> str:
    """A configuration of a single object."""
    return f'<View><{tag} name="n" value="{value}"/></View>'


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<View><Text name='text'", "unclosed token: line 1, column 6"),
        ("", "no element found: line 1, column 0"),
        ("<View>\ud800</View>", "label config is not valid Unicode text"),
        (
            '<View><Choices name="c" toName="nope"/></View>',
            "toName=\"nope\" not found in names: ['c']",
        ),
        (
            '<View><Text name="a" value="$a"/><Text name="a" value="$b"/></View>',
            "Label config contains non-unique names",
        ),
        ("<a>" * 101 + "</a>" * 101, "label config is nested deeper than 100 levels"),
        (
            "<View>" + " " * MAX_CONFIG_CHARACTERS + "</View>",
            f"label config is longer than {MAX_CONFIG_CHARACTERS} characters",
        ),
    ],
)
def test_bad_config_is_refused_with_reason(xml: str, message: str) -> None:
    """A malformed or inconsistent configuration is Invalid, in the words Label Studio uses."""
    with pytest.raises(Invalid) as refused:
        parse(xml)
    assert refused.value.message == message


def test_entities_are_never_expanded() -> None:
    """A document type declaration is refused outright, so a small text cannot grow into a large one."""
    bomb = '<!DOCTYPE v [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><View><Text name="&b;"/></View>'
    with pytest.raises(Invalid, match="DOCTYPE"):
        parse(bomb)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_invalid(xml: str) -> None:
    """No text makes the parser fail in another way than Invalid."""
    with contextlib.suppress(Invalid):
        assert parse(xml).controls == ()


def test_comments_and_unknown_tags_pass_through() -> None:
    """Comments are ignored and tags nobody knows neither fail nor declare anything without name and value."""
    config = parse(
        '<View><!-- <Text name="no" value="$no"/> --><Fancy deep="1"><Text name="t" value="$t"/></Fancy></View>'
    )
    assert config.data_keys == ("t",)
    assert [tag.name for tag in config.objects] == ["t"]
    assert config.controls == ()


def test_summary_has_the_recorded_shape() -> None:
    """`summary` answers exactly what Label Studio was seen to answer as parsed_label_config."""
    config = parse(SENTIMENT.replace("</View>", '<TextArea name="note" toName="text"/></View>'))
    inputs = [{"type": "Text", "valueType": None, "value": "text"}]
    assert summary(config) == {
        "sentiment": {
            "type": "Choices",
            "to_name": ["text"],
            "inputs": inputs,
            "labels": ["Positive", "Negative"],
            "labels_attrs": {"Positive": {"value": "Positive"}, "Negative": {"value": "Negative"}},
        },
        "note": {"type": "TextArea", "to_name": ["text"], "inputs": inputs, "labels": [], "labels_attrs": {}},
    }


def test_summary_knows_labels_below_layout_tags_and_aliases() -> None:
    """A label belongs to its nearest control however deep it stands, and is called by its alias if it has one."""
    config = parse(
        '<View><Text name="t" value="$t"/><Labels name="l" toName="t"><View><Label value="Person" alias="PER"/>'
        "</View></Labels></View>"
    )
    control = summary(config)["l"]
    assert isinstance(control, dict)
    assert control["labels"] == ["PER"]
    assert control["labels_attrs"] == {"PER": {"value": "Person", "alias": "PER"}}


@pytest.mark.parametrize(
    ("controls", "expected"),
    [
        ('<Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/></Choices>', ("A", "B")),
        (
            '<Taxonomy name="x" toName="t"><Choice value="P"><Choice value="C"/></Choice></Taxonomy>',
            ("P", "P > C"),
        ),
        (
            '<Choices name="c" toName="t"><Choice value="A"/></Choices>'
            '<Taxonomy name="x" toName="t"><Choice value="P"><Choice value="C"/></Choice></Taxonomy>',
            ("c > A", "x > P", "x > P > C"),
        ),
        ('<Labels name="l" toName="t"><Label value="PER"/></Labels><Rating name="r" toName="t"/>', ()),
    ],
)
def test_labels_follow_choices_and_taxonomy(controls: str, expected: tuple[str, ...]) -> None:
    """A dataset's labels are the values of Choices and Taxonomy, by path, led by the control if there are several."""
    assert labels(parse(f'<View><Text name="t" value="$t"/>{controls}</View>')) == expected


@pytest.mark.parametrize(
    ("xml", "keys"),
    [
        (one_object("Text", "$a.b"), ("a.b",)),
        (one_object("Header", "Read $title, then $text"), ("title",)),
        (one_object("Header", "No variable"), ()),
        ('<View><Text value="$unnamed"/></View>', ()),
        (
            '<View><Repeater on="$pages" indexFlag="{{i}}">'
            '<Text name="p_{{i}}" value="$pages[{{i}}].text"/></Repeater></View>',
            ("pages",),
        ),
        ('<View><Text name="t" value="$t"/><Choices name="c" toName="t" value="$options"/></View>', ("t", "options")),
    ],
)
def test_data_keys_come_from_named_tags(xml: str, keys: tuple[str, ...]) -> None:
    """Every tag with a name and a `$variable` in its value demands that data key; the first replaces `$undefined$`."""
    config = parse(xml)
    assert config.data_keys == keys
    assert undefined_key(config) == (keys[0] if keys else None)


@pytest.mark.parametrize(
    ("tag", "good", "bad"),
    [
        ("Text", ["a", 1, 1.5, ["a"]], [{"a": 1}, None]),
        ("HyperText", ["a"], [1, ["a"]]),
        ("Paragraphs", [[{"text": "a"}], "a"], [1, {}]),
        ("Table", [{}, [], "a"], [1, None]),
        ("Taxonomy", ["a", [], None], [1]),
        ("RectangleLabels", ["a", []], [1]),
        ("SomethingNew", ["a"], [[], 1]),
    ],
)
def test_types_are_checked_per_tag(tag: str, good: list[object], bad: list[object]) -> None:
    """Each tag accepts the value types Label Studio accepts for it, any other tag only text."""
    config = parse(one_object(tag))
    assert [task_problem(config, {"x": value}) for value in good] == [None] * len(good)
    for value in bad:
        problem = task_problem(config, {"x": value})
        assert problem is not None
        assert f"is of type '{type(value).__name__}', but the object tag {tag} expects" in problem


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"text": "a", "more": 1}, None),
        ({"data": {"text": "a"}, "id": 7, "annotations": [{"result": []}], "meta": None}, None),
        ({"txt": "a"}, f"\"text\" key is expected in task data {BARE}{{'txt': 'a'}}"),
        ({"data": {"x": 1}}, f"\"text\" key is expected in task data {ENVELOPE}{{'data': {{'x': 1}}}}"),
        (
            {"text": {"a": 1}},
            "data['text']={'a': 1} is of type 'dict', but the object tag Text expects the following types: "
            f"['str', 'int', 'float', 'list'] {BARE}{{'text': {{'a': 1}}}}",
        ),
        ({"data": "str"}, "Task[data] must be dict or list :: {'data': 'str'}"),
        ("a", 'Task root must be dict with "data", "meta", "annotations", "predictions" fields :: a'),
        (
            {"data": {"text": "x"}, "annotations": [{}]},
            "Annotation must have \"result\" fields :: {'data': {'text': 'x'}, 'annotations': [{}]}",
        ),
        (
            {"data": {"text": "x"}, "predictions": [{}]},
            "Prediction must have \"result\" fields :: {'data': {'text': 'x'}, 'predictions': [{}]}",
        ),
    ],
)
def test_items_are_judged_in_recorded_words(item: object, expected: str | None) -> None:
    """A whole item gets the text that Label Studio was seen to answer, or none."""
    assert item_problem(parse(SENTIMENT), item) == expected


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"meta": []}, "Task[meta] must be dict"),
        ({"annotations": {"result": []}}, "Task[annotations] must be list"),
        ({"annotations": [3]}, "Annotation must be dict"),
        ({"annotations": [{"result": {}}]}, '"result" field in annotation must be list'),
        ({"drafts": [{"result": "x"}]}, '"result" field in draft must be list'),
    ],
)
def test_misshapen_envelopes_are_named(parts: dict[str, object], reason: str) -> None:
    """Each part of an envelope that has the wrong shape is named in the reason."""
    problem = item_problem(parse(SENTIMENT), {"data": {"text": "x"}, **parts})
    assert problem is not None
    assert problem.startswith(reason)


def test_nested_and_repeated_keys_are_looked_up() -> None:
    """`$a.b` is a path (or a key spelled so), and a repeated key must hold a list."""
    nested = parse(one_object("Text", "$a.b"))
    assert task_problem(nested, {"a": {"b": "x"}}) is None
    assert task_problem(nested, {"a.b": "x"}) is None
    assert task_problem(nested, {"a": "x"}) == '"a.b" key is expected in task data'
    repeated = parse(one_object("Text", "$pages[{{i}}].text"))
    assert task_problem(repeated, {"pages": [{"text": "x"}]}) is None
    assert "following types: ['list']" in str(task_problem(repeated, {"pages": "x"}))


def test_empty_config_checks_nothing() -> None:
    """A configuration without objects accepts any data."""
    assert item_problem(parse("<View></View>"), {"data": ["anything"]}) is None


def test_problem_of_large_item_stays_short() -> None:
    """The text shows a large item only in part."""
    problem = item_problem(parse(SENTIMENT), {"txt": "x" * 1_000_000, "more": list(range(100_000))})
    assert problem is not None
    assert len(problem) < 5 * SHOWN_CHARACTERS


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_shown_is_repr_for_small_values(value: object) -> None:
    """A value that fits is shown exactly as Python writes it."""
    assert shown(value) == repr(value)


@pytest.mark.parametrize(
    ("xml", "data", "expected"),
    [
        (SENTIMENT, {"id": "7", "text": "hello"}, "hello"),
        (SENTIMENT, {"text": ["a", "b"]}, "a\nb"),
        (SENTIMENT, {"other": "x"}, ""),
        (
            '<View><Header name="h" value="$title"/><Text name="t" value="$body.text"/></View>',
            {"body": {"text": "B"}, "title": "T"},
            "T\nB",
        ),
        (
            '<View><Paragraphs name="p" value="$p"/></View>',
            {"p": [{"author": "A", "text": "hi"}, {"text": "there"}, {"author": "B"}]},
            "hi\nthere",
        ),
        (one_object("Chat"), {"x": [{"role": "user", "content": "hi"}]}, "hi"),
        ("<View></View>", {"n": 1, "a": "x", "b": "y"}, "x\ny"),
        ("<View></View>", ["no object"], "no object"),
    ],
)
def test_text_is_what_text_objects_show(xml: str, data: object, expected: str) -> None:
    """The text of a task is what its text objects show, or all its strings when no object shows text."""
    assert task_text(data, text_keys(parse(xml))) == expected


def test_many_items_that_fit_pass() -> None:
    """A hundred thousand small items that fit are all let through (benchmark import tells what they cost)."""
    config = parse(SENTIMENT)
    items = [{"text": "x" * 170, "id": number} for number in range(100_000)]
    assert not any(item_problem(config, item) for item in items)
