"""`is`, `as`, `ofType` (http://hl7.org/fhirpath/N1/#types-and-reflection; docs/spec-clarifications/fhirpath.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fhir_server.fhirpath.ast import Call, Expression, Member
from fhir_server.fhirpath.code import Code, Run, Scope
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.members import path_code
from fhir_server.fhirpath.node import Item, Node, TypeName, system_type_name
from fhir_server.fhirpath.references import reference_type, resolve
from fhir_server.fhirpath.types import SYSTEM, TypeInfo, fhir_type, named, type_of_resource

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler


def type_specifier(node: Expression) -> str | None:
    """The type name written as an argument (`FHIR.Patient`), or None."""
    if isinstance(node, Member):
        if node.source is None:
            return node.name
        before = type_specifier(node.source)
        return f"{before}.{node.name}" if before else None
    return None


def argument_type(compiler: Compiler, node: Expression) -> tuple[TypeInfo, ...]:
    """The types an argument names. Raises InvalidExpression."""
    name = type_specifier(node)
    if name is None:
        raise compiler.invalid("A type name was expected", node.position)
    return wanted_types(compiler, name, node.position)


def wanted_types(compiler: Compiler, name: str, position: int) -> tuple[TypeInfo, ...]:
    found = named(name)
    if not found:
        raise compiler.invalid(f"There is no type {name}", position)
    return found


def type_of(item: Item) -> TypeInfo | None:
    if type(item) is Node:
        return item.type
    return SYSTEM.get(system_type_name(item))


def item_is(item: Item, wanted: tuple[TypeInfo, ...]) -> bool:
    """Whether the item is of one of the types, or of a type that specialises it."""
    info = type_of(item)
    return info is not None and any(info.is_a(each) for each in wanted)


def _is_exactly(info: TypeInfo, wanted: tuple[TypeInfo, ...]) -> bool:
    """`as` and `ofType` do not take a code for a string: R4's cases (testFHIRPathAsFunction11) want the very type."""
    if info.is_primitive:
        return any(info is each for each in wanted)
    return any(info.is_a(each) for each in wanted)


def type_test(
    compiler: Compiler, scope: Scope, node: Expression | None, wanted: tuple[TypeInfo, ...], position: int
) -> Code:
    """Whether the only item of `node` (None: `$this`) is of one of the types, or of one that specialises it."""
    if isinstance(node, Call) and node.name == "resolve":
        return _resolves_to(compiler.source(node, scope), wanted, position)
    operand = compiler.compile(node, scope) if node is not None else compiler.this(scope)
    if operand.raw is not None and operand.types and len(operand.types) == 1:
        answer = any(operand.types[0].is_a(each) for each in wanted)
        raw = operand.raw

        def run_raw(evaluation: Evaluation, this: Any) -> bool | None:
            found = raw(evaluation, this)
            if len(found) > 1:
                raise EvaluationError(f"is: one item was expected, there are {len(found)}").placed(position)
            return answer if found else None

        return _boolean(run_raw)
    items = operand.items()

    def run(evaluation: Evaluation, this: Any) -> bool | None:
        found = items(evaluation, this)
        if len(found) > 1:
            raise EvaluationError(f"is: one item was expected, there are {len(found)}").placed(position)
        return item_is(found[0], wanted) if found else None

    return _boolean(run)


def _boolean(run: Callable[[Evaluation, Any], bool | None]) -> Code:
    return Code((SYSTEM["Boolean"],), truth=run)


def _resolves_to(references: Code, wanted: tuple[TypeInfo, ...], position: int) -> Code:
    """`resolve() is Patient`: nothing is fetched where the reference names the type."""
    items = references.items()

    def run(evaluation: Evaluation, this: Any) -> bool | None:
        found = items(evaluation, this)
        if len(found) > 1:
            raise EvaluationError(f"is: one item was expected, there are {len(found)}").placed(position)
        if not found:
            return None
        name = reference_type(found[0])
        if name is not None:
            return any(fhir_type(name).is_a(each) for each in wanted)
        target = resolve(evaluation, found[0])
        return None if target is None else item_is(target, wanted)

    return _boolean(run)


def as_type(operand: Code, wanted: tuple[TypeInfo, ...], position: int) -> Code:
    """`operand as type`: the only item, when it is of the type.

    Where the items may be of several types it chooses among them like `ofType`, as R4 writes it in its own dom-3 and
    search parameters (docs/spec-clarifications/fhirpath.md, fp-1).
    """
    narrowed = of_type(operand, wanted)
    if operand.types is None or len(operand.types) > 1:
        return narrowed
    items, raw = operand.raw or operand.items(), narrowed.raw

    def checked(run: Run) -> Run:
        def at_most_one(evaluation: Evaluation, this: Any) -> list[Any]:
            found = items(evaluation, this)
            if len(found) > 1:
                raise EvaluationError(f"as: one item was expected, there are {len(found)}").placed(position)
            return run(evaluation, this) if found else found

        return at_most_one

    if narrowed.path is not None and narrowed.one is not None:
        return narrowed
    return Code(
        narrowed.types,
        raw=checked(raw) if raw is not None else None,
        items_later=lambda: checked(narrowed.items()),
    )


def of_type(operand: Code, wanted: tuple[TypeInfo, ...]) -> Code:
    """The items of the type."""
    path = operand.path
    if path is not None and path.steps and operand.types is not None:
        step = tuple(member for member in path.steps[-1] if _is_exactly(member.type, wanted))
        if not step:
            return Code((), items=_none, raw=_none)
        return path_code(path.base, (*path.steps[:-1], step))
    if operand.raw is not None and operand.types is None and len(wanted) == 1:
        return _resources_of_type(operand, wanted)
    types = tuple(info for info in operand.types or () if _is_exactly(info, wanted)) or wanted
    items = operand.items()

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        out = []
        for item in items(evaluation, this):
            info = type_of(item)
            if info is not None and _is_exactly(info, wanted):
                out.append(item)
        return out

    return Code(types, items=run)


def _resources_of_type(operand: Code, wanted: tuple[TypeInfo, ...]) -> Code:
    """Raw values of unknown type are resources: each says what it is."""
    raw, items = operand.raw, operand.items
    assert raw is not None

    def run(evaluation: Evaluation, this: Any) -> list[Any]:
        return [value for value in raw(evaluation, this) if _is_exactly(type_of_resource(value), wanted)]

    def run_items() -> Run:
        nodes = items()
        return lambda evaluation, this: [
            item for item in nodes(evaluation, this) if type(item) is Node and _is_exactly(item.type, wanted)
        ]

    return Code(wanted, raw=run, items_later=run_items)


def _none(evaluation: Evaluation, this: Any) -> list[Any]:
    return []


def type_name(item: Item) -> TypeName:
    """What `type()` says of an item."""
    if type(item) is Node:
        return TypeName("FHIR", item.type.name)
    return TypeName("System", system_type_name(item))
