"""Datasets and sources: made, changed in part, listed as far as one may see, deleted without what they view."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from conftest import client_of, ok
from headrace.app import Application
from mining import Mailbox, add_model, is_error, new_mailbox, new_project, serving

FAMILIES = (
    "english",
    "multilingual",
    "german",
    "english-dev",
    "german-dev",
    "random",
    "transformer-english",
    "transformer-xlm",
)
LISTS = ("entity_defs", "general_fields", "label_defs", "label_groups", "_dataset_flags")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A server that the tests of this module share."""
    with serving(tmp_path_factory.mktemp("datasets") / "data") as application:
        yield application


@pytest.fixture
def api(server: Application) -> TestClient:
    """The admin's client."""
    return client_of(server)


@pytest.fixture
def box(api: TestClient) -> Mailbox:
    """A mailbox of the test's own."""
    return new_mailbox(api)


def put(box: Mailbox, name: str, **fields: Any) -> Any:
    """Create a dataset beside the mailbox's own; answers the response as it is."""
    return box.api.put(f"/api/v1/datasets/{box.project}/{name}", json={"dataset": fields})


def post(box: Mailbox, **fields: Any) -> Any:
    """Change the mailbox's dataset; answers the dataset."""
    return ok(box.api.post(box.dataset, json={"dataset": fields}))["dataset"]


def test_new_dataset_has_the_defaults(box: Mailbox) -> None:
    """A dataset made of nothing is English, has sentiment, no sources, and every list that clients look for."""
    dataset = ok(put(box, f"{box.name}-empty"))["dataset"]
    assert (dataset["model_family"], dataset["has_sentiment"], dataset["source_ids"]) == ("english", True, [])
    assert (dataset["owner"], dataset["name"], dataset["title"], dataset["description"]) == (
        box.project,
        f"{box.name}-empty",
        "",
        "",
    )
    assert all(isinstance(dataset[name], list) for name in LISTS)
    assert dataset["label_groups"] == [{"name": "default", "label_defs": []}]


def test_dataset_keeps_what_was_said(box: Mailbox) -> None:
    """What a dataset is made with is answered by its name, by its id and in the lists."""
    said = {
        "title": "T",
        "description": "D",
        "model_family": "german",
        "has_sentiment": False,
        "_dataset_flags": ["qos"],
    }
    name = f"{box.name}-said"
    made = ok(put(box, name, source_ids=[box.source_id], **said))["dataset"]
    assert {key: made[key] for key in said} == said
    assert ok(box.api.get(f"/api/v1/datasets/{box.project}/{name}"))["dataset"] == made
    assert ok(box.api.get(f"/api/v1/datasets/{box.project}%2F{name}"))["dataset"] == made
    assert ok(box.api.get(f"/api/v1/datasets/id:{made['id']}"))["dataset"] == made
    for path in ("/api/v1/datasets", f"/api/v1/datasets/{box.project}"):
        assert made in ok(box.api.get(path))["datasets"]


@pytest.mark.parametrize("family", FAMILIES)
def test_model_families(box: Mailbox, family: str) -> None:
    """Every family that clients name is accepted."""
    assert ok(put(box, f"{box.name}-{family}", model_family=family))["dataset"]["model_family"] == family


def test_unknown_model_family_is_refused(box: Mailbox) -> None:
    """An unknown family is refused in the words that clients look for."""
    answer = put(box, f"{box.name}-x", model_family="klingon")
    assert is_error(answer, 400)
    assert "'klingon' is not one of" in answer.json()["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "t" * 129},
        {"description": "d" * 16385},
        {"source_ids": ["0" * 16]},
        {"source_ids": ["xyz"]},
        {"source_ids": ["f" * 16]},
        {"source_ids": "none"},
        {"has_sentiment": "yes"},
        {"colour": "red"},
        {"label_defs": [{"name": ""}]},
        {"label_defs": [{"name": "a > "}]},
        {"label_defs": [{"name": "x" * 65}]},
        {"label_defs": [{"title": "nameless"}]},
    ],
)
def test_bad_dataset_is_refused(box: Mailbox, fields: dict[str, Any]) -> None:
    """A value out of range, an unknown source or key refuses the dataset, new or changed, and leaves no trace."""
    before = ok(box.api.get(box.dataset))
    assert is_error(put(box, f"{box.name}-bad", **fields), 400)
    assert is_error(box.api.get(f"/api/v1/datasets/{box.project}/{box.name}-bad"), 404)
    assert is_error(box.api.post(box.dataset, json={"dataset": fields}), 400)
    assert ok(box.api.get(box.dataset)) == before


