"""What to label next: the query's orders by what labelling a comment would teach."""

from cm_world import DATASET, annotate, comment, make_dataset, make_source, upload
from starlette.testclient import TestClient

from conftest import ok
from headrace.app import Application
from headrace.core.shortlist import Aim

QUERY = f"/api/_private/datasets/{DATASET}/query"


def order(api: TestClient, kind: str, **more: object) -> list[str]:
    """The ids of the dataset's comments in an order."""
    found = ok(api.post(QUERY, json={"order": {"kind": kind}, "filter": {}, **more}))["results"]
    return [item["comment"]["id"] for item in found]


def test_an_order_by_worth_puts_the_listed_first(application: Application, api: TestClient) -> None:
    """Comments on the shortlist come by worth, the rest behind them; every aim has its own order, and pages join."""
    source = make_source(api)
    dataset_id = int(str(make_dataset(api, source)["id"]), 16)
    upload(api, *(comment(key) for key in "abcd"))

    def offer(tx):  # type: ignore[no-untyped-def]
        ids = [record.id for record in tx.records.by_external(int(source, 16), list("abc"))]
        tx.shortlists.offer(dataset_id, ids, {Aim.NEED: [0.2, 0.9, 0.5], Aim.NOVELTY: [0.9, 0.1, 0.5]})

    application.store.write(offer)
    assert order(api, "need") == ["b", "c", "a", "d"]
    assert order(api, "novelty") == ["a", "c", "b", "d"]
    page = ok(api.post(QUERY, json={"order": {"kind": "need"}, "limit": 3}))
    rest = ok(api.post(QUERY, json={"order": {"kind": "need"}, "limit": 3, "continuation": page["continuation"]}))
    assert [item["comment"]["id"] for item in rest["results"]] == ["d"]
    annotate(api, f"{source}.b", "Card")
    assert order(api, "need", filter={"reviewed": "only_unreviewed"}) == ["c", "a", "d"]


def test_unknown_orders_are_refused(api: TestClient) -> None:
    """An order that does not exist is a 400 that names it."""
    make_dataset(api, make_source(api))
    assert api.post(QUERY, json={"order": {"kind": "luck"}}).status_code == 400
