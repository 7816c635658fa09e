"""Random resources of musculoskeletal care, valid in R4, with small pools of values so that searches hit.

Odd but legal values are likely: partial dates, zones, open periods, decimals of many precisions, accents, characters
that search escapes, codings without system or code, identifiers without value, references of every form, and
extensions where a value would be.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from tests.oracle.expressions import Json

BASE_URL = "http://test.example/fhir"
UCUM = "http://unitsofmeasure.org"
TYPES = (
    "Patient", "Observation", "ServiceRequest", "Task", "QuestionnaireResponse", "Condition", "Encounter", "CarePlan",
    "Practitioner", "Organization", "Location", "RiskAssessment", "Group", "Questionnaire", "ValueSet", "CodeSystem",
    "List",
)  # fmt: skip
CODE_SYSTEM = "http://codes.example/msk"
LETTERS = "http://codes.example/letters"
SYSTEMS = (CODE_SYSTEM, LETTERS, "urn:oid:1.2.3", "http://codes.example/a|b,c$d")
CODES = ("knee", "Knee", "hip", "meniscus", "a,b", "x|y", "p$q", "back\\slash", "é", "1")
WORDS = (
    "Müller", "MULLER", "muller-lüdenscheidt", "Carreño Quiñones", "O'Brien", "Søren", "Łukasz", "Zoë+Max", "Straße",
    "Anna", "anna  maria", "An\u0301na", "St. Mary's", "a,b", "50% $cost|d", "ﬁbula", "knee", "日本", "Eve", "Severine",
    "A/B-C", "Ærø", "x\\y", "Ⅷ",
)  # fmt: skip
DATES = (
    "2019", "2020", "2020-02", "2020-02-29", "2020-03", "2020-03-29", "2020-10-25", "2021-01-01", "1999-12-31", "2035",
)  # fmt: skip
TIMES = (
    "2020-02-29T00:00:00Z", "2020-02-29T23:59:59+00:00", "2020-03-01T00:30:00+01:00", "2020-02-29T23:59:59.999Z",
    "2020-03-29T01:30:00Z", "2020-02-29T10:00:00.5-05:00", "2021-01-01T05:45:00+05:45", "2019-12-31T23:59:60Z",
    "2020-02-29T10:00:00.1234567Z", "2020-10-25T01:30:00+01:00",
)  # fmt: skip
NUMBERS = ("0", "5", "5.4", "5.40", "5.35", "5.449", "5.45", "-5.4", "100", "99.5", "100.5", "1000", "0.0054", "0.1")
UNITS = (("mg", "mg"), ("g", "gram"), ("kg", "mg"), ("cm", "cm"), ("m", "metres"), ("min", "min"), ("1", "mg"))
URLS = (
    "http://acme.example/fhir/", "http://acme.example/fhir/Questionnaire/1", "http://acme.example/fhir/Questionnaire/12",
    "http://acme.example/fhir/questionnaire/1", "urn:oid:1.2.3.4", "http://acme.example/a,b", "http://acme.example/x%20y",
    "http://acme.example", "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7",
)  # fmt: skip
VERSIONS = ("1", "1.0", "1.1", "2", "10")
IDS = tuple(str(number) for number in range(1, 16))
"""The ids of each type are the same, so that a bare id means resources of several types."""
GONE = "gone"
"""An id that each type had and that was deleted."""


def population(random: Random, size: int) -> list[Json]:
    """`size` resources of each type, with ids from IDS; and the value sets and hierarchy that searches name."""
    found: list[Json] = []
    for resource_type in TYPES:
        make = Maker(random, resource_type)
        found += [make.resource(logical_id) for logical_id in IDS[:size]]
    return found + terminology()


def terminology() -> list[Json]:
    """A hierarchy and the value sets over it, by enumeration, by filter, by other value sets and by exclusion."""
    system = {
        "resourceType": "CodeSystem", "id": "msk", "url": CODE_SYSTEM, "status": "active", "content": "complete",
        "hierarchyMeaning": "is-a", "caseSensitive": True,
        "concept": [
            {"code": "Knee", "concept": [{"code": "knee", "concept": [{"code": "meniscus"}]}, {"code": "x|y"}]},
            {"code": "hip", "concept": [{"code": "a,b"}]},
            {"code": "1"},
        ],
    }  # fmt: skip

    def value_set(name: str, **compose: Any) -> Json:
        url = f"http://codes.example/ValueSet/{name}"
        return {"resourceType": "ValueSet", "id": name, "url": url, "status": "active", "compose": compose}

    def filtered(operation: str, code: str) -> Json:
        return {"system": CODE_SYSTEM, "filter": [{"property": "concept", "op": operation, "value": code}]}

    listed = {"system": LETTERS, "concept": [{"code": "é"}, {"code": "1"}]}
    return [
        system,
        value_set("listed", include=[listed, {"system": CODE_SYSTEM, "concept": [{"code": "hip"}]}]),
        value_set("whole", include=[{"system": CODE_SYSTEM}]),
        value_set("below-knee", include=[filtered("is-a", "Knee")]),
        value_set("under-knee", include=[filtered("descendent-of", "Knee"), listed]),
        value_set(
            "nested",
            include=[{"valueSet": ["http://codes.example/ValueSet/whole"]}],
            exclude=[{"valueSet": ["http://codes.example/ValueSet/below-knee"]}],
        ),
    ]


class Maker:
    """Makes resources of one type."""

    def __init__(self, random: Random, resource_type: str) -> None:
        self.random = random
        self.resource_type = resource_type

    def resource(self, logical_id: str) -> Json:
        content = getattr(self, f"_{self.resource_type.lower()}")()
        made = {"resourceType": self.resource_type, "id": logical_id, **self._meta(), **_without_empty(content)}
        if "#contained" in str(made):
            made["contained"] = [self._contained()]
        return made

    # --- chance --------------------------------------------------------------------------------------------------

    def maybe(self, make: Callable[[], Any], chance: float = 0.6) -> Any:
        return make() if self.random.random() < chance else None

    def some(self, make: Callable[[], Any], most: int = 2) -> list[Any]:
        return [make() for _ in range(self.random.randint(0, most))]

    def one(self, pool: Any) -> Any:
        return self.random.choice(pool)

    # --- datatypes -----------------------------------------------------------------------------------------------

    def word(self) -> str:
        return str(self.one(WORDS))

    def date(self) -> str:
        return str(self.one(DATES))

    def date_time(self) -> str:
        return str(self.one(DATES + TIMES))

    def number(self) -> Decimal:
        return Decimal(self.one(NUMBERS))

    def period(self) -> Json:
        start, end = sorted((self.one(DATES[:-1]), self.one(DATES[:-1])))
        form = self.random.random()
        if form < 0.2:
            return {"start": self.date_time()}
        if form < 0.4:
            return {"end": self.date_time()}
        if form < 0.45:
            return {"extension": [{"url": "http://acme.example/when", "valueString": "some time"}]}
        return {"start": start[:4], "end": end} if start[:4] < end[:4] else {"start": start, "end": start}

    def timing(self) -> Json:
        if self.random.random() < 0.5:
            return {"event": [self.date_time() for _ in range(self.random.randint(1, 3))]}
        return {"repeat": {"boundsPeriod": self.period()}}

    def coding(self) -> Json:
        return _without_empty(
            {
                "system": self.maybe(lambda: self.one(SYSTEMS), 0.8),
                "code": self.maybe(lambda: self.one(CODES), 0.9),
                "display": self.maybe(self.word, 0.5),
            }
        ) or {"display": "nothing else"}

    def concept(self) -> Json:
        return _without_empty({"coding": self.some(self.coding), "text": self.maybe(self.word)}) or {"text": "only"}

    def identifier(self) -> Json:
        return _without_empty(
            {
                "system": self.maybe(lambda: self.one(SYSTEMS), 0.7),
                "value": self.maybe(lambda: self.one(CODES), 0.85),
                "type": self.maybe(self.concept, 0.5),
            }
        ) or {"use": "temp"}

    def quantity(self) -> Json:
        code, unit = self.one(UNITS)
        form = self.random.random()
        found: Json = {"value": self.number()}
        if form < 0.5:
            found |= {"system": UCUM, "code": code, "unit": unit}
        elif form < 0.6:
            found |= {"system": UCUM, "code": code}
        elif form < 0.7:
            found |= {"system": CODE_SYSTEM, "code": code, "unit": unit}
        elif form < 0.85:
            found |= {"unit": unit}
        elif form < 0.9:
            del found["value"]
            found |= {"unit": unit}
        return found

    def range(self) -> Json:
        low, high = sorted((self.number(), self.number()))
        code, unit = self.one(UNITS)
        names = {"system": UCUM, "code": code, "unit": unit} if self.random.random() < 0.7 else {"unit": unit}
        form = self.random.random()
        found: Json = {}
        if form < 0.8:
            found["low"] = {"value": low, **names}
        if form > 0.2:
            found["high"] = {"value": high, **names}
        return found

    def human_name(self) -> Json:
        return _without_empty(
            {
                "use": self.maybe(lambda: self.one(("official", "usual", "old"))),
                "family": self.maybe(self.word, 0.8),
                "given": self.some(self.word),
                "prefix": self.some(lambda: self.one(("Dr.", "Prof.")), 1),
                "text": self.maybe(self.word, 0.2),
            }
        ) or {"use": "usual"}

    def address(self) -> Json:
        return _without_empty(
            {
                "use": self.maybe(lambda: self.one(("home", "work"))),
                "line": self.some(self.word),
                "city": self.maybe(self.word),
                "state": self.maybe(self.word, 0.3),
                "postalCode": self.maybe(lambda: self.one(("8001", "SW1A 1AA", "8001-2"))),
                "country": self.maybe(lambda: self.one(("CH", "ch", "GB"))),
            }
        ) or {"use": "temp"}

    def contact_point(self) -> Json:
        return _without_empty(
            {
                "system": self.maybe(lambda: self.one(("phone", "email", "sms")), 0.8),
                "value": self.maybe(
                    lambda: self.one(
                        ("+41 (44) 123-45.67", "+41441234567", "A.b@Example.org", "a.b@example.org", "112")
                    ),
                    0.9,
                ),
            }
        ) or {"use": "home"}

    def reference(self, *types: str) -> Json:
        resource_type = self.one(types)
        local = f"{resource_type}/{self.one((*IDS, GONE, '99'))}"
        form = self.random.random()
        if form < 0.6:
            return {"reference": local}
        if form < 0.66:
            return {"reference": f"{BASE_URL}/{local}"}
        if form < 0.72:
            return {"reference": f"{local}/_history/1"}
        if form < 0.78:
            return {"reference": f"https://elsewhere.example/fhir/{local}"}
        if form < 0.86:
            return {"identifier": self.identifier(), "type": resource_type}
        if form < 0.9:
            return {"reference": local, "identifier": self.identifier(), "display": self.word()}
        if form < 0.93 and "Patient" in types:
            return {"reference": "#contained"}
        return {"display": self.word()}

    def canonical(self) -> str:
        url = self.one(URLS[:5])
        return f"{url}|{self.one(VERSIONS)}" if self.random.random() < 0.5 else str(url)

    def _meta(self) -> Json:
        meta = _without_empty(
            {
                "profile": self.some(self.canonical, 1),
                "source": self.maybe(lambda: self.one(URLS), 0.3),
                "tag": self.some(self.coding, 1),
                "security": self.some(self.coding, 1),
            }
        )
        return {"meta": meta} if meta else {}

    def _contained(self) -> Json:
        return {
            "resourceType": "Patient",
            "id": "contained",
            **_without_empty(Maker(self.random, "Patient")._patient()),
        }

    def _extended(self, name: str, value: Any) -> Json:
        """The element, or an extension in its place."""
        if value is not None and self.random.random() < 0.15:
            return {f"_{name}": {"extension": [{"url": "http://acme.example/why", "valueCode": "unknown"}]}}
        return {name: value}

    # --- resources -----------------------------------------------------------------------------------------------

    def _person(self) -> Json:
        return {
            "identifier": self.some(self.identifier),
            **self._extended("active", self.maybe(lambda: self.random.random() < 0.5)),
            "name": self.some(self.human_name),
            "telecom": self.some(self.contact_point),
            **self._extended("gender", self.maybe(lambda: self.one(("male", "female", "other", "unknown")))),
            **self._extended("birthDate", self.maybe(self.date)),
            "address": self.some(self.address),
        }

    def _patient(self) -> Json:
        deceased: Json = self.one(
            ({}, {}, {"deceasedBoolean": False}, {"deceasedBoolean": True}, {"deceasedDateTime": self.date_time()})
        )
        return {
            **self._person(),
            **deceased,
            "communication": [{"language": self.concept()} for _ in range(self.random.randint(0, 1))],
            "generalPractitioner": self.some(lambda: self.reference("Practitioner", "Organization")),
            "managingOrganization": self.maybe(lambda: self.reference("Organization"), 0.4),
            "link": [{"other": self.reference("Patient"), "type": "seealso"} for _ in range(self.random.randint(0, 1))],
        }

    def _practitioner(self) -> Json:
        return {**self._person(), "communication": self.some(self.concept, 1)}

    def _organization(self) -> Json:
        return {
            "identifier": self.some(self.identifier),
            "active": self.maybe(lambda: self.random.random() < 0.5),
            "type": self.some(self.concept),
            "name": self.word(),
            "alias": self.some(self.word),
            "partOf": self.maybe(lambda: self.reference("Organization"), 0.4),
            "address": self.some(self.address),
        }

    def _location(self) -> Json:
        return {
            "identifier": self.some(self.identifier, 1),
            "status": self.maybe(lambda: self.one(("active", "suspended", "inactive"))),
            "operationalStatus": self.maybe(self.coding, 0.4),
            "name": self.maybe(self.word),
            "alias": self.some(self.word),
            "type": self.some(self.concept),
            "address": self.maybe(self.address),
            "position": self.maybe(
                lambda: {
                    "longitude": Decimal(self.one(("8.5", "-0.1", "179.9"))),
                    "latitude": Decimal(self.one(("47.4", "51.5"))),
                },
            ),
            "managingOrganization": self.maybe(lambda: self.reference("Organization"), 0.4),
            "partOf": self.maybe(lambda: self.reference("Location"), 0.4),
        }

    def _observed(self) -> Json:
        kind = self.random.random()
        if kind < 0.35:
            return {"valueQuantity": self.quantity()}
        if kind < 0.55:
            return {"valueCodeableConcept": self.concept()}
        if kind < 0.65:
            return {"valueString": self.word()}
        if kind < 0.72:
            return {"valueDateTime": self.date_time()}
        if kind < 0.8:
            return {"valuePeriod": self.period()}
        if kind < 0.85:
            return {"valueInteger": 5}
        if kind < 0.9:
            return {"valueRange": self.range()}
        return {"dataAbsentReason": self.concept()}

    def _observation(self) -> Json:
        kind = self.random.random()
        effective: Json = {}
        if kind < 0.4:
            effective = self._extended("effectiveDateTime", self.date_time())
        elif kind < 0.7:
            effective = {"effectivePeriod": self.period()}
        elif kind < 0.8:
            effective = {"effectiveInstant": self.one(TIMES)}
        elif kind < 0.9:
            effective = {"effectiveTiming": self.timing()}
        return {
            "identifier": self.some(self.identifier, 1),
            "status": self.one(("final", "preliminary", "amended")),
            "category": self.some(self.concept),
            "code": self.concept(),
            "subject": self.maybe(lambda: self.reference("Patient", "Patient", "Group", "Location"), 0.9),
            "focus": self.some(lambda: self.reference("Condition", "Observation", "Patient"), 1),
            "encounter": self.maybe(lambda: self.reference("Encounter"), 0.4),
            **effective,
            "performer": self.some(lambda: self.reference("Practitioner", "Organization", "Patient")),
            **self._observed(),
            "method": self.maybe(self.concept, 0.3),
            "basedOn": self.some(lambda: self.reference("ServiceRequest", "CarePlan"), 1),
            "hasMember": self.some(lambda: self.reference("Observation", "QuestionnaireResponse"), 1),
            "derivedFrom": self.some(lambda: self.reference("QuestionnaireResponse", "Observation"), 1),
            "component": [{"code": self.concept(), **self._observed()} for _ in range(self.random.randint(0, 2))],
        }

    def _servicerequest(self) -> Json:
        occurrence: Json = self.one(
            (
                {},
                {"occurrenceDateTime": self.date_time()},
                {"occurrencePeriod": self.period()},
                {"occurrenceTiming": self.timing()},
            )
        )
        return {
            "identifier": self.some(self.identifier),
            "requisition": self.maybe(self.identifier, 0.3),
            "instantiatesCanonical": self.some(self.canonical),
            "instantiatesUri": self.some(lambda: self.one(URLS)),
            "basedOn": self.some(lambda: self.reference("ServiceRequest", "CarePlan"), 1),
            "replaces": self.some(lambda: self.reference("ServiceRequest"), 1),
            "status": self.one(("draft", "active", "completed")),
            "intent": self.one(("order", "plan")),
            "category": self.some(self.concept, 1),
            "priority": self.maybe(lambda: self.one(("routine", "urgent"))),
            "code": self.maybe(self.concept),
            "subject": self.reference("Patient", "Patient", "Group"),
            "encounter": self.maybe(lambda: self.reference("Encounter"), 0.3),
            **occurrence,
            **self._extended("authoredOn", self.maybe(self.date_time)),
            "requester": self.maybe(lambda: self.reference("Practitioner", "Organization", "Patient")),
            "performerType": self.maybe(self.concept, 0.3),
            "performer": self.some(lambda: self.reference("Practitioner", "Organization")),
            "bodySite": self.some(self.concept, 1),
        }

    def _task(self) -> Json:
        return {
            "identifier": self.some(self.identifier, 1),
            "basedOn": self.some(lambda: self.reference("ServiceRequest", "CarePlan", "Task")),
            "groupIdentifier": self.maybe(self.identifier, 0.3),
            "partOf": self.some(lambda: self.reference("Task"), 1),
            "status": self.one(("requested", "accepted", "completed")),
            "businessStatus": self.maybe(self.concept, 0.3),
            "intent": self.one(("order", "plan")),
            "priority": self.maybe(lambda: self.one(("routine", "urgent"))),
            "code": self.maybe(self.concept),
            "focus": self.maybe(lambda: self.reference("ServiceRequest", "Observation", "Patient")),
            "for": self.maybe(lambda: self.reference("Patient", "Patient", "Group"), 0.8),
            "encounter": self.maybe(lambda: self.reference("Encounter"), 0.2),
            "executionPeriod": self.maybe(self.period, 0.5),
            **self._extended("authoredOn", self.maybe(self.date_time)),
            "requester": self.maybe(lambda: self.reference("Practitioner", "Organization"), 0.4),
            "performerType": self.some(self.concept, 1),
            "owner": self.maybe(lambda: self.reference("Practitioner", "Organization"), 0.5),
        }

    def _questionnaireresponse(self) -> Json:
        return {
            "identifier": self.maybe(self.identifier, 0.4),
            "basedOn": self.some(lambda: self.reference("ServiceRequest", "CarePlan"), 1),
            "partOf": self.some(lambda: self.reference("Observation"), 1),
            "questionnaire": self.maybe(self.canonical, 0.9),
            "status": self.one(("completed", "in-progress")),
            "subject": self.maybe(lambda: self.reference("Patient"), 0.9),
            "encounter": self.maybe(lambda: self.reference("Encounter"), 0.2),
            **self._extended("authored", self.maybe(self.date_time, 0.8)),
            "author": self.maybe(lambda: self.reference("Practitioner", "Patient")),
            "source": self.maybe(lambda: self.reference("Patient", "Practitioner")),
        }

    def _onset(self, name: str) -> Json:
        kind = self.random.random()
        if kind < 0.25:
            return {f"{name}DateTime": self.date_time()}
        if kind < 0.5:
            return {f"{name}Period": self.period()}
        if kind < 0.65:
            return {
                f"{name}Age": {
                    "value": Decimal(self.one(("5", "40", "40.5"))),
                    "system": UCUM,
                    "code": "a",
                    "unit": "years",
                }
            }
        if kind < 0.75:
            return {f"{name}Range": self.range()}
        if kind < 0.85:
            return {f"{name}String": self.word()}
        return {}

    def _condition(self) -> Json:
        clinical = {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                    "code": self.one(("active", "resolved")),
                }
            ]
        }
        abatement = self._onset("abatement")
        if abatement:
            clinical["coding"][0]["code"] = "resolved"
        return {
            "identifier": self.some(self.identifier, 1),
            "clinicalStatus": clinical,
            "category": self.some(self.concept, 1),
            "severity": self.maybe(self.concept, 0.3),
            "code": self.maybe(self.concept, 0.9),
            "bodySite": self.some(self.concept),
            "subject": self.reference("Patient", "Patient", "Group"),
            "encounter": self.maybe(lambda: self.reference("Encounter"), 0.3),
            **self._onset("onset"),
            **abatement,
            **self._extended("recordedDate", self.maybe(self.date_time)),
            "asserter": self.maybe(lambda: self.reference("Practitioner", "Patient"), 0.4),
            "evidence": [
                {"code": [self.concept()], "detail": [self.reference("Observation")]}
                for _ in range(self.random.randint(0, 1))
            ],
        }

    def _encounter(self) -> Json:
        return {
            "identifier": self.some(self.identifier, 1),
            "status": self.one(("planned", "finished")),
            "class": self.coding(),
            "type": self.some(self.concept, 1),
            "subject": self.maybe(lambda: self.reference("Patient", "Group"), 0.9),
            "basedOn": self.some(lambda: self.reference("ServiceRequest"), 1),
            "participant": [
                {"type": [self.concept()], "individual": self.reference("Practitioner")}
                for _ in range(self.random.randint(0, 2))
            ],
            "period": self.maybe(self.period, 0.8),
            "length": self.maybe(
                lambda: {"value": self.number(), "system": UCUM, "code": self.one(("min", "h", "d"))}, 0.5
            ),
            "reasonReference": self.some(lambda: self.reference("Condition", "Observation"), 1),
            "location": [
                _without_empty({"location": self.reference("Location"), "period": self.maybe(self.period)})
                for _ in range(self.random.randint(0, 1))
            ],
            "serviceProvider": self.maybe(lambda: self.reference("Organization"), 0.4),
            "partOf": self.maybe(lambda: self.reference("Encounter"), 0.2),
        }

    def _activity(self) -> Json:
        if self.random.random() < 0.4:
            return {"reference": self.reference("Task", "ServiceRequest")}
        scheduled: Json = self.one(
            (
                {"scheduledPeriod": self.period()},
                {"scheduledTiming": self.timing()},
                {"scheduledString": "after lunch"},
                {},
            )
        )
        return {
            "detail": {
                "status": "scheduled",
                **scheduled,
                **_without_empty(
                    {
                        "code": self.maybe(self.concept),
                        "performer": self.some(lambda: self.reference("Practitioner"), 1),
                    }
                ),
            }
        }

    def _careplan(self) -> Json:
        return {
            "identifier": self.some(self.identifier, 1),
            "instantiatesCanonical": self.some(self.canonical, 1),
            "basedOn": self.some(lambda: self.reference("CarePlan"), 1),
            "partOf": self.some(lambda: self.reference("CarePlan"), 1),
            "status": self.one(("draft", "active")),
            "intent": self.one(("plan", "proposal")),
            "category": self.some(self.concept),
            "subject": self.reference("Patient", "Patient", "Group"),
            "encounter": self.maybe(lambda: self.reference("Encounter"), 0.2),
            "period": self.maybe(self.period),
            "addresses": self.some(lambda: self.reference("Condition")),
            "activity": self.some(self._activity),
        }

    def _riskassessment(self) -> Json:
        def prediction() -> Json:
            probability: Json = {"probabilityDecimal": self.number()}
            if self.random.random() < 0.2:
                probability = {"probabilityRange": self.range()}
            return {**probability, **_without_empty({"qualitativeRisk": self.maybe(self.concept)})}

        return {
            "identifier": self.some(self.identifier, 1),
            "status": self.one(("final", "preliminary")),
            "method": self.maybe(self.concept, 0.4),
            "subject": self.reference("Patient", "Group"),
            "encounter": self.maybe(lambda: self.reference("Encounter"), 0.3),
            **self.one(({}, {"occurrenceDateTime": self.date_time()}, {"occurrencePeriod": self.period()})),
            "condition": self.maybe(lambda: self.reference("Condition"), 0.5),
            "performer": self.maybe(lambda: self.reference("Practitioner"), 0.4),
            "prediction": [prediction() for _ in range(self.random.randint(0, 3))],
        }

    def _group(self) -> Json:
        def characteristic() -> Json:
            value: Json = self.one(
                ({"valueCodeableConcept": self.concept()}, {"valueBoolean": self.random.random() < 0.5})
            )
            return {"code": self.concept(), **value, "exclude": self.random.random() < 0.5}

        return {
            "identifier": self.some(self.identifier, 1),
            "type": "person",
            "actual": True,
            "code": self.maybe(self.concept),
            "name": self.maybe(self.word),
            "managingEntity": self.maybe(lambda: self.reference("Organization", "Practitioner"), 0.4),
            "characteristic": self.some(characteristic),
            "member": [{"entity": self.reference("Patient")} for _ in range(self.random.randint(0, 3))],
        }

    def _published(self) -> Json:
        return {
            "url": self.maybe(lambda: self.one(URLS), 0.9),
            "identifier": self.some(self.identifier, 1),
            "version": self.maybe(lambda: self.one(VERSIONS)),
            "name": self.maybe(lambda: self.one(("KneeScore", "HipScore", "kneeForm"))),
            "title": self.maybe(self.word),
            "status": self.one(("draft", "active")),
            **self._extended("date", self.maybe(self.date_time)),
            "publisher": self.maybe(self.word),
            "description": self.maybe(self.word),
            "useContext": [self._use_context() for _ in range(self.random.randint(0, 2))],
            "jurisdiction": self.some(self.concept, 1),
        }

    def _use_context(self) -> Json:
        value: Json = self.one(
            ({"valueCodeableConcept": self.concept()}, {"valueQuantity": self.quantity()}, {"valueRange": self.range()})
        )
        return {"code": self.coding(), **value}

    def _questionnaire(self) -> Json:
        return {
            **self._published(),
            "subjectType": self.some(lambda: self.one(("Patient", "Practitioner")), 1),
            "effectivePeriod": self.maybe(self.period),
            "item": [
                _without_empty(
                    {
                        "linkId": str(number),
                        "text": "?",
                        "type": "string",
                        "definition": self.maybe(lambda: self.one(URLS)),
                        "code": self.some(self.coding),
                    }
                )
                for number in range(self.random.randint(0, 2))
            ],
        }

    def _valueset(self) -> Json:
        concepts = [{"code": code} for code in self.random.sample(CODES, 2)]
        return {
            **self._published(),
            "compose": {"include": [{"system": self.one(SYSTEMS), "concept": concepts}]},
        }

    def _codesystem(self) -> Json:
        concepts = []
        for code in self.random.sample(CODES, 3):
            designation = self.maybe(lambda: [{"language": self.one(("de", "de-CH", "en")), "value": self.word()}])
            concepts.append(_without_empty({"code": code, "designation": designation}))
        return {**self._published(), "content": self.one(("complete", "fragment")), "concept": concepts}

    def _list(self) -> Json:
        return {
            "identifier": self.some(self.identifier, 1),
            "status": "current",
            "mode": "working",
            "title": self.maybe(self.word),
            "code": self.maybe(self.concept),
            "subject": self.maybe(lambda: self.reference("Patient")),
            "date": self.maybe(self.date_time),
            "entry": [
                {"item": self.reference("Patient", "Observation", "Condition")}
                for _ in range(self.random.randint(0, 4))
            ],
        }


def _without_empty(content: Json) -> Json:
    return {name: value for name, value in content.items() if value is not None and value != [] and value != {}}
