"""A real server in a process of its own, which a test may kill and start again on the same data."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import httpx2

TOKEN = "acceptance-admin-token"
START_SECONDS = 30


class ServerProcess:
    """`headrace serve` on a free port over one data directory."""

    def __init__(self, data: Path, *options: str) -> None:
        self._data = data
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> None:
        """Start, and return once it answers."""
        command = [sys.executable, "-m", "headrace", "serve", "--port", "0", "--data", str(self._data)]
        with (self._data.parent / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                [*command, *self._options],
                env={**os.environ, "HEADRACE_ADMIN_TOKEN": TOKEN},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if ready else ""
        assert " serves http" in line, (self._data.parent / "server.log").read_text()[-3000:]
        self.url = line.split(" serves ")[1].strip()

    def kill(self) -> None:
        """Kill -9, at whatever moment this is."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; answers the exit code."""
        return self._end(signal.SIGTERM)

    def client(self) -> httpx2.Client:
        """A client with the admin's token."""
        return httpx2.Client(base_url=self.url, headers={"Authorization": f"Token {TOKEN}"}, timeout=30)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        code = self._process.wait(25)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return code
