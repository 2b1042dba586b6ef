"""The calls that keeping a folder needs, over HTTP."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from headrace.client import Client

Json = dict[str, Any]

PROJECTS = "/kiln/api/projects"
PAGE = 500


class Page(NamedTuple):
    """Changes of a task's runs, and the cursor behind them."""

    changes: list[Json]
    cursor: str


class Remote:
    """One server, as the user of one token sees it. Everything may raise `headrace.client.HeadraceError`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def call(self, method: str, path: str, body: object = None, **params: object) -> Any:
        """The JSON of an answer."""
        return self._client.carry_out(self._client.call(method, path, json=body, params=params))

    def changes(self, task: str, cursor: str | None) -> Iterator[Page]:
        """The changes of a task behind a cursor, page by page up to now."""
        while True:
            found = self.call("GET", f"{task}/changes", cursor=cursor, limit=PAGE, include="feedback")
            cursor = found["cursor"]
            yield Page(found["changes"], found["cursor"])
            if found["at_end"]:
                return


def task_path(project_id: str, task_id: str) -> str:
    """Where the server has a task."""
    return f"/api/projects/{quote(project_id, safe='')}/tasks/{quote(task_id, safe='')}"


def keyed(path: str, key: str) -> str:
    """Where an object is put that has this id in the folder."""
    return f"{path}/by_external_id/{quote(key, safe='')}"
