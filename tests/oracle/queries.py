"""Random searches over a World: parameters that the server declares, values near those it stores."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.oracle.expressions import DEFINITIONS, Json, Value, target_types
from tests.oracle.implied import BOOLEAN_PARAMETERS, IMPLIED_SYSTEMS
from tests.oracle.order import sortable
from tests.oracle.population import (
    BASE_URL,
    CODE_SYSTEM,
    CODES,
    DATES,
    GONE,
    IDS,
    NUMBERS,
    SYSTEMS,
    TIMES,
    TYPES,
    UCUM,
    UNITS,
    URLS,
    VERSIONS,
    WORDS,
)
from tests.oracle.ranges import PREFIXES
from tests.oracle.text import strings
from tests.oracle.world import World

Pairs = list[tuple[str, str]]
Declared = dict[str, list[str]]
"""The parameters that the CapabilityStatement lists for each type."""


def escaped(text: str) -> str:
    """R4 search.html#escaping."""
    for special in ("\\", ",", "|", "$"):
        text = text.replace(special, f"\\{special}")
    return text


class Searches:
    """Makes searches of a World.

    `declared` and `modifiers` say what the server offers; `depth` is how many references a condition may follow.
    """

    def __init__(
        self,
        random: Random,
        world: World,
        declared: Declared,
        modifiers: Callable[[str, str], tuple[str, ...]],
        depth: int = 3,
    ) -> None:
        self.random = random
        self.world = world
        self.declared = declared
        self.modifiers = modifiers
        self.depth = depth

    def search(self, resource_type: str) -> Pairs:
        """One to three criteria: seldom more, or most searches find nothing."""
        number = self.random.choice((1, 1, 1, 2, 2, 3))
        return [self._criterion(resource_type) for _ in range(number)]

    def sort(self, resource_type: str) -> str:
        """One to three rules over different parameters."""
        codes = [code for code in self._codes(resource_type) if sortable(resource_type, code)]
        chosen = self.random.sample(codes, min(len(codes), self.random.choice((1, 1, 2, 3))))
        return ",".join(self.random.choice(("", "-")) + code for code in chosen)

    def _criterion(self, resource_type: str, depth: int = 0) -> tuple[str, str]:
        form = self.random.random()
        if form < 0.2 and depth < self.depth and (found := self._chain(resource_type, depth)):
            return found
        if form > 0.85 and depth < self.depth and (found := self._has(resource_type, depth)):
            return found
        if form > 0.98:
            return "_list", self.random.choice((*IDS, GONE))
        return self._plain(resource_type)

    def _chain(self, resource_type: str, depth: int) -> tuple[str, str] | None:
        """`code:Type.name`, or `code.name` of whatever type."""
        codes = [code for code in self._codes(resource_type) if self._targets(resource_type, code)]
        if not codes:
            return None
        code = self.random.choice(codes)
        target = self.random.choice(self._targets(resource_type, code))
        name, value = self._criterion(target, depth + 1)
        return f"{code}:{target}.{name}" if self.random.random() < 0.6 else f"{code}.{name}", value

    def _has(self, resource_type: str, depth: int) -> tuple[str, str] | None:
        """`_has:Type:code:name`."""
        places = [
            (source, code)
            for source in TYPES
            for code in self._codes(source)
            if resource_type in self._targets(source, code)
        ]
        if not places:
            return None
        source, code = self.random.choice(places)
        name, value = self._criterion(source, depth + 1)
        return f"_has:{source}:{code}:{name}", value

    def _targets(self, resource_type: str, code: str) -> list[str]:
        """The types we have resources of that a reference parameter may refer to."""
        if DEFINITIONS[resource_type][code]["type"] != "reference":
            return []
        return [one for one in target_types(resource_type, code) if one in TYPES]

    def _plain(self, resource_type: str) -> tuple[str, str]:
        code = self.random.choice(self._codes(resource_type))
        modifier = self._modifier(resource_type, code)
        alternatives = self.random.choice((1, 1, 1, 2, 3)) if modifier != "missing" else 1
        values = [self._value(resource_type, code, modifier) for _ in range(alternatives)]
        return f"{code}:{modifier}" if modifier else code, ",".join(values)

    def _codes(self, resource_type: str) -> list[str]:
        known = DEFINITIONS[resource_type]
        return [
            code
            for code in self.declared[resource_type]
            if code in known and ("expression" in known[code]) and known[code]["type"] != "special"
        ]

    def _modifier(self, resource_type: str, code: str) -> str | None:
        possible = self.modifiers(resource_type, code)
        if not possible or self.random.random() > 0.4:
            return None
        chosen = self.random.choice(possible)
        return self.random.choice(self._targets(resource_type, code) or [""]) if chosen == "[type]" else chosen

    # --- values --------------------------------------------------------------------------------------------------

    def _value(self, resource_type: str, code: str, modifier: str | None) -> str:
        if modifier == "missing":
            return self.random.choice(("true", "false"))
        known = DEFINITIONS[resource_type][code]
        if known["type"] == "composite":
            return "$".join(self._value(resource_type, one["code"], None) for one in known["components"])
        if code == "_lastUpdated":
            return self._last_updated(resource_type)
        stored = self._stored(resource_type, code)
        return str(getattr(self, f"_{known['type']}")(resource_type, code, modifier, stored))

    def _stored(self, resource_type: str, code: str) -> Value | None:
        """A value that some resource has for the parameter; None now and then, or when there is none."""
        resources = list(self.world.by_type.get(resource_type, {}).values())
        for _ in range(6):
            found = self.world.values(self.random.choice(resources), code) if resources else []
            if found:
                return self.random.choice(found)
        return None

    def _last_updated(self, resource_type: str) -> str:
        resource = self.random.choice(list(self.world.by_type[resource_type].values()))
        moment = resource["meta"]["lastUpdated"]
        return self._prefix() + self.random.choice((moment, moment[:19] + "Z", moment[:16] + "Z", moment[:10]))

    def _prefix(self) -> str:
        return self.random.choice(("", "", "", *PREFIXES))

    def _token(self, resource_type: str, code: str, modifier: str | None, stored: Value | None) -> str:
        if code == "_id":
            return self.random.choice((*IDS, GONE))
        if modifier == "text":
            return self._string_near(_texts(stored))
        if code in BOOLEAN_PARAMETERS:
            return self.random.choice(("true", "false"))
        if modifier == "of-type":
            return self._of_type(stored)
        if modifier in ("in", "not-in"):
            name = self.random.choice(("listed", "whole", "below-knee", "under-knee", "nested"))
            return escaped(f"{self.random.choice(('http://codes.example/', f'{BASE_URL}/', ''))}ValueSet/{name}")
        if modifier in ("above", "below"):
            concept = self.random.choice(("Knee", "knee", "meniscus", "hip", "a,b", "1", "x|y"))
            return f"{CODE_SYSTEM}|{escaped(concept)}"
        return self._plain_token(resource_type, code, stored)

    def _plain_token(self, resource_type: str, code: str, stored: Value | None) -> str:
        system, value = self._system_and_code(stored)
        if stored and stored.type == "ContactPoint":
            return escaped(self.random.choice((value or "112", "+41441234567", "A.B@example.ORG", "044")))
        if stored and stored.type == "code":
            # The system of a code is its value set's: named only where it is a single one.
            system = IMPLIED_SYSTEMS.get((resource_type, code), "")
            return self.random.choice((value, f"|{value}", f"{system}|{value}" if system else value))
        form = self.random.random()
        if form < 0.1:
            value = self.random.choice((value.upper(), *CODES))
        if form < 0.2:
            system = self.random.choice(SYSTEMS)
        if form < 0.55 or not (system or value):
            return escaped(value or "knee")
        if form < 0.7:
            return f"|{escaped(value or 'knee')}"
        if form < 0.8 and system:
            return f"{escaped(system)}|"
        return f"{escaped(system)}|{escaped(value)}"

    def _system_and_code(self, stored: Value | None) -> tuple[str, str]:
        if stored is None:
            return self.random.choice(SYSTEMS), self.random.choice(CODES)
        data = stored.data
        if stored.type == "CodeableConcept":
            data = self.random.choice(data.get("coding") or [{}])
        if isinstance(data, str):
            return "", data
        if isinstance(data, bool):
            return "", str(data).lower()
        return data.get("system", ""), str(data.get("code") or data.get("value") or "")

    def _of_type(self, stored: Value | None) -> str:
        data: Json = stored.data if stored and stored.type == "Identifier" else {}
        coding = self.random.choice(data.get("type", {}).get("coding") or [{}])
        value = data.get("value") if self.random.random() < 0.9 else None
        parts = (
            coding.get("system") or self.random.choice(SYSTEMS),
            coding.get("code") or self.random.choice(CODES),
            value or self.random.choice(CODES),
        )
        return "|".join(map(escaped, parts))

    def _string(self, resource_type: str, code: str, modifier: str | None, stored: Value | None) -> str:
        del resource_type, code
        found = strings(stored.type, stored.data) if stored else []
        if stored and stored.type == "family":
            found = [stored.data]
        return self._string_near(found, modifier)

    def _string_near(self, found: list[str], modifier: str | None = None) -> str:
        text = self.random.choice(found or WORDS)
        if modifier == "exact":
            return escaped(self.random.choice((text, text, text.lower(), text[:-1] or text)))
        start = self.random.randint(0, len(text) - 1) if modifier == "contains" or self.random.random() < 0.1 else 0
        text = text[start : start + self.random.choice((1, 2, 3, 5, 100))]
        text = self.random.choice((text, text, text.upper(), text.lower(), f" {text}", text.replace(" ", "  ")))
        return escaped(text)

    def _date(self, resource_type: str, code: str, modifier: str | None, stored: Value | None) -> str:
        del resource_type, code, modifier
        text = self.random.choice(DATES + TIMES)
        if stored and isinstance(stored.data, str) and self.random.random() < 0.6:
            text = stored.data
        if stored and stored.type == "Period" and self.random.random() < 0.6:
            text = self.random.choice([v for k, v in stored.data.items() if k != "extension"] or [text])
        form = self.random.random()
        if form < 0.3:
            text = text[: self.random.choice((4, 7, 10, 16))].rstrip("-")
        elif form < 0.35:
            text = text[:19]
        elif form < 0.4:
            text = text.replace("+", " ")
        return self._prefix() + text

    def _number_text(self, near: str | None) -> str:
        text = near if near and self.random.random() < 0.7 else self.random.choice(NUMBERS)
        form = self.random.random()
        if form < 0.15:
            text += "0" if "." in text else ".0"
        elif form < 0.3 and "." in text:
            text = text[:-1].rstrip(".")
        elif form < 0.45:
            text = self.random.choice(("1e2", "5.4e0", "54e-1", "5e0", "0e0", "1.0E+2", "+5.4", "005"))
        return text

    def _number(self, resource_type: str, code: str, modifier: str | None, stored: Value | None) -> str:
        del resource_type, code, modifier
        near = str(stored.data) if stored and not isinstance(stored.data, dict) else None
        return self._prefix() + self._number_text(near)

    def _quantity(self, resource_type: str, code: str, modifier: str | None, stored: Value | None) -> str:
        del resource_type, code, modifier
        data: Json = stored.data if stored else {}
        if stored and stored.type == "Range":
            data = self.random.choice([end for end in (data.get("low"), data.get("high")) if end] or [{}])
        number = self._prefix() + self._number_text(str(data["value"]) if "value" in data else None)
        unit = data.get("code") or data.get("unit") or "mg"
        form = self.random.random()
        if form < 0.3:
            return number
        if form < 0.6:
            return f"{number}||{self.random.choice((unit, data.get('unit') or unit, 'mg'))}"
        if form < 0.9:
            code = self.random.choice((unit, self.random.choice(UNITS)[0]))
            return f"{number}|{self.random.choice((UCUM, UCUM, CODE_SYSTEM))}|{code}"
        return f"{number}||"

    def _reference(self, resource_type: str, code: str, modifier: str | None, stored: Value | None) -> str:
        known = DEFINITIONS[resource_type][code]
        if modifier == "identifier":
            identifier = stored.data.get("identifier") if stored and stored.type == "Reference" else None
            return self._plain_token("", "", Value("Identifier", identifier) if identifier else None)
        if stored and stored.type == "canonical":
            url = stored.data if self.random.random() < 0.5 else stored.data.partition("|")[0]
            return (
                url if self.random.random() < 0.8 else f"{self.random.choice(URLS[:5])}|{self.random.choice(VERSIONS)}"
            )
        text = (stored.data.get("reference") if stored else None) or f"{self._target(known)}/{self.random.choice(IDS)}"
        if modifier is not None:
            return text.removeprefix(f"{BASE_URL}/").partition("/_history/")[0].rpartition("/")[2]
        local = text.removeprefix(f"{BASE_URL}/")
        form = self.random.random()
        if "://" in local or local.startswith("#"):
            return escaped(local if "://" in local else self.random.choice(IDS))
        if form < 0.3:
            return local.partition("/_history/")[0].rpartition("/")[2]
        if form < 0.4:
            return f"{BASE_URL}/{local}"
        return local

    def _target(self, known: Json) -> str:
        return str(self.random.choice(known.get("targets") or ["Patient"]))

    def _uri(self, resource_type: str, code: str, modifier: str | None, stored: Value | None) -> str:
        del resource_type
        url = stored.data if stored and self.random.random() < 0.7 else self.random.choice(URLS)
        if modifier in ("below", "above"):
            url = url.partition("|")[0]
        if modifier == "below":
            return escaped(url[: self.random.randint(8, len(url))])
        if modifier == "above":
            return escaped(url + self.random.choice(("", "/1", "/_history/2", "x")))
        bare = url.partition("|")[0]
        if code == "url" and self.random.random() < 0.3:
            return f"{escaped(bare)}|{self.random.choice(VERSIONS)}"
        return escaped(self.random.choice((url, url, bare, bare.upper(), f"{bare}x")))


def _texts(stored: Value | None) -> list[str]:
    """What `:text` searches of a value."""
    data = stored.data if stored and isinstance(stored.data, dict) else {}
    found = [data.get("text"), data.get("display"), data.get("type", {}).get("text") if "type" in data else None]
    found += [one.get("display") for one in data.get("coding", [])]
    return [one for one in found if one]
