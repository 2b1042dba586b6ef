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


class RawHeaders(Closed):
    """The headers of a mail, as one block or by name."""

    raw: str | None = None
    parsed: dict[str, str | list[str]] | None = None


class RawBody(Closed):
    """The body of a mail, as text or as HTML."""

    plain: str | None = None
    html: str | None = None


class RawEmail(Closed):
    """A mail as it was sent."""

    headers: RawHeaders
    body: RawBody
    attachments: Annotated[list[Attachment], Meta(max_length=128)] | None = None


class RawDocument(Closed):
    """A mail with what its uploader says of it."""

    raw_email: RawEmail
    user_properties: dict[str, str | int | float] | None = None
    comment_id: CommentId | None = None


class RawEmailsBody(Closed):
    """Body of sync-raw-emails."""

    documents: list[RawDocument]
    transform_tag: str | None = None
    include_comments: bool = False


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

    kind: Literal["recent", "sample", "by_label", "uncertainty", "need", "disagreement", "novelty"]
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
