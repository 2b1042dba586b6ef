"""Label Studio itself as a process to measure, from an environment of its own: `label-studio start` as it comes."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.serving import ADMIN_TOKEN, STOP_SECONDS, Server

PYTHON_VARIABLE = "HEADRACE_PEER_PYTHON"
START_SECONDS = 600
ANSWER_SECONDS = 6 * 3600
# Nothing is switched off but what would leave the machine.
ENVIRONMENT = {
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_SENTRY_DSN": "",
    "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
}


def peer_version(python: str) -> str:
    """The version of Label Studio that a Python finds; raises RuntimeError when it finds none."""
    asked = "from importlib.metadata import version; print(version('label-studio'))"
    try:
        found = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"{python} has no label-studio: {error}") from error
    return found.stdout.strip()


@contextmanager
def serving_peer(python: str, data: Path) -> Iterator[Server]:
    """Label Studio on a data directory and a free port, with the token of the other benchmarks; ended by SIGTERM."""
    port = _free_port()
    with tempfile.TemporaryFile() as log:
        environment = {**os.environ, **ENVIRONMENT}
        process = subprocess.Popen(_command(python, data, port), stdout=log, stderr=log, env=environment)
        try:
            _await_health(process, port)
            connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
            yield Server(pid=process.pid, connection=connection)
            connection.close()
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-4000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)


def _command(python: str, data: Path, port: int) -> list[str]:
    return [
        *(str(Path(python).with_name("label-studio")), "start", "--no-browser"),
        *("--data-dir", str(data), "--internal-host", "127.0.0.1", "--port", str(port)),
        *("--username", "admin@example.org", "--password", ADMIN_TOKEN, "--user-token", ADMIN_TOKEN),
    ]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _await_health(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.5)
        finally:
            connection.close()
    raise RuntimeError("Label Studio did not start")
