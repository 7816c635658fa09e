"""MSK-HQ and PROMIS: Global Health, Physical Function 4a, Pain Interference 4a."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tools.golden.vectors import Expected, Golden, Vector, but, each_moved, every, numbered, typed_row, vector

MSK_HQ = numbered("q", 14)


def _msk_hq() -> Iterator[Vector]:
    for level in range(5):
        yield vector(f"all {level}", every(MSK_HQ, level), {"total": 14 * level}, status="final")
    mixed = dict(zip(MSK_HQ, [4, 3, 2, 1, 0, 4, 3, 2, 1, 0, 4, 3, 2, 1], strict=True))
    yield vector("mixed: 30", mixed, {"total": 30}, status="final")
    for days in range(8):
        yield vector(f"{days} active days are no part of the total", {**mixed, "activity_days": days}, {"total": 30})
    yield from each_moved(every(MSK_HQ, 1), 1, lambda _: {"total": 15})
    yield vector(
        "items 12 and 13 carry item scores, not positions: 4 is best here too",
        but(every(MSK_HQ, 0), {"q12": 4, "q13": 4}),
        {"total": 8},
    )
    for unverified in (False, True):
        yield vector(
            "one missing: no rule is known, so no total",
            but(mixed, {"q8": None}),
            refused=["q8"],
            allow_unverified=unverified,
        )
    yield vector("no level 5", but(mixed, {"q1": 5}), refused=["q1"])


GPH_T = typed_row("16.2 19.9 23.5 26.7 29.6 32.4 34.9 37.4 39.8 42.3 44.9 47.7 50.8 54.1 57.7 61.9 67.7")
GMH_T = typed_row("21.2 25.1 28.4 31.3 33.8 36.3 38.8 41.1 43.5 45.8 48.3 50.8 53.3 56 59 62.5 67.6")
PAIN = "global07_raw_0_10"
PAIN_POINTS = (5, 4, 4, 4, 3, 3, 3, 2, 2, 2, 1)
"""Item score of pain 0, 1, ... 10."""
PAIN_OF_POINTS = {5: 0, 4: 2, 3: 5, 2: 8, 1: 10}
GLOBAL = [*numbered("global0", 6), PAIN, "global08r", "global09r", "global10r"]


def _spread(count: int, raw: int) -> list[int]:
    """`count` item scores 1-5 that add up to `raw`."""
    return [raw // count + (place < raw % count) for place in range(count)]


def _global_scores(gph: int, gmh: int) -> Expected:
    return {"gph_raw": gph, "gmh_raw": gmh, "gph_t": GPH_T[gph - 4], "gmh_t": GMH_T[gmh - 4]}


def _global() -> Iterator[Vector]:
    for raw in range(4, 21):
        g03, g06, pain, g08 = _spread(4, raw)
        g02, g04, g05, g10 = _spread(4, 24 - raw)
        answers = {"global01": 3, "global02": g02, "global03": g03, "global04": g04, "global05": g05, "global06": g06}
        answers |= {PAIN: PAIN_OF_POINTS[pain], "global08r": g08, "global09r": 3, "global10r": g10}
        yield vector(
            f"physical {raw}, mental {24 - raw}",
            answers,
            _global_scores(raw, 24 - raw),
            status="final",
            source=f"T table rows {raw} (physical) and {24 - raw} (mental)",
        )
    yield vector(
        "physical 2 + 2 + 3 + 2, mental 3 + 1 + 1 + 1",
        dict(zip(GLOBAL, [2, 3, 2, 1, 1, 2, 4, 2, 5, 1], strict=True)),
        {"gph_raw": 9, "gmh_raw": 6, "gph_t": "32.4", "gmh_t": "28.4"},
        source="awell-score, random response",
    )
    best = {**every(GLOBAL, 5), PAIN: 0}
    yield vector("all best", best, _global_scores(20, 20), status="final")
    yield vector("all worst", {**every(GLOBAL, 1), PAIN: 10}, _global_scores(4, 4), status="final")
    middle = {**every(GLOBAL, 3), PAIN: 5}
    for pain, points in enumerate(PAIN_POINTS):
        yield vector(f"pain {pain} counts {points}", but(middle, {PAIN: pain}), _global_scores(9 + points, 12))
    physical, mental = ("global03", "global06", "global08r"), ("global02", "global04", "global05", "global10r")
    for item in GLOBAL:
        if item != PAIN:
            expected = _global_scores(12 + (item in physical), 12 + (item in mental))
            yield vector(f"only {item} moved, 3 to 4", but(middle, {item: 4}), expected)
    no_physical: Expected = {"gph_raw": None, "gph_t": None, "gmh_raw": 20, "gmh_t": GMH_T[16]}
    no_mental: Expected = {"gmh_raw": None, "gmh_t": None, "gph_raw": 20, "gph_t": GPH_T[16]}
    for item in (*physical, PAIN):
        yield vector(f"{item} missing: no physical score", but(best, {item: None}), no_physical, status="final")
    for item in mental:
        yield vector(f"{item} missing: no mental score", but(best, {item: None}), no_mental, status="final")
    yield vector(
        "global01 and global09r are in no score",
        but(best, {"global01": None, "global09r": None}),
        _global_scores(20, 20),
        status="final",
    )
    yield vector("no pain 11", but(best, {PAIN: 11}), refused=[PAIN])
    yield vector("no level 0", but(best, {"global02": 0}), refused=["global02"])
    yield vector("no level 6", but(best, {"global08r": 6}), refused=["global08r"])


FUNCTION_OLDER = typed_row("22.9 26.9 29.1 30.7 32.1 33.3 34.4 35.6 36.7 37.9 39.1 40.4 41.8 43.4 45.3 48 56.9")
FUNCTION_NEWER = typed_row("22.5 26.6 28.9 30.5 31.9 33.2 34.4 35.6 36.7 37.9 39.2 40.5 41.9 43.5 45.5 48.3 57")
INTERFERENCE = typed_row("41.6 49.6 52 53.9 55.6 57.1 58.5 59.9 61.2 62.5 63.8 65.2 66.6 68 69.7 71.6")


INTERFERENCE_BANDS = ((55, "normal"), (60, "mild"), (70, "moderate"), (1000, "severe"))
FUNCTION_BANDS = ((30, "severe"), (40, "moderate"), (45, "mild"), (1000, "normal"))
"""T below which a band holds."""
Bands = tuple[tuple[int, str], ...]


def _four(tables: dict[str, list[str]], bands: Bands) -> Iterator[Vector]:
    """Every row of the tables of a short form of four items 1-5; a raw sum past the end of a table has no T."""
    items = numbered("q", 4)

    def expected(raw: int) -> Expected:
        cells = {score: table[raw - 4] if raw - 4 < len(table) else None for score, table in tables.items()}
        return {"raw": raw, **cells}

    for raw in range(4, 21):
        answers = dict(zip(items, _spread(4, raw), strict=True))
        yield vector(f"raw {raw}", answers, expected(raw), status="final", source=f"table row raw {raw}")
        found = {
            score: next(code for end, code in bands if Decimal(table[raw - 4]) < end)
            for score, table in tables.items()
            if raw - 4 < len(table)
        }
        yield vector(
            f"raw {raw} with the bands, known from memory only",
            answers,
            expected(raw),
            bands=found,
            status={"raw": "final", **dict.fromkeys(found, "preliminary")},
            allow_unverified=True,
        )
    without: dict[str, str | None] = dict.fromkeys(tables)
    yield vector("bands known from memory only: none", every(items, 4), expected(16), bands=without)
    for level in (2, 3, 4):
        answers = but(every(items, 1), {"q1": level, "q4": 5})
        yield vector(f"{level} + 1 + 1 + 5", answers, expected(level + 7))
    yield from each_moved(every(items, 3), 1, lambda _: expected(13))
    for item in items:
        yield vector(f"{item} missing: no sum, no table row", but(every(items, 3), {item: None}), refused=[item])
    yield vector("no level 0", but(every(items, 3), {"q1": 0}), refused=["q1"])
    yield vector("no level 6", but(every(items, 3), {"q4": 6}), refused=["q4"])


_TYPED = "Sums by hand; the tables were typed in apart from the definition."
GOLDEN = (
    Golden(
        "msk-hq",
        "Total = sum of 14 item scores 0 to 4, 56 best; the 15th question (active days) is not in it (csp.org.uk, "
        "fysiobasen). No rule for missing items is known.",
        "Added up by hand.",
        list(_msk_hq()),
    ),
    Golden(
        "promis-global-10",
        "v1.2: physical = 03 + 06 + 07 recoded + 08r, mental = 02 + 04 + 05 + 10r, T of the raw sum (awell-score "
        "c37843e, Hays 2009 memos; mental raw 4 is 21.2 as in the manual, 21.1 in the memo). All four are needed.",
        _TYPED,
        list(_global()),
    ),
    Golden(
        "promis-pf-4a",
        "Raw sum of four items 1 to 5 to T by two published tables: PROMIS-29 v1/v2 (older) and the newer one, both "
        "seen in public code. Bands 30/40/45 from memory.",
        _TYPED,
        list(_four({"t_older": FUNCTION_OLDER, "t_newer": FUNCTION_NEWER}, FUNCTION_BANDS)),
    ),
    Golden(
        "promis-pi-4a",
        "Raw sum of four items 1 to 5 to T, as seen in public code; for raw 20 the copies differ (75.6, 75.8), so "
        "there is no T. Bands 55/60/70 from memory.",
        _TYPED,
        list(_four({"t": INTERFERENCE}, INTERFERENCE_BANDS)),
    ),
)
