"""Statistics of a dataset: numbers, label counts and time series."""

from collections.abc import Callable
from typing import Any

import pytest
from cm_world import DATASET, annotate, comment, make_dataset, make_source, the_dataset, the_source, upload
from starlette.testclient import TestClient
from test_query import teach

from conftest import client_of, ok
from headrace.app import Application

PATH = f"/api/_private/datasets/{DATASET}/statistics"
DAYS = {"a": "2026-01-01", "b": "2026-01-01", "c": "2026-01-04", "d": "2026-01-05", "e": "2026-02-01"}
DEFAULT = {"comment_filter": {}, "label_property_timeseries": False, "label_timeseries": False}


def ask(api: TestClient, **body: Any) -> dict[str, Any]:
    """The statistics."""
    return dict(ok(api.post(PATH, json=DEFAULT | body))["statistics"])


def fill(application: Application, api: TestClient) -> str:
    """Five comments, two of them annotated, all of them predicted; answers the source's id."""
    source = make_source(api)
    upload(api, *(comment(key) | {"timestamp": f"{day}T12:00:00Z"} for key, day in DAYS.items()))
    dataset = make_dataset(api, source, label_defs=[{"name": "Payment"}, {"name": "Unused"}])
    annotate(api, f"{source}.a", "Card > Lost", sentiment="negative")
    annotate(api, f"{source}.b", "Payment")
    teach(application, dataset["id"], {"a": 0.9, "b": 0.9, "c": 0.9, "d": 0.2, "e": 0.8})
    return source


def test_an_empty_filter_counts_everything(either: Application) -> None:
    """The client's default request answers the number alone, as an integer, on both databases."""
    api = client_of(either)
    fill(either, api)
    assert ask(api) == {"num_comments": 5}
    assert ok(api.post(PATH, json={}))["statistics"] == {"num_comments": 5}
    assert ask(api, comment_filter={"timestamp": {"minimum": "2026-01-04"}, "messages": {}})["num_comments"] == 3
    assert ask(api, comment_filter={"reviewed": "only_reviewed"})["num_comments"] == 2
    assert ask(api, comment_filter={"annotations": {"labels": {"one_of": ["Card"]}}})["num_comments"] == 3


def test_labels_are_counted_as_filters_see_them(either: Application) -> None:
    """Assigned labels count, or while nobody reviewed those predicted above one half, each with its sentiment."""
    api = client_of(either)
    fill(either, api)
    counts = ask(api, label_counts=True)["label_counts"]
    assert counts == {
        "Payment": {"positive": 1, "negative": 0},
        "Unused": {"positive": 0, "negative": 0},
        "Card": {"positive": 0, "negative": 3},
        "Card > Lost": {"positive": 0, "negative": 1},
    }
    for name, count in counts.items():
        wanted = [{"attribute": "labels", "filter": {"kind": "string_any_of", "any_of": [name]}}]
        assert ask(api, attribute_filters=wanted)["num_comments"] == sum(count.values())


@pytest.mark.parametrize(
    ("resolution", "days"),
    [
        (None, {"2026-01-01": 2, "2026-01-04": 1, "2026-01-05": 1, "2026-02-01": 1}),
        ("day", {"2026-01-01": 2, "2026-01-04": 1, "2026-01-05": 1, "2026-02-01": 1}),
        ("week", {"2025-12-29": 3, "2026-01-05": 1, "2026-01-26": 1}),
        ("month", {"2026-01-01": 4, "2026-02-01": 1}),
    ],
)
def test_a_series_has_a_row_a_bin(
    application: Application, api: TestClient, resolution: str | None, days: dict[str, int]
) -> None:
    """Rows go by time: first day, comments, positive and negative labels, then both numbers of each named label."""
    fill(application, api)
    found = ask(api, label_timeseries=True, **({"time_resolution": resolution} if resolution else {}))
    rows = found["label_timeseries"]
    assert {row[0]: row[1] for row in rows} == days
    assert [row[0] for row in rows] == sorted(days)
    names = found["by_labels"]
    assert all(len(row) == 4 + 2 * len(names) for row in rows)
    columns = {name: [sum(row[at] for row in rows) for at in (4 + 2 * n, 5 + 2 * n)] for n, name in enumerate(names)}
    counts = found["label_counts"]
    assert columns == {name: [count["positive"], count["negative"]] for name, count in counts.items()}
    assert [sum(row[at] for row in rows) for at in (2, 3)] == [1, 4]


def test_a_series_of_label_properties_is_empty(application: Application, api: TestClient) -> None:
    """Labels have no properties here, and the answer says so."""
    fill(application, api)
    assert ask(api, label_property_timeseries=True) == {"num_comments": 5, "label_property_timeseries": []}


def test_a_series_spans_all_of_time(api: TestClient) -> None:
    """The first and the last year have bins too."""
    source = make_source(api)
    days = ["0001-01-01", "9999-12-31"]
    upload(api, *(comment(day) | {"timestamp": f"{day}T00:00:00Z"} for day in days))
    make_dataset(api, source)
    assert [row[0] for row in ask(api, label_timeseries=True)["label_timeseries"]] == days
    weeks = ask(api, label_timeseries=True, time_resolution="week")["label_timeseries"]
    assert [row[0] for row in weeks] == ["0001-01-01", "9999-12-27"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"comment_filter": {"reviewed": "some"}}, "comment_filter.reviewed"),
        ({"comment_filter": []}, "comment_filter"),
        ({"attribute_filters": {}}, "attribute_filters"),
        ({"time_resolution": "hour"}, "time_resolution"),
        ({"label_timeseries": "yes"}, "label_timeseries"),
        ({"more": 1}, "more"),
    ],
)
def test_a_bad_request_is_refused(shared_api: TestClient, change: dict[str, Any], word: str) -> None:
    """Every bad field answers 400 in the envelope and is named."""
    the_dataset(shared_api, the_source(shared_api))
    answer = shared_api.post(PATH, json=DEFAULT | change)
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert word in answer.json()["message"]


def test_statistics_need_labels_and_sources(api: TestClient, person: Callable[..., TestClient]) -> None:
    """Both View labels and View sources are needed; a stranger finds no such dataset."""
    make_dataset(api, make_source(api))
    assert person("stranger").post(PATH, json={}).status_code == 404
    assert person("labels", default=["voc-readonly"]).post(PATH, json={}).status_code == 403
    assert person("viewer", default=["viewer"]).post(PATH, json={}).status_code == 200
