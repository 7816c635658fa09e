"""What is stored for the search benchmark: synthetic MSK records, and among them a cohort that is the same at any size.

The cohort's resources stand evenly between the others. Searches for them have the same matches in 10,000 and in
1,000,000 resources: what they cost more is what searching grows by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import orjson

from fhir_server.synthetic import generate
from fhir_server.synthetic.codes import CANONICAL_BASE, LABORATORY
from fhir_server.synthetic.names import FAMILY
from fhir_server.synthetic.parts import Json, coded, concept, moment, narrative, reference

SEED = 1
PAGE = 20

COHORT = f"{CANONICAL_BASE}/CodeSystem/cohort"
GROUPS = 20
MEMBERS = 50
"""Patients of one group, each with a referral, its task and an Observation."""
COUNTED = 5_000
"""Observations of each counted code."""
COUNTED_CODES = ("counted-0", "counted-1")
MISPLACED = 7
"""Observations of the commonest laboratory code that stand among the vital signs: few matches of two common tokens."""

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
COMMONEST = LABORATORY.values[0]

_SYLLABLES = [f"{consonant}{vowel}" for consonant in "bdfg" for vowel in "aeiou"]
FAMILIES = [f"Xanth{syllable}rix" for syllable in _SYLLABLES]
"""One name for each group, that begins and goes on like no other name."""

NAMED = ("Patient", "Practitioner", "Observation", "ServiceRequest", "Task")
KEPT = 400
"""Of what can be asked about, so much is kept, evenly over what is stored."""


class Facts(msgspec.Struct):
    """What is known of the stored resources, enough to ask for them."""

    resources: int = 0
    counts: dict[str, int] = {}
    series: list[tuple[str, str, str]] = []
    """(patient id, system, code) with at least PAGE Observations."""
    families: list[str] = []
    """Family names of the population."""
    codes: list[tuple[str, str]] = []
    """(system, code) of Observations that fill a page at least, commonest first."""
    practitioners: list[str] = []
    performed: list[tuple[str, str, str]] = []
    """(practitioner id, system, code) with at least PAGE Observations."""


def write_population(file: Path, size: int) -> Facts:
    """Write `size` resources, and the cohort between them, as NDJSON; what can be asked about them."""
    series: Counter[tuple[str, str, str]] = Counter()
    performed: Counter[tuple[str, str, str]] = Counter()
    codes: Counter[tuple[str, str]] = Counter()
    facts = Facts(families=list(FAMILY))
    counts: Counter[str] = Counter()
    with file.open("wb") as output:
        for resource in _merged(generate(SEED, resources=size), list(cohort()), size):
            output.write(orjson.dumps(resource) + b"\n")
            counts[resource["resourceType"]] += 1
            if resource["resourceType"] == "Observation" and (performer := resource.get("performer")):
                coding = resource["code"]["coding"][0]
                token = coding["system"], coding["code"]
                codes[token] += 1
                series[(_id(resource["subject"]), *token)] += 1
                if performer[0]["reference"].startswith("Practitioner/"):
                    performed[(_id(performer[0]), *token)] += 1
    facts.resources = counts.total()
    facts.counts = dict(counts)
    facts.codes = [token for token, count in codes.most_common() if count >= PAGE]
    facts.series = _evenly([key for key, count in series.items() if count >= PAGE])
    facts.performed = _evenly([key for key, count in performed.items() if count >= PAGE])
    return facts


def cohort() -> Iterator[Json]:
    """The same resources for every size, each after those that it refers to."""
    random = Random("cohort")
    patients: list[Json] = []
    for member in range(MEMBERS):
        for group in range(GROUPS):
            patient = _patient(group, member)
            patients.append(patient)
            referral = _about("ServiceRequest", f"{group}-{member}", patient, group, random)
            referral |= {"status": "active", "intent": "order", "authoredOn": _when(random)}
            task = _identified("Task", f"{group}-{member}")
            task |= {"status": "requested", "intent": "order", "for": reference(patient)}
            task |= {"basedOn": [reference(referral)], "authoredOn": referral["authoredOn"]}
            observation = _about("Observation", f"{group}-{member}", patient, group, random)
            observation |= {"status": "final", "effectiveDateTime": _when(random)}
            yield from (patient, referral, task, observation)
    for number in range(COUNTED):
        for place, code in enumerate(COUNTED_CODES):
            observation = _identified("Observation", f"{code}-{number}")
            yield observation | {
                "status": "final",
                "category": [coded(CATEGORY, "laboratory")],
                "code": concept(COHORT, code, f"Counted {place}"),
                "subject": reference(random.choice(patients)),
                "effectiveDateTime": _when(random),
            }
    for number in range(MISPLACED):
        yield _identified("Observation", f"misplaced-{number}") | {
            "status": "final",
            "category": [coded(CATEGORY, "vital-signs")],
            "code": concept(COMMONEST.system, COMMONEST.code, COMMONEST.display),
            "subject": reference(random.choice(patients)),
            "effectiveDateTime": _when(random),
        }


def _patient(group: int, member: int) -> Json:
    name = [{"family": FAMILIES[group], "given": [f"Member{'abcdefghij'[member % 10]}"]}]
    return _identified("Patient", f"{group}-{member}") | {"name": name, "birthDate": f"19{member + 30}-02-03"}


def _about(resource_type: str, key: str, patient: Json, group: int, random: Random) -> Json:
    code = concept(COHORT, f"group-{group}", f"Group {group}")
    return _identified(resource_type, key) | {"code": code, "subject": reference(patient)}


def _identified(resource_type: str, key: str) -> Json:
    text = narrative(f"{resource_type} {key} of the cohort")
    return {"resourceType": resource_type, "id": f"cohort-{key}", "text": text}


def _when(random: Random) -> str:
    return moment(random.randrange(4_000 * 1440))


def _merged(population: Iterator[Json], among: list[Json], size: int) -> Iterator[Json]:
    given = 0
    for number, resource in enumerate(population, start=1):
        yield resource
        until = number * len(among) // size
        yield from among[given:until]
        given = until


def _evenly(values: list[Any]) -> list[Any]:
    step = max(1, len(values) // KEPT)
    return values[::step][:KEPT]


def _id(ref: dict[str, str]) -> str:
    return ref["reference"].partition("/")[2]
