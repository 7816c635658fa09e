"""What is kept of single values: each function gives what takes the value's place, or None."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from fhir_server import spec
from fhir_server.deidentification.allow_list import allow_list
from fhir_server.deidentification.known import Known

Rule = Callable[[Any], Any]
Json = dict[str, Any]

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
MASKED: Json = {"url": ABSENT, "valueCode": "masked"}
OLDEST = 90
"""Years of age from which on nobody is told apart."""
UCUM = "http://unitsofmeasure.org"

_MOMENT = re.compile(r"([0-9][0-9TZ:+-]{3,24})(\.[0-9]+)?([0-9Z:+-]*)", re.ASCII)
_MONTH = len("2026-03")
_YEAR = len("2026")


def same(value: Any) -> Any:
    """Of numbers and booleans."""
    return None if isinstance(value, str) else value


def moment(value: Any) -> Any:
    """A date or time, to the second: fractions only a machine writes, and they would tell which one it is."""
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else found[1] + found[3]


def month(value: Any) -> Any:
    kept = moment(value)
    return None if kept is None else kept[:_MONTH]


def year_before(latest: int) -> Rule:
    """The year of a birth; `latest` is that of the youngest who are not told apart."""

    def year(value: Any) -> Any:
        kept = moment(value)
        return None if kept is None else max(kept[:_YEAR], f"{latest:04}")

    return year


def one_of(codes: frozenset[str]) -> Rule:
    return lambda value: value if isinstance(value, str) and value in codes else None


def coding(known: Known) -> Rule:
    """Code and system, of a code that somebody has published."""

    def keep(value: Json) -> Json | None:
        system, code = value.get("system"), value.get("code")
        if not (isinstance(system, str) and isinstance(code, str) and known.is_code(system, code)):
            return absence(value)
        kept: Json = {"system": system, "code": code}
        if isinstance(value.get("userSelected"), bool):
            kept["userSelected"] = value["userSelected"]
        return kept

    return keep


def quantity(known: Known) -> Rule:
    """Number and unit, where the unit is one of UCUM (R4 datatypes.html#Quantity)."""
    listed = spec.codes("http://hl7.org/fhir/ValueSet/quantity-comparator") or {}
    comparators = frozenset(code for codes in listed.values() for code in codes)

    def keep(value: Json) -> Json | None:
        kept: Json = {}
        if (number := same(value.get("value"))) is not None:
            kept["value"] = number
            if value.get("comparator") in comparators:
                kept["comparator"] = value["comparator"]
        for key in ("unit", "code"):
            if isinstance(unit := value.get(key), str) and known.is_unit(unit):
                kept[key] = unit
        if value.get("system") != UCUM:
            kept.pop("code", None)
        elif "code" in kept:
            kept["system"] = UCUM
        return kept or absence(value)

    return keep


def absence(value: Any) -> Json | None:
    """Of an element without a value, or what stands beside a primitive: why there is none."""
    if not isinstance(value, dict):
        return None
    for extension in value.get("extension", ()):
        if extension.get("url") == ABSENT and extension.get("valueCode") in _reasons():
            return {"extension": [{"url": ABSENT, "valueCode": extension["valueCode"]}]}
    return None


@cache
def _reasons() -> frozenset[str]:
    return frozenset(allow_list().extensions[ABSENT])
