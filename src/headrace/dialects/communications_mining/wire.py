"""Shapes of what clients send. Unknown keys are refused, as the original's closed schemas do."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Title = Annotated[str, Meta(max_length=128)]
Description = Annotated[str, Meta(max_length=16384)]
BodyText = Annotated[str, Meta(max_length=65536)]
Address = Annotated[str, Meta(min_length=1, max_length=512)]
CommentId = Annotated[str, Meta(pattern=r"^[\w\x21-\x2e\x3a-\x40\x5b-\x60\x7b-\x7e]{1,1024}\Z")]
Language = Annotated[str, Meta(min_length=1, max_length=8)]
ShortText = Annotated[str, Meta(max_length=256)]
HexId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
DatasetFlag = Literal["gpt4", "external_moon_llm", "qos", "zero_shot_labels", "ixp"]


class Closed(Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """Base of all request objects."""


class Markup(Closed):
    """A text of a message."""

    text: BodyText
    translated_from: BodyText | None = None
    text_markup: Any = None
    translated_from_markup: Any = None


class Message(Closed):
    """One message of a comment."""

    body: Markup
    subject: Markup | None = None
    signature: Markup | None = None
    from_: Address | None = field(default=None, name="from")
    to: list[Address] | None = None
    cc: list[Address] | None = None
    bcc: list[Address] | None = None
    sent_at: str | None = None
    language: Language | None = None


class Attachment(Closed):
    """What is known of an attachment."""

    name: ShortText
    size: Annotated[int, Meta(ge=0)]
    content_type: ShortText
    attachment_reference: str | None = None
    content_hash: str | None = None


class Comment(Closed):
    """A comment as uploaded. What only the server says may come back with it and is dropped."""

    id: CommentId
    timestamp: str
    messages: Annotated[list[Message], Meta(max_length=2048)]
    user_properties: dict[str, str | int | float] | None = None
    thread_id: str | None = None
    text_format: Literal["plain", "markdown"] | None = None
    attachments: Annotated[list[Attachment], Meta(max_length=128)] | None = None
    context: str | None = None
    uid: Any = None
    source_id: Any = None
    created_at: Any = None
    last_modified: Any = None
    has_annotations: Any = None


class Comments(Closed):
    """Body of sync and PUT comments."""

    comments: list[Comment]


class ProjectFields(Closed):
    """What may be said of a project."""

    title: Title | None = None
    description: Description | None = None


class PutProject(Closed):
    """Body of PUT project."""

    project: ProjectFields
    user_ids: list[str] = []


class PostProject(Closed):
    """Body of POST project."""

    project: ProjectFields


class NewUser(Closed):
    """A user to create."""

    username: str
    email: str
    global_permissions: list[str] = []
    organisation_permissions: dict[str, list[str]] = {}


class PutUser(Closed):
    """Body of PUT users."""

    user: NewUser


class UserChange(Closed):
    """What may be changed of a user."""

    email: str | None = None
    global_permissions: list[str] | None = None
    organisation_permissions: dict[str, list[str]] | None = None


class PostUser(Closed):
    """Body of POST user."""

    user: UserChange


class NewToken(Closed):
    """Body of POST tokens."""

    label: Annotated[str, Meta(max_length=128)] = ""


class BucketFields(Closed):
    """What may be said of a bucket."""

    title: Title | None = None
    bucket_type: str | None = None
    transform_tag: str | None = None


class BucketBody(Closed):
    """Body of PUT bucket."""

    bucket: BucketFields = field(default_factory=BucketFields)


class SourceFields(Closed):
    """What may be said of a source."""

    title: Title | None = None
    description: Description | None = None
    language: Language | None = None
    should_translate: bool | None = None
    bucket_id: str | None = None
    sensitive_properties: list[str] | None = None
    kind: ShortText | None = field(default=None, name="_kind")
    email_transform_tag: str | None = None


class SourceBody(Closed):
    """Body of PUT and POST source."""

    source: SourceFields


class MoonField(Closed):
    """One field of a label's moon form."""

    name: str
    kind: str
    instructions: str = ""


class Pretrained(Closed):
    """A pretrained label that a definition stands on."""

    id: str
    name: str | None = None


