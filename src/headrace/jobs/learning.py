"""Training and prediction: the jobs that turn annotations into models and records into predictions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from headrace.core import content, learning, model_rating, shortlist, streams, validation
from headrace.core.annotations import Annotation, Assigned
from headrace.core.datasets import Dataset
from headrace.core.errors import Unavailable
from headrace.core.jobs import Job
from headrace.core.matching import Selection
from headrace.core.models import Model, Scores
from headrace.core.records import Record
from headrace.core.shortlist import Aim
from headrace.core.store import Store, Tx
from headrace.jobs.worker import JobContext
from headrace.learning.process import Learner
from headrace.learning.values import Example, LearnerFailed, NotEnoughExamples, Trained, Worth

READ_CHUNK = 2000
PREDICT_CHUNK = 1000
PROGRESS_STEPS = 100
RECENT = 400


class LearnedPredictor:
    """Predicts with stored artefacts in the learning process. See `core.models.Predictor`."""

    def __init__(self, store: Store, learner: Learner) -> None:
        self._store = store
        self._learner = learner

    def predict(self, model: Model, texts: Sequence[str]) -> list[Scores]:
        """The scores of each text, in order; raises Unavailable when the learning process cannot answer."""
        with _unavailable():
            found = self._learner.predict(model.digest, lambda: self._artefact(model.digest), texts)
        return [Scores(item.probabilities, item.sentiment) for item in found]

    def weigh(self, model: Model, texts: Sequence[str]) -> tuple[list[Scores], Worth]:
        """The scores of each text, and what labelling it would teach; raises Unavailable as `predict` does."""
        positives = {name: curve.positives for name, curve in validation.curves(model).items()}
        weights = shortlist.label_weights(model.labels, positives)
        with _unavailable():
            found, worth = self._learner.weigh(model.digest, lambda: self._artefact(model.digest), texts, weights)
        return [Scores(item.probabilities, item.sentiment) for item in found], worth

    def _artefact(self, digest: str) -> bytes:
        return self._store.read(lambda tx: tx.models.artefact(digest))


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except LearnerFailed as error:
        raise Unavailable("predictions cannot be computed just now", fields={"retry_after": 5}) from error


def train(job: Job, ctx: JobContext) -> None:
    """Train a dataset on its current annotations and store the next version, unless nothing has changed."""
    dataset_id = int(str(job.payload["dataset_id"]))
    dataset = ctx.store.read(lambda tx: tx.datasets.get(dataset_id, None))
    if dataset is None:
        ctx.store.write(lambda tx: tx.jobs.finish(job))
        return
    examples = list(_examples(ctx.store, dataset))

    def progressed(share: float) -> None:
        done = int(share * PROGRESS_STEPS)
        ctx.store.write(lambda tx: tx.jobs.heartbeat(job, done=done, total=PROGRESS_STEPS))

    recent, agreed = ctx.store.read(lambda tx: (_recent(tx, dataset), _agreements(tx, dataset)))
    try:
        trained = ctx.learner.train(examples, dataset.model_family, recent=recent, progress=progressed)
    except NotEnoughExamples:
        ctx.store.write(lambda tx: tx.jobs.finish(job))
        return
    rated = replace(trained, metrics=model_rating.with_reasons(trained.metrics, agreed))
    ctx.store.write(lambda tx: _store_model(tx, job, dataset, rated, len(examples)))


def _recent(tx: Tx, dataset: Dataset) -> list[str]:
    """Texts of the newest records that nobody reviewed."""
    unreviewed = Selection(source_ids=dataset.source_ids, reviewed=False, dataset_id=dataset.id)
    return _texts(tx, dataset, tx.queries.newest(unreviewed, None, RECENT))


def _agreements(tx: Tx, dataset: Dataset) -> dict[str, model_rating.Agreement]:
    return model_rating.agreements(tx.annotations.contested(dataset.id, model_rating.MAX_CONTESTED))


def _texts(tx: Tx, dataset: Dataset, records: Sequence[Record]) -> list[str]:
    keys = streams.text_keys(tx, dataset)
    return [content.text(record.kind, record.body, keys.get(record.source_id, ())) for record in records]


def _examples(store: Store, dataset: Dataset) -> Iterator[Example]:
    """The dataset's reviewed texts with their labels, read chunk by chunk."""
    after = 0
    while found := store.read(lambda tx, after=after: tx.annotations.reviewed(dataset.id, after, READ_CHUNK)):  # type: ignore[misc]
        yield from store.read(lambda tx, found=found: _chunk(tx, dataset, found))  # type: ignore[misc]
        after = found[-1].record_id


def _chunk(tx: Tx, dataset: Dataset, found: Sequence[Annotation]) -> list[Example]:
    keys = streams.text_keys(tx, dataset)
    records = tx.records.by_ids([item.record_id for item in found], dataset.source_ids)
    labels = {item.record_id: item.judgement.labels for item in found}
    return [
        Example(
            text=content.text(record.kind, record.body, keys.get(record.source_id, ())),
            labels=tuple(label.name for label in labels[record.id]),
            sentiment=_sentiment(dataset, labels[record.id]),
        )
        for record in records
    ]


