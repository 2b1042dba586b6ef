"""Shapes of what clients send about datasets: their definitions, and the labellings of comments in them."""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from headrace.dialects.communications_mining.wire import Closed, Description, Title

HexId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
Pattern = Annotated[str, Meta(min_length=1, max_length=1000)]
MAX_DEFINITIONS = 256
MAX_CHOICES = 1000
MAX_VALUES = 100
MAX_TEMPLATES = 16
MAX_PARENTS = 8
DatasetFlag = Literal["gpt4", "external_moon_llm", "qos", "zero_shot_labels", "ixp"]


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
    label_defs: list[LabelDef] = field(default_factory=list)


class EntityChoice(Closed, omit_defaults=True):
    """A value of an entity and the spellings it has in texts."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]
    values: Annotated[list[Annotated[str, Meta(min_length=1, max_length=256)]], Meta(max_length=MAX_VALUES)]
    id: str | None = None


class EntityTemplate(Closed):
    """A pattern with the template it was made from."""

    template: str
    pattern: Pattern


class EntityRegex(Closed, omit_defaults=True):
    """A pattern, or several that were made from templates."""

    pattern: Pattern | None = None
    templates: Annotated[list[EntityTemplate], Meta(max_length=MAX_TEMPLATES)] = field(default_factory=list)


class EntityRules(Closed, omit_defaults=True):
    """How entities are found: by choices and by RE2 patterns; the region is whose spellings the built-in kinds take."""

    suppressors: list[str] = field(default_factory=list)
    choices: Annotated[list[EntityChoice], Meta(max_length=MAX_CHOICES)] = field(default_factory=list)
    regex: Pattern | EntityRegex | None = None
    region: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None


class EntityDef(Closed):
    """A kind of entity."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]
    title: Title = ""
    id: HexId | None = None
    trainable: bool = False
    color: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    inherits_from: Annotated[list[str], Meta(max_length=MAX_PARENTS)] = field(default_factory=list)
    flags: list[str] = field(default_factory=list, name="_entity_def_flags")
    rules: EntityRules | None = None
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
    entity_defs: Annotated[list[EntityDef], Meta(max_length=MAX_DEFINITIONS)] | None = None
    general_fields: Annotated[list[GeneralField], Meta(max_length=MAX_DEFINITIONS)] | None = None
    label_defs: list[LabelDef] | None = None
    label_groups: list[LabelGroup] | None = None
    copy_annotations_from: str | None = None
    dataset_flags: list[DatasetFlag] | None = field(default=None, name="_dataset_flags")
    model_config: dict[str, Any] | None = field(default=None, name="_model_config")


class DatasetBody(Closed):
    """Body of PUT and POST dataset."""

    dataset: DatasetFields


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
    spans: list[EntitySpan] = field(default_factory=list)
    field_id: str | None = None


class EntityChange(Closed):
    """Entities assigned and dismissed; an absent list keeps what is there."""

    assigned: list[Entity] | None = None
    dismissed: list[Entity] | None = None


class MoonLabel(Closed):
    """A label with what was captured for it."""

    label: AssignedLabel
    captures: list[Any] = field(default_factory=list)


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
