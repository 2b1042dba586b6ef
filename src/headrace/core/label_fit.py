"""Whether a result fits a label configuration: regions that answer its controls with its own labels.

Annotations need not fit, because older configurations and imports bring others; what a model says anew must.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from headrace.core import label_results
from headrace.core.label_config import ControlTag, LabelConfig, shown

RELATION = "relation"


class _Known(NamedTuple):
    """What a region about one control may say; without labels of its own the control takes any."""

    control: ControlTag
    kind: str
    names: frozenset[str]
    paths: frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class Fit:
    """Checks results against one configuration; one without controls checks only their shape."""

    config: LabelConfig

    @cached_property
    def _known(self) -> Mapping[str, _Known]:
        return {
            control.name: _Known(
                control,
                control.type.lower(),
                frozenset(label.name for label in control.labels),
                frozenset(label.path for label in control.labels),
            )
            for control in self.config.controls
        }

    def problem(self, result: object) -> str | None:
        """Why a result does not fit, with the number of the region at fault, or None when it does."""
        if not isinstance(result, list):
            return '"result" field in prediction must be list'
        problem = label_results.result_problem(self.config, result)
        if problem is not None or not self._known:
            return problem
        for number, region in enumerate(result):
            problem = None if region.get("type") == RELATION else self._misfit(region)
            if problem is not None:
                return f"result[{number}] {problem}"
        return None

    def _misfit(self, region: Mapping[str, object]) -> str | None:
        name = str(region.get("from_name"))
        known = self._known.get(name)
        if known is None:
            return f'from_name="{name[:80]}" not found in controls: {shown(sorted(self._known))}'
        target = str(region.get("to_name"))
        if not set(target.split(",")).issubset(known.control.to_name):
            return f'to_name="{target[:80]}" is not what {name} is about: {shown(list(known.control.to_name))}'
        kind = str(region.get("type")).lower()
        if kind != known.kind:
            return f'type="{kind[:80]}" is not that of {name}: {known.kind}'
        return _unknown_label(known, region.get("value"))


def _unknown_label(known: _Known, value: object) -> str | None:
    if not known.names or not isinstance(value, dict):
        return None
    for answer in _answers(value.get(known.kind)):
        if answer not in known.paths and (isinstance(answer, tuple) or answer not in known.names):
            said = list(answer) if isinstance(answer, tuple) else answer
            return f"label {shown(said)} not found in labels of {known.control.name}"
    return None


def _answers(given: object) -> Iterator[str | tuple[object, ...]]:
    """The labels in a value: names, or paths from the top; a bare text is one name."""
    for answer in given if isinstance(given, list) else () if given is None else (given,):
        yield tuple(map(_text, answer)) if isinstance(answer, list) else _text(answer)


def _text(part: object) -> str:
    return part if isinstance(part, str) else shown(part)
