"""`headrace export kiln-project` and `headrace import kiln-project`."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from headrace.cli.demo import DEFAULT_URL
from headrace.cli.kiln import definitions, state
from headrace.cli.kiln.definitions import Mode
from headrace.cli.kiln.files import Folder, FolderError
from headrace.cli.kiln.remote import Remote
from headrace.cli.kiln.runs import TaskSync
from headrace.cli.kiln.state import State
from headrace.client import Client, HeadraceError, RateLimited, ServerError, TransportError

F = TypeVar("F", bound=Callable[..., Any])
INTERVAL = 2.0


def _options(command: F) -> F:
    """The options of both commands."""
    for option in (
        click.option("--interval", type=click.FloatRange(0.05), default=INTERVAL, show_default=True, help="seconds"),
        click.option("--watch", is_flag=True, help="then keep both in step until Ctrl-C"),
        click.option("--token", envvar="HEADRACE_TOKEN", help="an access token [HEADRACE_TOKEN]"),
        click.option("--url", envvar="HEADRACE_URL", default=DEFAULT_URL, show_default=True, help="a running server"),
    ):
        command = option(command)
    return command


@click.command("kiln-project")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--project", required=True, help="the project's id or name")
@_options
def export_command(folder: Path, project: str, url: str, token: str | None, watch: bool, interval: float) -> None:
    """Write a project to FOLDER as Kiln keeps it; files that are there already are brought up to date."""
    folder.mkdir(parents=True, exist_ok=True)
    begin = lambda remote: definitions.project_to_export(remote, Folder(folder), project)  # noqa: E731
    _carry_out(folder, begin, Mode.EXPORT, (url, token), interval if watch else None)


@click.command("kiln-project")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--project", help="import into this project: its id or name")
@_options
def import_command(
    folder: Path, project: str | None, url: str, token: str | None, watch: bool, interval: float
) -> None:
    """Read a project that Kiln keeps in FOLDER into the server; doing it again changes nothing."""
    begin = lambda remote: definitions.project_to_import(remote, Folder(folder), project)  # noqa: E731
    _carry_out(folder, begin, Mode.IMPORT, (url, token), interval if watch else None)


def _carry_out(
    path: Path, begin: Callable[[Remote], str], mode: Mode, server: tuple[str, str | None], interval: float | None
) -> None:
    url, token = server
    try:
        with Client(url, token) as client:
            remote = Remote(client)
            project_id = begin(remote)
            if interval is None:
                told = Round(remote, Folder(path), project_id, mode, State(url)).run(shown=True)
                if told:
                    raise click.ClickException(f"{told} runs were left as they are")
            else:
                _watch(remote, Folder(path), project_id, url, interval)
    except (HeadraceError, FolderError, sqlite3.Error, OSError) as error:
        raise click.ClickException(str(error)) from error


def _watch(remote: Remote, folder: Folder, project_id: str, url: str, interval: float) -> None:
    """Keep folder and server in step, round by round; a server that does not answer is asked again later."""
    known = State(url, folder.path)
    click.echo(f"{folder.path} and project {project_id} of {url} are kept in step; Ctrl-C ends it")
    one = Round(remote, folder, project_id, Mode.WATCH, known)
    try:
        while True:
            try:
                one.run(shown=False)
            except (TransportError, ServerError, RateLimited, FolderError) as error:
                click.echo(f"{error}; trying again", err=True)
            time.sleep(interval)
    except KeyboardInterrupt:
        click.echo("ended; what was agreed on is in " + str(folder.path / state.NAME))
    finally:
        known.close()


class Round:
    """What is done once by an export or import, and again and again by a watch. What was told is not told again."""

    def __init__(self, remote: Remote, folder: Folder, project_id: str, mode: Mode, state: State) -> None:
        self._remote, self._folder, self._project_id = remote, folder, project_id
        self._mode, self._state = mode, state
        self._told: set[str] = set()

    def run(self, *, shown: bool) -> int:
        """Go through the whole project; answers how many things were told as refused."""
        definitions.settle_project(self._remote, self._folder, self._project_id, self._mode, self._state)
        tasks = definitions.settle_tasks(self._remote, self._folder, self._project_id, self._mode, self._state)
        for task in tasks:
            walk = TaskSync(self._remote, task, self._mode, self._state, tell=self._tell)
            with click.progressbar(length=walk.begin(), label=f"task {task.id}", hidden=not shown) as bar:
                walk.follow(bar.update)
        return len(self._told)

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            click.echo(text, err=True)
