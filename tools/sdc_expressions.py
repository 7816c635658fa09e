"""Write into the Questionnaires what other software needs to reckon their scores: SDC variables and calculated items.

    python -m tools.sdc_expressions

From questionnaires/*/scoring.json come, in questionnaire.json beside it, the `variable` extensions of the root and the
last group, g-scores, with a read-only item for each score that SDC can express (docs/instruments.md, "For other
software"). What an earlier run wrote is replaced; the same folders always give the same bytes.
http://hl7.org/fhir/uv/sdc/behavior.html, R4 metadatatypes.html#Expression.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fhir_server.instruments.calculated import CALCULATED, CALCULATED_SCORES, link_id_of
from fhir_server.instruments.loading import load_instrument
from tools.sdc_fhirpath import Translation

QUESTIONNAIRES = Path(__file__).parent.parent / "questionnaires"
VARIABLE = "http://hl7.org/fhir/StructureDefinition/variable"

Json = dict[str, Any]


def generated(folder: Path) -> str:
    """The text of questionnaire.json in `folder` with the expressions of its scores."""
    questionnaire: Json = json.loads((folder / "questionnaire.json").read_text(encoding="utf-8"))
    translation = Translation(load_instrument(folder))
    extensions = [each for each in questionnaire.pop("extension", []) if each["url"] != VARIABLE]
    for name, expression in translation.variables.items():
        extensions.append({"url": VARIABLE, "valueExpression": _expression(expression, name=name)})
    items = [item for item in questionnaire["item"] if item["linkId"] != CALCULATED_SCORES]
    if translation.scores:
        calculated = [
            {
                "extension": [{"url": CALCULATED, "valueExpression": _expression(f"%{variable}")}],
                "linkId": link_id_of(score.name),
                "text": score.title,
                "type": "string" if score.kind in ("strata", "profile") else "decimal",
                "readOnly": True,
            }
            for variable, score in translation.scores.items()
        ]
        items.append({"linkId": CALCULATED_SCORES, "text": "Scores", "type": "group", "item": calculated})
    head = {name: questionnaire.pop(name) for name in ("resourceType", "id")}
    body = {**head, **({"extension": extensions} if extensions else {}), **questionnaire, "item": items}
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _expression(expression: str, **name: str) -> Json:
    return {**name, "language": "text/fhirpath", "expression": expression}


def main() -> None:
    for scoring in sorted(QUESTIONNAIRES.glob("*/scoring.json")):
        path = scoring.parent / "questionnaire.json"
        text = generated(path.parent)
        grown = len(text) - len(path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
        print(f"{path.parent.name}: {grown:+} characters")


if __name__ == "__main__":
    main()
