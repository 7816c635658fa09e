"""From the syntax tree to closures (code.py says in which forms)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server import spec
from fhir_server.fhirpath import operators, type_tests
from fhir_server.fhirpath.ast import (
    Binary,
    Call,
    Expression,
    External,
    Index,
    Literal,
    Member,
    QuantityLiteral,
    Scoped,
    Special,
    TypeTest,
    Unary,
    nodes_of,
)
from fhir_server.fhirpath.code import NOTHING, Code, Path, Scope, Step, constant, empty, subset
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.lexer import InvalidExpression
from fhir_server.fhirpath.members import node_member, path_code
from fhir_server.fhirpath.node import Item, Node
from fhir_server.fhirpath.numbers import MAX_INTEGER, MIN_INTEGER
from fhir_server.fhirpath.quantity import Quantity, calendar_unit
from fhir_server.fhirpath.temporal import parse_date, parse_datetime, parse_time
from fhir_server.fhirpath.types import DOMAIN_RESOURCE, RESOURCE, TypeInfo, fhir_type
from fhir_server.fhirpath.variables import external


class Compiler:
    """Compiles one expression for one type of context."""

    def __init__(self, root: TypeInfo, *, raw: bool, strict: bool = False, overrides: bool = False) -> None:
        self.root = Scope((root,), raw)
        self.strict = strict
        self.overrides = overrides
        """Whether the caller gives `%resource`, `%rootResource` or `%context`."""

    def compile(self, node: Expression, scope: Scope) -> Code:
        """The code of `node`. Raises InvalidExpression for what cannot be, whatever the data."""
        return _COMPILE[type(node)](self, node, scope)

    def invalid(self, problem: str, position: int) -> InvalidExpression:
        return InvalidExpression(f"{problem}, at column {position + 1} of the FHIRPath expression.")

    def source(self, call: Call | Member, scope: Scope) -> Code:
        """What a call or member is applied to."""
        return self.compile(call.source, scope) if call.source is not None else self.this(scope)

    def this(self, scope: Scope) -> Code:
        if scope.raw:
            return Code(
                scope.types,
                raw=lambda evaluation, this: [this],
                one=lambda evaluation, this: this,
                path=Path(None, ()),
            )
        return Code(scope.types, items=lambda evaluation, this: [] if this is NOTHING else [this])

    def body_scope(self, source: Code, *bodies: Expression) -> Scope:
        """The scope of an argument that is evaluated for each item of `source`."""
        types = source.types
        if source.raw is None or not types or len(types) != 1:
            return Scope(types or None, raw=False)
        if types[0].is_primitive and any(_looks_inside(body) for body in bodies):
            return Scope(types, raw=False)
        return Scope(types, raw=True)

    def node_scope(self, source: Code) -> Scope:
        """The same over items."""
        return Scope(source.types or None, raw=False)

    def member(self, source: Code, name: str, position: int) -> Code:
        types = source.types
        if types is not None:
            members = tuple(member for info in types for member in info.members[name])
            known = members or any(_has_own(info, name) for info in types)
            if not known and (self.strict or not types):
                return self._unknown(types, name, position)
            if source.raw is not None and not any(info.is_primitive for info in types):
                return self._raw_member(source, members) if members else empty()
            result = tuple(dict.fromkeys(member.type for member in members)) or None
            if result and any(info.is_resource for info in result):
                result = None
        else:
            result = None
            if source.raw is not None and (shared := DOMAIN_RESOURCE.members[name]):
                # Raw values of unknown type are resources.
                return self._raw_member(source, shared)
        return Code(result, items=node_member(source.items(), name))

    def _unknown(self, types: tuple[TypeInfo, ...], name: str, position: int) -> Code:
        if types:
            names = " or ".join(info.name for info in types)
            raise self.invalid(f"{names} has no element {name}", position)
        return empty()

    def _raw_member(self, source: Code, step: Step) -> Code:
        path = source.path
        if path is None:
            return path_code(source.raw, (step,))
        return path_code(path.base, (*path.steps, step))


def _looks_inside(node: Expression) -> bool:
    """Whether an expression may ask for the id or extensions of a primitive `$this`."""
    return any(
        (isinstance(each, Member | Call) and each.name not in _VALUE_ONLY) or isinstance(each, TypeTest)
        for each in nodes_of(node)
    )


_VALUE_ONLY = frozenset(
    [
        "startsWith",
        "endsWith",
        "contains",
        "matches",
        "matchesFull",
        "length",
        "substring",
        "indexOf",
        "upper",
        "lower",
        "replace",
        "replaceMatches",
        "toInteger",
        "toString",
        "toDecimal",
        "toDate",
        "toDateTime",
        "toTime",
        "not",
        "exists",
        "empty",
        "hasValue",
        "trim",
        "split",
        "toChars",
        "in",
        "abs",
        "count",
    ]
)


def _has_own(info: TypeInfo, name: str) -> bool:
    """Members that are not in the tables: the value of a primitive, names of type information."""
    if info.is_primitive:
        return name == "value"
    return info.namespace == "System" and info.name == "Any"


def _literal(compiler: Compiler, node: Literal, scope: Scope) -> Code:
    value = node.value
    match node.kind:
        case "empty":
            return empty()
        case "number":
            assert isinstance(value, Decimal)
            return _number(compiler, value, node.position)
        case "boolean" | "string":
            return constant(value, node.kind)
    parse = {"date": parse_date, "datetime": parse_datetime, "time": parse_time}[node.kind]
    found = parse(str(value))
    if found is None:
        raise compiler.invalid(f"There is no {node.kind} @{value}", node.position)
    return constant(found, found.kind)


def _number(compiler: Compiler, value: Decimal, position: int) -> Code:
    if value.as_tuple().exponent != 0:
        return constant(value, "decimal")
    # The grammar puts the sign of the smallest Integer outside of the literal.
    if not -value >= MIN_INTEGER or value > MAX_INTEGER + 1:
        raise compiler.invalid(f"{value} is not an Integer of 32 bits (write {value}.0 for a Decimal)", position)
    return constant(int(value), "integer")


def _quantity(compiler: Compiler, node: QuantityLiteral, scope: Scope) -> Code:
    # `1 'month'` is written for `1 month` in R4's own cases: no UCUM code is called so.
    unit = calendar_unit(node.unit)
    quantity = Quantity(node.value, unit, calendar=True) if unit else Quantity(node.value, node.unit)
    return constant(quantity, "quantity")


def _external(compiler: Compiler, node: External, scope: Scope) -> Code:
    return external(compiler, node)


def _special(compiler: Compiler, node: Special, scope: Scope) -> Code:
    if node.name == "this":
        return compiler.this(scope)
    if node.name == "index":
        return Code(None, scalar=lambda evaluation, this: evaluation.index)
    return Code(None, items=lambda evaluation, this: evaluation.total)


def _member(compiler: Compiler, node: Member, scope: Scope) -> Code:
    if node.source is None and node.name[:1].isupper():
        context = _context_type(compiler, node, scope)
        if context is not None:
            return context
    return compiler.member(compiler.source(node, scope), node.name, node.position)


def _context_type(compiler: Compiler, node: Member, scope: Scope) -> Code | None:
    """A leading type name stands for the context when it is of that type (N1 path selection)."""
    if not spec.is_type(node.name):
        return None
    wanted = fhir_type(node.name)
    types = scope.types
    if types and all(info.is_a(wanted) for info in types):
        return compiler.this(scope)
    if types and RESOURCE not in types:
        if compiler.strict:
            raise compiler.invalid(f"The context is {types[0].name}, not {node.name}", node.position)
        return empty()

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        return [this] if type(this) is Node and this.type.is_a(wanted) else []

    return Code((wanted,), items=run)


def _call(compiler: Compiler, node: Call, scope: Scope) -> Code:
    function = FUNCTIONS.get(node.name)
    if function is None:
        raise compiler.invalid(f"There is no function {node.name}()", node.position)
    given = len(node.arguments)
    if not function.least <= given <= function.most:
        wanted = str(function.least) if function.least == function.most else f"{function.least} to {function.most}"
        raise compiler.invalid(f"{node.name}() takes {wanted} arguments, not {given}", node.position)
    return function.compile(compiler, node, scope)


def _index(compiler: Compiler, node: Index, scope: Scope) -> Code:
    source = compiler.compile(node.source, scope)
    if not source.ordered and compiler.strict:
        raise compiler.invalid("The items have no order", node.position)
    index = compiler.compile(node.index, scope).scalar()

    def at(evaluation: Evaluation, this: Any, found: list[Any]) -> list[Any]:
        position = index(evaluation, this)
        if type(position) is not int:
            if position is None:
                return []
            raise EvaluationError("An index must be an Integer").placed(node.position)
        return [found[position]] if 0 <= position < len(found) else []

    return subset(source, at)


def _type_test(compiler: Compiler, node: TypeTest, scope: Scope) -> Code:
    wanted = type_tests.wanted_types(compiler, node.type_name, node.position)
    if node.operator == "is":
        return type_tests.type_test(compiler, scope, node.operand, wanted, node.position)
    return type_tests.as_type(compiler.compile(node.operand, scope), wanted, node.position)


def _scoped(compiler: Compiler, node: Scoped, scope: Scope) -> Code:
    inner = compiler.compile(node.expression, scope)
    items = inner.items()

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        before = evaluation.variables
        found = items(evaluation, this)
        evaluation.variables = before
        return found

    return Code(inner.types, items=run)


_COMPILE: dict[type, Callable[[Compiler, Any, Scope], Code]] = {
    Literal: _literal,
    QuantityLiteral: _quantity,
    External: _external,
    Special: _special,
    Member: _member,
    Call: _call,
    Index: _index,
    Unary: operators.unary,
    Binary: operators.binary,
    TypeTest: _type_test,
    Scoped: _scoped,
}
