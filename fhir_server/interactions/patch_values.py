"""Where a FHIRPath Patch puts values and what they may be (R4 fhirpatch.html; json.html#primitive).

A primitive is two things in JSON: its value under its name, its id and extensions under `_name`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_server import spec
from fhir_server.errors import FhirError
from fhir_server.fhirpath import Location
from fhir_server.fhirpath.types import Member, TypeInfo, fhir_type, type_at

Json = dict[str, Any]


class PatchRefused(FhirError):
    """A patch that does not fit the resource: 422 (R4 http.html#patch)."""

    status = 422
    code = "processing"


@dataclass(frozen=True, slots=True)
class Value:
    """A value for the element `member`; `extra` is a primitive's id and extensions."""

    member: Member
    content: Any
    extra: Any = None

    @property
    def many(self) -> bool:
        return self.member.many


def value_of(parent_type: str, name: str, part: Json) -> Value:
    """The value in `part` for the element `name` of `parent_type`. Raises PatchRefused when it is of another type."""
    members = type_at(parent_type).members[name]
    if not members:
        raise PatchRefused(f"{parent_type} has no element {name[:100]!r}.")
    if "part" in part:
        return _backbone(members, part)
    if "resource" in part:
        return _of_type(members, name, fhir_type("Resource"), part["resource"], None)
    keys = [key.removeprefix("_") for key in part if key.startswith(("value", "_value"))]
    if len(set(keys)) != 1:
        raise PatchRefused(f"the value of {name[:100]} is missing.")
    key = keys[0]
    return _of_type(members, name, _named(key.removeprefix("value")), part.get(key), part.get(f"_{key}"))


def _named(suffix: str) -> TypeInfo:
    """The type of `value[x]`: `Code` is code, `HumanName` itself."""
    for type_name in (suffix, suffix[:1].lower() + suffix[1:]):
        if spec.is_type(type_name):
            return fhir_type(type_name)
    raise PatchRefused(f"value{suffix[:100]} is not a value of R4.")


def _of_type(members: tuple[Member, ...], name: str, sent: TypeInfo, content: Any, extra: Any) -> Value:
    for member in members:
        # Parameters have no valueXhtml: a narrative is sent as a string.
        if sent.is_a(member.type) or (member.type.name, sent.name) == ("xhtml", "string"):
            return Value(member, content, extra)
    wanted = ", ".join(sorted(member.type.name for member in members))
    raise PatchRefused(f"{name[:100]} takes {wanted}, not {sent.name}.")


def _backbone(members: tuple[Member, ...], part: Json) -> Value:
    """An element without a type of its own, or of one that Parameters lack, is spelt out: a part for each element."""
    (member, *others) = members
    if others or member.type.is_primitive or member.type.is_resource:
        raise PatchRefused(f"{member.name} takes a value[x], not parts.")
    content: Json = {}
    for inner in part["part"]:
        value = value_of(member.type.name, str(inner.get("name")), inner)
        place = Place(content, value.member.key, -1, member.type.name, value.member.name, value.member)
        if value.many:
            place.insert(len(place.items()), value)
        elif place.exists(value.member.name):
            raise PatchRefused(f"{value.member.name} stands twice in the value of {member.name}.")
        else:
            place.set(value)
    return Value(member, content)


@dataclass(frozen=True, slots=True)
class Place:
    """`container[key]`, or its element `index`: where an element stands or could stand."""

    container: Json
    key: str
    index: int
    parent_type: str
    """The type of the container."""
    name: str
    """The element's name, without the type of a choice."""
    member: Member

    @property
    def many(self) -> bool:
        return self.member.many

    @property
    def type_name(self) -> str:
        return self.member.type.name

    @property
    def _extra_key(self) -> str:
        return f"_{self.key}"

    def items(self) -> list[Any]:
        """The list's elements; a primitive's extensions may outnumber its values."""
        values, extras = self._lists()
        return values if len(values) >= len(extras) else [*values, *[None] * (len(extras) - len(values))]

    def _lists(self) -> tuple[list[Any], list[Any]]:
        return list(self.container.get(self.key) or ()), list(self.container.get(self._extra_key) or ())

    def exists(self, name: str) -> bool:
        """The element is there, under the type of whatever choice."""
        keys = [member.key for member in type_at(self.parent_type).members[name]]
        return any(key in self.container or f"_{key}" in self.container for key in keys)

    def child(self, value: Value) -> Place:
        """Where `value`, an element of this one, would stand."""
        member = value.member
        return Place(self._content(), member.key, -1, self.type_name, member.name, member)

    def _content(self) -> Json:
        """The object that holds this element's own elements; of a primitive, made when it is missing."""
        if not self.member.type.is_primitive:
            content: Any = self.container if self.key == "" else self.container[self.key]
            found: Json = content[self.index] if self.index >= 0 else content
            return found
        if self.index < 0:
            made: Json = self.container.setdefault(self._extra_key, {})
            return made
        values, extras = self._lists()
        extras += [None] * (len(values) - len(extras))
        extras[self.index] = extras[self.index] or {}
        self.container[self._extra_key] = extras
        inside: Json = extras[self.index]
        return inside

    def set(self, value: Value) -> None:
        """Put a value that stands alone; a missing part of a primitive goes."""
        for key, content in ((value.member.key, value.content), (f"_{value.member.key}", value.extra)):
            if content is None:
                self.container.pop(key, None)
            else:
                self.container[key] = content

    def insert(self, index: int, value: Value) -> None:
        values, extras = self._lists()
        self._store(_inserted(values, index, value.content), _inserted(extras, index, value.extra))

    def move(self, source: int, destination: int) -> None:
        length = len(self.items())
        lists = [found + [None] * (length - len(found)) for found in self._lists()]
        for found in lists:
            found.insert(destination, found.pop(source))
        self._store(*lists)

    def replace(self, value: Value) -> None:
        if self.index < 0:
            self.container.pop(self.key, None)
            self.container.pop(self._extra_key, None)
            self.set(value)
            return
        values, extras = self._lists()
        self._store(_replaced(values, self.index, value.content), _replaced(extras, self.index, value.extra))

    def remove(self) -> None:
        if self.index < 0:
            self.container.pop(self.key, None)
            self.container.pop(self._extra_key, None)
            return
        values, extras = self._lists()
        del values[self.index : self.index + 1], extras[self.index : self.index + 1]
        self._store(values, extras)

    def _store(self, values: list[Any], extras: list[Any]) -> None:
        """Both lists, without one that says nothing (R4 json.html#primitive: null where one has nothing)."""
        length = max(len(values), len(extras))
        for key, found in ((self.key, values), (self._extra_key, extras)):
            if any(item is not None for item in found):
                self.container[key] = found + [None] * (length - len(found))
            else:
                self.container.pop(key, None)


def _inserted(items: list[Any], index: int, item: Any) -> list[Any]:
    items += [None] * (index - len(items))
    return [*items[:index], item, *items[index:]]


def _replaced(items: list[Any], index: int, item: Any) -> list[Any]:
    items += [None] * (index + 1 - len(items))
    items[index] = item
    return items


def root(location: Location) -> Place:
    """The resource itself, which has elements but no place."""
    return Place(location.value, "", -1, "", "", Member("", "", type_at(location.type_name), many=False))


def place_of(location: Location) -> Place:
    """The place of an element that is there. Raises PatchRefused for the resource itself."""
    if location.container is None:
        raise PatchRefused("the resource itself cannot be replaced, moved or deleted by a patch.")
    for name in type_at(location.parent_type).names:
        for member in type_at(location.parent_type).members[name]:
            if member.key == location.key:
                return Place(location.container, location.key, location.index, location.parent_type, name, member)
    raise PatchRefused(f"{location.path} cannot be patched.")
