"""The filter language: its meaning equals the plain words of its form, and every form is read or refused."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core import filters
from headrace.core.errors import Invalid
from headrace.core.filters import Filter, PropertyCondition, RecordView, Role

BOB, EVE = "Bob@Example.org", "eve@mail.EXAMPLE.net"
ADDRESSES = [BOB, BOB.lower(), EVE, "Al <al@example.org>", "nobody", "a@b@example.net"]
DOMAINS = ["example.org", "nobody", "uk", "Mail.Example.net", "example.net", "org", ""]
TEXTS = ["uk", "UK", "de", "", BOB, "x@example.net"]
NUMBERS = [0, 1, 1.0, 1.5, -2, 2**53, 2**53 + 1, 1e300]
LABELS = ["Late", "Late > Very", "late", "Refund"]
TYPES = ["application/pdf", "Text/Plain", "text/plain", "image/png"]
SOURCES = ["000000000000000a", "00000000000000FF", "7fffffffffffffff"]
INSTANTS = {
    "1970-01-01": 0,
    "1970-01-01T00:00:00.000002Z": 2,
    "1970-01-01 00:00:01": 1_000_000,
    "1969-12-31T23:00:00-01:00": 0,
}


def some(values: list[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(st.sampled_from(values), max_size=3)


def optional(**parts: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=parts)


def sets(values: list[object]) -> dict[str, st.SearchStrategy[list[object]]]:
    return {"one_of": some(values), "not_one_of": some(values)}


domains = {"domain_one_of": some(DOMAINS), "domain_not_one_of": some(DOMAINS)}
number = st.sampled_from(NUMBERS)
string_conditions = optional(**sets(TEXTS), **domains)
number_conditions = optional(**sets(NUMBERS), minimum=number, maximum=number)
address_conditions = optional(**sets(ADDRESSES), **domains)
attribute_kinds = {
    "labels": ("string_any_of", {"any_of": some(LABELS)}),
    "attachment_property_types": ("string_any_of", {"any_of": some(TYPES)}),
    "attachment_property_num_attachments": ("number_range", {"minimum": number, "maximum": number}),
}


def attribute_conditions(attribute: str) -> st.SearchStrategy[dict[str, object]]:
    kind, said = attribute_kinds[attribute]
    condition = st.fixed_dictionaries({"kind": st.just(kind)}, optional=said)
    return st.fixed_dictionaries({"attribute": st.just(attribute), "filter": condition})


parts = {
    "reviewed": st.sampled_from(["only_reviewed", "only_unreviewed"]),
    "timestamp": optional(minimum=st.sampled_from(sorted(INSTANTS)), maximum=st.sampled_from(sorted(INSTANTS))),
    "sources": some(SOURCES),
    "user_properties": st.fixed_dictionaries(
        {},
        optional={f"string:{name}": string_conditions for name in "AB"}
        | {f"number:{name}": number_conditions for name in "AB"},
    ),
    "messages": st.fixed_dictionaries({}, optional={role.value: address_conditions for role in Role}),
    "annotations": optional(labels=optional(**sets(LABELS))),
    "trigger_exceptions": optional(**sets(["Wrong", "wrong"])),
    "attribute_filters": st.lists(st.sampled_from(sorted(attribute_kinds)).flatmap(attribute_conditions), max_size=2),
}
whole_filters = optional(**parts)
narrow_filters = st.sampled_from(sorted(parts)).flatmap(lambda name: st.fixed_dictionaries({name: parts[name]}))
json_filters = narrow_filters | whole_filters

leaves: dict[str, st.SearchStrategy[object]] = {
    "reviewed": parts["reviewed"],
    "sources": parts["sources"],
    **{f"timestamp/{bound}": st.sampled_from(sorted(INSTANTS)) for bound in ("minimum", "maximum")},
    **{f"user_properties/string:A/{name}": said for name, said in (sets(TEXTS) | domains).items()},
    **{f"user_properties/number:A/{name}": said for name, said in sets(NUMBERS).items()},
    **{f"user_properties/number:A/{bound}": number for bound in ("minimum", "maximum")},
    **{f"messages/{role}/{name}": said for role in Role for name, said in (sets(ADDRESSES) | domains).items()},
    **{f"annotations/labels/{name}": said for name, said in sets(LABELS).items()},
    **{f"trigger_exceptions/{name}": said for name, said in sets(["Wrong", "wrong"]).items()},
    **{f"attribute_filters/{name}": attribute_conditions(name) for name in attribute_kinds},
}

addresses = st.lists(st.sampled_from(ADDRESSES), max_size=3).map(tuple)
properties = optional(
    **{f"string:{name}": st.sampled_from(TEXTS) for name in "AB"},
    **{f"number:{name}": st.sampled_from([*NUMBERS, True, "1"]) for name in "AB"},
)
views = st.builds(
    RecordView,
    source_id=st.sampled_from([10, 255, 2**63 - 1, 3]),
    timestamp=st.sampled_from([-1, 0, 1, 2, 3, 1_000_000]),
    properties=properties,
    senders=addresses,
    to=addresses,
    cc=addresses,
    bcc=addresses,
    reviewed=st.booleans(),
    labels=st.frozensets(st.sampled_from(LABELS), max_size=2),
    exceptions=st.frozensets(st.sampled_from(["Wrong", "wrong", "Other"]), max_size=2),
    attachments=st.lists(st.sampled_from(TYPES), max_size=3).map(tuple),
)


def domain(address: str) -> str | None:
    if "@" not in address:
        return None
    return address.split("@")[-1].replace(">", "").lower()


def among(said: Mapping[str, list[str]], values: list[str]) -> bool:
    """What one_of and not_one_of say of a record's list of lower-case or exact values."""
    if "one_of" in said and not any(value in said["one_of"] for value in values):
        return False
    return not any(value in said.get("not_one_of", []) for value in values)


