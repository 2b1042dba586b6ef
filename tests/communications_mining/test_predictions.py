"""Predictions on demand."""

from typing import Any

import pytest
from cm_world import WORDS, Trained, make_dataset, trained

from conftest import ok

__all__ = ["trained"]


def document(text: str) -> dict[str, Any]:
    """A document as a caller sends it."""
    return {
        "messages": [{"body": {"text": text}, "from": "somebody@example.org", "sent_at": "2020-01-09T16:34:45Z"}],
        "timestamp": "2013-09-12T20:01:20.000000+00:00",
        "user_properties": {"string:City": "London"},
    }


def predict(trained: Trained, *texts: str, version: object = "latest", **options: Any) -> dict[str, Any]:
    """The answer to predict."""
    body = {"documents": [document(text) for text in texts], **options}
    return dict(ok(trained.api.post(f"{trained.labellers}/{version}/predict", json=body)))


def names(labels: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The names of predicted labels."""
    return [tuple(label["name"]) for label in labels]


def test_documents_are_predicted_in_order(trained: Trained) -> None:
    """Each document has its labels, a sentiment, an empty list of entities, and the version stands beside them."""
    answer = predict(trained, WORDS["Payment > Late"], WORDS["Card > Lost"], threshold=0.3)
    assert ("Payment", "Late") in names(answer["predictions"][0])
    assert ("Card", "Lost") in names(answer["predictions"][1])
    assert answer["entities"] == [[], []]
    assert answer["model"]["version"] == trained.version
    assert answer["model"]["time"].endswith("Z")
    assert all(-1 <= label["sentiment"] <= 1 for labels in answer["predictions"] for label in labels)


def test_the_latest_version_needs_no_name(trained: Trained) -> None:
    """The private path without a version answers as `latest` does, and as its number does."""
    path = trained.labellers.replace("/api/v1/", "/api/_private/") + "/predict"
    unnamed = ok(trained.api.post(path, json={"documents": [document("card lost")]}))
    assert unnamed == predict(trained, "card lost") == predict(trained, "card lost", version=trained.version)


def test_a_threshold_of_0_lets_every_label_through(trained: Trained) -> None:
    """Without a threshold 0.25 is needed, with 0 every label comes, with 1 hardly any."""
    everything = predict(trained, "card", threshold=0)["predictions"][0]
    assert {tuple(name) for name in names(everything)} == {tuple(label.split(" > ")) for label in WORDS}
    usual = predict(trained, "card")["predictions"][0]
    assert usual == [label for label in everything if label["probability"] >= 0.25]
    assert all(label["probability"] == 1 for label in predict(trained, "card", threshold=1)["predictions"][0])


def test_parents_come_with_their_children(trained: Trained) -> None:
    """A child that is asked for alone brings its parents along."""
    labels = [{"name": ["Card", "Lost"], "threshold": 0.1}]
    answer = predict(trained, WORDS["Card > Lost"], labels=labels)
    assert sorted(names(answer["predictions"][0])) == [("Card",), ("Card", "Lost")]
    assert predict(trained, WORDS["Payment"], labels=[{"name": "Card > Lost", "threshold": 0.99}])["predictions"] == [
        []
    ]


def test_auto_names_the_thresholds_reached(trained: Trained) -> None:
    """Every label comes with the automatic thresholds its probability reaches, from lenient to strict."""
    found = predict(trained, WORDS["Card > Lost"], "zzz", threshold="auto")["predictions"]
    assert [len(labels) for labels in found] == [len(WORDS), len(WORDS)]
    order = ["high_recall", "balanced", "high_precision"]
    for label in (*found[0], *found[1]):
        reached = label["auto_thresholds"]
        assert reached == order[: len(reached)]
    surest = {tuple(label["name"]): label["auto_thresholds"] for label in found[0]}
    assert surest["Card", "Lost"] == order
    assert any(not label["auto_thresholds"] for label in found[1])


def test_comments_are_predicted_in_the_order_asked(trained: Trained) -> None:
    """As many answers as uids, in their order, repeated ones included."""
    keys = ["c7", "c1", "c7", "c0", "c39"]
    body = {"uids": [trained.uids[key] for key in keys], "threshold": "auto"}
    answer = ok(trained.api.post(f"{trained.labellers}/{trained.version}/predict-comments", json=body))
    assert [item["uid"] for item in answer["predictions"]] == body["uids"]
    assert answer["predictions"][0] == answer["predictions"][2]
    assert all("auto_thresholds" in label for item in answer["predictions"] for label in item["labels"])
    assert all(item["entities"] == [] for item in answer["predictions"])


def test_a_comment_is_predicted_like_its_text(trained: Trained) -> None:
    """A stored comment and a document with the same words get the same answer."""
    uid, text = trained.uids["c1"], f"{list(WORDS.values())[1]} numberc1"
    stored = ok(trained.api.post(f"{trained.labellers}/latest/predict-comments", json={"uids": [uid]}))
    assert stored["predictions"][0]["labels"] == predict(trained, text)["predictions"][0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"threshold": "high"}, "threshold"),
        ({"labels": [{"name": ["Nobody"]}]}, "labels"),
        ({"labels": [{"name": ["Card"], "threshold": 2}]}, "threshold"),
        ({"limit": 3}, "limit"),
    ],
)
def test_bad_options_are_refused(trained: Trained, options: dict[str, Any], words: str) -> None:
    """A bad threshold or label is 400 and the message names it."""
    body = {"documents": [document("card")], **options}
    answer = trained.api.post(f"{trained.labellers}/latest/predict", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["message"]


@pytest.mark.parametrize(
    "bad",
    [
        {"messages": "no"},
        {"messages": [{}]},
        {"messages": [], "timestamp": "yesterday"},
        {"messages": [], "user_properties": {"City": "x"}},
        {"messages": [], "title": "x"},
    ],
)
def test_bad_documents_are_refused(trained: Trained, bad: dict[str, Any]) -> None:
    """A document is refused where a comment like it would be."""
    assert trained.api.post(f"{trained.labellers}/latest/predict", json={"documents": [bad]}).status_code == 400


def test_4096_documents_are_the_most(trained: Trained) -> None:
    """One more than 4096 documents or uids is 400 naming the field; none is an empty answer."""
    assert predict(trained)["predictions"] == []
    many = {"documents": [{"messages": []}] * 4097}
    answer = trained.api.post(f"{trained.labellers}/latest/predict", json=many)
    assert (answer.status_code, "documents" in answer.json()["message"]) == (400, True)
    uids = {"uids": [trained.uids["c1"]] * 4097}
    assert trained.api.post(f"{trained.labellers}/latest/predict-comments", json=uids).status_code == 400
    most = ok(trained.api.post(f"{trained.labellers}/latest/predict", json={"documents": [{"messages": []}] * 4096}))
    assert len(most["predictions"]) == 4096


def test_unknown_versions_and_comments_are_not_found(trained: Trained) -> None:
    """404 for a version or a uid that does not exist, 400 for a uid that cannot be one."""
    body = {"documents": [document("card")]}
    for version in ("99", "live", "1.0"):
        assert trained.api.post(f"{trained.labellers}/{version}/predict", json=body).status_code == 404
    path = f"{trained.labellers}/latest/predict-comments"
    assert trained.api.post(path, json={"uids": [trained.uids["c1"] + "x"]}).status_code == 404
    assert trained.api.post(path, json={"uids": ["nothing"]}).status_code == 400
    make_dataset(trained.api, full="default/untrained")
    assert trained.api.post("/api/v1/datasets/default/untrained/labellers/latest/predict", json=body).status_code == 404


def mail(text: str) -> dict[str, Any]:
    """A raw e-mail as a caller sends it."""
    headers = "Subject: Question\nFrom: a@example.org\nDate: Thu, 09 Jan 2020 16:34:45 +0000"
    return {"raw_email": {"headers": {"raw": headers}, "body": {"plain": text}}, "user_properties": {}}


def test_raw_emails_are_predicted_as_their_comments(trained: Trained) -> None:
    """A mail gets the answer of the comment it would become, which comes along when it is asked for."""
    path = f"{trained.labellers}/latest/predict-raw-emails"
    body = {"documents": [mail("card lost"), mail("payment")], "transform_tag": "generic.0.CONVKER5", "threshold": 0}
    answer = ok(trained.api.post(path, json=body | {"include_comments": True}))
    assert [item["messages"][0]["body"]["text"] for item in answer["comments"]] == ["card lost", "payment"]
    documents = [{"messages": item["messages"]} for item in answer["comments"]]
    same = ok(trained.api.post(f"{trained.labellers}/latest/predict", json={"documents": documents, "threshold": 0}))
    assert (answer["predictions"], answer["model"]) == (same["predictions"], same["model"])
    assert answer["entities"] == [[], []]
    assert "comments" not in ok(trained.api.post(path, json=body))


def test_bad_raw_emails_are_refused(trained: Trained) -> None:
    """An unknown transform tag is 422, a mail without a body or too many of them 400, and nothing is stored."""
    path = f"{trained.labellers}/latest/predict-raw-emails"
    tagged = {"documents": [mail("x")], "transform_tag": "not-a-valid-transform-tag.0.ABCDEFGH"}
    assert trained.api.post(path, json=tagged).status_code == 422
    empty = mail("x") | {"raw_email": {"headers": {"raw": ""}, "body": {}}}
    assert trained.api.post(path, json={"documents": [empty]}).status_code == 400
    assert trained.api.post(path, json={"documents": [mail("x")] * 4097}).status_code == 400
    assert trained.api.post(path.replace("latest", "99"), json={"documents": [mail("x")]}).status_code == 404
    found = ok(trained.api.post("/api/v1/sources/default/mail/statistics", json={"comment_filter": {}}))
    assert found["statistics"]["num_comments"] == len(trained.uids)
