"""Kiln runs as objects: read them, change them, save what changed.

A change is local until `save()` or a batch sends it, except feedback, which is a record of its own.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableSet
from collections.abc import Set as AbstractSet
from copy import deepcopy
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2

from headrace.client.documents import Document, Json, difference, plain, same
from headrace.client.errors import Conflict
from headrace.client.steps import Bound, C, Give, Listing, Plan, listing, operation

T = TypeVar("T")

FIVE_STAR = "five_star"


class Tags(MutableSet[str]):
    """A run's tags: a set that keeps its order."""

    def __init__(self, document: Json) -> None:
        self._document = document

    def __contains__(self, tag: object) -> bool:
        """True when the run has the tag."""
        return tag in self._all()

    def __iter__(self) -> Iterator[str]:
        """The tags in their order."""
        return iter(list(self._all()))

    def __len__(self) -> int:
        """How many tags there are."""
        return len(self._all())

    def add(self, tag: str) -> None:
        """Add a tag behind the others, unless it is there."""
        if tag not in self._all():
            self._document["tags"] = [*self._all(), tag]

    def discard(self, tag: str) -> None:
        """Remove a tag if it is there."""
        self._document["tags"] = [known for known in self._all() if known != tag]

    @classmethod
    def _from_iterable(cls, tags: Iterable[T]) -> AbstractSet[T]:
        """What `|`, `&` and `-` make: a set of no run."""
        return set(tags)

    def __repr__(self) -> str:
        return f"Tags({list(self)!r})"

    def _all(self) -> list[str]:
        return self._document.get("tags") or []