def lowered(said: Mapping[str, list[str]], prefix: str) -> dict[str, list[str]]:
    return {
        name: [text.lower() for text in said[prefix + name]]
        for name in ("one_of", "not_one_of")
        if prefix + name in said
    }


def domains_hold(said: Mapping[str, list[str]], values: list[str]) -> bool:
    found = [domain(value) for value in values]
    return among(lowered(said, "domain_"), [name for name in found if name is not None])


def property_holds(key: str, said: Mapping[str, object], view: RecordView) -> bool:
    if said == {}:
        return True
    if key not in view.properties:
        return False
    value = view.properties[key]
    if key.startswith("string:"):
        return among(said, [value]) and domains_hold(said, [value])
    if isinstance(value, bool | str):
        return False
    return among(said, [value]) and said.get("minimum", value) <= value <= said.get("maximum", value)


def addresses_hold(role: str, said: Mapping[str, list[str]], view: RecordView) -> bool:
    found = {"from": view.senders, "recipient": [*view.to, *view.cc, *view.bcc]}
    values = found[role] if role in found else getattr(view, role)
    return among(lowered(said, ""), [value.lower() for value in values]) and domains_hold(said, list(values))


def attribute_holds(said: Mapping[str, object], view: RecordView) -> bool:
    condition = said["filter"]
    if said["attribute"] == "labels":
        return "any_of" not in condition or any(label in condition["any_of"] for label in view.labels)
    if said["attribute"] == "attachment_property_types":
        wanted = [kind.lower() for kind in condition.get("any_of", [])]
        return "any_of" not in condition or any(kind.lower() in wanted for kind in view.attachments)
    count = len(view.attachments)
    return condition.get("minimum", count) <= count <= condition.get("maximum", count)


def oracle(said: Mapping[str, object], view: RecordView) -> bool:
    """The words of the form, one sentence each, read straight from the JSON."""
    times = {name: INSTANTS[text] for name, text in said.get("timestamp", {}).items()}
    sentences = [
        "reviewed" not in said or said["reviewed"] == ("only_reviewed" if view.reviewed else "only_unreviewed"),
        times.get("minimum", view.timestamp) <= view.timestamp <= times.get("maximum", view.timestamp),
        "sources" not in said or f"{view.source_id:016x}" in [text.lower() for text in said["sources"]],
        all(property_holds(key, part, view) for key, part in said.get("user_properties", {}).items()),
        all(addresses_hold(role, part, view) for role, part in said.get("messages", {}).items()),
        among(said.get("annotations", {}).get("labels", {}), list(view.labels)),
        among(said.get("trigger_exceptions", {}), list(view.exceptions)),
        all(attribute_holds(part, view) for part in said.get("attribute_filters", [])),
    ]
    return all(sentences)


def one_condition(path: str, data: st.DataObject) -> dict[str, object]:
    """A filter that says one thing only."""
    said = data.draw(leaves[path])
    if path.startswith("attribute_filters/"):
        return {"attribute_filters": [said]}
    for name in reversed(path.split("/")):
        said = {name: said}
    return said


