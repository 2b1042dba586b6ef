"""Communications Mining as its clients see it: a server, and mailboxes in it to upload to and stream from."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from building import empty_database
from conftest import ADMIN_TOKEN, client_of, ok
from headrace.app import Application, create_app
from headrace.core.models import Scores
from headrace.core.store import Tx
from headrace.settings import Settings

INSTANT = "2024-05-06T07:08:09.000000Z"
_numbers = count(1)


@contextmanager
def serving(data: Path, database_url: str = "") -> Iterator[Application]:
    """A running server with its data in a directory, jobs included."""
    file = data / "headrace.sqlite3"
    if not database_url and not file.exists():
        data.mkdir()
        file.write_bytes(empty_database())
    application = create_app(Settings(data=data, admin_token=ADMIN_TOKEN, database_url=database_url))
    try:
        yield application
    finally:
        application.close()


def comment(key: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    """A comment as an uploader sends it."""
    return {"id": key, "timestamp": INSTANT, "messages": [{"body": {"text": text}}], **more}


def member_of(admin: TestClient, application: Application, **granted: Sequence[str]) -> TestClient:
    """The client of a new user with permissions or roles per project."""
    name = f"person{next(_numbers)}"
    body = {
        "username": name,
        "email": f"{name}@example.org",
        "organisation_permissions": {project: list(names) for project, names in granted.items()},
    }
    user = ok(admin.put("/api/_private/users", json={"user": body}))["user"]
    return client_of(application, ok(admin.post(f"/api/_private/users/{user['id']}/tokens"))["token"])


@dataclass(frozen=True, kw_only=True)
class Mailbox:
    """A source and a dataset over it, both of one name in one project, as one client uses them."""

    api: TestClient
    project: str
    name: str
    source_id: str
    dataset_id: str

    @property
    def source(self) -> str:
        """The public path of the source."""
        return f"/api/v1/sources/{self.project}/{self.name}"

    @property
    def comments(self) -> str:
        """The private path of the source's comments."""
        return f"/api/_private/sources/{self.project}/{self.name}/comments"

    @property
    def dataset(self) -> str:
        """The public path of the dataset."""
        return f"/api/v1/datasets/{self.project}/{self.name}"

    @property
    def private(self) -> str:
        """The private path of the dataset."""
        return f"/api/_private/datasets/{self.project}/{self.name}"

    def uid(self, key: str) -> str:
        """A comment's uid."""
        return f"{self.source_id}.{key}"

    def sync(self, *comments: Mapping[str, Any]) -> tuple[int, int, int]:
        """Upload comments; answers how many were new, updated, unchanged."""
        answer = ok(self.api.post(f"{self.source}/sync", json={"comments": list(comments)}))
        return answer["new"], answer["updated"], answer["unchanged"]

    def upload(self, *keys: str) -> None:
        """Upload plain comments under these keys, one request each, so that each has a creation time of its own."""
        for key in keys:
            self.sync(comment(key))

    def get(self, key: str) -> dict[str, Any]:
        """One comment, markup included."""
        answer = ok(self.api.get(f"{self.source}/comments/{key}", params={"include_markup": "true"}))
        return dict(answer["comment"])

    def delete(self, *keys: str) -> None:
        """Delete comments."""
        ok(self.api.delete(f"{self.source}/comments", params={"id": list(keys)}))

    def put_stream(self, name: str = "s", **fields: Any) -> dict[str, Any]:
        """Create or update a stream; answers it."""
        return dict(ok(self.api.put(f"{self.dataset}/streams", json={"stream": {"name": name, **fields}}))["stream"])

    def fetch(self, size: int = 1024, *, stream: str = "s", **more: Any) -> dict[str, Any]:
        """Read behind the cursor."""
        return dict(ok(self.api.post(f"{self.dataset}/streams/{stream}/fetch", json={"size": size, **more})))

    def keys(self, size: int = 1024, *, stream: str = "s") -> list[str]:
        """The keys of the comments behind the cursor."""
        return keys_of(self.fetch(size, stream=stream))

    def advance(self, sequence_id: str, *, stream: str = "s") -> Any:
        """Move the cursor; answers the response as it is."""
        return self.api.post(f"{self.dataset}/streams/{stream}/advance", json={"sequence_id": sequence_id})

    def label(self, key: str, *names: str, sentiment: str = "positive") -> dict[str, Any]:
        """Assign labels to a comment; answers the annotated comment."""
        assigned = [{"name": name, "sentiment": sentiment} for name in names]
        body = {"labelling": [{"group": "default", "assigned": assigned}]}
        return dict(ok(self.api.post(f"{self.private}/labellings/{self.uid(key)}", json=body)))

    def export(self, **request: Any) -> dict[str, Any]:
        """One page of the dataset."""
        return dict(ok(self.api.post(f"{self.dataset}/export", json=request)))


def new_mailbox(api: TestClient, project: str = "default", name: str = "") -> Mailbox:
    """A new, empty mailbox."""
    name = name or f"box{next(_numbers)}"
    source = ok(api.put(f"/api/v1/sources/{project}/{name}", json={"source": {}}))["source"]
    body = {"dataset": {"source_ids": [source["id"]]}}
    dataset = ok(api.put(f"/api/v1/datasets/{project}/{name}", json=body))["dataset"]
    return Mailbox(api=api, project=project, name=name, source_id=source["id"], dataset_id=dataset["id"])


def new_project(admin: TestClient) -> str:
    """The name of a new project."""
    name = f"project{next(_numbers)}"
    ok(admin.put(f"/api/_private/projects/{name}", json={"project": {}}))
    return name


def keys_of(batch: Mapping[str, Any]) -> list[str]:
    """The keys of a batch's comments in order."""
    return [item["comment"]["id"] for item in batch["results"]]


def add_model(
    application: Application,
    box: Mailbox,
    labels: Sequence[str],
    said: Mapping[str, Sequence[float]] | None = None,
    *,
    sentiment: float | None = None,
    times: int = 1,
) -> int:
    """Store a version, or several alike, with the probabilities it gave to comments, by key; answers its number."""

    def store(tx: Tx) -> int:
        return [one(tx) for _ in range(times)][-1]

    def one(tx: Tx) -> int:
        model = tx.models.insert(
            int(box.dataset_id, 16),
            family="english",
            labels=labels,
            artefact=b"",
            digest=f"digest{next(_numbers)}",
            metrics={},
            reviewed_size=0,
        )
        known = tx.records.by_external(int(box.source_id, 16), list(said or ()))
        rows = [(record.id, record.version, scores((said or {})[str(record.external_id)])) for record in known]
        tx.predictions.save(model.id, rows)
        return model.version

    def scores(probabilities: Sequence[float]) -> Scores:
        return Scores(struct.pack(f"<{len(labels)}f", *probabilities), sentiment)

    return application.store.write(store)


def is_error(answer: Any, *statuses: int) -> bool:
    """True when an answer is an error of one of these statuses in the dialect's envelope, and nothing but that."""
    body = answer.json()
    envelope = set(body) == {"status", "message"} and body["status"] == "error" and bool(body["message"])
    return answer.status_code in statuses and envelope and "Traceback" not in answer.text
