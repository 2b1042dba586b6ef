"""Shapes of what clients send to the data manager. Unknown keys are ignored."""

from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType


class View(Struct):
    """Body of POST, PATCH and PUT view."""

    data: Raw | UnsetType = UNSET
    project: int | UnsetType | None = UNSET


class ViewOrder(Struct):
    """Body of POST order."""

    project: int
    ids: list[int]


class OfProject(Struct):
    """Body of DELETE reset."""

    project: int


class Action(Struct, rename={"selected": "selectedItems"}):
    """Body of POST actions; what is no task query is an option of one action."""

    selected: Any = None
    filters: Any = None
    ordering: Any = None
    model_version: str | list[str] | None = None
