"""Collections of conversations: datasets with a source of their own whose records are messages.

The default one is made when it is first used. What it aims at (how many replies, how many reviews) is configured per
collection and may change while people work.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

from headrace.core import text_labels
from headrace.core.datasets import Dataset, Label
from headrace.core.errors import Invalid
from headrace.core.faults import Fault, fault
from headrace.core.projects import DEFAULT_PROJECT
from headrace.core.rights import Permission, Principal

if TYPE_CHECKING:
    from headrace.core.store import Tx

DEFAULT = (DEFAULT_PROJECT, "conversations")
SETTING = "conversations"
LABEL_CONFIG = '<View><Text name="text" value="$text"/></View>'
READ = (Permission.VIEW_SOURCES, Permission.VIEW_LABELS)
WORK = (Permission.REVIEW, Permission.EDIT_MESSAGES)
MODERATE = (Permission.DATASETS_ADMIN,)
MAX_COUNT = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """What a collection aims at. `p_...` and thresholds lie in 0 to 1; spans are in seconds or minutes as named."""

    max_active_trees: int = 10
    max_initial_prompt_review: int = 100
    max_prompt_lottery_waiting: int = 250
    goal_tree_size: int = 12
    random_goal_tree_size: bool = False
    min_goal_tree_size: int = 5
    max_tree_depth: int = 3
    max_children_count: int = 3
    num_prompter_replies: int = 1
    lonely_children_count: int = 2
    p_lonely_child_extension: float = 0.75
    num_reviews_initial_prompt: int = 3
    num_reviews_reply: int = 3
    acceptance_threshold_initial_prompt: float = 0.6
    acceptance_threshold_reply: float = 0.6
    num_required_rankings: int = 3
    rank_prompter_replies: bool = False
    p_full_labeling_review_prompt: float = 1.0
    p_full_labeling_review_reply_assistant: float = 1.0
    p_full_labeling_review_reply_prompter: float = 0.25
    mandatory_labels_initial_prompt: tuple[str, ...] = ("spam",)
    mandatory_labels_assistant_reply: tuple[str, ...] = ("spam",)
    mandatory_labels_prompter_reply: tuple[str, ...] = ("spam",)
    labels_initial_prompt: tuple[str, ...] = text_labels.PROMPT
    labels_assistant_reply: tuple[str, ...] = text_labels.ASSISTANT_REPLY
    labels_prompter_reply: tuple[str, ...] = text_labels.PROMPTER_REPLY
    auto_mod_enabled: bool = True
    auto_mod_red_flags: int = 4
    auto_mod_max_skip_reply: int = 25
    p_activate_backlog_tree: float = 0.1
    min_active_rankings_per_lang: int = 0
    recent_tasks_span_sec: int = 300
    max_pending_tasks_per_user: int = 8
    init_prompt_disabled_langs: tuple[str, ...] = ()
    message_size_limit: int = 2000
    duplicate_message_filter_window_minutes: int = 120
    task_validity_minutes: int = 2880
    require_terms: bool = False
    allow_self_labeling: bool = False
    allow_self_ranking: bool = False
    allow_duplicate_tasks: bool = False


DEFAULTS = {item.name: item.default for item in fields(Config)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversations:
    """A collection with its configuration, as one caller loaded it. One that nobody has used yet has the id 0."""

    dataset: Dataset
    config: Config

    @property
    def id(self) -> int:
        """The dataset's id."""
        return self.dataset.id

    @property
    def source_id(self) -> int:
        """The source whose records are the messages."""
        return self.dataset.own_source_id or 0

    def trusts(self, who: Principal) -> bool:
        """True for a client that sees everything and may moderate."""
        return who.may(self.dataset.project_id, *MODERATE)

    def shows(self, who: Principal, client_id: int) -> bool:
        """True when the caller may see what belongs to that client."""
        return client_id == who.user_id or self.trusts(who)

    def narrowed(self, who: Principal, client_id: int | None) -> int | None:
        """The client whose objects the caller may list, when they ask for those of one (None: of all).

        Raises client_not_authorised for somebody else's.
        """
        if self.trusts(who):
            return client_id
        if client_id not in (None, who.user_id):
            raise fault(Fault.CLIENT_NOT_AUTHORISED, "this client sees only what is its own")
        return who.user_id

    @property
    def lease_seconds(self) -> float:
        """How long an offered task can be answered."""
        return self.config.task_validity_minutes * 60.0


