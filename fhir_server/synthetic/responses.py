"""Synthetic answers to the shipped questionnaires, and the scores a plain sum of them gives."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.synthetic.codes import CANONICAL_BASE
from fhir_server.synthetic.measurements import OBSERVATION_CATEGORY, quantity
from fhir_server.synthetic.parts import Json, coded, concept, reference
from fhir_server.synthetic.record import Record


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is needed to answer an instrument: item count, highest level, and how a typical patient answers."""

    key: str
    title: str
    items: int
    highest: int
    typical: float
    change: float
    """How far the typical answer moves from one response to the next."""

    @property
    def questionnaire(self) -> str:
        return f"{CANONICAL_BASE}/Questionnaire/{self.key}|1.0.0-neutral"

    @property
    def answers(self) -> str:
        return f"{CANONICAL_BASE}/CodeSystem/{self.key}-answer"

    @property
    def total(self) -> str:
        """In the code system msk-score."""
        return f"{self.key}.total"


INSTRUMENTS = (
    Instrument("oks", "Oxford Knee Score", items=12, highest=4, typical=1.5, change=0.35),
    Instrument("phq-9", "PHQ-9", items=9, highest=3, typical=1.2, change=-0.15),
)


def scored_response(record: Record) -> list[Json]:
    """A QuestionnaireResponse and its score."""
    instrument = record.random.choices(INSTRUMENTS, (3, 1))[0]
    levels = _answer(record, instrument)
    when = record.advance()
    response = record.resource(
        "QuestionnaireResponse",
        f"{instrument.title} answered on {when[:10]}",
        questionnaire=instrument.questionnaire,
        status="completed",
        subject=record.about(),
        authored=when,
        author=record.about(),
        source=record.about(),
        item=[
            {"linkId": f"q{number}", "answer": [{"valueCoding": {"system": instrument.answers, "code": str(level)}}]}
            for number, level in enumerate(levels, 1)
        ],
    )
    return [response, _score(record, instrument, response, sum(levels), when)]


def _answer(record: Record, instrument: Instrument) -> list[int]:
    random = record.random
    centre = instrument.typical + min(record.questionnaires_answered, 4) * instrument.change
    record.questionnaires_answered += 1
    return [min(max(round(random.gauss(centre, 0.9)), 0), instrument.highest) for _ in range(instrument.items)]


def _score(record: Record, instrument: Instrument, response: Json, total: int, when: str) -> Json:
    return record.resource(
        "Observation",
        f"{instrument.title} total {total}, {when[:10]}, from the patient's own answers",
        basedOn=[reference(record.referral)],
        status="final",
        category=[coded(OBSERVATION_CATEGORY, "survey")],
        code=concept(f"{CANONICAL_BASE}/CodeSystem/msk-score", instrument.total, f"{instrument.title} total"),
        subject=record.about(),
        effectiveDateTime=when,
        issued=when,
        performer=[record.about()],
        valueQuantity=quantity(total, "{score}", "score"),
        derivedFrom=[reference(response)],
    )
