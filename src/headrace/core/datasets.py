"""Datasets: labelling views over sources, with labels, annotations, models and streams.

A Label Studio project is a dataset with a source of its own (`own_source_id`) and a label config.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core.errors import Invalid, NotFound, TooLarge
from headrace.core.projects import check_name, check_texts
from headrace.core.projects import load as load_project
from headrace.core.rights import Permission, Principal, Scope
from headrace.core.sources import Ref, describe

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_SOURCES = 1024
MAX_LABEL_PART = 64
SEPARATOR = " > "
MODEL_FAMILIES = (
    "english",
    "multilingual",
    "german",
    "english-dev",
    "german-dev",
    "random",
    "transformer-english",
    "transformer-xlm",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """One labelling view. `settings` holds what only one dialect cares about, as it was sent."""

    id: int
    project_id: int
    project: str
    name: str
    title: str
    description: str
    model_family: str
    has_sentiment: bool
    own_source_id: int | None
    label_config: str
    settings: Mapping[str, object]
    source_ids: tuple[int, ...]
    created_at: int
    updated_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """A name in a dataset's taxonomy, `Parent > Child`, with what its author wrote about it."""

    name: str
    title: str = ""
    instructions: str = ""
    definition: Mapping[str, object]


class Datasets(Protocol):
    """Storage of datasets, the sources they view, and their labels."""

    def insert(
        self,
        *,
        project_id: int,
        name: str,
        title: str,
        description: str,
        model_family: str,
        has_sentiment: bool,
        settings: Mapping[str, object],
    ) -> Dataset:
        """Store a new dataset without sources; raises Conflict when the name is taken in the project."""

    def get(self, ref: Ref, scope: Scope) -> Dataset | None:
        """The dataset, when it is in scope."""

    def all(self, scope: Scope, project: str | None = None) -> list[Dataset]:
        """The datasets in scope by id, of one project or of all."""

    def owning(self, record_id: int, scope: Scope) -> Dataset | None:
        """The dataset whose own source holds the record, when it is in scope."""

    def owner(self, source_id: int) -> int | None:
        """The id of the dataset whose own source this is."""

    def viewing(self, source_id: int) -> list[int]:
        """Ids of the datasets that view a source."""

    def update(self, dataset_id: int, changes: Mapping[str, object]) -> Dataset:
        """Set the columns named; `settings` are merged."""

    def set_sources(self, dataset_id: int, source_ids: Sequence[int]) -> None:
        """Make the dataset view exactly these sources, in this order."""

    def delete(self, dataset_id: int) -> None:
        """Remove the dataset with its labels, annotations, models and streams; a source of its own goes too."""

    def labels(self, dataset_id: int) -> list[Label]:
        """The labels in the order given."""

    def set_labels(self, dataset_id: int, taxonomy: Sequence[Label]) -> None:
        """Replace the whole taxonomy."""

    def ensure_labels(self, dataset_id: int, names: Sequence[str]) -> None:
        """Append labels that are not there yet."""


def load(tx: "Tx", who: Principal, ref: Ref, *needs: Permission) -> Dataset:
    """The dataset as far as the caller may know of it; raises NotFound, or Forbidden when a need is unmet."""
    dataset = tx.datasets.get(ref, who.scope)
    if dataset is None:
        raise NotFound(f"there is no dataset {describe(ref)}", fields={"dataset": describe(ref)})
    who.require(dataset.project_id, *needs)
    return dataset


def list_datasets(tx: "Tx", who: Principal, project: str | None = None) -> list[Dataset]:
    """The datasets whose labels the caller may view, of one project (which must exist for them) or of all."""
    if project is not None:
        load_project(tx, who, project)
    return tx.datasets.all(who.scope_with(Permission.VIEW_LABELS), project)


def create(
    tx: "Tx",
    who: Principal,
    *,
    project: str,
    name: str,
    changes: Mapping[str, object],
    labels: Sequence[Label] = (),
) -> Dataset:
    """Create a dataset; `changes` may hold title, description, model_family, has_sentiment, settings, source_ids."""
    owner = load_project(tx, who, project)
    who.require(owner.id, Permission.MODIFY_DATASETS)
    check_name(name, "dataset name")
    if tx.datasets.get((project, name), None):
        raise Invalid(f"the dataset '{project}/{name}' exists already", fields={"name": name})
    checked = _checked(tx, who, changes)
    source_ids = checked.pop("source_ids", ())
    dataset = tx.datasets.insert(project_id=owner.id, name=name, **_with_defaults(checked))  # type: ignore[arg-type]
    tx.datasets.set_sources(dataset.id, source_ids)  # type: ignore[arg-type]
    tx.datasets.set_labels(dataset.id, _checked_labels(labels))
    _event(tx, who, dataset, "dataset.created")
    return load(tx, who, dataset.id)


