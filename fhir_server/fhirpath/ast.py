"""The syntax tree of a FHIRPath expression. `position` is the 0-based character offset in the source."""

from __future__ import annotations

from dataclasses import dataclass
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


Expression = Literal | QuantityLiteral | External | Special | Member | Call | Index | Unary | Binary | TypeTest
