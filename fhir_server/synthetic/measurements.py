"""Synthetic laboratory results, vital signs and blood pressures."""

from __future__ import annotations

from fhir_server.synthetic.codes import LABORATORY, LOINC, UCUM, VITAL_SIGNS, Measurement
from fhir_server.synthetic.parts import Json, coded, concept, reference
from fhir_server.synthetic.record import Record

OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


def laboratory_result(record: Record) -> Json:
    return _measured(record, LABORATORY.draw(record.random))


def vital_sign(record: Record) -> Json:
    return _measured(record, VITAL_SIGNS.draw(record.random))


def blood_pressure(record: Record) -> Json:
    random = record.random
    systolic = int(random.gauss(134, 15))
    diastolic = int(random.gauss(80, 9))
    when = record.advance()
    return record.resource(
        "Observation",
        f"Blood pressure {systolic}/{diastolic} mm[Hg], taken {when} by {record.service['name']}",
        status="final",
        category=[coded(OBSERVATION_CATEGORY, "vital-signs")],
        code=concept(LOINC, "85354-9", "Blood pressure panel with all children optional"),
        subject=record.about(),
        effectiveDateTime=when,
        performer=[record.by()],
        component=[
            {"code": concept(LOINC, code, display), "valueQuantity": quantity(value, "mm[Hg]")}
            for code, display, value in (
                ("8480-6", "Systolic blood pressure", systolic),
                ("8462-4", "Diastolic blood pressure", diastolic),
            )
        ],
    )


def quantity(value: float, code: str, unit: str = "") -> Json:
    return {"value": value, "unit": unit or code, "system": UCUM, "code": code}


def _measured(record: Record, measurement: Measurement) -> Json:
    random = record.random
    spread = measurement.high - measurement.low
    raw = max(random.gauss(measurement.low + spread / 2, spread / 3), measurement.low / 2)
    value = round(raw, measurement.digits) if measurement.digits else round(raw)
    flag = "L" if value < measurement.low else "H" if value > measurement.high else "N"
    when = record.advance()
    observation = record.resource(
        "Observation",
        f"{measurement.display}: {value} {measurement.unit} ({flag}), taken {when} by {record.service['name']}",
        identifier=[{"system": f"{measurement.system}/result", "value": f"{record.prefix}-{random.randrange(10**9)}"}],
        status="final",
        category=[coded(OBSERVATION_CATEGORY, measurement.category)],
        code=concept(measurement.system, measurement.code, measurement.display),
        subject=record.about(),
        effectiveDateTime=when,
        issued=when,
        performer=[record.by()],
        valueQuantity=quantity(value, measurement.unit),
        interpretation=[coded(INTERPRETATION, flag)],
    )
    if measurement.category == "laboratory":
        observation["basedOn"] = [reference(record.referral)]
        observation["referenceRange"] = [
            {"low": quantity(measurement.low, measurement.unit), "high": quantity(measurement.high, measurement.unit)}
        ]
    return observation
