"""A compiled expression in the forms its consumer may ask for.

An expression is compiled once for each type of its context and representation of `$this`. Where the types are known
and nothing needs to know its place, it runs over plain JSON values (`raw`); else over nodes (`items`). Consumers ask
for the cheapest form they can use: a truth value, one System value, raw values, or items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.node import Item, Node
from fhir_server.fhirpath.types import SYSTEM_BY_KIND, Member, TypeInfo, type_of_resource
from fhir_server.fhirpath.values import CONVERSIONS, single

Run = Callable[[Evaluation, Any], list[Item]]
"""(evaluation, $this) -> a collection, which belongs to its maker: nobody changes it."""
RawRun = Callable[[Evaluation, Any], list[Any]]
Scalar = Callable[[Evaluation, Any], Any]
"""-> one System value (or complex node), None for an empty collection."""
Truth = Callable[[Evaluation, Any], bool | None]

Step = tuple[Member, ...]
"""One member name: its element with each of the types it may have."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What `$this` is while an expression runs."""

    types: tuple[TypeInfo, ...] | None
    raw: bool
    """A plain JSON value of one known type instead of an item."""


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from `base` (None: from `$this`), over raw values."""

    base: RawRun | None
    steps: tuple[Step, ...]


class Code:
    """See the module."""

    __slots__ = (
        "_items", "_items_later", "_scalar", "_truth", "constant", "one", "ordered", "path", "pure", "raw", "types"
    )  # fmt: skip

    def __init__(
        self,
        types: tuple[TypeInfo, ...] | None,
        *,
        items: Run | None = None,
        items_later: Callable[[], Run] | None = None,
        raw: RawRun | None = None,
        one: Scalar | None = None,
        scalar: Scalar | None = None,
        truth: Truth | None = None,
        path: Path | None = None,
        constant: Any = None,
        ordered: bool = True,
        pure: bool = False,
    ) -> None:
        self.types = types
        """What the items may be; None: not known."""
        self.raw = raw
        """The items as JSON values, None for a primitive that has extensions only."""
        self.one = one
        """Of a raw path without repetition: its value, or None."""
        self.path = path
        self.constant = constant
        """The value of a literal."""
        self.ordered = ordered
        self.pure = pure
        """It looks at nothing but `$this` and costs what it reads: it runs without an evaluation."""
        self._items = items
        self._items_later = items_later
        self._scalar = scalar
        self._truth = truth

    @property
    def kind(self) -> str:
        """The kind of System value the items convert to, when they are known to be all of one; else ''."""
        if not self.types:
            return ""
        kinds = {info.system for info in self.types}
        return kinds.pop() if len(kinds) == 1 else ""

    @property
    def is_single(self) -> bool:
        """Whether there is at most one item by construction."""
        return self._scalar is not None or self._truth is not None

    def items(self) -> Run:
        if self._items is not None:
            return self._items
        if self._items_later is not None:
            self._items = self._items_later()
            return self._items
        if self._scalar is not None or self._truth is not None:
            return _list_of(self._scalar or self._truth)
        assert self.raw is not None
        return _wrapped(self.raw, self.types)

    def scalar(self) -> Scalar:
        if self._scalar is not None:
            return self._scalar
        if self._truth is not None:
            return self._truth
        if self.raw is not None and self.types is not None and len(self.types) == 1:
            kind = self.types[0].system
            if kind and kind != "quantity":
                return _scalar_of_raw(self.raw, self.one, CONVERSIONS.get(kind))
        run = self.items()
        return lambda evaluation, this: single(run(evaluation, this))

    def truth(self) -> Truth:
        """Singleton evaluation of collections: one item that is no boolean counts as true (N1)."""
        if self._truth is not None:
            return self._truth
        scalar = self.scalar()

        def run(evaluation: Evaluation, this: Any) -> bool | None:
            value = scalar(evaluation, this)
            return value if value is None or value is False else True

        return run


def _list_of(scalar: Scalar | None) -> Run:
    assert scalar is not None

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        value = scalar(evaluation, this)
        return [] if value is None else [value]

    return run


def _wrapped(raw: RawRun, types: tuple[TypeInfo, ...] | None) -> Run:
    if types is not None and len(types) == 1 and types[0].namespace == "FHIR":
        (info,) = types
        return lambda evaluation, this: [Node(value, info) for value in raw(evaluation, this)]
    return lambda evaluation, this: [Node(value, type_of_resource(value)) for value in raw(evaluation, this)]


def _scalar_of_raw(raw: RawRun, one: Scalar | None, convert: Callable[[Any], Any] | None) -> Scalar:
    if one is not None:
        if convert is None:
            return one

        def run_one(evaluation: Evaluation, this: Any) -> Any:
            value = one(evaluation, this)
            return value if value is None else convert(value)

        return run_one

    def run(evaluation: Evaluation, this: Any) -> Any:
        found = raw(evaluation, this)
        if not found:
            return None
        if len(found) > 1:
            raise EvaluationError(f"One item was expected, there are {len(found)}")
        value = found[0]
        return value if convert is None or value is None else convert(value)

    return run


def constant(value: Any, kind: str) -> Code:
    """A literal."""
    return Code((SYSTEM_BY_KIND[kind],), scalar=lambda evaluation, this: value, constant=value, pure=True)


def _nothing(evaluation: Evaluation, this: Any) -> list[Any]:
    return []


def empty() -> Code:
    """The empty collection."""
    return Code((), items=_nothing, raw=_nothing)


NOTHING: Any = None
"""`$this` where there is no item; only in scopes that are not raw."""


def subset(source: Code, choose: Callable[[Evaluation, Any, list[Any]], list[Any]], *, pure: bool = False) -> Code:
    """Some items of `source`; `choose` works on either representation."""

    def over(run: Run) -> Run:
        return lambda evaluation, this: choose(evaluation, this, run(evaluation, this))

    raw = over(source.raw) if source.raw is not None else None
    return Code(source.types, raw=raw, items_later=lambda: over(source.items()), ordered=source.ordered, pure=pure)