def test_too_many_sources_are_refused(box: Mailbox) -> None:
    """A dataset views at most 1024 sources."""
    assert is_error(put(box, "many", source_ids=[f"{number:016x}" for number in range(1, 1026)]), 400, 413)


def test_taken_name_is_refused(box: Mailbox) -> None:
    """Creating a dataset or source once more is refused without 409, and overwrites nothing."""
    before = ok(box.api.get(box.dataset)), ok(box.api.get(box.source))
    assert is_error(put(box, box.name, title="other"), 400)
    assert is_error(box.api.put(box.source, json={"source": {"title": "other"}}), 400)
    assert (ok(box.api.get(box.dataset)), ok(box.api.get(box.source))) == before


@pytest.mark.parametrize("name", ["a b", "é", "a.b", "a%0A", "n" * 257])
def test_bad_name_is_refused(box: Mailbox, name: str) -> None:
    """Names of datasets and sources are letters, digits, `-` and `_`, at most 256."""
    for stem, key in (("datasets", "dataset"), ("sources", "source")):
        assert is_error(box.api.put(f"/api/v1/{stem}/{box.project}/{name}", json={key: {}}), 400)


def test_partial_update(box: Mailbox) -> None:
    """What is absent stays, an empty `source_ids` clears, `created` stays and `last_modified` moves."""
    before = ok(box.api.get(box.dataset))["dataset"]
    titled = post(box, title="T")
    assert (titled["title"], titled["source_ids"], titled["created"]) == ("T", [box.source_id], before["created"])
    assert titled["last_modified"] > before["last_modified"]
    cleared = post(box, source_ids=[])
    assert (cleared["title"], cleared["source_ids"]) == ("T", [])
    assert ok(box.api.get(box.dataset))["dataset"] == cleared


def test_label_definitions_keep_their_order(box: Mailbox) -> None:
    """The taxonomy comes back in the order given with its texts, and stands in the default group, too."""
    defs = [
        {"name": "Zoo", "title": "Z", "instructions": "only animals", "external_id": "7"},
        {"name": "Parent > Child"},
        {"name": "Apple", "moon_form": [{"name": "weight", "kind": "number"}], "pretrained": {"id": "p", "name": "P"}},
    ]
    found = post(box, label_defs=defs)
    plain = {"title": "", "instructions": ""}
    assert found["label_defs"] == [
        plain | defs[0],
        plain | defs[1],
        plain | defs[2] | {"moon_form": [{"name": "weight", "kind": "number", "instructions": ""}]},
    ]
    assert found["label_groups"] == [{"name": "default", "label_defs": found["label_defs"]}]


def test_annotating_adds_label_definitions(box: Mailbox) -> None:
    """A label nobody defined is defined by being used, with its parents in front of it."""
    box.upload("a")
    box.label("a", "Parent > Child > Grandchild", "Parent > Other")
    names = [label["name"] for label in ok(box.api.get(box.dataset))["dataset"]["label_defs"]]
    assert names == ["Parent", "Parent > Child", "Parent > Child > Grandchild", "Parent > Other"]


def test_deleting_leaves_the_sources(box: Mailbox) -> None:
    """A deleted dataset is gone with its streams; source and comments stay, and the name may be used anew."""
    box.put_stream()
    box.upload("a")
    assert ok(box.api.delete(box.dataset)) == {"status": "ok"}
    for path in (box.dataset, f"{box.dataset}/streams", f"/api/v1/datasets/id:{box.dataset_id}"):
        assert is_error(box.api.get(path), 404)
    assert is_error(box.api.delete(box.dataset), 404)
    assert box.get("a")["id"] == "a"
    again = ok(put(box, box.name, source_ids=[box.source_id]))["dataset"]
    assert again["id"] != box.dataset_id
    assert ok(box.api.get(f"{box.dataset}/streams"))["streams"] == []


def test_dataset_can_be_deleted_by_id(box: Mailbox) -> None:
    """Datasets and sources are deleted by id as well; a dataset drops a deleted source."""
    ok(box.api.delete(f"/api/v1/sources/id:{box.source_id}"))
    assert ok(box.api.get(box.dataset))["dataset"]["source_ids"] == []
    ok(box.api.delete(f"/api/v1/datasets/id:{box.dataset_id}"))
    assert is_error(box.api.get(box.dataset), 404)


