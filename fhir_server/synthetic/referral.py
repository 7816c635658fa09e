"""How a synthetic record begins: the person, the problem, the referral, its triage and the episode of care."""

from __future__ import annotations

from datetime import date
from random import Random

from fhir_server.model.nhs_number import SYSTEM as NHS_NUMBER
from fhir_server.synthetic import names
from fhir_server.synthetic.codes import BODY_SITES, CANONICAL_BASE, CONDITIONS, SNOMED
from fhir_server.synthetic.nhs_number import DISTINCT, nhs_number
from fhir_server.synthetic.parts import Json, coded, concept, reference
from fhir_server.synthetic.record import Record

UBRN = "https://fhir.nhs.uk/Id/UBRN"
CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
REFERRAL_STATE = f"{CANONICAL_BASE}/CodeSystem/msk-referral-state"


def beginning(record: Record, seed: int) -> list[Json]:
    """The first five resources of every record."""
    patient = _patient(record, seed)
    record.patient = patient
    record.who = {**reference(patient), "display": _full_name(patient)}
    problem = condition(record, category="problem-list-item")
    record.referral = _service_request(record, problem)
    return [patient, problem, record.referral, _triage_task(record), _episode(record)]


def condition(record: Record, category: str = "encounter-diagnosis") -> Json:
    random = record.random
    problem = CONDITIONS.draw(random)
    site = BODY_SITES.draw(random)
    made = record.resource(
        "Condition",
        f"{problem.display}, {site.display.lower()}, recorded {record.now()[:10]} at {record.practice['name']}",
        clinicalStatus=coded(CONDITION_CLINICAL, "active" if random.random() < 0.8 else "resolved"),
        category=[coded(CONDITION_CATEGORY, category)],
        code=concept(SNOMED, problem.code, problem.display),
        bodySite=[concept(SNOMED, site.code, site.display)],
        subject=record.about(),
        onsetDateTime=record.now()[:7],
        recordedDate=record.now(),
        recorder=record.by(),
    )
    record.conditions.append(made)
    return made


def _patient(record: Record, seed: int) -> Json:
    random = record.random
    female = random.random() < 0.56
    given = random.choice(names.FEMALE_GIVEN if female else names.MALE_GIVEN)
    family = random.choice(names.FAMILY)
    born = _birth_date(random)
    postcode = f"{random.choice(names.DISTRICTS)} {random.randrange(1, 10)}ZZ"
    return record.resource(
        "Patient",
        f"{given} {family}, born {born}, an invented person registered at {record.practice['name']}",
        identifier=[
            {"use": "official", "system": NHS_NUMBER, "value": nhs_number(record.number + seed * 7_919 % DISTINCT)},
            {"use": "usual", "system": f"{CANONICAL_BASE}/Id/hospital", "value": f"H{seed}{record.number:07d}"},
        ],
        active=True,
        name=[{"use": "official", "family": family, "given": [given, random.choice(names.MALE_GIVEN)]}],
        telecom=[
            {"system": "phone", "value": f"07700 900{random.randrange(1000):03d}", "use": "mobile"},
            {"system": "email", "value": f"{record.prefix}@example.org"},
        ],
        gender="female" if female else "male",
        birthDate=born,
        address=[
            {
                "use": "home",
                "line": [f"{random.randrange(1, 240)} {random.choice(names.STREETS)}"],
                "city": "Sheffield",
                "postalCode": postcode,
                "country": "GBR",
            }
        ],
        generalPractitioner=[reference(record.practice)],
        managingOrganization=reference(record.service),
    )


def _birth_date(random: Random) -> str:
    return date(min(int(random.gauss(1962, 16)), 2009), random.randrange(1, 13), random.randrange(1, 29)).isoformat()


def _full_name(patient: Json) -> str:
    name = patient["name"][0]
    return f"{name['given'][0]} {name['family']}"


def _service_request(record: Record, problem: Json) -> Json:
    random = record.random
    return record.resource(
        "ServiceRequest",
        f"Referral from {record.practice['name']} to {record.service['name']} on {record.now()[:10]}",
        identifier=[{"system": UBRN, "value": f"{random.randrange(10**12):012d}"}],
        status=random.choice(("active", "active", "active", "completed", "revoked")),
        intent="order",
        category=[coded("https://fhir.nhs.uk/CodeSystem/message-category-servicerequest", "referral")],
        priority=random.choice(("routine", "routine", "routine", "urgent")),
        code=concept(SNOMED, "183545006", "Referral to orthopaedic service"),
        subject=record.about(),
        authoredOn=record.now(),
        requester=reference(record.practice),
        performer=[reference(record.service)],
        reasonCode=[problem["code"]],
        reasonReference=[reference(problem)],
        bodySite=problem["bodySite"],
    )


def _triage_task(record: Record) -> Json:
    authored = record.now()
    return record.resource(
        "Task",
        f"Triage of the referral of {authored[:10]} by {record.service['name']}",
        basedOn=[reference(record.referral)],
        status="completed",
        businessStatus=coded(REFERRAL_STATE, "accepted"),
        intent="order",
        priority=record.referral["priority"],
        code={"text": "Triage referral"},
        focus=reference(record.referral),
        **{"for": record.about()},
        authoredOn=authored,
        lastModified=record.advance(),
        requester=reference(record.practice),
        owner=reference(record.service),
    )


def _episode(record: Record) -> Json:
    return record.resource(
        "EpisodeOfCare",
        f"Episode of musculoskeletal care under {record.service['name']} since {record.now()[:10]}",
        status="active" if record.random.random() < 0.7 else "finished",
        type=[{"text": "Musculoskeletal care"}],
        diagnosis=[{"condition": reference(record.conditions[0]), "rank": 1}],
        patient=record.about(),
        managingOrganization=reference(record.service),
        period={"start": record.now()[:10]},
        referralRequest=[reference(record.referral)],
        careManager=reference(record.clinician),
    )
