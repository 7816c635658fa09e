"""From a query string or a body to the values an operation works with, checked against its definition.

R4 operations.html#request: POST with a Parameters resource, or with a bare resource when exactly one parameter
takes it, or GET with primitive parameters in the URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from fhir_server.errors import InvalidResource, UnsupportedMediaType
from fhir_server.interactions.exchange import Request
from fhir_server.model import json
from fhir_server.operations.definition import ANY_RESOURCE, Definition, InParameter
from fhir_server.spec import RESOURCE_TYPES
from fhir_server.validation import issues

_OF_EVERY_REQUEST = frozenset({"_format", "_pretty"})
"""R4 http.html#parameters: these shape the answer of any interaction and are read by the HTTP edge."""
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")


def read_parameters(
    definition: Definition, request: Request, max_depth: int, *, searches: bool = False
) -> dict[str, list[Any]]:
    """The values of `request` by parameter name; JSON nested deeper than `max_depth` is refused.

    With `searches`, what the definition does not name in the URL is left for the operation to search by.

    Raises InvalidResource (400) naming the parameter, UnsupportedMediaType (415) for a form, UnparseableBody.
    """
    query = [(name, text) for name, text in request.query if not searches or name in definition.parameters]
    parts = [*_query_parts(definition, query), *_body_parts(definition, request, max_depth)]
    return _values(definition, definition.parameters, parts)


