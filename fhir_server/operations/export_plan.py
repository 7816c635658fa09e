"""What a bulk export is to give, and where it stands: plain data, kept with its job."""

from __future__ import annotations

import msgspec

KIND = "export"
"""Of the long request (storage/async_jobs.py)."""
NDJSON, NDJSON_GZ, PARQUET = SUFFIXES = (".ndjson", ".ndjson.gz", ".parquet")
DELETED = "deleted"
"""Begins the names of the files of deletions."""


class Filter(msgspec.Struct, frozen=True):
    """`_typeFilter`: a search of one type, as in a URL without its type."""

    resource_type: str
    criteria: str


class Plan(msgspec.Struct, frozen=True):
    """What was asked for, as of one moment."""

    base_url: str
    types: tuple[str, ...]
    snapshot: int
    """The place in the commit order whose state is given."""
    time: int
    """lastUpdated (microseconds) of its commit: the transactionTime."""
    first: int
    """Versions after this place (`_since`); 0 for all."""
    last: int
    """Versions up to this place (`_until`), else the snapshot."""
    of_patients: bool
    """Only what is in the compartment of a patient."""
    group: tuple[str, int] | None = None
    """Only of the members of this Group: its id and version."""
    patients: tuple[str, ...] = ()
    """Only of these Patients (ids), where any are named."""
    elements: dict[str, tuple[str, ...]] = {}
    """By type; "" for all types."""
    filters: tuple[Filter, ...] = ()
    deletions: bool = False
    """What was deleted since `first` is told."""
    suffix: str = NDJSON
    """Of its files; one of SUFFIXES."""
    project: str = ""
    """De-identified for this project; empty for an export as things are stored."""
    key_fingerprint: str = ""
    """Of the key of its pseudonyms."""
    left_out: tuple[str, ...] = ()
    """Types that cannot be de-identified."""

    @property
    def parts(self) -> int:
        """The types, and as many again where deletions are told."""
        return len(self.types) * (2 if self.deletions else 1)

    def part(self, place: Place) -> tuple[str, bool]:
        """The type whose turn it is at `place`, and whether it is that of its deletions."""
        return self.types[place.number % len(self.types)], place.number >= len(self.types)

    def file(self, place: Place) -> str:
        """Name of the file that is written at `place`; "" when all are whole."""
        if place.number >= self.parts:
            return ""
        resource_type, deletions = self.part(place)
        if deletions:
            return f"{DELETED}.{resource_type}.{place.file}{NDJSON if self.suffix == PARQUET else self.suffix}"
        return f"{resource_type}.{place.file}{self.suffix}"

    def elements_of(self, resource_type: str) -> tuple[str, ...]:
        return (*self.elements.get("", ()), *self.elements.get(resource_type, ()))

    def criteria_of(self, resource_type: str) -> tuple[str, ...]:
        return tuple(one.criteria for one in self.filters if one.resource_type == resource_type)


class Place(msgspec.Struct, frozen=True):
    """Where an export goes on, and what it left out."""

    number: int = 0
    """Index of the type in `Plan.types`; as many again follow for deletions, where these are told."""
    after: tuple[int | str | None, ...] = ()
    """The last version written of it: its place, or the place in a search."""
    file: int = 1
    """Number of the type's file that is written."""
    length: int = 0
    """Bytes of it that are whole."""
    lines: int = 0
    """Lines of it."""
    opted_out: int = 0
    """Patients left out because they refuse."""
    opted_out_nationally: int = 0
    """Those of them who have the national data opt-out."""
    missing: int = 0
    """Members of the Group that are not here."""
    shipped: bool = False
    """All files are where they are fetched from, if that is not where they were made."""
