"""The data directory: one server at a time."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from headrace.app import create_app
from headrace.cli.main import main
from headrace.core.errors import Unavailable
from headrace.directory import served
from headrace.settings import Settings


def test_a_second_server_on_the_same_directory_is_refused(settings: Settings) -> None:
    """A directory that is served is refused by name, and can be served again once its server has closed."""
    first = create_app(settings)
    try:
        with pytest.raises(Unavailable, match=r"data is served by another headrace process"):
            create_app(settings)
        assert first.store.read(lambda tx: tx.users.by_username("admin")) is not None
    finally:
        first.close()
    create_app(settings).close()


def test_the_command_line_says_why_it_does_not_serve(settings: Settings) -> None:
    """`headrace serve` ends with one line that tells what to do."""
    application = create_app(settings)
    try:
        outcome = CliRunner().invoke(main, ["serve", "--port", "0", "--data", str(settings.data)])
    finally:
        application.close()
    assert outcome.exit_code == 1
    assert outcome.output.strip().endswith("stop that one or name another --data")


def test_short_commands_work_beside_the_server(settings: Settings) -> None:
    """A token can be made for a server that is running, and that server knows it at once."""
    application = create_app(settings)
    try:
        outcome = CliRunner().invoke(main, ["token", "create", "--data", str(settings.data)])
        key_id = outcome.output.split("_")[1]
        assert application.store.read(lambda tx: tx.users.token(key_id)) is not None
    finally:
        application.close()


def test_a_start_that_fails_lets_go_of_the_directory(settings: Settings) -> None:
    """A server that could not start does not stand in the way of the next one."""
    nowhere = f"postgresql://nobody@/nothing?host={settings.data}"
    with pytest.raises(Unavailable, match="PostgreSQL does not answer"):
        create_app(replace(settings, database_url=nowhere))
    create_app(settings).close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no lock on Windows")
def test_a_killed_process_lets_go_of_the_directory(tmp_path: Path) -> None:
    """However a server ends, the directory is free afterwards; until then it is not."""
    hold = "import sys, pathlib; from headrace.directory import served\n"
    hold += "with served(pathlib.Path(sys.argv[1])):\n print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Unavailable), served(tmp_path):
            pass
        holder.kill()
        holder.wait()
    with served(tmp_path):
        pass
