"""Training and prediction: the jobs that turn annotations into models and records into predictions."""

from collections.abc import Iterator, Sequence

from headrace.core import content, learning, streams
from headrace.core.annotations import Annotation, Assigned
from headrace.core.datasets import Dataset
from headrace.core.errors import Unavailable
from headrace.core.jobs import Job
from headrace.core.models import Model, Scores
from headrace.core.records import Record
from headrace.core.store import Store, Tx
from headrace.jobs.worker import JobContext
from headrace.learning.process import Learner
from headrace.learning.values import Example, LearnerFailed, NotEnoughExamples, Trained

READ_CHUNK = 2000
PREDICT_CHUNK = 1000
PROGRESS_STEPS = 100


class LearnedPredictor:
    """Predicts with stored artefacts in the learning process. See `core.models.Predictor`."""

    def __init__(self, store: Store, learner: Learner) -> None:
        self._store = store
        self._learner = learner

    def predict(self, model: Model, texts: Sequence[str]) -> list[Scores]:
        """The scores of each text, in order; raises Unavailable when the learning process cannot answer."""
        try:
            found = self._learner.predict(model.digest, lambda: self._artefact(model.digest), texts)
        except LearnerFailed as error:
            raise Unavailable("predictions cannot be computed just now", fields={"retry_after": 5}) from error
        return [Scores(item.probabilities, item.sentiment) for item in found]

    def _artefact(self, digest: str) -> bytes:
        return self._store.read(lambda tx: tx.models.artefact(digest))


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

    try:
        trained = ctx.learner.train(examples, dataset.model_family, progress=progressed)
    except NotEnoughExamples:
        ctx.store.write(lambda tx: tx.jobs.finish(job))
        return
    ctx.store.write(lambda tx: _store_model(tx, job, dataset, trained, len(examples)))


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
    models = ctx.store.read(lambda tx: tx.models.serving(dataset_id)) if dataset else []
    done = 0
    for model in models:
        while dataset and (count := _predict_chunk(job, ctx, dataset, model.version, predictor, done)):
            done += count
    ctx.store.write(lambda tx: tx.jobs.finish(job))


def _predict_chunk(
    job: Job, ctx: JobContext, dataset: Dataset, version: int, predictor: LearnedPredictor, done: int
) -> int:
    """Predict the next records behind the model's position; answers how many there were."""

    def due(tx: Tx) -> tuple[Model, list[Record], list[str]] | None:
        model = tx.models.get(dataset.id, version)
        if model is None:
            return None
        keys = streams.text_keys(tx, dataset)
        records = tx.records.after(dataset.source_ids, model.predicted, PREDICT_CHUNK)
        texts = [content.text(record.kind, record.body, keys.get(record.source_id, ())) for record in records]
        return model, records, texts

    found = ctx.store.read(due)
    if found is None or not found[1]:
        return 0
    model, records, texts = found
    scores = predictor.predict(model, texts)
    rows = [(record.id, record.version, score) for record, score in zip(records, scores, strict=True)]

    def save(tx: Tx) -> None:
        tx.jobs.heartbeat(job, done=done + len(rows), total=0)
        tx.predictions.save(model.id, rows)
        tx.models.set_predicted(model.id, records[-1].position)

    ctx.store.write(save)
    return len(records)
