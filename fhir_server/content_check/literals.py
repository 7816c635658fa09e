"""Texts in the conditions of plans that name something: a condition on what does not exist is never true, silently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server.content_check.catalogue import Catalogue
from fhir_server.content_check.finding import Fault, Path
from fhir_server.content_files import SHIPPED_BASE
from fhir_server.fhirpath.ast import Binary, Call, Expression, Index, Literal, Member, TypeTest, nodes_of

_SYSTEM = f"{SHIPPED_BASE}/CodeSystem"
INSTRUMENTS, SCORES, BANDS = (f"{_SYSTEM}/{name}" for name in ("msk-instrument", "msk-score", "msk-score-band"))


def literal_faults(tree: Expression, path: Path, catalogue: Catalogue) -> Iterator[Fault]:
    """Canonicals of ours, scores of our instruments, and items and answers of `%responses`."""
    for node in nodes_of(tree):
        match node:
            case Literal(kind="string", value=str(text)):
                yield from _text(text, path, catalogue)
            case Call(name="where", source=source, arguments=(condition,)) if source is not None:
                item = _equal_to(condition, "linkId")
                if item is not None:
                    yield from _item(item, source, path, catalogue)
            case Binary(operator="=", left=Member(name="code", source=source), right=Literal(value=str(code))) if (
                source
            ):
                yield from _answer(code, source, path, catalogue)


def _text(text: str, path: Path, catalogue: Catalogue) -> Iterator[Fault]:
    if text.startswith(f"{SHIPPED_BASE}/") and not catalogue.beginning(text):
        yield Fault(path, f"Nothing is shipped whose url begins with {text}.")
    instrument = text.partition(".")[0]
    if "." in text and instrument in (catalogue.codes(INSTRUMENTS) or ()):
        known = (catalogue.codes(SCORES) or frozenset()) | (catalogue.codes(BANDS) or frozenset())
        if text not in known:
            yield Fault(path, f"The instrument {instrument} has no score or band {text}.")


def _item(link: str, source: Expression, path: Path, catalogue: Catalogue) -> Iterator[Fault]:
    forms = _forms(source, catalogue)
    if forms and not any(_items(form, link) for form in forms):
        yield Fault(path, f"No item of {forms[0]['url']} has the linkId {link}.")


def _answer(code: str, source: Expression, path: Path, catalogue: Catalogue) -> Iterator[Fault]:
    link = next((found for node in _chain(source) if (found := _item_of(node)) is not None), None)
    if link is None:
        return
    items = [item for form in _forms(source, catalogue) for item in _items(form, link)]
    options = [option for item in items for option in item.get("answerOption", ())]
    if options and all(option.get("valueCoding", {}).get("code") != code for option in options):
        yield Fault(path, f"{code} is no answer to the item {link}.")


def _item_of(node: Expression) -> str | None:
    match node:
        case Call(name="where", arguments=(condition,)):
            return _equal_to(condition, "linkId")
    return None


def _equal_to(condition: Expression, name: str) -> str | None:
    """The text that the member `name` is compared with."""
    match condition:
        case Binary(operator="=", left=Member(source=None, name=member), right=Literal(value=str(text))):
            return text if member == name else None
    return None


def _forms(source: Expression, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The Questionnaires that the responses were narrowed to."""
    for node in _chain(source):
        match node:
            case Call(name="where", arguments=(condition,)):
                url = _equal_to(condition, "questionnaire") or _start_of(condition)
                if url is not None:
                    return catalogue.beginning(url)
    return []


def _start_of(condition: Expression) -> str | None:
    match condition:
        case Call(
            name="startsWith", source=Member(source=None, name="questionnaire"), arguments=(Literal(value=str(text)),)
        ):
            return text
    return None


def _chain(node: Expression | None) -> Iterator[Expression]:
    """The node and what it is taken from, step by step."""
    while node is not None:
        yield node
        match node:
            case Member(source=source) | Call(source=source) | Index(source=source):
                node = source
            case TypeTest(operand=operand):
                node = operand
            case _:
                return


def _items(holder: dict[str, Any], link: str) -> list[dict[str, Any]]:
    """The items with this linkId, at any depth."""
    found = []
    for item in holder.get("item", ()):
        found += [item] if item.get("linkId") == link else []
        found += _items(item, link)
    return found
