"""Exports of runs as JSON lines: chats for fine-tuning, preference pairs, or the runs themselves."""

from collections.abc import Iterator

from starlette.responses import Response, StreamingResponse

from headrace.core import run_exports
from headrace.core.run_exports import Layout, Line, Source
from headrace.dialects.kiln.boundary import TASK, dialect, place, query_issue
from headrace.dialects.kiln.translate import run_text
from headrace.dialects.kit import Call

PIECE = 64 * 1024


def _whole(source: Source) -> str:
    return run_text(source.record)


LINES: dict[Layout, Line] = {
    Layout.CHAT: run_exports.chat,
    Layout.PREFERENCES: run_exports.preference,
    Layout.JSONL: _whole,
}


@dialect.route("GET", TASK + "/export")
async def export_runs(call: Call) -> Response:
    """Stream what a task's runs are worth for training, one JSON text a line, newest runs first."""
    where, text = place(call), call.query("format") or Layout.JSONL.value
    if text not in list(Layout):
        raise query_issue("format", "enum", f"Input should be one of {', '.join(Layout)}", text)
    layout = Layout(text)
    await call.write(lambda tx: run_exports.begin(tx, call.who, where, layout))
    lines = run_exports.lines(call.services.store, call.who, where, LINES[layout])
    headers = {"Content-Disposition": f'attachment; filename="runs-{layout.value}.jsonl"'}
    return StreamingResponse(_pieces(lines), media_type="application/x-ndjson", headers=headers)


def _pieces(lines: Iterator[str]) -> Iterator[bytes]:
    """The lines as UTF-8, several at a time."""
    waiting = bytearray()
    for line in lines:
        waiting += line.encode() + b"\n"
        if len(waiting) >= PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
