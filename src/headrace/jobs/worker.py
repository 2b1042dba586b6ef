"""The worker: threads that claim jobs from the store, carry them out, and survive whatever happens on the way."""

import asyncio
import logging
import multiprocessing
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from headrace.core.errors import HeadraceError, Unavailable
from headrace.core.jobs import LEASE_SECONDS, MAX_ATTEMPTS, Job, LostLease
from headrace.core.store import Store
from headrace.learning.process import Learner
from headrace.outgoing import Outgoing

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("headrace.jobs")

IDLE_SECONDS = 1.0
RETRY_SECONDS = 2.0
UNAVAILABLE_SECONDS = 5.0
STOP_SECONDS = 10.0
KEEP_SECONDS = LEASE_SECONDS / 4


class Bell:
    """Wakes the worker when something has been enqueued; made before the store, which rings it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often the bell has rung."""
        return self._rings

    def ring(self) -> None:
        """Wake everybody who waits."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, seconds: float, heard: int) -> None:
        """Wait at most so long until the bell has rung more often than was heard; it may have by now."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings != heard, seconds)


class ChildPool:
    """Runs module-level functions in a spawned process, so that heavy parsing never holds up the server."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result; a child that was killed is replaced and the call repeated once."""
        try:
            return self._started().submit(fn, *args, **kwargs).result()
        except BrokenProcessPool:
            self._discard()
            return self._started().submit(fn, *args, **kwargs).result()

    def close(self) -> None:
        """End the child."""
        self._discard()

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                spawn = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1)
            return self._pool

    def _discard(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """What a job may use. `scratch` is a directory for temporary files."""

    store: Store
    scratch: Path
    pool: ChildPool
    learner: Learner
    outgoing: Outgoing = field(default_factory=Outgoing)


@dataclass(frozen=True, kw_only=True)
class JobKind:
    """How one kind of job is carried out, and what is to be said where it was caused when it fails for good."""

    run: Callable[[Job, JobContext], None]
    failed: Callable[[Job, JobContext, str], None] | None = None


class Worker:
    """Threads over the queue: each lane is one thread that takes jobs of its kinds, so none waits for another's."""

    def __init__(
        self, context: JobContext, bell: Bell, kinds: Mapping[str, JobKind], lanes: Sequence[Sequence[str]]
    ) -> None:
        self._context = context
        self._bell = bell
        self._kinds = kinds
        self._owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._stopping = threading.Event()
        self._running: dict[int, tuple[Job, Future[None]]] = {}
        self._watched: dict[asyncio.Event, tuple[int, asyncio.AbstractEventLoop]] = {}
        self._threads = [
            threading.Thread(target=self._work_forever, args=(tuple(lane),), name=f"jobs-{lane[0]}", daemon=True)
            for lane in lanes
        ]
        self._keeper = threading.Thread(target=self._keep_forever, name="jobs-keeper", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        for thread in (*self._threads, self._keeper):
            thread.start()

    def stop(self) -> None:
        """Take no more jobs and wait a while for those that run; what is left is resumed at the next start."""
        self._stopping.set()
        self._bell.ring()
        self._context.pool.close()
        self._context.learner.close()
        for thread in self._threads:
            thread.join(STOP_SECONDS / len(self._threads))

    async def run_now(self, job_id: int) -> None:
        """Carry a job out at once if it still waits, and return when this attempt is over."""
        await asyncio.to_thread(self._run_named, job_id)

    @contextmanager
    def watch(self, job_id: int) -> Iterator[asyncio.Event]:
        """An event that is set whenever an attempt at the job is over in this process; for use on an event loop."""
        over = asyncio.Event()
        self._watched[over] = (job_id, asyncio.get_running_loop())
        try:
            yield over
        finally:
            del self._watched[over]

    def _run_named(self, job_id: int) -> None:
        job = self._context.store.write(lambda tx: tx.jobs.claim(self._owner, job_id=job_id))
        if job is not None:
            self._run(job)
            return
        running = self._running.get(job_id)
        if running is not None:
            wait([running[1]], timeout=LEASE_SECONDS)

    def _work_forever(self, lane: tuple[str, ...]) -> None:
        while not self._stopping.is_set():
            heard = self._bell.rings
            try:
                due = self._context.store.read(lambda tx: tx.jobs.next_due(lane))
                if due == 0:
                    job = self._context.store.write(lambda tx: tx.jobs.claim(self._owner, kinds=lane))
                    if job is not None:
                        self._run(job)
                        continue
            except Exception:
                log.exception("the queue cannot be read; trying again")
                due = None
            self._bell.wait(IDLE_SECONDS if due is None else min(IDLE_SECONDS, due), heard)

    def _run(self, job: Job) -> None:
        """One attempt at a job. This is the boundary at which whatever a job raises ends."""
        finished: Future[None] = Future()
        self._running[job.id] = (job, finished)
        try:
            self._kinds[job.kind].run(job, self._context)
        except LostLease:
            log.info("job %s was taken over by another worker", job.id)
        except Unavailable as error:
            reason = error.message
            self._settle(job, lambda: self._retry(job, reason, UNAVAILABLE_SECONDS))
        except HeadraceError as error:
            self._give_up(job, error.message)
        except Exception as error:
            if self._stopping.is_set():
                self._settle(job, lambda: self._retry(job, "the server stopped", 0.0))
                return
            log.exception("job %s (%s) failed in attempt %s", job.id, job.kind, job.attempt)
            if job.attempt >= MAX_ATTEMPTS:
                self._give_up(job, f"{type(error).__name__} in each of {job.attempt} attempts; the log has the details")
            else:
                reason = repr(error)
                delay = RETRY_SECONDS * 2**job.attempt
                self._settle(job, lambda: self._retry(job, reason, delay))
        finally:
            del self._running[job.id]
            finished.set_result(None)
            self._tell_watchers(job.id)

    def _tell_watchers(self, job_id: int) -> None:
        for over, (watched_id, loop) in list(self._watched.items()):
            if watched_id == job_id:
                with suppress(RuntimeError):  # the loop was closed, and nobody waits there any more
                    loop.call_soon_threadsafe(over.set)

    def _retry(self, job: Job, reason: str, delay: float) -> None:
        self._context.store.write(lambda tx: tx.jobs.retry(job, error=reason[:500], delay=delay))

    def _give_up(self, job: Job, reason: str) -> None:
        failed = self._kinds[job.kind].failed
        if failed is not None:
            self._settle(job, lambda: failed(job, self._context, reason))
        else:
            self._settle(job, lambda: self._context.store.write(lambda tx: tx.jobs.finish(job, error=reason)))

    def _settle(self, job: Job, action: Callable[[], None]) -> None:
        """Record how an attempt ended; when even that fails, the lease runs out and the job is taken again."""
        try:
            action()
        except LostLease:
            log.info("job %s was taken over by another worker", job.id)
        except Exception:
            log.exception("the end of job %s cannot be recorded; it will be resumed", job.id)

    def _keep_forever(self) -> None:
        """Renew the leases of jobs that run long."""
        while not self._stopping.is_set():
            for job, _ in list(self._running.values()):
                self._settle(job, lambda job=job: self._context.store.write(lambda tx: tx.jobs.renew(job)))  # type: ignore[misc]
            self._stopping.wait(KEEP_SECONDS)


def scratch_directory(data: Path) -> Path:
    """An empty directory for temporary files inside the data directory; what a crash left there is removed."""
    parent = data / "scratch"
    shutil.rmtree(parent, ignore_errors=True)
    parent.mkdir(parents=True, mode=0o700)
    return Path(tempfile.mkdtemp(dir=parent))
