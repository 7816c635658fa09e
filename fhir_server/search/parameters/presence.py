"""Elements that are there without a value to be found by, for :missing (R4 search.html#modifiers, search-31)."""

from __future__ import annotations

from typing import Any

from fhir_server.storage.rows import VARIANT_PRESENT, IndexRows

_BESIDE_CONTENT = frozenset(("id", "extension", "modifierExtension"))


def note(rows: IndexRows, p: int, element: dict[str, Any], w: int = 0) -> None:
    """The row of such an element, if it says anything; `w` is what a restricted parameter asks of it."""
    if says_something(element):
        rows.numbers.append((p + VARIANT_PRESENT, 0, w))


def says_something(element: Any) -> bool:
    """Whether a value stands anywhere in it, outside of extensions."""
    if isinstance(element, dict):
        return any(
            says_something(value)
            for key, value in element.items()
            if key not in _BESIDE_CONTENT and not key.startswith("_")
        )
    if isinstance(element, list):
        return any(map(says_something, element))
    return element is not None
