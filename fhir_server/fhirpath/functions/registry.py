"""How functions are made: from a Python function of one value, of a collection, or with code of their own."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fhir_server.fhirpath.ast import Call
from fhir_server.fhirpath.code import Code, Scope
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.node import Item
from fhir_server.fhirpath.types import SYSTEM
from fhir_server.fhirpath.values import describe

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler

Compile = Callable[["Compiler", Call, "Scope"], Code]


@dataclass(frozen=True, slots=True)
class Function:
    least: int
    """Arguments it needs."""
    most: int
    compile: Compile


_WANTED: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, Decimal),
    "boolean": (bool,),
}
_SYSTEM_KINDS = {"string": ("string",), "integer": ("integer",), "number": ("integer", "decimal")}
BOOLEAN = (SYSTEM["Boolean"],)
STRING = (SYSTEM["String"],)


def of_value(
    run: Callable[..., Any],
    *,
    focus: str = "",
    arguments: tuple[str, ...] = (),
    optional: int = 0,
    result: str = "",
) -> Function:
    """A function of one System value: empty when the input or an argument given is empty.

    `run(evaluation, value, *arguments)` returns a System value or None. `focus` and `arguments` name what is wanted:
    string, integer, number, boolean, or '' for anything.
    """

    def compile_call(compiler: Compiler, call: Call, scope: Scope) -> Code:
        source = compiler.source(call, scope)
        _check_static(compiler, call, source, focus)
        value_of = source.scalar()
        given = [compiler.compile(argument, scope).scalar() for argument in call.arguments]
        wanted = _WANTED.get(focus)
        kinds = [_WANTED.get(kind) for kind in arguments]
        name, position = call.name, call.position

        def evaluate(evaluation: Evaluation, this: Any) -> Any:
            try:
                value = value_of(evaluation, this)
                if value is None:
                    return None
                if wanted is not None and type(value) not in wanted:
                    raise EvaluationError(f"{name}() needs a {focus}, not {describe(value)}")
                if not given:
                    return run(evaluation, value)
                values = [argument(evaluation, this) for argument in given]
                for argument, kind in zip(values, kinds, strict=False):
                    if argument is None:
                        return None
                    if kind is not None and type(argument) not in kind:
                        raise EvaluationError(f"{name}() cannot take {describe(argument)}")
                return run(evaluation, value, *values)
            except EvaluationError as error:
                raise error.placed(position) from None
            except (decimal.DecimalException, OverflowError):
                # Without a result in the numbers there are: empty (N1 math).
                return None

        return Code((SYSTEM[result],) if result else None, scalar=evaluate)

    return Function(len(arguments) - optional, len(arguments), compile_call)


def _check_static(compiler: Compiler, call: Call, source: Code, focus: str) -> None:
    kinds = _SYSTEM_KINDS.get(focus)
    if compiler.strict and kinds and source.types and not any(info.system in kinds for info in source.types):
        raise compiler.invalid(f"{call.name}() needs a {focus}, not {source.types[0].name}", call.position)


def of_collection(
    run: Callable[..., list[Item]],
    *,
    arguments: int = 0,
    optional: int = 0,
    keeps_types: bool = False,
    ordered: bool = True,
) -> Function:
    """A function of a collection: `run(evaluation, items, *collections)`."""

    def compile_call(compiler: Compiler, call: Call, scope: Scope) -> Code:
        source = compiler.source(call, scope)
        items = source.items()
        given = [compiler.compile(argument, scope).items() for argument in call.arguments]
        position = call.position

        def evaluate(evaluation: Evaluation, this: Any) -> list[Item]:
            try:
                found = items(evaluation, this)
                return evaluation.keep(run(evaluation, found, *[argument(evaluation, this) for argument in given]))
            except EvaluationError as error:
                raise error.placed(position) from None

        return Code(source.types if keeps_types else None, items=evaluate, ordered=ordered)

    return Function(arguments - optional, arguments, compile_call)


def truth_of_collection(run: Callable[..., bool | None], *, arguments: int = 0) -> Function:
    """A function of a collection that answers yes, no or (None) empty."""

    def compile_call(compiler: Compiler, call: Call, scope: Scope) -> Code:
        items = compiler.source(call, scope).items()
        given = [compiler.compile(argument, scope).items() for argument in call.arguments]
        position = call.position

        def evaluate(evaluation: Evaluation, this: Any) -> bool | None:
            try:
                return run(evaluation, items(evaluation, this), *(argument(evaluation, this) for argument in given))
            except EvaluationError as error:
                raise error.placed(position) from None

        return Code(BOOLEAN, truth=evaluate)

    return Function(arguments, arguments, compile_call)
