"""Models: versions, pins and tags. Pinning and tagging are headrace's own additions to this API."""

from starlette.responses import Response

from headrace.core import models, validation
from headrace.core.errors import NotFound
from headrace.core.models import Model, ModelTag
from headrace.core.times import format_timestamp
from headrace.core.validation import Curve
from headrace.dialects.communications_mining import wire_models
from headrace.dialects.communications_mining.boundary import dialect, ok, paths, ref
from headrace.dialects.communications_mining.translate import label_json, label_name
from headrace.dialects.kit import Call

PUBLIC = "/api/v1/datasets"
PRIVATE = "/api/_private/datasets"


def tag_json(tag: ModelTag) -> dict[str, object]:
    """A model tag in answers."""
    return {"name": tag.name, "version": tag.version, "updated_at": format_timestamp(tag.updated_at)}


def model_json(model: Model) -> dict[str, object]:
    """A model version in answers."""
    return {
        "version": model.version,
        "model_id": model.digest,
        "trained_time": format_timestamp(model.trained_at),
        "pinned": model.pinned,
    }


def version(call: Call) -> int:
    """The version in the path; raises NotFound for anything but a small non-negative integer."""
    text = call.text("version")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFound(f"'{text[:40]}' is not a model version", fields={"version": text[:40]})
    return int(text)


def version_name(call: Call) -> int | str:
    """The version in the path: a number, `latest`, or a tag such as `live`."""
    text = call.text("version")
    return version(call) if text.isdigit() else text


def validation_json(model: Model) -> dict[str, object]:
    """What training measured of a version; zeros where a version was never validated."""
    measured = model.metrics
    return {
        "version": model.version,
        "reviewed_size": model.reviewed_size,
        "model_rating": measured.get("model_rating", {"score": 0, "quality": "none"}),
        "mean_average_precision": measured.get("mean_average_precision"),
        "micro_f1": measured.get("micro_f1"),
        "expected_calibration_error": measured.get("expected_calibration_error"),
        "labels": [
            {
                "name": name,
                "positives": curve.positives,
                "average_precision": curve.average_precision,
                "auto_thresholds": curve.auto_thresholds,
                "intervals": curve.intervals,
            }
            for name, curve in validation.curves(model).items()
        ],
    }


def curve_json(curve: Curve) -> dict[str, object]:
    """A label's validation in answers: three lists of one length."""
    return {
        "thresholds": curve.thresholds,
        "precisions": curve.precisions,
        "recalls": curve.recalls,
        "average_precision": curve.average_precision,
        "auto_thresholds": curve.auto_thresholds,
        "intervals": curve.intervals,
    }


@dialect.route("GET", *paths(PUBLIC, "dataset", "/model-tags"))
async def list_tags(call: Call) -> Response:
    """The dataset's model tags."""
    wanted = ref(call, "dataset")
    return ok(model_tags=[tag_json(tag) for tag in await call.read(lambda tx: models.tags(tx, call.who, wanted))])


@dialect.route("PUT", *paths(PUBLIC, "dataset", "/model-tags/{tag}"))
async def put_tag(call: Call) -> Response:
    """Point a tag at a version, which is pinned by it."""
    body, wanted, name = await call.json(wire_models.ModelTagBody), ref(call, "dataset"), call.text("tag")
    number = body.model_tag.version
    return ok(model_tag=tag_json(await call.write(lambda tx: models.tag(tx, call.who, wanted, name, number))))


@dialect.route("DELETE", *paths(PUBLIC, "dataset", "/model-tags/{tag}"))
async def delete_tag(call: Call) -> Response:
    """Remove a tag; the version stays pinned."""
    wanted, name = ref(call, "dataset"), call.text("tag")
    await call.write(lambda tx: models.untag(tx, call.who, wanted, name))
    return ok()


@dialect.route("POST", *paths(PRIVATE, "dataset", "/labellers"))
async def list_models(call: Call) -> Response:
    """The dataset's model versions, newest first. What was swept is gone, so `include_deleted` adds nothing."""
    body = await call.json(wire_models.LabellersBody) if await call.body() else wire_models.LabellersBody()
    wanted = ref(call, "dataset")
    found = await call.read(
        lambda tx: models.list_models(
            tx, call.who, wanted, before=body.older_than_version, limit=body.limit or models.MAX_PAGE
        )
    )
    return ok(dataset_status={}, labellers=[model_json(model) for model in found])


@dialect.route(
    "GET",
    *paths(PRIVATE, "dataset", "/labellers/{version}/validation"),
    *paths(PUBLIC, "dataset", "/labellers/{version}/validation"),
)
async def get_validation(call: Call) -> Response:
    """How good a version is, as a rating with its reasons and label by label."""
    wanted, name = ref(call, "dataset"), version_name(call)
    model, labels = await call.read(lambda tx: validation.of_version(tx, call.who, wanted, name))
    groups = [{"name": "default", "label_defs": [label_json(label) for label in labels]}]
    return ok(label_groups=groups, validation=validation_json(model))


@dialect.route("POST", *paths(PRIVATE, "dataset", "/labellers/{version}/label-validation"))
async def get_label_validation(call: Call) -> Response:
    """Precision and recall of one label by threshold: thresholds fall to 0, recalls rise to 1."""
    body, wanted, name = await call.json(wire_models.LabelValidationBody), ref(call, "dataset"), version_name(call)
    label = label_name(body.label)
    curve = await call.read(lambda tx: validation.of_label(tx, call.who, wanted, name, label))
    return ok(label_validation=curve_json(curve))


@dialect.route("PUT", *paths(PRIVATE, "dataset", "/labellers/{version}/pin"))
async def pin_model(call: Call) -> Response:
    """Pin a version, so that it is kept."""
    wanted, number = ref(call, "dataset"), version(call)
    return ok(labeller=model_json(await call.write(lambda tx: models.pin(tx, call.who, wanted, number, True))))


@dialect.route("DELETE", *paths(PRIVATE, "dataset", "/labellers/{version}/pin"))
async def unpin_model(call: Call) -> Response:
    """Unpin a version."""
    wanted, number = ref(call, "dataset"), version(call)
    return ok(labeller=model_json(await call.write(lambda tx: models.pin(tx, call.who, wanted, number, False))))
