"""Parser of the whole FHIRPath N1 grammar by precedence climbing (http://hl7.org/fhirpath/N1/#operator-precedence)."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from fhir_server.fhirpath.ast import (
    Binary,
    Call,
    Expression,
    External,
    Index,
    Literal,
    Member,
    QuantityLiteral,
    Special,
    TypeTest,
    Unary,
)
from fhir_server.fhirpath.lexer import InvalidExpression, Token, tokenize

MAX_DEPTH = 60
"""Deepest nesting of brackets, arguments and prefix operators."""
MAX_CHAIN = 400
"""Most steps and operators on one level: they nest in the tree, which is walked recursively."""

_BINDING = {
    "implies": 1,
    "or": 2,
    "xor": 2,
    "and": 3,
    "in": 4,
    "contains": 4,
    "=": 5,
    "~": 5,
    "!=": 5,
    "!~": 5,
    "<": 6,
    ">": 6,
    "<=": 6,
    ">=": 6,
    "|": 7,
    "is": 8,
    "as": 8,
    "+": 9,
    "-": 9,
    "&": 9,
    "*": 10,
    "/": 10,
    "div": 10,
    "mod": 10,
}
_UNARY_BINDING = 11
_CALENDAR_UNITS = frozenset(
    unit + plural
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
)
_NAMES_NOT_IDENTIFIERS = frozenset(("and", "or", "xor", "implies", "div", "mod", "true", "false"))


@lru_cache(maxsize=4096)
def parse(expression: str) -> Expression:
    """The syntax tree of `expression`. Raises InvalidExpression."""
    parser = _Parser(tokenize(expression))
    tree = parser.expression(0)
    parser.expect("end", "")
    return tree


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def expression(self, least: int) -> Expression:
        """An expression whose operators bind at least as tightly as `least`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"The FHIRPath expression is nested deeper than {MAX_DEPTH} levels")
        left = self._prefixed()
        for _ in range(MAX_CHAIN):
            token = self._tokens[self._at]
            binding = _BINDING.get(token.text, 0) if token.kind in ("symbol", "name") else 0
            if binding == 0 or binding < least:
                self._depth -= 1
                return left
            self._at += 1
            if token.text in ("is", "as"):
                left = TypeTest(token.text, left, self._type_name(), token.position)
            else:
                left = Binary(token.text, left, self.expression(binding + 1), token.position)
        raise self._error(f"The FHIRPath expression has more than {MAX_CHAIN} operators in a row")

    def expect(self, kind: str, text: str) -> Token:
        token = self._tokens[self._at]
        if token.kind != kind or token.text != text:
            raise self._error(f"Expected {text!r}" if text else "Expected the end of the expression")
        self._at += 1
        return token

    def _prefixed(self) -> Expression:
        token = self._tokens[self._at]
        if token.kind == "symbol" and token.text in ("+", "-"):
            self._at += 1
            return Unary(token.text, self.expression(_UNARY_BINDING), token.position)
        return self._steps(self._term())

    def _steps(self, source: Expression) -> Expression:
        for _ in range(MAX_CHAIN):
            token = self._tokens[self._at]
            if token.kind != "symbol" or token.text not in (".", "["):
                return source
            self._at += 1
            if token.text == ".":
                source = self._invocation(source)
            else:
                source = Index(source, self.expression(0), token.position)
                self.expect("symbol", "]")
        raise self._error(f"The FHIRPath expression has more than {MAX_CHAIN} steps in a row")

    def _term(self) -> Expression:
        token = self._tokens[self._at]
        if token.kind in ("name", "quoted", "special") and token.text not in ("true", "false"):
            return self._invocation(None)
        self._at += 1
        if token.kind == "symbol" and token.text == "(":
            inner = self.expression(0)
            self.expect("symbol", ")")
            return inner
        if token.kind == "symbol" and token.text == "{":
            self.expect("symbol", "}")
            return Literal("empty", None, token.position)
        if token.kind == "external":
            return External(token.text, token.position)
        return self._literal(token)

    def _literal(self, token: Token) -> Expression:
        if token.kind == "name":
            return Literal("boolean", token.text == "true", token.position)
        if token.kind == "number":
            return self._number(token)
        if token.kind in ("string", "time"):
            return Literal(token.kind, token.text, token.position)
        if token.kind == "datetime":
            return Literal("datetime" if "T" in token.text else "date", token.text, token.position)
        self._at -= 1
        raise self._error("Expected a value, a name or a bracket")

    def _number(self, token: Token) -> Expression:
        value = Decimal(token.text)
        unit = self._tokens[self._at]
        calendar = unit.kind == "name" and unit.text in _CALENDAR_UNITS
        if calendar or unit.kind == "string":
            self._at += 1
            return QuantityLiteral(value, unit.text, calendar, token.position)
        return Literal("number", value, token.position)

    def _invocation(self, source: Expression | None) -> Expression:
        token = self._tokens[self._at]
        if token.kind == "special":
            self._at += 1
            return Special(token.text, token.position)
        # Behind a dot a keyword can only be a name, and R4's own patches write Patient.text.div so.
        name = self._identifier(keywords=source is not None)
        following = self._tokens[self._at]
        if following.kind != "symbol" or following.text != "(":
            return Member(source, name, token.position)
        self._at += 1
        return Call(source, name, self._arguments(), token.position)

    def _arguments(self) -> tuple[Expression, ...]:
        arguments: list[Expression] = []
        if self._tokens[self._at].text != ")" or self._tokens[self._at].kind != "symbol":
            arguments.append(self.expression(0))
            while self._tokens[self._at].kind == "symbol" and self._tokens[self._at].text == ",":
                self._at += 1
                arguments.append(self.expression(0))
        self.expect("symbol", ")")
        return tuple(arguments)

    def _identifier(self, *, keywords: bool = False) -> str:
        token = self._tokens[self._at]
        if token.kind == "quoted" or (token.kind == "name" and (keywords or token.text not in _NAMES_NOT_IDENTIFIERS)):
            self._at += 1
            return token.text
        raise self._error("Expected a name")

    def _type_name(self) -> str:
        name = self._identifier()
        token = self._tokens[self._at]
        if token.kind == "symbol" and token.text == ".":
            self._at += 1
            return f"{name}.{self._identifier()}"
        return name

    def _error(self, problem: str) -> InvalidExpression:
        token = self._tokens[self._at]
        found = "the end" if token.kind == "end" else repr(token.text)
        return InvalidExpression(f"{problem}; found {found} at column {token.position + 1} of the FHIRPath expression.")
