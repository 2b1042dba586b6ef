"""Texts with labels to demonstrate on: a file of the user's own, or the metadata of installed Python packages."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

import click

from headrace.cli.sample import Sample
from headrace.core.datasets import MAX_LABEL_PART, SEPARATOR

LABEL_SEPARATOR = ";"
MIN_LABEL_COUNT = 4
MAX_TEXT = 2000
MIN_SAMPLES = 20


def from_file(path: Path, text_column: str, label_column: str) -> list[Sample]:
    """The rows of a CSV or JSONL file; raises ClickException when a column is missing or the file too small."""
    csv.field_size_limit(16 * 1024 * 1024)
    rows = list(_csv_rows(path) if path.suffix.lower() == ".csv" else _jsonl_rows(path))
    if len(rows) < MIN_SAMPLES:
        raise click.ClickException(f"{path} has {len(rows)} rows; the loop needs at least {MIN_SAMPLES}")
    for column in (text_column, label_column):
        if column not in rows[0]:
            raise click.ClickException(f"{path} has no column {column!r}; it has {', '.join(sorted(rows[0]))}")
    return [_row(row, text_column, label_column) for row in rows]


def _csv_rows(path: Path) -> Iterator[Mapping[str, object]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _jsonl_rows(path: Path) -> Iterator[Mapping[str, object]]:
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())


def _row(row: Mapping[str, object], text_column: str, label_column: str) -> Sample:
    given = row[label_column] or ""
    names = given if isinstance(given, list) else str(given).split(LABEL_SEPARATOR)
    properties = {
        key: value
        for key, value in row.items()
        if key not in (text_column, label_column) and isinstance(value, str | int | float) and value != ""
    }
    labels = tuple(sorted({str(name).strip() for name in names if str(name).strip()}))
    return Sample(text=str(row[text_column]), labels=labels, properties=properties)


def from_packages() -> list[Sample]:
    """Summary and description of every installed Python package, labelled with its trove classifiers."""
    found = {str(package.metadata["Name"]).lower(): package for package in distributions() if package.metadata["Name"]}
    labels = {name: _classifiers(package) for name, package in found.items()}
    counts = Counter(label for names in labels.values() for label in names)
    samples = [
        Sample(
            text=_description(package),
            labels=tuple(label for label in labels[name] if counts[label] >= MIN_LABEL_COUNT),
            properties={
                "maturity": _maturity(package),
                "requirements": len(package.requires or ()),
            },
        )
        for name, package in sorted(found.items())
    ]
    if len(samples) < MIN_SAMPLES:
        raise click.ClickException(f"only {len(samples)} packages are installed; the loop needs {MIN_SAMPLES}")
    return samples


def _classifiers(package: Distribution) -> list[str]:
    """The classifiers as hierarchical labels, without those that say how old or how free a package is."""
    given = package.metadata.get_all("Classifier") or []
    chosen = [text for text in given if text.startswith(("Topic ::", "Intended Audience ::", "Framework ::"))]
    names = (text.replace(" :: ", SEPARATOR) for text in chosen)
    return sorted({name for name in names if all(len(part) <= MAX_LABEL_PART for part in name.split(SEPARATOR))})


def _maturity(package: Distribution) -> str:
    given = package.metadata.get_all("Classifier") or []
    return next((text.split(" - ")[-1] for text in given if text.startswith("Development Status ::")), "unknown")


def _description(package: Distribution) -> str:
    summary = str(package.metadata["Summary"] or "")
    body = package.metadata.get_payload() or package.metadata["Description"] or ""  # type: ignore[attr-defined]
    return f"{summary}\n{body}"[:MAX_TEXT].replace("\0", "")
