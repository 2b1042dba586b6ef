"""Export: pages of comments with what people and the latest model say, complete whatever happens meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import client_of, ok
from headrace.app import Application
from mining import Mailbox, add_model, comment, is_error, new_mailbox, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A server that the tests of this module share."""
    with serving(tmp_path_factory.mktemp("export") / "data") as application:
        yield application


@pytest.fixture
def box(server: Application) -> Mailbox:
    """A mailbox of the test's own."""
    return new_mailbox(client_of(server))


def days(box: Mailbox, **day_by_key: int) -> None:
    """Upload comments with these days of January 2024 as their own dates, in this order."""
    for key, day in day_by_key.items():
        box.sync(comment(key) | {"timestamp": f"2024-01-{day:02}T00:00:00Z"})


def exported(page: dict[str, Any]) -> list[str]:
    """The keys of a page."""
    return [item["comment"]["id"] for item in page["comments"]]


def refused(box: Mailbox, **request: Any) -> Any:
    """The answer to a request that should not do."""
    return box.api.post(f"{box.dataset}/export", json=request)


def test_order_by_either_clock(box: Mailbox) -> None:
    """Comments come by their own date, or by the time of upload, ascending; those of one instant all come."""
    days(box, c=3, a=1, b=2, b2=2)
    assert exported(box.export()) == ["a", "b", "b2", "c"]
    assert exported(box.export(order_by="created_at")) == ["c", "a", "b", "b2"]


def test_bounds_are_inclusive_on_the_clock_of_the_order(box: Mailbox) -> None:
    """`from` and `to` include their instants, read as UTC without a zone, on the clock that orders the page."""
    days(box, d=4, a=1, b=2, c=3)
    assert exported(box.export(**{"from": "2024-01-02", "to": "2024-01-03T00:00:00"})) == ["b", "c"]
    assert exported(box.export(**{"from": "2024-01-04T00:00:00Z"})) == ["d"]
    assert exported(box.export(to="2024-01-01T01:00:00+01:00")) == ["a"]
    created = {key: box.get(key)["created_at"] for key in "dab"}
    request = {"order_by": "created_at", "from": created["d"], "to": created["a"]}
    assert exported(box.export(**request)) == ["d", "a"]


def test_source_ids_restrict(box: Mailbox) -> None:
    """Only the sources named are exported; one that is not in the dataset is refused."""
    other = new_mailbox(box.api)
    ok(box.api.post(box.dataset, json={"dataset": {"source_ids": [box.source_id, other.source_id]}}))
    days(box, a=1, c=3)
    days(other, b=2)
    assert exported(box.export()) == ["a", "b", "c"]
    assert exported(box.export(source_ids=[other.source_id])) == ["b"]
    assert exported(box.export(source_ids=[other.source_id, box.source_id, box.source_id])) == ["a", "b", "c"]
    assert exported(box.export(source_ids=[])) == []
    assert is_error(refused(box, source_ids=[new_mailbox(box.api).source_id]), 400)
    assert is_error(refused(box, source_ids=["xyz"]), 400)


def test_comments_by_uid(box: Mailbox) -> None:
    """Comments named by uid come in the order named, each once, whatever the limit; no other filter goes with them."""
    box.upload("a", "b", "c")
    uids = [box.uid(key) for key in ("c", "a", "c")]
    assert exported(box.export(comment_uids=uids, limit=1)) == ["c", "a"]
    for other in ({"source_ids": [box.source_id]}, {"from": "2024-01-01"}, {"to": "2024-01-01"}):
        assert is_error(refused(box, comment_uids=uids, **other), 400)
    for uid in ("a", box.uid("zzz"), f"{'0' * 16}.a", new_mailbox(box.api).uid("a")):
        assert is_error(refused(box, comment_uids=[uid]), 400, 404)


def test_pages_go_on_until_there_is_no_continuation(box: Mailbox) -> None:
    """A page holds 64 comments unless asked otherwise; the last page, and only it, has no `continuation` key."""
    box.sync(*(comment(f"k{number:03}") for number in range(130)))
    sizes, request = [], {}
    while True:
        page = box.export(**request)
        sizes.append(len(page["comments"]))
        if "continuation" not in page:
            break
        request = {"continuation": page["continuation"]}
    assert sizes == [64, 64, 2]
    assert "continuation" not in box.export(limit=130)
    assert box.export(limit=129)["continuation"]
    assert len(box.export(limit=256)["comments"]) == 130


