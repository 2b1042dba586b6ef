"""Labellings: what people say of a comment in a dataset."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from headrace.core import annotations, datasets, reviews
from headrace.core.annotations import Assigned
from headrace.core.errors import Invalid, NotBuilt
from headrace.core.reviews import Reviewed
from headrace.core.rights import Permission
from headrace.core.store import Tx
from headrace.decode import Raw, decode, encode
from headrace.dialects.communications_mining import wire
from headrace.dialects.communications_mining.boundary import (
    dialect,
    from_hex,
    ok,
    parse_uid,
    paths,
    ref,
)
from headrace.dialects.communications_mining.continuation import parse_record_key, record_key
from headrace.dialects.communications_mining.translate import (
    assigned_labels,
    comment_raw,
    labelling_json,
    predicted_json,
)
from headrace.dialects.kit import Call

STEM = "/api/_private/datasets"
PAGE_DEFAULT = 64
PAGE_MAX = 256
MAX_IDS = 256


def annotated_json(item: Reviewed, text_keys: Mapping[int, tuple[str, ...]]) -> dict[str, object]:
    """An annotated comment in answers, with what consumers said of it."""
    labelling = labelling_json(item.annotation)
    if item.predictions is not None:
        labelling[0]["predicted"] = predicted_json(item.predictions)
    stored = item.annotation.judgement.extra if item.annotation else None
    extra = decode(stored.encode(), dict[str, Raw]) if stored else {}
    found: dict[str, object] = {
        "comment": comment_raw(item.record, text_keys),
        "labelling": labelling,
        "entities": extra.get("entities", {"assigned": [], "dismissed": []}),
        "trigger_exceptions": [
            {"type": exception.type, "answered": exception.answered_at is not None} for exception in item.exceptions
        ],
    }
    return found | ({"moon_forms": extra["moon_forms"]} if "moon_forms" in extra else {})


@dialect.route("POST", *paths(STEM, "dataset", "/labellings/{uid}"))
async def label_comment(call: Call) -> Response:
    """Set the labelling of a comment: an absent list keeps what is there, an empty one clears it."""
    body, wanted, uid = await call.json(wire.LabellingBody), ref(call, "dataset"), parse_uid(call.text("uid"))
    assigned, dismissed = _lists(body)
    extra = _extra(body)

    def label(tx: Tx) -> dict[str, object]:
        dataset = datasets.load(tx, call.who, wanted, Permission.REVIEW)
        record_id = reviews.locate_one(tx, dataset, uid)
        annotations.label(tx, call.who, dataset, record_id, assigned=assigned, dismissed=dismissed, extra=extra)
        page = reviews.of_records(tx, dataset, [record_id])
        return annotated_json(page.items[0], page.text_keys)

    return ok(**await call.write(label))


@dialect.route("GET", *paths(STEM, "dataset", "/labellings"))
async def list_labellings(call: Call) -> Response:
    """Annotated comments: those named by `id`, or page by page the reviewed ones, optionally of one source."""
    wanted, uids = ref(call, "dataset"), [parse_uid(uid) for uid in call.queries("id")]
    predictor = call.services.predictor if call.flag("return_predictions", False) else None
    if len(uids) > MAX_IDS:
        raise Invalid(f"id names more than {MAX_IDS} comments", fields={"id": len(uids)})
    if uids:
        page = await call.read(lambda tx: reviews.named(tx, call.who, wanted, uids, predictor))
        return ok(results=[annotated_json(item, page.text_keys) for item in page.items])
    source, after = call.query("source_id"), call.query("after")
    limit = call.count("limit", PAGE_DEFAULT, most=PAGE_MAX)
    key = 0 if after is None else parse_record_key(after, "after")
    source_id = None if source is None else from_hex(source, "source")
    page = await call.read(
        lambda tx: reviews.page(tx, call.who, wanted, after=key, limit=limit, source_id=source_id, predictor=predictor)
    )
    shown = [annotated_json(item, page.text_keys) for item in page.items]
    return ok(results=shown, after=record_key(page.items[-1].record)) if shown else ok(results=[])


def _lists(body: wire.LabellingBody) -> tuple[Sequence[Assigned] | None, Sequence[Assigned] | None]:
    """The assigned and dismissed labels of a request; moon forms name labels that count as assigned."""
    groups = body.labelling if isinstance(body.labelling, list) else [body.labelling] if body.labelling else []
    for group in groups:
        if group.group != "default":
            raise NotBuilt("only the label group 'default' is kept", fields={"group": group.group[:80]})
    if len(groups) > 1:
        raise Invalid("labelling names the group 'default' twice", fields={"labelling": len(groups)})
    assigned = assigned_labels(groups[0].assigned) if groups else None
    dismissed = assigned_labels(groups[0].dismissed) if groups else None
    return assigned, dismissed


def _extra(body: wire.LabellingBody) -> str | None:
    """What is stored beside the labels, as JSON text."""
    extra: dict[str, object] = {}
    if body.entities is not None:
        extra["entities"] = {
            "assigned": body.entities.assigned or [],
            "dismissed": body.entities.dismissed or [],
        }
    if body.moon_forms is not None:
        extra["moon_forms"] = body.moon_forms
    return encode(extra).decode() if extra else None
