"""Utility functions (http://hl7.org/fhirpath/N1/#utility-functions) and defineVariable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fhir_server.fhirpath.ast import Call, Literal
from fhir_server.fhirpath.code import Code, Scope
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.functions.registry import Function, of_collection
from fhir_server.fhirpath.node import Item
from fhir_server.fhirpath.temporal import Temporal
from fhir_server.fhirpath.type_tests import type_name
from fhir_server.fhirpath.types import SYSTEM
from fhir_server.fhirpath.variables import RESERVED

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler


def _trace(compiler: Compiler, call: Call, scope: Scope) -> Code:
    """The input itself. Nothing is written anywhere: it may be a patient's data. What is named must compile."""
    source = compiler.source(call, scope)
    compiler.compile(call.arguments[0], scope)
    if len(call.arguments) > 1:
        compiler.compile(call.arguments[1], compiler.body_scope(source, call.arguments[1]))
    return source


def _today(evaluation: Evaluation) -> Temporal:
    return Temporal("date", evaluation.now().parts[:3])


def _time_of_day(evaluation: Evaluation) -> Temporal:
    moment = evaluation.now()
    return Temporal("time", moment.parts[3:], moment.fraction)


def _clock(name: str) -> Function:
    read = {"now": Evaluation.now, "today": _today, "timeOfDay": _time_of_day}[name]
    info = {"now": "DateTime", "today": "Date", "timeOfDay": "Time"}[name]

    def compile_call(compiler: Compiler, call: Call, scope: Scope) -> Code:
        return Code((SYSTEM[info],), scalar=lambda evaluation, this: read(evaluation))

    return Function(0, 0, compile_call)


def _define_variable(compiler: Compiler, call: Call, scope: Scope) -> Code:
    """The input, with `%name` for the rest of the chain: the second argument for each item, else the input."""
    source = compiler.source(call, scope)
    name_node = call.arguments[0]
    if not isinstance(name_node, Literal) or name_node.kind != "string":
        raise compiler.invalid("defineVariable() needs a literal name", call.position)
    name = str(name_node.value)
    if name in RESERVED:
        raise compiler.invalid(f"%{name} cannot be defined anew", call.position)
    items = source.items()
    value = None
    if len(call.arguments) > 1:
        value = compiler.compile(call.arguments[1], compiler.node_scope(source)).items()

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        found = items(evaluation, this)
        variables = dict(evaluation.variables or {})
        if name in variables:
            raise EvaluationError(f"The variable %{name} is defined already").placed(call.position)
        if value is None:
            variables[name] = found
        else:
            variables[name] = [each for item in found for each in value(evaluation, item)] if found else []
        # A new mapping: whoever restores the old one (code.scoped) ends the scope.
        evaluation.variables = variables
        return found

    return Code(source.types, items=run)


FUNCTIONS = {
    "trace": Function(1, 2, _trace),
    "now": _clock("now"),
    "today": _clock("today"),
    "timeOfDay": _clock("timeOfDay"),
    "defineVariable": Function(1, 2, _define_variable),
    "type": of_collection(lambda evaluation, items: [type_name(item) for item in items]),
}