@pytest.mark.parametrize("path", leaves)
@settings(max_examples=12, deadline=None)
@given(data=st.data(), view=views, other=views)
def test_each_condition_means_its_words(path: str, data: st.DataObject, view: RecordView, other: RecordView) -> None:
    """Each condition lets through exactly the records its JSON describes, and names the fields it looks at."""
    said = one_condition(path, data)
    filter = filters.parse(said)
    assert filters.matches(filter, view) == oracle(said, view)
    needed = {name: getattr(view, name) for name in filters.needs(filter)}
    assert filters.matches(filter, other._replace(**needed)) == filters.matches(filter, view)


@settings(max_examples=100, deadline=None)
@given(json_filters, views)
def test_meaning_equals_the_words(said: dict[str, object], view: RecordView) -> None:
    """A compiled filter lets through exactly the records that its JSON describes."""
    assert filters.matches(filters.parse(said), view) == oracle(said, view)


@settings(max_examples=60, deadline=None)
@given(json_filters)
def test_json_round_trip(said: dict[str, object]) -> None:
    """A filter's JSON form survives a database and makes an equal filter, however the keys were ordered."""
    filter = filters.parse(said)
    form = json.loads(json.dumps(filters.to_json(filter), sort_keys=True))
    assert filters.parse(form) == filter
    assert filters.to_json(filters.parse(form)) == filters.to_json(filter)
    assert filters.parse(dict(reversed(said.items()))) == filter


@settings(max_examples=100, deadline=None)
@given(json_filters, views, views)
def test_only_needed_fields_decide(said: dict[str, object], view: RecordView, other: RecordView) -> None:
    """Whatever stands in the fields a filter does not need, the verdict is the same."""
    filter = filters.parse(said)
    needed = {name: getattr(view, name) for name in filters.needs(filter)}
    assert filters.matches(filter, other._replace(**needed)) == filters.matches(filter, view)


EMPTY = {
    "user_properties": {"string:A": {}, "number:A": {}},
    "timestamp": {},
    "messages": {"from": {}, "recipient": {}},
    "annotations": {"labels": {}},
    "trigger_exceptions": {},
    "attribute_filters": [],
}


@pytest.mark.parametrize("said", [{}, EMPTY, *({name: part} for name, part in EMPTY.items())])
def test_empty_objects_restrict_nothing(said: dict[str, object]) -> None:
    """Clients send empty objects all the time; they say nothing."""
    assert filters.is_empty(filters.parse(said))


@given(views)
def test_empty_means_everything(view: RecordView) -> None:
    """An empty filter needs nothing of a record, lets every one through and has an empty form."""
    filter = filters.parse(EMPTY)
    assert filters.matches(filter, view)
    assert filters.needs(filter) == frozenset()
    assert filters.to_json(filter) == {}


DOCUMENTED = {
    "user_properties": {
        "number:Spend": {"minimum": 100, "maximum": 100000},
        "number:Transactions": {"one_of": [1]},
        "string:Country": {"one_of": ["uk", "de"]},
    }
}


@pytest.mark.parametrize(
    ("country", "spend", "transactions", "expected"),
    [
        ("uk", 100, 1, True),
        ("de", 100000, 1.0, True),
        ("fr", 100, 1, False),
        ("UK", 100, 1, False),
        ("uk", 99.99, 1, False),
        ("uk", 100000.5, 1, False),
        ("uk", 100, 2, False),
        ("uk", 100, True, False),
        ("uk", None, 1, False),
        (None, 100, 1, False),
    ],
)
def test_documented_example(country: object, spend: object, transactions: object, expected: bool) -> None:
    """The example of the documentation: keys combine with AND, bounds are inclusive, a missing key never matches."""
    found = {"string:Country": country, "number:Spend": spend, "number:Transactions": transactions}
    view = RecordView(1, 0, {key: value for key, value in found.items() if value is not None})
    assert filters.matches(filters.parse(DOCUMENTED), view) is expected


def test_missing_property_never_matches() -> None:
    """Not even `not_one_of` lets a record through that lacks the property; lists that are empty do pass it."""
    view = RecordView(1, 0, {})
    for condition in ({"not_one_of": ["x"]}, {"not_one_of": []}, {"domain_not_one_of": ["example.org"]}):
        assert not filters.matches(filters.parse({"user_properties": {"string:A": condition}}), view)
        assert filters.matches(filters.parse({"messages": {"cc": condition}}), view)
    assert filters.matches(filters.parse({"annotations": {"labels": {"not_one_of": ["Late"]}}}), view)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"one_of": ["BOB@example.ORG"]}, True),
        ({"one_of": ["bob"]}, False),
        ({"not_one_of": ["eve@mail.example.net", "x@example.org"]}, False),
        ({"not_one_of": ["x@example.org"]}, True),
        ({"domain_one_of": ["EXAMPLE.org"]}, True),
        ({"domain_one_of": ["example.net"]}, False),
        ({"domain_not_one_of": ["mail.example.net"]}, False),
        ({"domain_not_one_of": ["example.net"]}, True),
        ({"one_of": ["bob@example.org"], "domain_not_one_of": ["mail.example.net"]}, False),
        ({"one_of": []}, False),
    ],
)
def test_addresses(condition: dict[str, object], expected: bool) -> None:
    """Addresses and whole domains compare without regard to case; `one_of` asks for any, `not_one_of` for none."""
    view = RecordView(1, 0, {}, to=["Bob <bob@example.org>", BOB], bcc=[EVE, "nobody"])
    assert filters.matches(filters.parse({"messages": {"recipient": condition}}), view) is expected


