"""Write the CodeSystems and ValueSets that the instruments need, from the instruments themselves.

    python tools/instrument_terminology.py

From questionnaires/*/ come terminology/CodeSystem-<id>-answer.json (the coded answers) and the CodeSystems and
ValueSets msk-instrument, msk-score, msk-score-band and msk-scoring-algorithm. The same folders always give the same
bytes; the dates are those of the newest Questionnaire.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from fhir_server.content_files import SHIPPED_BASE as BASE

ROOT = Path(__file__).parent.parent
ORDINAL_VALUE = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
VERSION = "1.0.0"

Json = dict[str, Any]


def generated(root: Path = ROOT) -> dict[str, str]:
    """The text of each file by its name in terminology/."""
    questionnaires = [_read(path) for path in sorted(root.glob("questionnaires/*/questionnaire.json"))]
    scored = [_Scored(path.parent) for path in sorted(root.glob("questionnaires/*/scoring.json"))]
    warned = [_read(path) for path in sorted(root.glob("questionnaires/*/alerts.json"))]
    newest = max(questionnaire["date"] for questionnaire in questionnaires)
    resources = [system for questionnaire in questionnaires for system in _answers(questionnaire)]
    for identity, title, description, concepts in (
        ("msk-instrument", "MSK instrument", "The outcome instruments, by their folder.", _instruments(scored)),
        (
            "msk-score",
            "MSK score",
            "Scores and alerts of the instruments and forms, as [instrument].[score].",
            _scores(scored, warned),
        ),
        ("msk-score-band", "MSK score band", "Bands and strata of scores, as [instrument].[band].", _bands(scored)),
        (
            "msk-scoring-algorithm",
            "MSK scoring algorithm",
            "The scoring definitions by algorithm and version.",
            _algorithms(scored),
        ),
    ):
        value_set = {"valueSet": f"{BASE}/ValueSet/{identity}"}
        resources.append(_code_system(identity, title, newest, description, _merged(concepts), value_set))
        resources.append(_value_set(identity, title, newest))
    return {
        f"{resource['resourceType']}-{resource['id'].removesuffix(f'-{VERSION}')}.json": _text(resource)
        for resource in resources
    }


class _Scored:
    """What scoring.json and instrument.json of one folder say."""

    def __init__(self, folder: Path) -> None:
        scoring = _read(folder / "scoring.json")
        self.id: str = scoring["instrument"]
        self.algorithm = f"{scoring['algorithm']}-{scoring['version']}"
        self.algorithm_display = f"{scoring['algorithm']}, version {scoring['version']}"
        self.scores: list[Json] = scoring["scores"]
        self.alerts: list[Json] = scoring["alerts"]
        metadata = _read(folder / "instrument.json")
        self.direction: str = metadata["direction"]
        self.name: str = metadata["name"]
        self.purpose: str = metadata["purpose"]


def _instruments(scored: Iterable[_Scored]) -> Iterator[Json]:
    for instrument in scored:
        yield {"code": instrument.id, "display": instrument.name, "definition": instrument.purpose}


def _scores(scored: Iterable[_Scored], warned: Iterable[Json]) -> Iterator[Json]:
    for instrument in scored:
        for score in instrument.scores:
            code = f"{instrument.id}.{score['name']}"
            yield {"code": code, "display": score["title"], "definition": _meaning(score, instrument.direction)}
        for alert in instrument.alerts:
            yield {
                "code": f"{instrument.id}.{alert['name']}",
                "display": alert["title"],
                "definition": f"An alert: answered above {alert['above']}, whatever the total; "
                f"{alert['above']} once an amendment has corrected it.",
            }
    for form in warned:
        for alert in form["alerts"]:
            yield {
                "code": f"{form['instrument']}.{alert['name']}",
                "display": alert["title"],
                "definition": f"An alert of a form that is not scored: answered yes, or above {alert['above']}.",
            }


def _meaning(score: Json, direction: str) -> str:
    rule = score.get("rule", {})
    if rule.get("kind") == "strata":
        return f"One of: {', '.join(stratum['code'] for stratum in rule['strata'])}."
    if rule.get("kind") == "profile":
        return "The coded answers side by side."
    better = f"higher is {score.get('direction', direction).removeprefix('higher-')}."
    reach = score.get("range", {})
    if "low" in reach and "high" in reach:
        return f"{reach['low']} to {reach['high']}, {better}"
    if "low" in reach:
        return f"From {reach['low']}, {better}"
    return f"Up to {reach['high']}, {better}" if "high" in reach else better.capitalize()


def _bands(scored: Iterable[_Scored]) -> Iterator[Json]:
    for instrument in scored:
        for score in instrument.scores:
            bands = score.get("bands", {}).get("steps", []) + score.get("rule", {}).get("strata", [])
            for band in bands:
                yield {"code": f"{instrument.id}.{band['code']}", "display": band["display"]}


def _algorithms(scored: Iterable[_Scored]) -> Iterator[Json]:
    for instrument in scored:
        yield {"code": instrument.algorithm, "display": instrument.algorithm_display}


def _answers(questionnaire: Json) -> Iterator[Json]:
    """The CodeSystem of the questionnaire's own answer codes, if it has any."""
    identity = questionnaire["url"].rsplit("/", 1)[1]
    own = f"{BASE}/CodeSystem/{identity}-answer"
    codings = [coding for coding in _option_codings(questionnaire["item"]) if coding["system"] == own]
    if codings:
        title = questionnaire["title"].removesuffix(", neutral labels")
        yield _code_system(
            f"{identity}-answer",
            f"{title}: answer levels",
            questionnaire["date"],
            f"The coded levels of the items of {identity}. The displays are our own.",
            _merged(_answer(coding) for coding in codings),
        )


