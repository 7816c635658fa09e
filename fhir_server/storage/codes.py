"""Small numbers that stand for names in the tables. They are stored: never renumber."""

from __future__ import annotations

from fhir_server import spec

TYPE_NUMBERS: dict[str, int] = {name: n for n, name in enumerate(sorted(spec.RESOURCE_TYPES), start=1)}
"""R4's resource types in alphabetical order, from 1; R4 is closed, so the numbers stay."""

FIRST_CONTAINED_TYPE = 1000
"""Types with this number and higher are of contained resources."""

TYPE_NUMBERS |= {f"#{name}": FIRST_CONTAINED_TYPE + n for name, n in TYPE_NUMBERS.items()}
# `#Medication`: Medications contained in other resources (storage/contained.py).

TYPE_NAMES: dict[int, str] = {n: name for name, n in TYPE_NUMBERS.items()}

METHODS = ("create", "update", "delete")
"""version.method is the index here."""
