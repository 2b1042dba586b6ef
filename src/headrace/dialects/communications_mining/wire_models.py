"""Shapes of what clients send about models: versions, tags, validation, predictions."""

from typing import Annotated, Literal

from msgspec import Meta

from headrace.dialects.communications_mining.wire import Attachment, Closed, CommentId, Message, RawDocument


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


class Labeller(Closed):
    """A model trained elsewhere: the name of its predictions and the labels it knows."""

    name: str
    labels: list[str | list[str]]


class LabellerBody(Closed):
    """Body of PUT labellers."""

    labeller: Labeller


class PushedLabel(Closed):
    """A label with the probability that a model trained elsewhere gives it."""

    name: str | list[str]
    probability: float


class PushedPrediction(Closed):
    """What a model trained elsewhere says of one comment."""

    uid: str
    labels: list[PushedLabel]
    sentiment: float | None = None


class PushedPredictionsBody(Closed):
    """Body of PUT labellers/<version>/predictions."""

    predictions: list[PushedPrediction]


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


class PredictEmailsBody(PredictOptions, kw_only=True):
    """Body of predict-raw-emails."""

    documents: list[RawDocument]
    transform_tag: str | None = None
    include_comments: bool = False


class PredictCommentsBody(PredictOptions, kw_only=True):
    """Body of predict-comments."""

    uids: list[str]