def update(
    tx: "Tx", who: Principal, ref: Ref, changes: Mapping[str, object], labels: Sequence[Label] | None = None
) -> Dataset:
    """Change what is named; an absent key keeps, an empty `source_ids` clears."""
    dataset = load(tx, who, ref, Permission.DATASETS_ADMIN)
    checked = _checked(tx, who, changes, keep=dataset.source_ids)
    source_ids = checked.pop("source_ids", None)
    if source_ids is not None:
        tx.datasets.set_sources(dataset.id, source_ids)  # type: ignore[arg-type]
        tx.models.predict_again(dataset.id)
    if labels is not None:
        tx.datasets.set_labels(dataset.id, _checked_labels(labels))
    tx.datasets.update(dataset.id, checked)
    _event(tx, who, dataset, "dataset.updated")
    return load(tx, who, dataset.id)


def delete(tx: "Tx", who: Principal, ref: Ref) -> None:
    """Delete a dataset; the sources it views and their records stay, but a source of its own goes with it."""
    dataset = load(tx, who, ref, Permission.DATASETS_ADMIN)
    tx.datasets.delete(dataset.id)
    deleted(tx, who, dataset)


def deleted(tx: "Tx", who: Principal, dataset: Dataset) -> None:
    """Say in the log that a dataset is gone, and whether it had tasks of its own."""
    _event(tx, who, dataset, "dataset.deleted", {"name": dataset.name, "has_tasks": dataset.own_source_id is not None})


def of_record(tx: "Tx", who: Principal, record_id: int, *needs: Permission) -> Dataset:
    """The dataset in whose own source the record lies (the project of a task); raises NotFound."""
    dataset = tx.datasets.owning(record_id, who.scope)
    if dataset is None:
        raise NotFound("there is no such record", fields={"record": record_id})
    who.require(dataset.project_id, *needs)
    return dataset


def with_parents(names: Sequence[str]) -> list[str]:
    """The label names, each preceded by its parents, every name once."""
    found: dict[str, None] = {}
    for name in names:
        parts = name.split(SEPARATOR)
        found.update((SEPARATOR.join(parts[: depth + 1]), None) for depth in range(len(parts)))
    return list(found)


def check_label_name(name: str) -> str:
    """The label's name; raises Invalid when a part is empty or longer than 64 characters."""
    if not is_label_name(name):
        raise Invalid(
            f"a label's parts must have 1 to {MAX_LABEL_PART} characters: '{name[:100]}'",
            fields={"label": name[:100]},
        )
    return name


def is_label_name(name: str) -> bool:
    """True for a name that `check_label_name` lets pass."""
    return all(part.strip() and len(part) <= MAX_LABEL_PART for part in name.split(SEPARATOR))


def _checked_labels(labels: Sequence[Label]) -> list[Label]:
    names = [check_label_name(label.name) for label in labels]
    if len(set(names)) != len(names):
        raise Invalid("label_defs names a label twice", fields={"label_defs": len(names)})
    return list(labels)


def _checked(tx: "Tx", who: Principal, changes: Mapping[str, object], keep: Sequence[int] = ()) -> dict[str, object]:
    checked = dict(changes)
    check_texts(checked.get("title"), checked.get("description"))  # type: ignore[arg-type]
    family = checked.get("model_family", "english")
    if family not in MODEL_FAMILIES:
        raise Invalid(
            f"'{family}' is not one of {', '.join(MODEL_FAMILIES)}", fields={"model_family": str(family)[:80]}
        )
    if checked.get("source_ids") is not None:
        checked["source_ids"] = _checked_sources(tx, who, checked["source_ids"], keep)  # type: ignore[arg-type]
    return checked


def _checked_sources(tx: "Tx", who: Principal, wanted: Sequence[int], keep: Sequence[int]) -> list[int]:
    source_ids = list(dict.fromkeys(wanted))
    if len(source_ids) > MAX_SOURCES:
        raise TooLarge(f"source_ids holds more than {MAX_SOURCES} ids", fields={"source_ids": len(source_ids)})
    visible = tx.sources.known(tuple(source_ids), who.scope_with(Permission.VIEW_SOURCES))
    unknown = [source_id for source_id in source_ids if source_id not in visible and source_id not in keep]
    if unknown:
        raise Invalid(
            f"source_ids names an unknown source: {unknown[0]:016x}",
            fields={"source_ids": f"{unknown[0]:016x}"},
        )
    return source_ids


def _with_defaults(checked: Mapping[str, object]) -> dict[str, object]:
    defaults: dict[str, object] = {
        "title": "",
        "description": "",
        "model_family": "english",
        "has_sentiment": True,
        "settings": {},
    }
    return defaults | dict(checked)


def _event(tx: "Tx", who: Principal, dataset: Dataset, kind: str, data: Mapping[str, object] | None = None) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=dataset.id,
        data=data,
    )
