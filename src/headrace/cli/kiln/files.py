"""A project folder: where its files are, how they are read, and how they are replaced and never half written."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

VERSION = 1
SHOWN_NAME = 32
NEVER_STORED = ("path", "updated_at", "external_id", "origin")
"""What the server tells beside an object and the file of the object does not hold."""


class FolderError(Exception):
    """A file of the folder is not what it should be; the text is for people."""


def read(path: Path, model_type: str) -> Json:
    """The object in a file; raises FolderError when it is no such object, or of a newer format."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict) or found.get("model_type") != model_type or not isinstance(found.get("id"), str):
        raise FolderError(f"{path} does not hold a {model_type} with an id")
    if found.get("v") != VERSION:
        raise FolderError(f"{path} is of format {found.get('v')!r}; only {VERSION} can be read")
    return found


def write(path: Path, document: Json) -> None:
    """Replace a file by the object; after a crash it holds either what it held before or all of the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {key: value for key, value in document.items() if key not in NEVER_STORED}
    text = json.dumps(stored, indent=2, ensure_ascii=False)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode(errors="backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """Put a renaming on disk, where directories can be synced."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(run_file: Path) -> None:
    """Remove a run or feedback with all that lies below it."""
    shutil.rmtree(run_file.parent)


def stamp(path: Path) -> str:
    """What is another text after the file was written again; empty when there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"


class Folder:
    """The paths of a project folder. A run and a piece of feedback lie in a directory named by their id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.project = path / "project.kiln"

    def tasks(self) -> dict[str, Path]:
        """The tasks' files by id; raises FolderError."""
        return {read(path, "task")["id"]: path for path in sorted(self.path.glob("tasks/*/task.kiln"))}

    def new_task(self, task_id: str, name: str) -> Path:
        """Where the file of a new task belongs."""
        return self.path / "tasks" / f"{task_id} - {name[:SHOWN_NAME].strip()}" / "task.kiln"


def runs(task: Path) -> Iterator[tuple[str, Path]]:
    """The ids and files of a task's runs, by id."""
    yield from ((path.parent.name, path) for path in sorted(task.parent.glob("runs/*/task_run.kiln")))


def run_file(task: Path, run_id: str) -> Path:
    """Where the file of a run belongs."""
    return task.parent / "runs" / run_id / "task_run.kiln"


def feedbacks(run: Path) -> Iterator[tuple[str, Path]]:
    """The ids and files of a run's feedback, by id."""
    yield from ((path.parent.name, path) for path in sorted(run.parent.glob("feedback/*/feedback.kiln")))


def feedback_file(run: Path, feedback_id: str) -> Path:
    """Where the file of feedback belongs."""
    return run.parent / "feedback" / feedback_id / "feedback.kiln"
