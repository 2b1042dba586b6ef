"""The two clients: what they share, and the one loop of each that carries plans out (see `steps`)."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Self, TypeVar, assert_never

import httpx2

from headrace.client.batches import Batch
from headrace.client.datasets import Dataset, Project, named
from headrace.client.errors import HeadraceError, TransportError, error_of
from headrace.client.events import Event, event_of
from headrace.client.retries import Retries
from headrace.client.runs import Task
from headrace.client.steps import (
    Bound,
    C,
    Done,
    Give,
    Handle,
    Listing,
    Plan,
    Send,
    Step,
    Wait,
    listing,
    operation,
    resume,
    stop,
)

T = TypeVar("T")

URL_VARIABLE = "HEADRACE_URL"
TOKEN_VARIABLE = "HEADRACE_TOKEN"
TIMEOUT = 60.0


class BaseClient(Bound[C]):
    """What both clients can do: the objects of the server, and the exchange of one request with its retries."""

    _http: httpx2.Client | httpx2.AsyncClient
    _retries: Retries
    _timeout: float
    clock: Callable[[], float]

    def project(self, name: str) -> Project[C]:
        """The project of that name; nothing is sent."""
        return Project(self._client, name)

    def dataset(self, name: str | int) -> Dataset[C]:
        """The dataset called `project/name`, or of that id (a Label Studio project's id); nothing is sent."""
        return Dataset(self._client, name)

    def task(self, project_id: str | int, task_id: str | int) -> Task[C]:
        """A Kiln task by the ids of its project and its own; nothing is sent."""
        return Task(self._client, str(project_id), str(task_id))

    def batch(self) -> Batch[C]:
        """Collects changed runs and saves them together at the end of its `with` (or `async with`) block."""
        return Batch(self._client)

    @operation
    def create_dataset(self, title: str, *, label_config: str = "", description: str = "") -> Plan[Dataset[C]]:
        """Make a dataset that records can be imported into; its labels are those of the Label Studio config."""
        body = {"title": title, "description": description}
        if label_config:
            body["label_config"] = label_config
        made = yield from self.call("POST", "/api/projects/", json=body)
        document = yield from Dataset.document.plan(Dataset(self._client, int(made["id"])))
        return named(self._client, document)

    @listing
    def events(
        self,
        *,
        after: str | None = None,
        kinds: Sequence[str] = (),
        dataset: str | None = None,
        project: str | None = None,
        wait: int | None = None,
    ) -> Listing[Event]:
        """What happened behind a cursor, oldest first; ends when there is no more, or with `wait` never.

        `after` is the cursor of an event, None for the beginning, or `now`. `kinds` are kinds of events
        (`annotation.created`) or whole nouns (`annotation`). `wait` is how many seconds, at most 60, the server may
        hold a question back until there is news.
        """
        asked = {"kind": list(kinds), "dataset": dataset, "project": project, "wait": wait}
        while True:
            params = {"after": after, **asked}
            page = yield from self.call(
                "GET", "/headrace/v1/events", params=params, timeout=self._timeout + (wait or 0)
            )
            for document in page["events"]:
                yield Give(event_of(document))
            after = page["cursor"]
            if page["at_end"] and wait is None:
                return

    def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, object] | None = None,
        files: Any = None,
        timeout: float | None = None,
    ) -> Plan[Any]:
        """The JSON of the answer to one request, or None for an empty one; raises ApiError and TransportError."""
        response = yield from self.exchange(method, path, json=json, params=params, files=files, timeout=timeout)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise HeadraceError(f"{response.url} does not answer as headrace does; is the URL right?") from error

    def exchange(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, object] | None = None,
        files: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Plan[httpx2.Response]:
        """The answer to one request, sent again while that may help; raises ApiError and TransportError.

        Repeating is safe: what creates something carries an `Idempotency-Key` that stays the same.
        """
        keys = {"Idempotency-Key": uuid.uuid4().hex} if method == "POST" else {}
        request = self._http.build_request(
            method,
            path,
            json=json,
            params=_spoken(params or {}),
            files=files,
            headers={**keys, **(headers or {})},
            timeout=self._timeout if timeout is None else timeout,
        )
        attempt = 0
        while True:
            outcome = yield Send(request)
            seconds = self._retries.wait(attempt, outcome)
            if seconds is None:
                return _good(request, outcome)
            yield Wait(seconds)
            attempt += 1


