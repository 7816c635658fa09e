"""What an instrument's folder says."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

EVIDENCE = {
    "source-checked": "the manual or paper was opened",
    "secondary": "read in a copy, an abstract or another program; nobody has opened the manual or the paper",
    "memory": "nobody has opened anything; applied only with `score_unverified=allow`, and preliminary then",
    "gap": "nothing is known",
}
BETTER = {"higher-better": "higher is better", "higher-worse": "higher is worse"}

Json = dict[str, Any]

Json = dict[str, Any]


class Instrument:
    def __init__(self, folder: Path) -> None:
        self.metadata = read(folder / "instrument.json")
        self.scoring = read(folder / "scoring.json")
        self.questionnaire = read(folder / "questionnaire.json")
        self.tables = {path.stem: read(path) for path in sorted(folder.glob("tables/*.json"))}
        golden = folder / "golden.json"
        self.golden = read(golden) if golden.exists() else None
        self.id: str = self.metadata["id"]

    @property
    def evidence(self) -> Counter[str]:
        """Of everything that is applied to answers or to a change: how many facts rest on what."""
        facts: Counter[str] = Counter(entry["evidence"] for entry in self.metadata["mic"])
        for score in self.scoring["scores"]:
            facts[score["evidence"]] += 1
            facts.update(score[part]["evidence"] for part in ("missing", "bands") if "evidence" in score.get(part, {}))
        facts.update(table["evidence"] for table in self.tables.values())
        return facts


def read(path: Path) -> Json:
    document: Json = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    return document
