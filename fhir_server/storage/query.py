"""The store's query language: what a search became once its parameters were understood.

`search/` builds it from a SearchRequest; a store turns it into its own statements. Every
predicate holds for a resource version; ranges are inclusive, None leaves a side open.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NumberIn:
    """Some number row of `p` has v in `values` (tokens, references)."""

    p: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenCode:
    """Some number row of `p` is a token with this code in whatever system."""

    p: int
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenIn:
    """Some number row of `p` is one of these tokens: a value set's, most of which may never have been stored."""

    p: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenSystem:
    """Some number row of `p` is a token of this system, whatever the code."""

    p: int
    system: str


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Some number row of `p` has low <= v <= high, and its w (unit) is `w` unless None."""

    p: int
    low: int | None = None
    high: int | None = None
    w: int | None = None


@dataclass(frozen=True, slots=True)
class PeriodRange:
    """Some row of `p`, read as a period v..w, has its start and end in these bounds (dates, ms).

    `primary` says that p is the type's primary date, whose period is also the row's k..k_high.
    """

    p: int
    start_low: int | None = None
    start_high: int | None = None
    end_low: int | None = None
    end_high: int | None = None
    primary: bool = False


@dataclass(frozen=True, slots=True)
class TextIn:
    """Some text row of `p` equals one of `values` (cut by `rows.cut`), with w unless None."""

    p: int
    values: tuple[str, ...]
    w: int | None = None


@dataclass(frozen=True, slots=True)
class TextPrefix:
    """Some text row of `p` starts with `prefix`."""

    p: int
    prefix: str


@dataclass(frozen=True, slots=True)
class TextContains:
    """Some text row of `p`, or of the pieces of its long values, has `text` (folded) in it.

    `features` are the trigrams of `text`: those that occur in every resource it can be in; none when it is too short.
    `at_end`: the value ends with it.
    """

    p: int
    text: str
    features: tuple[int, ...] = ()
    at_end: bool = False


@dataclass(frozen=True, slots=True)
class Features:
    """The resource has all of these features (words of its texts)."""

    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenPrefix:
    """Some number row of `p` is a token of `system` whose code starts with `prefix` (folded displays, for `:text`)."""

    p: int
    system: str
    prefix: str


@dataclass(frozen=True, slots=True)
class CompositeMatch:
    """One composite row of `p` satisfies all the given bounds together."""

    p: int
    a: tuple[int, ...] | None = None
    a_codes: tuple[str, ...] | None = None
    b_in: tuple[int, ...] | None = None
    b_codes: tuple[str, ...] | None = None
    b_low: int | None = None
    b_high: int | None = None
    c_low: int | None = None
    c_high: int | None = None
    t_prefix: str | None = None
    within: tuple[int, int, int, int] | None = None
    """(x, y, z, distance): a, b and c are a point in space, as far from x, y and z at most."""


@dataclass(frozen=True, slots=True)
class IdIn:
    """The resource is one of these logical resources."""

    rids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LastUpdatedRange:
    """meta.lastUpdated within the bounds, microseconds since 1970 UTC."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class InCompartment:
    """The resource is in the compartment of one of these Patients."""

    rids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The resource has a row, of whatever variant and table, for one of the parameters `ps`.

    `ws`: only number and text rows of exactly `ps` with one of those w count (references to one type of resource,
    contacts of one system); () for any row.
    """

    ps: tuple[int, ...]
    ws: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """Resources of one type that satisfy all the predicates: the inner search of a chain, at the outer's snapshot.

    `#Type` stands for contained resources of that type (storage/contained.py).
    """

    resource_type: str
    predicates: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class RefersTo:
    """Some reference row of one of `ps` points to a resource that is in one of the selections (a chain).

    With `urls`, for each selection the row parameter of its type's own url, references are canonicals: text rows of
    `ps` that equal such a url.
    """

    ps: tuple[int, ...]
    selections: tuple[Selection, ...]
    urls: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferredFrom:
    """A resource of the selection refers to this one by a reference row of one of `ps` (`_has`).

    With `url`, the row parameter of this type's own url, references are canonicals: text rows of `ps` that equal it.
    """

    ps: tuple[int, ...]
    selection: Selection
    url: int | None = None


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What the leaf `part` says, which few versions satisfy: they are looked up once, not asked one by one.

    A store makes it while it resolves a chain; a search does not ask for it.
    """

    part: Predicate


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Predicate


Predicate = (
    NumberIn
    | TokenCode
    | TokenIn
    | TokenSystem
    | NumberRange
    | PeriodRange
    | TextIn
    | TextPrefix
    | TextContains
    | Features
    | TokenPrefix
    | CompositeMatch
    | IdIn
    | LastUpdatedRange
    | InCompartment
    | Exists
    | RefersTo
    | ReferredFrom
    | LookedUp
    | And
    | Or
    | Not
)


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of `_sort`. kind: `number` and `text` sort by rows of the parameters `ps`, `token` by the codes of their
    number rows, `reference` by what their rows refer to (the value earliest in the requested order; resources without
    one last), `last_updated`, `id`, or `primary_date`."""

    kind: str
    descending: bool = False
    ps: tuple[int, ...] = ()


BY_DATE = (SortKey("primary_date", descending=True),)
BY_LAST_UPDATED = (SortKey("last_updated", descending=True),)
"""The orders of a search that asks for none."""


@dataclass(frozen=True, slots=True)
class Query:
    """A search of one resource type. Without sort: newest primary date first, then newest version."""

    resource_type: str
    predicates: tuple[Predicate, ...] = ()
    """All must hold."""
    sort: tuple[SortKey, ...] = ()
    count: int = 20
    """Page size; 0 asks only for the total."""
    total: bool = False
    """Count all matches too (R4 search.html#total, accurate)."""
    snapshot: int | None = None
    """The seq the search sees; None: now."""
    after: tuple[int | str | None, ...] | None = None
    """Sort values of the last entry of the previous page, its seq last."""
    backward: bool = False
    """The page is the one that ends before the entry with the values `after`."""
    dated: bool = True
    """False: resources of the type have no primary date, so that their order by it is that of their versions."""
    bodies: bool = True
    """False: matches come without their bodies (which versions there are, not what is in them)."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Resources that are added for a reference between them and one already found (R4 search.html#include)."""

    source_type: str
    """The type that refers."""
    ps: tuple[int, ...]
    """Row parameters of its references by id."""
    canonicals: tuple[int, ...] = ()
    """Row parameters of its references by url."""
    urls: tuple[int, ...] = ()
    """Row parameters of the targets' own urls, to which `canonicals` refer."""
    target_types: tuple[str, ...] = ()
    """Only references to these types; () for any."""
    reverse: bool = False
    """Those that refer are added; otherwise those referred to."""
    iterate: bool = False
    """Followed from what was added too, not from the matches alone."""


@dataclass(frozen=True, slots=True)
class IncludeQuery:
    """What is to be added to the matches of one page, as of the page's snapshot."""

    inclusions: tuple[Inclusion, ...]
    snapshot: int
    count: int
    """Most resources of one answer."""
    after: tuple[int, int] | None = None
    """(level, seq) of the last resource of the previous answer."""


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """R4 http.html#history. All None: the whole system."""

    resource_type: str | None = None
    logical_id: str | None = None
    since: int | None = None
    """Only versions with lastUpdated >= since (microseconds)."""
    at_low: int | None = None
    at_high: int | None = None
    """Only versions current at some time in at_low..at_high (microseconds)."""
    count: int = 20
    total: bool = True
    snapshot: int | None = None
    before: int | None = None
    """Only versions with a seq below: the next page, newest first."""
