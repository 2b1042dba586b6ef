"""`headrace demo`: drive a running server (or one of its own) through the whole loop, and say what happened."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx2

from headrace.cli import sample, texts
from headrace.cli.sample import Sample

DEFAULT_URL = "http://127.0.0.1:8080"
GENERATED = 400
START_SECONDS = 60
MODEL_SECONDS = 120
ANNOTATED_SHARE = 0.6
IMPORTED_SHARE = 0.8
MAX_ANNOTATED = 400
THRESHOLD = 0.3
BATCH = 64


@click.command("demo")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="a running server")
@click.option("--token", envvar="HEADRACE_ADMIN_TOKEN", help="its admin token; without one a server of our own is used")
@click.option("--file", "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CSV or JSONL")
@click.option("--packages", is_flag=True, help="use the metadata of the installed Python packages")
@click.option("--text-column", default="text", show_default=True, help="where the file has its text")
@click.option("--label-column", default="labels", show_default=True, help="where its labels are, separated by ;")
def command(
    url: str, token: str | None, path: Path | None, packages: bool, text_column: str, label_column: str
) -> None:
    """Run the loop once: import, annotate, learn, stream, exception, answer, export."""
    samples = _samples(path, packages, text_column, label_column)
    try:
        if token:
            with httpx2.Client(base_url=url, headers={"Authorization": f"Token {token}"}, timeout=60) as client:
                Demo(client, samples).run()
            return
        with _own_server() as client:
            Demo(client, samples).run()
    except httpx2.HTTPError as error:
        raise click.ClickException(f"{url} does not answer as it should: {error}") from error


def _samples(path: Path | None, packages: bool, text_column: str, label_column: str) -> list[Sample]:
    if path is not None:
        return texts.from_file(path, text_column, label_column)
    return texts.from_packages() if packages else sample.generate(GENERATED)


@contextmanager
def _own_server() -> Iterator[httpx2.Client]:
    """A client of a server that lives in a temporary directory and ends with the demo."""
    token = secrets.token_urlsafe(32)
    with tempfile.TemporaryDirectory(prefix="headrace-demo-") as data:
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace", "serve", "--port", "0", "--data", data],
            env={**os.environ, "HEADRACE_ADMIN_TOKEN": token},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            url = _first_url(process)
            click.echo(f"a server of our own runs at {url}")
            with httpx2.Client(base_url=url, headers={"Authorization": f"Token {token}"}, timeout=60) as client:
                yield client
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _first_url(process: "subprocess.Popen[str]") -> str:
    for line in process.stdout or ():
        if " serves http" in line:
            return line.split(" serves ")[1].strip()
    raise click.ClickException("the server did not start; run `headrace serve` to see why")


class Demo:
    """One walk through the loop with one client."""

    def __init__(self, client: httpx2.Client, samples: Sequence[Sample]) -> None:
        self._client = client
        split = int(len(samples) * IMPORTED_SHARE)
        self._imported, self._later = samples[:split], samples[split:]
        self._labels = sorted({label for item in samples for label in item.labels})
        self._name = f"demo-{secrets.token_hex(3)}"
        self._dataset = ""

    def run(self) -> None:
        """All stations in order."""
        task_ids = self._import()
        self._annotate(task_ids)
        version = self._wait_for_model()
        self._promote(version)
        stream = self._open_stream(version)
        results = self._consume(stream)
        if results:
            self._exception(stream, results)
        self._export()
        click.echo(f"done: the project is {self._name!r}, its dataset {self._dataset}")

    def _call(self, method: str, path: str, body: object = None) -> Any:
        answer = self._client.request(method, path, json=body)
        if answer.is_error:
            raise click.ClickException(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def _import(self) -> list[int]:
        config = sample.config_xml(self._labels)
        project = self._call("POST", "/api/projects/", {"title": self._name, "label_config": config})
        self._dataset = self._call("GET", f"/api/v1/datasets/id:{project['id']:016x}")["dataset"]["name"]
        items = [{"text": item.text, **item.properties} for item in self._imported]
        accepted = self._call("POST", f"/api/projects/{project['id']}/import?return_task_ids=true", items)
        status_path = f"/api/projects/{project['id']}/imports/{accepted['import']}/"
        with click.progressbar(length=len(items), label="1 import tasks (Label Studio)   ") as bar:
            while True:
                status = self._call("GET", status_path)
                bar.update(status["task_count"] - bar.pos)
                if status["status"] in ("completed", "failed"):
                    break
                time.sleep(0.2)
        if status["status"] == "failed":
            raise click.ClickException(f"the import failed: {status['error']}")
        click.echo(f"  import {accepted['import']}: {status['task_count']} tasks, ids {_span(status['task_ids'])}")
        self._project = project["id"]
        return list(status["task_ids"])

    def _annotate(self, task_ids: Sequence[int]) -> None:
        count = min(MAX_ANNOTATED, int(len(task_ids) * ANNOTATED_SHARE))
        chosen = list(zip(task_ids, self._imported, strict=True))[:count]
        half = len(chosen) // 2
        source = self._source()
        with click.progressbar(chosen[:half], label="2 annotate (Label Studio)       ") as bar:
            for task_id, item in bar:
                self._call("POST", f"/api/tasks/{task_id}/annotations/", {"result": _choices(item)})
        with click.progressbar(chosen[half:], label="  annotate (Communications Mining)") as bar:
            for task_id, item in bar:
                assigned = [{"name": label, "sentiment": "positive"} for label in item.labels]
                self._label(f"{source}.{task_id:016x}", assigned)
        click.echo(f"  {half} choices and {count - half} labellings train one model")

    def _label(self, uid: str, assigned: Sequence[dict[str, str]]) -> Any:
        body = {"labelling": [{"group": "default", "assigned": assigned, "dismissed": []}]}
        return self._call("POST", f"/api/_private/datasets/default/{self._dataset}/labellings/{uid}", body)

    def _source(self) -> str:
        found = self._call("GET", f"/api/v1/datasets/default/{self._dataset}")
        return str(found["dataset"]["source_ids"][0])

    def _wait_for_model(self) -> int:
        path = f"/api/_private/datasets/default/{self._dataset}/labellers"
        deadline = time.monotonic() + MODEL_SECONDS
        with click.progressbar(length=MODEL_SECONDS, label="3 wait for the model            ", show_eta=False) as bar:
            while time.monotonic() < deadline:
                found = self._call("POST", path, {})["labellers"]
                if found:
                    bar.update(MODEL_SECONDS)
                    break
                time.sleep(0.5)
                bar.update(0.5)  # type: ignore[arg-type]
        if not found:
            raise click.ClickException("no model was trained in time; the server's log says why")
        click.echo(f"  version {found[0]['version']} trained at {found[0]['trained_time']}")
        return int(found[0]["version"])

    def _promote(self, version: int) -> None:
        base = f"/api/_private/datasets/default/{self._dataset}/labellers/{version}/pin"
        self._call("PUT", base)
        tag = f"/api/v1/datasets/default/{self._dataset}/model-tags/prod"
        self._call("PUT", tag, {"model_tag": {"version": version}})
        click.echo(f"4 version {version} is pinned and tagged prod")

    def _open_stream(self, version: int) -> str:
        thresholds = [{"name": label.split(" > "), "threshold": THRESHOLD} for label in self._labels]
        body = {
            "name": "actionable",
            "title": "What a consumer can act on",
            "model": {"version": version, "label_thresholds": thresholds},
        }
        chosen = _common_property(self._later)
        if chosen:
            name, value = chosen
            body["comment_filter"] = {"user_properties": {f"string:{name}": {"one_of": [value]}}}
        path = f"/api/v1/datasets/default/{self._dataset}/streams"
        self._call("PUT", path, {"stream": body})
        shown = f"where {chosen[0]} is {chosen[1]!r}" if chosen else "without a filter"
        click.echo(f"5 stream 'actionable' is open {shown}, labels above {THRESHOLD}")
        return f"{path}/actionable"

    def _consume(self, stream: str) -> list[Any]:
        source = self._call("GET", f"/api/v1/sources/id:{self._source()}")["source"]["name"]
        comments = [_comment(number, item) for number, item in enumerate(self._later)]
        for start in range(0, len(comments), BATCH):
            self._call("POST", f"/api/v1/sources/default/{source}/sync", {"comments": comments[start : start + BATCH]})
        click.echo(f"  {len(comments)} new comments came in (Communications Mining)")
        results: list[Any] = []
        filtered = 0
        with click.progressbar(length=len(comments), label="6 fetch and advance             ") as bar:
            while True:
                batch = self._call("POST", f"{stream}/fetch", {"size": BATCH})
                self._call("POST", f"{stream}/advance", {"sequence_id": batch["sequence_id"]})
                results += batch["results"]
                filtered += batch["filtered"]
                bar.update(len(batch["results"]) + batch["filtered"])
                if batch["is_end_sequence"]:
                    break
        labelled = sum(bool(result["labels"]) for result in results)
        click.echo(f"  {len(results)} delivered ({labelled} with labels), {filtered} filtered out")
        return results

    def _exception(self, stream: str, results: Sequence[Any]) -> None:
        doubtful = min(results, key=lambda result: max([0, *(label["probability"] for label in result["labels"])]))
        uid = doubtful["comment"]["uid"]
        body = {"exceptions": [{"uid": uid, "metadata": {"type": "No Prediction"}}]}
        self._call("PUT", f"{stream}/exceptions", body)
        path = f"/api/_private/datasets/default/{self._dataset}/labellings?id={uid}"
        seen = self._call("GET", path)["results"][0]
        click.echo(f"7 exception tagged on {uid}; the labelling side sees {seen['trigger_exceptions']}")
        truth = self._later[int(doubtful["comment"]["id"].split("-")[1])].labels
        self._label(uid, [{"name": label, "sentiment": "positive"} for label in truth])
        answered = self._call("GET", path)["results"][0]
        assigned = [label["name"] for label in answered["labelling"][0]["assigned"]]
        click.echo(f"8 labelled {assigned}; the exception is now {answered['trigger_exceptions']}")

    def _export(self) -> None:
        count = annotated = 0
        body: dict[str, object] = {"limit": 256}
        total = len(self._imported) + len(self._later)
        with click.progressbar(length=total, label="9 export (Communications Mining)") as bar:
            while True:
                page = self._call("POST", f"/api/v1/datasets/default/{self._dataset}/export", body)
                count += len(page["comments"])
                annotated += sum(bool(item["annotations"]["labels"]["assigned"]) for item in page["comments"])
                bar.update(len(page["comments"]))
                if "continuation" not in page:
                    break
                body["continuation"] = page["continuation"]
        click.echo(f"  {count} comments exported, {annotated} with labels from people")


def _choices(item: Sample) -> list[dict[str, object]]:
    return [{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": list(item.labels)}}]


def _comment(number: int, item: Sample) -> dict[str, object]:
    properties = {
        f"{'string' if isinstance(value, str) else 'number'}:{name}": value for name, value in item.properties.items()
    }
    return {
        "id": f"later-{number}",
        "timestamp": "2026-01-01T00:00:00Z",
        "messages": [{"body": {"text": item.text}}],
        "user_properties": properties,
    }


def _common_property(samples: Sequence[Sample]) -> tuple[str, str] | None:
    """A text property with several values, and its most frequent value."""
    values: dict[str, Counter[str]] = {}
    for item in samples:
        for name, value in item.properties.items():
            if isinstance(value, str):
                values.setdefault(name, Counter())[value] += 1
    telling = [(name, counts) for name, counts in values.items() if 2 <= len(counts) <= 50]
    return (telling[0][0], telling[0][1].most_common(1)[0][0]) if telling else None


def _span(numbers: Sequence[int]) -> str:
    return f"{numbers[0]}..{numbers[-1]}" if numbers else "none"
