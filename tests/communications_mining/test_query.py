"""Queries of a dataset: filters, orders, and pages that lose and repeat nothing."""

from array import array
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from cm_world import DATASET, SOURCE, annotate, comment, make_dataset, make_source, the_dataset, the_source, upload
from starlette.testclient import TestClient

from conftest import client_of, ok
from headrace.app import Application
from headrace.core.models import Scores
from headrace.learning.training import train
from headrace.learning.values import Example, Trained

PATH = f"/api/_private/datasets/{DATASET}/query"
RECENT: dict[str, Any] = {"kind": "recent"}


def ask(api: TestClient, **body: Any) -> dict[str, Any]:
    """One page."""
    return dict(ok(api.post(PATH, json={"limit": 100, "filter": {}, "order": RECENT} | body)))


def ids(page: dict[str, Any]) -> list[str]:
    """The comment ids of a page."""
    return [item["comment"]["id"] for item in page["results"]]


def all_pages(api: TestClient, between: Callable[[], None] = lambda: None, **body: Any) -> list[str]:
    """The ids of all pages, with something done between them."""
    found: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = ask(api, **body, **more)
        found += ids(page)
        if "continuation" not in page:
            return found
        more = {"continuation": page["continuation"]}
        between()


def fill(api: TestClient, count: int = 30, source: str = SOURCE) -> str:
    """Make a source of comments, three an hour; answers its id."""
    source_id = make_source(api, source)
    name = source.rpartition("/")[2]
    times = [f"2026-01-01T{number // 3:02}:00:00Z" for number in range(count)]
    upload(api, *(comment(f"{name}{n}") | {"timestamp": time} for n, time in enumerate(times)), full=source)
    return source_id


@cache
def learned() -> Trained:
    """A small model of two labels."""
    texts = {"Card": "card lost", "Payment": "payment late"}
    examples = [
        Example(text=f"{text} {number}", labels=(label,), sentiment={label: -1.0})
        for number in range(20)
        for label, text in texts.items()
    ]
    return train(examples, family="english")


def teach(application: Application, dataset_id: str, chances: dict[str, float]) -> int:
    """Store a version, with what it says of comments by id: the chance of Card, and 0.25 for Payment."""

    def store(tx: Any) -> int:
        number, model = int(dataset_id, 16), learned()
        kept = {"labels": model.labels, "artefact": model.artefact, "digest": model.digest, "metrics": {}}
        version = tx.models.insert(number, family="english", reviewed_size=1, **kept)
        sources = tx.datasets.get(number, None).source_ids
        records = [record for source in sources for record in tx.records.by_external(source, list(chances))]
        said = {record.id: {"Card": chances[record.external_id], "Payment": 0.25} for record in records}
        scores = {id: array("f", [each[label] for label in model.labels]) for id, each in said.items()}
        rows = [(record.id, record.version, Scores(scores[record.id].tobytes(), -0.5)) for record in records]
        tx.predictions.save(version.id, rows)
        tx.models.set_predicted(version.id, tx.records.head())
        return int(version.version)

    return application.store.write(store)


def test_an_annotated_comment_comes_as_in_labellings(api: TestClient) -> None:
    """A result holds the comment, its labelling and its entities, and names no page after the last."""
    source = fill(api, 2)
    make_dataset(api, source)
    annotate(api, f"{source}.mail1", "Card > Lost")
    page = ask(api)
    assert ids(page) == ["mail1", "mail0"]
    assert "continuation" not in page
    labellings = ok(api.get(f"/api/_private/datasets/{DATASET}/labellings?id={source}.mail1&id={source}.mail0"))
    assert page["results"] == labellings["results"]


def test_recent_is_newest_first_over_all_sources(both: TestClient) -> None:
    """Pages of any size follow one order: timestamp, then upload, newest first, on both databases."""
    sources = [fill(both, 10, f"default/s{number}-") for number in range(3)]
    make_dataset(both, *sources)
    whole = ids(ask(both))
    assert len(whole) == 30
    assert all_pages(both, limit=1) == all_pages(both, limit=7) == whole
    times = [item["comment"]["timestamp"] for item in ask(both)["results"]]
    assert times == sorted(times, reverse=True)


