"""The fast check: closures made from the shapes, that stop at the first doubt without saying why.

It never passes an invalid resource. What it does not pass, `walker` looks at again: rare valid forms that are not
worth a test here (extensions of a repeated primitive or of a choice's, an id without a value beside it) are let
through there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from fhir_server import spec
from fhir_server.validation.primitives import CHECKS
from fhir_server.validation.structure import ANY_RESOURCE, Field, shape

Taker = Callable[[Any], None]


class Doubt(Exception):
    """Something is not plainly valid."""


_DOUBT = Doubt()

NOT_CONTAINED = frozenset(("versionId", "_versionId", "lastUpdated", "_lastUpdated", "security"))
"""What the meta of a contained resource must not have (R4 domainresource.html, dom-4 and dom-5)."""

EXTENSION_URL = ("Extension", "_url")
"""Shape and key of what cannot be: Extension.url is an XML attribute and has none (R4 extensibility.html)."""


def check(resource: Any) -> None:
    """Raises Doubt, KeyError or RecursionError unless `resource` is plainly valid."""
    if type(resource) is not dict:
        raise _DOUBT
    resource_type = resource["resourceType"]
    if type(resource_type) is not str or resource_type not in spec.RESOURCE_TYPES:
        raise _DOUBT
    _object(resource_type)(resource)


def _contained(resource: Any) -> None:
    check(resource)
    if "contained" in resource or not NOT_CONTAINED.isdisjoint(resource.get("meta", ())):
        raise _DOUBT


class _Object:
    """Checks objects of one shape; its table is made when the first comes."""

    __slots__ = ("groups", "path", "required", "table")

    def __init__(self, path: str) -> None:
        self.path = path
        self.table: dict[str, Taker] | None = None
        self.required: tuple[str, ...] = ()
        self.groups: tuple[tuple[frozenset[str], bool], ...] = ()

    def __call__(self, value: Any) -> None:
        if type(value) is not dict or not value or (len(value) == 1 and "id" in value):
            raise _DOUBT
        table = self.table or self.build()
        for key, content in value.items():
            table[key](content)
        for key in self.required:
            if key not in value:
                raise _DOUBT
        for keys, required in self.groups:
            count = len(keys & value.keys())
            if count > 1 or (required and not count):
                raise _DOUBT

    def build(self) -> dict[str, Taker]:
        prepared = shape(self.path)
        table = {key: _taker(self.path, field) for key, field in prepared.fields.items()}
        if prepared.resource:
            table["resourceType"] = _accept
        if self.path == "DomainResource" or "contained" in prepared.fields:
            table["contained"] = _array(_contained)
        chosen = {key for group in prepared.groups if len(group.keys) > 1 for key in group.keys}
        for key, field in prepared.fields.items():
            if field.primitive and not field.many and key not in chosen and (self.path, f"_{key}") != EXTENSION_URL:
                table[f"_{key}"] = _object("Element")
        self.required = tuple(group.keys[0] for group in prepared.groups if group.required and len(group.keys) == 1)
        self.groups = tuple((frozenset(group.keys), group.required) for group in prepared.groups if len(group.keys) > 1)
        self.table = table
        return table


def _accept(value: Any) -> None:
    """The type's name, which decided how the object is checked."""


class _Extension(_Object):
    """ext-1: a value or extensions, not both, not neither."""

    __slots__ = ()

    def __call__(self, value: Any) -> None:
        super().__call__(value)
        valued = any(key.startswith("value") for key in value)
        if valued == ("extension" in value):
            raise _DOUBT


@cache
def _object(path: str) -> _Object:
    return _Extension(path) if path == "Extension" else _Object(path)


def _taker(path: str, field: Field) -> Taker:
    taker = _single(field)
    return _array(taker) if field.many else taker


def _single(field: Field) -> Taker:
    if field.type_name == ANY_RESOURCE:
        return check
    if not field.primitive:
        return _reference(field.targets) if field.targets is not None else _object(field.type_name)
    if field.codes is not None:
        return _code(field.codes)
    holds = CHECKS[field.type_name]

    def primitive(value: Any) -> None:
        if not holds(value):
            raise _DOUBT

    return primitive


def _code(codes: frozenset[str]) -> Taker:
    def code(value: Any) -> None:
        if type(value) is not str or value not in codes:
            raise _DOUBT

    return code


def _reference(targets: frozenset[str]) -> Taker:
    holds = _object("Reference")

    def reference(value: Any) -> None:
        holds(value)
        named = value.get("reference")
        if named is not None and is_other_type(named, targets):
            raise _DOUBT

    return reference


def is_other_type(reference: str, targets: frozenset[str]) -> bool:
    """A literal `Type/...` whose type is none of `targets`."""
    head = reference.partition("/")[0]
    return head not in targets and head in spec.RESOURCE_TYPES


def _array(taker: Taker) -> Taker:
    def array(value: Any) -> None:
        if type(value) is not list or not value:
            raise _DOUBT
        for item in value:
            taker(item)

    return array
