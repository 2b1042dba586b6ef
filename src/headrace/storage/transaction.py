"""One transaction with its repositories: what core functions get as `tx`."""

from collections.abc import Callable
from functools import cached_property

from sqlalchemy import Connection

from headrace.storage.annotations import AnnotationRepository
from headrace.storage.attachments import AttachmentRepository
from headrace.storage.buckets import BucketRepository
from headrace.storage.datasets import DatasetRepository
from headrace.storage.events import EventRepository, ReplyRepository
from headrace.storage.imports import ImportRepository
from headrace.storage.jobs import JobRepository
from headrace.storage.matching import QueryRepository
from headrace.storage.models import ModelRepository, PredictionRepository
from headrace.storage.projects import ProjectRepository
from headrace.storage.records import RecordRepository
from headrace.storage.session import Session
from headrace.storage.snapshots import SnapshotRepository
from headrace.storage.sources import SourceRepository
from headrace.storage.streams import ExceptionRepository, StreamRepository
from headrace.storage.tasks import TaskRepository
from headrace.storage.users import UserRepository
from headrace.storage.webhooks import WebhookRepository


class Transaction:
    """See `core.store.Tx`. Repositories are made when they are first asked for."""

    def __init__(self, conn: Connection, *, epoch: int, postgres: bool, wake: Callable[[], None]) -> None:
        self.session = Session(conn, epoch, postgres)
        self._wake = wake

    @property
    def epoch(self) -> int:
        """The log's epoch."""
        return self.session.epoch

    def now(self) -> int:
        """Microseconds since the epoch by this machine's clock."""
        return self.session.now()

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run an action once the transaction is on disk."""
        self.session.after_commit(action)

    def committed(self) -> None:
        """Run what was to be run after the commit; the store calls this."""
        for action in self.session.actions:
            action()

    @cached_property
    def projects(self) -> ProjectRepository:
        return ProjectRepository(self.session)

    @cached_property
    def users(self) -> UserRepository:
        return UserRepository(self.session)

    @cached_property
    def buckets(self) -> BucketRepository:
        return BucketRepository(self.session)

    @cached_property
    def sources(self) -> SourceRepository:
        return SourceRepository(self.session)

    @cached_property
    def records(self) -> RecordRepository:
        return RecordRepository(self.session)

    @cached_property
    def attachments(self) -> AttachmentRepository:
        return AttachmentRepository(self.session)

    @cached_property
    def queries(self) -> QueryRepository:
        return QueryRepository(self.session)

    @cached_property
    def datasets(self) -> DatasetRepository:
        return DatasetRepository(self.session)

    @cached_property
    def annotations(self) -> AnnotationRepository:
        return AnnotationRepository(self.session)

    @cached_property
    def models(self) -> ModelRepository:
        return ModelRepository(self.session)

    @cached_property
    def predictions(self) -> PredictionRepository:
        return PredictionRepository(self.session)

    @cached_property
    def streams(self) -> StreamRepository:
        return StreamRepository(self.session)

    @cached_property
    def exceptions(self) -> ExceptionRepository:
        return ExceptionRepository(self.session)

    @cached_property
    def imports(self) -> ImportRepository:
        return ImportRepository(self.session)

    @cached_property
    def tasks(self) -> TaskRepository:
        return TaskRepository(self.session)

    @cached_property
    def snapshots(self) -> SnapshotRepository:
        return SnapshotRepository(self.session)

    @cached_property
    def jobs(self) -> JobRepository:
        return JobRepository(self.session, self._wake)

    @cached_property
    def events(self) -> EventRepository:
        return EventRepository(self.session, self.webhooks.wake_listeners)

    @cached_property
    def webhooks(self) -> WebhookRepository:
        return WebhookRepository(self.session, self.jobs)

    @cached_property
    def replies(self) -> ReplyRepository:
        return ReplyRepository(self.session)