def test_a_sample_is_a_shuffle_by_seed(both: TestClient) -> None:
    """The same seed gives the same order on every page size, another seed another, all of everything once."""
    make_dataset(both, fill(both, 60))
    first = all_pages(both, limit=7, order={"kind": "sample", "seed": 5})
    assert first == all_pages(both, limit=60, order={"kind": "sample", "seed": 5})
    second = all_pages(both, limit=100, order={"kind": "sample", "seed": 6})
    assert sorted(first) == sorted(second) == sorted(ids(ask(both)))
    assert first != second
    assert first != ids(ask(both))


def test_a_label_orders_by_its_probability(either: Application) -> None:
    """Most probable first, ties by upload; what the model has not seen comes last. Pages agree with the whole."""
    api = client_of(either)
    dataset = make_dataset(api, fill(api, 8))
    chances = {"mail0": 0.1, "mail1": 0.9, "mail2": 0.5, "mail3": 0.9, "mail4": 0.0, "mail5": 1.0}
    teach(either, dataset["id"], chances | {"mail6": 0.2, "mail7": 0.3})
    wanted = ["mail5", "mail1", "mail3", "mail2", "mail7", "mail6", "mail0", "mail4"]
    order = {"kind": "by_label", "label": "Card"}
    assert all_pages(api, limit=3, order=order) == ids(ask(api, order=order)) == wanted
    assert ids(ask(api, order={"kind": "by_label", "label": "Payment"})) == [f"mail{n}" for n in range(8)]


def test_predictions_stand_beside_the_labelling(application: Application, api: TestClient) -> None:
    """With a model every result carries what the latest version predicts."""
    dataset = make_dataset(api, fill(api, 1))
    teach(application, dataset["id"], {"mail0": 0.75})
    [item] = ask(api)["results"]
    predicted = item["labelling"][0]["predicted"]
    assert [(label["name"], label["probability"]) for label in predicted] == [(["Card"], 0.75), (["Payment"], 0.25)]


@pytest.mark.parametrize("order", [RECENT, {"kind": "sample", "seed": 1}, {"kind": "by_label", "label": "Card"}])
def test_what_existed_comes_exactly_once(application: Application, api: TestClient, order: dict[str, Any]) -> None:
    """While others upload, annotate, delete, and a new model comes, nothing that stays is lost or repeated."""
    source = fill(api, 30)
    dataset = make_dataset(api, source)
    teach(application, dataset["id"], {f"mail{n}": (n * 7 % 30) / 30 for n in range(30)})
    step = iter(range(1, 100))

    def disturb() -> None:
        number = next(step)
        upload(api, comment(f"new{number}") | {"timestamp": f"2026-01-01T0{number % 10}:30:00Z"})
        if number < 9:
            annotate(api, f"{source}.mail{number * 3}", "Card")
        ok(api.delete(f"/api/v1/sources/{SOURCE}/comments?id=mail{number}"))
        teach(application, dataset["id"], {f"mail{n}": ((n + number) % 30) / 30 for n in range(30)})

    found = all_pages(api, disturb, limit=4, order=order)
    assert len(found) == len(set(found))
    assert {f"mail{n}" for n in range(12, 30)} <= set(found)


def test_a_rare_match_is_found_in_every_order(api: TestClient) -> None:
    """A filter that hardly anything matches still fills its pages."""
    source = make_source(api)
    upload(api, *(comment(f"c{n}", user_properties={"number:Mod": n % 500}) for n in range(1500)))
    make_dataset(api, source)
    wanted = {"user_properties": {"number:Mod": {"one_of": [7]}}}
    for order in (RECENT, {"kind": "sample", "seed": 3}):
        found = all_pages(api, filter=wanted, order=order, limit=1)
        assert sorted(found) == ["c1007", "c507", "c7"]


