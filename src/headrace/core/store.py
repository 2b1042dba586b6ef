"""The store as the domain sees it: two verbs, and one repository per noun inside a transaction."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from headrace.core.access_tokens import AccessTokens
from headrace.core.annotations import Annotations
from headrace.core.attachments import Attachments
from headrace.core.buckets import Buckets
from headrace.core.correction_rules import Corrections
from headrace.core.datasets import Datasets
from headrace.core.drafts import Drafts
from headrace.core.events import Events
from headrace.core.exceptions import Exceptions
from headrace.core.feedback import Feedbacks
from headrace.core.idempotency import Replies
from headrace.core.imports import Imports
from headrace.core.jobs import Jobs
from headrace.core.matching import Queries
from headrace.core.messages import Messages
from headrace.core.models import Models, Predictions
from headrace.core.origins import Origins
from headrace.core.persons import Persons
from headrace.core.profiles import Profiles
from headrace.core.projects import Projects
from headrace.core.queue import Queue
from headrace.core.records import Records
from headrace.core.run_patches import Patches
from headrace.core.runs import Runs
from headrace.core.scores import Scores
from headrace.core.shortlist import Shortlists
from headrace.core.snapshots import Snapshots
from headrace.core.sources import Sources
from headrace.core.streams import Streams
from headrace.core.task_predictions import TaskPredictions
from headrace.core.task_search import TaskLists
from headrace.core.task_selection import Tasks
from headrace.core.task_views import TaskViews
from headrace.core.trees import Trees
from headrace.core.uploads import FileUploads
from headrace.core.users import Users
from headrace.core.webhooks import Webhooks
from headrace.core.work import Works

T = TypeVar("T")


class Tx(Protocol):
    """One transaction: a consistent view, and for a writer all or nothing."""

    @property
    def epoch(self) -> int:
        """The log's epoch; positions of another epoch mean nothing here."""

    @property
    def projects(self) -> Projects: ...
    @property
    def users(self) -> Users: ...
    @property
    def profiles(self) -> Profiles: ...
    @property
    def access_tokens(self) -> AccessTokens: ...
    @property
    def buckets(self) -> Buckets: ...
    @property
    def sources(self) -> Sources: ...
    @property
    def records(self) -> Records: ...
    @property
    def attachments(self) -> Attachments: ...
    @property
    def queries(self) -> Queries: ...
    @property
    def datasets(self) -> Datasets: ...
    @property
    def annotations(self) -> Annotations: ...
    @property
    def models(self) -> Models: ...
    @property
    def predictions(self) -> Predictions: ...
    @property
    def task_predictions(self) -> TaskPredictions: ...
    @property
    def streams(self) -> Streams: ...
    @property
    def exceptions(self) -> Exceptions: ...
    @property
    def imports(self) -> Imports: ...
    @property
    def uploads(self) -> FileUploads: ...
    @property
    def tasks(self) -> Tasks: ...
    @property
    def task_lists(self) -> TaskLists: ...
    @property
    def task_views(self) -> TaskViews: ...
    @property
    def work(self) -> Works: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def drafts(self) -> Drafts: ...
    @property
    def persons(self) -> Persons: ...
    @property
    def trees(self) -> Trees: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def scores(self) -> Scores: ...
    @property
    def snapshots(self) -> Snapshots: ...
    @property
    def runs(self) -> Runs: ...
    @property
    def feedback(self) -> Feedbacks: ...
    @property
    def corrections(self) -> Corrections: ...
    @property
    def origins(self) -> Origins: ...
    @property
    def patches(self) -> Patches: ...
    @property
    def shortlists(self) -> Shortlists: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def events(self) -> Events: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def replies(self) -> Replies: ...

    def now(self) -> int:
        """Microseconds since the epoch: a date for people, never an order."""

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run an action once this transaction is on disk, and not at all if it fails."""


class Store(Protocol):
    """Where everything is kept. Both verbs may be called from any thread; neither from an event loop."""

    @property
    def single_process(self) -> bool:
        """True when no other process serves from this database."""

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Run a function on a consistent view, in the calling thread."""

    def write(self, fn: Callable[[Tx], T]) -> T:
        """Run a function in a transaction and return once it is on disk. It may run more than once."""

    def submit_read(self, fn: Callable[[Tx], T]) -> Future[T]:
        """`read` in a thread of the store's own."""

    def submit_write(self, fn: Callable[[Tx], T]) -> Future[T]:
        """`write` in a thread of the store's own."""

    def close(self) -> None:
        """Finish what was submitted and let go of the database."""
