"""One filter means the same to queries, statistics, streams and exports: what a naive reading of it says."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from cm_world import DATASET, annotate, comment, make_dataset, make_source, upload
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from test_query import teach

from conftest import ADMIN_TOKEN, client_of, ok
from headrace.app import Application, create_app
from headrace.settings import Settings

STREAMS = f"/api/v1/datasets/{DATASET}/streams"
PEOPLE = ["ann@example.org", "BOB@Example.org", "cy@mail.example.net", "Di <di@example.net>", "nobody"]
DOMAINS = ["example.org", "EXAMPLE.NET", "mail.example.net", "nobody"]
TEAMS = ["red", "Red", "blue", "bob@example.org"]
SIZES = [0, 1, 1.0, 2.5, -3]
LABELS = ["Card", "Payment", "Card > Lost", "Other"]
TYPES = ["application/pdf", "Text/Plain", "text/plain"]
DAYS = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 8)]
TAGS = ["Wrong", "wrong"]


@dataclass
class Known:
    """A comment with what the dataset knows of it."""

    sent: dict[str, Any]
    source: str
    labels: list[str] = field(default_factory=list)
    reviewed: bool = False
    tags: list[str] = field(default_factory=list)


@dataclass
class World:
    """A server, and all that is in it."""

    application: Application
    api: TestClient
    known: list[Known]
    sources: list[str]


def some_comment(dice: random.Random, key: str) -> dict[str, Any]:
    """A comment of random parts."""
    message: dict[str, Any] = {"body": {"text": "x"}}
    if dice.random() < 0.8:
        message["from"] = dice.choice(PEOPLE)
    for role in ("to", "cc", "bcc"):
        if dice.random() < 0.5:
            message[role] = dice.choices(PEOPLE, k=dice.randrange(3))
    properties: dict[str, Any] = {"string:Team": dice.choice(TEAMS)} if dice.random() < 0.7 else {}
    properties |= {"number:Size": dice.choice(SIZES)} if dice.random() < 0.7 else {}
    files = [{"name": "f", "size": 1, "content_type": kind} for kind in dice.choices(TYPES, k=dice.randrange(3))]
    made = comment(key, user_properties=properties, attachments=files)
    return made | {"timestamp": dice.choice(DAYS), "messages": [message] * dice.randrange(1, 3)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two sources of comments; some annotated, some predicted, some tagged as exceptions."""
    application = create_app(Settings(data=tmp_path_factory.mktemp("world") / "data", admin_token=ADMIN_TOKEN))
    api, dice = client_of(application), random.Random(7)
    sources = [make_source(api, f"default/{name}") for name in ("one", "two")]
    dataset = make_dataset(api, *sources)
    ok(api.put(STREAMS, json={"stream": {"name": "tagging"}}))
    known = [Known(some_comment(dice, f"c{n}"), sources[n % 2]) for n in range(50)]
    for name, source in zip(("one", "two"), sources, strict=True):
        upload(api, *(item.sent for item in known if item.source == source), full=f"default/{name}")
    # Nine annotations: one more, and the dataset would train a version of its own.
    reviewed = {f"c{n}": ["Payment"] if n % 2 else ["Card", "Card > Lost"] for n in range(0, 45, 5)}
    chances = {key: 0.8 if key in reviewed else dice.choice([0.2, 0.5, 0.8]) for key in (k.sent["id"] for k in known)}
    teach(application, dataset["id"], chances)
    for item in known:
        key = item.sent["id"]
        uid = f"{item.source}.{key}"
        item.labels = ["Card"] if chances[key] > 0.5 else []
        if key in reviewed:
            item.reviewed, item.labels = True, reviewed[key]
            annotate(api, uid, item.labels[-1])
        if dice.random() < 0.3:
            item.tags = [dice.choice(TAGS)]
            tag = {"exceptions": [{"uid": uid, "metadata": {"type": item.tags[0]}}]}
            ok(api.put(f"{STREAMS}/tagging/exceptions", json=tag))
    yield World(application, api, known, sources)
    application.close()


def within(said: Mapping[str, Any], values: Sequence[Any]) -> bool:
    """What one_of and not_one_of say of a list of values."""
    if "one_of" in said and not set(values) & set(said["one_of"]):
        return False
    return not set(values) & set(said.get("not_one_of", ()))


def lower(said: Mapping[str, list[str]], prefix: str = "") -> dict[str, list[str]]:
    """The sets of one prefix, in lower case."""
    names = {f"{prefix}one_of": "one_of", f"{prefix}not_one_of": "not_one_of"}
    return {plain: [text.lower() for text in said[name]] for name, plain in names.items() if name in said}


