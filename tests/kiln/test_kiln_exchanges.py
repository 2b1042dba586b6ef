"""Recorded exchanges with kiln-server 1.2.0, replayed in order: the same answers, apart from ids and instants."""

import json
import re
from pathlib import Path
from typing import Any

from kiln_api import kiln_client

from conftest import Application

EXCHANGES = json.loads((Path(__file__).parent / "fixtures" / "exchanges.json").read_text())


def test_recorded_exchanges(application: Application) -> None:
    """Every recorded request gets the recorded status and body; what the server makes up has the same form."""
    api, ids = kiln_client(application), dict[str, str]()
    for exchange in EXCHANGES:
        request, expected = exchange["request"], exchange["response"]
        answer = api.request(request["method"], translated(request["path"], ids), **body_of(request, ids))
        assert answer.status_code == expected["status"], f"{exchange['name']}: {answer.text[:800]}"
        learn(expected["body"], answer.json(), ids)
        wanted = plain(json.loads(translated(json.dumps(expected["body"]), ids)))
        assert ordered(plain(answer.json())) == ordered(wanted), exchange["name"]


def translated(text: str, ids: dict[str, str]) -> str:
    """A text with the ids of the recording replaced by those of this server."""
    return re.sub(r"\d{12}", lambda found: ids.get(found[0], found[0]), text)


def body_of(request: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    """A recorded request's query and body, as the client wants them."""
    options: dict[str, Any] = {"params": request["query"]} if "query" in request else {}
    if "json" in request:
        options["json"] = json.loads(translated(json.dumps(request["json"]), ids))
    if "raw_body" in request:
        # The recording shows bytes that are not UTF-8 as the replacement character.
        options["content"] = request["raw_body"].encode().replace("\ufffd".encode(), b"\xff")
        options["headers"] = {"Content-Type": request["content_type"]}
    if "multipart" in request:
        parts = dict(request["multipart"])
        file = parts.pop("file")
        options["files"] = {"file": (file["filename"], file["content"], file["content_type"])}
        options["data"] = parts
    return options


def learn(recorded: Any, answered: Any, ids: dict[str, str]) -> None:
    """Note which id here stands for which one of the recording."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        for key, value in recorded.items():
            if key == "id" and isinstance(value, str) and isinstance(answered.get("id"), str):
                ids.setdefault(value, answered["id"])
            elif key in ("run_id", "parent_task_run_id") and isinstance(value, str):
                ids.setdefault(value, answered[key])
            else:
                learn(value, answered.get(key), ids)
    if isinstance(recorded, list) and isinstance(answered, list):
        for one, other in zip(recorded, answered, strict=False):
            learn(one, other, ids)


def plain(value: Any) -> Any:
    """A body without instants, authors and paths, and without the parts of a rejected value."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return re.sub(r"imported_\d+", "imported_N", value) if isinstance(value, str) else value
    made_up = {"created_at", "path", "input"} if "loc" in value else {"created_at", "path"}
    author = {"created_by"} if "model_type" in value else set()
    ctx = {"ctx": sorted(value["ctx"])} if "ctx" in value else {}
    return {key: plain(item) for key, item in value.items() if key not in made_up | author} | ctx


def ordered(value: Any) -> Any:
    """A list of objects with ids in the order of these, because some lists promise no order; tags likewise."""
    if isinstance(value, dict):
        return {
            key: sorted(item) if key == "tags" and isinstance(item, list) else ordered(item)
            for key, item in value.items()
        }
    if isinstance(value, list) and value and all(isinstance(item, dict) and "id" in item for item in value):
        return sorted((ordered(item) for item in value), key=lambda item: str(item["id"]))
    return [ordered(item) for item in value] if isinstance(value, list) else value
