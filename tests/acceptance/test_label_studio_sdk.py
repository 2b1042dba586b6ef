"""The unmodified label-studio-sdk against a real server: only the host differs from anybody's script."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from acceptance.server_process import TOKEN, ServerProcess

SCRIPT = Path(__file__).parent / "sdk_script.py"


@pytest.mark.acceptance
def test_scripts_of_both_generations_run(tmp_path: Path) -> None:
    """LabelStudio and the older Client import, poll, list and annotate, and get what they ask for."""
    server = ServerProcess(tmp_path / "data")
    server.start()
    try:
        command = [os.environ["HEADRACE_SDK_PYTHON"], str(SCRIPT), server.url, TOKEN]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["me"] == "admin@example.org"
    assert told["status"] == "completed"
    assert told["texts"] == ["a", "b", "hello", "world"]
    assert told["annotated"] is True
    assert told["ids"] + told["from_file"] == [1, 2, 3, 4]
    assert len(told["from_list"]) == 2
    assert told["all"] == 6
