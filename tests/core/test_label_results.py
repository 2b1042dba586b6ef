"""Label Studio results against dataset labels, both ways."""

from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.label_config import LabelConfig, labels, parse
from headrace.core.label_results import (
    expand_result,
    labels_of,
    result_from_field,
    result_of,
    result_problem,
)

TEXT = '<Text name="text" value="$text"/>'
FLAT = '<Choices name="mood" toName="text"><Choice value="Good"/><Choice value="Bad"/></Choices>'
TREE = '<Taxonomy name="topic" toName="text"><Choice value="Card"><Choice value="Lost"/></Choice></Taxonomy>'
NESTED = FLAT.replace('<Choice value="Bad"/>', '<Choice value="Bad"><Choice value="Rude"/></Choice>')
STARS = '<Rating name="stars" toName="text"/>'


def config_of(*controls: str) -> LabelConfig:
    """A configuration of one text and these controls."""
    return parse(f"<View>{TEXT}{''.join(controls)}</View>")


def region(name: str, kind: str, value: object) -> dict[str, object]:
    """A region about `text`."""
    return {"from_name": name, "to_name": "text", "type": kind, "value": value}


@pytest.mark.parametrize(
    ("controls", "result", "expected"),
    [
        ([FLAT], [region("mood", "choices", {"choices": ["Good", "Bad"]})], ("Good", "Bad")),
        ([FLAT], [region("mood", "choices", {"choices": ["Fine"]})], ("Fine",)),
        ([FLAT], [region("mood", "choices", {"choices": "Good"})], ("Good",)),
        ([TREE], [region("topic", "taxonomy", {"taxonomy": [["Card"], ["Card", "Lost"]]})], ("Card", "Card > Lost")),
        ([NESTED], [region("mood", "choices", {"choices": ["Rude"]})], ("Bad > Rude",)),
        ([NESTED], [region("mood", "choices", {"choices": [["Bad", "Rude"]]})], ("Bad > Rude",)),
        (
            [FLAT, TREE],
            [
                region("topic", "taxonomy", {"taxonomy": [["Card", "Lost"]]}),
                region("mood", "choices", {"choices": ["Good"]}),
            ],
            ("topic > Card > Lost", "mood > Good"),
        ),
        ([FLAT, STARS], [region("stars", "rating", {"rating": 4}), {"type": "relation"}, "junk"], ()),
        ([FLAT], None, ()),
        ([FLAT], [region("mood", "choices", {"choices": [7, None, []]})], ()),
    ],
)
def test_labels_of_results(controls: list[str], result: object, expected: tuple[str, ...]) -> None:
    """Choices and taxonomy answers become dataset labels in order; everything else is passed over."""
    assert labels_of(config_of(*controls), result) == expected


@pytest.mark.parametrize(
    ("controls", "names", "expected"),
    [
        ([FLAT], ["Bad"], [region("mood", "choices", {"choices": ["Bad"]})]),
        ([TREE], ["Card > Lost"], [region("topic", "taxonomy", {"taxonomy": [["Card", "Lost"]]})]),
        ([NESTED], ["Bad > Rude"], [region("mood", "choices", {"choices": [["Bad", "Rude"]]})]),
        (
            [TREE, FLAT],
            ["mood > Bad", "topic > Card", "new"],
            [
                region("topic", "taxonomy", {"taxonomy": [["Card"]]}),
                region("mood", "choices", {"choices": ["Bad", "new"]}),
            ],
        ),
        ([TREE], ["Cash > Found"], [region("topic", "taxonomy", {"taxonomy": [["Cash", "Found"]]})]),
        ([STARS], ["Good"], []),
        ([FLAT], [], []),
    ],
)
def test_result_of_labels(controls: list[str], names: list[str], expected: list[object]) -> None:
    """Labels become one region per control; unknown ones go to the first choices, else taxonomy."""
    assert result_of(config_of(*controls), names) == expected


NAMES = st.text(alphabet="abC >&<\"'é", min_size=1, max_size=6)
TREES = st.recursive(st.just({}), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6)


