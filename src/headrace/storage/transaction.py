"""One transaction with its repositories: what core functions get as `tx`."""

from collections.abc import Callable
from functools import cached_property

from sqlalchemy import Connection

from headrace.storage.access_tokens import AccessTokenRepository
from headrace.storage.annotations import AnnotationRepository
from headrace.storage.attachments import AttachmentRepository
from headrace.storage.buckets import BucketRepository
from headrace.storage.corrections import CorrectionRepository
from headrace.storage.datasets import DatasetRepository
from headrace.storage.drafts import DraftRepository
from headrace.storage.events import EventRepository, ReplyRepository
from headrace.storage.feedback import FeedbackRepository
from headrace.storage.imports import ImportRepository
from headrace.storage.jobs import JobRepository
from headrace.storage.matching import QueryRepository
from headrace.storage.messages import MessageRepository
from headrace.storage.models import ModelRepository, PredictionRepository
from headrace.storage.origins import OriginRepository
from headrace.storage.patches import PatchRepository
from headrace.storage.persons import PersonRepository
from headrace.storage.profiles import ProfileRepository
from headrace.storage.projects import ProjectRepository
from headrace.storage.queue import QueueRepository
from headrace.storage.records import RecordRepository
from headrace.storage.runs import RunRepository
from headrace.storage.scores import ScoreRepository
from headrace.storage.session import Session
from headrace.storage.shortlist import ShortlistRepository
from headrace.storage.snapshots import SnapshotRepository
from headrace.storage.sources import SourceRepository
from headrace.storage.streams import ExceptionRepository, StreamRepository
from headrace.storage.task_filters import TaskListRepository
from headrace.storage.task_predictions import TaskPredictionRepository
from headrace.storage.tasks import TaskRepository
from headrace.storage.trees import TreeRepository
from headrace.storage.uploads import UploadRepository
from headrace.storage.users import UserRepository
from headrace.storage.views import TaskViewRepository
from headrace.storage.webhooks import WebhookRepository
from headrace.storage.work import WorkRepository


class Transaction:
    """See `core.store.Tx`. Repositories are made when they are first asked for."""

    def __init__(
        self, conn: Connection, *, epoch: int, postgres: bool, wake: Callable[[], None], reading: bool = False
    ) -> None:
        self.session = Session(conn, epoch, postgres, reading)
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
    def profiles(self) -> ProfileRepository:
        return ProfileRepository(self.session)

    @cached_property
    def access_tokens(self) -> AccessTokenRepository:
        return AccessTokenRepository(self.session)

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
    def task_predictions(self) -> TaskPredictionRepository:
        return TaskPredictionRepository(self.session)

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
    def uploads(self) -> UploadRepository:
        return UploadRepository(self.session)

    @cached_property
    def tasks(self) -> TaskRepository:
        return TaskRepository(self.session)

    @cached_property
    def task_lists(self) -> TaskListRepository:
        return TaskListRepository(self.session)

    @cached_property
    def task_views(self) -> TaskViewRepository:
        return TaskViewRepository(self.session)

    @cached_property
    def queue(self) -> QueueRepository:
        return QueueRepository(self.session)

    @cached_property
    def drafts(self) -> DraftRepository:
        return DraftRepository(self.session)

    @cached_property
    def work(self) -> WorkRepository:
        return WorkRepository(self.session)

    @cached_property
    def persons(self) -> PersonRepository:
        return PersonRepository(self.session)

    @cached_property
    def trees(self) -> TreeRepository:
        return TreeRepository(self.session)

    @cached_property
    def messages(self) -> MessageRepository:
        return MessageRepository(self.session)

    @cached_property
    def scores(self) -> ScoreRepository:
        return ScoreRepository(self.session)

    @cached_property
    def snapshots(self) -> SnapshotRepository:
        return SnapshotRepository(self.session)

    @cached_property
    def runs(self) -> RunRepository:
        return RunRepository(self.session)

    @cached_property
    def feedback(self) -> FeedbackRepository:
        return FeedbackRepository(self.session)

    @cached_property
    def corrections(self) -> CorrectionRepository:
        return CorrectionRepository(self.session)

    @cached_property
    def origins(self) -> OriginRepository:
        return OriginRepository(self.session)

    @cached_property
    def patches(self) -> PatchRepository:
        return PatchRepository(self.session)

    @cached_property
    def shortlists(self) -> ShortlistRepository:
        return ShortlistRepository(self.session)

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
