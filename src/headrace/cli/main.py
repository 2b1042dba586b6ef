"""serve, migrate, token, export, demo: the commands and their options."""

import logging
import sys
from pathlib import Path

import click

from headrace import __version__
from headrace.app import Application, admin_of, create_app
from headrace.cli import demo, export, sample
from headrace.cli.database import opened, settings_help, storage_options, told
from headrace.cli.kiln import commands as kiln_commands
from headrace.core import users
from headrace.core.times import format_timestamp
from headrace.server import serve as serve_app
from headrace.settings import Settings, from_environment

CONTEXT = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="headrace")
def main() -> None:
    """The feedback loop for language data in one self-hosted server."""


@main.command()
@click.option("--host", help=settings_help("host"))
@click.option("--port", type=int, help=settings_help("port"))
@storage_options
@click.option("--no-auth", is_flag=True, default=None, help=settings_help("no_auth"))
@click.option("--demo", "with_demo", is_flag=True, help="fill an empty server with a small generated project")
def serve(
    host: str | None,
    port: int | None,
    data: Path | None,
    database_url: str | None,
    no_auth: bool | None,
    with_demo: bool,
) -> None:
    """Serve the APIs until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with told():
        settings = from_environment(host=host, port=port, data=data, database_url=database_url, no_auth=no_auth)
        application = create_app(settings)
        try:
            made = sample.fill(application.store) if with_demo else None
            serve_app(
                application.asgi,
                host=settings.host,
                port=settings.port,
                ready=lambda url: _announce(url, application, settings, made),
            )
        finally:
            application.close()


def _announce(url: str, application: Application, settings: Settings, made: str | None) -> None:
    click.echo(f"headrace {__version__} serves {url}")
    if application.new_token:
        click.echo(f"admin token (shown only now): {application.new_token}")
    elif settings.admin_token:
        click.echo("admin token: the one in HEADRACE_ADMIN_TOKEN")
        if len(settings.admin_token) < users.SAFE_PRESET_CHARACTERS:
            click.echo(f"warning: it has fewer than {users.SAFE_PRESET_CHARACTERS} characters and can be guessed")
    else:
        click.echo("admin token: made at the first start; `headrace token create` makes another")
    if made:
        click.echo(made)
    click.echo("see the whole loop run: headrace demo --token <admin token>" + _elsewhere(url))
    sys.stdout.flush()


def _elsewhere(url: str) -> str:
    return "" if url == demo.DEFAULT_URL else f" --url {url}"


@main.command()
@storage_options
def migrate(data: Path | None, database_url: str | None) -> None:
    """Bring the database to this release's schema."""
    with opened(data, database_url):
        click.echo("the database is up to date")


@main.group()
def token() -> None:
    """Make, list and revoke access tokens."""


@token.command("create")
@click.option("--user", "username", default="admin", show_default=True, help="whose token it is")
@click.option("--label", default="", help="what it is for")
@storage_options
def create_token(username: str, label: str, data: Path | None, database_url: str | None) -> None:
    """Print a new token; it is not shown again."""
    with opened(data, database_url) as store:
        click.echo(store.write(lambda tx: users.mint_for(tx, admin_of(tx), username, label=label)))


@token.command("list")
@storage_options
def list_tokens(data: Path | None, database_url: str | None) -> None:
    """List the live tokens without their secrets."""
    with opened(data, database_url) as store:
        found = store.read(lambda tx: (users.list_tokens(tx, admin_of(tx)), {u.id: u.username for u in tx.users.all()}))
    for item in found[0]:
        made = format_timestamp(item.created_at)[:16].replace("T", " ")
        click.echo(f"{item.id:>6}  {item.key_id:<24}  {made}  {found[1].get(item.user_id, '?')}  {item.label}")


@token.command("revoke")
@click.argument("token_id", type=int)
@storage_options
def revoke_token(token_id: int, data: Path | None, database_url: str | None) -> None:
    """Revoke a token from the next request on."""
    with opened(data, database_url) as store:
        store.write(lambda tx: users.revoke(tx, admin_of(tx), token_id))
    click.echo(f"token {token_id} is revoked")


main.add_command(demo.command)
export.group.add_command(kiln_commands.export_command)
main.add_command(export.group)


@main.group("import")
def import_group() -> None:
    """Read into a running server what others keep."""


import_group.add_command(kiln_commands.import_command)
