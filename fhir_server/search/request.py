"""A search as plain data: parsed once, then compiled, shown in the self link and compared by tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter of the search: any of `values` satisfies it."""

    code: str
    values: tuple[str, ...]
    """The alternatives, still escaped (R4 search.html#escaping)."""
    modifier: str = ""
    """Without its colon; a resource type for `reference:[type]` (R4 search.html#modifiers)."""


@dataclass(frozen=True, slots=True)
class Chained:
    """`code:target.condition`: refers by `code` to a resource that meets `condition` (R4 search.html#chaining)."""

    code: str
    target: str
    """The type named; "" for any type that `code` may refer to."""
    condition: Condition
    """Read as parameters of the type referred to."""


@dataclass(frozen=True, slots=True)
class ReverseChained:
    """`_has:resource_type:code:condition`: a resource that meets `condition` refers to it (R4 search.html#has)."""

    resource_type: str
    code: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds (`_filter`)."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Some part holds (`_filter`)."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """The part does not hold (`_filter`)."""

    part: Condition


Condition = Criterion | Chained | ReverseChained | AllOf | AnyOf | NoneOf


@dataclass(frozen=True, slots=True)
class SortRule:
    """One rule of `_sort`."""

    code: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or `_revinclude` (R4 search.html#revinclude)."""

    source_type: str
    """The type that has the reference; "*" for any."""
    code: str
    """The reference parameter; "*" for all."""
    target_type: str = ""
    """Only references to this type; "" for any."""
    reverse: bool = False
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """A parameter the search goes without, and why (R4 search.html#errors: named in an outcome entry)."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search of one resource type, or of several."""

    resource_type: str
    """"" when several types are searched."""
    criteria: tuple[Condition, ...] = ()
    """All must hold."""
    sort: tuple[SortRule, ...] = ()
    count: int | None = None
    """The page size asked for; None when none was, 0 asks only for the total."""
    total: str = "none"
    """none, estimate or accurate."""
    includes: tuple[Include, ...] = ()
    summary: str = ""
    """true, text or data; "" for whole resources (`count` becomes a page size of 0)."""
    elements: tuple[str, ...] = ()
    """Names of elements that are wanted; () for all (R4 search.html#elements)."""
    contained: str = "false"
    """Whether contained resources are searched: false, true (only they) or both (R4 search.html#contained)."""
    contained_type: str = "container"
    """What is returned for a contained match: its container, or the contained resource."""
    used: tuple[tuple[str, str], ...] = ()
    """The parameters that were honoured, as sent, in their order: the self link (R4 search.html#conformance)."""
    ignored: tuple[Ignored, ...] = ()
    several: tuple[str, ...] = ()
    """The types searched when they are several."""
    compartment: tuple[str, str] | None = None
    """Only resources in the compartment of this resource: its type and id (R4 compartmentdefinition.html)."""

    @property
    def types(self) -> tuple[str, ...]:
        return self.several or (self.resource_type,)
