"""The runs of one task, with their feedback, in a folder and on the server: whoever changed something is followed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headrace.cli.kiln import files, links, merging
from headrace.cli.kiln.definitions import Mode, Task
from headrace.cli.kiln.files import FolderError
from headrace.cli.kiln.links import FOLDER_ID, Links
from headrace.cli.kiln.remote import Remote, keyed
from headrace.cli.kiln.state import Met, State
from headrace.client import ApiError, Invalid, ServerError
from headrace.core.times import parse_timestamp

Json = dict[str, Any]
Tell = Callable[[str], None]

NOT_SENT = ("v", "id", "path", "model_type", "eval_source")
PARENT = "parent_task_run_id"


class TaskSync:
    """One walk over the runs of a task. `tell` is told of what was refused."""

    def __init__(self, remote: Remote, task: Task, mode: Mode, state: State, *, tell: Tell) -> None:
        self._remote, self._task, self._mode, self._state = remote, task, mode, state
        self._tell = tell
        self._links = Links({})
        self._seen: set[str] = set()
        self._cursor: str | None = None

    def follow(self, moved: Callable[[int], object]) -> None:
        """Bring all runs in step, as far as anything has changed since both last met; call `begin` first.

        `moved` is called with 1 for every change that was followed.
        """
        for page in self._remote.changes(self._task.path, self._cursor):
            self._link(links.known(item["run"]) for item in page.changes if item["type"] == "run")
            for item in page.changes:
                self._guarded(lambda item=item: self._change(item), item)  # type: ignore[misc]
                moved(1)
            self._state.move(self._task.id, page.cursor)
        if self._mode is not Mode.EXPORT:
            self._follow_folder(moved)

    def begin(self) -> int:
        """Find out which run is which; answers how many there are, in the folder or on the server."""
        self._cursor = self._known_cursor()
        if self._cursor is None:
            self._link(
                {
                    item["run"]["id"]: links.known(item["run"])
                    for page in self._remote.changes(self._task.path, None)
                    for item in page.changes
                    if item["type"] == "run"
                }.values()
            )
        return len(self._links.of_folder.keys() | {run for run, _ in files.runs(self._task.file)})

    def _link(self, found: Iterable[links.Known]) -> None:
        links.link(self._links, found, self._is_other)

    def _is_other(self, name: str, run: links.Known) -> bool:
        path = files.run_file(self._task.file, name)
        try:
            return path.exists() and (files.read(path, "task_run").get("output") or {}).get("id") != run.output_id
        except FolderError:
            return True

    def _known_cursor(self) -> str | None:
        """Where the changes are to be followed from, with the runs linked that are known until there."""
        cursor = self._state.cursor(self._task.id)
        known = self._state.runs(self._task.id)
        if cursor is not None:
            try:
                next(self._remote.changes(self._task.path, cursor))
                self._links = Links({run: server_id for run, (server_id, _) in known.items()})
                return cursor
            except Invalid:
                # The cursor is of a database that is gone, and so is everything that was agreed on with it.
                self._state.drop_task(self._task.id)
        return None

    def _guarded(self, action: Callable[[], None], what: object) -> None:
        """One step, whose refusal does not keep the others from being taken."""
        try:
            action()
        except (FolderError, ApiError) as error:
            if isinstance(error, ServerError):
                raise
            self._tell(f"{_name(what)}: {error.message if isinstance(error, ApiError) else error}")

    def _change(self, item: Json) -> None:
        """Follow one change of the server."""
        if item["type"] == "deleted":
            self._deleted(item["run_id"])
        elif item["type"] == "feedback":
            run = self._links.of_server.get(item["run_id"])
            if run is not None and files.run_file(self._task.file, run).exists():
                self._settle_feedback(run, item["run_id"], item["feedback"])
        elif item["run"]["id"] in self._links.of_server:
            self._settle(self._links.of_server[item["run"]["id"]], item["run"], item["feedback"])

    def _deleted(self, server_id: str) -> None:
        """A run is gone from the server: so it is from the folder, unless it was changed there."""
        run = self._links.of_server.get(server_id)
        if run is None or self._mode is not Mode.WATCH:
            return
        path, met = files.run_file(self._task.file, run), self._state.get(self._task.id, run)
        if met is not None and path.exists() and stamp(path) == met.stamp:
            files.remove(path)
        self._state.drop(self._task.id, run)
        self._links.drop(run)

    def _settle(self, run: str, found: Json, feedback: list[Json]) -> None:
        """Bring one run in step that the server has."""
        self._seen.add(run)
        server_id, path = str(found["id"]), files.run_file(self._task.file, run)
        theirs, met, seen = self._filed(run, found), self._state.get(self._task.id, run), stamp(path)
        if not seen and met is not None and self._mode is Mode.WATCH and merging.equal(met.document, theirs):
            self._remote.call("DELETE", self._path(server_id))
            self._state.drop(self._task.id, run)
            self._links.drop(run)
            return
        if not seen and self._mode is Mode.IMPORT:
            return
        mine = files.read(path, "task_run") if seen else None
        if mine is not None:
            patch = self._patch(mine, theirs, met, _newer(seen, found.get("updated_at")))
            if patch:
                answer = self._remote.call("PATCH", self._path(server_id), patch)
                theirs = self._filed(run, answer)
        if stamp(path) != seen:
            return  # written to in this very moment: the next round sees it
        if self._mode is not Mode.IMPORT and (mine is None or not merging.equal(merging.filed(mine, theirs), mine)):
            files.write(path, merging.filed(mine or {}, theirs))
        self._settle_feedback(run, server_id, feedback)
        self._state.put(Met(server_id, stamp(path), theirs), self._task.id, run)

    def _patch(self, mine: Json, theirs: Json, met: Met | None, newer: bool) -> Json:
        """What is to be sent of the file's run."""
        if mine.get("eval_source") is not None or self._mode is Mode.EXPORT:
            return {}
        if self._mode is Mode.IMPORT:
            return self._sent(merging.additions(mine, theirs))
        base = met.document if met else {}
        return self._sent(merging.merge(base, mine, theirs, mine_newer=newer).patch)

    def _sent(self, patch: Mapping[str, Any]) -> Json:
        """A partial run of the folder as it is sent: its parent by the server's id."""
        sent = {key: value for key, value in patch.items() if key not in NOT_SENT}
        parent = sent.get(PARENT)
        if parent is not None and parent not in self._links.of_folder:
            del sent[PARENT]
            self._tell(f"the run {parent} is not in the folder, so nothing can follow it")
        elif parent is not None:
            sent[PARENT] = self._links.of_folder[parent]
        return sent

    def _filed(self, run: str, found: Mapping[str, Any]) -> Json:
        """A run of the server as it stands in the folder."""
        document = {key: value for key, value in found.items() if key not in files.NEVER_STORED}
        parent = document.get(PARENT)
        return {**document, "id": run, PARENT: parent and self._links.of_server.get(parent, parent)}

    def _follow_folder(self, moved: Callable[[int], object]) -> None:
        """Follow what was changed, made or removed in the folder and was not looked at yet."""
        known = self._state.runs(self._task.id)
        waiting = {}
        for run, path in files.runs(self._task.file):
            unseen = run not in self._seen and known.get(run, ("", ""))[1] != stamp(path)
            if unseen and (self._mode is Mode.WATCH or run not in self._links.of_folder):
                waiting[run] = path
        for run in self._ordered(waiting):
            self._guarded(lambda run=run: self._follow_file(run, waiting[run]), run)  # type: ignore[misc]
            moved(1)
        if self._mode is Mode.WATCH and self._task.file.exists():
            for run, (server_id, _) in known.items():
                if run not in self._seen and not files.run_file(self._task.file, run).exists():
                    self._guarded(lambda run=run, at=server_id: self._follow_removal(run, at), run)  # type: ignore[misc]

    def _ordered(self, waiting: Mapping[str, Path]) -> list[str]:
        """The runs with those first that others follow."""
        parents = {}
        for run, path in waiting.items():
            try:
                parents[run] = files.read(path, "task_run").get(PARENT)
            except FolderError as error:
                self._tell(str(error))
        ordered: dict[str, None] = {}
        for run in parents:
            line: dict[str, None] = {}
            above: str | None = run
            while above in parents and above not in ordered and above not in line:
                line[above] = None
                above = parents[above]
            ordered |= dict.fromkeys(reversed(line))
        return list(ordered)

    def _follow_file(self, run: str, path: Path) -> None:
        server_id = self._links.of_folder.get(run)
        if server_id is not None:
            found = self._remote.call("GET", self._path(server_id), include="updated_at")
            said = self._remote.call("GET", f"{self._path(server_id)}/feedback", include="origin")
            self._settle(run, found, said)
            return
        seen, mine = stamp(path), files.read(path, "task_run")
        if mine["id"] != run or not FOLDER_ID.fullmatch(run):
            raise FolderError("the directory is not named by the run's id, which must be digits")
        if mine.get("eval_source") is not None:
            raise FolderError("runs that evaluations made are left alone")
        answer = self._remote.call("PUT", keyed(f"{self._task.path}/runs", run), self._sent(mine))
        self._links.add(run, answer["id"])
        theirs = self._filed(run, answer)
        self._settle_feedback(run, answer["id"], [])
        self._state.put(Met(answer["id"], seen, theirs), self._task.id, run)

    def _follow_removal(self, run: str, server_id: str) -> None:
        """A run is gone from the folder: so it is from the server, unless it was changed there since."""
        found = self._remote.call("GET", self._path(server_id), include="updated_at")
        said = self._remote.call("GET", f"{self._path(server_id)}/feedback", include="origin")
        self._settle(run, found, said)

    def _settle_feedback(self, run: str, server_id: str, found: list[Json]) -> None:
        """Bring the feedback on a run in step. Feedback is given and taken back, never changed."""
        path, task = files.run_file(self._task.file, run), self._task.id
        local, agreed = dict(files.feedbacks(path)), self._state.feedback(task, run)
        listed = dict(_named(found, local))
        for name, said in listed.items():
            if name in local or self._mode is Mode.IMPORT:
                continue
            if self._mode is Mode.WATCH and name in agreed:
                self._remote.call("DELETE", f"{self._path(server_id)}/feedback/{said['id']}")
                self._state.drop(task, run, name)
                continue
            files.write(files.feedback_file(path, name), {**said, "id": name})
            self._state.put(Met(said["id"], "", {}), task, run, name)
        for name in local.keys() & listed.keys():
            self._state.put(Met(listed[name]["id"], "", {}), task, run, name)
        for name in local.keys() - listed.keys():
            if self._mode is Mode.WATCH and name in agreed:
                files.remove(local[name])
                self._state.drop(task, run, name)
            elif self._mode is not Mode.EXPORT:
                said = files.read(local[name], "feedback")
                made = self._remote.call("PUT", keyed(f"{self._path(server_id)}/feedback", name), said)
                self._state.put(Met(made["id"], "", {}), task, run, name)

    def _path(self, server_id: str) -> str:
        return f"{self._task.path}/runs/{quote(server_id, safe='')}"


def stamp(run: Path) -> str:
    """What is another text after a run's file was written, or feedback on it came or went; empty without a file."""
    found = files.stamp(run)
    return found and " ".join([found, *(name for name, _ in files.feedbacks(run))])


def _named(found: list[Json], local: Mapping[str, Path]) -> Iterator[tuple[str, Json]]:
    """The server's feedback by its ids in the folder."""
    for said in found:
        origin = said.get("origin")
        name = origin["external_id"] if origin and FOLDER_ID.fullmatch(origin["external_id"]) else said["id"]
        while name in local and files.read(local[name], "feedback").get("created_at") != said["created_at"]:
            name = f"0{name}"
        yield name, said


def _newer(seen: str, updated_at: str | None) -> bool:
    """True when the file was written after the server's run was changed."""
    written = int(seen.partition("-")[0]) // 1000 if seen else 0
    return updated_at is None or written >= parse_timestamp(updated_at)


def _name(what: object) -> str:
    if isinstance(what, dict):
        return f"run {what.get('run_id') or what['run']['id']}"
    return f"run {what}"
