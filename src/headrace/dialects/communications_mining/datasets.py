"""Datasets and their export."""

from starlette.responses import Response

from headrace.core import annotations, datasets, filters
from headrace.core.datasets import Dataset
from headrace.core.export import Exported, ExportPage, ExportRequest, export
from headrace.core.records import TimeOrder
from headrace.core.rights import Permission
from headrace.core.sources import Ref
from headrace.core.store import Tx
from headrace.dialects.communications_mining import wire, wire_datasets
from headrace.dialects.communications_mining.boundary import (
    dialect,
    hex_ids,
    ok,
    parse_uid,
    paths,
    read_instant,
    ref,
)
from headrace.dialects.communications_mining.definitions import entities_of, fields_of, labels_of
from headrace.dialects.communications_mining.entities import Found, judged, of_records
from headrace.dialects.communications_mining.translate import (
    assigned_json,
    comment_raw,
    dataset_json,
    predicted_json,
)
from headrace.dialects.kit import Call

STEM = "/api/v1/datasets"
PLAIN_FIELDS = ("title", "description", "model_family", "has_sentiment")


def _changes(fields: wire_datasets.DatasetFields) -> dict[str, object]:
    """What the request says of a dataset, in the domain's names; absent stays absent."""
    changes = {name: getattr(fields, name) for name in PLAIN_FIELDS if getattr(fields, name) is not None}
    settings = _settings(fields)
    if settings:
        changes["settings"] = settings
    if fields.source_ids is not None:
        changes["source_ids"] = hex_ids(fields.source_ids, "source_ids")
    return changes


def _settings(fields: wire_datasets.DatasetFields) -> dict[str, object]:
    """What this dialect alone keeps of a dataset, as it will be answered."""
    given = {
        "entity_defs": None if fields.entity_defs is None else entities_of(fields.entity_defs),
        "general_fields": None if fields.general_fields is None else fields_of(fields.general_fields),
        "_dataset_flags": fields.dataset_flags,
        "_model_config": fields.model_config,
    }
    return {name: value for name, value in given.items() if value is not None}


def _json(tx: Tx, dataset: Dataset) -> dict[str, object]:
    return dataset_json(dataset, tx.datasets.labels(dataset.id))


@dialect.route("GET", STEM)
async def list_datasets(call: Call) -> Response:
    """The datasets the caller may view."""
    return ok(datasets=await call.read(lambda tx: [_json(tx, item) for item in datasets.list_datasets(tx, call.who)]))


@dialect.route("GET", STEM + "/id:{hex_id}", STEM + "/{project}/{dataset}")
async def get_dataset(call: Call) -> Response:
    """One dataset."""
    wanted = ref(call, "dataset")
    return ok(
        dataset=await call.read(lambda tx: _json(tx, datasets.load(tx, call.who, wanted, Permission.VIEW_LABELS)))
    )


@dialect.route("GET", STEM + "/{project}")
async def list_project_datasets(call: Call) -> Response:
    """The datasets of one project."""
    project = call.text("project")
    found = await call.read(lambda tx: [_json(tx, item) for item in datasets.list_datasets(tx, call.who, project)])
    return ok(datasets=found)


@dialect.route("PUT", STEM + "/{project}/{dataset}")
async def create_dataset(call: Call) -> Response:
    """Create a dataset; a name that is taken is refused and nothing is overwritten."""
    fields = (await call.json(wire_datasets.DatasetBody)).dataset
    project, name = call.text("project"), call.text("dataset")
    changes, labels = _changes(fields), labels_of(fields) or []
    copied: Ref | None = None
    if fields.copy_annotations_from is not None:
        copied = hex_ids([fields.copy_annotations_from], "copy_annotations_from")[0]

    def create(tx: Tx) -> dict[str, object]:
        dataset = datasets.create(tx, call.who, project=project, name=name, changes=changes, labels=labels)
        if copied is not None:
            annotations.copy(tx, call.who, dataset, copied)
        return _json(tx, dataset)

    return ok(dataset=await call.write(create))


@dialect.route("POST", *paths(STEM, "dataset"))
async def update_dataset(call: Call) -> Response:
    """Change a dataset partially: an absent key keeps, an empty `source_ids` clears."""
    fields, wanted = (await call.json(wire_datasets.DatasetBody)).dataset, ref(call, "dataset")
    changes, labels = _changes(fields), labels_of(fields)
    return ok(
        dataset=await call.write(lambda tx: _json(tx, datasets.update(tx, call.who, wanted, changes, labels=labels)))
    )


@dialect.route("DELETE", *paths(STEM, "dataset"))
async def delete_dataset(call: Call) -> Response:
    """Delete a dataset; sources and comments stay."""
    wanted = ref(call, "dataset")
    await call.write(lambda tx: datasets.delete(tx, call.who, wanted))
    return ok()


@dialect.route("POST", *paths(STEM, "dataset", "/export"))
async def export_dataset(call: Call) -> Response:
    """A page of comments with assigned labels and the latest model's predictions."""
    body, wanted = await call.json(wire.ExportBody), ref(call, "dataset")
    request = ExportRequest(
        uids=None if body.comment_uids is None else tuple(parse_uid(uid) for uid in body.comment_uids),
        source_ids=None if body.source_ids is None else hex_ids(body.source_ids, "source_ids"),
        order=TimeOrder(body.order_by),
        start=None if body.from_ is None else read_instant(body.from_, "from"),
        end=None if body.to is None else read_instant(body.to, "to"),
        continuation=body.continuation,
        limit=body.limit,
        filter=filters.parse(body.comment_filter or {}),
    )
    predictor, extractor = call.services.predictor, call.services.extractor

    def read(tx: Tx) -> dict[str, object]:
        page = export(tx, call.who, wanted, request, predictor)
        found = of_records(tx, page.dataset, [item.record for item in page.items], page.text_keys, extractor)
        comments = [_exported(page, item, found.get(item.record.id)) for item in page.items]
        more = {} if page.continuation is None else {"continuation": page.continuation}
        return {"comments": comments, **more}

    return ok(**await call.read(read))


def _exported(page: ExportPage, item: Exported, found: Found | None) -> dict[str, object]:
    assigned = item.annotation.judgement.labels if item.annotation else ()
    marked = judged(item.annotation)["assigned"]
    answer: dict[str, object] = {
        "comment": comment_raw(item.record, page.text_keys),
        "annotations": {"labels": {"assigned": assigned_json(assigned)}}
        | ({"entities": {"assigned": marked}} if marked else {}),
    }
    predicted = {"entities": found.predicted} if found else {}
    if item.predictions is not None or found:
        answer["predictions"] = {"labels": predicted_json(item.predictions or (), as_text=True), **predicted}
    return answer
