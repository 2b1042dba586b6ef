"""Labellings: what people say of a comment in a dataset."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from starlette.responses import Response

from headrace.core import annotations, datasets, reviews
from headrace.core.annotations import Assigned
from headrace.core.datasets import Dataset
from headrace.core.entities import Extractor
from headrace.core.errors import Invalid
from headrace.core.reviews import Reviewed, ReviewPage
from headrace.core.rights import Permission
from headrace.core.store import Tx
from headrace.core.streams import text_keys
from headrace.dialects.communications_mining import wire_datasets
from headrace.dialects.communications_mining.boundary import (
    dialect,
    from_hex,
    ok,
    parse_uid,
    paths,
    ref,
)
from headrace.dialects.communications_mining.continuation import parse_record_key, record_key
from headrace.dialects.communications_mining.definitions import check_group
from headrace.dialects.communications_mining.entities import Found, judged, of_records
from headrace.dialects.communications_mining.spans import entities_json
from headrace.dialects.communications_mining.translate import (
    assigned_labels,
    comment_json,
    comment_raw,
    label_name,
    labelling_json,
    predicted_json,
)
from headrace.dialects.kit import Call

STEM = "/api/_private/datasets"
Group = TypeVar("Group", wire_datasets.Labelling, wire_datasets.MoonForm)

PAGE_DEFAULT = 64
PAGE_MAX = 256
MAX_IDS = 256


def annotated_json(
    item: Reviewed, text_keys: Mapping[int, tuple[str, ...]], entities: Mapping[int, Found] | None = None
) -> dict[str, object]:
    """An annotated comment in answers, with what consumers said of it, and the entities found in it where given."""
    labelling = labelling_json(item.annotation)
    if item.predictions is not None:
        labelling[0]["predicted"] = predicted_json(item.predictions)
    stored = item.annotation.judgement.extra if item.annotation else None
    extra: dict[str, Any] = json.loads(stored) if stored else {}
    found: dict[str, object] = {
        "comment": comment_raw(item.record, text_keys),
        "labelling": labelling,
        "entities": judged(item.annotation) | _predicted(item, entities),
        "trigger_exceptions": [
            {"type": exception.type, "answered": exception.answered_at is not None} for exception in item.exceptions
        ],
    }
    return found | ({"moon_forms": extra["moon_forms"]} if "moon_forms" in extra else {})


def _predicted(item: Reviewed, entities: Mapping[int, Found] | None) -> dict[str, object]:
    found = (entities or {}).get(item.record.id)
    return {} if found is None else {"predicted": found.predicted}


def annotated_page(tx: Tx, page: ReviewPage, extractor: Extractor | None) -> list[dict[str, object]]:
    """Annotated comments in answers, with predicted entities when there is an extractor."""
    records = [item.record for item in page.items]
    found = of_records(tx, page.dataset, records, page.text_keys, extractor) if extractor else {}
    return [annotated_json(item, page.text_keys, found) for item in page.items]


@dialect.route("POST", *paths(STEM, "dataset", "/labellings/{uid}"))
async def label_comment(call: Call) -> Response:
    """Set the labelling of a comment: an absent list keeps what is there, an empty one clears it."""
    body, wanted, uid = await call.json(wire_datasets.LabellingBody), ref(call, "dataset"), parse_uid(call.text("uid"))
    assigned, dismissed = _lists(body)

    def label(tx: Tx) -> dict[str, object]:
        dataset = datasets.load(tx, call.who, wanted, Permission.REVIEW)
        record_id = reviews.locate_one(tx, dataset, uid)
        extra = _extra(tx, dataset, record_id, body)
        annotations.label(tx, call.who, dataset, record_id, assigned=assigned, dismissed=dismissed, extra=extra)
        page = reviews.of_records(tx, call.who, dataset, [record_id])
        return annotated_json(page.items[0], page.text_keys)

    return ok(**await call.write(label))


@dialect.route("GET", *paths(STEM, "dataset", "/labellings"))
async def list_labellings(call: Call) -> Response:
    """Annotated comments: those named by `id`, or page by page the reviewed ones, optionally of one source."""
    wanted, uids = ref(call, "dataset"), [parse_uid(uid) for uid in call.queries("id")]
    predicting = call.flag("return_predictions", False)
    predictor = call.services.predictor if predicting else None
    extractor = call.services.extractor if predicting else None
    if len(uids) > MAX_IDS:
        raise Invalid(f"id names more than {MAX_IDS} comments", fields={"id": len(uids)})
    if uids:
        return ok(
            results=await call.read(
                lambda tx: annotated_page(tx, reviews.named(tx, call.who, wanted, uids, predictor), extractor)
            )
        )
    source, after = call.query("source_id"), call.query("after")
    limit = call.count("limit", PAGE_DEFAULT, most=PAGE_MAX)
    key = 0 if after is None else parse_record_key(after, "after")
    source_id = None if source is None else from_hex(source, "source")

    def read(tx: Tx) -> dict[str, object]:
        found = reviews.page(tx, call.who, wanted, after=key, limit=limit, source_id=source_id, predictor=predictor)
        more = {"after": record_key(found.items[-1].record)} if found.items else {}
        return {"results": annotated_page(tx, found, extractor), **more}

    return ok(**await call.read(read))


def _lists(body: wire_datasets.LabellingBody) -> tuple[Sequence[Assigned] | None, Sequence[Assigned] | None]:
    """The assigned and dismissed labels of a request; moon forms name labels that count as such."""
    group = _only(
        [body.labelling] if isinstance(body.labelling, wire_datasets.Labelling) else body.labelling, "labelling"
    )
    form = _only(body.moon_forms, "moon_forms")
    assigned = _joined(group.assigned if group else None, form.assigned if form else None)
    return assigned, _joined(group.dismissed if group else None, form.dismissed if form else None)


def _only(groups: Sequence[Group] | None, field: str) -> Group | None:
    """The one group that a dataset has, if the request speaks of it."""
    for group in groups or ():
        check_group(group.group)
    if groups and len(groups) > 1:
        raise Invalid(f"{field} names the group 'default' twice", fields={field: len(groups)})
    return groups[0] if groups else None


def _joined(
    labels: Sequence[wire_datasets.AssignedLabel] | None, forms: Sequence[wire_datasets.MoonLabel] | None
) -> tuple[Assigned, ...] | None:
    """The labels of a list and of forms, each once; None when neither is there."""
    named = assigned_labels(None if forms is None else [form.label for form in forms])
    given = assigned_labels(labels)
    return None if named is None and given is None else tuple(dict.fromkeys((*(given or ()), *(named or ()))))


def _extra(tx: Tx, dataset: Dataset, record_id: int, body: wire_datasets.LabellingBody) -> dict[str, object]:
    """What is stored beside the labels: entities with whole spans, and moon forms as they were sent."""
    extra: dict[str, object] = {}
    if body.entities is not None:
        record = tx.records.by_ids([record_id], dataset.source_ids)[0]
        lists = {"assigned": body.entities.assigned, "dismissed": body.entities.dismissed}
        extra["entities"] = {
            name: entities_json(entities, comment_json(record, text_keys(tx, dataset)))
            for name, entities in lists.items()
            if entities is not None
        }
    if body.moon_forms is not None:
        extra["moon_forms"] = [_form_json(form) for form in body.moon_forms if form.assigned or form.dismissed]
    return extra


def _form_json(form: wire_datasets.MoonForm) -> dict[str, object]:
    lists = {"assigned": form.assigned, "dismissed": form.dismissed}
    return {"group": form.group} | {
        name: [_captured_json(item) for item in items] for name, items in lists.items() if items
    }


def _captured_json(item: wire_datasets.MoonLabel) -> dict[str, object]:
    label = {"name": label_name(item.label.name), "sentiment": item.label.sentiment}
    return {"label": label, "captures": item.captures}
