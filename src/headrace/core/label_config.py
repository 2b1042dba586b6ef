"""Label Studio's label configuration: what its XML declares.

The XML names objects (what is shown, read from the task's data by `$name`) and controls (what people answer).
`parse` turns it into a `LabelConfig` once; `label_tasks` and `label_results` work from that.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from xml.parsers import expat

from headrace.core.errors import Invalid

MAX_CONFIG_CHARACTERS = 1_000_000
MAX_CONFIG_DEPTH = 100
KEPT_CHARACTERS = 20_000
SHOWN_CHARACTERS = 1_000
SEPARATOR = " > "

_LABEL_TAGS = frozenset({"Label", "Choice", "Relation"})
_NO_CONTROLS = frozenset({"Filter"})
_CLASSIFIERS = frozenset({"Choices", "Taxonomy"})
_VARIABLE = re.compile(r"\$\w+")
_NOTHING = type(None)

_TEXT: tuple[type, ...] = (str,)
_SEVERAL: tuple[type, ...] = (list, str)
_TABLE: tuple[type, ...] = (dict, list, str)
_OPTIONS: tuple[type, ...] = (str, list)
_ACCEPTED: Mapping[str, tuple[type, ...]] = {
    "Text": (str, int, float, list),
    "Header": (str, int, float),
    "HyperText": _TEXT,
    "Image": _OPTIONS,
    "Paragraphs": _SEVERAL,
    "Chat": _SEVERAL,
    "Table": _TABLE,
    "TimeSeries": _TABLE,
    "List": _SEVERAL,
    "Ranker": _SEVERAL,
    "Choices": _OPTIONS,
    "Taxonomy": (str, list, _NOTHING),
}


@dataclass(frozen=True, kw_only=True)
class LabelTag:
    """One `<Choice>`, `<Label>` or `<Relation>`: its name in results, and with those above it."""

    name: str
    path: tuple[str, ...]
    attributes: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ObjectTag:
    """Something to look at: a tag with a name and a value; `variable` is the data key it reads."""

    name: str
    type: str
    value: str
    value_type: str | None
    variable: str | None
    text_key: str | None


@dataclass(frozen=True, kw_only=True)
class ControlTag:
    """A question: a tag with a name that points to the objects (or controls) it is asked about.

    `several` tells whether one answer may name more than one of the labels.
    """

    name: str
    type: str
    to_name: tuple[str, ...]
    labels: tuple[LabelTag, ...]
    several: bool = False

    @cached_property
    def nested(self) -> bool:
        """Whether some of its labels stand below others."""
        return any(len(label.path) > 1 for label in self.labels)

    @cached_property
    def paths(self) -> Mapping[str, tuple[str, ...]]:
        """The path of every label, by its bare name; where a name occurs twice the first one counts."""
        return {label.name: label.path for label in reversed(self.labels)}


@dataclass(frozen=True, kw_only=True)
class DataKey:
    """One key that the data of every task must have, and the Python types its value may be of."""

    name: str
    tag: str
    types: tuple[type, ...]


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """A label configuration as `parse` read it, in document order."""

    controls: tuple[ControlTag, ...]
    objects: tuple[ObjectTag, ...]
    required: tuple[DataKey, ...]

    @cached_property
    def data_keys(self) -> tuple[str, ...]:
        """The names that the data of every task must have."""
        return tuple(key.name for key in self.required)

    @cached_property
    def classifiers(self) -> Mapping[str, ControlTag]:
        """The controls whose labels a dataset takes over (Choices and Taxonomy), by name."""
        return {control.name: control for control in self.controls if control.type in _CLASSIFIERS}

    @cached_property
    def vocabulary(self) -> Mapping[str, tuple[ControlTag, tuple[str, ...]]]:
        """Every dataset label the configuration implies, in order, with its control and its path there."""
        names: dict[str, tuple[ControlTag, tuple[str, ...]]] = {}
        for control in self.classifiers.values():
            for label in control.labels:
                names.setdefault(self.label_name(control, label.path), (control, label.path))
        return names

    def label_name(self, control: ControlTag, path: tuple[str, ...]) -> str:
        """The dataset label for one answer to a control; the control's name leads where there are several."""
        return SEPARATOR.join((control.name, *path) if len(self.classifiers) > 1 else path)


