"""Existence (http://hl7.org/fhirpath/N1/#existence)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fhir_server.fhirpath import collections
from fhir_server.fhirpath.ast import Call
from fhir_server.fhirpath.code import Code, Scope
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.functions.filtering import criterion, where
from fhir_server.fhirpath.functions.registry import BOOLEAN, Function, truth_of_collection
from fhir_server.fhirpath.node import Item
from fhir_server.fhirpath.types import SYSTEM
from fhir_server.fhirpath.values import system

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler


def _exists(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = where(compiler, call, scope) if call.arguments else compiler.source(call, scope)
    return Code(BOOLEAN, truth=_any(source), pure=_is_pure(source))


def _any(source: Code) -> Callable[[Evaluation, Any], bool]:
    path = source.path
    if path is not None and path.base is None and len(path.steps) == 1 and len(path.steps[0]) == 1:
        key, extra_key = path.steps[0][0].key, path.steps[0][0].extra_key
        if extra_key:
            return lambda evaluation, this: this.get(key) is not None or extra_key in this
        return lambda evaluation, this: this.get(key) is not None
    if source.is_single:
        scalar = source.scalar()
        return lambda evaluation, this: scalar(evaluation, this) is not None
    run = source.raw or source.items()
    return lambda evaluation, this: bool(run(evaluation, this))


def _is_pure(source: Code) -> bool:
    return source.pure and (source.raw is not None or source.is_single)


def _empty(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    found = _any(source)
    return Code(BOOLEAN, truth=lambda evaluation, this: not found(evaluation, this), pure=_is_pure(source))


def _not(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    truth = source.truth()
    position = call.position

    def run(evaluation: Evaluation, this: Any) -> bool | None:
        try:
            value = truth(evaluation, this)
        except EvaluationError as error:
            raise error.placed(position) from None
        return value if value is None else not value

    return Code(BOOLEAN, truth=run, pure=source.pure and source.is_single)


def _count(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    run = source.raw or source.items()
    return Code((SYSTEM["Integer"],), scalar=lambda evaluation, this: len(run(evaluation, this)), pure=_is_pure(source))


def _all(compiler: Compiler, call: Call, scope: Scope) -> Code:
    run, truth = criterion(compiler, call, scope)

    def holds(evaluation: Evaluation, this: Any) -> bool:
        found = run(evaluation, this)
        evaluation.charge(len(found))
        before = evaluation.index
        for n, item in enumerate(found):
            evaluation.index = n
            if truth(evaluation, item) is not True:
                evaluation.index = before
                return False
        evaluation.index = before
        return True

    return Code(BOOLEAN, truth=holds)


def _booleans(items: list[Item]) -> list[bool]:
    values = [system(item) for item in items]
    if any(type(value) is not bool for value in values):
        raise EvaluationError("All items must be Boolean")
    return values


def _subset(evaluation: Evaluation, items: list[Item], other: list[Item]) -> bool:
    return collections.keys(evaluation, items) <= collections.keys(evaluation, other)


def _is_distinct(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    if source.raw is not None and source.kind == "string":
        raw = source.raw

        def run_raw(evaluation: Evaluation, this: Any) -> bool:
            found = raw(evaluation, this)
            return len(found) < 2 or len(set(found)) == len(found)

        return Code(BOOLEAN, truth=run_raw)
    items = source.items()

    def run(evaluation: Evaluation, this: Any) -> bool:
        found = items(evaluation, this)
        return len(collections.distinct_items(evaluation, found)) == len(found)

    return Code(BOOLEAN, truth=run)


FUNCTIONS = {
    "exists": Function(0, 1, _exists),
    "empty": Function(0, 0, _empty),
    "not": Function(0, 0, _not),
    "count": Function(0, 0, _count),
    "all": Function(1, 1, _all),
    "isDistinct": Function(0, 0, _is_distinct),
    "allTrue": truth_of_collection(lambda evaluation, items: all(_booleans(items))),
    "anyTrue": truth_of_collection(lambda evaluation, items: any(_booleans(items))),
    "allFalse": truth_of_collection(lambda evaluation, items: not any(_booleans(items))),
    "anyFalse": truth_of_collection(lambda evaluation, items: not all(_booleans(items))),
    "subsetOf": truth_of_collection(_subset, arguments=1),
    "supersetOf": truth_of_collection(lambda evaluation, items, other: _subset(evaluation, other, items), arguments=1),
}
