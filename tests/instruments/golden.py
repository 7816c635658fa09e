"""Golden vectors (questionnaires/*/golden.json) of the shipped instruments."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from fhir_server.instruments.golden import NOW, disagreements
from tests.instruments.responses import QUESTIONNAIRES

__all__ = ["DEFINED", "NOW", "disagreements", "vectors"]

DEFINED = sorted(path.parent.name for path in QUESTIONNAIRES.glob("*/scoring.json"))


def vectors(instrument_id: str) -> list[dict[str, Any]]:
    text = (QUESTIONNAIRES / instrument_id / "golden.json").read_text()
    return list(json.loads(text, parse_float=Decimal)["vectors"])
