"""Convert the published EQ-5D-5L value tables into questionnaires/eq-5d-5l/tables/.

    python tools/eq5d_tables.py FOLDER

FOLDER holds the tables as the R package eq5d has them in R/sysdata.rda, written out as CSV:

    eq5d5l_uk_crosswalk_vanhout2012.csv   state,index                    the crosswalk to the UK 3L TTO scale
    eq5d5l_to_uk3l_dsu_mapping.csv        state,age_band,sex,mapped_index  the NICE DSU mapping to the UK 3L scale

The package is github.com/fragla/eq5d, MIT licence, copyright 2019 Fraser Morton; the papers are named in the tables.
Numbers are carried over digit by digit; the same CSV gives the same bytes.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "questionnaires" / "eq-5d-5l" / "tables"
DIMENSIONS = ("mobility", "self_care", "usual_activities", "pain_discomfort", "anxiety_depression")
LEVELS = "12345"
STATES = ["".join(levels) for levels in product(LEVELS, repeat=len(DIMENSIONS))]
SEXES = ["male", "female"]
BANDS = {"18-34": 18, "35-44": 35, "45-54": 45, "55-64": 55, "65+": 65}
"""Of the DSU mapping, with the age each starts at."""
PER_LINE = len(LEVELS) ** 4
"""Cells to a line: the states of one level of mobility."""
PACKAGE = "R package eq5d (github.com/fragla/eq5d, MIT licence, copyright 2019 Fraser Morton), R/sysdata.rda"

Cells = Mapping[tuple[str, ...], str]
"""Value as printed, by the columns before it."""


def crosswalk(folder: Path) -> str:
    cells = read(folder / "eq5d5l_uk_crosswalk_vanhout2012.csv", "index", ["state"])
    source = f"van Hout et al. 2012, doi:10.1016/j.jval.2012.02.008; from the {PACKAGE}"
    return document("uk-crosswalk", source, [], taken(cells, ((state,) for state in STATES)))


def dsu(folder: Path) -> str:
    cells = read(folder / "eq5d5l_to_uk3l_dsu_mapping.csv", "mapped_index", ["sex", "age_band", "state"])
    source = (
        "NICE DSU mapping: Hernández Alava, Pudney and Wailoo 2023, doi:10.1007/s40273-022-01218-7, "
        f"at six places; from the {PACKAGE}"
    )
    axes = [{"sex": SEXES}, {"age": list(BANDS.values())}]
    return document("uk-dsu", source, axes, taken(cells, product(SEXES, BANDS, STATES)))


def read(path: Path, value: str, keys: list[str]) -> Cells:
    """Raises ValueError when a row comes twice."""
    cells: dict[tuple[str, ...], str] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            key = tuple(row[column] for column in keys)
            if key in cells:
                raise ValueError(f"{path.name} has {' '.join(key)} twice")
            cells[key] = row[value]
    return cells


def taken(cells: Cells, order: Iterable[tuple[str, ...]]) -> list[str]:
    """The values in `order`; raises ValueError unless that is all of them."""
    keys = list(order)
    if missing := [key for key in keys if key not in cells]:
        raise ValueError(f"no value for {' '.join(missing[0])}, {len(missing)} in all")
    if len(cells) > len(keys):
        raise ValueError(f"{len(cells) - len(keys)} rows belong to no cell")
    return [cells[key] for key in keys]


def document(table: str, source: str, axes: list[dict[str, Any]], values: list[str]) -> str:
    """The table as JSON, its values as printed, PER_LINE to a line."""
    dimensions = [*axes, *({"item": name, "from": 1, "to": len(LEVELS)} for name in DIMENSIONS)]
    head = {"id": table, "source": source, "evidence": "secondary"}
    lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in head.items()]
    lines += [
        '  "dimensions": [',
        ",\n".join(f"    {json.dumps(axis)}" for axis in dimensions),
        "  ],",
        '  "values": [',
    ]
    rows = [", ".join(values[start : start + PER_LINE]) for start in range(0, len(values), PER_LINE)]
    return "\n".join(["{", *lines, ",\n".join(f"    {row}" for row in rows), "  ]", "}", ""])


def main(folder: Path) -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, text in (("uk-crosswalk", crosswalk(folder)), ("uk-dsu", dsu(folder))):
        (TARGET / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{name}: {len(text.encode())} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