def test_several_conditions_on_one_property() -> None:
    """All that is said of one property must hold at once."""
    filter = filters.parse({"user_properties": {"number:A": {"minimum": 1, "maximum": 5, "not_one_of": [3.0]}}})
    passed = [value for value in range(8) if filters.matches(filter, RecordView(1, 0, {"number:A": value}))]
    assert passed == [1, 2, 4, 5]


def test_label_names_as_lists() -> None:
    """A label may be written as text or as the list of its parts."""
    as_text = {"annotations": {"labels": {"one_of": ["Parent > Child", "Other"]}}}
    as_lists = {"annotations": {"labels": {"one_of": [["Parent", "Child"], "Other"]}}}
    assert filters.parse(as_lists) == filters.parse(as_text)
    assert filters.to_json(filters.parse(as_lists)) == {
        "annotations": {"labels": {"one_of": ["Other", "Parent > Child"]}}
    }


def test_attributes_beside_a_filter() -> None:
    """The attribute filters of a query, read apart, combine by AND with the filter they are put into."""
    said = [{"attribute": "labels", "filter": {"kind": "string_any_of", "any_of": ["Late"]}}]
    filter = Filter(reviewed=True, attributes=filters.parse_attributes(said))
    late = RecordView(1, 0, {}, reviewed=True, labels={"Late"})
    assert filters.matches(filter, late)
    assert not filters.matches(filter, late._replace(reviewed=False))
    assert not filters.matches(filter, late._replace(labels={"Early"}))
    assert filters.parse({"reviewed": "only_reviewed", "attribute_filters": said}) == filter


def test_filters_are_values() -> None:
    """A filter can be a dictionary key, and numbers equal by value make equal filters."""
    first = filters.parse({"user_properties": {"number:A": {"one_of": [1, 2.5]}}})
    second = filters.parse({"user_properties": {"number:A": {"one_of": [2.5, 1.0, 1]}}})
    assert {first: "seen"}[second] == "seen"
    assert first.properties == (PropertyCondition(key="number:A", one_of=frozenset({1, 2.5})),)


