"""JSON Patch (RFC 6902) over parsed resources, decimals kept; JSON Pointer is RFC 6901."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from fhir_server.errors import FhirError, TooLarge

OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")
MOST_OPERATIONS = 1_000
MOST_DEPTH = 200
MOST_COPIED = 1_000_000
"""Characters, and VALUE_WEIGHT for each value, that all copies of a patch may make: each copy of a copy doubles."""
VALUE_WEIGHT = 50


class _Refused(FhirError):
    """A patch that cannot be applied: 422 (R4 http.html#patch)."""

    status = 422
    code = "processing"


def apply(document: dict[str, Any], patch: Any) -> dict[str, Any]:
    """A patched copy of `document`; all operations or none.

    Raises FhirError: 400 for a malformed patch, 422 when it does not fit the resource.
    """
    if not isinstance(patch, list) or not patch:
        raise FhirError("A JSON Patch is a non-empty array of operations (RFC 6902).", code="structure")
    if len(patch) > MOST_OPERATIONS:
        raise TooLarge(f"The patch has {len(patch)} operations; {MOST_OPERATIONS} are possible: split it.")
    result = deepcopy(document)
    left = MOST_COPIED
    for n, operation in enumerate(patch):
        try:
            if isinstance(operation, dict) and operation.get("op") == "copy":
                left -= _size(_get(result, _pointer(operation, "from")), left)
            result = _apply_one(result, operation)
        except FhirError as error:
            raise type(error)(f"Operation {n}: {error}", code=error.issues[0].code) from error
    if not isinstance(result, dict):
        raise _Refused("The patch replaces the resource by something else than an object.")
    return result


def _size(value: Any, most: int) -> int:
    """How much `value` holds, see MOST_COPIED. Raises TooLarge (413) over `most`."""
    count, level = 0, [value]
    for depth in range(MOST_DEPTH + 1):
        count += VALUE_WEIGHT * len(level) + sum(len(item) for item in level if isinstance(item, str))
        if count > most or depth == MOST_DEPTH:
            raise TooLarge("The copies of this patch would make the resource far too large.", code="too-costly")
        inner = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list)))
        level = [value for items in inner for value in items]
        if not level:
            break
    return count


def _apply_one(document: Any, operation: Any) -> Any:
    if not isinstance(operation, dict) or operation.get("op") not in OPERATIONS:
        raise FhirError(f"an operation needs an op, one of {', '.join(OPERATIONS)}.", code="structure")
    op = operation["op"]
    path = _pointer(operation, "path")
    if op in ("move", "copy"):
        source = _pointer(operation, "from")
        if op == "move" and path[: len(source)] == source and path != source:
            raise _Refused("a value cannot be moved into itself.")
        value = _get(document, source)
        if op == "copy":
            return _add(document, path, deepcopy(value))
        return _add(_remove(document, source), path, value)
    if op == "remove":
        return _remove(document, path)
    if "value" not in operation:
        raise FhirError(f"the operation {op} needs a value.", code="structure")
    if op == "add":
        return _add(document, path, operation["value"])
    if op == "replace":
        return _replace(document, path, operation["value"])
    if not _equal(_get(document, path), operation["value"]):
        raise _Refused(f"the test of {operation['path']} failed: the value there is another.")
    return document


def _pointer(operation: dict[str, Any], key: str) -> list[str]:
    text = operation.get(key)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise FhirError(f"{key} must be a JSON Pointer such as /name/0/family.", code="structure")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(array: list[Any], step: str, *, end: bool) -> int:
    """`end`: the place behind the last element may be named, by number or by -."""
    if end and step == "-":
        return len(array)
    number = (
        int(step) if len(step) < 10 and step.isascii() and step.isdigit() and (step == "0" or step[0] != "0") else -1
    )
    if not 0 <= number < len(array) + int(end):
        raise _Refused(f"there is no array element {step}.")
    return number


def _get(document: Any, path: list[str]) -> Any:
    for step in path:
        if isinstance(document, list):
            document = document[_index(document, step, end=False)]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        else:
            raise _Refused(f"there is no /{'/'.join(path)} in the resource.")
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(_index(parent, path[-1], end=True), value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise _Refused(f"/{'/'.join(path[:-1])} is neither an object nor an array.")
    return document


def _replace(document: Any, path: list[str], value: Any) -> Any:
    """In place, so that a member keeps its position."""
    if not path:
        return value
    _get(document, path)
    parent = _get(document, path[:-1])
    parent[_index(parent, path[-1], end=False) if isinstance(parent, list) else path[-1]] = value
    return document


def _remove(document: Any, path: list[str]) -> Any:
    if not path:
        raise _Refused("the whole resource cannot be removed: delete it.")
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        del parent[_index(parent, path[-1], end=False)]
    elif isinstance(parent, dict) and path[-1] in parent:
        del parent[path[-1]]
    else:
        raise _Refused(f"there is no /{'/'.join(path)} in the resource.")
    return document


def _equal(one: Any, other: Any) -> bool:
    """RFC 6902 4.6: true and 1 differ, numbers compare by value."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
