"""The named searches: what is asked, with other values in every request, and what must be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from urllib.parse import urlencode

from benchmarks.search.population import (
    CATEGORY,
    COHORT,
    COMMONEST,
    COUNTED,
    COUNTED_CODES,
    FAMILIES,
    GROUPS,
    MEMBERS,
    MISPLACED,
    PAGE,
    Facts,
)

DISTINCT = 300
"""Different requests of one search, at most."""

Values = dict[str, str | int]


@dataclass(frozen=True)
class Search:
    """One named search."""

    name: str
    resource_type: str
    values: Callable[[Facts, Random], Iterator[Values]]
    least: int = 1
    """Matches on the first page."""
    total: int | None = None
    """Bundle.total, where it is known."""
    included: int = 0
    """Entries beside the matches."""
    p99_ms: float | None = None
    """Target at 1,000,000 resources and 200 requests a second."""
    cpu_us: float | None = None
    """Target of the server's processes."""
    constant: bool = False
    """Its matches are as many at any size, or its page is full at any: what it takes should not grow."""

    def targets(self, facts: Facts) -> list[str]:
        """The requests' targets, in an order that is the same in every run."""
        values = islice(self.values(facts, Random(self.name)), DISTINCT)
        return [f"/fhir/{self.resource_type}?{urlencode(one)}" for one in values]


def _series(facts: Facts, random: Random) -> Iterator[Values]:
    for patient, system, code in _endless(facts.series, random):
        date = f"ge{random.randrange(2010, 2015)}-{random.randrange(1, 13):02d}-01"
        yield {"patient": patient, "code": f"{system}|{code}", "date": date, "_sort": "-date", "_count": PAGE}


def _codes(facts: Facts, random: Random) -> Iterator[Values]:
    for system, code in facts.codes:
        yield {"code": f"{system}|{code}", "_count": PAGE}


def _group_codes(facts: Facts, random: Random) -> Iterator[Values]:
    for group in range(GROUPS):
        yield {"code": f"{COHORT}|group-{group}", "_count": PAGE}


def _patient_code_status(facts: Facts, random: Random) -> Iterator[Values]:
    for patient, system, code in _endless(facts.series, random):
        yield {"status": "final", "code": f"{system}|{code}", "subject": f"Patient/{patient}", "_count": PAGE}


def _performer_code_status(facts: Facts, random: Random) -> Iterator[Values]:
    for who, system, code in _endless(facts.performed, random):
        yield {"status": "final", "code": f"{system}|{code}", "performer": f"Practitioner/{who}", "_count": PAGE}


def _name_starts(facts: Facts, random: Random) -> Iterator[Values]:
    for family in facts.families:
        yield {"name": family[:4], "_count": PAGE}


def _group_name_starts(facts: Facts, random: Random) -> Iterator[Values]:
    for family in FAMILIES:
        yield {"name": family[:7], "_count": PAGE}


def _name_parts(facts: Facts, random: Random) -> Iterator[Values]:
    for family in facts.families:
        if len(family) > 5:
            yield {"name:contains": family[1:6], "_count": PAGE}


def _group_name_parts(facts: Facts, random: Random) -> Iterator[Values]:
    for family in FAMILIES:
        yield {"name:contains": family[3:9], "_count": PAGE}


def _chains(facts: Facts, random: Random) -> Iterator[Values]:
    for family in facts.families:
        yield {"subject:Patient.name": family, "_count": PAGE}


def _group_chains(facts: Facts, random: Random) -> Iterator[Values]:
    for family in FAMILIES:
        yield {"subject:Patient.name": family, "_count": PAGE}


def _has(facts: Facts, random: Random) -> Iterator[Values]:
    for system, code in facts.codes:
        yield {"_has:Observation:patient:code": f"{system}|{code}", "_count": PAGE}


def _group_has(facts: Facts, random: Random) -> Iterator[Values]:
    for group in range(GROUPS):
        yield {"_has:Observation:patient:code": f"{COHORT}|group-{group}", "_count": PAGE}


_INCLUDES: Values = {"_include": "ServiceRequest:subject", "_revinclude": "Task:based-on"}


