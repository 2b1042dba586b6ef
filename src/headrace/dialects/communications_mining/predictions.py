"""Predictions on demand: of documents that are not stored, and of comments that are.

The answer of `predict` is a list of label lists with parallel lists beside it; `model` says which version answered.
Names are lists here, as everywhere but in an export.
"""

import asyncio
from collections.abc import Sequence

from starlette.responses import Response

from headrace.core import content, datasets, predictions, registered_models, transforms
from headrace.core.entities import ENTITY_RULES_VERSION
from headrace.core.errors import Invalid
from headrace.core.models import LATEST, Model
from headrace.core.predictions import Chosen, Selection
from headrace.core.store import Tx
from headrace.core.times import format_timestamp, parse_timestamp
from headrace.decode import Raw, encode
from headrace.dialects.communications_mining import wire_models
from headrace.dialects.communications_mining.boundary import dialect, ok, parse_uid, paths, ref
from headrace.dialects.communications_mining.emails import new_records
from headrace.dialects.communications_mining.entities import of_documents, of_uids
from headrace.dialects.communications_mining.models import model_json, version, version_name
from headrace.dialects.communications_mining.translate import check_properties, label_name, predicted_json
from headrace.dialects.kit import Call

PUBLIC = "/api/v1/datasets"
PRIVATE = "/api/_private/datasets"
AUTO = "auto"


@dialect.route("PUT", *paths(PUBLIC, "dataset", "/labellers"))
async def register_model(call: Call) -> Response:
    """Register a model trained elsewhere as a version of the dataset; the same name and labels give the same one."""
    wanted, said = ref(call, "dataset"), (await call.json(wire_models.LabellerBody)).labeller
    labels = [label_name(label) for label in said.labels]
    model = await call.write(lambda tx: registered_models.register(tx, call.who, wanted, said.name, labels))
    return ok(
        labeller={**model_json(model), "name": said.name, "labels": [label.split(" > ") for label in model.labels]}
    )


@dialect.route("PUT", *paths(PUBLIC, "dataset", "/labellers/{version}/predictions"))
async def push_predictions(call: Call) -> Response:
    """Store what a registered version says of comments; a label not named has the probability 0."""
    wanted, number = ref(call, "dataset"), version(call)
    body = await call.json(wire_models.PushedPredictionsBody)
    rows = [
        (parse_uid(item.uid), {label_name(label.name): label.probability for label in item.labels}, item.sentiment)
        for item in body.predictions
    ]
    return ok(stored=await call.write(lambda tx: predictions.push(tx, call.who, wanted, number, rows)))


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
    """The version that answered; entities are found by rules, which have a version of their own."""
    return {
        "version": model.version,
        "time": format_timestamp(model.trained_at),
        "entity_rules_version": ENTITY_RULES_VERSION,
    }


def comment_of(document: wire_models.Document) -> str:
    """A document as the JSON text of a comment; raises Invalid where a comment like it would be refused."""
    check_properties(document.user_properties)
    times = [document.timestamp, *(message.sent_at for message in document.messages)]
    for instant in times:
        if instant is not None:
            parse_timestamp(instant)
    return encode({"messages": document.messages}).decode()


async def predict_all(
    call: Call, version: int | str, comments: Sequence[str], body: wire_models.PredictOptions
) -> dict[str, object]:
    """The answer to predict: parallel lists, one entry a comment."""
    wanted, chosen, services = ref(call, "dataset"), selection(body), call.services
    texts = [content.text(content.Kind.COMMENT, comment) for comment in comments]

    def read(tx: Tx) -> dict[str, object]:
        answer = predictions.of_texts(tx, call.who, wanted, version, texts, chosen, services.predictor)
        dataset = datasets.load(tx, call.who, wanted, *predictions.NEEDS)
        return {
            "predictions": [labels_json(labels) for labels in answer.items],
            "entities": of_documents(dataset, comments, services.extractor),
            "model": version_json(answer.model),
        }

    return await call.read(read)


@dialect.route(
    "POST",
    *paths(PUBLIC, "dataset", "/labellers/{version}/predict"),
    *paths(PRIVATE, "dataset", "/labellers/predict"),
)
async def predict(call: Call) -> Response:
    """Predict documents that are not stored, in order; without a version by the latest."""
    body = await call.json(wire_models.PredictBody)
    version = version_name(call) if "version" in call.request.path_params else LATEST
    return ok(**await predict_all(call, version, [comment_of(document) for document in body.documents], body))


@dialect.route("POST", *paths(PUBLIC, "dataset", "/labellers/{version}/predict-comments"))
async def predict_comments(call: Call) -> Response:
    """Predict stored comments, in the order and number of the uids."""
    body, wanted, version = await call.json(wire_models.PredictCommentsBody), ref(call, "dataset"), version_name(call)
    uids, chosen = [parse_uid(uid) for uid in body.uids], selection(body)
    services = call.services

    def read(tx: Tx) -> dict[str, object]:
        answer = predictions.of_records(tx, call.who, wanted, version, uids, chosen, services.predictor)
        dataset = datasets.load(tx, call.who, wanted, *predictions.NEEDS)
        found = of_uids(tx, call.who, dataset, uids, services.extractor)
        shown = [
            {"uid": said, "labels": labels_json(labels), "entities": found[uid].all() if uid in found else []}
            for said, uid, labels in zip(body.uids, uids, answer.items, strict=True)
        ]
        return {"predictions": shown, "model": version_json(answer.model)}

    return ok(**await call.read(read))


@dialect.route("POST", *paths(PUBLIC, "dataset", "/labellers/{version}/predict-raw-emails"))
async def predict_raw_emails(call: Call) -> Response:
    """Predict e-mails as the comments that they would become, which come back when they are asked for."""
    body, version = await call.json(wire_models.PredictEmailsBody), version_name(call)
    if len(body.documents) > predictions.MAX_DOCUMENTS:
        raise Invalid(f"documents holds more than {predictions.MAX_DOCUMENTS} items", fields={"documents": ""})
    if body.transform_tag is not None:
        transforms.check_tag(body.transform_tag)
    rows = await asyncio.to_thread(new_records, body.documents)
    answer = await predict_all(call, version, [row.body for row in rows], body)
    comments = {"comments": [Raw(row.body.encode()) for row in rows]} if body.include_comments else {}
    return ok(**answer, **comments)
