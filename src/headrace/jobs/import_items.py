"""The rows of an import between the file that `uploads.parse` wrote and the store: judgements and predictions."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from headrace.core import answers
from headrace.core.annotations import Judgement
from headrace.core.answers import Answer, Result
from headrace.core.imports import ImportedDraft, ImportRow, PushedPrediction
from headrace.core.label_config import LabelConfig
from headrace.jobs.uploads import Row, identity

DEFAULT_MODEL_VERSION = "undefined"


class _Annotation(Struct):
    result: Raw
    id: Any = None
    completed_by: Any = None
    was_cancelled: Any = False
    ground_truth: Any = True
    lead_time: Any = None
    unique_id: Any = None
    skip_reason: Any = None


class _Draft(Struct):
    result: Raw
    id: Any = None
    lead_time: Any = None
    was_postponed: Any = False
    annotation: Any = None


class _Prediction(Struct):
    result: Raw
    score: Any = None
    model_version: Any = None


_ANNOTATIONS = msgspec.json.Decoder(list[_Annotation])
_MEMBERS = msgspec.json.Decoder(list[Raw])
_DRAFT = msgspec.json.Decoder(_Draft)
_PREDICTIONS = msgspec.json.Decoder(list[_Prediction])
_VALUE = msgspec.json.Decoder()


def import_row(row: Row, number: int, config: LabelConfig, author_ids: Mapping[str | int, int]) -> ImportRow:
    """The row of that number as it is stored; a rejected one, or one whose annotator nobody knows, says why."""
    if row.rejected is not None:
        return ImportRow(data="", meta=None, rejected=row.rejected.reason, file=row.file)
    annotations = () if row.annotations is UNSET else _ANNOTATIONS.decode(row.annotations)
    predictions = () if row.predictions is UNSET else _PREDICTIONS.decode(row.predictions)
    for sent in annotations:
        name = identity(sent.completed_by)
        if name is not None and name not in author_ids:
            return ImportRow(data="", meta=None, rejected=unknown_author(number, name), file=row.file)
    return ImportRow(
        data=_text(row.data),
        meta=None if row.meta is UNSET else _text(row.meta),
        annotations=[(_author_id(sent, author_ids), _judgement(config, sent)) for sent in annotations],
        predictions=[_pushed(sent) for sent in predictions],
        drafts=() if row.drafts is UNSET else _drafts(row.drafts),
        external_id=row.external_id,
        file=row.file,
    )


def unknown_author(number: int, name: str | int) -> str:
    """What is said of the item of that number, whose annotator has no part in the project."""
    if isinstance(name, str):
        return f"Error at item {number}: Unknown annotator's email {name[:200]}"
    return (
        f"Error at item {number}: Import data contains completed_by={name} which is not a valid annotator's email or ID"
    )


def _author_id(sent: _Annotation, author_ids: Mapping[str | int, int]) -> int | None:
    name = identity(sent.completed_by)
    return None if name is None else author_ids[name]


def _judgement(config: LabelConfig, sent: _Annotation) -> Judgement:
    return replace(answers.judgement(config, _answer(sent)), import_id=_id(sent.id))


def _answer(sent: _Annotation) -> Answer:
    """The answer in an uploaded annotation; what Label Studio would not understand of its details is dropped."""
    return Answer(
        result=Result(value=_VALUE.decode(sent.result), text=_text(sent.result)),
        cancelled=bool(sent.was_cancelled),
        ground_truth=bool(sent.ground_truth),
        lead_time=_number(sent.lead_time),
        unique_id=sent.unique_id if isinstance(sent.unique_id, str) else None,
        skip_reason=sent.skip_reason if isinstance(sent.skip_reason, str) else None,
    )


def _id(sent: object) -> int | None:
    """The id that something had where it comes from."""
    return sent if isinstance(sent, int) and not isinstance(sent, bool) else None


def _drafts(text: Raw) -> list[ImportedDraft]:
    """The drafts of an item; the bare ids of an export say nothing here."""
    found = [_DRAFT.decode(member) for member in _MEMBERS.decode(text) if bytes(member).lstrip()[:1] == b"{"]
    return [
        ImportedDraft(
            result=_text(sent.result),
            lead_time=_number(sent.lead_time),
            postponed=bool(sent.was_postponed),
            import_id=_id(sent.id),
            annotation_id=_id(sent.annotation),
        )
        for sent in found
    ]


def _pushed(sent: _Prediction) -> PushedPrediction:
    version = sent.model_version
    return PushedPrediction(
        result=_text(sent.result),
        model_version=DEFAULT_MODEL_VERSION if version is None else str(version),
        score=_number(sent.score),
    )


def _number(value: object) -> float | None:
    """The value as a finite number, also from text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _text(raw: Raw) -> str:
    return bytes(raw).decode()
