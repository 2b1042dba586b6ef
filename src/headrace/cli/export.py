"""export: write conversations, chats for fine-tuning and preference pairs as JSON lines, from the database itself."""

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from headrace.app import admin_of
from headrace.cli.database import opened, storage_options
from headrace.core import tree_export
from headrace.core.store import Store
from headrace.core.tree_export import Choice, Form, Layout, Take
from headrace.core.trees import TreeState

F = TypeVar("F", bound=Callable[..., Any])
STATES = ("all", *(state.value for state in TreeState))
TAKES = tuple(take.value for take in Take)
STDOUT = Path("-")


def choice_options(command: F) -> F:
    """The options that all exports of conversations have."""
    options: tuple[Callable[[F], F], ...] = (
        click.option("--limit", type=click.IntRange(1), help="at most so many lines"),
        click.option("--lang", help="only trees whose prompt is in this language"),
        click.option(
            "--state",
            "states",
            type=click.Choice(STATES),
            multiple=True,
            default=(TreeState.READY_FOR_EXPORT.value,),
            show_default=True,
            help="only trees in these states",
        ),
        click.option("--synthetic", type=click.Choice(TAKES), default="include", show_default=True),
        click.option("--spam", type=click.Choice(TAKES), default="exclude", show_default=True, help="not accepted"),
        click.option("--deleted", type=click.Choice(TAKES), default="exclude", show_default=True),
    )
    for option in options:
        command = option(command)
    return command


def write(store: Store, output: Path, form: Form, choice: Choice) -> None:
    """Write an export to a file (packed when its name ends in .gz) or, for `-`, to the terminal."""
    who = store.read(admin_of)
    trees = store.write(lambda tx: tree_export.begin(tx, who, choice, form.layout))
    count = 0
    with _opened(output) as file, _bar(trees, output) as bar:
        for line in tree_export.texts(store, who, choice, form, bar.update):
            file.write(line.encode() + b"\n")
            count += 1
    click.echo(f"{count} lines of {form.layout.value} from {trees} trees", err=True)


def chosen(options: dict[str, Any], **more: Any) -> Choice:
    """What the options choose; `more` are those that only one export has."""
    states = options.pop("states")
    takes: dict[str, Any] = {name: Take(options.pop(name)) for name in ("deleted", "spam", "synthetic")}
    return Choice(states=None if "all" in states else frozenset(map(TreeState, states)), **takes, **options, **more)


def form_of(layout: Layout, *, seed: str | None = None, best_only: bool = False) -> Form:
    """How lines are written; with a seed their ids tell nothing."""
    naming = tree_export.open_names if seed is None else tree_export.anonymised(seed)
    return Form(layout=layout, naming=naming, best_only=best_only)


@contextmanager
def _opened(output: Path) -> Iterator[IO[bytes]]:
    """The file to write; a packed one has no name and no time in it, so the same lines give the same bytes."""
    if output == STDOUT:
        yield sys.stdout.buffer
        return
    with output.open("wb") as file:
        if output.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed_file:
            yield packed_file  # type: ignore[misc]


def _bar(trees: int, output: Path) -> Any:
    """A bar of the trees that are done, where it cannot get between the lines."""
    return click.progressbar(length=trees, label="export", file=sys.stderr, hidden=output == STDOUT)


@click.group("export")
def group() -> None:
    """Write what people wrote and judged as JSON lines."""


def _command(name: str) -> Callable[[F], F]:
    """A command of the group with the options that all of them have."""

    def declared(function: F) -> F:
        command = choice_options(storage_options(function))
        command = click.argument("output", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False))(command)
        return group.command(name)(command)  # type: ignore[return-value]

    return declared


@_command("conversations")
@click.option("--prompts-only", is_flag=True, help="leave replies out")
@click.option("--labels", is_flag=True, help="with the means of all labels")
@click.option("--events", is_flag=True, help="with who ranked and who gave which emoji")
@click.option("--user", help="only messages of this person, by id, one a line")
@click.option("--anonymise", "seed", metavar="SEED", help="ids that tell nothing, the same for the same seed")
def conversations(
    output: Path, data: Path | None, database_url: str | None, user: str | None, seed: str | None, **options: Any
) -> None:
    """Write whole trees to OUTPUT, one a line; `-` is the terminal, a name that ends in .gz is packed."""
    with opened(data, database_url) as store:
        author_id = None if user is None else tree_export.person_id(user)
        write(store, output, form_of(Layout.TREES, seed=seed), chosen(options, author_id=author_id))


@_command("chat")
@click.option("--best-only", is_flag=True, help="only chats whose every reply was ranked first")
def chat(output: Path, data: Path | None, database_url: str | None, best_only: bool, **options: Any) -> None:
    """Write chats for fine-tuning to OUTPUT: every chain from a prompt to a last assistant reply is one."""
    with opened(data, database_url) as store:
        write(store, output, form_of(Layout.CHAT, best_only=best_only), chosen(options))


@_command("preferences")
def preferences(output: Path, data: Path | None, database_url: str | None, **options: Any) -> None:
    """Write pairs of ranked replies to OUTPUT: a prompt, the chosen and the rejected reply, and how many agree."""
    with opened(data, database_url) as store:
        write(store, output, form_of(Layout.PREFERENCES), chosen(options))
