"""Projects and tasks of a folder and of the server: which is which, and how one follows the other."""

from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from headrace.cli.kiln import files, merging
from headrace.cli.kiln.files import Folder, FolderError
from headrace.cli.kiln.links import FOLDER_ID
from headrace.cli.kiln.remote import PROJECTS, Remote, keyed, task_path
from headrace.cli.kiln.state import Met, State

Json = dict[str, Any]

UNCHANGED = ("v", "id", "path", "created_at", "created_by", "model_type", "origin")


class Mode(Enum):
    """Who follows whom."""

    EXPORT = "the folder follows the server"
    IMPORT = "the server follows the folder"
    WATCH = "each follows the other"


class Task(NamedTuple):
    """A task: its id in the folder, its file there, and where the server has it."""

    id: str
    file: Path
    path: str


def folder_id(found: Mapping[str, Any]) -> str:
    """The id under which a project or task of the server is known in folders."""
    origin = found.get("origin")
    key = str(origin["external_id"]) if origin else ""
    return key if FOLDER_ID.fullmatch(key) else str(found["id"])


def is_same(found: Mapping[str, Any], local: Mapping[str, Any]) -> bool:
    """True for a project or task of the server and of a folder that are the same one."""
    if folder_id(found) != local["id"]:
        return False
    # The id of another server's object may be the same number by chance.
    return folder_id(found) != found["id"] or bool(found["created_at"] == local["created_at"])


def _name(found: Json, documents: Mapping[str, Json]) -> str:
    """The id of the server's task in the folder, where another task may have that number."""
    name = folder_id(found)
    while name in documents and not is_same(found, {**documents[name], "id": folder_id(found)}):
        name = f"0{name}"
    return name


def chosen(listed: Iterable[Json], wanted: str) -> Json:
    """The project that a name or an id names, which may be its id in folders; raises FolderError."""
    known = list(listed)
    for told in (lambda item: item["id"], folder_id, lambda item: item["name"]):
        for item in known:
            if told(item) == wanted:
                return item
    raise FolderError(f"the server has no project {wanted!r}; it has {', '.join(item['name'] for item in known)}")


def project_to_export(remote: Remote, folder: Folder, wanted: str) -> str:
    """The server's id of the project, whose file is written unless the folder is another project's."""
    found = chosen(remote.call("GET", PROJECTS, include="origin"), wanted)
    if folder.project.exists() and not is_same(found, files.read(folder.project, "project")):
        raise FolderError(f"{folder.path} holds another project")
    if not folder.project.exists():
        files.write(folder.project, {**found, "id": folder_id(found)})
    return str(found["id"])


def project_to_import(remote: Remote, folder: Folder, wanted: str | None) -> str:
    """The server's id of the folder's project, which is made where it is not there."""
    local = files.read(folder.project, "project")
    listed = remote.call("GET", PROJECTS, include="origin")
    if wanted is not None:
        return str(chosen(listed, wanted)["id"])
    same = [item for item in listed if is_same(item, local)] or [
        item for item in listed if item["name"] == local["name"]
    ]
    found = same[0] if same else remote.call("PUT", keyed(PROJECTS, local["id"]), local)
    return str(found["id"])


def settle_project(remote: Remote, folder: Folder, project_id: str, mode: Mode, state: State) -> None:
    """Bring the project's name and description in step."""
    if mode is Mode.WATCH and not folder.project.exists():
        raise FolderError(f"{folder.project} is gone")
    found = remote.call("GET", f"{PROJECTS}/{project_id}", include="origin")
    if not is_same(found, files.read(folder.project, "project")):
        return
    _settle(remote, found, folder.project, f"{PROJECTS}/{project_id}", mode=mode, state=state, key="")


def settle_tasks(remote: Remote, folder: Folder, project_id: str, mode: Mode, state: State) -> list[Task]:
    """Bring what the tasks say of themselves in step; answers the tasks that both have then."""
    local = folder.tasks()
    documents = {task_id: files.read(path, "task") for task_id, path in local.items()}
    listed = remote.call("GET", f"{PROJECTS}/{project_id}/tasks", include="origin")
    tasks = []
    for found in listed:
        name = _name(found, documents)
        gone = mode is Mode.WATCH and state.get(name) is not None
        if name not in local and (gone or mode is Mode.IMPORT):
            continue
        file = local.pop(name, None) or folder.new_task(name, found["name"])
        task = Task(name, file, task_path(project_id, found["id"]))
        _settle(remote, found, task.file, task.path, mode=mode, state=state, key=name)
        tasks.append(task)
    if mode is not Mode.EXPORT:
        for name, path in local.items():
            made = remote.call("PUT", keyed(f"/api/projects/{project_id}/tasks", name), documents[name])
            tasks.append(Task(name, path, task_path(project_id, made["id"])))
    return tasks


def _settle(remote: Remote, found: Json, file: Path, path: str, *, mode: Mode, state: State, key: str) -> None:
    """Bring a file and the server's project or task in step; of a field that both changed, the file's counts."""
    theirs = {**found, "id": key or folder_id(found)}
    theirs.pop("origin", None)
    if not file.exists():
        files.write(file, theirs)
    mine = files.read(file, str(found["model_type"]))
    if mode is Mode.IMPORT:
        patch = merging.additions(mine, theirs)
    elif mode is Mode.WATCH:
        met = state.get(key or "project")
        patch = merging.merge(met.document if met else {}, mine, theirs, mine_newer=True).patch
    else:
        patch = {}
    patch = {name: value for name, value in patch.items() if name not in UNCHANGED}
    if patch:
        theirs = {**remote.call("PATCH", path, patch), "id": theirs["id"]}
    filed = {name: value for name, value in merging.filed(mine, theirs).items() if name not in files.NEVER_STORED}
    if mode is not Mode.IMPORT and not merging.equal(filed, mine):
        files.write(file, filed)
    state.put(Met(str(found["id"]), files.stamp(file), theirs), key or "project")