LABEL_ATTRIBUTE = {"attribute": "labels", "filter": {"kind": "string_any_of"}}
COUNT_ATTRIBUTE = {"attribute": "attachment_property_num_attachments", "filter": {"kind": "number_range"}}
REFUSED = [
    ({"nonsense": {}}, "nonsense"),
    ({"reviewed": True}, "reviewed"),
    ({"reviewed": "reviewed"}, "reviewed"),
    ({"reviewed": ""}, "reviewed"),
    ({"reviewed": None}, "reviewed"),
    ({"timestamp": []}, "timestamp"),
    ({"timestamp": {"from": "2020-01-01"}}, "timestamp.from"),
    ({"timestamp": {"minimum": "yesterday"}}, "timestamp.minimum"),
    ({"timestamp": {"maximum": 5}}, "timestamp.maximum"),
    ({"sources": "000000000000000a"}, "sources"),
    ({"sources": ["000000000000000a", "xyz"]}, "sources[1]"),
    ({"sources": ["a"]}, "sources[0]"),
    ({"sources": ["ffffffffffffffff"]}, "sources[0]"),
    ({"sources": [10]}, "sources[0]"),
    ({"user_properties": []}, "user_properties"),
    ({"user_properties": {"Spend": {}}}, 'user_properties["Spend"]'),
    ({"user_properties": {"bool:X": {}}}, 'user_properties["bool:X"]'),
    ({"user_properties": {"string:X": ["uk"]}}, 'user_properties["string:X"]'),
    ({"user_properties": {"string:X": {"one_of": "uk"}}}, 'user_properties["string:X"].one_of'),
    ({"user_properties": {"string:X": {"one_of": ["uk", 1]}}}, 'user_properties["string:X"].one_of[1]'),
    ({"user_properties": {"string:X": {"minimum": 1}}}, 'user_properties["string:X"].minimum'),
    ({"user_properties": {"number:Spend": {"minimum": "1"}}}, 'user_properties["number:Spend"].minimum'),
    ({"user_properties": {"number:Spend": {"maximum": True}}}, 'user_properties["number:Spend"].maximum'),
    ({"user_properties": {"number:Spend": {"minimum": None}}}, 'user_properties["number:Spend"].minimum'),
    ({"user_properties": {"number:X": {"minimum": float("nan")}}}, 'user_properties["number:X"].minimum'),
    ({"user_properties": {"number:X": {"one_of": [1, float("inf")]}}}, 'user_properties["number:X"].one_of[1]'),
    ({"user_properties": {"number:X": {"one_of": [False]}}}, 'user_properties["number:X"].one_of[0]'),
    ({"user_properties": {"number:X": {"domain_one_of": []}}}, 'user_properties["number:X"].domain_one_of'),
    ({"messages": {"sender": {}}}, "messages.sender"),
    ({"messages": {"from": [BOB]}}, "messages.from"),
    ({"messages": {"from": {"one_of": [1]}}}, "messages.from.one_of[0]"),
    ({"messages": {"to": {"minimum": 1}}}, "messages.to.minimum"),
    ({"annotations": {"entities": {}}}, "annotations.entities"),
    ({"annotations": {"labels": {"domain_one_of": []}}}, "annotations.labels.domain_one_of"),
    ({"annotations": {"labels": {"one_of": [["a", 1]]}}}, "annotations.labels.one_of[0][1]"),
    ({"trigger_exceptions": ["Wrong"]}, "trigger_exceptions"),
    ({"trigger_exceptions": {"one_of": [None]}}, "trigger_exceptions.one_of[0]"),
    ({"attribute_filters": {}}, "attribute_filters"),
    ({"attribute_filters": ["labels"]}, "attribute_filters[0]"),
    ({"attribute_filters": [{"filter": {}}]}, "attribute_filters[0].attribute"),
    ({"attribute_filters": [{"attribute": "labels"}]}, "attribute_filters[0].filter"),
    ({"attribute_filters": [{"attribute": "colour", "filter": {}}]}, "attribute_filters[0].attribute"),
    ({"attribute_filters": [LABEL_ATTRIBUTE | {"x": 1}]}, "attribute_filters[0].x"),
    ({"attribute_filters": [LABEL_ATTRIBUTE | {"filter": {}}]}, "attribute_filters[0].filter.kind"),
    (
        {"attribute_filters": [LABEL_ATTRIBUTE, COUNT_ATTRIBUTE | {"filter": {"kind": "string_any_of"}}]},
        "attribute_filters[1].filter.kind",
    ),
    (
        {"attribute_filters": [LABEL_ATTRIBUTE | {"filter": {"kind": "string_any_of", "minimum": 1}}]},
        "attribute_filters[0].filter.minimum",
    ),
    (
        {"attribute_filters": [COUNT_ATTRIBUTE | {"filter": {"kind": "number_range", "minimum": "1"}}]},
        "attribute_filters[0].filter.minimum",
    ),
]


@pytest.mark.parametrize(("said", "path"), REFUSED)
def test_refusals_name_the_field(said: dict[str, object], path: str) -> None:
    """What is unknown or of the wrong type is Invalid, and the message begins with the field's full path."""
    with pytest.raises(Invalid) as caught:
        filters.parse(said)
    assert caught.value.fields["path"] == f"comment_filter.{path}"
    assert caught.value.message.startswith(f"comment_filter.{path}: ")


def test_refusals_use_the_caller_s_name() -> None:
    """The path begins where the caller says the filter stood, or with the filter's own key."""
    for where, path in (("filter", "filter.nonsense"), ("", "nonsense")):
        with pytest.raises(Invalid) as caught:
            filters.parse({"nonsense": 1}, where=where)
        assert caught.value.fields["path"] == path


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_a_filter_is_an_object(value: object) -> None:
    """Anything but an object is refused under the filter's own name."""
    with pytest.raises(Invalid, match=r"^comment_filter: must be an object"):
        filters.parse(value)  # type: ignore[arg-type]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["labels", "uk", "2020-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["one_of", "minimum", "labels", "from", "kind", "string:A", "number:A", "filter"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(parts)), json_values, max_size=3), views)
def test_any_json_is_read_or_invalid(said: dict[str, object], view: RecordView) -> None:
    """No JSON value breaks the reader, and what it reads can be applied."""
    try:
        filter = filters.parse(said)
    except Invalid:
        return
    assert filters.matches(filter, view) in (True, False)
