"""Every public method of the SDK's clients: which ones a scenario has used, and what the server says to the others."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Iterator
from types import AsyncGeneratorType, GeneratorType, SimpleNamespace
from typing import Any

NAMED = {
    "user": SimpleNamespace(id=1),
    "users": [SimpleNamespace(id=1)],
    "tasks_ids": [1],
    "file": b"",
    "credentials": SimpleNamespace(dict=dict),
}
SAMPLES = (("int", 1), ("float", 1.0), ("bool", False), ("Sequence", []), ("List", []), ("Dict", {}), ("str", "x"))


class Told:
    """A client whose methods note that they came to a good end; what an asynchronous one answers is awaited."""

    def __init__(
        self, client: Any, used: set[str], loop: asyncio.AbstractEventLoop | None = None, at: str = ""
    ) -> None:
        self._told = client, used, loop, at

    def __getattr__(self, name: str) -> Any:
        client, used, loop, at = self._told
        found = getattr(client, name)
        if is_client(found):
            return Told(found, used, loop, f"{at}{name}.")
        if not inspect.isroutine(found):
            used.add(at + name)
            return found

        def call(*args: Any, **options: Any) -> Any:
            answer = settled(found(*args, **options), loop)
            used.add(at + name)
            return answer

        return call


def is_client(value: Any) -> bool:
    """True for a client of the SDK and the clients of its resources."""
    return "Client" in type(value).__name__ and hasattr(type(value), "__init__") and not inspect.isroutine(value)


def settled(answer: Any, loop: asyncio.AbstractEventLoop | None) -> Any:
    """An answer read to its end: lists for pagers and bytes for streams, whichever client gave it."""
    if loop is not None and inspect.iscoroutine(answer):
        return settled(loop.run_until_complete(answer), loop)
    if isinstance(answer, GeneratorType):
        return b"".join(answer)
    if isinstance(answer, AsyncGeneratorType):
        assert loop is not None
        return b"".join(loop.run_until_complete(_all(answer)))
    if "Pager" not in type(answer).__name__:
        return answer
    return list(answer) if loop is None else loop.run_until_complete(_all(answer))


async def _all(answer: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in answer]


def methods(client: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """The public methods of a client and of its resources, each with its dotted name."""
    for name, kind in inspect.getmembers(type(client)):
        if name.startswith("_") or name == "with_raw_response":
            continue
        if inspect.isfunction(kind):
            yield at + name, getattr(client, name)
        elif isinstance(kind, property) and is_client(getattr(client, name)):
            yield from methods(getattr(client, name), f"{at}{name}.")


def refused(method: Any, options: dict[str, Any]) -> str:
    """What is said to a method that is called with samples of what it needs, and must not succeed."""
    logging.disable()
    asked = {
        name: NAMED[name] if name in NAMED else sample(parameter)
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.default is inspect.Parameter.empty and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    asked |= {name: value for name, value in options.items() if name in inspect.signature(method).parameters}
    try:
        settled(method(**asked), None)
    except Exception as error:
        return reason_of(error)
    return "answers, but no scenario uses it"


def sample(parameter: inspect.Parameter) -> Any:
    """A value of about the type that a parameter names."""
    named = str(parameter.annotation)
    return next((value for word, value in SAMPLES if word in named), {})


def reason_of(error: Exception) -> str:
    """The status and the reason of an error that a client raised, or what the client itself said."""
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    body = getattr(error, "body", None) or (response.json() if response is not None else None)
    detail = body.get("detail") if isinstance(body, dict) else body
    return f"the client itself: {str(error) or type(error).__name__}" if status is None else f"{status}: {detail}"
