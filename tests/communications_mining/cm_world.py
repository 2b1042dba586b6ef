"""A small Communications Mining world for tests: a source, a dataset over it, comments, and a trained model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient

from conftest import ADMIN_TOKEN, client_of, ok
from headrace.app import Application, create_app
from headrace.learning.training import train
from headrace.learning.values import Example
from headrace.settings import Settings

SOURCE, DATASET = "default/mail", "default/topics"
STREAMS = f"/api/v1/datasets/{DATASET}/streams"
WORDS = {
    "Card": "card plastic wallet",
    "Card > Lost": "card lost missing vanished",
    "Payment": "payment transfer invoice",
    "Payment > Late": "payment late overdue waiting",
}


def comment(key: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    """A comment as an uploader sends it."""
    return {"id": key, "timestamp": "2026-01-02T03:04:05Z", "messages": [{"body": {"text": text}}], **more}


def make_source(api: TestClient, full: str = SOURCE, **fields: Any) -> str:
    """Create a source; answers its id."""
    return str(ok(api.put(f"/api/v1/sources/{full}", json={"source": fields}))["source"]["id"])


def make_dataset(api: TestClient, *source_ids: str, full: str = DATASET, **fields: Any) -> dict[str, Any]:
    """Create a dataset over sources; answers it."""
    body = {"dataset": {"source_ids": list(source_ids), **fields}}
    return dict(ok(api.put(f"/api/v1/datasets/{full}", json=body))["dataset"])


def the_source(api: TestClient) -> str:
    """The id of the source; it is made unless an earlier case on a shared server made it."""
    found = api.get(f"/api/v1/sources/{SOURCE}")
    return make_source(api) if found.status_code == 404 else str(ok(found)["source"]["id"])


def the_dataset(api: TestClient, *source_ids: str) -> dict[str, Any]:
    """The dataset; it is made unless an earlier case on a shared server made it."""
    found = api.get(f"/api/v1/datasets/{DATASET}")
    return make_dataset(api, *source_ids) if found.status_code == 404 else dict(ok(found)["dataset"])


def upload(api: TestClient, *comments: dict[str, Any], full: str = SOURCE) -> None:
    """Upload comments by sync."""
    ok(api.post(f"/api/v1/sources/{full}/sync", json={"comments": list(comments)}))


def annotate(api: TestClient, uid: str, *labels: str, full: str = DATASET, sentiment: str = "positive") -> Any:
    """Assign labels to a comment; answers the annotated comment."""
    assigned = [{"name": label, "sentiment": sentiment} for label in labels]
    body = {"labelling": [{"group": "default", "assigned": assigned}]}
    return ok(api.post(f"/api/_private/datasets/{full}/labellings/{uid}", json=body))


def learn(application: Application, dataset_id: str, examples: Sequence[Example]) -> int:
    """Store a version trained on the examples, without waiting for the job; answers its number."""
    trained = train(examples, family="english")
    return application.store.write(
        lambda tx: tx.models.insert(
            int(dataset_id, 16),
            family="english",
            labels=trained.labels,
            artefact=trained.artefact,
            digest=trained.digest,
            metrics=trained.metrics,
            reviewed_size=len(examples),
        )
    ).version


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A server with one dataset that has sentiment and a model; `uids` by comment id."""

    application: Application
    api: TestClient
    dataset: dict[str, Any]
    version: int
    uids: dict[str, str]

    @property
    def labellers(self) -> str:
        """The public path of the dataset's versions."""
        return f"/api/v1/datasets/{DATASET}/labellers"


def make_trained(application: Application, api: TestClient) -> Trained:
    """Upload 40 comments, annotate them all and train a version on them."""
    source = make_source(api)
    dataset = make_dataset(api, source)
    labels = {f"c{number}": list(WORDS)[number % len(WORDS)] for number in range(40)}
    texts = {key: f"{WORDS[label]} number{key}" for key, label in labels.items()}
    upload(api, *(comment(key, text) for key, text in texts.items()))
    moods = {label: "negative" if label.endswith(("Lost", "Late")) else "positive" for label in WORDS}
    for key, label in labels.items():
        annotate(api, f"{source}.{key}", label, sentiment=moods[label])
    feelings = {label: 1.0 if mood == "positive" else -1.0 for label, mood in moods.items()}
    examples = [
        Example(text=texts[key], labels=(label,), sentiment={label: feelings[label]}) for key, label in labels.items()
    ]
    uids = {key: f"{source}.{key}" for key in texts}
    version = learn(application, dataset["id"], examples)
    return Trained(application=application, api=api, dataset=dataset, version=version, uids=uids)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """A running server on SQLite with a trained dataset, for tests that leave it as it is."""
    settings = Settings(data=tmp_path_factory.mktemp("trained") / "data", admin_token=ADMIN_TOKEN)
    application = create_app(settings)
    yield make_trained(application, client_of(application))
    application.close()