class LabelDef(Closed):
    """A label definition."""

    name: str
    title: str = ""
    instructions: str = ""
    external_id: str | None = None
    pretrained: Pretrained | None = None
    moon_form: list[MoonField] | None = None


class LabelGroup(Closed):
    """A group of label definitions."""

    name: str
    label_defs: list[LabelDef] = []


class EntityDef(Closed):
    """A kind of entity."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]
    title: Title = ""
    id: HexId | None = None
    trainable: bool = False
    color: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    inherits_from: list[str] = []
    flags: list[str] = field(default=[], name="_entity_def_flags")
    rules: Any = None
    instructions: str | None = None


class GeneralField(Closed):
    """A field that a comment may hold, whatever its labels."""

    api_name: Annotated[str, Meta(min_length=1, max_length=256)]
    title: Title = ""
    field_id: HexId | None = None
    field_type_id: str | None = None
    field_type_name: str | None = None
    instructions: str | None = None


class DatasetFields(Closed):
    """What may be said of a dataset."""

    title: Title | None = None
    description: Description | None = None
    source_ids: list[str] | None = None
    model_family: str | None = None
    has_sentiment: bool | None = None
    entity_defs: list[EntityDef] | None = None
    general_fields: list[GeneralField] | None = None
    label_defs: list[LabelDef] | None = None
    label_groups: list[LabelGroup] | None = None
    copy_annotations_from: str | None = None
    dataset_flags: list[DatasetFlag] | None = field(default=None, name="_dataset_flags")
    model_config: dict[str, Any] | None = field(default=None, name="_model_config")


class DatasetBody(Closed):
    """Body of PUT and POST dataset."""

    dataset: DatasetFields


class LabelThreshold(Closed):
    """A label and the probability it must exceed."""

    name: list[str]
    threshold: float


class StreamModel(Closed):
    """The pinned version of a stream."""

    version: int
    label_thresholds: list[LabelThreshold] | None = None


class StreamFields(Closed):
    """What may be said of a stream. `filter` is checked by the domain."""

    name: str | UnsetType = UNSET
    title: Title | None = None
    description: Description | None = None
    comment_filter: dict[str, Any] | UnsetType | None = UNSET
    model: StreamModel | UnsetType | None = UNSET


class StreamBody(Closed):
    """Body of PUT and POST stream."""

    stream: StreamFields


class TriggerBody(Closed):
    """Body of PUT and POST trigger."""

    trigger: StreamFields


class FetchBody(Closed):
    """Body of fetch."""

    size: int
    max_filtered: int | None = None


class AdvanceBody(Closed):
    """Body of advance."""

    sequence_id: str


class ResetBody(Closed):
    """Body of reset."""

    to_comment_created_at: str


class ExceptionMetadata(Closed):
    """What a consumer says of an exception."""

    type: str


class TaggedException(Closed):
    """One record that was not usable."""

    uid: str
    metadata: ExceptionMetadata


class ExceptionsBody(Closed):
    """Body of PUT exceptions."""

    exceptions: list[TaggedException]


class QueryOrder(Closed):
    """The order of a query."""

    kind: Literal["recent", "sample", "by_label"]
    seed: Annotated[int, Meta(ge=0)] | None = None
    label: str | list[str] | None = None


class QueryBody(Closed):
    """Body of query. The filters are checked by the domain."""

    filter: dict[str, Any] | None = None
    limit: int = 64
    order: QueryOrder | None = None
    attribute_filters: list[Any] | None = None
    continuation: str | None = None


class StatisticsBody(Closed):
    """Body of a dataset's statistics."""

    comment_filter: dict[str, Any] | None = None
    attribute_filters: list[Any] | None = None
    label_counts: bool = False
    label_timeseries: bool = False
    label_property_timeseries: bool = False
    time_resolution: Literal["day", "week", "month"] | None = None


class SourceStatisticsBody(Closed):
    """Body of a source's statistics."""

    comment_filter: dict[str, Any] | None = None


