"""The objects of this dialect as its clients send them, with the rules that Kiln's own validator words.

Runs are validated whole after merging, so there is one model for what is created, changed and stored.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from headrace.core import ratings
from headrace.core.ratings import Scale

MAX_INT = 2**63 - 1
NAME_FORBIDDEN = re.compile(r"[/\\?%*:|\"<>.,;=\n]|[\s_]{2,}|^[\s_]|[\s_]$")
NAME_RULE = (
    "Name is invalid. The name cannot contain any of the following characters: / \\ ? % * : | < > . , ; = \\n, "
    "consecutive whitespace/underscores, or leading/trailing whitespace/underscores"
)
MULTI_TURN_OUTPUT = (
    "Multi-turn tasks do not support structured output yet. Use plaintext output, or set turn_mode to single_turn."
)
MULTI_TURN_INPUT = "Multi-turn tasks cannot have a structured input schema. Use plaintext input for multi-turn tasks."
REPAIRED_RATING = (
    "Repaired output rating must be None. Repaired outputs are assumed to have a perfect rating, "
    "as they have been fixed."
)


class TurnMode(StrEnum):
    """Whether a task's runs stand alone or are turns of conversations."""

    SINGLE = "single_turn"
    MULTI = "multiturn"


class SourceType(StrEnum):
    """Where an input or an output comes from."""

    HUMAN = "human"
    SYNTHETIC = "synthetic"
    FILE_IMPORT = "file_import"
    TOOL_CALL = "tool_call"


class Priority(IntEnum):
    """How much a requirement matters, 0 the most."""

    P0 = 0
    P1 = 1
    P2 = 2
    P3 = 3


class FeedbackSource(StrEnum):
    """Where feedback was given."""

    RUN_PAGE = "run-page"
    SPEC_FEEDBACK = "spec-feedback"


class Shape(BaseModel):
    """Base of all objects: unknown members are ignored, numbers are finite."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


def _constant(value: object) -> BeforeValidator:
    """Whatever was sent, the member has this value."""
    return BeforeValidator(lambda _: value)


def _name_of(most: int) -> BeforeValidator:
    """A name that can be a file's: at most so many characters, and none that a file system dislikes."""

    def check(name: object) -> object:
        if not isinstance(name, str):
            raise ValueError(f"Input should be a valid string, got {type(name)}")
        if not name:
            raise ValueError("Name is too short. Min length is 1 characters, got 0")
        if len(name) > most:
            raise ValueError(f"Name is too long. Max length is {most} characters, got {len(name)}")
        if NAME_FORBIDDEN.search(name):
            raise ValueError(NAME_RULE)
        return name

    return BeforeValidator(check)


Name = Annotated[str, _name_of(120)]
ShortName = Annotated[str, _name_of(32)]
Count = Annotated[int, Field(ge=0, le=MAX_INT)]


class ProjectBody(Shape):
    """A project as it is made or changed."""

    name: Name
    description: str | None = None


class Requirement(Shape):
    """What an output is rated by."""

    id: str
    name: ShortName
    description: str | None = None
    instruction: str = Field(min_length=1)
    priority: Priority = Priority.P2
    type: Scale = Scale.FIVE_STAR


class Task(Shape):
    """A task as it is stored; schemas are JSON text."""

    name: Name
    description: str | None = None
    instruction: str = Field(min_length=1)
    requirements: list[Requirement] = []
    output_json_schema: str | None = None
    input_json_schema: str | None = None
    thinking_instruction: str | None = None
    default_run_config_id: str | None = None
    turn_mode: TurnMode = TurnMode.SINGLE

    @model_validator(mode="after")
    def _plain_conversations(self) -> "Task":
        if self.turn_mode is TurnMode.MULTI and self.output_json_schema is not None:
            raise ValueError(MULTI_TURN_OUTPUT)
        if self.turn_mode is TurnMode.MULTI and self.input_json_schema is not None:
            raise ValueError(MULTI_TURN_INPUT)
        return self


REQUIRED: Mapping[SourceType, tuple[str, ...]] = {
    SourceType.HUMAN: ("created_by",),
    SourceType.SYNTHETIC: ("model_name", "model_provider", "adapter_name"),
    SourceType.FILE_IMPORT: ("file_name",),
    SourceType.TOOL_CALL: (),
}
MODEL_PROPERTIES = ("model_name", "model_provider", "adapter_name", "prompt_id", "prompt_builder_name")
FORBIDDEN: Mapping[SourceType, tuple[str, ...]] = {
    SourceType.HUMAN: (*MODEL_PROPERTIES, "file_name"),
    SourceType.SYNTHETIC: ("created_by", "file_name"),
    SourceType.FILE_IMPORT: ("created_by", *MODEL_PROPERTIES),
    SourceType.TOOL_CALL: ("created_by", *MODEL_PROPERTIES, "file_name"),
}
TEXT_PROPERTIES = ("created_by", *MODEL_PROPERTIES, "file_name")


class Source(Shape):
    """Where an input or an output comes from, with what is known of it."""

    type: SourceType
    properties: dict[str, str | int | float] = {}
    run_config_id: str | None = None
    run_config: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_its_properties(self) -> "Source":
        problem = next(self._problems(f"for DataSourceType.{self.type.value} data source"), None)
        if problem:
            raise ValueError(problem)
        return self

    def _problems(self, whom: str) -> Any:
        for name in TEXT_PROPERTIES:
            if name in REQUIRED[self.type] and name not in self.properties:
                yield f"'{name}' is required {whom}"
            if name in self.properties and name in FORBIDDEN[self.type]:
                yield f"'{name}' is not allowed {whom}"
            if name in self.properties and not isinstance(self.properties[name], str):
                yield f"'{name}' must be of type str {whom}"
        for name, value in self.properties.items():
            if value == "":
                yield f"Property '{name}' must be a non-empty string {whom}"


