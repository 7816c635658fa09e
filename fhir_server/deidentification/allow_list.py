"""What a de-identified resource keeps, as data: `allowed.json` names the elements of each type that are kept.

An element that is not named is dropped, whatever it is; `drop` and `dropped_types` only say why, for those who review.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from fhir_server import spec
from fhir_server.content_files import SHIPPED_BASE

_FILE = Path(__file__).with_name("allowed.json")


class TypeList(msgspec.Struct, frozen=True):
    """Of a resource type or datatype. Names are paths below it, a choice without its `[x]`."""

    allow: tuple[str, ...]
    """`name`, or `name=rule` for one that is not kept as its datatype is (deidentifier.py)."""
    drop: dict[str, tuple[str, ...]] = {}
    """Class of reason -> elements that their datatype would not forbid."""

    @property
    def rules(self) -> dict[str, str]:
        """name -> rule; "" for that of its datatype."""
        return {name: rule for name, _, rule in (one.partition("=") for one in self.allow)}


class AllowList(msgspec.Struct, frozen=True):
    reasons: dict[str, str]
    """Class of reason -> what it means."""
    dropped_types: dict[str, str]
    """Datatype -> class of the reason why no element of it is kept."""
    types: dict[str, TypeList]
    extensions: dict[str, Any]
    """By url, and so on down: "value" keeps it as its datatype is; "name" if content gives it that name; a list: the
    texts it may be; {"codes": code system}; {url: ...} for its parts."""
    systems: dict[str, str]
    """Code system -> regular expression of its codes, where these are not listed here."""
    annotations: tuple[str, ...]
    """Those that a UCUM unit may have: in general they are free text."""


@cache
def allow_list(canonical_base: str = SHIPPED_BASE) -> AllowList:
    text = _FILE.read_text(encoding="utf-8").replace(SHIPPED_BASE, canonical_base)
    return msgspec.json.decode(text, type=AllowList)


def allowed_types() -> frozenset[str]:
    """Resource types that can be de-identified."""
    return frozenset(allow_list().types) & spec.RESOURCE_TYPES