class ExportBody(Closed):
    """Body of export."""

    comment_uids: list[str] | None = None
    source_ids: list[str] | None = None
    order_by: Literal["timestamp", "created_at"] = "timestamp"
    from_: str | None = field(default=None, name="from")
    to: str | None = None
    continuation: str | None = None
    limit: int = 64
    comment_filter: dict[str, Any] | None = None


class AssignedLabel(Closed):
    """A label assigned or dismissed; its name as text or as a list of its parts."""

    name: str | list[str]
    sentiment: Literal["positive", "negative"] = "positive"
    metadata: Any = None


class Labelling(Closed):
    """Assigned and dismissed labels of one group; an absent list keeps what is there."""

    group: str = "default"
    assigned: list[AssignedLabel] | None = None
    dismissed: list[AssignedLabel] | None = None


class EntitySpan(Closed):
    """Where an entity stands in a text, in bytes of UTF-16 or in characters; bytes count where both are given."""

    content_part: str
    message_index: int
    utf16_byte_start: int | None = None
    utf16_byte_end: int | None = None
    char_start: int | None = None
    char_end: int | None = None


class Entity(Closed):
    """An entity that somebody marked or dismissed."""

    name: str
    formatted_value: str
    spans: list[EntitySpan] = []
    field_id: str | None = None


class EntityChange(Closed):
    """Entities assigned and dismissed; an absent list keeps what is there."""

    assigned: list[Entity] | None = None
    dismissed: list[Entity] | None = None


class MoonLabel(Closed):
    """A label with what was captured for it."""

    label: AssignedLabel
    captures: list[Any] = []


class MoonForm(Closed):
    """What was captured for the labels of a group; its labels count as assigned or dismissed."""

    group: str = "default"
    assigned: list[MoonLabel] | None = None
    dismissed: list[MoonLabel] | None = None


class LabellingBody(Closed):
    """Body of POST labellings; old files carry `labelling` as one object."""

    labelling: list[Labelling] | Labelling | None = None
    entities: EntityChange | None = None
    moon_forms: list[MoonForm] | None = None


class TagVersion(Closed):
    """The version a tag points at."""

    version: int


class ModelTagBody(Closed):
    """Body of PUT model-tags."""

    model_tag: TagVersion


class LabellersBody(Closed):
    """Body of POST labellers."""

    older_than_version: int | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] | None = None
    include_deleted: bool | None = None


class LabelValidationBody(Closed):
    """Body of POST label-validation."""

    label: str | list[str]


class WantedLabel(Closed):
    """A label to predict, with the probability it must reach."""

    name: str | list[str]
    threshold: float | None = None


class PredictOptions(Closed):
    """What every predicting body may say of the labels it wants."""

    threshold: float | str | None = None
    labels: list[WantedLabel] | None = None


class Document(Closed):
    """A document to predict: a comment that needs neither an id nor a timestamp."""

    messages: Annotated[list[Message], Meta(max_length=2048)]
    timestamp: str | None = None
    user_properties: dict[str, str | int | float] | None = None
    id: CommentId | None = None
    thread_id: str | None = None
    text_format: Literal["plain", "markdown"] | None = None
    attachments: Annotated[list[Attachment], Meta(max_length=128)] | None = None


class PredictBody(PredictOptions, kw_only=True):
    """Body of predict."""

    documents: list[Document]


class PredictCommentsBody(PredictOptions, kw_only=True):
    """Body of predict-comments."""

    uids: list[str]


class FlatComment(Closed):
    """A comment of one text, as the oldest uploader sends it."""

    id: CommentId
    timestamp: str
    original_text: BodyText
    user_properties: dict[str, str | int | float]


class FlatComments(Closed):
    """Body of sync by dataset."""

    comments: list[FlatComment]


class RecentBody(Closed):
    """Body of recent."""

    limit: int = 64
    filter: dict[str, Any] = {}


class Span(Closed):
    """A span of time, both bounds inclusive."""

    minimum: str | None = None
    maximum: str | None = None


class AuditFilter(Closed):
    """Which audit events are wanted."""

    timestamp: Span | None = None


class AuditBody(Closed):
    """Body of the audit query."""

    filter: AuditFilter | None = None
    limit: int | None = None
    continuation: str | None = None
