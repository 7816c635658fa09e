"""Units in base units, against conversions stated by UCUM and by definition."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model import ucum_units
from fhir_server.model.ucum import canonical


@pytest.mark.parametrize(
    ("value", "code", "expected", "base"),
    [
        ("5.4", "mg", "0.0054", "g"),
        ("1", "kg", "1000", "g"),
        ("120", "mm[Hg]", "15998640", "g.m-1.s-2"),
        ("1", "kPa", "1000000", "g.m-1.s-2"),
        ("37", "Cel", "310.15", "K"),
        ("98.6", "[degF]", "310.15", "K"),
        ("27", "kg/m2", "27000", "g.m-2"),
        ("18", "{score}", "18", "1"),
        ("18", "1", "18", "1"),
        ("50", "%", "0.5", "1"),
        ("72", "/min", "1.2", "s-1"),
        ("72", "{beats}/min", "1.2", "s-1"),
        ("2", "h", "7200", "s"),
        ("1", "a", "31557600", "s"),
        ("6", "[ft_i]", "1.8288", "m"),
        ("3937", "[ft_us]", "1200", "m"),
        ("3937", "[mi_us]", "6336000", "m"),
        ("1", "[lb_av]", "453.59237", "g"),
        ("5", "10*9/L", "5000000000000", "m-3"),
        ("5", "10*3/uL", "5000000000000", "m-3"),
        ("4.2", "mmol/L", "4.2", "m-3.mol"),
        ("1", "mg/dL", "10", "g.m-3"),
        ("6", "mg/(kg.h)", "0.000000001666666666666666666666666667", "s-1"),
        ("10", "[IU]/L", "10000", "[iU].m-3"),
        ("10", "[iU]/L", "10000", "[iU].m-3"),
        ("1", "L", "0.001", "m3"),
        ("1", "N.m", "1000", "g.m2.s-2"),
        ("1", "J", "1000", "g.m2.s-2"),
        ("1", "m[H2O]", "9806650", "g.m-1.s-2"),
        ("90", "deg", "1.570796326794896619231321691639751", "rad"),
    ],
)
def test_a_unit_is_reduced_exactly(value: str, code: str, expected: str, base: str) -> None:
    found = canonical(Decimal(value), code)
    assert found is not None
    assert found[1] == base
    assert abs(found[0] - Decimal(expected)) <= abs(Decimal(expected)) * Decimal("1e-27")


@pytest.mark.parametrize(
    "code",
    [
        "",
        "tablets",
        "mmHg",
        "kh",
        "m/",
        "m..s",
        "(m",
        "m)",
        "m s",
        "0",
        "{open",
        "[foo]",
        "m" * 200,
        "m99",
        "(" * 50,
        "k[degF]",
        "Cel/min",
    ],
)
def test_what_is_not_a_known_unit_has_no_base(code: str) -> None:
    assert canonical(Decimal(1), code) is None


@pytest.mark.parametrize(
    "code", sorted({*ucum_units.METRIC, *ucum_units.NON_METRIC, *ucum_units.BASE, *ucum_units.ARBITRARY})
)
def test_every_unit_of_the_table_is_defined_by_others(code: str) -> None:
    assert canonical(Decimal(1), code) is not None


@given(st.text(alphabet="mgsLh/.()[]{}0123456789*^kdcu%-+ ", max_size=30))
def test_no_text_fails(code: str) -> None:
    canonical(Decimal("1.5"), code)
