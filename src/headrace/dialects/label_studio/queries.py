"""How requests name tasks: query, filters, selected items; and the tasks found, kept while nothing happens."""

import asyncio
import re
from dataclasses import replace
from typing import cast

from headrace.core import task_filters, task_search
from headrace.core.errors import Invalid
from headrace.core.task_filters import ANNOTATED, TaskQuery
from headrace.core.task_regex import Search, search
from headrace.core.task_search import Found, Listing
from headrace.decode import decode
from headrace.dialects.kit import Call
from headrace.dialects.label_studio.boundary import flag, invalid

KEPT_TASKS = 250_000
"""What found more is looked for anew at each page: 64 answers are kept, of eight bytes a task."""


def number(call: Call, name: str) -> int | None:
    """A query parameter that is an id, None when it is absent; raises Invalid naming it."""
    text = call.query(name)
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise invalid(name, f"'{text[:40]}' is not the id of a {name}")
    return int(text)


def task_query(call: Call) -> TaskQuery:
    """What the query parameters of the task list ask for; raises Invalid."""
    asked = _json(call, "query")
    query = TaskQuery() if asked is None else task_filters.parse(asked)
    selected = _json(call, "selectedItems")
    if selected is not None:
        included, excluded = task_filters.parse_selected(selected)
        query = replace(query, included=included, excluded=excluded)
    if flag(call, "only_annotated", False):
        query = replace(query, groups=(*query.groups, ANNOTATED))
    return query


def _json(call: Call, name: str) -> object:
    """A query parameter that is JSON, None when it is absent or null."""
    text = call.query(name)
    if not text:
        return None
    try:
        return decode(text.encode(), object)
    except UnicodeEncodeError as error:
        raise invalid(name, f"{name} is not valid Unicode text") from error
    except Invalid as error:
        raise invalid(name, error.message) from error


async def find(call: Call, listing: Listing) -> Found:
    """The tasks of a listing; they are looked for anew only when something has happened since."""
    kept = call.services.kept
    known = cast(Found | None, kept.get(listing.key, listing.state))
    if known is None:
        known = await asyncio.to_thread(task_search.find, call.services.store, call.who, listing, _searcher(call))
        if len(known.ids) <= KEPT_TASKS:
            kept.put(listing.key, listing.state, known)
    return known


def _searcher(call: Call) -> Search:
    return lambda pattern, texts: call.services.pool.run(search, pattern, texts)
