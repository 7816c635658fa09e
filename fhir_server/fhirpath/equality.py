"""Equality, equivalence and order (http://hl7.org/fhirpath/N1/#equality, #comparison)."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath import quantity, temporal
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.node import Item, Node
from fhir_server.fhirpath.numbers import CONTEXT, as_decimal, decimals, is_number, rounded
from fhir_server.fhirpath.quantity import Quantity
from fhir_server.fhirpath.temporal import Temporal
from fhir_server.fhirpath.values import describe, system


def equal_collections(evaluation: Evaluation, left: list[Item], right: list[Item]) -> bool | None:
    """`=`: None when one is empty or an answer is open."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    evaluation.charge(len(left))
    open_answer = False
    for a, b in zip(left, right, strict=True):
        same = equal(a, b)
        if same is False:
            return False
        open_answer = open_answer or same is None
    return None if open_answer else True


def equal(left: Item, right: Item) -> bool | None:
    """Whether two items are equal; None when their precision leaves it open."""
    a, b = system(left), system(right)
    kind, other = type(a), type(b)
    if a is None or b is None:
        return None
    if kind is str or kind is bool:
        return kind is other and bool(a == b)
    if kind is Temporal and other is Temporal:
        if (a.kind == "time") != (b.kind == "time"):
            return False
        order = temporal.compare(a, b)
        return None if order is None else order == 0
    if kind is Quantity or other is Quantity:
        return _equal_quantities(a, b)
    if kind is Node and other is Node:
        # Elements are equal when all their children are; JSON has one form for each but for decimals, which compare.
        return bool(a.value == b.value) and same_type(a, b)
    if is_number(a) and is_number(b):
        return bool(a == b)
    return kind is other and bool(a == b)


def _equal_quantities(a: Any, b: Any) -> bool | None:
    pair = _as_quantities(a, b)
    return quantity.equal(*pair) if pair else False


def _as_quantities(a: Any, b: Any) -> tuple[Quantity, Quantity] | None:
    """Numbers convert to quantities of the unit 1 implicitly (N1 conversion)."""
    ours = Quantity(as_decimal(a), "1") if is_number(a) else a
    theirs = Quantity(as_decimal(b), "1") if is_number(b) else b
    return (ours, theirs) if type(ours) is Quantity and type(theirs) is Quantity else None


def same_type(a: Node, b: Node) -> bool:
    """Elements of different types differ; an element given as a variable has no known type."""
    return a.type is b.type or "Element" in (a.type.name, b.type.name)


def equivalent_collections(evaluation: Evaluation, left: list[Item], right: list[Item]) -> bool:
    """`~`: in any order; empty collections are equivalent."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for a in left:
        evaluation.charge(len(rest))
        for n, b in enumerate(rest):
            if equivalent(a, b):
                del rest[n]
                break
        else:
            return False
    return True


def equivalent(left: Item, right: Item) -> bool:
    a, b = system(left), system(right)
    if type(a) is str and type(b) is str:
        return _folded(a) == _folded(b)
    if type(a) is Temporal and type(b) is Temporal:
        if a.kind != b.kind:
            return False
        return temporal.compare(a, b) == 0
    if is_number(a) and is_number(b):
        places = min(decimals(a), decimals(b))
        return rounded(a, places) == rounded(b, places)
    if type(a) is Quantity or type(b) is Quantity:
        pair = _as_quantities(a, b)
        return bool(pair and quantity.equivalent(*pair))
    if type(a) is Node and type(b) is Node:
        return _equivalent_json(a.value, b.value)
    return type(a) is type(b) and bool(a == b)


def _folded(text: str) -> str:
    """Case and the kind and amount of whitespace do not count (N1 equivalent)."""
    return " ".join(text.casefold().split())


def _equivalent_json(a: Any, b: Any) -> bool:
    if type(a) is dict and type(b) is dict:
        # An element's id says nothing of its meaning.
        keys = {key for key in (*a, *b) if key != "id"}
        return all(key in a and key in b and _equivalent_json(a[key], b[key]) for key in keys)
    if type(a) is list and type(b) is list:
        rest = list(b)
        for value in a:
            found = next((n for n, other in enumerate(rest) if _equivalent_json(value, other)), None)
            if found is None:
                return False
            del rest[found]
        return not rest
    return equivalent(a, b)


def order(left: Any, right: Any) -> int | None:
    """-1, 0 or 1 of two System values; None when it is open. Raises EvaluationError when they cannot be compared."""
    kind, other = type(left), type(right)
    if (kind is other and kind is str) or (is_number(left) and is_number(right)):
        return bool(left > right) - bool(left < right)
    if kind is Temporal and other is Temporal and (left.kind == "time") == (right.kind == "time"):
        return temporal.compare(left, right)
    pair = _as_quantities(left, right)
    if pair is not None:
        return quantity.compare(*pair)
    if kind is Node and other is Node and left.type.system == right.type.system == "quantity":
        return None
    raise EvaluationError(f"{describe(left)} and {describe(right)} cannot be compared")


def key(item: Item) -> Hashable:
    """The same for items that are equal, another one for all others."""
    value = system(item)
    kind = type(value)
    if kind is str or kind is bool:
        return (kind, value)
    if kind is int or kind is Decimal:
        return value if kind is int else CONTEXT.normalize(value)
    if kind is Temporal:
        moment = value.at_utc()
        return (moment.kind, moment.components(), moment.offset is None)
    if kind is Quantity:
        return quantity.key(value)
    if kind is Node:
        return (value.type.name, _frozen(value.value))
    if value is None:
        return ("none", _frozen(item.extra) if type(item) is Node else None)
    return (kind, value)


def _frozen(value: Any) -> Hashable:
    if type(value) is dict:
        try:
            return frozenset(value.items())
        except TypeError:
            return frozenset((name, _frozen(child)) for name, child in value.items())
    if type(value) is list:
        return tuple(_frozen(child) for child in value)
    result: Hashable = value
    return result
