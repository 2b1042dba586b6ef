"""What the commands share: the options that name the database, the open store, and errors as one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from headrace.core.errors import HeadraceError
from headrace.core.store import Store
from headrace.settings import Settings, from_environment
from headrace.storage import open_store

F = TypeVar("F", bound=Callable[..., Any])


def settings_help(name: str) -> str:
    """What an option says of the setting it stands for."""
    field = Settings.__dataclass_fields__[name]
    return f"{field.metadata['help']} [HEADRACE_{name.upper()}; default: {field.default or 'none'}]"


def storage_options(command: F) -> F:
    """The options that say where the database is."""
    command = click.option("--database-url", metavar="URL", help=settings_help("database_url"))(command)
    return click.option("--data", type=click.Path(path_type=Path), help=settings_help("data"))(command)


@contextmanager
def told() -> Iterator[None]:
    """Turn an error of the domain into one line on the terminal."""
    try:
        yield
    except HeadraceError as error:
        raise click.ClickException(error.message) from error


@contextmanager
def opened(data: Path | None, database_url: str | None) -> Iterator[Store]:
    """The store that the options name, closed afterwards."""
    with told():
        settings = from_environment(data=data, database_url=database_url)
        settings.data.mkdir(parents=True, exist_ok=True)
        store = open_store(settings.store_url)
        try:
            yield store
        finally:
            store.close()
