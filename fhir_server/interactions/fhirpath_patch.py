"""FHIRPath Patch (R4 fhirpatch.html): operations in a Parameters resource, applied in order to parsed resources."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from fhir_server import spec
from fhir_server.errors import FhirError, TooLarge
from fhir_server.fhirpath import EvaluationError, Location, locate
from fhir_server.interactions.json_patch import MOST_OPERATIONS
from fhir_server.interactions.patch_values import PatchRefused, Place, place_of, root, value_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Operation:
    """One `operation` parameter, its parts by name."""

    parts: dict[str, Json]

    def text(self, name: str) -> str:
        """A part that is a code or a string."""
        part = self.parts.get(name, {})
        found = part.get("valueString", part.get("valueCode"))
        if not isinstance(found, str) or not found:
            raise FhirError(f"the operation needs a part '{name}' with a valueString.", code="structure")
        return found

    def number(self, name: str) -> int:
        found = self.parts.get(name, {}).get("valueInteger")
        if type(found) is not int or found < 0:
            raise FhirError(f"the operation needs a part '{name}' with a valueInteger from 0.", code="structure")
        return found

    @property
    def value(self) -> Json:
        if "value" not in self.parts:
            raise FhirError("the operation needs a part 'value'.", code="structure")
        return self.parts["value"]


def apply(document: Json, patch: Json) -> Json:
    """A patched copy of `document`; all operations or none.

    Raises FhirError: 400 for a malformed patch, 422 when it does not fit the resource.
    """
    parameters = patch.get("parameter") or []
    if len(parameters) > MOST_OPERATIONS:
        raise TooLarge(f"The patch has {len(parameters)} operations; {MOST_OPERATIONS} are possible: split it.")
    result = deepcopy(document)
    for n, parameter in enumerate(parameters):
        try:
            operation = _read(parameter)
            _APPLY[operation.text("type")](result, operation)
        except FhirError as error:
            place = f"Parameters.parameter[{n}]"
            raise FhirError(
                f"Operation {n}: {error}", status=error.status, code=error.issues[0].code, expression=place
            ) from error
    return result


def _read(parameter: Json) -> _Operation:
    if parameter.get("name") != "operation":
        raise FhirError("a FHIRPath Patch has parameters called 'operation' only.", code="structure")
    parts: dict[str, Json] = {}
    for part in parameter.get("part") or []:
        name = str(part.get("name"))
        if name in parts or name not in _PARTS:
            raise FhirError(f"the part '{name[:100]}' stands twice or is not one of an operation.", code="structure")
        parts[name] = part
    operation = _Operation(parts)
    if operation.text("type") not in _APPLY:
        raise FhirError(f"an operation's type is one of {', '.join(_APPLY)}.", code="structure")
    return operation


_PARTS = frozenset(("type", "path", "name", "value", "index", "source", "destination"))


class _Unknown(EvaluationError):
    """422, as whatever does not fit the resource."""

    status = 422


class _Alone:
    """What a path asks of a host (fhirpath.Services): a patch knows its resource and R4 alone. An answer that is not
    known is refused: it would be empty, and an operation would pass by what it means."""

    def resolve(self, reference: str) -> Json | None:
        raise _Unknown(f"A patch does not follow a reference out of its resource ({reference[:100]}).")

    def member_of(self, value_set: str, codings: list[tuple[str, str]]) -> bool | None:
        del codings
        if spec.codes(value_set.partition("|")[0]) is None:
            raise _Unknown(f"A patch knows no value sets but those R4 binds codes to, not {value_set[:100]}.")
        return None

    def subsumes(self, system: str, ancestor: str, descendant: str) -> bool | None:
        del ancestor, descendant
        raise _Unknown(f"A patch knows no hierarchy of codes ({system[:100]}).")

    def conforms_to(self, resource: Json, profile: str) -> bool | None:
        """Of a profile that is not R4's own the evaluation itself says that it is not known."""
        return None


_ALONE = _Alone()


def _located(path: str, document: Json) -> list[Location]:
    return locate(path, document, services=_ALONE)


def _single(document: Json, path: str) -> Location:
    found = _located(path, document)
    if len(found) != 1:
        raise PatchRefused(f"{path[:200]!r} finds {len(found)} elements; it must find one.")
    return found[0]


def _list(document: Json, path: str) -> Place:
    """The whole list that `path` finds: positions in a part of it would mean others than they say."""
    found = _located(path, document)
    if not found:
        raise PatchRefused(f"{path[:200]!r} finds no element.")
    place = place_of(found[0])
    same = all(one.container is found[0].container and one.key == found[0].key for one in found)
    if not place.many or not same or len(found) != len(place.items()):
        raise PatchRefused(f"{path[:200]!r} is not one whole list of elements.")
    return place


def _add(document: Json, operation: _Operation) -> None:
    found = _single(document, operation.text("path"))
    parent = root(found) if found.container is None else place_of(found)
    name = operation.text("name")
    value = value_of(parent.type_name, name, operation.value)
    child = parent.child(value)
    if value.many:
        child.insert(len(child.items()), value)
    elif child.exists(name):
        raise PatchRefused(f"there is a {name[:100]} already: replace it.")
    else:
        child.set(value)


def _insert(document: Json, operation: _Operation) -> None:
    place = _list(document, operation.text("path"))
    index = operation.number("index")
    if index > len(place.items()):
        raise PatchRefused(f"the list has {len(place.items())} elements: nothing can be inserted at {index}.")
    place.insert(index, value_of(place.parent_type, place.name, operation.value))


def _delete(document: Json, operation: _Operation) -> None:
    path = operation.text("path")
    found = _located(path, document)
    if len(found) > 1:
        raise PatchRefused(f"{path[:200]!r} finds {len(found)} elements; only one can be deleted.")
    if found:
        place_of(found[0]).remove()
        _drop_empty(document)


def _replace(document: Json, operation: _Operation) -> None:
    place = place_of(_single(document, operation.text("path")))
    place.replace(value_of(place.parent_type, place.name, operation.value))


def _move(document: Json, operation: _Operation) -> None:
    place = _list(document, operation.text("path"))
    source, destination = operation.number("source"), operation.number("destination")
    length = len(place.items())
    if source >= length or destination >= length:
        raise PatchRefused(f"the list has {length} elements: nothing moves from {source} to {destination}.")
    place.move(source, destination)


_APPLY: dict[str, Callable[[Json, _Operation], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


def _drop_empty(content: Any) -> bool:
    """Remove the objects and arrays that a deletion left empty (R4 json.html: neither is possible)."""
    if isinstance(content, dict):
        for key in [key for key, value in content.items() if isinstance(value, (dict, list)) and _drop_empty(value)]:
            del content[key]
    elif isinstance(content, list):
        kept = [item for item in content if not (isinstance(item, (dict, list)) and _drop_empty(item))]
        content[:] = [] if all(item is None for item in kept) else kept
    return not content