def _sentiment(dataset: Dataset, labels: Sequence[Assigned]) -> dict[str, float] | None:
    if not dataset.has_sentiment:
        return None
    return {label.name: 1.0 if label.sentiment == "positive" else -1.0 for label in labels}


def _store_model(tx: Tx, job: Job, dataset: Dataset, trained: Trained, reviewed: int) -> None:
    tx.jobs.finish(job)
    latest = tx.models.latest(dataset.id)
    if latest is not None and latest.digest == trained.digest:
        return
    model = tx.models.insert(
        dataset.id,
        family=dataset.model_family,
        labels=trained.labels,
        artefact=trained.artefact,
        digest=trained.digest,
        metrics=trained.metrics,
        reviewed_size=reviewed,
    )
    tx.models.sweep(dataset.id, learning.KEEP_VERSIONS)
    learning.predict_soon(tx, dataset.id)
    tx.events.add(
        "model.trained",
        actor_id=None,
        project_id=dataset.project_id,
        dataset_id=dataset.id,
        subject_id=model.id,
        data={"version": model.version, "reviewed_size": reviewed},
    )


def predict(job: Job, ctx: JobContext) -> None:
    """Store what the dataset's serving versions say of records that came or changed since they last looked."""
    dataset_id = int(str(job.payload["dataset_id"]))
    predictor = LearnedPredictor(ctx.store, ctx.learner)
    dataset = ctx.store.read(lambda tx: tx.datasets.get(dataset_id, None))
    serving = ctx.store.read(lambda tx: tx.models.serving(dataset_id)) if dataset else []
    models = [model for model in serving if not model.registered]
    done = 0
    for model in models:
        chunk = _Chunk(job=job, ctx=ctx, dataset_id=dataset_id, version=model.version, listed=model is models[0])
        while dataset and (count := _predict_chunk(chunk, dataset, predictor, done)):
            done += count
    ctx.store.write(lambda tx: tx.jobs.finish(job))


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    """What a prediction job works at; the newest version's answers are also `listed` by their worth."""

    job: Job
    ctx: JobContext
    dataset_id: int
    version: int
    listed: bool


def _predict_chunk(chunk: _Chunk, dataset: Dataset, predictor: LearnedPredictor, done: int) -> int:
    """Predict the next records behind the model's position; answers how many there were."""

    def due(tx: Tx) -> tuple[Model, list[Record], list[str]] | None:
        model = tx.models.get(dataset.id, chunk.version)
        if model is None:
            return None
        records = tx.records.after(dataset.source_ids, model.predicted, PREDICT_CHUNK)
        return model, records, _texts(tx, dataset, records)

    found = chunk.ctx.store.read(due)
    if found is None or not found[1]:
        return 0
    model, records, texts = found
    scores, worth = predictor.weigh(model, texts) if chunk.listed else (predictor.predict(model, texts), None)
    rows = [(record.id, record.version, score) for record, score in zip(records, scores, strict=True)]

    def save(tx: Tx) -> None:
        tx.jobs.heartbeat(chunk.job, done=done + len(rows), total=0)
        if worth is not None:
            _list(tx, dataset, model, rows, worth)
        tx.predictions.save(model.id, rows)
        tx.models.set_predicted(model.id, records[-1].position)

    chunk.ctx.store.write(save)
    return len(records)


def _list(tx: Tx, dataset: Dataset, model: Model, rows: Sequence[tuple[int, int, Scores]], worth: Worth) -> None:
    """Put what nobody has reviewed yet on the dataset's shortlist."""
    record_ids = [record_id for record_id, _, _ in rows]
    reviewed = tx.annotations.current(dataset.id, record_ids)
    open_ones = [place for place, record_id in enumerate(record_ids) if record_id not in reviewed]
    tx.shortlists.offer(
        dataset.id,
        [record_ids[place] for place in open_ones],
        {
            Aim.UNCERTAINTY: [worth.uncertainty[place] for place in open_ones],
            Aim.NEED: [worth.need[place] for place in open_ones],
            Aim.NOVELTY: [worth.novelty[place] for place in open_ones],
            Aim.DISAGREEMENT: _apart(tx, dataset, model, [rows[place] for place in open_ones]),
        },
    )


def _apart(tx: Tx, dataset: Dataset, model: Model, rows: Sequence[tuple[int, int, Scores]]) -> list[float]:
    """How far the version and the one before it are apart about each record; 0 for what that one did not predict."""
    before = tx.models.all(dataset.id, before=model.version, limit=1)
    known = tx.predictions.of(before[0].id, [record_id for record_id, _, _ in rows]) if before else {}
    return [
        shortlist.disagreement(model.labels, scores.values(), before[0].labels, known[record_id].values())
        if record_id in known
        else 0.0
        for record_id, _, scores in rows
    ]
