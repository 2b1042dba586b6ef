"""Label Studio results (lists of regions) on one side, dataset labels on the other, and the way between them.

Only Choices and Taxonomy answers become labels. A value the configuration does not know is kept as it is:
models and older configurations bring them, and Label Studio accepts them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from headrace.core.label_config import SEPARATOR, ControlTag, LabelConfig

Region = dict[str, object]
_SCALARS = frozenset({"rating", "number", "datetime"})
_SINGLE: Mapping[str, type | tuple[type, ...]] = {
    "choices": str,
    "textarea": str,
    "rating": int,
    "number": (int, float),
}
_FIELDS: Mapping[str, str] = {"textarea": "text"}


def labels_of(config: LabelConfig, result: object) -> tuple[str, ...]:
    """The dataset labels a result assigns, in order, each once; other regions say nothing here."""
    found: dict[str, None] = {}
    for control, answers in _answers(config, result):
        for answer in answers:
            path = _path(control, answer)
            if path:
                found[config.label_name(control, path)] = None
    return tuple(found)


def result_of(config: LabelConfig, labels: Iterable[str]) -> list[Region]:
    """The regions that assign these dataset labels, one per control, without ids.

    Unknown labels go to the first Choices (else Taxonomy); a configuration with neither gives no regions.
    """
    answers: dict[str, list[object]] = {name: [] for name in config.classifiers}
    for label in dict.fromkeys(labels):
        control, path = _place(config, label)
        if control is not None:
            answers[control.name].append(_answer(control, path))
    return [_region(config.classifiers[name], picked) for name, picked in answers.items() if picked]


def result_problem(config: LabelConfig, result: object) -> str | None:
    """Why a value cannot be stored as a result, or None: it must be a list of objects with usable answers."""
    if not isinstance(result, list):
        return '"result" field in annotation must be list'
    for number, region in enumerate(result):
        problem = _region_problem(config, region)
        if problem is not None:
            return f"result[{number}] {problem}"
    return None


def expand_result(config: LabelConfig, result: object) -> list[Region] | None:
    """The regions a prediction's short form means (a bare value, or a `value` object), or None for none.

    A list is returned as it is. The first control that can hold the value is taken.
    """
    if isinstance(result, list):
        return result
    for control in config.controls:
        kind = control.type.lower()
        if isinstance(result, dict) and _FIELDS.get(kind, kind) in result:
            return [_typed_region(control.name, control.to_name, kind, result)]
        if not isinstance(result, dict | bool) and kind in _SINGLE and isinstance(result, _SINGLE[kind]):
            return [_typed_region(control.name, control.to_name, kind, _value(kind, result))]
    return None


def result_from_field(config: LabelConfig, name: str, value: object) -> list[object]:
    """The result a pre-annotated data field stands for: its own regions, or an answer to the control `name`.

    Where no control has that name, it is an answer to choices about `text`.
    """
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return value
    control = next((control for control in config.controls if control.name == name), None)
    kind = control.type.lower() if control else "choices"
    targets = control.to_name if control else ("text",)
    given = value if isinstance(value, dict) else _value(kind, value)
    return [_typed_region(name, targets, kind, given)]


def _value(kind: str, value: object) -> dict[str, object]:
    wrapped = value if kind in _SCALARS or isinstance(value, list) else [value]
    return {_FIELDS.get(kind, kind): wrapped}


def _typed_region(name: str, targets: Sequence[str], kind: str, value: object) -> Region:
    return {"from_name": name, "to_name": ",".join(targets), "type": kind, "value": value}


def _region(control: ControlTag, answers: list[object]) -> Region:
    kind = control.type.lower()
    return _typed_region(control.name, control.to_name[:1], kind, {kind: answers})


def _answers(config: LabelConfig, result: object) -> Iterator[tuple[ControlTag, list[object]]]:
    """The control and the list of its answers, for every region about a Choices or Taxonomy."""
    for region in result if isinstance(result, list) else ():
        if not isinstance(region, dict):
            continue
        control = config.classifiers.get(str(region.get("from_name")))
        value = region.get("value")
        if control is None or not isinstance(value, dict):
            continue
        answers = value.get(control.type.lower())
        yield control, answers if isinstance(answers, list) else [answers]


def _path(control: ControlTag, answer: object) -> tuple[str, ...]:
    """The path an answer names: a list spells it out, a bare name may stand below others; () for neither."""
    if isinstance(answer, str):
        return control.paths.get(answer, (answer,))
    if isinstance(answer, list):
        return tuple(part for part in answer if isinstance(part, str))
    return ()


def _answer(control: ControlTag, path: tuple[str, ...]) -> object:
    return list(path) if control.type == "Taxonomy" or control.nested else path[0]


def _place(config: LabelConfig, label: str) -> tuple[ControlTag | None, tuple[str, ...]]:
    """The control and path for a dataset label; for an unknown one, the control it names or the first."""
    known = config.vocabulary.get(label)
    if known is not None:
        return known
    controls = tuple(config.classifiers.values())
    for control in controls if len(controls) > 1 else ():
        if label.startswith(control.name + SEPARATOR):
            return control, _unknown_path(control, label[len(control.name + SEPARATOR) :])
    choices = [control for control in controls if control.type == "Choices"]
    first = next(iter(choices or controls), None)
    return (first, _unknown_path(first, label)) if first else (None, ())


def _unknown_path(control: ControlTag, label: str) -> tuple[str, ...]:
    hierarchical = control.type == "Taxonomy" or control.nested
    return tuple(label.split(SEPARATOR)) if hierarchical else (label,)


def _region_problem(config: LabelConfig, region: object) -> str | None:
    if not isinstance(region, dict):
        return "must be dict"
    for field in ("from_name", "to_name", "type"):
        if not isinstance(region.get(field, ""), str):
            return f'field "{field}" must be str'
    value = region.get("value", {})
    if not isinstance(value, dict):
        return 'field "value" must be dict'
    control = config.classifiers.get(region.get("from_name", ""))
    if control is None:
        return None
    kind = control.type.lower()
    if not _are_answers(value.get(kind, [])):
        return f'field "{kind}" must be list of str'
    return None


def _are_answers(answers: object) -> bool:
    if not isinstance(answers, list):
        return isinstance(answers, str)
    return all(
        isinstance(answer, str)
        or (isinstance(answer, list) and bool(answer) and all(isinstance(part, str) for part in answer))
        for answer in answers
    )
