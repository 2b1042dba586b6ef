"""Definitions in a dataset: labels, entities, general fields. What is sent is completed to what clients must get."""

import hashlib
from collections.abc import Sequence

import msgspec

from headrace.core import entities
from headrace.core.datasets import Label
from headrace.core.errors import Invalid, NotBuilt
from headrace.dialects.communications_mining import wire_datasets
from headrace.dialects.communications_mining.boundary import to_hex
from headrace.learning import patterns

DEFAULT_GROUP = "default"


def labels_of(fields: wire_datasets.DatasetFields) -> list[Label] | None:
    """The taxonomy a request gives: its label definitions and those of the default group, each name once.

    None when it gives none; raises NotBuilt for another group.
    """
    if fields.label_defs is None and fields.label_groups is None:
        return None
    groups = fields.label_groups or []
    for group in groups:
        check_group(group.name)
    found: dict[str, Label] = {}
    for item in (*(fields.label_defs or []), *(item for group in groups for item in group.label_defs)):
        found.setdefault(item.name, label_of(item))
    return list(found.values())


def check_group(name: str) -> None:
    """Raise NotBuilt unless the label group is the one that every dataset has."""
    if name != DEFAULT_GROUP:
        raise NotBuilt(f"only the label group '{DEFAULT_GROUP}' is kept", fields={"group": name[:80]})


def label_of(item: wire_datasets.LabelDef) -> Label:
    """A label definition as it is stored; a pretrained label without a name has the label's own."""
    definition: dict[str, object] = {}
    if item.external_id is not None:
        definition["external_id"] = item.external_id
    if item.pretrained is not None:
        definition["pretrained"] = {"id": item.pretrained.id, "name": item.pretrained.name or item.name}
    if item.moon_form:
        definition["moon_form"] = [
            {"name": form.name, "kind": form.kind, "instructions": form.instructions} for form in item.moon_form
        ]
    return Label(name=item.name, title=item.title, instructions=item.instructions, definition=definition)


def entities_of(items: Sequence[wire_datasets.EntityDef]) -> list[dict[str, object]]:
    """Entity definitions with everything that an answer must hold.

    Raises Invalid for a name given twice and for rules that cannot be followed.
    """
    _check_names("entity_defs", [item.name for item in items])
    for item in items:
        _check_rules(item)
    return [_entity(item) for item in items]


def fields_of(items: Sequence[wire_datasets.GeneralField]) -> list[dict[str, object]]:
    """General fields with everything that an answer must hold; raises Invalid for a name given twice."""
    _check_names("general_fields", [item.api_name for item in items])
    return [_field(item) for item in items]


def _entity(item: wire_datasets.EntityDef) -> dict[str, object]:
    found: dict[str, object] = {
        "id": item.id or id_of("entity", item.name),
        "name": item.name,
        "title": item.title,
        "trainable": item.trainable,
        "color": item.color,
        "inherits_from": item.inherits_from,
        "_entity_def_flags": item.flags,
    }
    optional = {"rules": msgspec.to_builtins(item.rules), "instructions": item.instructions}
    return found | {key: value for key, value in optional.items() if value is not None}


def _check_rules(item: wire_datasets.EntityDef) -> None:
    """Raise Invalid unless each pattern and list of choices can be searched for in time linear in a text."""
    if item.rules is None:
        return
    wanted = entities.patterns(msgspec.to_builtins(item.rules.regex))
    values = [value for choice in item.rules.choices for value in choice.values]
    try:
        for pattern in wanted:
            patterns.compiled(pattern)
        if values:
            patterns.spellings(*values)
    except patterns.BadPattern as bad:
        where = f"entity_defs: rules of '{item.name[:80]}'"
        raise Invalid(f"{where}: {str(bad)[:200]} (patterns are RE2)", fields={"rules": item.name[:80]}) from None


def _field(item: wire_datasets.GeneralField) -> dict[str, object]:
    found: dict[str, object] = {
        "field_id": item.field_id or id_of("field", item.api_name),
        "api_name": item.api_name,
        "title": item.title,
    }
    optional = {
        "field_type_id": item.field_type_id,
        "field_type_name": item.field_type_name,
        "instructions": item.instructions,
    }
    return found | {key: value for key, value in optional.items() if value is not None}


def id_of(kind: str, name: str) -> str:
    """The id of a definition, made of its name, so that it stays the same from update to update."""
    digest = hashlib.sha256(f"{kind}:{name}".encode()).digest()
    return to_hex(int.from_bytes(digest[:8], "big") >> 1)


def _check_names(field: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise Invalid(f"{field} defines a name twice", fields={field: len(names)})