def _group_includes(facts: Facts, random: Random) -> Iterator[Values]:
    for group in range(GROUPS):
        yield {"code": f"{COHORT}|group-{group}", "_count": MEMBERS, **_INCLUDES}


def _newest_includes(facts: Facts, random: Random) -> Iterator[Values]:
    for status in ("active", "completed", "revoked"):
        for priority in ("routine", "urgent"):
            yield {"status": status, "priority": priority, "_count": MEMBERS, **_INCLUDES}


def _counted(facts: Facts, random: Random) -> Iterator[Values]:
    for code in COUNTED_CODES:
        yield {"code": f"{COHORT}|{code}", "_total": "accurate", "_count": PAGE}


def _counted_laboratory(facts: Facts, random: Random) -> Iterator[Values]:
    for one in _counted(facts, random):
        yield {**one, "category": f"{CATEGORY}|laboratory"}


def _of_the_type(facts: Facts, random: Random) -> Iterator[Values]:
    for count in range(PAGE, PAGE + 5):
        yield {"_total": "accurate", "_count": count}


def _codes_newest_version(facts: Facts, random: Random) -> Iterator[Values]:
    for one in _codes(facts, random):
        yield {**one, "_sort": "-_lastUpdated"}


def _group_codes_newest_version(facts: Facts, random: Random) -> Iterator[Values]:
    for one in _group_codes(facts, random):
        yield {**one, "_sort": "-_lastUpdated"}


def _misplaced(facts: Facts, random: Random) -> Iterator[Values]:
    code, category = f"{COMMONEST.system}|{COMMONEST.code}", f"{CATEGORY}|vital-signs"
    yield {"code": code, "category": category, "_count": PAGE}


def _endless(values: list[tuple[str, str, str]], random: Random) -> Iterator[tuple[str, str, str]]:
    while True:
        yield random.choice(values)


SEARCHES = (
    Search(
        "patient + code + date, newest first", "Observation", _series, PAGE, p99_ms=10, cpu_us=500, constant=True
    ),
    Search("token", "Observation", _codes, PAGE, p99_ms=15),
    Search("token, 50 matches", "Observation", _group_codes, PAGE, p99_ms=15, constant=True),
    Search("token + token + patient", "Observation", _patient_code_status, PAGE, p99_ms=15, constant=True),
    Search("token + token + practitioner", "Observation", _performer_code_status, PAGE, p99_ms=15),
    Search("name prefix", "Patient", _name_starts, p99_ms=15),
    Search("name prefix, 50 matches", "Patient", _group_name_starts, PAGE, p99_ms=15, constant=True),
    Search("name:contains", "Patient", _name_parts, p99_ms=60),
    Search("name:contains, 50 matches", "Patient", _group_name_parts, PAGE, p99_ms=60),
    Search("chain to a name", "ServiceRequest", _chains, p99_ms=30),
    Search("chain to a name, 50 matches", "ServiceRequest", _group_chains, PAGE, p99_ms=30, constant=True),
    Search("_has a code", "Patient", _has, p99_ms=30),
    Search("_has a code, 50 matches", "Patient", _group_has, PAGE, p99_ms=30, constant=True),
    Search(
        "50 of a token, _include, _revinclude", "ServiceRequest", _group_includes,
        MEMBERS, included=2 * MEMBERS, p99_ms=40, constant=True,
    ),
    Search("50 newest, _include, _revinclude", "ServiceRequest", _newest_includes, included=2, p99_ms=40),
    Search("total of 5,000, one token", "Observation", _counted, PAGE, COUNTED, p99_ms=10),
    Search("total of 5,000, two tokens", "Observation", _counted_laboratory, PAGE, COUNTED, p99_ms=60),
    Search("total of a type", "Observation", _of_the_type, PAGE, p99_ms=10, constant=True),
    Search("token, newest version first", "Observation", _codes_newest_version, PAGE, p99_ms=15),
    Search(
        "token, 50 matches, newest version first", "Observation", _group_codes_newest_version,
        PAGE, p99_ms=15, constant=True,
    ),
    Search("two common tokens, 7 matches", "Observation", _misplaced, MISPLACED),
)  # fmt: skip
