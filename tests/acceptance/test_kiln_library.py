"""The unmodified kiln_ai library: what it wrote goes into a real server, and it opens what comes out.

HEADRACE_KILN_PYTHON names an interpreter of an environment with kiln-ai 1.2; the server needs none of it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acceptance.server_process import TOKEN, ServerProcess

SCRIPT = Path(__file__).parent / "kiln_script.py"
PYTHON = os.environ.get("HEADRACE_KILN_PYTHON", "")


def library(action: str, folder: Path) -> Any:
    """What the script prints."""
    done = subprocess.run(
        [PYTHON, str(SCRIPT), action, str(folder)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout) if done.stdout else None


def headrace(*arguments: str) -> None:
    """A command that must do what it says."""
    environment = {**os.environ, "HEADRACE_TOKEN": TOKEN}
    command = [sys.executable, "-m", "headrace", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.acceptance
@pytest.mark.skipif(not PYTHON, reason="HEADRACE_KILN_PYTHON names no interpreter with kiln_ai")
def test_the_library_opens_what_it_wrote(tmp_path: Path) -> None:
    """Ids, ratings, tags, repairs and feedback are in the exported folder as the library put them into the first."""
    library("write", tmp_path / "mine")
    server = ServerProcess(tmp_path / "data")
    server.start()
    try:
        headrace("import", "kiln-project", str(tmp_path / "mine"), "--url", server.url)
        headrace("export", "kiln-project", "--project", "Acceptance", str(tmp_path / "theirs"), "--url", server.url)
    finally:
        server.stop()
    told = library("read", tmp_path / "mine")
    assert len(told["runs"]) == 2
    assert library("read", tmp_path / "theirs") == told
