"""The formulas and conditions of scoring definitions: a small arithmetic, exact but for roots and logarithms.

or < and < comparison < + - < * / < sign; true is 1, false 0. Names are linkIds and `score.<name>`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

from fhir_server.instruments.definition import Exact

CONTEXT = Context(prec=28)
"""Significant digits of square roots and logarithms."""

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_][\w.]*)|(<=|>=|!=|[-+*/(),<>=]))", re.ASCII)

Compiled = Callable[[Mapping[str, Exact]], Exact]


class FormulaError(ValueError):
    """A formula that cannot be read; the message says where."""


class UndefinedValueError(ArithmeticError):
    """A logarithm, root or quotient that has no value."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A compiled formula; calling it raises UndefinedValueError where it has no value."""

    text: str
    names: tuple[str, ...]
    """Every name in it, once, in the order of their first use."""
    compiled: Compiled

    def __call__(self, values: Mapping[str, Exact]) -> Exact:
        return self.compiled(values)


def parse_formula(text: str) -> Formula:
    """Raises FormulaError."""
    parser = _Parser(text)
    compiled = parser.alternatives()
    if parser.current is not None:
        raise FormulaError(f"{text!r}: unexpected {parser.current!r}")
    return Formula(text, tuple(dict.fromkeys(parser.names)), compiled)


def exact(number: int | Decimal | Fraction) -> Exact:
    """`number` without loss; whole ones as int."""
    fraction = Fraction(number)
    return fraction.numerator if fraction.denominator == 1 else fraction


def _decimal(value: Exact) -> Decimal:
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _sqrt(value: Exact) -> Exact:
    if value < 0:
        raise UndefinedValueError("the square root of a negative number")
    return exact(CONTEXT.sqrt(_decimal(value)))


def _ln(value: Exact) -> Exact:
    if value <= 0:
        raise UndefinedValueError("the logarithm of 0 or less")
    return exact(CONTEXT.ln(_decimal(value)))


def _quotient(dividend: Exact, divisor: Exact) -> Exact:
    if divisor == 0:
        raise UndefinedValueError("a division by 0")
    return exact(Fraction(dividend) / Fraction(divisor))


_FUNCTIONS: dict[str, Callable[..., Exact]] = {"sqrt": _sqrt, "ln": _ln, "max": max, "min": min}
_COMPARISONS: dict[str, Callable[[Exact, Exact], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_SUMS: dict[str, Callable[[Exact, Exact], Exact]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: dict[str, Callable[[Exact, Exact], Exact]] = {"*": operator.mul, "/": _quotient}


class _Parser:
    """Recursive descent; every method returns what computes the part it read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self.names: list[str] = []
        self.current: str | None = None
        self._advance()

    def alternatives(self) -> Compiled:
        left = self._conjunction()
        while self._accept("or"):
            left = _either(left, self._conjunction())
        return left

    def _conjunction(self) -> Compiled:
        left = self._comparison()
        while self._accept("and"):
            left = _both(left, self._comparison())
        return left

    def _comparison(self) -> Compiled:
        left = self._operation(_SUMS, self._product)
        if self.current in _COMPARISONS:
            compare = _COMPARISONS[self._advance()]
            right = self._operation(_SUMS, self._product)
            return lambda values: int(compare(left(values), right(values)))
        return left

    def _product(self) -> Compiled:
        return self._operation(_PRODUCTS, self._signed)

    def _operation(
        self, operators: dict[str, Callable[[Exact, Exact], Exact]], operand: Callable[[], Compiled]
    ) -> Compiled:
        left = operand()
        while self.current in operators:
            left = _combined(operators[self._advance()], left, operand())
        return left

    def _signed(self) -> Compiled:
        if self._accept("-"):
            operand = self._signed()
            return lambda values: -operand(values)
        return self._primary()

    def _primary(self) -> Compiled:
        if self.current is None:
            raise FormulaError(f"{self._text!r}: a value is missing at the end")
        taken = self._advance()
        if taken == "(":
            inner = self.alternatives()
            self._expect(")")
            return inner
        if taken[0].isdigit():
            number = exact(Decimal(taken))
            return lambda values: number
        if taken in _FUNCTIONS and self.current == "(":
            return self._call(_FUNCTIONS[taken])
        if not (taken[0].isalpha() or taken[0] == "_") or taken in ("and", "or"):
            raise FormulaError(f"{self._text!r}: unexpected {taken!r}")
        self.names.append(taken)
        return lambda values: values[taken]

    def _call(self, function: Callable[..., Exact]) -> Compiled:
        self._expect("(")
        arguments = [self.alternatives()]
        while self._accept(","):
            arguments.append(self.alternatives())
        self._expect(")")
        if function in (max, min):
            if len(arguments) < 2:
                raise FormulaError(f"{self._text!r}: max and min take two arguments or more")
            return lambda values: function(*(argument(values) for argument in arguments))
        if len(arguments) != 1:
            raise FormulaError(f"{self._text!r}: sqrt and ln take one argument")
        (only,) = arguments
        return lambda values: function(only(values))

    def _accept(self, token: str) -> bool:
        if self.current != token:
            return False
        self._advance()
        return True

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise FormulaError(f"{self._text!r}: {token!r} expected before {self.current or 'the end'!r}")

    def _advance(self) -> str:
        """The token that was current; the next one becomes it."""
        taken = self.current
        rest = self._text[self._position :]
        if not rest.strip():
            self.current = None
        else:
            match = _TOKEN.match(self._text, self._position)
            if match is None:
                raise FormulaError(f"{self._text!r}: {rest.strip()[0]!r} is not part of a formula")
            self.current = match[1] or match[2] or match[3]
            self._position = match.end()
        return taken or ""


def _combined(combine: Callable[[Exact, Exact], Exact], left: Compiled, right: Compiled) -> Compiled:
    return lambda values: combine(left(values), right(values))


def _either(left: Compiled, right: Compiled) -> Compiled:
    return lambda values: int(bool(left(values)) or bool(right(values)))


def _both(left: Compiled, right: Compiled) -> Compiled:
    return lambda values: int(bool(left(values)) and bool(right(values)))
