"""Shapes of what clients send about predictions, and about annotations in bulk."""

from msgspec import UNSET, Raw, Struct, UnsetType

from headrace.dialects.label_studio.wire import Annotation, Optional


class Prediction(Struct):
    """Body of POST and PATCH prediction, and one item of an import."""

    task: int | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    score: float | Optional = UNSET
    model_version: str | Optional = UNSET


class ModelVersion(Struct):
    """Body of DELETE model-versions."""

    model_version: str = ""


class Selected(Struct):
    """The tasks of a project that are meant: all but some, or only some."""

    all: bool = False
    included: list[int] = []
    excluded: list[int] = []


class BulkAnnotation(Annotation):
    """Body of POST annotations/bulk: one annotation for many tasks."""

    task: int | Optional = UNSET
    tasks: list[int] | Optional = UNSET
    selected_items: Selected | Optional = UNSET
    project: int | Optional = UNSET


class BulkDelete(Struct):
    """Body of POST annotations/bulk-delete."""

    ids: list[int] | UnsetType = UNSET
    project: int | UnsetType = UNSET
