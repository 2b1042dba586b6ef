"""Shapes of what clients send. Unknown keys are ignored, as the original does: clients send whole objects back."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

Color = Annotated[str, Meta(pattern="^#[0-9A-Fa-f]{6}$")]
Optional = UnsetType | None
Flag = bool | UnsetType
Sampling = Literal[
    "Sequential sampling",
    "Uniform sampling",
    "Uncertainty sampling",
    "Label need sampling",
    "Disagreement sampling",
    "Novelty sampling",
]


class Settings(Struct, kw_only=True):
    """What a project carries for its clients beside title, description and label config."""

    expert_instruction: str | Optional = UNSET
    show_instruction: Flag = UNSET
    show_skip_button: Flag = UNSET
    enable_empty_annotation: Flag = UNSET
    show_annotation_history: Flag = UNSET
    color: Color | Optional = UNSET
    maximum_annotations: Annotated[int, Meta(ge=1, le=10_000)] | UnsetType = UNSET
    is_published: Flag = UNSET
    model_version: str | Optional = UNSET
    is_draft: Flag = UNSET
    min_annotations_to_start_training: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    start_training_on_annotation_update: Flag = UNSET
    show_collab_predictions: Flag = UNSET
    sampling: Sampling | Optional = UNSET
    show_ground_truth_first: Flag = UNSET
    annotator_evaluation_enabled: Flag = UNSET
    show_overlap_first: Flag = UNSET
    overlap_cohort_percentage: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET
    task_data_login: str | Optional = UNSET
    task_data_password: str | Optional = UNSET
    control_weights: dict[str, Any] | Optional = UNSET
    evaluate_predictions_automatically: Flag = UNSET
    skip_queue: Literal["REQUEUE_FOR_OTHERS", "REQUEUE_FOR_ME", "IGNORE_SKIPPED"] | Optional = UNSET
    reveal_preannotations_interactively: Flag = UNSET
    pinned_at: str | Optional = UNSET


class Project(Settings, kw_only=True):
    """Body of POST and PATCH project."""

    title: str | Optional = UNSET
    description: str | Optional = UNSET
    label_config: str | Optional = UNSET


class LabelConfigBody(Struct):
    """Body of POST validate."""

    label_config: str = "<View></View>"


class Task(Struct):
    """Body of POST task."""

    project: int | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    meta: Raw | UnsetType = UNSET


class Author(Struct):
    """An annotator named by an object."""

    email: str | None = None
    id: int | None = None


class Annotation(Struct):
    """Body of POST and PATCH annotation."""

    result: Raw | UnsetType = UNSET
    completed_by: int | str | Author | None = None
    was_cancelled: Flag = UNSET
    ground_truth: Flag = UNSET
    lead_time: float | Optional = UNSET
    unique_id: str | Optional = UNSET
    draft_id: int | Optional = UNSET
    reason: str | Optional = UNSET
    comment: str | Optional = UNSET


class Draft(Struct):
    """Body of POST and PATCH draft."""

    result: Raw | UnsetType = UNSET
    lead_time: float | Optional = UNSET
    was_postponed: Flag = UNSET


class TaskOptions(Struct, omit_defaults=True):
    """Which tasks a snapshot takes."""

    view: int | None = None
    skipped: Literal["only", "exclude"] | None = None
    finished: Literal["only", "exclude"] | None = None
    annotated: Literal["only", "exclude"] | None = None
    only_with_annotations: bool | None = None


class AnnotationOptions(Struct, omit_defaults=True):
    """Which annotations a snapshot shows."""

    usual: bool | None = None
    ground_truth: bool | None = None
    skipped: bool | None = None


class OnlyId(Struct, omit_defaults=True):
    """Whether something is written as its id, or in full."""

    only_id: bool | None = None


class SerializationOptions(Struct, omit_defaults=True):
    """How a snapshot is written."""

    drafts: OnlyId | None = None
    predictions: OnlyId | None = None
    annotations__completed_by: OnlyId | None = None
    interpolate_key_frames: bool | None = None


class Snapshot(Struct):
    """Body of POST exports."""

    title: str | None = None
    task_filter_options: TaskOptions | None = None
    annotation_filter_options: AnnotationOptions | None = None
    serialization_options: SerializationOptions | None = None


class Conversion(Struct):
    """Body of POST convert."""

    export_type: str = ""
    download_resources: bool | None = None


class Made(Struct):
    """The id of something that was made just now."""

    id: int


class Started(Struct):
    """What POST import answers."""

    number: int = field(name="import")


class FileUploads(Struct):
    """Body of DELETE file-uploads."""

    file_upload_ids: list[int] | None = None


class Reimport(Struct):
    """Body of POST reimport."""

    file_upload_ids: list[int] | None = None
    files_as_tasks_list: bool = True


class Filters(Struct):
    """The filters of a task query."""

    items: list[Any] = []


class Selected(Struct):
    """The tasks a query is about: all but some, or only some."""

    all: bool = True
    included: list[int] = []
    excluded: list[int] = []


class Query(Struct):
    """The `query` parameter of the task list."""

    filters: Filters | None = None
    ordering: list[str] | None = None
    selected: Selected | None = field(name="selectedItems", default=None)


class Webhook(Struct):
    """Body of POST and PATCH webhook."""

    url: str | UnsetType = UNSET
    project: int | Optional = UNSET
    send_payload: Flag = UNSET
    send_for_all_actions: Flag = UNSET
    headers: dict[str, str] | Optional = UNSET
    is_active: Flag = UNSET
    actions: list[str] | UnsetType = UNSET


class Letters(Struct):
    """Body of POST replay of dead letters."""

    ids: list[int] | None = None


class Replay(Struct):
    """Body of POST replay."""

    start: str = field(name="from")