@dataclass(frozen=True)
class _Tag:
    type: str
    attributes: Mapping[str, str]
    parent: "_Tag | None"


@dataclass
class _Outline:
    """The tags of a document in order, collected while expat reads it."""

    tags: list[_Tag] = field(default_factory=list)
    open: list[_Tag] = field(default_factory=list)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open) >= MAX_CONFIG_DEPTH:
            raise Invalid(f"label config is nested deeper than {MAX_CONFIG_DEPTH} levels")
        tag = _Tag(name, attributes, self.open[-1] if self.open else None)
        self.tags.append(tag)
        self.open.append(tag)

    def end(self, name: str) -> None:
        self.open.pop()


def _refuse_doctype(*declaration: object) -> None:
    raise Invalid("label config must not contain a DOCTYPE")


def _outline(xml: str) -> list[_Tag]:
    if len(xml) > MAX_CONFIG_CHARACTERS:
        raise Invalid(f"label config is longer than {MAX_CONFIG_CHARACTERS} characters")
    outline = _Outline()
    parser = expat.ParserCreate()
    parser.StartElementHandler = outline.start
    parser.EndElementHandler = outline.end
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise Invalid(str(error)) from error
    except UnicodeEncodeError as error:
        raise Invalid("label config is not valid Unicode text") from error
    return outline.tags


def _check_names(tags: list[_Tag]) -> None:
    names = [tag.attributes["name"] for tag in tags if "name" in tag.attributes]
    known = set(names)
    if len(known) != len(names):
        raise Invalid("Label config contains non-unique names")
    for tag in tags:
        for target in tag.attributes.get("toName", "").split(","):
            if target not in known and "toName" in tag.attributes:
                raise Invalid(f'toName="{target}" not found in names: {shown(sorted(known))}')


def parse(xml: str) -> LabelConfig:
    """Read a label configuration; raises Invalid, in Label Studio's words, if malformed or inconsistent.

    Tags it does not know pass through. A document type declaration is refused, so no entity is ever expanded.
    """
    return _kept(xml) if len(xml) <= KEPT_CHARACTERS else _parsed(xml)


def _parsed(xml: str) -> LabelConfig:
    tags = _outline(xml)
    _check_names(tags)
    controls = {id(tag): tag for tag in tags if _is_control(tag)}
    labels: dict[int, dict[str, LabelTag]] = {key: {} for key in controls}
    for tag in tags:
        owner, label = _label(tag, controls)
        if owner is not None and label is not None:
            labels[owner].setdefault(SEPARATOR.join(label.path), label)
    return LabelConfig(
        controls=tuple(_control(tag, tuple(labels[key].values())) for key, tag in controls.items()),
        objects=tuple(_object(tag) for tag in tags if _is_object(tag)),
        required=tuple(_required(tags)),
    )


# Every task and every annotation is read by its project's configuration (benchmark requests).
_kept = lru_cache(maxsize=256)(_parsed)


def _is_control(tag: _Tag) -> bool:
    return bool(tag.attributes.get("name") and tag.attributes.get("toName")) and tag.type not in _NO_CONTROLS


def _is_object(tag: _Tag) -> bool:
    return bool(tag.attributes.get("name") and tag.attributes.get("value")) and not _is_control(tag)


def _label_name(tag: _Tag) -> str:
    return tag.attributes.get("alias") or tag.attributes.get("value") or ""


def _label(tag: _Tag, controls: Mapping[int, _Tag]) -> tuple[int | None, LabelTag | None]:
    """The control a label tag belongs to and the label itself; (None, None) for any other tag."""
    if tag.type not in _LABEL_TAGS or not (name := _label_name(tag)):
        return None, None
    path = [name]
    above = tag.parent
    while above is not None and id(above) not in controls:
        if above.type in _LABEL_TAGS and _label_name(above):
            path.append(_label_name(above))
        above = above.parent
    label = LabelTag(name=name, path=tuple(reversed(path)), attributes=tag.attributes)
    return (None if above is None else id(above)), label