class Run(Bound[C]):
    """One run. Every member of its document can be read and set as an attribute: `run.output.rating.value`."""

    def __init__(self, client: C, task_path: str, document: Json, etag: str | None = None) -> None:
        self._client = client
        self._task_path = task_path
        self._stored: Json = document
        self._local: Json = deepcopy(document)
        self._etag: str | None = etag

    @property
    def id(self) -> str:
        """The run's id, which is text."""
        return str(self._stored["id"])

    @property
    def path(self) -> str:
        """Where the server has the run."""
        return f"{self._task_path}/runs/{quote(self.id, safe='')}"

    @property
    def task_path(self) -> str:
        """Where the server has the run's task."""
        return self._task_path

    @property
    def document(self) -> Json:
        """The run as it would be after saving."""
        return self._local

    @property
    def changes(self) -> Json:
        """The least patch that makes the server's run this one; empty when nothing was changed."""
        return difference(self._stored, self._local)

    @property
    def rating(self) -> float | None:
        """The overall rating's value, None while there is none."""
        rating = (self._local.get("output") or {}).get("rating") or {}
        value = rating.get("value")
        return None if value is None else float(value)

    @property
    def tags(self) -> Tags:
        """The tags, to add to and to discard from."""
        return Tags(self._local)

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._local["tags"] = list(tags)

    def rate(self, value: float | None, *, scale: str | None = None, requirement: str | None = None) -> None:
        """Set the overall rating, or that of a requirement (its id, or `named::<name>`); None takes it back.

        `scale` is `five_star`, `pass_fail`, `pass_fail_critical` or `custom`; a run that is rated keeps its own,
        another is rated by `five_star`.
        """
        output = self._local.setdefault("output", {})
        if requirement is None and value is None:
            output["rating"] = None
            return
        rating = output["rating"] = output.get("rating") or {"type": FIVE_STAR}
        if requirement is None:
            rating |= {"type": scale or rating.get("type", FIVE_STAR), "value": float(value or 0)}
            return
        known = rating["requirement_ratings"] = rating.get("requirement_ratings") or {}
        before = known.get(requirement) or {}
        if value is None:
            known[requirement] = None
        else:
            known[requirement] = {**before, "type": scale or before.get("type", FIVE_STAR), "value": float(value)}

    def repair(self, text: str, instructions: str, *, by: str | None = None) -> None:
        """Set the output as it should have been, and what was asked of whoever wrote it; `by` names that person."""
        source = None if by is None else {"type": "human", "properties": {"created_by": by}}
        output = self._local.get("repaired_output") or {}
        self._local["repaired_output"] = {**output, "output": text, "source": source}
        self._local["repair_instructions"] = instructions

    @operation
    def save(self, *, strict: bool = False) -> Plan[None]:
        """Send what changed as one PATCH, nothing when nothing did; the server's answer becomes the document.

        With `strict` the server refuses (Conflict) when the run has changed since it was read here.
        """
        patch = self.changes
        if not patch:
            return
        headers = {"If-Match": (yield from self._current())} if strict else {}
        response = yield from self._client.exchange("PATCH", self.path, json=patch, headers=headers)
        self._take(*_read(response))

    @operation
    def reload(self) -> Plan[None]:
        """Read the run again; what was not saved is lost."""
        response = yield from self._client.exchange("GET", self.path)
        self._take(*_read(response))

    @operation
    def feedback(self, text: str, *, source: str = "run-page") -> Plan[Json]:
        """Add a feedback to the run at once; answers it as it was stored."""
        body = {"feedback": text, "source": source}
        stored = yield from self._client.call("POST", f"{self.path}/feedback", json=body)
        return dict(stored)

    @operation
    def feedbacks(self) -> Plan[list[Json]]:
        """The feedbacks of the run."""
        return list((yield from self._client.call("GET", f"{self.path}/feedback")))

    @operation
    def delete(self) -> Plan[None]:
        """Delete the run."""
        yield from self._client.call("DELETE", self.path)

    def saved(self, etag: str | None) -> None:
        """Note that the server has this run's document, at that version."""
        self._stored, self._etag = deepcopy(self._local), etag

    def _current(self) -> Plan[str]:
        """The ETag of the run as it was read here; raises Conflict when that is not the server's any more."""
        if self._etag is None:
            document, etag = _read((yield from self._client.exchange("GET", self.path)))
            if not same(document, self._stored):
                raise Conflict(412, f"run {self.id} has changed since it was read")
            self._etag = etag
        return self._etag or "*"

    def _take(self, document: Json, etag: str | None) -> None:
        self._stored, self._local, self._etag = document, deepcopy(document), etag

    def __getattr__(self, name: str) -> Any:
        """A member of the document."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(Document(self._local), name)

    def __setattr__(self, name: str, value: object) -> None:
        """Set a member of the document."""
        if name.startswith("_") or hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            self._local[name] = plain(value)

    def __repr__(self) -> str:
        return f"Run({self.id!r})"


class Task(Bound[C]):
    """A Kiln task: one job that is run on many inputs."""

    def __init__(self, client: C, project_id: str, task_id: str) -> None:
        self._client = client
        self.id = task_id
        self.project_id = project_id
        self.path = f"/api/projects/{quote(project_id, safe='')}/tasks/{quote(task_id, safe='')}"

    def __repr__(self) -> str:
        return f"Task({self.project_id!r}, {self.id!r})"

    @operation
    def run(self, run_id: str | int) -> Plan[Run[C]]:
        """The run of that id."""
        response = yield from self._client.exchange("GET", f"{self.path}/runs/{quote(str(run_id), safe='')}")
        return Run(self._client, self.path, *_read(response))

    @operation
    def by_external_id(self, key: str) -> Plan[Run[C]]:
        """The run that the caller knows by a key of its own."""
        response = yield from self._client.exchange("GET", self._keyed(key))
        return Run(self._client, self.path, *_read(response))

    @operation
    def upsert(self, key: str, document: Mapping[str, Any]) -> Plan[Run[C]]:
        """Merge a partial run into the run with the caller's own key, or make that run of it."""
        response = yield from self._client.exchange("PUT", self._keyed(key), json=dict(document))
        return Run(self._client, self.path, *_read(response))

    @listing
    def runs(
        self,
        *,
        tag: str | None = None,
        rated: bool | None = None,
        updated_since: datetime | None = None,
        page: int = 100,
    ) -> Listing[Run[C]]:
        """The task's runs, newest first, read page by page as they are asked for."""
        since = None if updated_since is None else updated_since.isoformat()
        params = {"tag": tag, "rated": rated, "updated_since": since, "limit": page}
        cursor: str | None = None
        while True:
            response = yield from self._client.exchange("GET", f"{self.path}/runs", params={**params, "cursor": cursor})
            for document in response.json():
                yield Give(Run(self._client, self.path, document))
            cursor = response.headers.get("x-next-cursor")
            if cursor is None:
                return

    @operation
    def create_run(
        self,
        *,
        input: str,
        output: str,
        model_name: str,
        model_provider: str,
        adapter_name: str,
        tags: Iterable[str] = (),
        rating: float | None = None,
    ) -> Plan[Run[C]]:
        """Store a run as it was produced elsewhere."""
        body: Json = {
            "input": input,
            "output": output,
            "model_name": model_name,
            "model_provider": model_provider,
            "adapter_name": adapter_name,
            "tags": list(tags),
        }
        if rating is not None:
            body["rating"] = {"type": FIVE_STAR, "value": float(rating)}
        response = yield from self._client.exchange("POST", f"{self.path}/runs", json=body)
        return Run(self._client, self.path, *_read(response))

    def _keyed(self, key: str) -> str:
        return f"{self.path}/runs/by_external_id/{quote(key, safe='')}"


def _read(response: httpx2.Response) -> tuple[Json, str | None]:
    """The document of an answer and its ETag."""
    return response.json(), response.headers.get("etag")
