"""UCUM units reduced to base units, exactly (https://ucum.org/ucum, §§ 2-4; R4 search.html#quantity)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

from fhir_server.model.ucum_units import AFFINE, ARBITRARY, ARBITRARY_METRIC, BASE, METRIC, NON_METRIC, PREFIXES

MAX_CODE = 100
"""Longest code read, in characters."""
MAX_EXPONENT = 20

_CONTEXT = Context(prec=34)
_ATOM = re.compile(r"(10[*^]|(?:[^\[\]{}./()0-9+\-\s]|\[[^\[\]{}\s]*\])+)([+-]?\d+)?(?:\{[^{}]*\})?", re.ASCII)
_NUMBER = re.compile(r"(\d+)(?:\{[^{}]*\})?", re.ASCII)
_ANNOTATION = re.compile(r"\{[^{}]*\}")


class _UnknownUnitError(ValueError):
    """The code is not UCUM, or not in the table."""


@dataclass(frozen=True, slots=True)
class _Unit:
    factor: Fraction
    dimensions: tuple[tuple[str, int], ...]
    """(base unit, exponent), sorted, without zero exponents."""

    def __mul__(self, other: _Unit) -> _Unit:
        exponents = dict(self.dimensions)
        for base, exponent in other.dimensions:
            exponents[base] = exponents.get(base, 0) + exponent
        return _Unit(self.factor * other.factor, tuple(sorted((b, e) for b, e in exponents.items() if e)))

    def power(self, exponent: int) -> _Unit:
        if abs(exponent) > MAX_EXPONENT:
            raise _UnknownUnitError
        return _Unit(self.factor**exponent, tuple((b, e * exponent) for b, e in self.dimensions if exponent))


_ONE = _Unit(Fraction(1), ())


def canonical(value: Decimal, code: str) -> tuple[Decimal, str] | None:
    """`value` of the unit `code` in base units, and these as a UCUM code ("1" when there are none).

    None for codes that are not UCUM or not in the table. The result is exact to 34 digits.
    """
    reduced = _reduce(code) if len(code) <= MAX_CODE else None
    if reduced is None:
        return None
    numerator, denominator, offset, base = reduced
    if offset:
        value = _CONTEXT.add(value, offset)
    if numerator != 1:
        value = _CONTEXT.multiply(value, numerator)
    if denominator != 1:
        value = _CONTEXT.divide(value, denominator)
    return value, base


@lru_cache(maxsize=4096)
def _reduce(code: str) -> tuple[Decimal, Decimal, Decimal, str] | None:
    """(numerator, denominator, offset, base code): base value = (value + offset) * numerator / denominator."""
    bare = _ANNOTATION.sub("", code)
    if bare in AFFINE:
        factor, offset = AFFINE[bare]
        ratio = Fraction(factor)
        return Decimal(ratio.numerator), Decimal(ratio.denominator), Decimal(offset), "K"
    if not code:
        return None
    try:
        unit = _Parser(code).whole()
    except _UnknownUnitError:
        return None
    base = ".".join(b if e == 1 else f"{b}{e}" for b, e in unit.dimensions) or "1"
    return Decimal(unit.factor.numerator), Decimal(unit.factor.denominator), Decimal(0), base


@lru_cache(maxsize=1024)
def _atom(symbol: str) -> _Unit:
    unit = _metric(symbol) or _non_metric(symbol)
    if unit is not None:
        return unit
    for length in (1, 2):
        prefixed = _metric(symbol[length:]) if symbol[:length] in PREFIXES else None
        if prefixed is not None:
            return _Unit(Fraction(PREFIXES[symbol[:length]]) * prefixed.factor, prefixed.dimensions)
    raise _UnknownUnitError


def _metric(symbol: str) -> _Unit | None:
    if symbol in BASE or symbol in ARBITRARY_METRIC:
        return _Unit(Fraction(1), ((symbol, 1),))
    return _defined(METRIC[symbol]) if symbol in METRIC else None


def _non_metric(symbol: str) -> _Unit | None:
    if symbol in ARBITRARY:
        return _Unit(Fraction(1), ((symbol, 1),))
    return _defined(NON_METRIC[symbol]) if symbol in NON_METRIC else None


def _defined(definition: tuple[str, str]) -> _Unit:
    factor, code = definition
    unit = _Parser(code).whole() if code else _ONE
    return _Unit(Fraction(factor) * unit.factor, unit.dimensions)


class _Parser:
    """`m/s2`, `10*3/uL`, `/min`, `mg/(kg.d)`, `{score}`."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._at = 0

    def whole(self) -> _Unit:
        unit = self._term(nesting=0)
        if self._at != len(self._code):
            raise _UnknownUnitError
        return unit

    def _term(self, nesting: int) -> _Unit:
        if nesting > MAX_EXPONENT:
            raise _UnknownUnitError
        unit = _ONE
        sign = -1 if self._take("/") else 1
        while True:
            unit *= self._component(nesting).power(sign)
            if self._take("."):
                sign = 1
            elif self._take("/"):
                sign = -1
            else:
                return unit

    def _component(self, nesting: int) -> _Unit:
        if self._take("("):
            unit = self._term(nesting + 1)
            if not self._take(")"):
                raise _UnknownUnitError
            return unit
        if annotation := _ANNOTATION.match(self._code, self._at):
            self._at = annotation.end()
            return _ONE
        if atom := _ATOM.match(self._code, self._at):
            self._at = atom.end()
            return _atom(atom[1]).power(int(atom[2] or 1))
        if number := _NUMBER.match(self._code, self._at):
            self._at = number.end()
            return _Unit(Fraction(int(number[1])), ()) if int(number[1]) else self._unknown()
        return self._unknown()

    def _take(self, character: str) -> bool:
        if self._code.startswith(character, self._at):
            self._at += 1
            return True
        return False

    @staticmethod
    def _unknown() -> _Unit:
        raise _UnknownUnitError
