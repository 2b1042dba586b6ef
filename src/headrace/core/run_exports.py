"""Exporting what people made of runs: chats for fine-tuning, preference pairs, and the runs themselves.

Lines are made page by page, each page from a short read of its own, newest runs first.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.core import ratings, run_lists, run_tasks, run_values
from headrace.core.content import Kind
from headrace.core.records import Record
from headrace.core.rights import Permission, Principal
from headrace.core.run_content import dumps
from headrace.core.run_lists import RunFilter, RunPage, following
from headrace.core.run_tasks import VIEW
from headrace.core.runs import Place

if TYPE_CHECKING:
    from headrace.core.store import Store, Tx

log = logging.getLogger("headrace")

PAGE = 500
NEEDS = (*VIEW, Permission.EXPORT_DATASETS)
ROLES = ("user", "assistant")
Turn = Mapping[str, str]
Document = Mapping[str, Any]


class Source(NamedTuple):
    """What a line is made of: a run as it is stored, its task's instruction, and how many people rated it."""

    record: Record
    document: Document
    instruction: str
    judges: int


Line = Callable[[Source], str | None]
"""Makes the line of a run, or None for no line."""
DAMAGE = (ValueError, LookupError, TypeError, AttributeError)
"""What a stored text that is no run can raise."""


class Layout(StrEnum):
    """What a line of an export is."""

    CHAT = "chat"
    PREFERENCES = "preferences"
    JSONL = "jsonl"


def begin(tx: "Tx", who: Principal, place: Place, layout: Layout) -> None:
    """Say in the log that somebody takes runs away; raises NotFound, Forbidden."""
    task = run_tasks.load(tx, who, *place, *NEEDS)
    tx.events.add(
        "runs.exported",
        actor_id=who.user_id,
        project_id=task.dataset.project_id,
        dataset_id=task.dataset.id,
        subject_id=task.dataset.id,
        data={"layout": layout.value},
    )


def lines(store: "Store", who: Principal, place: Place, line: Line) -> Iterator[str]:
    """The lines that a run task's runs make, without line breaks. A damaged run is left out and logged."""
    wanted = RunFilter(limit=PAGE)
    while True:
        page, judges = store.read(lambda tx, wanted=wanted: _page(tx, who, place, wanted))  # type: ignore[misc]
        if not page.records:
            return
        instruction = str(page.task.definition.get("instruction") or "")
        for record in page.records:
            text = _line(line, record, instruction, judges.get(record.id, 0))
            if text is not None:
                yield text
        wanted = following(wanted, page.records[-1])


def _page(tx: "Tx", who: Principal, place: Place, wanted: RunFilter) -> tuple[RunPage, dict[int, int]]:
    page = run_lists.page(tx, who, place, wanted)
    people: dict[int, set[int]] = {}
    for said in tx.annotations.of_records(page.task.dataset.id, [record.id for record in page.records]):
        extra = json.loads(said.judgement.extra) if said.judgement.extra else {}
        if not said.judgement.cancelled and (extra.get("run") or {}).get("rating"):
            people.setdefault(said.record_id, set()).add(said.author_id)
    return page, {record_id: len(authors) for record_id, authors in people.items()}


def _line(line: Line, record: Record, instruction: str, judges: int) -> str | None:
    if record.kind != Kind.RUN:
        return None
    try:
        return line(Source(record, json.loads(record.body), instruction, judges))
    except DAMAGE:
        log.error("the record %s cannot be read as a run", record.id)
        return None


def chat(source: Source) -> str | None:
    """The chat that a repaired or well rated run is worth: `messages` with the instruction, the input, the output."""
    document = source.document
    final = document.get("repaired_output")
    if final is None and ratings.is_high(run_values.rating_of(document)):
        final = document["output"]
    if final is None:
        return None
    return dumps({"messages": [*_prompt(source), _turn("assistant", final["output"])]})


def preference(source: Source) -> str | None:
    """The pair that a repaired run is worth: the repaired output is preferred to the first one.

    `rating` is what the first one was rated, and `judges` how many people's ratings of it are known.
    """
    document = source.document
    repaired = document.get("repaired_output")
    if repaired is None:
        return None
    rating = run_values.rating_of(document)
    pair = {
        "prompt": _prompt(source),
        "chosen": _turn("assistant", repaired["output"]),
        "rejected": _turn("assistant", document["output"]["output"]),
        "rating": None if rating is None else {name: rating.get(name) for name in ("type", "value")},
        "judges": source.judges,
    }
    return dumps(pair)


def _prompt(source: Source) -> Sequence[Turn]:
    """What the output answers: the instruction, what was said before in the conversation, the input."""
    document = source.document
    begin = [_turn("system", source.instruction)] if source.instruction else []
    spoken = [
        _turn(item["role"], item["content"])
        for item in document.get("trace") or ()
        if item.get("role") in ROLES and isinstance(item.get("content"), str)
    ]
    if document.get("parent_task_run_id") and spoken and spoken[-1]["role"] == "assistant":
        return [*begin, *spoken[:-1]]
    return [*begin, _turn("user", document["input"])]


def _turn(role: str, text: str) -> Turn:
    return {"role": role, "content": text}
