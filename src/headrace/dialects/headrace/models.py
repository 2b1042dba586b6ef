"""Models before promotion: what a new version would change for every stream."""

from starlette.responses import Response

from headrace.core import comparison
from headrace.core.comparison import Comparison, Outcome, StreamChange
from headrace.core.errors import Invalid
from headrace.core.models import LATEST, Model
from headrace.core.records import Record, key_of
from headrace.core.times import format_timestamp
from headrace.dialects.headrace.boundary import BASE, dialect, number
from headrace.dialects.kit import Call, json_answer

DATASET = f"{BASE}/datasets/{{project}}/{{dataset}}"
MAX_VERSION_DIGITS = 18
MEASURES = ("reviewed_size", "mean_average_precision", "micro_f1", "expected_calibration_error", "model_rating")


@dialect.route("GET", f"{DATASET}/models/compare")
async def compare_models(call: Call) -> Response:
    """What each stream would pass and hold of the newest records with version `to` instead of `from`."""
    versions = _version(call, "from"), _version(call, "to", LATEST)
    count = number(call, "records", comparison.DEFAULT_RECORDS, 1, comparison.MAX_RECORDS)
    ref, predictor = (call.text("project"), call.text("dataset")), call.services.predictor
    found = await call.read(lambda tx: comparison.compare(tx, call.who, ref, versions, count, predictor))
    return json_answer(_comparison_json(found))


def _version(call: Call, name: str, default: str | None = None) -> int | str:
    """A version by number, by tag or `latest`."""
    text = call.query(name) or default
    if not text:
        raise Invalid(f"{name} must name a model version: a number, a tag or latest", fields={name: ""})
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_VERSION_DIGITS else text


def _comparison_json(found: Comparison) -> dict[str, object]:
    return {
        "dataset": f"{found.dataset.project}/{found.dataset.name}",
        "from": _model_json(found.before),
        "to": _model_json(found.after),
        "records": found.record_count,
        "streams": [_stream_json(change) for change in found.streams],
    }


def _model_json(model: Model) -> dict[str, object]:
    measured = {name: model.metrics[name] for name in MEASURES if name in model.metrics}
    return {
        "version": model.version,
        "trained_at": format_timestamp(model.trained_at),
        "labels": len(model.labels),
        **measured,
    }


def _stream_json(change: StreamChange) -> dict[str, object]:
    return {
        "name": change.stream.name,
        "version": change.stream.version,
        "from": _outcome_json(change.before),
        "to": _outcome_json(change.after),
        "changed": dict(change.counts),
        "gained": [_record_json(record) for record in change.gained],
        "lost": [_record_json(record) for record in change.lost],
        "relabelled": [_record_json(record) for record in change.relabelled],
    }


def _outcome_json(outcome: Outcome) -> dict[str, object]:
    return {"passed": outcome.passed, "held": outcome.held, "labels": dict(outcome.labels)}


def _record_json(record: Record) -> dict[str, object]:
    """A record by its id, and by the uid under which Communications Mining knows it."""
    return {"id": record.id, "uid": f"{record.source_id:016x}.{key_of(record)}"}
