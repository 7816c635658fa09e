"""Write docs/instruments/: a page for each instrument and an index, from the instruments themselves.

    python -m tools.instrument_pages

For those who answer for clinical safety: what each number means, what each rule rests on, and what is not known.
The same folders always give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tools.instrument_pages.hazards import hazards
from tools.instrument_pages.instrument import BETTER, EVIDENCE, Instrument, Json
from tools.instrument_pages.markdown import doi, table, text
from tools.instrument_pages.rules import changed, rule

ROOT = Path(__file__).parents[2]
PLACE = Path("docs") / "instruments"
GENERATED = "*Made by `tools/instrument_pages/` from `questionnaires/`; edit those files, not this page.*"


def generated(root: Path = ROOT) -> dict[str, str]:
    """The text of each page by its name in docs/instruments/."""
    all_of_them = [Instrument(path.parent) for path in sorted(root.glob("questionnaires/*/scoring.json"))]
    pages = {f"{one.id}.md": _page(one) for one in all_of_them}
    return {"README.md": _index(all_of_them), **pages}


def _index(instruments: list[Instrument]) -> str:
    status = Counter(one.metadata["evidence"] for one in instruments)
    scored = sum(bool(one.scoring["scores"]) for one in instruments)
    lines = [
        "# The instruments that ship",
        "",
        GENERATED,
        "",
        f"{len(instruments)} instruments, {scored} of them with scores. By evidence status: "
        + ", ".join(f"{count} {name}" for name, count in sorted(status.items(), reverse=True))
        + f"; {status['source-checked'] or 'none'} source-checked. Before use in care, compare each with its manual"
        " and see the [hazards](../instrument-hazards.md).",
        "",
        *table(("Status", "Means"), ((name, meaning) for name, meaning in EVIDENCE.items())),
        "",
        "No published wording ships: all are asked with neutral labels of our own, and scores of answers given on them"
        " carry a warning. A licensee [imports the words](../instruments.md#the-published-wording).",
        "",
        *table(
            ("Instrument", "Version", "Status", "From memory", "Scores", "Rights"),
            (
                (
                    f"[{one.metadata['name']}]({one.id}.md)",
                    one.metadata["version"],
                    one.metadata["evidence"],
                    str(one.evidence["memory"] or "nothing"),
                    ", ".join(f"`{score['name']}`" for score in one.scoring["scores"]) or "none",
                    one.metadata["licence"]["holder"],
                )
                for one in instruments
            ),
        ),
        "",
        "*From memory* counts rules, missing rules, bands, tables and change thresholds of which nobody has opened"
        " any source.",
    ]
    return text(lines)


def _page(one: Instrument) -> str:
    metadata, scores = one.metadata, one.scoring["scores"]
    lines = [
        f"# {metadata['name']}",
        "",
        GENERATED,
        "",
        f"**Evidence status: {metadata['evidence']}** ({EVIDENCE[metadata['evidence']]}). {metadata['evidence_note']}",
        "",
        *table(("", ""), _facts(one)),
        "",
        "## Scores",
        "",
        *([one.scoring["note"], ""] if "note" in one.scoring else []),
        *(_scores(one) if scores else ["None: the answers are stored and searched, and not scored."]),
    ]
    for score in scores:
        lines += ["", *_score(one, score)]
    lines += ["", "## Change", "", *_thresholds(metadata)]
    if one.scoring["alerts"]:
        lines += ["", "## Safety alerts", "", *_alerts(one)]
    lines += ["", "## Hazards of this instrument", "", *hazards(one)]
    lines += ["", "## Sources", "", *(f"- {_sourced(source)}" for source in metadata["sources"])]
    lines += ["", "## How it is tested", "", *_golden(one)]
    return text(lines)


def _facts(one: Instrument) -> Iterator[tuple[str, str]]:
    metadata, form = one.metadata, one.questionnaire
    licence, recall = metadata["licence"], metadata["recall"]
    yield "Purpose", metadata["purpose"]
    yield "Version", metadata["version"]
    yield "Direction", BETTER[metadata["direction"]]
    yield "Recall period", f"{recall['text']} ({recall['evidence']})"
    yield "When", metadata["schedule"]
    yield "Licence", f"{licence['holder']}: {licence['text']} ({licence['evidence']})"
    yield "Questionnaire", f"`{form['url']}\\|{form['version']}`, {_count(form)} questions, neutral labels"
    codes = [f"`{code['system']}\\|{code['code']}`" for code in form.get("code", ())]
    if codes:
        yield "Codes", ", ".join(codes)
    yield "Algorithm", f"`{one.scoring['algorithm']}` {one.scoring['version']}"


def _count(parent: Json) -> int:
    """Questions that somebody answers: calculated scores are read-only."""
    asked = (item for item in parent.get("item", ()) if not item.get("readOnly"))
    return sum((item["type"] not in ("group", "display")) + _count(item) for item in asked)


def _scores(one: Instrument) -> list[str]:
    return table(
        ("Score", "Is", "Range", "Better", "Missing answers", "Evidence"),
        (
            (
                f"`{one.id}.{score['name']}`",
                score["title"],
                _range(score),
                _better(one, score),
                missing(score),
                score["evidence"],
            )
            for score in one.scoring["scores"]
        ),
    )


def _range(score: Json) -> str:
    kind = score["rule"]["kind"]
    if kind == "strata":
        return ", ".join(f"`{stratum['code']}`" for stratum in score["rule"]["strata"])
    if kind == "profile":
        return "the answers side by side"
    reach = score.get("range", {})
    low = f"{reach['low']}" if "low" in reach else "no lower bound"
    high = f"{reach['high']}" if "high" in reach else "no upper bound"
    unit = score["unit"].strip("{}")
    shown = f"{score['decimals']} decimal{'' if score['decimals'] == 1 else 's'}" if score["decimals"] else "whole"
    return f"{low} to {high}{'' if unit == 'score' else f' {unit}'}, shown {shown}"


def _better(one: Instrument, score: Json) -> str:
    if score["rule"]["kind"] in ("strata", "profile"):
        return ""
    return BETTER[score.get("direction", one.metadata["direction"])]


def missing(score: Json) -> str:
    rule = score["missing"]
    if rule["rule"] == "none":
        return "none: no score then"
    some = f"up to {rule['at_most']}" if "at_most" in rule else f"{rule['at_least']} must be there"
    return f"{some}, mean of the answered ({rule['evidence']})"


def _score(one: Instrument, score: Json) -> Iterator[str]:
    yield f"### {score['title']}"
    yield ""
    yield f"- **Rule** ({score['evidence']}): {rule(one, score['rule'])}. {score.get('source', '')}".rstrip()
    missing = score["missing"]
    if missing["rule"] != "none":
        yield f"- **Missing answers** ({missing['evidence']}): {missing['source']}"
    if score.get("codings"):
        yield "- **Codes**: " + ", ".join(f"`{coding['system']}|{coding['code']}`" for coding in score["codings"])
    if before := changed(one, score["rule"]):
        yield f"- **Before the rule**: {before}"
    if "bands" in score:
        bands = score["bands"]
        yield f"- **Bands** ({bands['evidence']}): {bands['source']}"
        yield ""
        yield from table(("From", "Band", "Code"), (_band(one, step) for step in bands["steps"]))


def _band(one: Instrument, step: Json) -> tuple[str, str, str]:
    start = f"{step['from']}" if "from" in step else f"above {step['above']}"
    return start, step["display"], f"`{one.id}.{step['code']}`"


def _thresholds(metadata: Json) -> list[str]:
    if not metadata["mic"]:
        return ["No threshold of change is known here."]
    return table(
        ("Kind", "Points", "Of", "Population", "Method", "Source", "Evidence"),
        (
            (
                entry["kind"] + (f" of `{entry['score']}`" if "score" in entry else ""),
                f"{entry['value']}" + (f" {_started(entry['baseline'])}" if "baseline" in entry else ""),
                "one person" if entry["scope"] == "individual" else f"{entry['scope']}: says nothing of a person",
                entry["population"],
                entry["method"],
                entry["source"] + (f" {doi(entry['doi'])}" if "doi" in entry else ""),
                entry["evidence"],
            )
            for entry in metadata["mic"]
        ),
    )


def _started(baseline: Json) -> str:
    bounds = [f"{word} {baseline[name]}" for name, word in (("low", "from"), ("high", "to")) if name in baseline]
    return f"(for a baseline {' '.join(bounds)})"


def _alerts(one: Instrument) -> list[str]:
    return table(
        ("Alert", "Raised by", "Is", "Advice"),
        (
            (
                f"`{one.id}.{alert['name']}`",
                f"`{alert['item']}` above {alert['above']}, whatever the score",
                alert["title"],
                alert["advice"],
            )
            for alert in one.scoring["alerts"]
        ),
    )


def _sourced(source: Json) -> str:
    return source["text"] + (f" {doi(source['doi'])}" if "doi" in source else "")


def _golden(one: Instrument) -> Iterator[str]:
    if one.golden is None:
        yield "No golden vectors."
        return
    count = len(one.golden["vectors"])
    yield f"{count} golden vectors (`questionnaires/{one.id}/golden.json`), made without this software's scorer."
    yield f"Rules: {one.golden['source']} Numbers: {one.golden['computed'].rstrip('.')}."
