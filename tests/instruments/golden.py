"""Golden vectors (questionnaires/*/golden.json) held against an instrument."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.scoring import ScoreResult, Scoring, score_response
from fhir_server.instruments.subject import subject_at
from tests.instruments.responses import AUTHORED, QUESTIONNAIRES, answered

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DEFINED = sorted(path.parent.name for path in QUESTIONNAIRES.glob("*/scoring.json"))
_LINK_ID = re.compile(r"where\(linkId='([^']+)'\)")
_INDEX = re.compile(r"\.item\[(\d+)\]")


def vectors(instrument_id: str) -> list[dict[str, Any]]:
    text = (QUESTIONNAIRES / instrument_id / "golden.json").read_text()
    return list(json.loads(text, parse_float=Decimal)["vectors"])


def _patient(subject: dict[str, Any] | None) -> dict[str, Any] | None:
    """A Patient whose birthday is the day of the answers."""
    if subject is None:
        return None
    born = {"birthDate": f"{int(AUTHORED[:4]) - subject['age']}{AUTHORED[4:10]}"} if "age" in subject else {}
    return {"resourceType": "Patient", **born, **({"gender": subject["sex"]} if "sex" in subject else {})}


def _blamed(body: dict[str, Any], scoring: Scoring) -> Iterator[str]:
    """The linkId of each issue that is about an item."""
    for issue in scoring.refused:
        expression = issue.expression or ""
        if found := _LINK_ID.search(expression):
            yield found[1]
        elif indices := _INDEX.findall(expression):
            item = body
            for index in indices:
                item = item["item"][int(index)]
            yield str(item["linkId"])


def _found(result: ScoreResult) -> Decimal | str | None:
    return result.code if result.value is None else result.value


def _wanted(result: ScoreResult, expected: str | None) -> Decimal | str | None:
    return expected if expected is None or result.score.kind in ("strata", "profile") else Decimal(expected)


def disagreements(instrument: Instrument, vector: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What was found, and what the vector expects instead."""
    expect = vector["expect"]
    body = answered(instrument.id, vector["answers"])
    scoring = score_response(
        instrument,
        body,
        now=NOW,
        allow_unverified=vector.get("allow_unverified", False),
        subject=subject_at(_patient(vector.get("subject")), body["authored"]),
    )
    raised = {result.alert.name: result.value for result in scoring.alerts}
    alerts = {name: Decimal(value) for name, value in expect.get("alerts", {}).items()}
    if raised != alerts:
        yield "alerts", raised, alerts
    if bool(scoring.refused) != ("refused" in expect):
        yield "refused", [issue.diagnostics for issue in scoring.refused], expect.get("refused")
        return
    if "refused" in expect:
        named = sorted(set(_blamed(body, scoring)))
        if named != sorted(expect["refused"]):
            yield "refused", named, expect["refused"]
        return
    results = {result.score.name: result for result in scoring.results}
    for name, value in expect["scores"].items():
        if _found(results[name]) != _wanted(results[name], value):
            yield name, _found(results[name]), value
    for name, code in expect.get("bands", {}).items():
        band = results[name].band
        if (band and band.code) != code:
            yield f"band of {name}", band, code
    for name, status in expect.get("status", {}).items():
        if results[name].status != status:
            yield f"status of {name}", results[name].status, status
