"""Subsetting and combining (http://hl7.org/fhirpath/N1/#subsetting, #combining)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fhir_server.fhirpath import collections
from fhir_server.fhirpath.ast import Call
from fhir_server.fhirpath.code import Code, Scope, subset
from fhir_server.fhirpath.equality import key
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.functions.registry import Function, of_collection
from fhir_server.fhirpath.node import Item

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler


def _part(choose: Callable[[list[Any]], list[Any]], *, needs_order: bool = True) -> Function:
    def compile_call(compiler: Compiler, call: Call, scope: Scope) -> Code:
        source = _ordered(compiler, call, scope) if needs_order else compiler.source(call, scope)

        def chosen(evaluation: Evaluation, this: Any, found: list[Any]) -> list[Any]:
            try:
                return choose(found)
            except EvaluationError as error:
                raise error.placed(call.position) from None

        return subset(source, chosen, pure=source.pure and source.raw is not None)

    return Function(0, 0, compile_call)


def _ordered(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    if compiler.strict and not source.ordered:
        raise compiler.invalid(f"{call.name}() needs an order, which these items have not", call.position)
    return source


def _counted(choose: Callable[[list[Any], int], list[Any]]) -> Function:
    def compile_call(compiler: Compiler, call: Call, scope: Scope) -> Code:
        source = _ordered(compiler, call, scope)
        number = compiler.compile(call.arguments[0], scope).scalar()

        def chosen(evaluation: Evaluation, this: Any, found: list[Any]) -> list[Any]:
            count = number(evaluation, this)
            if count is None:
                return []
            if type(count) is not int:
                raise EvaluationError(f"{call.name}() needs an Integer").placed(call.position)
            return choose(found, max(0, count))

        return subset(source, chosen)

    return Function(1, 1, compile_call)


def _single(found: list[Any]) -> list[Any]:
    if len(found) > 1:
        raise EvaluationError(f"single(): there are {len(found)} items")
    return found


def _intersect(evaluation: Evaluation, items: list[Item], other: list[Item]) -> list[Item]:
    wanted = collections.keys(evaluation, other)
    return [item for item in collections.distinct_items(evaluation, items) if key(item) in wanted]


def _exclude(evaluation: Evaluation, items: list[Item], other: list[Item]) -> list[Item]:
    unwanted = collections.keys(evaluation, other)
    evaluation.charge(len(items))
    return [item for item in items if key(item) not in unwanted]


def _combine(evaluation: Evaluation, items: list[Item], other: list[Item]) -> list[Item]:
    evaluation.charge(len(items) + len(other))
    return items + other


def _distinct(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    items = source.items()
    return Code(
        source.types,
        items=lambda evaluation, this: collections.distinct_items(evaluation, items(evaluation, this)),
    )


def _union(compiler: Compiler, call: Call, scope: Scope) -> Code:
    return collections.union(compiler.source(call, scope), compiler.compile(call.arguments[0], scope))


FUNCTIONS = {
    "first": _part(lambda found: found[:1]),
    "last": _part(lambda found: found[-1:]),
    "tail": _part(lambda found: found[1:]),
    "single": _part(_single, needs_order=False),
    "skip": _counted(lambda found, count: found[count:]),
    "take": _counted(lambda found, count: found[:count]),
    "distinct": Function(0, 0, _distinct),
    "union": Function(1, 1, _union),
    "intersect": of_collection(_intersect, arguments=1, keeps_types=True),
    "exclude": of_collection(_exclude, arguments=1, keeps_types=True),
    "combine": of_collection(_combine, arguments=1),
}
