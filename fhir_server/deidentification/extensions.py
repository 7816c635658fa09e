"""Extensions that are kept: those of the allow-list, with what it says of their values (R4 extensibility.html)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.deidentification.known import Known
from fhir_server.deidentification.values import Json, Rule, one_of
from fhir_server.validation.structure import shape


class Extensions:
    """`of_type`: the rule of a datatype, None for those that are dropped."""

    def __init__(self, allowed: dict[str, Any], known: Known, of_type: Callable[[str], Rule | None]) -> None:
        self._known = known
        self._of_type = of_type
        self._keep = self._parts(allowed)

    def __call__(self, values: list[Json]) -> Any:
        return self._keep(values)

    def _parts(self, allowed: dict[str, Any]) -> Rule:
        """Of the extensions in one place, by url."""
        rules = {url: self._content(rule) for url, rule in allowed.items()}

        def keep(values: list[Json]) -> list[Json] | None:
            kept = []
            for one in values:
                if (rule := rules.get(one["url"])) is not None and (content := rule(one)) is not None:
                    kept.append({"url": one["url"], **content})
            return kept or None

        return keep

    def _content(self, rule: Any) -> Rule:
        if rule == "value":
            return self._value
        if rule == "name":
            return _string(one_of(self._known.names))
        if isinstance(rule, list):
            return _string(one_of(frozenset(rule)))
        if isinstance(rule.get("codes"), str):
            system = rule["codes"]
            return _string(lambda code: code if self._known.is_code(system, code) else None)
        parts = self._parts(rule)
        return lambda one: {"extension": kept} if (kept := parts(one.get("extension", ()))) else None

    def _value(self, one: Json) -> Json | None:
        """As the datatype of its value is kept."""
        for key, field in shape("Extension").fields.items():
            if field.name == "value" and key in one:
                rule = self._of_type(field.type_name)
                kept = None if rule is None else rule(one[key])
                return None if kept is None else {key: kept}
        return None


def _string(rule: Rule) -> Rule:
    """Of a value that is a string or a code."""

    def keep(one: Json) -> Json | None:
        for key in ("valueCode", "valueString"):
            if isinstance(one.get(key), str):
                return {key: one[key]} if rule(one[key]) is not None else None
        return None

    return keep
