"""How one description of an operation serves both clients.

An operation is written once, as a generator: a *plan*. It yields steps (send this, wait so long) and is given their
outcome; it never does I/O itself. `Client` and `AsyncClient` each have one small loop that carries steps out, one
blocking, one awaiting. `@operation` and `@listing` put a plan on an object: called on an object of a `Client` it
returns the result, on one of an `AsyncClient` an awaitable of it.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import httpx2

if TYPE_CHECKING:
    from headrace.client.clients import AsyncClient, Client

C = TypeVar("C", bound="Client | AsyncClient")
P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; its outcome is the response, read to its end, or the error when none came."""

    request: httpx2.Request


@dataclass(frozen=True, slots=True)
class Wait:
    """Let some seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Handle:
    """Call a function with an item, inside the item's own context."""

    function: Callable[[Any], object]
    item: AbstractContextManager[object]


@dataclass(frozen=True, slots=True)
class Give(Generic[T_co]):
    """Give an item to the caller; the plan goes on when the caller asks for the next one."""

    item: T_co


@dataclass(frozen=True, slots=True)
class Done(Generic[T_co]):
    """The plan is at its end; this is its result."""

    value: T_co


class Stopped(BaseException):
    """Thrown into a plan that ends early, so that it may take its last steps; it then ends or lets this pass."""


Step = Send | Wait | Handle
Plan = Generator[Step, Any, T]
Listing = Generator[Step | Give[T], Any, None]


def resume(plan: Generator[S, Any, T], outcome: object = None) -> S | Done[T]:
    """The plan's next step, given the outcome of the one before; Done at its end."""
    try:
        return plan.send(outcome)
    except StopIteration as end:
        return Done(end.value)


def stop(plan: Generator[S, Any, T]) -> S | Done[T | None]:
    """The first of the last steps of a plan that is not wanted any more; Done when it has none, or ended before."""
    try:
        return plan.throw(Stopped())
    except StopIteration as end:
        return Done(end.value)
    except Stopped:
        return Done(None)


class Bound(Generic[C]):
    """Something that belongs to a client; `C` is `Client` or `AsyncClient` and decides what its operations return."""

    _client: C


class operation(Generic[P, T]):
    """A method written as a plan; `.plan` is the plan itself, for use by other plans."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Plan[T]]) -> None:
        self.plan = plan
        update_wrapper(self, plan)  # type: ignore[arg-type]

    @overload
    def __get__(self, owner: "Bound[Client]", kind: Any = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, owner: "Bound[AsyncClient]", kind: Any = None) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, owner: None, kind: Any = None) -> "operation[P, T]": ...
    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """The plan carried out by the owner's client."""
        if owner is None:
            return self

        def carry_out(*args: P.args, **kwargs: P.kwargs) -> Any:
            return owner._client.carry_out(self.plan(owner, *args, **kwargs))

        return update_wrapper(carry_out, self.plan)


class listing(Generic[P, T]):
    """A method written as a plan that gives items one by one."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Listing[T]]) -> None:
        self.plan = plan
        update_wrapper(self, plan)  # type: ignore[arg-type]

    @overload
    def __get__(self, owner: "Bound[Client]", kind: Any = None) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, owner: "Bound[AsyncClient]", kind: Any = None) -> Callable[P, AsyncGenerator[T, None]]: ...
    @overload
    def __get__(self, owner: None, kind: Any = None) -> "listing[P, T]": ...
    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """The plan as an iterator of the owner's client."""
        if owner is None:
            return self

        def iterate(*args: P.args, **kwargs: P.kwargs) -> Any:
            return owner._client.iterate(self.plan(owner, *args, **kwargs))

        return update_wrapper(iterate, self.plan)