def domains(addresses: Sequence[str]) -> list[str]:
    """Their domains, in lower case."""
    return [address.split("@")[1].rstrip(">").lower() for address in addresses if "@" in address]


def property_holds(key: str, said: Mapping[str, Any], item: Known) -> bool:
    """What a condition says of a property; one that is missing never satisfies anything that is said."""
    if not said:
        return True
    value = item.sent["user_properties"].get(key)
    if value is None or not within(said, [value]):
        return False
    if isinstance(value, str):
        return within(lower(said, "domain_"), domains([value]))
    return said.get("minimum", value) <= value <= said.get("maximum", value)


def role_holds(role: str, said: Mapping[str, Any], item: Known) -> bool:
    """What a condition says of the addresses of a role."""
    fields = ("to", "cc", "bcc") if role == "recipient" else (role,)
    given = [message.get(name, []) for message in item.sent["messages"] for name in fields]
    flat = [text for each in given for text in ([each] if isinstance(each, str) else each)]
    return within(lower(said), [text.lower() for text in flat]) and within(lower(said, "domain_"), domains(flat))


def attribute_holds(said: Mapping[str, Any], item: Known) -> bool:
    """What an attribute filter says."""
    types = [file["content_type"].lower() for file in item.sent["attachments"]]
    wanted = said["filter"]
    if said["attribute"] == "labels":
        return bool(set(wanted["any_of"]) & set(item.labels))
    if said["attribute"] == "attachment_property_types":
        return bool({kind.lower() for kind in wanted["any_of"]} & set(types))
    return wanted.get("minimum", 0) <= len(types) <= wanted.get("maximum", 99)


def naive(said: Mapping[str, Any], item: Known) -> bool:
    """The filter read word by word."""
    span = said.get("timestamp", {})
    tests: list[Callable[[], bool]] = [
        lambda: (
            {"only_reviewed": True, "only_unreviewed": False}.get(said.get("reviewed", ""), item.reviewed)
            is item.reviewed
        ),
        lambda: span.get("minimum", "") <= item.sent["timestamp"] <= span.get("maximum", "z"),
        lambda: item.source in said.get("sources", [item.source]),
        lambda: within(said.get("annotations", {}).get("labels", {}), item.labels),
        lambda: within(said.get("trigger_exceptions", {}), item.tags),
        lambda: all(property_holds(key, each, item) for key, each in said.get("user_properties", {}).items()),
        lambda: all(role_holds(role, each, item) for role, each in said.get("messages", {}).items()),
        lambda: all(attribute_holds(each, item) for each in said.get("attribute_filters", [])),
    ]
    return all(test() for test in tests)


def some(values: Sequence[Any]) -> st.SearchStrategy[list[Any]]:
    """Some of the values."""
    return st.lists(st.sampled_from(values), max_size=3)


