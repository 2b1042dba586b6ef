"""Predictions on demand: of documents that are not stored, and of comments that are.

The answer of `predict` is a list of label lists with parallel lists beside it; `model` says which version answered.
Names are lists here, as everywhere but in an export.
"""

import asyncio
from collections.abc import Sequence

from starlette.responses import Response

from headrace.core import content, predictions, transforms
from headrace.core.errors import Invalid
from headrace.core.models import LATEST, Model
from headrace.core.predictions import Answer, Chosen, Selection
from headrace.core.times import format_timestamp, parse_timestamp
from headrace.decode import Raw, encode
from headrace.dialects.communications_mining import wire_models
from headrace.dialects.communications_mining.boundary import dialect, ok, parse_uid, paths, ref
from headrace.dialects.communications_mining.emails import new_records
from headrace.dialects.communications_mining.models import version_name
from headrace.dialects.communications_mining.translate import check_properties, label_name, predicted_json
from headrace.dialects.kit import Call

PUBLIC = "/api/v1/datasets"
PRIVATE = "/api/_private/datasets"
AUTO = "auto"


def selection(body: wire_models.PredictOptions) -> Selection:
    """Which labels a request wants; raises Invalid for a threshold that is neither a number nor `auto`."""
    if isinstance(body.threshold, str) and body.threshold != AUTO:
        raise Invalid('threshold must be a number or "auto"', fields={"threshold": body.threshold[:40]})
    named = None if body.labels is None else {label_name(item.name): item.threshold for item in body.labels}
    auto = body.threshold == AUTO
    common = predictions.DEFAULT_THRESHOLD if isinstance(body.threshold, str | None) else body.threshold
    return Selection(threshold=common, labels=named, auto=auto)


def labels_json(labels: Sequence[Chosen]) -> list[dict[str, object]]:
    """The labels of one text in answers, with the automatic thresholds they reach where that was asked."""
    shown = predicted_json(item.label for item in labels)
    for answer, item in zip(shown, labels, strict=True):
        if item.reached is not None:
            answer["auto_thresholds"] = item.reached
    return shown


def version_json(model: Model) -> dict[str, object]:
    """The version that answered."""
    return {"version": model.version, "time": format_timestamp(model.trained_at)}


def text_of(document: wire_models.Document) -> str:
    """What the model reads of a document; raises Invalid where a comment like it would be refused."""
    check_properties(document.user_properties)
    times = [document.timestamp, *(message.sent_at for message in document.messages)]
    for instant in times:
        if instant is not None:
            parse_timestamp(instant)
    return content.text(content.Kind.COMMENT, encode({"messages": document.messages}).decode())


def predicted(answer: Answer, **more: object) -> Response:
    """The answer to predict: parallel lists, one entry a document."""
    return ok(
        predictions=[labels_json(labels) for labels in answer.items],
        entities=[[] for _ in answer.items],
        model=version_json(answer.model),
        **more,
    )


@dialect.route(
    "POST",
    *paths(PUBLIC, "dataset", "/labellers/{version}/predict"),
    *paths(PRIVATE, "dataset", "/labellers/predict"),
)
async def predict(call: Call) -> Response:
    """Predict documents that are not stored, in order; without a version by the latest."""
    body, wanted = await call.json(wire_models.PredictBody), ref(call, "dataset")
    version = version_name(call) if "version" in call.request.path_params else LATEST
    texts, chosen = [text_of(document) for document in body.documents], selection(body)
    predictor = call.services.predictor
    return predicted(
        await call.read(lambda tx: predictions.of_texts(tx, call.who, wanted, version, texts, chosen, predictor))
    )


@dialect.route("POST", *paths(PUBLIC, "dataset", "/labellers/{version}/predict-comments"))
async def predict_comments(call: Call) -> Response:
    """Predict stored comments, in the order and number of the uids."""
    body, wanted, version = await call.json(wire_models.PredictCommentsBody), ref(call, "dataset"), version_name(call)
    uids, chosen = [parse_uid(uid) for uid in body.uids], selection(body)
    predictor = call.services.predictor
    answer = await call.read(lambda tx: predictions.of_records(tx, call.who, wanted, version, uids, chosen, predictor))
    found = [
        {"uid": uid, "labels": labels_json(labels), "entities": []}
        for uid, labels in zip(body.uids, answer.items, strict=True)
    ]
    return ok(predictions=found, model=version_json(answer.model))


@dialect.route("POST", *paths(PUBLIC, "dataset", "/labellers/{version}/predict-raw-emails"))
async def predict_raw_emails(call: Call) -> Response:
    """Predict e-mails as the comments that they would become, which come back when they are asked for."""
    body, wanted, version = await call.json(wire_models.PredictEmailsBody), ref(call, "dataset"), version_name(call)
    if len(body.documents) > predictions.MAX_DOCUMENTS:
        raise Invalid(f"documents holds more than {predictions.MAX_DOCUMENTS} items", fields={"documents": ""})
    if body.transform_tag is not None:
        transforms.check_tag(body.transform_tag)
    rows, chosen = await asyncio.to_thread(new_records, body.documents), selection(body)
    texts, predictor = [content.text(row.kind, row.body) for row in rows], call.services.predictor
    answer = await call.read(lambda tx: predictions.of_texts(tx, call.who, wanted, version, texts, chosen, predictor))
    if not body.include_comments:
        return predicted(answer)
    return predicted(answer, comments=[Raw(row.body.encode()) for row in rows])
