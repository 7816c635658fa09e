"""tools/eq5d_tables.py: every published value comes to stand in its own cell, digit by digit."""

from __future__ import annotations

import json
import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tools import eq5d_tables

STATES = ["".join(levels) for levels in product("12345", repeat=5)]
BANDS = ("18-34", "35-44", "45-54", "55-64", "65+")
SEX_AND_BAND = list(product(("male", "female"), BANDS))

CROSSWALK = {
    "11111": 1, "21111": 0.877, "12111": 0.846, "11211": 0.906, "11121": 0.837, "11112": 0.879, "22222": 0.592,
    "33333": 0.516, "55555": -0.594,
}  # fmt: skip
"""Printed in van Hout 2012, as read in the package."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both tables, made up: the value is the number of the row; rows in no order."""
    rows = [f"{state},0.{number:05}" for number, state in enumerate(STATES)]
    write(tmp_path / "eq5d5l_uk_crosswalk_vanhout2012.csv", "state,index", rows)
    cells = [(sex, band, state) for sex, band in SEX_AND_BAND for state in STATES]
    rows = [f"{state},{band},{sex},0.{number:06}" for number, (sex, band, state) in enumerate(cells)]
    write(tmp_path / "eq5d5l_to_uk3l_dsu_mapping.csv", "state,age_band,sex,mapped_index", rows)
    return tmp_path


def write(path: Path, head: str, rows: list[str]) -> None:
    random.Random(1).shuffle(rows)
    path.write_text("\n".join([head, *rows, ""]))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def shipped(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((eq5d_tables.TARGET / f"{name}.json").read_text())
    return document


def cell(table: dict[str, Any], *places: int) -> float:
    index = 0
    for axis, place in zip(table["dimensions"], places, strict=True):
        size = axis["to"] - axis["from"] + 1 if "item" in axis else len(axis.get("sex") or axis["age"])
        assert 0 <= place < size
        index = index * size + place
    value: float = table["values"][index]
    return value


def levels(state: str) -> list[int]:
    return [int(level) - 1 for level in state]


def test_values_stand_in_row_major_order_as_printed(folder: Path) -> None:
    text = eq5d_tables.crosswalk(folder)
    assert json.loads(text)["values"] == [number / 100_000 for number in range(3125)]
    assert "0.00010, 0.00011" in text
    assert json.loads(eq5d_tables.dsu(folder))["values"] == [number / 1_000_000 for number in range(31_250)]


def test_each_dimension_is_where_its_axis_says(folder: Path) -> None:
    table = json.loads(eq5d_tables.dsu(folder))
    for number, (sex, band) in enumerate(SEX_AND_BAND):
        places = ("male", "female").index(sex), BANDS.index(band)
        assert cell(table, *places, *levels("21345")) == (number * 3125 + STATES.index("21345")) / 1_000_000


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n11111,0.00000", "", "no value for 11111, 1 in all"),
        ("\n11111,", "\n11112,", "has 11112 twice"),
        ("\n11111,", "\n61111,1\n11111,", "1 rows belong to no cell"),
    ],
)
def test_a_table_with_other_rows_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    change(folder / "eq5d5l_uk_crosswalk_vanhout2012.csv", old, new)
    with pytest.raises(ValueError, match=message):
        eq5d_tables.crosswalk(folder)


def test_the_crosswalk_shipped_has_the_published_values() -> None:
    table = shipped("uk-crosswalk")
    assert {state: cell(table, *levels(state)) for state in CROSSWALK} == CROSSWALK


def test_the_mapping_shipped_has_the_published_ends() -> None:
    """The best state is .985 to .989 and the worst -.532 to -.521 by age and sex, never 1."""
    table = shipped("uk-dsu")
    ends = {state: [cell(table, *place, *levels(state)) for place in product(range(2), range(5))]
            for state in ("11111", "55555")}  # fmt: skip
    assert (round(min(ends["11111"]), 3), round(max(ends["11111"]), 3)) == (0.985, 0.989)
    assert (round(min(ends["55555"]), 3), round(max(ends["55555"]), 3)) == (-0.532, -0.521)
    assert cell(table, 0, 0, *levels("11112")) == 0.893071
    assert cell(table, 1, 4, *levels("55554")) == -0.458427