def test_attribute_filters_join_the_filter(application: Application, api: TestClient) -> None:
    """Labels assigned count, or while nobody reviewed those predicted above one half; a null bound is none."""
    source = fill(api, 4)
    dataset = make_dataset(api, source)
    teach(application, dataset["id"], {"mail0": 0.5, "mail1": 0.51, "mail2": 0.9, "mail3": 0.1})
    annotate(api, f"{source}.mail2", "Payment")
    annotate(api, f"{source}.mail3", "Card")
    labels = {"attribute": "labels", "filter": {"kind": "string_any_of", "any_of": ["Card"]}}
    count = {"attribute": "attachment_property_num_attachments"}
    files = count | {"filter": {"kind": "number_range", "minimum": None, "maximum": 0}}
    assert ids(ask(api, attribute_filters=[labels, files])) == ["mail3", "mail1"]
    assert ids(ask(api, attribute_filters=[labels], filter={"reviewed": "only_unreviewed"})) == ["mail1"]
    assert ids(ask(api, filter={"annotations": {"labels": {"not_one_of": ["Card"]}}})) == ["mail2", "mail0"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 513}, "limit"),
        ({"order": {"kind": "oldest"}}, "order.kind"),
        ({"order": {"kind": "sample", "seed": -1}}, "order.seed"),
        ({"order": {"kind": "by_label"}}, "order.label"),
        ({"order": {"kind": "by_label", "label": "Absent"}}, "order.label"),
        ({"continuation": "nonsense"}, "continuation"),
        ({"continuation": "\x00é"}, "NUL"),
        ({"filter": {"sources": ["x"]}}, "filter.sources[0]"),
        ({"attribute_filters": [{"attribute": "size", "filter": {}}]}, "attribute_filters[0].attribute"),
        ({"attribute_filters": [{"attribute": "labels", "filter": {"kind": "number_range"}}]}, "kind"),
        ({"more": 1}, "more"),
    ],
)
def test_a_bad_query_is_refused(shared_api: TestClient, change: dict[str, Any], word: str) -> None:
    """Every bad field answers 400 in the envelope and is named."""
    the_dataset(shared_api, the_source(shared_api))
    answer = shared_api.post(PATH, json={"limit": 1, "filter": {}} | change)
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert word in answer.json()["message"]


def test_a_continuation_belongs_to_its_dataset_and_order(api: TestClient) -> None:
    """A token of another order, seed or dataset is refused, also a forged one."""
    make_dataset(api, fill(api, 3))
    token = ask(api, limit=1)["continuation"]
    other = make_dataset(api, full="default/other")
    for path, order in (
        (PATH, {"kind": "sample", "seed": 0}),
        (f"/api/_private/datasets/id:{other['id']}/query", RECENT),
    ):
        answer = api.post(path, json={"limit": 1, "order": order, "continuation": token})
        assert answer.status_code == 400
    assert api.post(PATH, json={"limit": 1, "continuation": token[:-8] + "________"}).status_code in (200, 400)


def test_an_order_whose_model_is_gone_says_so(application: Application, api: TestClient) -> None:
    """A query by label goes on with the model it began with, and is refused once that was swept away."""
    dataset = make_dataset(api, fill(api, 3))
    teach(application, dataset["id"], {"mail0": 0.5})
    order = {"kind": "by_label", "label": "Card"}
    token = ask(api, limit=1, order=order)["continuation"]
    teach(application, dataset["id"], {"mail0": 0.5, "mail1": 0.5})
    application.store.write(lambda tx: tx.models.sweep(int(dataset["id"], 16), 1))
    answer = api.post(PATH, json={"limit": 1, "order": order, "continuation": token})
    assert answer.status_code == 400
    assert "continuation" in answer.json()["message"]


def test_a_query_needs_labels_and_sources(api: TestClient, person: Callable[..., TestClient]) -> None:
    """Both View labels and View sources are needed; a stranger finds no such dataset."""
    make_dataset(api, fill(api, 1))
    body = {"limit": 1}
    assert person("stranger").post(PATH, json=body).status_code == 404
    assert person("labels", default=["voc-readonly"]).post(PATH, json=body).status_code == 403
    assert person("sources", default=["sources-read"]).post(PATH, json=body).status_code == 403
    assert person("viewer", default=["viewer"]).post(PATH, json=body).status_code == 200


def test_an_empty_dataset_answers_an_empty_page(api: TestClient) -> None:
    """No source, or no source that the filter lets through, is no error."""
    make_dataset(api, fill(api, 1))
    assert ask(api, filter={"sources": ["00000000000000ff"]}) == {"status": "ok", "results": []}
    ok(api.post(f"/api/v1/datasets/{DATASET}", json={"dataset": {"source_ids": []}}))
    for order in (RECENT, {"kind": "sample", "seed": 1}):
        assert ask(api, order=order) == {"status": "ok", "results": []}
