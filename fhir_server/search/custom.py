"""From a SearchParameter resource to the parameters it defines (R4 searchparameter.html); what cannot work is refused.

Only an active one defines anything: drafts and retired ones are stored like any resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_server import spec
from fhir_server.errors import BusinessRule, FhirError
from fhir_server.fhirpath.lexer import InvalidExpression
from fhir_server.fhirpath.parser import parse
from fhir_server.search.criteria import OF_EVERY_TYPE
from fhir_server.search.definitions import INDEXED_TYPES, Definition, indexed
from fhir_server.search.parameters.token import CODED_TYPES
from fhir_server.search.paths import paths, union
from fhir_server.search.registry import Registry, custom_definition
from fhir_server.storage.parameters import FIRST_CUSTOM, ComponentDefinition, ParameterDefinition

ANY_TYPE = ("Resource", "DomainResource")
LONGEST_EXPRESSION = 2000
MOST_PATHS = 200
DEEPEST_PATH = 16
"""Steps of a path: the generated function nests as deep."""
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_COMPOSED = ("token", "reference", "number", "date", "quantity", "string")


def parameters_of(resource: dict[str, Any], registry: Registry) -> tuple[ParameterDefinition, ...]:
    """One for each resource type the SearchParameter applies to; none when it is not active.

    Raises BusinessRule (422) naming the element that keeps it from working here.
    """
    if resource.get("status") != "active":
        return ()
    code, search_type = resource["code"], resource["type"]
    _check_code(code)
    expression = resource.get("expression")
    if search_type == "special":
        raise _refusal("A parameter of type special has no meaning of its own here: use another type.", "type")
    if not expression:
        raise _refusal("Without an expression nothing can be indexed: give one in FHIRPath.", "expression", "required")
    if len(expression) > LONGEST_EXPRESSION:
        raise _refusal(f"The expression is longer than {LONGEST_EXPRESSION} characters.", "expression", "too-long")
    components = tuple(_components(resource, registry))
    targets = tuple(sorted(_targets(resource)))
    found = tuple(
        ParameterDefinition(resource_type, code, resource["url"], search_type, expression, targets, components)
        for resource_type in _types(resource)
    )
    for one in found:
        _check(one)
    return found


def _refusal(text: str, element: str, code: str = "not-supported") -> FhirError:
    return BusinessRule(
        f"{text} (With status draft it is stored and not used.)", code=code, expression=f"SearchParameter.{element}"
    )


def _check_code(code: str) -> None:
    if not _CODE.fullmatch(code):
        raise _refusal(
            f"The code {code[:100]!r} cannot be used in a URL: a letter, then letters, digits, - and _, at most 64.",
            "code",
            "value",
        )


def _types(resource: dict[str, Any]) -> list[str]:
    base = resource["base"]
    names = sorted(spec.RESOURCE_TYPES) if any(name in ANY_TYPE for name in base) else list(dict.fromkeys(base))
    for name in names:
        if name not in spec.RESOURCE_TYPES:
            raise _refusal(f"{name} is not a resource type of FHIR R4.", "base", "value")
        if resource["code"] in spec.search_parameters(name) or resource["code"] in OF_EVERY_TYPE:
            raise _refusal(
                f"'{resource['code']}' of {name} is R4's own and keeps R4's meaning: choose another code.",
                "code",
                "duplicate",
            )
    return names


def _targets(resource: dict[str, Any]) -> Iterator[str]:
    if resource["type"] != "reference":
        return
    for name in resource.get("target", ()):
        if name in ANY_TYPE:
            continue
        if name not in spec.RESOURCE_TYPES:
            raise _refusal(f"The target {name} is not a resource type of FHIR R4.", "target", "value")
        yield name


def _components(resource: dict[str, Any], registry: Registry) -> Iterator[ComponentDefinition]:
    parts = resource.get("component", [])
    if resource["type"] != "composite":
        if parts:
            raise _refusal("Only a composite has components.", "component", "invalid")
        return
    if len(parts) != 2:
        raise _refusal("A composite has two components here.", "component")
    for n, part in enumerate(parts):
        found = _defined(part["definition"].partition("|")[0], registry)
        if found is None:
            raise _refusal(
                f"No search parameter of this server has the URL {part['definition'][:200]}.",
                f"component[{n}].definition",
                "not-found",
            )
        yield ComponentDefinition(*found, part["expression"])


def _defined(url: str, registry: Registry) -> tuple[str, str] | None:
    """(code, type) of the parameter with this URL."""
    for one in registry.custom:
        if one.definition.url == url:
            return one.definition.code, one.definition.type
    for resource_type in sorted(spec.RESOURCE_TYPES):
        for code, parameter in spec.search_parameters(resource_type).items():
            if parameter.url == url:
                return code, parameter.type
    return None


def _check(custom: ParameterDefinition) -> None:
    """Everything that a search or a write would stumble over."""
    place = "expression"
    try:
        if custom.type != "composite":
            _check_terms(custom)
        definition = custom_definition(custom, FIRST_CUSTOM)
        place = "component"
        _check_components(definition)
    except InvalidExpression as error:
        raise _refusal(str(error), place, error.issues[0].code) from None
    found = [*definition.paths, *(path for component in definition.components for path in component.paths)]
    if not definition.paths:
        raise _refusal(f"The expression selects nothing of {custom.resource_type}.", "expression", "invalid")
    if len(found) > MOST_PATHS or any(len(path.steps) > DEEPEST_PATH for path in found):
        raise _refusal(
            f"The expression makes more than {MOST_PATHS} paths, or one of more than {DEEPEST_PATH} steps.",
            "expression",
            "too-costly",
        )


def _check_terms(custom: ParameterDefinition) -> None:
    """Each part of a union selects something that the type of the parameter indexes."""
    expression = parse(custom.expression)
    wanted = INDEXED_TYPES[custom.type]
    for term in union(expression):
        located = tuple(paths(term, custom.resource_type))
        if located and not indexed(located, custom.type):
            types = ", ".join(sorted({path.type_name for path in located}))
            raise InvalidExpression(
                f"At column {_start(term) + 1} the expression selects {types}, which a parameter of type {custom.type}"
                f" does not index; it indexes {', '.join(sorted(wanted))}.",
                code="not-supported",
            )


def _start(term: Any) -> int:
    return int(term.position)


def _check_components(definition: Definition) -> None:
    if not definition.components:
        return
    first, second = definition.components
    if first.search_type != "token" or any(path.type_name not in CODED_TYPES for path in first.paths):
        raise InvalidExpression("The first component of a composite must be a code.", code="not-supported")
    if second.search_type not in _COMPOSED:
        raise InvalidExpression(
            f"The second component of a composite is one of {', '.join(_COMPOSED)} here, not {second.search_type}.",
            code="not-supported",
        )
    if second.search_type == "token" and any(path.type_name not in CODED_TYPES for path in second.paths):
        raise InvalidExpression("A token in a composite must be a code here.", code="not-supported")
    if any(step.kind not in ("each", "one") for part in (first, second) for path in part.paths for step in path.steps):
        raise InvalidExpression(
            "Components of a composite are followed by their names alone here.", code="not-supported"
        )