class Client(BaseClient["Client"]):
    """A blocking client of one server, for the user of one token.

    The URL and the token come from HEADRACE_URL and HEADRACE_TOKEN where they are not given. `timeout` is in seconds
    for each of connecting, sending and receiving. `transport`, `sleep` and `clock` are for tests.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = self
        self._http: httpx2.Client = httpx2.Client(base_url=_url(url), headers=_headers(token), transport=transport)
        self._timeout = timeout
        self._retries = retries or Retries()
        self._sleep = sleep
        self.clock = clock

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """The client, which is closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def carry_out(self, plan: Plan[T]) -> T:
        """The result of a plan."""
        try:
            step = resume(plan)
            while not isinstance(step, Done):
                step = resume(plan, self._perform(step))
            return step.value
        finally:
            self._end(plan)

    def iterate(self, plan: Listing[T]) -> Generator[T, None, None]:
        """The items of a plan, as they are asked for."""
        try:
            step = resume(plan)
            while not isinstance(step, Done):
                if isinstance(step, Give):
                    yield step.item
                    step = resume(plan)
                else:
                    step = resume(plan, self._perform(step))
        finally:
            self._end(plan)

    def _end(self, plan: Generator[Any, Any, Any]) -> None:
        step = stop(plan)
        while not isinstance(step, Done):
            step = resume(plan, self._perform(step))

    def _perform(self, step: Step) -> object:
        match step:
            case Send(request):
                try:
                    return self._http.send(request)
                except httpx2.RequestError as error:
                    return error
            case Wait(seconds):
                return self._sleep(seconds)
            case Handle(function, item):
                if iscoroutinefunction(function):
                    raise TypeError("a Client calls plain functions; an AsyncClient awaits coroutine functions")
                with item:
                    function(item)
                return None
        assert_never(step)


class AsyncClient(BaseClient["AsyncClient"]):
    """The client for asyncio: like `Client`, with every operation awaited and every listing an `async for`."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = self
        self._http: httpx2.AsyncClient = httpx2.AsyncClient(
            base_url=_url(url), headers=_headers(token), transport=transport
        )
        self._timeout = timeout
        self._retries = retries or Retries()
        self._sleep = sleep
        self.clock = clock

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """The client, which is closed at the end."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.aclose()

    async def carry_out(self, plan: Plan[T]) -> T:
        """The result of a plan."""
        try:
            step = resume(plan)
            while not isinstance(step, Done):
                step = resume(plan, await self._perform(step))
            return step.value
        finally:
            await self._end(plan)

    async def iterate(self, plan: Listing[T]) -> AsyncGenerator[T, None]:
        """The items of a plan, as they are asked for."""
        try:
            step = resume(plan)
            while not isinstance(step, Done):
                if isinstance(step, Give):
                    yield step.item
                    step = resume(plan)
                else:
                    step = resume(plan, await self._perform(step))
        finally:
            await self._end(plan)

    async def _end(self, plan: Generator[Any, Any, Any]) -> None:
        step = stop(plan)
        while not isinstance(step, Done):
            step = resume(plan, await self._perform(step))

    async def _perform(self, step: Step) -> object:
        match step:
            case Send(request):
                try:
                    return await self._http.send(request)
                except httpx2.RequestError as error:
                    return error
            case Wait(seconds):
                return await self._sleep(seconds)
            case Handle(function, item):
                with item:
                    result = function(item)
                    if isawaitable(result):
                        await result
                return None
        assert_never(step)


def _url(url: str | None) -> str:
    found = url or os.environ.get(URL_VARIABLE, "")
    if not found.startswith(("http://", "https://")):
        told = f"{found!r} is not the URL of a server" if found else "no server is named"
        raise HeadraceError(f"{told}; pass url='http://host:port' or set {URL_VARIABLE}")
    return found


def _headers(token: str | None) -> dict[str, str]:
    found = token or os.environ.get(TOKEN_VARIABLE, "")
    return {"Authorization": f"Bearer {found}"} if found else {}


def _spoken(params: Mapping[str, object]) -> dict[str, Any]:
    """Query parameters without those that say nothing, booleans in lower case."""
    found = {name: value for name, value in params.items() if value is not None and value != []}
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in found.items()}


def _good(request: httpx2.Request, outcome: httpx2.Response | httpx2.RequestError) -> httpx2.Response:
    if isinstance(outcome, httpx2.RequestError):
        where = f"{request.method} {request.url.copy_with(query=None)}"
        raise TransportError(f"{where} got no answer: {outcome or type(outcome).__name__}") from outcome
    if not outcome.is_success:
        raise error_of(outcome)
    return outcome
