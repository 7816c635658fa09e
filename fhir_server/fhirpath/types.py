"""The types FHIRPath sees: R4's from the specification's tables, and System's (http://hl7.org/fhirpath/N1/#types).

R4 fhirpath.html#types: FHIR types live in the namespace FHIR, primitives convert to System types implicitly.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from fhir_server import spec

_SYSTEM_KIND = {
    "boolean": "boolean",
    "integer": "integer",
    "decimal": "decimal",
    "date": "date",
    "dateTime": "dateTime",
    "instant": "dateTime",
    "time": "time",
}
"""FHIR primitive -> kind of its System value; all other primitives are strings."""


class Member:
    """One element of a type with one of its types; a choice element is one `Member` for each type."""

    __slots__ = ("choices", "extra_key", "key", "many", "name", "type")

    def __init__(self, name: str, key: str, type_: TypeInfo, *, many: bool) -> None:
        self.name = name
        self.key = key
        """In JSON (`valueQuantity`)."""
        self.type = type_
        """The type `Resource` stands for whatever `resourceType` says."""
        self.many = many
        self.extra_key = f"_{key}" if type_.is_primitive else ""
        """Where JSON has the id and extensions of a primitive (R4 json.html#primitive)."""
        self.choices: dict[str, Member] = {}
        """Of a choice element: each JSON key it may have -> its member."""


class _Members(dict[str, tuple[Member, ...]]):
    """name -> its members, made when first asked for; an empty tuple when the type has no such element."""

    def __init__(self, owner: TypeInfo) -> None:
        super().__init__()
        self._owner = owner

    def __missing__(self, name: str) -> tuple[Member, ...]:
        found = _members(self._owner, name)
        self[name] = found
        return found


class TypeInfo:
    """A type. Backbone elements are types of their own, named by their path (`Patient.contact`)."""

    __slots__ = ("_keys", "ancestors", "is_primitive", "is_resource", "members", "name", "names", "namespace", "system")

    def __init__(self, namespace: str, name: str, ancestors: tuple[str, ...], *, kind: str, system: str) -> None:
        self.namespace = namespace
        self.name = name
        self.ancestors = ancestors
        """Its own name and those of the types it specialises."""
        self.is_primitive = kind == "primitive-type"
        self.is_resource = kind == "resource"
        self.system = system
        """Kind of its System value: boolean string integer decimal date dateTime time quantity, or ''."""
        self.members = _Members(self)
        self.names = _element_names(name) if namespace == "FHIR" else ()
        """Of its elements, in the order of the definition."""

        self._keys: dict[str, Member] = {}

    @property
    def keys(self) -> dict[str, Member]:
        """JSON key -> member, for values and for what belongs to them (`_birthDate`)."""
        if not self._keys:
            found = [member for name in self.names for member in self.members[name]]
            self._keys = {member.key: member for member in found}
            self._keys |= {member.extra_key: member for member in found if member.extra_key}
        return self._keys

    def __repr__(self) -> str:
        return f"{self.namespace}.{self.name}"

    def is_a(self, other: TypeInfo) -> bool:
        """This type, or one that specialises `other`."""
        return self.namespace == other.namespace and other.name in self.ancestors


def _element_names(path: str) -> tuple[str, ...]:
    children = spec.structure(path.partition(".")[0]).children.get(path, {})
    return tuple(name.removesuffix("[x]") for name in children)


def _members(owner: TypeInfo, name: str) -> tuple[Member, ...]:
    if owner.namespace != "FHIR" or (owner.is_primitive and name == "value"):
        return ()
    children = spec.structure(owner.name.partition(".")[0]).children.get(owner.name, {})
    path = f"{owner.name}.{name}"
    if (element := children.get(name)) is not None:
        return tuple(_member(name, name, path, element, type_name) for type_name in element.types or ("",))
    if (element := children.get(f"{name}[x]")) is not None:
        found = tuple(
            _member(name, name + type_name[:1].upper() + type_name[1:], path, element, type_name)
            for type_name in element.types
        )
        choices = {member.key: member for member in found}
        choices |= {member.extra_key: member for member in found if member.extra_key}
        for member in found:
            member.choices = choices
        return found
    return ()


def _member(name: str, key: str, path: str, element: spec.Element, type_name: str) -> Member:
    if element.content:
        target = backbone(element.content)
    elif type_name in ("BackboneElement", "Element"):
        target = backbone(path)
    else:
        target = fhir_type("string" if type_name.startswith("System.") else type_name)
    return Member(name, key, target, many=element.many)


@cache
def fhir_type(name: str) -> TypeInfo:
    """The R4 type or resource type `name`. Raises KeyError when there is none."""
    structure = spec.structure(name)
    ancestors = [name]
    while (base := spec.structure(ancestors[-1]).base) is not None and spec.is_type(base):
        ancestors.append(base)
    if structure.kind == "primitive-type":
        system = next((_SYSTEM_KIND[each] for each in ancestors if each in _SYSTEM_KIND), "string")
    else:
        system = "quantity" if "Quantity" in ancestors else ""
    return TypeInfo("FHIR", name, tuple(ancestors), kind=structure.kind, system=system)


@cache
def backbone(path: str) -> TypeInfo:
    """The type of an element whose children are defined in place. Raises KeyError when there is none."""
    element = spec.structure(path.partition(".")[0]).elements[path]
    if element.content:
        return backbone(element.content)
    inline = element.types[0] if element.types else ""
    if inline not in ("BackboneElement", "Element"):
        raise KeyError(path)
    ancestors = (path, *fhir_type(inline).ancestors)
    return TypeInfo("FHIR", path, ancestors, kind="complex-type", system="")


def type_at(name: str) -> TypeInfo:
    """The type called `name`, or of the backbone element at that path. Raises KeyError when there is none."""
    return backbone(name) if "." in name else fhir_type(name)


RESOURCE = fhir_type("Resource")
DOMAIN_RESOURCE = fhir_type("DomainResource")
"""Its elements mean the same in every resource that has them."""


def type_of_resource(content: Any) -> TypeInfo:
    """The type a resource says it has; `Resource` when R4 has no such type."""
    name = content.get("resourceType") if type(content) is dict else None
    return fhir_type(name) if type(name) is str and name in spec.RESOURCE_TYPES else RESOURCE


SYSTEM = {
    name: TypeInfo("System", name, (name, "Any"), kind="system", system=kind)
    for name, kind in (
        ("Any", ""),
        ("Boolean", "boolean"),
        ("String", "string"),
        ("Integer", "integer"),
        ("Decimal", "decimal"),
        ("Date", "date"),
        ("DateTime", "dateTime"),
        ("Time", "time"),
        ("Quantity", "quantity"),
    )
}
SYSTEM_BY_KIND = {info.system: info for info in SYSTEM.values() if info.system}


def named(name: str) -> tuple[TypeInfo, ...]:
    """The types a type specifier means: `FHIR.x`, `System.x`, or in either namespace; empty when there is none.

    A qualified name of an unknown type of System is no error but a type that nothing has (fp-3).
    """
    namespace, dot, local = name.rpartition(".")
    found = []
    if namespace in ("", "FHIR") and spec.is_type(local):
        found.append(fhir_type(local))
    if namespace in ("", "System") and local in SYSTEM:
        found.append(SYSTEM[local])
    if not found and namespace == "System":
        found.append(TypeInfo("System", local, (local,), kind="system", system=""))
    if not found and dot and namespace not in ("FHIR", "System"):
        try:
            found.append(backbone(name))
        except KeyError:
            return ()
    return tuple(found)
