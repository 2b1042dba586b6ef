"""Models: numbered, immutable versions trained on a dataset's annotations; pinned and tagged by people."""

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import datasets
from headrace.core.errors import Invalid, NotFound
from headrace.core.positions import Position
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref

if TYPE_CHECKING:
    from headrace.core.imports import PushedPrediction
    from headrace.core.store import Tx

MAX_PAGE = 100
LATEST = "latest"
TAG_NAME = re.compile(r"[A-Za-z0-9-_.]{1,128}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One version. `labels` gives the order of its probabilities; `digest` names its artefact.

    Its predictions are stored for records up to the position `predicted`.
    """

    id: int
    dataset_id: int
    version: int
    family: str
    labels: tuple[str, ...]
    digest: str
    metrics: Mapping[str, object]
    reviewed_size: int
    trained_at: int
    pinned: bool
    predicted: Position

    @property
    def registered(self) -> bool:
        """True for a version that was trained elsewhere: it has no artefact, only what was pushed under its name."""
        return not self.digest


class Scores(NamedTuple):
    """A model's word on one record: one float32 (little-endian) a label, and a sentiment from -1 to 1."""

    probabilities: bytes
    sentiment: float | None

    def values(self) -> list[float]:
        """The probabilities as numbers, in the order of the model's labels."""
        return array("f", self.probabilities).tolist()


class Predicted(NamedTuple):
    """A predicted label of one record."""

    name: str
    probability: float
    sentiment: float | None


class ModelTag(NamedTuple):
    """A name such as `prod` that points at a version."""

    name: str
    version: int
    updated_at: int


class Pushed(NamedTuple):
    """A stored prediction that was made elsewhere; the time is in microseconds since the epoch."""

    id: int
    record_id: int
    prediction: "PushedPrediction"
    created_at: int


class Models(Protocol):
    """Storage of models, their artefacts and tags."""

    def insert(
        self,
        dataset_id: int,
        *,
        family: str,
        labels: Sequence[str],
        artefact: bytes,
        digest: str,
        metrics: Mapping[str, object],
        reviewed_size: int,
    ) -> Model:
        """Store a version under the dataset's next number, which is never used again."""

    def get(self, dataset_id: int, version: int) -> Model | None:
        """One version."""

    def register(self, dataset_id: int, name: str, labels: Sequence[str]) -> Model:
        """Store a version that was trained elsewhere under the next number, pinned; the name means it from now on."""

    def registered(self, dataset_id: int, name: str) -> Model | None:
        """The newest version that was registered under a name."""

    def registered_name(self, model_id: int) -> str | None:
        """The name under which a version was registered."""

    def latest(self, dataset_id: int) -> Model | None:
        """The newest version that was trained here, else the newest one that was registered."""

    def all(self, dataset_id: int, *, before: int | None, limit: int) -> list[Model]:
        """Versions, newest first, optionally only those older than one."""

    def artefact(self, digest: str) -> bytes:
        """The bytes of an artefact; raises NotFound."""

    def set_pinned(self, model_id: int, pinned: bool) -> None:
        """Pin or unpin a version."""

    def serving(self, dataset_id: int) -> list[Model]:
        """The versions whose predictions are kept up: the latest, and those that a stream names."""

    def set_predicted(self, model_id: int, position: Position) -> None:
        """Say up to which position the model's predictions are stored."""

    def predict_again(self, dataset_id: int) -> None:
        """Have all versions predict from the start: the dataset views other sources now."""

    def sweep(self, dataset_id: int, keep: int) -> int:
        """Remove old versions that nothing pins, tags or streams, beyond the newest `keep`; answers how many."""

    def tags(self, dataset_id: int) -> list[ModelTag]:
        """The dataset's tags by name."""

    def set_tag(self, dataset_id: int, name: str, version: int) -> ModelTag:
        """Point a tag at a version."""

    def delete_tag(self, dataset_id: int, name: str) -> bool:
        """Remove a tag; False when there is none of that name."""


class Predictions(Protocol):
    """Storage of what models said of records."""

    def save(self, model_id: int, rows: Sequence[tuple[int, int, Scores]]) -> int:
        """Store scores as (record id, record version, scores); rows whose record has changed since are dropped."""

    def of(self, model_id: int, record_ids: Sequence[int]) -> dict[int, Scores]:
        """What is stored of a model for the records."""

    def push(self, dataset_id: int, rows: Sequence[tuple[int, "PushedPrediction"]]) -> None:
        """Store predictions made elsewhere, as (record id, prediction)."""

    def pushed(self, dataset_id: int, record_ids: Sequence[int]) -> list[Pushed]:
        """The predictions made elsewhere for the records, by id."""

    def forget(self, record_ids: Sequence[int]) -> None:
        """Drop what was computed for the records: their text has changed."""


class Predictor(Protocol):
    """Computes scores outside this process."""

    def predict(self, model: Model, texts: Sequence[str]) -> list[Scores]:
        """The scores of each text, in order."""


def load(tx: "Tx", dataset_id: int, version: int) -> Model:
    """A version of the dataset; raises NotFound."""
    model = tx.models.get(dataset_id, version)
    if model is None:
        raise NotFound(f"there is no model version {version} in the dataset", fields={"version": version})
    return model


def find(tx: "Tx", dataset_id: int, version: int | str) -> Model:
    """A version of the dataset by number, by tag, or `latest`; raises NotFound."""
    if isinstance(version, int):
        return load(tx, dataset_id, version)
    if version == LATEST:
        newest = tx.models.latest(dataset_id)
        if newest is None:
            raise NotFound("the dataset has no model yet", fields={"version": LATEST})
        return newest
    tagged = [tag.version for tag in tx.models.tags(dataset_id) if tag.name == version]
    if not tagged:
        raise NotFound(f"'{version[:40]}' is not a model version or a tag of one", fields={"version": version[:40]})
    return load(tx, dataset_id, tagged[0])


def list_models(tx: "Tx", who: Principal, ref: Ref, *, before: int | None, limit: int) -> list[Model]:
    """The dataset's versions, newest first."""
    dataset = datasets.load(tx, who, ref, Permission.VIEW_LABELS)
    return tx.models.all(dataset.id, before=before, limit=limit)


def pin(tx: "Tx", who: Principal, ref: Ref, version: int, pinned: bool) -> Model:
    """Pin or unpin a version, so that it is kept."""
    dataset = datasets.load(tx, who, ref, Permission.MODELS_ADMIN)
    model = load(tx, dataset.id, version)
    tx.models.set_pinned(model.id, pinned)
    _event(tx, who, dataset, "model.pinned" if pinned else "model.unpinned", {"version": version})
    return load(tx, dataset.id, version)


def tags(tx: "Tx", who: Principal, ref: Ref) -> list[ModelTag]:
    """The dataset's model tags."""
    return tx.models.tags(datasets.load(tx, who, ref, Permission.MODELS_ADMIN).id)


def tag(tx: "Tx", who: Principal, ref: Ref, name: str, version: int) -> ModelTag:
    """Point a tag at a version, pinning it; raises Invalid for a bad name, NotFound for an unknown version."""
    dataset = datasets.load(tx, who, ref, Permission.MODELS_ADMIN)
    if not TAG_NAME.fullmatch(name):
        raise Invalid("a model tag must match [A-Za-z0-9-_.]{1,128}", fields={"name": name[:80]})
    model = load(tx, dataset.id, version)
    tx.models.set_pinned(model.id, True)
    _event(tx, who, dataset, "model.tagged", {"tag": name, "version": version})
    return tx.models.set_tag(dataset.id, name, version)


def untag(tx: "Tx", who: Principal, ref: Ref, name: str) -> None:
    """Remove a tag; raises NotFound."""
    dataset = datasets.load(tx, who, ref, Permission.MODELS_ADMIN)
    if not tx.models.delete_tag(dataset.id, name):
        raise NotFound(f"there is no model tag '{name[:80]}'", fields={"name": name[:80]})
    _event(tx, who, dataset, "model.untagged", {"tag": name})


def predicted(model: Model, scores: Scores, *, sentiment: bool) -> list[Predicted]:
    """The labels of a model for one record, most probable first."""
    feeling = scores.sentiment if sentiment else None
    pairs = zip(model.labels, scores.values(), strict=True)
    found = [Predicted(name, probability, feeling) for name, probability in pairs]
    return sorted(found, key=lambda item: (-item.probability, item.name))


def _event(tx: "Tx", who: Principal, dataset: datasets.Dataset, kind: str, data: Mapping[str, object]) -> None:
    tx.events.add(kind, actor_id=who.user_id, project_id=dataset.project_id, dataset_id=dataset.id, data=data)
