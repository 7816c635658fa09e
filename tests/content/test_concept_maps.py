"""The shipped ConceptMaps against the tables they were made from, typed a second time here.

The tables: the referral state machine and its pairings, the projection of steps for the NHS App, HL7 v2 tables 0278,
0280 and 0283, and the modelled legacy database. None: the code has no counterpart.
"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.content import shipped_resources

BASE = "https://fhir.example.org/msk"
HL7 = "http://hl7.org/fhir"
V2 = "http://terminology.hl7.org/CodeSystem"
STATES = [
    "draft",
    "submitted",
    "discarded",
    "in-triage",
    "more-info",
    "accepted",
    "redirected",
    "rejected",
    "advice",
    "waitlisted",
    "booked",
    "attended",
    "dna",
    "cancelled-patient",
    "cancelled-provider",
    "discharged",
    "withdrawn",
]
STATE = f"{BASE}/CodeSystem/msk-referral-state"
ERS = f"{BASE}/CodeSystem/ers-referral-state"

TABLES: dict[str, tuple[str, str, dict[str, str | None]]] = {
    "legacy-referral-status-to-state": (
        f"{BASE}/CodeSystem/legacy-referral-status",
        STATE,
        {
            "D": "draft",
            "S": "submitted",
            "T": "in-triage",
            "I": "more-info",
            "A": "accepted",
            "R": "redirected",
            "X": "rejected",
            "W": "waitlisted",
            "B": "booked",
            "C": "discharged",
            "Z": "withdrawn",
        },
    ),
    "referral-state-to-request-status": (
        STATE,
        f"{HL7}/request-status",
        {
            "draft": "draft",
            "discarded": "entered-in-error",
            "more-info": "on-hold",
            "redirected": "active revoked",
            "rejected": "revoked",
            "advice": "revoked",
            "discharged": "completed",
            "withdrawn": "revoked",
        }
        | dict.fromkeys(["submitted", "in-triage", "accepted", "waitlisted", "booked", "attended"], "active")
        | dict.fromkeys(["dna", "cancelled-patient", "cancelled-provider"], "active"),
    ),
    "referral-state-to-task-status": (
        STATE,
        f"{HL7}/task-status",
        {
            "submitted": "requested",
            "in-triage": "in-progress",
            "more-info": "on-hold",
            "rejected": "rejected",
            "withdrawn": "cancelled",
        }
        | dict.fromkeys(["accepted", "redirected", "advice", "waitlisted", "booked"], "completed")
        | dict.fromkeys(["attended", "dna", "cancelled-patient", "cancelled-provider", "discharged"], "completed")
        | dict.fromkeys(["draft", "discarded"]),
    ),
    "referral-state-to-ers": (
        STATE,
        ERS,
        {
            "submitted": "AWAITING_TRIAGE",
            "in-triage": "AWAITING_TRIAGE",
            "more-info": "AWAITING_TRIAGE",
            "accepted": "TRIAGED_PROVIDER_TO_ACTION",
            "redirected": "TRIAGED_PROVIDER_TO_ACTION",
            "rejected": "REJECTED",
            "advice": "TRIAGE_RESPONSE",
            "waitlisted": "DEFERRED_TO_PROVIDER NOT_BOOKED",
            "booked": "BOOKED",
            "dna": "DID_NOT_ATTEND",
            "cancelled-patient": "APPT_CANCELLED_BY_PATIENT",
            "cancelled-provider": "APPT_CANCELLED_BY_PROVIDER",
            "withdrawn": "CANCELLED_REFERRAL",
        }
        | dict.fromkeys(["draft", "discarded", "attended", "discharged"]),
    ),
    "ers-to-referral-state": (
        ERS,
        STATE,
        {
            "AWAITING_TRIAGE": "submitted",
            "TRIAGED_PROVIDER_TO_ACTION": "accepted",
            "REJECTED": "rejected",
            "TRIAGE_RESPONSE": "advice",
            "NOT_BOOKED": "waitlisted",
            "DEFERRED_TO_PROVIDER": "waitlisted",
            "BOOKED": "booked",
            "DID_NOT_ATTEND": "dna",
            "APPT_CANCELLED_BY_PATIENT": "cancelled-patient",
            "APPT_CANCELLED_BY_PROVIDER": "cancelled-provider",
            "CANCELLED_REFERRAL": "withdrawn",
        },
    ),
    "step-state-to-pca": (
        f"{BASE}/CodeSystem/msk-step-state",
        f"{HL7}/task-status",
        {
            "planned": None,
            "available": "requested",
            "due": "requested",
            "seen": "requested",
            "started": "in-progress",
            "done": "completed",
            "missed": "cancelled",
            "declined": "cancelled",
            "stood-down": "cancelled",
        },
    ),
    "v2-0278-to-appointment-status": (
        f"{V2}/v2-0278",
        f"{HL7}/appointmentstatus",
        {
            "Booked": "booked",
            "Complete": "fulfilled",
            "Noshow": "noshow",
            "Deleted": "entered-in-error",
            "Cancelled": "cancelled",
            "Pending": "pending",
            "Waitlist": "waitlist",
            "Overbook": "booked",
            "Discontinued": "cancelled",
            "DC": "cancelled",
            "Started": "arrived",
            "Blocked": None,
        },
    ),
    "ers-priority-to-request-priority": (
        f"{BASE}/CodeSystem/ers-priority",
        f"{HL7}/request-priority",
        {"ROUTINE": "routine", "URGENT": "urgent", "TWO_WEEK_WAIT": "asap"},
    ),
    "v2-0283-to-referral-state": (
        f"{V2}/v2-0283",
        STATE,
        {"A": "accepted", "P": "submitted", "R": "rejected", "E": None},
    ),
    "v2-0280-to-request-priority": (
        f"{V2}/v2-0280",
        f"{HL7}/request-priority",
        {"S": "stat", "A": "asap", "R": "routine"},
    ),
    "legacy-sex-to-gender": (
        f"{BASE}/CodeSystem/legacy-sex",
        f"{HL7}/administrative-gender",
        {"M": "male", "F": "female", "U": "unknown", "I": "other", "9": "unknown"},
    ),
    "legacy-ethnic-category-to-uk-core": (
        f"{BASE}/CodeSystem/legacy-ethnic-category",
        "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryEngland",
        # The NHS Data Dictionary leaves out I, O and Q, which look like digits, and T to Y.
        {letter: letter for letter in "ABCDEFGHJKLMNPRSZ"},
    ),
    "service-to-practice-setting": (
        f"{BASE}/CodeSystem/msk-service",
        "https://fhir.hl7.org.uk/CodeSystem/UKCore-PracticeSettingCode",
        {"orthopaedics": "110", "rheumatology": "410"}
        | dict.fromkeys(["single-point-of-access", "chronic-pain", "physiotherapy", "occupational-therapy"])
        | dict.fromkeys(["podiatry", "sport-exercise-medicine"]),
    ),
    "pathway-id-systems": (
        "urn:ietf:rfc:3986",
        "urn:ietf:rfc:3986",
        {"https://fhir.nhs.uk/Id/PathwayId": "https://fhir.nhs.uk/Id/care-pathway-id"},
    ),
    "fft-to-result": (
        f"{BASE}/CodeSystem/fft-answer",
        f"{BASE}/CodeSystem/msk-fft-result",
        {"1": "positive", "2": "positive", "3": "neutral", "4": "negative", "5": "negative", "6": "no-opinion"},
    ),
}
"""By ConceptMap: source system, target system, and what each code becomes (several: by a space, sorted)."""

SHIPPED = {one["url"].rsplit("/", 1)[1]: one for one in shipped_resources(BASE) if one["resourceType"] == "ConceptMap"}
SYSTEMS = {one["url"]: one for one in shipped_resources(BASE) if one["resourceType"] == "CodeSystem"}


def mapped(element: dict[str, Any]) -> str | None:
    codes = sorted(target["code"] for target in element["target"] if target["equivalence"] != "unmatched")
    return " ".join(codes) or None


def test_each_map_has_a_table() -> None:
    assert set(SHIPPED) == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_the_map_says_what_the_table_says(name: str) -> None:
    source, target, table = TABLES[name]
    (group,) = SHIPPED[name]["group"]
    assert (group["source"], group["target"]) == (source, target)
    assert {element["code"]: mapped(element) for element in group["element"]} == table


@pytest.mark.parametrize("name", TABLES)
def test_what_is_left_out_or_decided_here_says_why(name: str) -> None:
    (group,) = SHIPPED[name]["group"]
    for element in group["element"]:
        for target in element["target"]:
            assert target["equivalence"] not in ("unmatched", "inexact") or target["comment"]


@pytest.mark.parametrize("name", TABLES)
def test_every_code_of_a_source_of_ours_is_mapped(name: str) -> None:
    source, _, table = TABLES[name]
    if source in SYSTEMS:
        assert set(table) == {concept["code"] for concept in SYSTEMS[source]["concept"]}


def test_the_states_are_those_of_the_state_machine() -> None:
    assert set(STATES) <= {concept["code"] for concept in SYSTEMS[STATE]["concept"]}
