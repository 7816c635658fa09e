"""Synthetic events of a pathway: appointments, procedures, letters, messages, timeline steps and the plan."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import Any

from fhir_server.synthetic.codes import CANONICAL_BASE, DOCUMENTS, PROCEDURES, SNOMED
from fhir_server.synthetic.parts import DAYS, Json, concept, moment, reference
from fhir_server.synthetic.record import Record

PARTICIPANT_STATUSES = ("accepted", "accepted", "accepted", "declined", "tentative")
STEPS = ("Complete the Oxford Knee Score", "Complete the PHQ-9", "Read the knee guide", "Prepare for surgery")


def appointment(record: Record) -> Json:
    random = record.random
    start = record.advance()
    return record.resource(
        "Appointment",
        f"Appointment at {record.service['name']} on {start}",
        status=random.choice(("booked", "fulfilled", "fulfilled", "noshow", "cancelled")),
        appointmentType={"text": random.choice(("Follow-up", "First attendance", "Pre-operative class"))},
        description=f"Appointment with {record.clinician['name'][0]['family']}",
        start=start,
        end=moment(record.minutes + 30),
        created=record.now(),
        basedOn=[reference(record.referral)],
        participant=[
            {"actor": record.about(), "status": random.choice(PARTICIPANT_STATUSES)},
            {"actor": record.by(), "status": "accepted"},
            {"actor": {"display": record.service["name"]}, "status": "accepted"},
        ],
    )


def procedure(record: Record) -> Json:
    done = PROCEDURES.draw(record.random)
    when = record.advance()
    return record.resource(
        "Procedure",
        f"{done.display} on {when[:10]} at {record.service['name']}",
        basedOn=[reference(record.referral)],
        status="completed",
        code=concept(SNOMED, done.code, done.display),
        subject=record.about(),
        performedDateTime=when,
        performer=[{"actor": record.by(), "onBehalfOf": reference(record.service)}],
        reasonReference=[reference(record.random.choice(record.conditions))],
    )


def letter(record: Record) -> Json:
    kind = DOCUMENTS.draw(record.random)
    when = record.advance()
    name = f"{record.prefix}/{when}.pdf"
    return record.resource(
        "DocumentReference",
        f"{kind.display} of {when[:10]} from {record.service['name']}",
        identifier=[{"system": f"{CANONICAL_BASE}/Id/document", "value": name}],
        status="current",
        docStatus="final",
        type=concept(SNOMED, kind.code, kind.display),
        subject=record.about(),
        date=when,
        author=[record.by()],
        custodian=reference(record.service),
        description=f"{kind.display} about the referral of {record.referral['authoredOn'][:10]}",
        content=[
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "language": "en-GB",
                    "url": f"https://documents.example.org/{name}",
                    "size": record.random.randrange(20_000, 900_000),
                    "hash": b64encode(sha1(name.encode(), usedforsecurity=False).digest()).decode(),
                    "title": kind.display,
                }
            }
        ],
        context={"related": [reference(record.referral)]},
    )


def message(record: Record) -> Json:
    sent = record.advance()
    return record.resource(
        "Communication",
        f"Message to the patient sent {sent}",
        basedOn=[reference(record.referral)],
        status="completed",
        category=[{"text": "Reminder"}],
        medium=[{"text": record.random.choice(("app", "sms", "letter"))}],
        subject=record.about(),
        sent=sent,
        received=moment(record.minutes + record.random.randrange(1, 3000)),
        recipient=[record.about()],
        sender=reference(record.service),
        payload=[{"contentString": "Your next step is ready. Please open your timeline before your appointment."}],
    )


def step(record: Record) -> Json:
    random = record.random
    authored = record.advance()
    day = int(record.minutes) // 1440
    what = random.choice(STEPS)
    return record.resource(
        "Task",
        f"{what}: due from {DAYS[day + 14]} to {DAYS[day + 28]}",
        basedOn=[reference(record.referral)],
        status=random.choice(("requested", "ready", "in-progress", "completed", "completed", "failed")),
        intent="order",
        priority="routine",
        code={"text": what},
        description=f"{what}, a step on the timeline",
        focus=reference(record.referral),
        **{"for": record.about()},
        authoredOn=authored,
        lastModified=authored,
        requester=record.by(),
        owner=record.about(),
        restriction={"period": {"start": DAYS[day + 14], "end": DAYS[day + 28]}},
    )


def plan_with_steps(record: Record) -> list[Json]:
    """Four steps and the CarePlan whose activities they are."""
    steps = [step(record) for _ in range(4)]
    plan: dict[str, Any] = record.resource(
        "CarePlan",
        f"Plan of care by {record.service['name']}, {len(steps)} steps",
        status="active",
        intent="plan",
        title="Knee arthroplasty pathway",
        subject=record.about(),
        period={"start": record.now()[:10]},
        created=record.now(),
        author=record.by(),
        addresses=[reference(record.conditions[0])],
        supportingInfo=[reference(record.referral)],
        activity=[{"reference": reference(task)} for task in steps],
    )
    return [*steps, plan]
