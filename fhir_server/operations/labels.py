"""Profiles, tags and security labels of a Meta as the sets they are.

R4 resource.html#Meta; resource-operation-meta-add.html and -meta-delete.html: a profile is its URL, a tag or label
its system and code; version and display do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

Meta = dict[str, Any]
"""A Meta as JSON."""


def _of_coding(coding: Any) -> Hashable:
    return coding.get("system"), coding.get("code")


def _of_profile(url: Any) -> Hashable:
    return url  # type: ignore[no-any-return]


_IDENTITIES: dict[str, Callable[[Any], Hashable]] = {
    "profile": _of_profile,
    "security": _of_coding,
    "tag": _of_coding,
}


def add(meta: Meta, given: Meta) -> Meta:
    """`meta` with the labels of `given` that it lacks, at the end; equal to `meta` when it lacks none."""
    result = dict(meta)
    for element, identity in _IDENTITIES.items():
        present = {identity(label) for label in meta.get(element, ())}
        missing = []
        for label in given.get(element, ()):
            if identity(label) not in present:
                present.add(identity(label))
                missing.append(label)
        if missing:
            result[element] = [*meta.get(element, ()), *missing]
            _align(result, element, [*meta.get(f"_{element}", ()), *[None] * len(missing)])
    return result


def remove(meta: Meta, given: Meta) -> Meta:
    """`meta` without the labels of `given`; those that it lacks are no error."""
    result = dict(meta)
    for element, identity in _IDENTITIES.items():
        unwanted = {identity(label) for label in given.get(element, ())}
        labels = meta.get(element, [])
        kept = [index for index, label in enumerate(labels) if identity(label) not in unwanted]
        if len(kept) == len(labels):
            continue
        result[element] = [labels[index] for index in kept]
        siblings = meta.get(f"_{element}", ())
        _align(result, element, [siblings[index] for index in kept if index < len(siblings)])
        if not kept:
            del result[element]
    return result


def _align(meta: Meta, element: str, siblings: list[Any]) -> None:
    """Set the `_element` array of extensions beside a primitive array (R4 json.html#primitive); none when empty."""
    if any(siblings):
        meta[f"_{element}"] = siblings
    else:
        meta.pop(f"_{element}", None)
