"""Models: versions, pins and tags. Pinning and tagging are headrace's own additions to this API."""

from starlette.responses import Response

from headrace.core import models
from headrace.core.errors import NotFound
from headrace.core.models import Model, ModelTag
from headrace.core.times import format_timestamp
from headrace.dialects.communications_mining import wire
from headrace.dialects.communications_mining.boundary import dialect, ok, paths, ref
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


@dialect.route("GET", *paths(PUBLIC, "dataset", "/model-tags"))
async def list_tags(call: Call) -> Response:
    """The dataset's model tags."""
    wanted = ref(call, "dataset")
    return ok(model_tags=[tag_json(tag) for tag in await call.read(lambda tx: models.tags(tx, call.who, wanted))])


@dialect.route("PUT", *paths(PUBLIC, "dataset", "/model-tags/{tag}"))
async def put_tag(call: Call) -> Response:
    """Point a tag at a version, which is pinned by it."""
    body, wanted, name = await call.json(wire.ModelTagBody), ref(call, "dataset"), call.text("tag")
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
    """The dataset's model versions, newest first."""
    body = await call.json(wire.LabellersBody) if await call.body() else wire.LabellersBody()
    wanted = ref(call, "dataset")
    found = await call.read(
        lambda tx: models.list_models(
            tx, call.who, wanted, before=body.older_than_version, limit=body.limit or models.MAX_PAGE
        )
    )
    return ok(dataset_status={}, labellers=[model_json(model) for model in found])


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
