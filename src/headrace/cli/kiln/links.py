"""Which run of the server is which run of the folder.

A run has its id of the folder as its external id when it came from there. Else its own id names it in the folder, but
only where that is the very same run: its output has an id of its own, which tells.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

Json = dict[str, Any]

FOLDER_ID = re.compile(r"[0-9]{1,18}", re.ASCII)


class Known(NamedTuple):
    """A run as the server names it."""

    server_id: str
    external_id: str | None
    output_id: str | None


class Links:
    """The ids of runs in the folder by those on the server, and the other way round."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self.of_server = {server_id: folder_id for folder_id, server_id in pairs.items()}
        self.of_folder = dict(pairs)

    def add(self, folder_id: str, server_id: str) -> None:
        """Link two ids."""
        self.of_server[server_id], self.of_folder[folder_id] = folder_id, server_id

    def drop(self, folder_id: str) -> None:
        """Take a link back."""
        del self.of_server[self.of_folder.pop(folder_id)]


def known(run: Json) -> Known:
    """How the server names a run that it shows."""
    return Known(run["id"], run.get("external_id"), (run.get("output") or {}).get("id"))


def link(links: Links, runs: Iterable[Known], is_other: Callable[[str, Known], bool]) -> None:
    """Link runs of the server that are not linked yet. `is_other` tells whether the folder has another run of that id.

    A run that is not in the folder gets its external id there, or its own; with zeros before it where that is taken.
    """
    new = [run for run in runs if run.server_id not in links.of_server]
    for run in sorted(new, key=lambda run: not _has_key(run)):
        name = run.external_id if run.external_id and _has_key(run) else run.server_id
        while name in links.of_folder or (not _has_key(run) and is_other(name, run)):
            name = f"0{name}"
        links.add(name, run.server_id)


def _has_key(run: Known) -> bool:
    return run.external_id is not None and FOLDER_ID.fullmatch(run.external_id) is not None
