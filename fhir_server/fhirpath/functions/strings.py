"""Strings (http://hl7.org/fhirpath/N1/#string-manipulation, and those the current specification adds)."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable
from typing import Any

from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.functions.registry import Function, of_collection, of_value
from fhir_server.fhirpath.node import Item
from fhir_server.fhirpath.regex import compiled
from fhir_server.fhirpath.values import describe, system

_S = ("string",)


def _index_of(evaluation: Evaluation, text: str, part: str) -> int:
    return text.find(part)


def _last_index_of(evaluation: Evaluation, text: str, part: str) -> int:
    return text.rfind(part)


def _substring(evaluation: Evaluation, text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    if length is None:
        return text[start:]
    return text[start : start + length] if length > 0 else ""


def _replace(evaluation: Evaluation, text: str, part: str, substitute: str) -> str:
    evaluation.text(len(text) + (text.count(part) * max(0, len(substitute) - len(part))))
    return text.replace(part, substitute)


def _matches(evaluation: Evaluation, text: str, pattern: str) -> bool:
    evaluation.text(len(text))
    return compiled(pattern).search(text) is not None


def _matches_full(evaluation: Evaluation, text: str, pattern: str) -> bool:
    evaluation.text(len(text))
    return compiled(pattern).fullmatch(text) is not None


_GROUP = re.compile(r"\$(?:(\d)|\{([A-Za-z_]\w*)\})|\\(.)|\\", re.ASCII | re.DOTALL)


def _replace_matches(evaluation: Evaluation, text: str, pattern: str, substitution: str) -> str:
    """`$1` and `${name}` in the substitution stand for groups; an empty pattern changes nothing."""
    if not pattern:
        return text
    out: list[str] = []
    size = at = 0
    evaluation.text(len(text))
    for match in compiled(pattern).finditer(text):
        start, end = match.span()
        out += (text[at:start], _expanded(match, substitution))
        size += len(out[-1]) + len(out[-2])
        evaluation.text(size)
        at = end
    out.append(text[at:])
    evaluation.text(size + len(out[-1]))
    return "".join(out)


def _expanded(match: Any, substitution: str) -> str:
    if "$" not in substitution and "\\" not in substitution:
        return substitution

    def group(found: re.Match[str]) -> str:
        if found[3] is not None:
            return found[3]
        name: Any = int(found[1]) if found[1] else found[2]
        if name is None:
            return found[0]
        try:
            return match.group(name) or ""
        except (IndexError, KeyError):
            raise EvaluationError(f"The regular expression has no group {name}") from None

    return _GROUP.sub(group, substitution)


def _split(evaluation: Evaluation, items: list[Item], separators: list[Item]) -> list[Item]:
    text, separator = _one(items, "split"), _one(separators, "split")
    if text is None or separator is None:
        return []
    evaluation.text(len(text))
    return list(text.split(separator)) if separator else list(text)


def _to_chars(evaluation: Evaluation, items: list[Item]) -> list[Item]:
    return list(_one(items, "toChars") or "")


def _join(evaluation: Evaluation, items: list[Item], separators: list[Item] | None = None) -> list[Item]:
    separator = _one(separators, "join") if separators else ""
    texts = [system(item) for item in items]
    if any(type(text) is not str and text is not None for text in texts):
        raise EvaluationError("join() needs strings")
    kept = [text for text in texts if text is not None]
    if not kept:
        return []
    evaluation.text(sum(map(len, kept)) + len(separator or "") * len(kept))
    return [(separator or "").join(kept)]


def _one(items: list[Item], name: str) -> str | None:
    if not items:
        return None
    if len(items) > 1:
        raise EvaluationError(f"{name}(): one item was expected, there are {len(items)}")
    value = system(items[0])
    if value is not None and type(value) is not str:
        raise EvaluationError(f"{name}() needs a string, not {describe(value)}")
    return value


_ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "hex": binascii.hexlify,
    "base64": base64.b64encode,
    "urlbase64": base64.urlsafe_b64encode,
}
_DECODE: dict[str, Callable[[str], bytes]] = {
    "hex": bytes.fromhex,
    "base64": lambda text: base64.b64decode(text, validate=True),
    "urlbase64": lambda text: base64.b64decode(text, altchars=b"-_", validate=True),
}


def _encode(evaluation: Evaluation, text: str, form: str) -> str | None:
    encode = _ENCODE.get(form)
    evaluation.text(2 * len(text))
    try:
        return encode(text.encode()).decode() if encode else None
    except UnicodeError:
        return None


def _decode(evaluation: Evaluation, text: str, form: str) -> str | None:
    decode = _DECODE.get(form)
    evaluation.text(len(text))
    try:
        return decode(text).decode() if decode else None
    except ValueError:
        raise EvaluationError(f"decode(): this is not {form} of a text") from None


def _escape(evaluation: Evaluation, text: str, form: str) -> str | None:
    evaluation.text(6 * len(text))
    if form == "html":
        return html.escape(text)
    return json.dumps(text, ensure_ascii=False)[1:-1] if form == "json" else None


_QUOTE = re.compile(r'\\.|"', re.DOTALL)


def _escaped_quote(match: re.Match[str]) -> str:
    return '\\"' if match[0] == '"' else match[0]


def _unescape(evaluation: Evaluation, text: str, form: str) -> str | None:
    if form == "html":
        return html.unescape(text)
    if form != "json":
        return None
    try:
        # A quote may stand for itself.
        found = json.loads(f'"{_QUOTE.sub(_escaped_quote, text)}"', strict=False)
    except ValueError:
        raise EvaluationError("unescape(): this is not an escaped JSON string") from None
    return found if type(found) is str else None


def _string(
    run: Callable[..., Any], arguments: tuple[str, ...] = (), optional: int = 0, result: str = "String"
) -> Function:
    return of_value(run, focus="string", arguments=arguments, optional=optional, result=result)


FUNCTIONS = {
    "indexOf": _string(_index_of, _S, result="Integer"),
    "lastIndexOf": _string(_last_index_of, _S, result="Integer"),
    "substring": _string(_substring, ("integer", "integer"), optional=1),
    "startsWith": _string(lambda evaluation, text, part: text.startswith(part), _S, result="Boolean"),
    "endsWith": _string(lambda evaluation, text, part: text.endswith(part), _S, result="Boolean"),
    "contains": _string(lambda evaluation, text, part: part in text, _S, result="Boolean"),
    "upper": _string(lambda evaluation, text: text.upper()),
    "lower": _string(lambda evaluation, text: text.lower()),
    "trim": _string(lambda evaluation, text: text.strip()),
    "length": _string(lambda evaluation, text: len(text), result="Integer"),
    "replace": _string(_replace, ("string", "string")),
    "matches": _string(_matches, _S, result="Boolean"),
    "matchesFull": _string(_matches_full, _S, result="Boolean"),
    "replaceMatches": _string(_replace_matches, ("string", "string")),
    "encode": _string(_encode, _S),
    "decode": _string(_decode, _S),
    "escape": _string(_escape, _S),
    "unescape": _string(_unescape, _S),
    "split": of_collection(_split, arguments=1),
    "toChars": of_collection(_to_chars),
    "join": of_collection(_join, arguments=1, optional=1),
}
