"""Batches: changed runs that are saved together, with one request per task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.client.errors import ApiError, BatchFailed, refusal
from headrace.client.runs import Run
from headrace.client.steps import Bound, C, Plan

if TYPE_CHECKING:
    from headrace.client.clients import AsyncClient, Client

AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of one run of a batch: `error` is None when it was saved."""

    id: str
    error: ApiError | None


class Batch(Bound[C]):
    """Changed runs that wait for the end of a `with` (or `async with`) block; `results` then tells of each.

    A block that ends by an error sends nothing.
    """

    def __init__(self, client: C) -> None:
        self._client = client
        self._waiting: dict[str, Run[C]] = {}
        self.results: Sequence[Saved] = ()

    def save(self, run: Run[C]) -> None:
        """Save the run with the others at the end of the block, as it will be then."""
        self._waiting[run.path] = run

    def __enter__(self: "Batch[Client]") -> "Batch[Client]":
        """The batch."""
        return self

    def __exit__(self: "Batch[Client]", kind: object, error: object, trace: object) -> None:
        """Send what waits; raises BatchFailed."""
        if error is None:
            self._client.carry_out(self._sent())

    async def __aenter__(self: "Batch[AsyncClient]") -> "Batch[AsyncClient]":
        """The batch."""
        return self

    async def __aexit__(self: "Batch[AsyncClient]", kind: object, error: object, trace: object) -> None:
        """Send what waits; raises BatchFailed."""
        if error is None:
            await self._client.carry_out(self._sent())

    def _sent(self) -> Plan[None]:
        """Send what waits; raises BatchFailed when a run was refused, after all were tried."""
        by_task: dict[str, list[Run[C]]] = {}
        for run in self._waiting.values():
            if run.changes:
                by_task.setdefault(run.task_path, []).append(run)
        results: list[Saved] = []
        for task_path, runs in by_task.items():
            for start in range(0, len(runs), AT_ONCE):
                results += yield from self._patched(task_path, runs[start : start + AT_ONCE])
        self._waiting.clear()
        self.results = results
        if any(result.error is not None for result in results):
            raise BatchFailed(results)

    def _patched(self, task_path: str, runs: Sequence[Run[C]]) -> Plan[list[Saved]]:
        patches = {run.id: run.changes for run in runs}
        answer = yield from self._client.call("PATCH", f"{task_path}/runs", json={"patches": patches})
        return [_settled(run, answer["results"][run.id]) for run in runs]


def _settled(run: Run[Any], result: Mapping[str, Any]) -> Saved:
    status = int(result["status"])
    if status >= 400:
        return Saved(run.id, refusal(status, result))
    run.saved(result.get("etag"))
    return Saved(run.id, None)
