"""A Questionnaire made ready for checking responses: compiled once, shared by all (R4 questionnaire.html)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fhir_server.fhirpath import CompiledExpression, InvalidExpression
from fhir_server.fhirpath import compile as compile_expression
from fhir_server.terminology.canonical import Head, head
from fhir_server.terminology.value_set import value_set
from fhir_server.validation.form_answers import (
    CORE,
    SDC,
    Check,
    Options,
    checks_of,
    extension,
    keys_of,
    options_of,
)

Json = dict[str, Any]

ITEM_BYTES = 1000
"""About what one compiled item takes."""


@dataclass(frozen=True, slots=True)
class Variable:
    """An SDC variable: `%name` is what `expression` gives, for the element that has it and all below."""

    name: str
    expression: CompiledExpression


@dataclass(slots=True)
class FormItem:
    """One item of a Questionnaire."""

    link_id: str
    type: str
    place: int
    """Its position among its siblings."""
    source: Json
    required: bool = False
    repeats: bool = False
    min_occurs: int = 0
    max_occurs: int | None = None
    keys: tuple[str, ...] = ()
    """The value[x] that answer it."""
    options: Options | None = None
    value_set: str = ""
    checks: tuple[Check, ...] = ()
    conditions: tuple[Json, ...] = ()
    any_condition: bool = False
    enabled_if: CompiledExpression | None = None
    undecided: bool = False
    """It has an enableWhenExpression that cannot be evaluated here."""
    variables: tuple[Variable, ...] = ()
    path: tuple[str, ...] = ()
    """The linkIds of the items it stands in, outermost first."""
    items: dict[str, FormItem] = field(default_factory=dict)

    @property
    def is_group(self) -> bool:
        return self.type == "group"

    @property
    def is_question(self) -> bool:
        return self.type not in ("group", "display")

    @property
    def is_conditional(self) -> bool:
        return bool(self.conditions) or self.enabled_if is not None or self.undecided


@dataclass(slots=True)
class Form:
    """A whole Questionnaire. Immutable once made: requests share it."""

    head: Head
    source: Json
    items: dict[str, FormItem]
    """The items of the top level, by linkId."""
    known: dict[str, FormItem]
    """All items, wherever they stand."""
    variables: tuple[Variable, ...]
    value_sets: frozenset[str]
    """Those to be found elsewhere."""
    contained_sets: dict[str, frozenset[tuple[str, str]]]
    """The codes of its own, by `#id`."""
    conditional: bool
    """Whether any item depends on answers."""
    unusable: tuple[str, ...]
    """What in it cannot be checked, for people."""
    weight: int


def form_of(questionnaire: Json, seq: int = 0) -> Form:
    """Compile `questionnaire`, valid R4; what in it makes no sense is not enforced but told in `unusable`."""
    compiler = _Compiler()
    variables = compiler.variables(questionnaire)
    items = compiler.items(questionnaire.get("item", ()))
    return Form(
        head(questionnaire, seq),
        questionnaire,
        items,
        compiler.known,
        variables,
        frozenset(used for used in compiler.value_sets if not used.startswith("#")),
        {used: codes for used in compiler.value_sets if (codes := compiler.contained(questionnaire, used)) is not None},
        any(item.is_conditional for item in compiler.known.values()),
        tuple(compiler.unusable),
        ITEM_BYTES * (1 + len(compiler.known)),
    )


def _is_whole(condition: Json) -> bool:
    """R4 lets an extension stand for a value, also for those that an enableWhen must have."""
    return "question" in condition and "operator" in condition and any(key.startswith("answer") for key in condition)


class _Compiler:
    def __init__(self) -> None:
        self.known: dict[str, FormItem] = {}
        self.value_sets: set[str] = set()
        self.unusable: list[str] = []

    def contained(self, questionnaire: Json, named: str) -> frozenset[tuple[str, str]] | None:
        """The codes that the contained value set `#id` lists; None, and told, when it does not simply list them."""
        if not named.startswith("#"):
            return None
        for resource in questionnaire.get("contained", ()):
            if resource["resourceType"] == "ValueSet" and resource.get("id") == named[1:]:
                parsed = value_set(resource, 0)
                parts = parsed.concept_sets
                if parts and not parsed.excludes and all(one.codes and not one.value_sets for one in parts):
                    return frozenset((one.system, code) for one in parts for code in one.codes)
                if parsed.stored is not None:
                    return frozenset((system, code) for system, codes in parsed.stored.items() for code in codes)
        self.unusable.append(f"The contained value set {named} lists no codes: answers from it are not checked.")
        return None

    def items(self, sources: Any, path: tuple[str, ...] = ()) -> dict[str, FormItem]:
        made: dict[str, FormItem] = {}
        for place, source in enumerate(sources):
            item = self._item(source, place)
            item.path = path
            if item.link_id in self.known:
                self.unusable.append(f"linkId {item.link_id} stands for more than one item (que-2).")
            made.setdefault(item.link_id, item)
            self.known.setdefault(item.link_id, item)
            item.items = self.items(source.get("item", ()), (*path, item.link_id))
        return made

    def _item(self, source: Json, place: int) -> FormItem:
        item = FormItem(source.get("linkId", ""), source.get("type", ""), place, source)
        item.required = source.get("required", False)
        item.repeats = source.get("repeats", False)
        item.min_occurs = extension(source, f"{CORE}questionnaire-minOccurs") or 0
        item.max_occurs = extension(source, f"{CORE}questionnaire-maxOccurs")
        item.conditions = tuple(one for one in source.get("enableWhen", ()) if _is_whole(one))
        item.any_condition = source.get("enableBehavior") == "any"
        condition = extension(source, f"{SDC}enableWhenExpression")
        item.enabled_if = self._expression(condition)
        item.undecided = (condition is not None and item.enabled_if is None) or len(item.conditions) < len(
            source.get("enableWhen", ())
        )
        item.variables = self.variables(source)
        if item.is_question:
            item.keys = keys_of(source)
            item.options = options_of(source)
            if item.type in ("choice", "open-choice") and "answerValueSet" in source:
                item.value_set = source["answerValueSet"]
                self.value_sets.add(item.value_set)
            item.checks, unusable = checks_of(source)
            self.unusable += unusable
        return item

    def variables(self, source: Json) -> tuple[Variable, ...]:
        found = []
        for one in source.get("extension", ()):
            expression = one.get("valueExpression")
            if one.get("url") == f"{CORE}variable" and expression is not None and "name" in expression:
                compiled = self._expression(expression)
                if compiled is not None:
                    found.append(Variable(expression["name"], compiled))
        return tuple(found)

    def _expression(self, expression: Any) -> CompiledExpression | None:
        """The compiled FHIRPath of an Expression; what is in another language, such as a query, is left out."""
        if not isinstance(expression, dict) or "expression" not in expression:
            return None
        if expression.get("language") != "text/fhirpath":
            return None
        try:
            return compile_expression(expression["expression"])
        except InvalidExpression as error:
            self.unusable.append(str(error))
            return None