def _option_codings(items: Iterable[Json]) -> Iterator[Json]:
    for item in items:
        yield from (option["valueCoding"] for option in item.get("answerOption", ()) if "valueCoding" in option)
        yield from _option_codings(item.get("item", ()))


def _answer(coding: Json) -> Json:
    ordinals = [extension for extension in coding.get("extension", ()) if extension["url"] == ORDINAL_VALUE]
    concept: Json = {"code": coding["code"], "display": coding["display"]}
    return {**concept, "extension": ordinals} if ordinals else concept


def _merged(concepts: Iterable[Json]) -> list[Json]:
    """Each code once, in the order of appearance; another display of the same code becomes a designation.

    Raises ValueError when one code has two values or definitions.
    """
    merged: dict[str, Json] = {}
    for concept in concepts:
        first = merged.setdefault(concept["code"], concept)
        for element in ("extension", "definition"):
            if first.get(element) != concept.get(element):
                raise ValueError(f"{concept['code']} has two meanings: {first} and {concept}")
        known = [first["display"], *(designation["value"] for designation in first.get("designation", ()))]
        if concept["display"] not in known:
            first.setdefault("designation", []).append({"value": concept["display"]})
    return list(merged.values())


def _head(kind: str, identity: str, title: str, date: str, description: str) -> Json:
    return {
        "resourceType": kind,
        "id": f"{identity}-{VERSION}",
        "url": f"{BASE}/{kind}/{identity}",
        "version": VERSION,
        "name": "".join(part.capitalize() for part in identity.split("-")),
        "title": title,
        "status": "active",
        "experimental": True,
        "date": date,
        "publisher": "FHIR server for MSK care",
        "description": description,
    }


def _code_system(
    identity: str, title: str, date: str, description: str, concepts: list[Json], value_set: Json | None = None
) -> Json:
    return {
        **_head("CodeSystem", identity, title, date, description),
        "caseSensitive": True,
        "content": "complete",
        **(value_set or {}),
        "count": len(concepts),
        "concept": concepts,
    }


def _value_set(identity: str, title: str, date: str) -> Json:
    return {
        **_head("ValueSet", identity, title, date, f"Every code of the code system {identity}."),
        "compose": {"include": [{"system": f"{BASE}/CodeSystem/{identity}"}]},
    }


def _read(path: Path) -> Json:
    document: Json = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    return document


def _number(value: Any) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{value!r} is not JSON")


def _text(resource: Json) -> str:
    return json.dumps(resource, indent=2, ensure_ascii=False, default=_number) + "\n"


def main() -> None:
    for name, text in generated().items():
        (ROOT / "terminology" / name).write_text(text, encoding="utf-8")
    print(f"{len(generated())} files")


if __name__ == "__main__":
    main()
