"""What collections hold: nodes of FHIR data that know their type and place, and values of System."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server.fhirpath.quantity import Quantity
from fhir_server.fhirpath.temporal import Temporal
from fhir_server.fhirpath.types import Member, TypeInfo, type_of_resource


class Node(msgspec.Struct, gc=False, eq=False):
    """An element of a resource. `gc=False`: nodes point at their parents alone, so they never form a cycle."""

    value: Any
    """As in JSON; None for a primitive that has extensions only."""
    type: TypeInfo
    extra: Any = None
    """Of a primitive: the object with its id and extensions."""
    parent: Node | None = None
    key: str = ""
    """The key in the parent's JSON object."""
    index: int = -1
    """Its position when that key holds an array, else -1."""

    @property
    def content(self) -> Any:
        """The JSON object that holds its children, or None."""
        return self.extra if self.type.is_primitive else self.value

    @property
    def resource(self) -> Node:
        """The nearest resource: itself or what it stands in."""
        node = self
        while not node.type.is_resource and node.parent is not None:
            node = node.parent
        return node


@dataclass(frozen=True, slots=True)
class TypeName:
    """What `type()` returns (N1 reflection): a SimpleTypeInfo or ClassInfo."""

    namespace: str
    name: str


Item = Node | str | bool | int | Any
"""A node, or a System value: str, bool, int, Decimal, Temporal, Quantity, TypeName."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where an element stands: `container[key]`, or `container[key][index]` when `index` is 0 or more.

    `container` is the JSON object itself, so that a patch can change it in place. The resource itself has no
    container.
    """

    container: dict[str, Any] | None
    key: str
    index: int
    value: Any
    type_name: str
    parent_type: str
    """The type whose element it is; "" of the resource itself."""
    path: str
    """`Patient.name[0].given[1]`"""


def location(node: Node) -> Location:
    parent = node.parent
    if parent is None:
        return Location(None, node.key, node.index, node.value, node.type.name, "", path(node))
    return Location(parent.content, node.key, node.index, node.value, node.type.name, parent.type.name, path(node))


def path(node: Node) -> str:
    steps = []
    while node.parent is not None:
        steps.append(f"{node.key}[{node.index}]" if node.index >= 0 else node.key)
        node = node.parent
    return ".".join((node.type.name, *reversed(steps)))


def add_children(out: list[Item], content: Any, members: tuple[Member, ...], parent: Node | None) -> None:
    """Append the elements that `members`, the types of one element, describe in the JSON object `content`."""
    if type(content) is not dict:
        return
    if len(members) > _FEW:
        members = _present(content, members)
    for member in members:
        key = member.key
        value = content.get(key)
        extra = content.get(member.extra_key) if member.extra_key else None
        if value is None and extra is None:
            continue
        info = member.type
        if type(value) is list or type(extra) is list:
            _add_array(out, member, value or (), extra or (), parent)
        else:
            if info.is_resource:
                info = type_of_resource(value)
            out.append(Node(value, info, extra, parent, key))


_FEW = 3
"""Types of a choice up to which each key is looked up; beyond, the keys that are there are."""


def _present(content: dict[str, Any], members: tuple[Member, ...]) -> tuple[Member, ...]:
    """The members of a choice that `content` has; all when they are not those of one choice."""
    choices = members[0].choices
    if members[-1].choices is not choices:
        return members
    keys = choices.keys() & content.keys()
    if len(keys) == 1:
        return (choices[keys.pop()],)
    found = {choices[key] for key in keys}
    return tuple(member for member in members if member in found)


def _add_array(out: list[Item], member: Member, values: Any, extras: Any, parent: Node | None) -> None:
    info = member.type
    if type(values) not in (list, tuple) or type(extras) not in (list, tuple):
        values, extras = (values if type(values) is list else ()), ()
    given = len(extras)
    for n in range(max(len(values), given)):
        value = values[n] if n < len(values) else None
        extra = extras[n] if n < given else None
        if value is None and extra is None:
            continue
        kind = type_of_resource(value) if info.is_resource else info
        out.append(Node(value, kind, extra, parent, member.key, n))


def children(node: Node) -> list[Item]:
    """All elements directly below `node`, in the order of the JSON."""
    out: list[Item] = []
    content = node.content
    if type(content) is not dict:
        return out
    keys = node.type.keys
    for key, value in content.items():
        member = keys.get(key)
        if member is None:
            continue
        if member.extra_key or member.type.is_resource:
            # What belongs to a primitive is read with its value.
            if key == member.key or member.key not in content:
                add_children(out, content, (member,), node)
        elif type(value) is list:
            info = member.type
            for n, each in enumerate(value):
                if each is not None:
                    out.append(Node(each, info, None, node, key, n))
        elif value is not None:
            out.append(Node(value, member.type, None, node, key))
    return out


def system_type_name(item: Item) -> str:
    """The name of a System value's type."""
    if type(item) is Temporal:
        return {"date": "Date", "dateTime": "DateTime", "time": "Time"}[item.kind]
    return _SYSTEM_NAMES.get(type(item), "Decimal")


_SYSTEM_NAMES: dict[type, str] = {
    str: "String",
    bool: "Boolean",
    int: "Integer",
    Quantity: "Quantity",
    TypeName: "TypeInfo",
}
