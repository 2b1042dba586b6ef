"""What /openapi.json says, made by FastAPI from the routes of dialects when somebody asks.

The routes that serve are Starlette's, because FastAPI's cost a small request twice as much (benchmark tiny) and a
server a quarter of a second at its start. A route without `told` is described by its path and words alone.
"""

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any, get_args

from fastapi import Body, Depends, FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path

from headrace.dialects.kit import Dialect, Route, Told, by_precedence


def description(dialects: Sequence[Dialect], *, title: str, version: str) -> dict[str, Any]:
    """The OpenAPI document of all routes of these dialects."""
    described = FastAPI(title=title, version=version)
    for dialect in dialects:
        for route in by_precedence(dialect.routes):
            for method in route.methods:
                described.add_api_route(
                    route.shown,
                    documented(route),
                    methods=[method],
                    tags=[dialect.name],
                    operation_id=f"{dialect.name}.{route.handler.__name__}.{method}.{route.path}",
                    dependencies=[] if route.public else [Depends(asked) for asked in dialect.asks],
                    **_answers(dialect, route.told),
                )
    document = described.openapi()
    for route in (route for dialect in dialects for route in dialect.routes):
        _add_examples(document["paths"][compile_path(route.shown)[1]], route)
    return document


def documented(route: Route) -> Callable[..., Response]:
    """A function that only carries the name, the words and the parameters of a route's handler."""

    def described(request: Request) -> Response:
        return Response()

    described.__name__ = getattr(route.handler, "__name__", "described")
    described.__doc__ = route.handler.__doc__
    if route.told is not None:
        described.__signature__ = Signature(_parameters(route.path, route.told))  # type: ignore[attr-defined]
    return described


def _add_examples(item: dict[str, Any], route: Route) -> None:
    """Show a route's examples; FastAPI would leave out what is null in them."""
    if route.told is None or not route.told.examples:
        return
    examples = {name: {"value": value} for name, value in route.told.examples.items()}
    for method in route.methods:
        answer = item[method.lower()]["responses"][str(route.told.status)]
        answer["content"]["application/json"]["examples"] = examples


def _parameters(path: str, told: Told) -> list[Parameter]:
    found = [_named(name, Annotated[told.path.get(name, str), Path()]) for name in compile_path(path)[2]]
    if told.query is not None:
        found.append(_named("query", Annotated[told.query, Query()]))
    if told.takes is not None:
        default = None if type(None) in get_args(told.takes) else Parameter.empty
        found.append(_named("body", Annotated[told.takes, Body()], default))
    return found


def _named(name: str, annotation: object, default: object = Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _answers(dialect: Dialect, told: Told | None) -> dict[str, Any]:
    """The answers of a route as FastAPI wants to be told of them."""
    if told is None:
        return {"response_class": Response}
    return {
        "status_code": told.status,
        "response_model": told.gives,
        "response_class": Response if told.gives is None else JSONResponse,
        "responses": {status: {"model": model} for status, model in dialect.fails.items()},
    }
