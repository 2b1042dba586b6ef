"""Versions of a model and how good they are."""

from itertools import pairwise

import pytest
from cm_world import DATASET, Trained, trained

from conftest import ok

__all__ = ["trained"]

PRIVATE = f"/api/_private/datasets/{DATASET}/labellers"


def test_versions_are_listed_newest_first(trained: Trained) -> None:
    """A version carries its number, the name of its artefact and when it was trained."""
    found = ok(trained.api.post(PRIVATE, json={"limit": 5, "include_deleted": True}))
    assert found["dataset_status"] == {}
    newest = found["labellers"][0]
    assert newest["version"] == trained.version
    assert newest["model_id"]
    assert newest["trained_time"].endswith("Z")
    assert ok(trained.api.post(PRIVATE, json={"older_than_version": 1}))["labellers"] == []


@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 101}, {"older_than_version": "x"}, {"more": 1}])
def test_a_bad_list_of_versions_is_refused(trained: Trained, body: dict[str, object]) -> None:
    """Limits lie between 1 and 100, and unknown keys are refused."""
    assert trained.api.post(PRIVATE, json=body).status_code == 400


@pytest.mark.parametrize("stem", [PRIVATE, f"/api/v1/datasets/{DATASET}/labellers"])
@pytest.mark.parametrize("version", ["latest", "1"])
def test_a_version_is_rated(trained: Trained, stem: str, version: str) -> None:
    """Validation says how many texts were reviewed and rates the version, with its labels beside it."""
    found = ok(trained.api.get(f"{stem}/{version}/validation"))
    assert [group["name"] for group in found["label_groups"]] == ["default"]
    assert {label["name"] for label in found["label_groups"][0]["label_defs"]} >= {"Card", "Payment > Late"}
    validation = found["validation"]
    assert validation["version"] == trained.version
    assert validation["reviewed_size"] == 40
    assert 0 <= validation["model_rating"]["score"] <= 100
    assert validation["model_rating"]["quality"] in ("none", "poor", "average", "good", "excellent")
    assert {label["name"]: label["positives"] for label in validation["labels"]}["Card"] == 20


@pytest.mark.parametrize("label", ["Payment > Late", ["Payment", "Late"]])
def test_a_label_has_a_curve(trained: Trained, label: object) -> None:
    """Thresholds fall to 0 and recalls rise to 1 in three lists of one length."""
    answer = trained.api.post(f"{PRIVATE}/latest/label-validation", json={"label": label})
    curve = ok(answer)["label_validation"]
    assert len(curve["thresholds"]) == len(curve["precisions"]) == len(curve["recalls"]) > 2
    assert all(before >= after for before, after in pairwise(curve["thresholds"]))
    assert all(before <= after for before, after in pairwise(curve["recalls"]))
    assert curve["thresholds"][-1] < 0.001
    assert curve["recalls"][-1] == 1
    assert all(0 <= value <= 1 for value in curve["precisions"])


@pytest.mark.parametrize(
    ("version", "label", "status"),
    [
        ("latest", "Nobody", 404),
        ("99", "Card", 404),
        ("1.5", "Card", 404),
        ("-1", "Card", 404),
        ("9" * 30, "Card", 404),
    ],
)
def test_an_unknown_version_or_label_is_not_found(trained: Trained, version: str, label: str, status: int) -> None:
    """A curve exists for a version that exists and a label it was validated on."""
    answer = trained.api.post(f"{PRIVATE}/{version}/label-validation", json={"label": label})
    assert answer.status_code == status
    assert answer.json()["status"] == "error"


def test_validation_of_an_unknown_version_is_not_found(trained: Trained) -> None:
    """A version that does not exist is 404 in every spelling."""
    for version in ("0", "2", "latst", "%20", "1e3"):
        assert trained.api.get(f"{PRIVATE}/{version}/validation").status_code == 404
