"""EQ-5D-5L and EQ-5D-3L: profile, every index, VAS."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from tools.golden.vectors import Expected, Golden, Vector, but, vector

DIMENSIONS = ("mobility", "self_care", "usual_activities", "pain_discomfort", "anxiety_depression")
ENGLAND = (
    (0, 58, 76, 207, 274),
    (0, 50, 80, 164, 203),
    (0, 50, 63, 162, 184),
    (0, 63, 84, 276, 335),
    (0, 78, 104, 285, 289),
)
ROWEN = (
    (0, 32, 58, 179, 279),
    (0, 38, 60, 162, 206),
    (0, 49, 86, 184, 212),
    (0, 56, 66, 371, 479),
    (0, 41, 126, 313, 391),
)
"""Decrements of levels 1 to 5, in thousandths (Devlin 2018, Rowen 2026)."""
QUOTED_CROSSWALK = {
    "55555": "-0.594",
    "33333": "0.516",
    "22222": "0.592",
    "11112": "0.879",
    "11121": "0.837",
    "11211": "0.906",
    "12111": "0.846",
    "21111": "0.877",
    "11111": "1",
}
"""The states that are quoted apart from the table; _CROSSWALK must say the same."""
_CROSSWALK = """
11111 1 11112 0.879 11113 0.848 11114 0.635 11115 0.414 11121 0.837 11131 0.796 11141 0.584 11151 0.264 11155 0.028
11211 0.906 11311 0.883 11411 0.776 11511 0.556 11515 0.32 11551 0.17 11555 -0.066 12111 0.846 12345 0.063 13111 0.815
14111 0.723 14253 0.033 15111 0.436 15115 0.2 15151 0.05 15155 -0.186 15511 0.342 15515 0.106 15551 -0.044 15555 -0.28
21111 0.877 22222 0.592 23154 -0.049 24435 0.049 31111 0.85 32451 0.053 33333 0.516 35142 0.083 41111 0.813 41523 0.3
44444 0.036 45332 0.134 51111 0.336 51115 0.1 51151 -0.05 51155 -0.286 51511 0.242 51515 0.006 51551 -0.144 51555 -0.38
53214 0.051 54321 0.071 55111 0.122 55115 -0.114 55151 -0.264 55155 -0.5 55511 0.028 55515 -0.208 55551 -0.358
55555 -0.594
"""
BAND_AGES = ((18, 34), (35, 44), (45, 54), (55, 64), (65, 99))
"""First and last year of each age band of the NICE DSU mapping; the last band is open."""
_DSU = """
11111 0.986652 0.987058 0.987112 0.987115 0.988529 0.984507 0.985218 0.98541 0.985932 0.987913
21354 0.241262 0.196239 0.143431 0.141889 0.171258 0.224129 0.182403 0.135398 0.138071 0.16793
12345 0.083478 0.065209 0.037254 0.021924 0.031397 0.067187 0.051419 0.026553 0.012682 0.022337
33333 0.434476 0.435924 0.43732 0.438733 0.452468 0.419836 0.423933 0.426146 0.428366 0.445197
25413 0.323365 0.301561 0.309883 0.301949 0.289438 0.357106 0.328836 0.336469 0.330308 0.306669
55555 -0.523581 -0.524624 -0.52184 -0.53103 -0.531576 -0.523639 -0.524271 -0.521121 -0.529217 -0.528824
"""
"""State, then men by age band, then women by age band."""


def _answers(state: str, vas: int | None = None) -> dict[str, Any]:
    return but(dict(zip(DIMENSIONS, map(int, state), strict=True)), {"vas": vas})


def _additive(decrements: tuple[tuple[int, ...], ...], state: str) -> str:
    thousandths = 1000 - sum(of_level[int(level) - 1] for of_level, level in zip(decrements, state, strict=True))
    return _thousandths(thousandths)


def _thousandths(value: int) -> str:
    whole, rest = divmod(abs(value), 1000)
    text = f"{whole}.{rest:03}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 else text


def _five_levels() -> Iterator[Vector]:
    cells = _CROSSWALK.split()
    crosswalk = dict(zip(cells[::2], cells[1::2], strict=True))
    assert crosswalk | QUOTED_CROSSWALK == crosswalk
    assert (_additive(ENGLAND, "55555"), _additive(ROWEN, "55555")) == ("-0.285", "-0.567")
    for place, (state, index) in enumerate(crosswalk.items()):
        vas = place * 100 // (len(crosswalk) - 1)
        expected: Expected = {
            "profile": state,
            "index_england_devlin2018": _additive(ENGLAND, state),
            "index_uk_crosswalk_vanhout2012": index,
            "index_uk_rowen2026": _additive(ROWEN, state),
            "index_uk_dsu_mapping": None,
            "vas": vas,
        }
        yield vector(
            f"state {state}, age and sex not known",
            _answers(state, vas),
            expected,
            status="final",
            source=f"van Hout 2012 row {state}",
        )
    yield from _dsu()
    yield from _absent(crosswalk)


def _dsu() -> Iterator[Vector]:
    """Each state at both ends of the age bands in turn, for each sex."""
    for place, line in enumerate(_DSU.strip().splitlines()):
        state, *cells = line.split()
        for sex, of_sex in (("male", cells[:5]), ("female", cells[5:])):
            for ages, index in zip(BAND_AGES, of_sex, strict=True):
                age = ages[place % 2]
                yield vector(
                    f"state {state}, {sex}, {age}",
                    _answers(state),
                    {"profile": state, "index_uk_dsu_mapping": index},
                    status="final",
                    source=f"NICE DSU mapping row {state}, {sex}, from {ages[0]}",
                    subject={"age": age, "sex": sex},
                )


def _absent(crosswalk: dict[str, str]) -> Iterator[Vector]:
    no_index: Expected = {"index_uk_dsu_mapping": None, "index_uk_crosswalk_vanhout2012": crosswalk["21111"]}
    for name, subject in (
        ("no age", {"sex": "male"}),
        ("no sex", {"age": 50}),
        ("sex other: no column", {"age": 50, "sex": "other"}),
        ("17: below the first age band", {"age": 17, "sex": "female"}),
    ):
        yield vector(f"DSU mapping, {name}", _answers("21111"), no_index, subject=subject)
    indices = ("england_devlin2018", "uk_crosswalk_vanhout2012", "uk_dsu_mapping", "uk_rowen2026")
    yield from _incomplete([f"index_{name}" for name in indices], 5)


def _incomplete(indices: list[str], highest: int) -> Iterator[Vector]:
    for dimension in DIMENSIONS:
        yield vector(
            f"{dimension} missing: no profile and no index, the VAS stands",
            but(_answers("22222", 70), {dimension: None}),
            {"profile": None, **dict.fromkeys(indices), "vas": 70},
            status="final",
            subject={"age": 50, "sex": "male"},
        )
    yield vector("VAS missing: the profile stands", _answers("11111"), {"profile": "11111", "vas": None})
    for vas in (0, 100):
        yield vector(f"VAS {vas}", _answers("11111", vas), {"vas": vas})
    for vas in (-1, 101):
        yield vector(f"no VAS {vas}", _answers("11111", vas), refused=["vas"])
    for level in (0, highest + 1):
        yield vector(
            f"no level {level}", but(_answers("11111"), {"pain_discomfort": level}), refused=["pain_discomfort"]
        )


TTO = {"any": 81, "any3": 269, "levels": ((0, 69, 314), (0, 104, 214), (0, 36, 94), (0, 123, 386), (0, 71, 236))}
VAS = {"any": 155, "any3": 215, "levels": ((0, 71, 182), (0, 93, 145), (0, 31, 81), (0, 84, 171), (0, 63, 124))}
"""Dolan 1997 and the VAS set, in thousandths: any level above 1, any level 3, decrements of levels 1 to 3."""


def _three_level_index(value_set: dict[str, Any], state: str) -> str:
    value = 1000 - sum(of_level[int(level) - 1] for of_level, level in zip(value_set["levels"], state, strict=True))
    if state != "11111":
        value -= value_set["any"]
    if "3" in state:
        value -= value_set["any3"]
    return _thousandths(value)


def _three_levels() -> Iterator[Vector]:
    assert (_three_level_index(TTO, "33333"), _three_level_index(VAS, "33333")) == ("-0.594", "-0.073")
    states = {"".join(levels) for levels in product("13", repeat=5)}
    states |= {"1" * place + "2" + "1" * (4 - place) for place in range(5)}
    states |= {"3" * place + "2" + "3" * (4 - place) for place in range(5)}
    states |= {"22222", "11223", "21232", "32112", "12321", "23213"}
    for place, state in enumerate(sorted(states)):
        vas = 100 - 2 * place
        yield vector(
            f"state {state}",
            _answers(state, vas),
            {
                "profile": state,
                "index_uk_tto_dolan1997": _three_level_index(TTO, state),
                "index_uk_vas": _three_level_index(VAS, state),
                "vas": vas,
            },
            status="final",
        )
    yield from _incomplete(["index_uk_tto_dolan1997", "index_uk_vas"], 3)


GOLDEN = (
    Golden(
        "eq-5d-5l",
        "England (Devlin 2018) and UK (Rowen 2026): 1 - sum of decrements; UK crosswalk (van Hout 2012) and NICE DSU "
        "mapping (EEPRU data): rows of the tables of the R package eq5d. No index unless all five are answered.",
        "Decrements typed in and added up in thousandths; table rows typed in apart from the shipped tables.",
        list(_five_levels()),
    ),
    Golden(
        "eq-5d-3l",
        "UK TTO (Dolan 1997) and UK VAS sets: 1 - constant if any level is above 1 - constant if any is 3 - decrements "
        "(R package eq5d). No index unless all five are answered.",
        "Decrements typed in and added up in thousandths.",
        list(_three_levels()),
    ),
)