@pytest.mark.parametrize(
    "request_",
    [
        {"limit": 0},
        {"limit": 257},
        {"limit": "1"},
        {"order_by": "uid"},
        {"from": "noon"},
        {"continuation": "x"},
        {"continuation": "2021-02-16T10:55:05Z.c060a787c0b2bbf95526ad5cf28bf582"},
        {"comment_uids": [f"{'0' * 15}1.c{number}" for number in range(257)]},
        {"source_ids": [f"{number:016x}" for number in range(1025)]},
        {"unknown": 1},
    ],
)
def test_bad_export_is_refused(box: Mailbox, request_: dict[str, Any]) -> None:
    """Values out of range, another dataset's or anybody's continuation and unknown keys are refused."""
    assert is_error(refused(box, **request_), 400)


def test_continuation_of_another_dataset_is_refused(box: Mailbox) -> None:
    """A continuation belongs to its dataset."""
    box.upload("a", "b")
    token = box.export(limit=1)["continuation"]
    assert is_error(refused(new_mailbox(box.api), continuation=token), 400)


def test_labels_are_text_here(server: Application, box: Mailbox) -> None:
    """People's labels come with their parents and a sentiment, the latest model's with probability and sentiment."""
    box.upload("a", "b")
    plain = box.export()["comments"][0]
    assert plain["annotations"] == {"labels": {"assigned": []}}
    assert "predictions" not in plain
    add_model(server, box, ["Old"], {"a": [1.0], "b": [1.0]})
    add_model(server, box, ["Parent", "Parent > Child"], {"a": [0.75, 0.5], "b": [0.0, 0.0]}, sentiment=-0.5)
    box.label("a", "Parent > Child", sentiment="negative")
    first, second = box.export()["comments"]
    assigned = [{"name": name, "sentiment": "negative"} for name in ("Parent", "Parent > Child")]
    assert first["annotations"]["labels"]["assigned"] == assigned
    assert first["predictions"]["labels"] == [
        {"name": "Parent", "probability": 0.75, "sentiment": -0.5},
        {"name": "Parent > Child", "probability": 0.5, "sentiment": -0.5},
    ]
    assert (first["comment"]["has_annotations"], second["comment"]["has_annotations"]) == (True, False)
    assert second["annotations"]["labels"]["assigned"] == []


actions = st.lists(
    st.tuples(st.sampled_from(["insert", "delete_read", "delete_ahead"]), st.integers(0, 30), st.integers(1, 9)),
    max_size=3,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    dated=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    meanwhile=st.lists(actions, max_size=8),
    limit=st.integers(1, 5),
    order=st.sampled_from(["timestamp", "created_at"]),
)
def test_paging_under_change_is_exact(
    server: Application, dated: list[int], meanwhile: list[list[tuple[str, int, int]]], limit: int, order: str
) -> None:
    """What existed when the export began and was not deleted comes exactly once, nothing twice, whatever is added
    or deleted between two pages."""
    box = new_mailbox(client_of(server))
    alive = {f"old{number}": day for number, day in enumerate(dated)}
    box.sync(*(comment(key) | {"timestamp": f"2024-01-0{day}T00:00:00Z"} for key, day in alive.items()))
    required, seen, request = set(alive), [], {"limit": limit, "order_by": order}
    steps = iter(meanwhile)
    while True:
        page = box.export(**request)
        seen += exported(page)
        if "continuation" not in page:
            break
        for action, pick, day in next(steps, []):
            if action == "insert":
                days(box, **{f"new{len(seen)}x{pick}": day})
                continue
            pool = seen if action == "delete_read" else sorted(required.difference(seen))
            if pool:
                box.delete(pool[pick % len(pool)])
                if action == "delete_ahead":
                    required.discard(pool[pick % len(pool)])
        request["continuation"] = page["continuation"]
    assert len(seen) == len(set(seen))
    assert required <= set(seen)