def load(tx: "Tx", who: Principal, needs: tuple[Permission, ...]) -> Conversations:
    """The default collection, for a caller who holds these permissions in its project; raises client_not_authorised.

    Nothing is written: one that nobody has used yet is empty.
    """
    dataset = tx.datasets.get(DEFAULT, who.scope) or _unused(tx, who)
    if not who.may(dataset.project_id, *needs):
        raise fault(Fault.CLIENT_NOT_AUTHORISED, "this client may not do that")
    return Conversations(dataset=dataset, config=_config(dataset.settings.get(SETTING)))


def open_(tx: "Tx", who: Principal, needs: tuple[Permission, ...] = WORK) -> Conversations:
    """`load` for somebody who is about to write: the collection is made if need be, and held until the end.

    Everybody else who wants to write in it waits, so what is read now stays true. Raises client_not_authorised.
    """
    found = load(tx, who, needs)
    if not found.id:
        _create(tx, found.dataset.project_id)
        found = load(tx, who, needs)
    return load(tx, who, needs) if tx.trees.hold(found.id) else found


def configure(tx: "Tx", who: Principal, changes: Mapping[str, object]) -> Config:
    """Change the configuration from now on; trees that exist keep their limits. Raises Invalid for a bad value.

    Only trusted clients may; call `tree_growth.settle_all` afterwards, in the same transaction.
    """
    collection = open_(tx, who, MODERATE)
    config = replace(collection.config, **checked(changes))  # type: ignore[arg-type]
    tx.datasets.update(collection.id, {"settings": {SETTING: asdict(config)}})
    tx.events.add(
        "conversations.configured",
        actor_id=who.user_id,
        project_id=collection.dataset.project_id,
        dataset_id=collection.id,
        subject_id=collection.id,
        data={"changes": sorted(changes)},
    )
    return config


def checked(changes: Mapping[str, object]) -> dict[str, object]:
    """Configuration values of the right type and within bounds; raises Invalid naming the one that is not."""
    found: dict[str, object] = {}
    for name, value in changes.items():
        if name not in DEFAULTS:
            raise Invalid(f"'{name[:60]}' is not a setting of a collection", fields={"setting": name[:60]})
        found[name] = _checked(name, DEFAULTS[name], value)
    return found


def _checked(name: str, default: object, value: object) -> object:
    if isinstance(default, bool):
        good = isinstance(value, bool)
    elif isinstance(default, int):
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT
    elif isinstance(default, float):
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
    else:
        good = isinstance(value, (list, tuple)) and _texts(name, value)
        value = tuple(value) if good else value  # type: ignore[arg-type]
    if not good:
        raise Invalid(f"{name} cannot be {str(value)[:60]!r}", fields={"setting": name})
    return value


def _texts(name: str, values: list[object] | tuple[object, ...]) -> bool:
    vocabulary = text_labels.NAMES if "labels" in name else None
    return all(isinstance(item, str) and (vocabulary is None or item in vocabulary) for item in values)


def _config(stored: object) -> Config:
    given = stored if isinstance(stored, dict) else {}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return Config(**{name: value for name, value in values.items() if name in DEFAULTS})  # type: ignore[arg-type]


def _unused(tx: "Tx", who: Principal) -> Dataset:
    project = tx.projects.get(DEFAULT_PROJECT, who.scope)
    if project is None:
        raise fault(Fault.CLIENT_NOT_AUTHORISED, "this client takes no part in conversations")
    return Dataset(
        id=0,
        project_id=project.id,
        project=project.name,
        name=DEFAULT[1],
        title="",
        description="",
        model_family="english",
        has_sentiment=False,
        own_source_id=None,
        label_config="",
        settings={},
        source_ids=(),
        created_at=0,
        updated_at=0,
    )


def _create(tx: "Tx", project_id: int) -> None:
    """Make the default collection; on a server of its own nobody else has a say in that."""
    described = "Conversations: prompts and replies, reviewed and ranked"
    source = tx.sources.insert(
        project_id=project_id, name=DEFAULT[1], title="Conversations", description=described, settings={}
    )
    tx.sources.update(source.id, text_keys=("text",))
    dataset = tx.datasets.insert(
        project_id=project_id,
        name=DEFAULT[1],
        title="Conversations",
        description=described,
        model_family="multilingual",
        has_sentiment=False,
        settings={SETTING: {}},
    )
    tx.datasets.set_sources(dataset.id, [source.id])
    tx.datasets.set_labels(dataset.id, [Label(name=name, definition={}) for name in text_labels.FLAGS])
    tx.datasets.update(dataset.id, {"own_source_id": source.id, "label_config": LABEL_CONFIG})
    for kind, subject in (("source.created", source.id), ("dataset.created", dataset.id)):
        tx.events.add(kind, actor_id=None, project_id=project_id, dataset_id=dataset.id, subject_id=subject)
