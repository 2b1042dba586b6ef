"""What a project's tasks and annotations come to: summary, model versions, annotators, and a label config's fit."""

import asyncio
from typing import cast

from starlette.responses import Response

from headrace.core import summaries, task_predictions, tasks
from headrace.core.errors import Invalid
from headrace.core.rights import Permission
from headrace.core.store import Tx
from headrace.core.summaries import Begun, Summary
from headrace.core.times import format_timestamp
from headrace.dialects.kit import Call, json_answer
from headrace.dialects.label_studio import wire
from headrace.dialects.label_studio.boundary import dialect, invalid, json_body
from headrace.dialects.label_studio.projects import ONE, config_problem
from headrace.dialects.label_studio.translate import Json, author_json


async def _summary(call: Call) -> tuple[Begun, Summary]:
    return await summary_of(call, call.number("project"))


async def summary_of(call: Call, number: int) -> tuple[Begun, Summary]:
    """The summary of a project; it is counted anew only when something has happened since it was counted last."""
    begun = await call.read(lambda tx: summaries.begin(tx, call.who, number))
    key, version = ("summary", begun.dataset.id), begun.state
    known = cast(Summary | None, call.services.kept.get(key, version))
    if known is None:
        known = await asyncio.to_thread(summaries.summarise, call.services.store, begun)
        call.services.kept.put(key, version, known)
    return begun, known


@dialect.route("GET", ONE + "/summary")
async def get_summary(call: Call) -> Response:
    """Tasks by data key, regions by control, answers by label."""
    begun, summary = await _summary(call)
    return json_answer(
        {
            "project": begun.dataset.id,
            "created_at": format_timestamp(begun.dataset.created_at),
            "all_data_columns": summary.columns,
            "common_data_columns": summary.common_columns,
            "created_annotations": {"|".join(asked): count for asked, count in summary.answered.items()},
            "created_labels": {name: counts for name, counts in summary.labels.items() if counts},
            "created_labels_drafts": {},
        }
    )


@dialect.route("POST", ONE + "/validate")
async def validate_project_config(call: Call) -> Response:
    """Check a label config against the annotations there are; the answer says whether it changes the questions."""
    xml = (await json_body(call, wire.LabelConfigBody)).label_config
    problem = config_problem(xml)
    begun, summary = await _summary(call)
    if problem:
        raise invalid("label_config", problem)
    try:
        changed = summaries.check_config(begun.dataset, summary, xml)
    except Invalid as error:
        raise invalid("non_field_errors", error.message) from error
    return json_answer({"config_essential_data_has_changed": True if changed else None})


@dialect.route("GET", ONE + "/model-versions")
async def get_model_versions(call: Call) -> Response:
    """How many predictions there are of each model version."""
    number = call.number("project")

    def read(tx: Tx) -> dict[str, int]:
        dataset = tasks.load_project(tx, call.who, number, Permission.VIEW_LABELS)
        return task_predictions.versions(tx, dataset)

    return json_answer(await call.read(read))


@dialect.route("GET", ONE + "/annotators")
async def get_annotators(call: Call) -> Response:
    """Who has annotated or skipped tasks of the project."""
    number = call.number("project")

    def read(tx: Tx) -> list[Json]:
        dataset = tasks.load_project(tx, call.who, number, Permission.VIEW_LABELS)
        found = (tx.users.get(author_id) for author_id in tx.annotations.authors(dataset.id))
        return [author_json(user) for user in found if user is not None]

    return json_answer(await call.read(read))
