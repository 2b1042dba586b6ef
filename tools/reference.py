"""Write docs/reference.md from the code: settings, commands, routes, permissions, job kinds."""

import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click

from headrace.app import DIALECTS, JOB_KINDS
from headrace.cli.main import main
from headrace.core.rights import ROLES, Permission
from headrace.dialects.kit import by_precedence
from headrace.settings import PREFIX, Settings

TARGET = Path(__file__).parent.parent / "docs" / "reference.md"


def render() -> str:
    """The whole page."""
    return "\n".join(["# Reference", "", "Generated from the code by `make docs`.", "", *_sections()]) + "\n"


def _sections() -> Iterator[str]:
    yield from ("## Settings", "", "| environment variable | default | what |", "|---|---|---|")
    for field in fields(Settings):
        default = f"`{field.default}`" if str(field.default) else "none"
        yield f"| `{PREFIX}{field.name.upper()}` | {default} | {field.metadata['help']} |"
    yield from ("", "## Commands", "")
    yield from _commands(main, "headrace")
    for dialect in DIALECTS:
        yield from ("", f"## Routes: {dialect.name.replace('_', ' ')}", "", "| method | path | what |", "|---|---|---|")
        for route in by_precedence(dialect.routes):
            text = " ".join((route.handler.__doc__ or "").split("\n\n")[0].split())
            yield f"| {', '.join(route.methods)} | `{route.path}` | {text} |"
    yield from ("", "## Permissions and roles", "", "| permission | roles that hold it |", "|---|---|")
    for permission in Permission:
        holders = [name for name, granted in ROLES.items() if permission in granted]
        yield f"| `{permission.value}` | {', '.join(holders)} |"
    yield from ("", "## Kinds of jobs", "", "| kind | what |", "|---|---|")
    for name, kind in JOB_KINDS.items():
        yield f"| `{name}` | {(kind.run.__doc__ or '').splitlines()[0]} |"


def _commands(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from _commands(child, f"{name} {child.name}")
        return
    yield f"**`{name}`** {(command.help or '').strip()}"
    yield ""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield f"- `{', '.join(parameter.opts)}`: {parameter.help}"
        else:
            yield f"- `{(parameter.name or '').upper()}`"
    yield ""


if __name__ == "__main__":
    TARGET.write_text(render())
    sys.stdout.write(f"wrote {TARGET.name}\n")