def parts(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of the parts."""
    return st.fixed_dictionaries({}, optional=known)


def sets(values: Sequence[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """Conditions on sets."""
    return {"one_of": some(values), "not_one_of": some(values)}


by_domain = {"domain_one_of": some(DOMAINS), "domain_not_one_of": some(DOMAINS)}
bounds = {"minimum": st.sampled_from(SIZES), "maximum": st.sampled_from(SIZES)}
people = parts(**sets(PEOPLE), **by_domain)
any_of = {"labels": some(LABELS), "attachment_property_types": some(TYPES)}
attributes = [
    st.fixed_dictionaries(
        {
            "attribute": st.just(name),
            "filter": st.fixed_dictionaries({"kind": st.just("string_any_of"), "any_of": values}),
        }
    )
    for name, values in any_of.items()
]
counts = st.fixed_dictionaries(
    {"kind": st.just("number_range")}, optional={name: st.integers(0, 2) for name in ("minimum", "maximum")}
)
attributes.append(
    st.fixed_dictionaries({"attribute": st.just("attachment_property_num_attachments"), "filter": counts})
)
pieces: dict[str, st.SearchStrategy[Any]] = {
    "reviewed": st.sampled_from(["only_reviewed", "only_unreviewed"]),
    "timestamp": parts(minimum=st.sampled_from(DAYS), maximum=st.sampled_from(DAYS)),
    "sources": st.lists(st.integers(0, 2), max_size=2),
    "user_properties": parts(
        **{"string:Team": parts(**sets(TEAMS), **by_domain), "number:Size": parts(**sets(SIZES), **bounds)}
    ),
    "messages": parts(**{role: people for role in ("from", "to", "cc", "bcc", "recipient")}),
    "annotations": parts(labels=parts(**sets(LABELS))),
    "trigger_exceptions": parts(**sets(TAGS)),
    "attribute_filters": st.lists(st.one_of(attributes), max_size=2),
}
one_piece = st.sampled_from(sorted(pieces)).flatmap(lambda name: st.fixed_dictionaries({name: pieces[name]}))
few_pieces = st.lists(one_piece, max_size=3).map(
    lambda found: {key: value for each in found for key, value in each.items()}
)
DATASET_ONLY = {"reviewed", "annotations", "trigger_exceptions", "attribute_filters"}


def queried(api: TestClient, said: dict[str, Any], order: str) -> list[str]:
    """What a query finds, in pages."""
    path, found, more = f"/api/_private/datasets/{DATASET}/query", [], {}
    apart = {key: value for key, value in said.items() if key != "attribute_filters"}
    body = {
        "filter": apart,
        "attribute_filters": said.get("attribute_filters", []),
        "order": {"kind": order},
        "limit": 20,
    }
    while True:
        page = ok(api.post(path, json=body | more))
        found += [item["comment"]["id"] for item in page["results"]]
        if "continuation" not in page:
            return found
        more = {"continuation": page["continuation"]}


def streamed(api: TestClient, said: dict[str, Any]) -> list[str]:
    """What a stream delivers from the beginning."""
    ok(api.put(STREAMS, json={"stream": {"name": "all", "comment_filter": said}}))
    ok(api.post(f"{STREAMS}/all/reset", json={"to_comment_created_at": "2020-01-01"}))
    batch = ok(api.post(f"{STREAMS}/all/fetch", json={"size": 1024, "max_filtered": 1024}))
    assert batch["filtered"] + len(batch["results"]) == 50
    return [item["comment"]["id"] for item in batch["results"]]


def exported(api: TestClient, said: dict[str, Any]) -> list[str]:
    """What an export with a filter holds, in pages."""
    found, more = [], {}
    while True:
        body = {"comment_filter": said, "limit": 9} | more
        page = ok(api.post(f"/api/v1/datasets/{DATASET}/export", json=body))
        found += [item["comment"]["id"] for item in page["comments"]]
        if "continuation" not in page:
            return found
        more = {"continuation": page["continuation"]}


def counted(api: TestClient, said: dict[str, Any]) -> int:
    """What the dataset's statistics count."""
    path = f"/api/_private/datasets/{DATASET}/statistics"
    return int(ok(api.post(path, json={"comment_filter": said}))["statistics"]["num_comments"])


@settings(max_examples=30, deadline=None)
@given(said=few_pieces)
def test_a_filter_means_the_same_everywhere(world: World, said: dict[str, Any]) -> None:
    """Query, statistics, stream and export find exactly the comments that a naive reading of the filter finds."""
    if "sources" in said:
        said = said | {"sources": [[*world.sources, "00000000000000ff"][n] for n in said["sources"]]}
    wanted = sorted(item.sent["id"] for item in world.known if naive(said, item))
    api = world.api
    assert sorted(queried(api, said, "recent")) == sorted(queried(api, said, "sample")) == wanted
    assert counted(api, said) == len(wanted)
    assert sorted(streamed(api, said)) == wanted
    assert sorted(exported(api, said)) == wanted
    if not DATASET_ONLY & set(said):
        paths = [f"/api/v1/sources/id:{source}/statistics" for source in world.sources]
        found = [ok(api.post(path, json={"comment_filter": said}))["statistics"]["num_comments"] for path in paths]
        assert sum(found) == len(wanted)


def test_a_label_filter_waits_for_no_prediction(application: Application, api: TestClient) -> None:
    """A stream with a label filter delivers what its version would predict, although nothing is stored yet."""
    dataset = make_dataset(api, make_source(api))
    version = teach(application, dataset["id"], {})
    label = {"annotations": {"labels": {"one_of": ["Card"]}}}
    stream = {"name": "cards", "comment_filter": label, "model": {"version": version}}
    ok(api.put(STREAMS, json={"stream": stream}))
    upload(api, comment("card", "card lost"), comment("payment", "payment late"))
    batch = ok(api.post(f"{STREAMS}/cards/fetch", json={"size": 8}))
    assert ([item["comment"]["id"] for item in batch["results"]], batch["filtered"]) == (["card"], 1)
