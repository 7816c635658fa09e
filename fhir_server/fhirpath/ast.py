"""The syntax tree of a FHIRPath expression. `position` is the 0-based character offset in the source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Literal:
    """A value. kind: empty, boolean, string, number, date, datetime, time; dates and times stay as written."""

    kind: str
    value: str | bool | Decimal | None
    position: int


@dataclass(frozen=True, slots=True)
class QuantityLiteral:
    value: Decimal
    unit: str
    """A UCUM code, or a calendar unit (`year`, `days`) when `calendar`."""
    calendar: bool
    position: int


@dataclass(frozen=True, slots=True)
class External:
    """An environment variable, `%name`."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Special:
    """`$this`, `$index` or `$total`."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Member:
    """`source.name`; without a source the name stands first and may be a type (`Patient.name`)."""

    source: Expression | None
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """`source.name(arguments)`."""

    source: Expression | None
    name: str
    arguments: tuple[Expression, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Index:
    """`source[index]`."""

    source: Expression
    index: Expression
    position: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`+` or `-` before an operand."""

    operator: str
    operand: Expression
    position: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Any infix operator but `is` and `as`."""

    operator: str
    left: Expression
    right: Expression
    position: int


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`operand is type` or `operand as type`; `type_name` may be qualified (`FHIR.Patient`)."""

    operator: str
    operand: Expression
    type_name: str
    position: int


@dataclass(frozen=True, slots=True)
class Scoped:
    """An argument or operand in which variables are defined: they end with it (`with_scopes`)."""

    expression: Expression

    @property
    def position(self) -> int:
        return self.expression.position


Expression = Literal | QuantityLiteral | External | Special | Member | Call | Index | Unary | Binary | TypeTest | Scoped


def nodes_of(node: Expression) -> list[Expression]:
    """The node and all below it."""
    found: list[Expression] = []
    stack: list[Expression] = [node]
    while stack:
        each = stack.pop()
        found.append(each)
        match each:
            case Member(source=source):
                parts: tuple[Expression | None, ...] = (source,)
            case Call(source=source, arguments=arguments):
                parts = (source, *arguments)
            case Index(source=source, index=index):
                parts = (source, index)
            case Unary(operand=operand) | TypeTest(operand=operand):
                parts = (operand,)
            case Binary(left=left, right=right):
                parts = (left, right)
            case Scoped(expression=inner):
                parts = (inner,)
            case _:
                parts = ()
        stack += [part for part in parts if part is not None]
    return found


def defines_variables(node: Expression) -> bool:
    return any(isinstance(each, Call) and each.name == "defineVariable" for each in nodes_of(node))


def with_scopes(node: Expression) -> Expression:
    """The tree with every argument and operand that defines variables marked as their scope."""
    match node:
        case Member(source=source) if source is not None:
            return replace(node, source=with_scopes(source))
        case Call(source=source, arguments=arguments):
            inner = tuple(_scope(argument) for argument in arguments)
            return replace(node, source=with_scopes(source) if source is not None else None, arguments=inner)
        case Index(source=source, index=index):
            return replace(node, source=with_scopes(source), index=_scope(index))
        case Binary(left=left, right=right):
            return replace(node, left=_scope(left), right=_scope(right))
        case Unary(operand=operand) | TypeTest(operand=operand):
            return replace(node, operand=with_scopes(operand))
    return node


def _scope(node: Expression) -> Expression:
    return Scoped(with_scopes(node)) if defines_variables(node) else node
