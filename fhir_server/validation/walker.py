"""The slow check: every issue of a resource, each with its FHIRPath expression and what is expected there."""

from __future__ import annotations

from typing import Any

from fhir_server import spec
from fhir_server.errors import Issue
from fhir_server.model.narrative import problem_of
from fhir_server.validation.fast import EXTENSION_URL, NOT_CONTAINED, is_other_type
from fhir_server.validation.primitives import CHECKS, EXPECTED
from fhir_server.validation.structure import ANY_RESOURCE, Field, Shape, shape

MOST_ISSUES = 200
"""More would only bury the first ones."""


def all_issues(resource: Any) -> list[Issue]:
    """What is wrong with `resource`, in the order of its elements; empty when it is valid."""
    walker = _Walker()
    walker.resource(resource, "")
    return walker.issues


class _Walker:
    def __init__(self) -> None:
        self.issues: list[Issue] = []

    def add(self, code: str, diagnostics: str, expression: str) -> None:
        if len(self.issues) < MOST_ISSUES:
            self.issues.append(Issue(code, diagnostics, expression))

    def resource(self, value: Any, place: str) -> None:
        """`place` is empty for the outermost resource, whose expressions start with its type."""
        if type(value) is not dict:
            self.add("structure", "A resource is a JSON object.", place or "Resource")
            return
        resource_type = value.get("resourceType")
        if type(resource_type) is not str or resource_type not in spec.RESOURCE_TYPES:
            text = "resourceType must name a resource type of FHIR R4" if resource_type else "resourceType is missing"
            self.add(
                "structure", f"{text}, such as Patient.", f"{place}.resourceType" if place else "Resource.resourceType"
            )
            return
        self.object(value, shape(resource_type), place or resource_type)

    def object(self, value: Any, prepared: Shape, place: str, *, valued: bool = False) -> None:
        """`valued`: it stands beside a primitive's value, so that an id alone is enough."""
        if type(value) is not dict:
            self.add("structure", f"{place} takes an object, not {_kind(value)}.", place)
            return
        if not value:
            self.add("structure", "An object must not be empty: leave the element out.", place)
            return
        if value.keys() == {"id"} and not valued:
            self.add("invariant", "An element has more than an id: a value or children (ele-1).", place)
        for key, content in value.items():
            if key != "resourceType" or not prepared.resource:
                self.member(value, key, content, prepared, place)
        self.groups(value, prepared, place)
        if prepared.path == "Extension":
            self.extension(value, place)

    def member(self, holder: dict[str, Any], key: str, content: Any, prepared: Shape, place: str) -> None:
        field = prepared.fields.get(key.removeprefix("_"))
        if field is None or (key.startswith("_") and not field.primitive) or (prepared.path, key) == EXTENSION_URL:
            self.add("structure", f"{prepared.path} has no element {key[:64]}.", f"{place}.{key[:64]}")
            return
        where = f"{place}.{field.name}"
        if key.startswith("_"):
            self.extensions(holder, key, content, field, where)
        elif field.many:
            self.array(holder, content, field, where)
        elif type(content) is list:
            self.add("structure", f"{key} is a single value here, not an array.", where)
        else:
            self.value(content, field, where)

    def array(self, holder: dict[str, Any], content: Any, field: Field, where: str) -> None:
        if type(content) is not list:
            self.add("structure", f"{field.key} is an array here, also for a single value.", where)
            return
        if not content:
            self.add("structure", "An array must not be empty: leave the element out.", where)
        beside = holder.get(f"_{field.key}")
        for n, item in enumerate(content):
            if item is None and field.primitive and _has(beside, n):
                continue
            self.value(item, field, f"{where}[{n}]")

    def extensions(self, holder: dict[str, Any], key: str, content: Any, field: Field, where: str) -> None:
        """R4 json.html#primitive: ids and extensions of primitives stand in `_name`, beside the value."""
        element = shape("Element")
        if not field.many:
            self.object(content, element, where, valued=field.key in holder)
            return
        values = holder.get(field.key)
        if type(content) is not list or not content:
            self.add("structure", f"{key} is an array here, one item or null for each value.", where)
            return
        if type(values) is list and len(values) != len(content):
            self.add("structure", f"{key} must have as many items as {field.key}, null where there is nothing.", where)
        for n, item in enumerate(content):
            if item is not None:
                self.object(item, element, f"{where}[{n}]", valued=_has(values, n))
            elif not _has(values, n):
                self.add("structure", "A null needs a value or extension beside it.", f"{where}[{n}]")

    def value(self, content: Any, field: Field, where: str) -> None:
        if content is None:
            self.add("structure", "null is not a value: leave the element out.", where)
        elif field.type_name == ANY_RESOURCE:
            self.resource(content, where)
            if field.key == "contained" and type(content) is dict:
                self.contained(content, where)
        elif field.primitive:
            self.primitive(content, field, where)
        else:
            self.object(content, shape(field.type_name), where)
            if field.targets is not None and type(content) is dict:
                self.target(content.get("reference"), field.targets, where)

    def contained(self, resource: dict[str, Any], where: str) -> None:
        if "contained" in resource:
            self.add("invariant", "A contained resource cannot contain others (dom-2).", f"{where}.contained")
        meta = resource.get("meta")
        for key in meta if type(meta) is dict else ():
            if key in NOT_CONTAINED:
                name = key.removeprefix("_")
                rule = "dom-5" if name == "security" else "dom-4"
                self.add("invariant", f"A contained resource has no meta.{name} ({rule}).", f"{where}.meta.{name}")

    def primitive(self, content: Any, field: Field, where: str) -> None:
        if not CHECKS[field.type_name](content):
            expected = EXPECTED[field.type_name]
            if field.type_name == "xhtml" and type(content) is str:
                self.add("invalid", f"The narrative is refused: {problem_of(content)}.", where)
                return
            self.add("value", f"{field.name} takes {expected}.", where)
        elif field.codes is not None and content not in field.codes:
            known = sorted(field.codes)
            shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            self.add("code-invalid", f"{field.name} must be one of: {shown}.", where)

    def target(self, reference: Any, targets: frozenset[str], where: str) -> None:
        if type(reference) is str and is_other_type(reference, targets):
            named = ", ".join(sorted(targets))
            self.add("value", f"The reference must point at {named}.", f"{where}.reference")

    def groups(self, value: dict[str, Any], prepared: Shape, place: str) -> None:
        for group in prepared.groups:
            present = [key for key in group.keys if key in value or f"_{key}" in value]
            if len(present) > 1:
                self.add("structure", f"Only one of {', '.join(present)} may be there.", f"{place}.{group.name}")
            elif not present and group.required:
                self.add("required", f"{prepared.path} needs {group.name}.", f"{place}.{group.name}")

    def extension(self, value: dict[str, Any], place: str) -> None:
        valued = any(key.lstrip("_").startswith("value") for key in value)
        if valued == ("extension" in value):
            text = "not both a value and extensions" if valued else "a value or extensions"
            self.add("invariant", f"An extension has {text} (ext-1).", place)


def _has(items: Any, n: int) -> bool:
    return type(items) is list and n < len(items) and items[n] is not None


def _kind(value: Any) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
