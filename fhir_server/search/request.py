"""A search as plain data: parsed once, then compiled, shown in the self link and compared by tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter of the search: any of `values` satisfies it."""

    code: str
    values: tuple[str, ...]
    """The alternatives, still escaped (R4 search.html#escaping)."""


@dataclass(frozen=True, slots=True)
class SortRule:
    """One rule of `_sort`."""

    code: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """A parameter the search goes without, and why (R4 search.html#errors: named in an outcome entry)."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search of one resource type."""

    resource_type: str
    criteria: tuple[Criterion, ...] = ()
    """All must hold."""
    sort: tuple[SortRule, ...] = ()
    count: int | None = None
    """The page size asked for; None when none was, 0 asks only for the total."""
    total: str = "none"
    """none, estimate or accurate."""
    used: tuple[tuple[str, str], ...] = ()
    """The parameters that were honoured, as sent, in their order: the self link (R4 search.html#conformance)."""
    ignored: tuple[Ignored, ...] = ()
