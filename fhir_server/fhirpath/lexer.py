"""Tokens of the FHIRPath N1 grammar (http://hl7.org/fhirpath/N1/grammar.html)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fhir_server.errors import FhirError

MAX_LENGTH = 100_000
"""Longest expression read, in characters; the longest invariant of R4 has under 2,000."""


class InvalidExpression(FhirError):
    """A FHIRPath expression that does not follow the grammar; the text names the column."""

    code = "invalid"


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: name, quoted (a delimited identifier), string, number, datetime, time, external, special, symbol, end."""

    kind: str
    text: str
    """The value: unescaped for quoted and string, without `@`, `%` or `$` otherwise."""
    position: int


_TOKEN = re.compile(
    r"""(?P<skip>(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)+)
    |@T(?P<time>\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?)
    |@(?P<datetime>\d{4}(?:-\d{2}(?:-\d{2})?)?(?:T(?:\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?(?:Z|[+-]\d{2}:\d{2})?)?)?)
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |'(?P<string>(?:[^'\\]|\\.)*)'
    |`(?P<quoted>(?:[^`\\]|\\.)*)`
    |%(?:(?P<external>[A-Za-z_][A-Za-z0-9_]*)|`(?P<external_quoted>(?:[^`\\]|\\.)*)`|'(?P<external_string>(?:[^'\\]|\\.)*)')
    |\$(?P<special>this|index|total)\b
    |(?P<symbol><=|>=|!=|!~|[.\[\](){},|&+\-*/<>=~])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", "'": "'", '"': '"', "`": "`", "\\": "\\", "/": "/"}


def tokenize(expression: str) -> list[Token]:
    """The tokens of `expression`, an `end` token last. Raises InvalidExpression."""
    if len(expression) > MAX_LENGTH:
        raise InvalidExpression(f"The FHIRPath expression is longer than {MAX_LENGTH} characters.")
    tokens = []
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise InvalidExpression(
                f"Unexpected {expression[position]!r} at column {position + 1} of the FHIRPath expression."
            )
        kind = match.lastgroup or ""
        if kind != "skip":
            tokens.append(_token(kind, match[kind], position))
        position = match.end()
    tokens.append(Token("end", "", position))
    return tokens


def _token(kind: str, text: str, position: int) -> Token:
    if kind in ("string", "quoted"):
        return Token(kind, _unescape(text, position), position)
    if kind.startswith("external"):
        return Token("external", text if kind == "external" else _unescape(text, position), position)
    return Token(kind, text, position)


def _unescape(text: str, position: int) -> str:
    if "\\" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        if match[2] not in _ESCAPED:
            raise InvalidExpression(f"Unknown escape \\{match[2]} in the string at column {position + 1}.")
        return _ESCAPED[match[2]]

    return _ESCAPE.sub(replace, text)