def choices_xml(tree: dict[str, object]) -> str:
    """The Choice tags for a tree of names."""
    return "".join(
        f"<Choice value={quoteattr(name)}>{choices_xml(below)}</Choice>"
        for name, below in tree.items()
        if isinstance(below, dict)
    )


@st.composite
def configs(draw: st.DrawFn) -> LabelConfig:
    """Configurations of up to three Choices or Taxonomy controls with hostile names."""
    kinds = draw(st.lists(st.sampled_from(["Choices", "Taxonomy"]), min_size=1, max_size=3))
    names = draw(
        st.lists(NAMES.filter(lambda name: name != "text"), min_size=len(kinds), max_size=len(kinds), unique=True)
    )
    return config_of(
        *(
            f'<{kind} name={quoteattr(name)} toName="text">{choices_xml(draw(TREES))}</{kind}>'
            for kind, name in zip(kinds, names, strict=True)
        )
    )


@given(configs(), st.data())
def test_known_labels_survive_the_round_trip(config: LabelConfig, data: st.DataObject) -> None:
    """Any set of a configuration's own labels comes back from the regions made of it, none lost and none added."""
    known = labels(config)
    picked = data.draw(st.lists(st.sampled_from(known), unique=True)) if known else []
    result = result_of(config, picked)
    assert result_problem(config, result) is None
    assert sorted(labels_of(config, result)) == sorted(picked)


@given(configs(), st.lists(NAMES, unique=True, max_size=4))
def test_unknown_labels_settle_after_one_trip(config: LabelConfig, names: list[str]) -> None:
    """A label nobody declared may take on its control's name once; from then on it stays the same."""
    settled = labels_of(config, result_of(config, names))
    assert labels_of(config, result_of(config, settled)) == settled


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        ([], None),
        ([region("stars", "rating", {"rating": 4}), {"type": "relation", "from_id": "a"}], None),
        ([region("mood", "choices", {"choices": ["unknown"]})], None),
        ({"a": 1}, '"result" field in annotation must be list'),
        ([3], "result[0] must be dict"),
        ([{}, {"from_name": 3}], 'result[1] field "from_name" must be str'),
        ([{"value": []}], 'result[0] field "value" must be dict'),
        ([region("mood", "choices", {"choices": [{}]})], 'result[0] field "choices" must be list of str'),
    ],
)
def test_result_problem_names_the_place(result: object, problem: str | None) -> None:
    """A result that cannot be stored is named by region and field; foreign but well-shaped regions are accepted."""
    assert result_problem(config_of(FLAT, STARS), result) == problem


@pytest.mark.parametrize(
    ("given_result", "expected"),
    [
        ("Good", [region("mood", "choices", {"choices": ["Good"]})]),
        (4, [region("stars", "rating", {"rating": 4})]),
        ({"choices": ["Bad"]}, [region("mood", "choices", {"choices": ["Bad"]})]),
        ([{"any": "list"}], [{"any": "list"}]),
        (None, None),
        (True, None),
        ({"unknown": 1}, None),
    ],
)
def test_short_predictions_are_written_out(given_result: object, expected: object) -> None:
    """A bare value or value object becomes a region of the first control that can hold it."""
    assert expand_result(config_of(FLAT, STARS), given_result) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("mood", "Good", [region("mood", "choices", {"choices": ["Good"]})]),
        ("mood", ["Good", "Bad"], [region("mood", "choices", {"choices": ["Good", "Bad"]})]),
        ("stars", 5, [region("stars", "rating", {"rating": 5})]),
        ("other", "x", [region("other", "choices", {"choices": ["x"]})]),
        ("mood", {"choices": ["Bad"]}, [region("mood", "choices", {"choices": ["Bad"]})]),
        ("mood", [{"from_name": "mood"}], [{"from_name": "mood"}]),
    ],
)
def test_fields_become_results(name: str, value: object, expected: list[object]) -> None:
    """A pre-annotated field answers the control of its name, or choices about `text` when there is none."""
    assert result_from_field(config_of(FLAT, STARS), name, value) == expected