def _values(definition: Definition, known: Mapping[str, InParameter], parts: Iterable[Part]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for part, expression in parts:
        parameter = _declared(definition, known, part, expression)
        values.setdefault(parameter.name, []).append(_value(definition, parameter, part, expression))
    for parameter in known.values():
        _check_cardinality(definition, parameter, len(values.get(parameter.name, ())))
    return values


Part = tuple[dict[str, Any], str | None]
"""One entry of Parameters.parameter, and where it stood in the body (None for the URL)."""


def _query_parts(definition: Definition, query: Iterable[tuple[str, str]]) -> Iterator[Part]:
    for name, text in query:
        if name in _OF_EVERY_REQUEST:
            continue
        parameter = _declared(definition, definition.parameters, {"name": name}, None)
        if not parameter.is_primitive:
            raise InvalidResource(
                f"Parameter {name} of ${definition.code} is of type {parameter.type} and cannot stand in the URL. "
                "POST it in a Parameters resource."
            )
        yield {"name": name, _value_element(parameter): _from_text(parameter, text)}, None


def _body_parts(definition: Definition, request: Request, max_depth: int) -> Iterator[Part]:
    body = _body(request, max_depth)
    if body is None:
        return
    resource_type = body.get("resourceType")
    if resource_type == "Parameters":
        yield from _listed(body.get("parameter", []), "Parameters.parameter")
        return
    parameter = definition.body_parameter(str(resource_type))
    if parameter is None:
        raise InvalidResource(
            f"${definition.code} takes a Parameters resource; a bare {resource_type} stands for none of its parameters."
        )
    yield {"name": parameter.name, "resource": body}, None


def _listed(parts: Any, place: str) -> Iterator[Part]:
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise InvalidResource(f"{place.rpartition('.')[2]} must be an array of objects.", expression=place)
    yield from ((part, f"{place}[{index}]") for index, part in enumerate(parts))


def _body(request: Request, max_depth: int) -> dict[str, Any] | None:
    """The resource sent, None when there is none."""
    if request.resource is not None:
        return request.resource
    if (request.header("content-type") or "").partition(";")[0].strip().lower() in _FORMS:
        raise UnsupportedMediaType("Operations take no forms. POST a Parameters resource as application/fhir+json.")
    return json.parse(request.body, max_depth=max_depth) if request.body else None


def _declared(
    definition: Definition, known: Mapping[str, InParameter], part: dict[str, Any], expression: str | None
) -> InParameter:
    name = part.get("name")
    parameter = known.get(name) if isinstance(name, str) else None
    if parameter is None:
        allowed = ", ".join(known) or "none"
        raise InvalidResource(
            f"${definition.code} has no parameter {name!r}. It takes: {allowed}.", expression=expression
        )
    return parameter


def _value_element(parameter: InParameter) -> str:
    """`valueDate` for type date (R4 parameters.html: value[x])."""
    return f"value{parameter.type[0].upper()}{parameter.type[1:]}"


def _from_text(parameter: InParameter, text: str) -> str | bool | int | Decimal:
    """`text` from the URL as the JSON value of the parameter's primitive type; left as it is when it is none."""
    match parameter.type:
        case "boolean" if text in ("true", "false"):
            return text == "true"
        case "integer" | "positiveInt" | "unsignedInt" if _INTEGER.fullmatch(text):
            return int(text)
        case "decimal" if _DECIMAL.fullmatch(text):
            return Decimal(text)
    return text


def _value(definition: Definition, parameter: InParameter, part: dict[str, Any], expression: str | None) -> Any:
    if parameter.parts:
        known = {one.name: one for one in parameter.parts}
        return _values(definition, known, _listed(part.get("part", []), f"{expression}.part"))
    if parameter.allowed:
        parameter = replace(parameter, type=_type_sent(parameter, part, expression), allowed=())
    if "resource" in part:
        return _resource(parameter, part["resource"], expression)
    element = _value_element(parameter)
    if element in part:
        _check_value(parameter, part, expression)
        return part[element]
    given = next((key for key in part if key.startswith("value")), "no value")
    wanted = "resource" if parameter.type in (*RESOURCE_TYPES, *ANY_RESOURCE) else element
    raise InvalidResource(
        f"Parameter {parameter.name} is of type {parameter.type}: send it as {wanted}, not as {given}.",
        expression=expression,
    )


def _type_sent(parameter: InParameter, part: dict[str, Any], expression: str | None) -> str:
    """Of the types it takes, the one that was sent."""
    sent = part.get("resource")
    for name in parameter.allowed:
        takes_sent = replace(parameter, type=name).takes(str(sent.get("resourceType"))) if type(sent) is dict else False
        if takes_sent or _value_element(replace(parameter, type=name)) in part:
            return name
    raise InvalidResource(
        f"Parameter {parameter.name} takes one of {', '.join(parameter.allowed)}.", expression=expression
    )


def _check_value(parameter: InParameter, part: dict[str, Any], expression: str | None) -> None:
    """Refuse what is not a value of the parameter's type, as a Parameters resource with just this part would be."""
    found = issues({"resourceType": "Parameters", "parameter": [part]})
    if found:
        place = "Parameters.parameter[0]"
        raise InvalidResource(
            f"Parameter {parameter.name} is not a valid {parameter.type}.",
            issues=[
                replace(
                    issue,
                    diagnostics=f"Parameter {parameter.name}: {issue.diagnostics}",
                    expression=issue.expression.replace(place, expression) if expression and issue.expression else None,
                )
                for issue in found
            ],
        )


def _resource(parameter: InParameter, resource: Any, expression: str | None) -> dict[str, Any]:
    if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
        if parameter.takes(resource["resourceType"]):
            return resource
        given = resource["resourceType"]
    else:
        given = "something without a resourceType"
    raise InvalidResource(
        f"Parameter {parameter.name} takes a {parameter.type}, not {given}.",
        expression=f"{expression}.resource" if expression else None,
    )


def _check_cardinality(definition: Definition, parameter: InParameter, given: int) -> None:
    if given < parameter.min:
        raise InvalidResource(
            f"${definition.code} needs parameter {parameter.name} ({parameter.type}).", code="required"
        )
    if parameter.max is not None and given > parameter.max:
        raise InvalidResource(
            f"Parameter {parameter.name} of ${definition.code} may be given {parameter.max} time(s), not {given}."
        )