def test_annotations_are_copied(box: Mailbox) -> None:
    """A dataset made from another one takes over the labels of comments that both see."""
    box.upload("a", "b")
    box.label("a", "Good", sentiment="negative")
    ok(put(box, f"{box.name}-copy", source_ids=[box.source_id], copy_annotations_from=box.dataset_id))
    copy = Mailbox(**{**vars(box), "name": f"{box.name}-copy"})
    found = {item["comment"]["id"]: item["annotations"]["labels"]["assigned"] for item in copy.export()["comments"]}
    assert found == {"a": [{"name": "Good", "sentiment": "negative"}], "b": []}


def test_model_tags(server: Application, box: Mailbox) -> None:
    """Tags are listed by name with the version they point at; a tag can be moved and removed, and pins its version."""
    assert ok(box.api.get(f"{box.dataset}/model-tags"))["model_tags"] == []
    versions = [add_model(server, box, ["Good"]) for _ in range(3)]
    for name, version in (("staging", versions[1]), ("prod", versions[0]), ("prod", versions[2])):
        answer = ok(box.api.put(f"{box.dataset}/model-tags/{name}", json={"model_tag": {"version": version}}))
        assert (answer["model_tag"]["name"], answer["model_tag"]["version"]) == (name, version)
    tags = ok(box.api.get(f"{box.dataset}/model-tags"))["model_tags"]
    assert [(tag["name"], tag["version"]) for tag in tags] == [("prod", versions[2]), ("staging", versions[1])]
    pinned = {item["version"]: item["pinned"] for item in ok(box.api.post(f"{box.private}/labellers"))["labellers"]}
    assert pinned == dict.fromkeys(versions, True)
    ok(box.api.delete(f"{box.dataset}/model-tags/prod"))
    assert is_error(box.api.delete(f"{box.dataset}/model-tags/prod"), 404)
    assert is_error(box.api.put(f"{box.dataset}/model-tags/prod", json={"model_tag": {"version": 99}}), 404)
    assert is_error(box.api.put(f"{box.dataset}/model-tags/a b", json={"model_tag": {"version": 1}}), 400)


def test_versions_are_listed_newest_first(server: Application, box: Mailbox) -> None:
    """Model versions are paged downwards and can be pinned and unpinned."""
    for _ in range(3):
        add_model(server, box, ["Good"])
    path = f"{box.private}/labellers"
    assert [item["version"] for item in ok(box.api.post(path, json={}))["labellers"]] == [3, 2, 1]
    page = ok(box.api.post(path, json={"older_than_version": 3, "limit": 1}))
    assert [item["version"] for item in page["labellers"]] == [2]
    assert ok(box.api.put(f"{path}/2/pin"))["labeller"]["pinned"] is True
    assert ok(box.api.delete(f"{path}/2/pin"))["labeller"]["pinned"] is False
    for version in ("9", "latest", "-1", "9" * 30, "²"):
        assert is_error(box.api.put(f"{path}/{version}/pin"), 400, 404)


def test_project_life(api: TestClient) -> None:
    """A project is made, changed, listed and deleted; while it holds anything only by force."""
    name = new_project(api)
    path = f"/api/_private/projects/{name}"
    changed = ok(api.post(path, json={"project": {"title": "T"}}))["project"]
    assert ok(api.get(path))["project"] == changed
    assert changed in ok(api.get("/api/_private/projects"))["projects"]
    box = new_mailbox(api, name)
    ok(api.delete(f"/api/v1/datasets/id:{box.dataset_id}"))
    refused = api.delete(path)
    assert is_error(refused, 409)
    assert refused.json()["message"] == (
        'Project contains child resources but force deletion was not requested: {"sources": 1}'
    )
    ok(api.delete(path, params={"force": "true"}))
    assert is_error(api.get(path), 404)
    assert is_error(api.get(box.source), 404)


def test_source_answers_what_clients_need(box: Mailbox) -> None:
    """A source always says its language, whether it is translated, its kind and its dates; POST changes in part."""
    plain = ok(box.api.get(box.source))["source"]
    assert (plain["language"], plain["should_translate"], plain["_kind"]) == ("en", False, "unknown")
    fields = {"title": "T", "language": "de", "should_translate": True, "sensitive_properties": ["string:Name"]}
    changed = ok(box.api.post(box.source, json={"source": {**fields, "bucket_id": None}}))["source"]
    assert {key: changed[key] for key in fields} == fields
    assert "bucket_id" not in changed
    assert ok(box.api.post(box.source, json={"source": {"description": "D"}}))["source"]["title"] == "T"
    assert changed["created_at"] == plain["created_at"]
    assert changed["updated_at"] > plain["updated_at"]