def _control(tag: _Tag, labels: tuple[LabelTag, ...]) -> ControlTag:
    targets = tuple(tag.attributes["toName"].split(","))
    several = tag.attributes.get("choice") == "multiple" or (
        tag.type == "Taxonomy" and tag.attributes.get("maxUsages") != "1"
    )
    return ControlTag(name=tag.attributes["name"], type=tag.type, to_name=targets, labels=labels, several=several)


def _object(tag: _Tag) -> ObjectTag:
    value = tag.attributes["value"]
    return ObjectTag(
        name=tag.attributes["name"],
        type=tag.type,
        value=value.lstrip("$"),
        value_type=tag.attributes.get("valueType"),
        variable=_variable(value),
        text_key=tag.attributes.get("textKey"),
    )


def _variable(value: str) -> str | None:
    """The data key in a `value` attribute: all of `$name`, or the first `$name` inside other text."""
    if len(value) > 1 and value[0] == "$":
        return value[1:]
    found = _VARIABLE.search(value)
    return found.group()[1:] if found else None


def _required(tags: list[_Tag]) -> Iterator[DataKey]:
    """The data keys of all tags with name and value; the last tag on a key types it, unless Video did."""
    types: dict[str, str] = {}
    for tag in tags:
        variable = _variable(tag.attributes.get("value", "")) if tag.attributes.get("name") else None
        if variable and types.get(variable) != "Video":
            types[variable] = tag.type
    for variable, tag_type in types.items():
        base, repeated, _ = variable.partition("[")
        yield DataKey(name=base, tag=tag_type, types=(list,) if repeated else _accepted(tag_type))


def _accepted(tag_type: str) -> tuple[type, ...]:
    return _OPTIONS if tag_type.endswith("Labels") else _ACCEPTED.get(tag_type, _TEXT)


def undefined_key(config: LabelConfig) -> str | None:
    """The data key that `$undefined$` stands for, or None while the configuration names none."""
    return config.required[0].name if config.required else None


def labels(config: LabelConfig) -> tuple[str, ...]:
    """The dataset labels the configuration implies: the values of its Choices and Taxonomy.

    Nested values read `Parent > Child`; with several such controls every name is `control > value`.
    """
    return tuple(config.vocabulary)


def summary(config: LabelConfig) -> dict[str, object]:
    """What Label Studio calls `parsed_label_config`: per control its type, targets, inputs and labels."""
    inputs = {tag.name: {"type": tag.type, "valueType": tag.value_type, "value": tag.value} for tag in config.objects}
    return {control.name: _summary(control, inputs) for control in config.controls}


def _summary(control: ControlTag, inputs: Mapping[str, object]) -> dict[str, object]:
    attributes = {label.name: dict(label.attributes) for label in control.labels}
    return {
        "type": control.type,
        "to_name": list(control.to_name),
        "inputs": [inputs[name] for name in control.to_name if name in inputs],
        "labels": list(attributes),
        "labels_attrs": attributes,
    }


def shown(value: object) -> str:
    """`repr(value)` cut after SHOWN_CHARACTERS, without ever building the whole of a large value."""
    parts: list[str] = []
    room = SHOWN_CHARACTERS
    for part in _shown_parts(value):
        if room < 0:
            return "".join(parts) + "..."
        parts.append(part)
        room -= len(part)
    return "".join(parts)


def _shown_parts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield f"{', ' if number else ''}{_cut(key)}: "
            yield from _shown_parts(item)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for number, item in enumerate(value):
            yield ", " if number else ""
            yield from _shown_parts(item)
        yield "]"
    else:
        yield _cut(value)


def _cut(value: object) -> str:
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return repr(value[:SHOWN_CHARACTERS]) + "..."
    return repr(value)
