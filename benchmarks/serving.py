"""A real server process to measure: its start and end, its processor time and memory, and a plain client."""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

ADMIN_TOKEN = "admin-token-for-benchmarks"
START_SECONDS = 60
STOP_SECONDS = 60
QUIET_SHARE = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """What one call costs, in milliseconds: processor time of the server, and wall time; medians and minima."""

    cpu: float
    cpu_least: float
    wall: float

    def figures(self) -> dict[str, float]:
        """The figures by name, rounded."""
        return {
            "cpu_ms": round(self.cpu, 3),
            "cpu_ms_least": round(self.cpu_least, 3),
            "wall_ms": round(self.wall, 3),
        }


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server and a connection to it."""

    pid: int
    connection: HTTPConnection

    def call(self, method: str, path: str, body: object = None) -> bytes:
        """The body of a good answer; raises RuntimeError for any other."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"Authorization": f"Token {ADMIN_TOKEN}", "Content-Type": "application/json"}
        self.connection.request(method, path, content, headers)
        answer = self.connection.getresponse()
        found = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {found[:300]!r}")
        return found

    def json(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of a good answer."""
        return json.loads(self.call(method, path, body))

    def cpu(self) -> float:
        """Processor seconds of the server and of its children, ended or not."""
        return _cpu(self.pid, _children())

    def resident(self) -> int:
        """Resident bytes of the server and its children."""
        return sum(_resident(pid) for pid in (self.pid, *_descendants(self.pid, _children())))

    def settle(self, seconds: float = 120) -> None:
        """Wait until background work is over; raises TimeoutError when it goes on."""
        end = time.monotonic() + seconds
        before = self.cpu()
        while time.monotonic() < end:
            time.sleep(1)
            now = self.cpu()
            if now - before < QUIET_SHARE:
                return
            before = now
        raise TimeoutError("the server does not come to rest")


@contextmanager
def serving(data: Path) -> Iterator[Server]:
    """`headrace serve` on a data directory and a free port."""
    with running([sys.executable, "-m", "headrace", "serve", "--port", "0", "--data", str(data)]) as server:
        yield server


@contextmanager
def running(command: Sequence[str]) -> Iterator[Server]:
    """A process that serves HTTP and prints its URL, ended by SIGTERM."""
    with tempfile.TemporaryFile() as log:
        environment = {**os.environ, "HEADRACE_ADMIN_TOKEN": ADMIN_TOKEN}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
        try:
            host, port = _address(process)
            connection = HTTPConnection(host, port, timeout=600)
            yield Server(pid=process.pid, connection=connection)
            connection.close()
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-4000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)


def _address(process: subprocess.Popen[str]) -> tuple[str, int]:
    assert process.stdout is not None
    killer = threading.Timer(START_SECONDS, process.kill)
    killer.start()
    try:
        for line in process.stdout:
            if found := re.search(r"http://([^:/\s]+):(\d+)", line):
                return found[1], int(found[2])
    finally:
        killer.cancel()
    raise RuntimeError("the server ended before it said where it listens")


def cost(server: Server, call: Callable[[], object], *, rounds: int, each: int = 1) -> Cost:
    """What a call costs the server, from `rounds` samples of `each` calls; one more is made before to warm up."""
    return costs([(server, call)], rounds=rounds, each=each)[0]


def costs(calls: Sequence[tuple[Server, Callable[[], object]]], *, rounds: int, each: int = 1) -> list[Cost]:
    """What several calls cost, sampled in turns, so that whatever else the machine does meets all of them alike."""
    samples: list[list[tuple[float, float]]] = [[] for _ in calls]
    for _, call in calls:
        call()
    for _ in range(rounds):
        for (server, call), found in zip(calls, samples, strict=True):
            found.append(_sample(server, call, each))
    return [_summary(found) for found in samples]


def _sample(server: Server, call: Callable[[], object], each: int) -> tuple[float, float]:
    cpu, wall = server.cpu(), time.perf_counter()
    for _ in range(each):
        call()
    return (server.cpu() - cpu) / each * 1e3, (time.perf_counter() - wall) / each * 1e3


def _summary(samples: Sequence[tuple[float, float]]) -> Cost:
    cpus, walls = zip(*samples, strict=True)
    return Cost(statistics.median(cpus), min(cpus), statistics.median(walls))


def _cpu(pid: int, children: Mapping[int, Sequence[int]]) -> float:
    # The process's own clock has nanoseconds; of children that ended only the ticks added up at their end are left.
    own = time.clock_gettime((~pid << 3) | 2)
    ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
    alive = 0.0
    for child in children.get(pid, ()):
        try:
            alive += _cpu(child, children)
        except (OSError, FileNotFoundError):
            continue
    return own + sum(map(int, ended)) / TICKS + alive


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            found.setdefault(parent, []).append(int(entry.name))
    return found


def _descendants(pid: int, children: Mapping[int, Sequence[int]]) -> Iterator[int]:
    for child in children.get(pid, ()):
        yield child
        yield from _descendants(child, children)


def _resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0