class RequirementRating(Shape):
    """A rating by one requirement."""

    value: float
    type: Scale


def _with_zone(moment: datetime) -> datetime:
    """An instant without a zone is in the server's own."""
    try:
        known = moment if moment.tzinfo else moment.astimezone()
        known.astimezone(UTC)
        return known
    except (OverflowError, ValueError, OSError):
        raise ValueError("the year is out of range") from None


Instant = Annotated[datetime, AfterValidator(_with_zone)]


class Stored(Shape):
    """The members of every stored object inside a run."""

    v: Annotated[int, _constant(1)] = 1
    id: str | None = None
    path: Annotated[None, _constant(None)] = None
    created_at: Instant
    created_by: str


class Rating(Stored):
    """A rating of an output, as a whole and by requirement."""

    type: Scale = Scale.FIVE_STAR
    value: float | None = None
    requirement_ratings: dict[str, RequirementRating] = {}
    model_type: Annotated[str, _constant("task_output_rating")] = "task_output_rating"

    @field_validator("requirement_ratings", mode="before")
    @classmethod
    def _older_form(cls, value: Any) -> Any:
        """Bare numbers, and nothing but them, are stars."""
        if isinstance(value, dict) and value and all(type(item) in (int, float) for item in value.values()):
            return {key: {"value": item, "type": Scale.FIVE_STAR} for key, item in value.items()}
        return value

    @model_validator(mode="after")
    def _lies_on_its_scale(self) -> "Rating":
        found = None if self.value is None else ratings.problem(self.type, self.value, "Overall rating")
        for key, item in self.requirement_ratings.items():
            found = found or ratings.problem(item.type, item.value, f"Requirement rating for req id: {key.lower()}")
        if found:
            raise ValueError(found)
        return self


class Output(Stored):
    """What came out of a run."""

    output: str
    source: Source | None = None
    rating: Rating | None = None
    model_type: Annotated[str, _constant("task_output")] = "task_output"


class UsageCounts(Shape):
    """What a model call cost."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    cost: float | None = Field(default=None, ge=0)
    cached_tokens: Count | None = None


class Usage(UsageCounts):
    """What a model call cost, and how long it took."""

    total_llm_latency_ms: Count | None = None


class Run(Shape):
    """A run as it is stored, without `v`, `id` and `path`."""

    created_at: Instant
    created_by: str
    input: str
    input_source: Source | None = None
    output: Output
    repair_instructions: str | None = None
    repaired_output: Output | None = None
    intermediate_outputs: dict[str, str] | None = None
    tags: list[str] = []
    usage: Usage | None = None
    cumulative_usage: UsageCounts | None = None
    synthetic_user_usage: Usage | None = None
    trace: list[dict[str, Any]] | None = None
    parent_task_run_id: str | None = None
    eval_source: dict[str, Any] | None = None
    model_type: Annotated[str, _constant("task_run")] = "task_run"

    @model_validator(mode="after")
    def _repaired_whole(self) -> "Run":
        if self.repaired_output is not None and self.repaired_output.rating is not None:
            raise ValueError(REPAIRED_RATING)
        if self.repair_instructions is None and self.repaired_output is not None:
            raise ValueError("Repair instructions are required if providing a repaired output.")
        if self.repair_instructions is not None and self.repaired_output is None:
            raise ValueError("A repaired output is required if providing repair instructions.")
        return self

    @model_validator(mode="after")
    def _tags_are_words(self) -> "Run":
        for tag in self.tags:
            if not tag:
                raise ValueError("Tags cannot be empty strings")
            if " " in tag:
                raise ValueError("Tags cannot contain spaces. Try underscores.")
        return self


class NewRun(Shape):
    """A run as it is made: an input, and the output that a model gave."""

    input: str
    output: str
    tags: list[str] | None = None
    rating: dict[str, Any] | None = None
    model_name: str
    model_provider: str
    adapter_name: str


class Came(Shape):
    """What an object says of itself where it came from."""

    created_at: Instant
    created_by: str = Field(min_length=1, max_length=1024)


class ProjectFile(ProjectBody, Came):
    """A project as its folder holds it."""


class NewFeedback(Shape):
    """Feedback as it is given."""

    feedback: str = Field(min_length=1)
    source: FeedbackSource


class FeedbackFile(NewFeedback, Came):
    """Feedback as a project folder holds it."""


class FeedbackRules(Shape):
    """When a correction is opened; a rating is a share of its scale, or a value for each scale."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    rating_at_most: Annotated[float, Field(ge=0, le=1)] | dict[Scale, float] | None = None
    feedback: bool = False


class CorrectedOutput(Shape):
    """An output as it should have been, and what was asked of whoever wrote it."""

    output: str
    instructions: str = Field(min_length=1)


class Skipped(Shape):
    """Why somebody does not want to correct a run."""

    reason: str | None = Field(default=None, max_length=1024)


class TagEdit(Shape):
    """Tags to add to, and to take from, many runs."""

    run_ids: list[str]
    add_tags: list[str] | None = None
    remove_tags: list[str] | None = None


class Repair(Shape):
    """A repair to save: the run that repaired the output, and what the evaluator said."""

    repair_run: dict[str, Any]
    evaluator_feedback: str


class Patches(Shape):
    """A partial run for each of many runs."""

    patches: dict[str, dict[str, Any]]
