"""All routes with all that they need to be called, and all rows, for tests that go through every one of them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import select
from starlette.testclient import TestClient

from conftest import client_of, ok
from headrace.app import DIALECTS, Application
from headrace.dialects.kit import Route
from headrace.storage.schema import metadata
from mining import Mailbox, add_model, comment, new_mailbox

LABELLING = {"labelling": [{"group": "default", "assigned": [{"name": "Good", "sentiment": "positive"}]}]}


class Target(NamedTuple):
    """One method of one route."""

    dialect: str
    method: str
    path: str
    handler: str
    public: bool

    def url(self, values: Mapping[str, str]) -> str:
        """The path with its parameters filled in; a parameter nobody named is an id that nothing has.

        Label Studio's ends with a slash: some paths without one are another dialect's.
        """
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: values.get(found[1], "999999"), self.path)
        return path + "/" if self.dialect == "label_studio" else path


def targets(*names: str) -> list[Target]:
    """Every method of every route, of the dialects named or of all."""
    return [
        target
        for dialect in DIALECTS
        if not names or dialect.name in names
        for target in _of(dialect.name, dialect.routes)
    ]


def _of(name: str, routes: list[Route]) -> Iterator[Target]:
    for route in routes:
        for method in route.methods:
            yield Target(name, method, route.path, route.handler.__name__, route.public)


def named(found: list[Target]) -> list[Target]:
    """Those that name their object by project and name: the same handlers serve ids and former names."""
    return [target for target in found if "hex_id" not in target.path and "/triggers" not in target.path]


def bodied() -> list[Target]:
    """The routes of Communications Mining that take a request body."""
    return [target for target in named(targets("communications_mining")) if target.method in ("PUT", "POST", "PATCH")]


def full_mailbox(application: Application) -> Mailbox:
    """A mailbox with a comment, a stream and a tagged model."""
    box = new_mailbox(client_of(application))
    box.upload("a")
    add_model(application, box, ["Good"], {"a": [0.5]})
    ok(box.api.put(f"{box.dataset}/model-tags/prod", json={"model_tag": {"version": 1}}))
    box.put_stream()
    return box


def mining_values(box: Mailbox, key: str = "a") -> dict[str, str]:
    """Path parameters that name what a mailbox holds; `hex_id` names the dataset, or the source in a source's path."""
    return {
        "project": box.project,
        "source": box.name,
        "dataset": box.name,
        "comment": key,
        "uid": box.uid(key),
        "stream": "s",
        "tag": "prod",
        "version": "1",
        "hex_id": box.dataset_id,
    }


def values_for(target: Target, box: Mailbox) -> dict[str, str]:
    """Path parameters for one route."""
    of_source = "/sources/" in target.path
    return mining_values(box) | ({"hex_id": box.source_id} if of_source else {})


def good_bodies(box: Mailbox, key: str = "a") -> dict[str, Any]:
    """A request body for each handler that a mailbox can be used with."""
    user = {"username": "made", "email": "made@example.org", "organisation_permissions": {box.project: ["viewer"]}}
    stream = {"name": "s", "title": "T", "comment_filter": {"user_properties": {"string:A": {"one_of": ["x"]}}}}
    position = "A" * 38
    return {
        "sync_comments": {"comments": [comment("new", user_properties={"string:A": "x", "number:B": 1})]},
        "put_comments": {"comments": [comment("newer", thread_id="t")]},
        "create_source": {"source": {"title": "T", "language": "de", "should_translate": False}},
        "update_source": {"source": {"title": "T", "sensitive_properties": ["string:A"]}},
        "create_dataset": {"dataset": {"title": "T", "source_ids": [box.source_id], "has_sentiment": True}},
        "update_dataset": {"dataset": {"title": "T", "label_defs": [{"name": "Good", "instructions": "I"}]}},
        "export_dataset": {"limit": 1, "order_by": "created_at", "from": "2020-01-01", "to": "2999-01-01"},
        "label_comment": LABELLING,
        "put_tag": {"model_tag": {"version": 1}},
        "list_models": {"older_than_version": 5, "limit": 3},
        "put_stream": {"stream": stream},
        "update_stream": {"stream": stream},
        "fetch": {"size": 3, "max_filtered": 2},
        "advance": {"sequence_id": position},
        "reset": {"to_comment_created_at": "2020-01-01T00:00:00Z"},
        "tag_exceptions": {"exceptions": [{"uid": box.uid(key), "metadata": {"type": "T"}}]},
        "create_user": {"user": user},
        "update_user": {"user": {"email": "made@example.org", "organisation_permissions": {box.project: ["viewer"]}}},
        "create_token": {"label": "L"},
        "create_project": {"project": {"title": "T"}, "user_ids": []},
        "update_project": {"project": {"title": "T"}},
    }


def send(api: TestClient, target: Target, values: Mapping[str, str], body: Any = None) -> Any:
    """Call a route; answers the response as it is."""
    options = {} if body is None else {"content": body} if isinstance(body, bytes) else {"json": body}
    return api.request(target.method, target.url(values), **options)


def rows(application: Application) -> dict[str, list[tuple[Any, ...]]]:
    """Everything the database holds, by table."""
    return application.store.read(
        lambda tx: {
            table.name: sorted(map(tuple, tx.session.rows(select(table))), key=repr)  # type: ignore[attr-defined]
            for table in metadata.sorted_tables
        }
    )
