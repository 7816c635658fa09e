"""What the hazard log (docs/instrument-hazards.md) means for one instrument."""

from __future__ import annotations

from collections.abc import Iterator

from tools.instrument_pages.instrument import BETTER, EVIDENCE, Instrument, Json
from tools.instrument_pages.markdown import table

_UNIT = "http://hl7.org/fhir/StructureDefinition/questionnaire-unit"


def hazards(one: Instrument) -> list[str]:
    return table(("Hazard", "Here", "Control"), (_hazard(*row) for row in _applying(one)))


def _hazard(anchor: str, title: str, here: str, control: str) -> tuple[str, str, str]:
    return f"[{anchor.partition('-')[0].upper()}. {title}](../instrument-hazards.md#{anchor})", here, control


def _applying(one: Instrument) -> Iterator[tuple[str, str, str, str]]:
    """Those of the hazard log about which the instrument's own data say something."""
    scores, metadata = one.scoring["scores"], one.metadata
    facts = ", ".join(f"{one.evidence[name]} {name}" for name in EVIDENCE if one.evidence[name]) or "no rule"
    vectors = len(one.golden["vectors"]) if one.golden else 0
    yield (
        "h1-the-rule-is-not-the-published-one",
        "The rule is not the published one",
        f"What its facts rest on: {facts}",
        f"{vectors} golden vectors; compare with the manual before use",
    )
    filled = [f"`{score['name']}`" for score in scores if score["missing"]["rule"] != "none"]
    yield (
        "h2-a-missing-answer-counts-as-nothing",
        "A missing answer counts as nothing",
        f"Missing answers take the mean of the others in {', '.join(filled)}" if filled else "Nothing is filled in",
        "What was filled in is named and warned of; beyond the rule there is no score",
    )
    yield (
        "h3-another-form-or-version-of-the-instrument",
        "Another form or version",
        f"Scored is: {metadata['version']}",
        "Any other version of the Questionnaire is refused",
    )
    turned = [
        f"`{score['name']}`"
        for score in scores
        if score.get("direction", metadata["direction"]) != metadata["direction"]
    ]
    yield (
        "h5-the-direction-is-misread",
        "The direction is misread",
        BETTER[metadata["direction"]] + (f", but the other way in {', '.join(turned)}" if turned else ""),
        "Each explanation says the direction, each Observation the range",
    )
    for alert in one.scoring["alerts"]:
        yield (
            "h6-thoughts-of-self-harm-are-not-seen",
            "Thoughts of self-harm are not seen",
            alert["title"],
            "A Flag and a Task with every write, whatever the total",
        )
    banded = [f"`{score['name']}`" for score in scores if "bands" in score or score["rule"]["kind"] == "strata"]
    if banded:
        yield (
            "h10-a-word-is-taken-for-a-finding",
            "A word is taken for a finding",
            f"Words for numbers: {', '.join(banded)}",
            "Their source and evidence above; found from the exact value",
        )
    personal = sum(entry["scope"] == "individual" for entry in metadata["mic"])
    if metadata["mic"]:
        yield (
            "h11-change-is-misjudged",
            "Change is misjudged",
            f"{len(metadata['mic'])} thresholds, {personal} of them for one person",
            "Each with population, method and source; only those for one person are applied",
        )
    units = [f"`{name}` in {unit}" for name, unit in _units(one.questionnaire)]
    if units:
        yield (
            "h12-units-and-laboratory-values",
            "Units and laboratory values",
            ", ".join(units),
            "Other units are converted by UCUM, unitless values refused",
        )
    if one.tables:
        yield (
            "h13-tables-and-value-sets-are-mixed",
            "Tables and value sets are mixed",
            f"Tables: {', '.join(f'`{name}`' for name in one.tables)}",
            "Each score names its table; the checksum covers it",
        )
    yield (
        "h14-our-labels-are-not-the-instrument",
        "Our labels are not the instrument",
        "Neutral labels ship",
        "Every score of them warns; import the wording under a licence",
    )


def _units(parent: Json) -> Iterator[tuple[str, str]]:
    for item in parent.get("item", ()):
        for extension in item.get("extension", ()):
            if extension["url"] == _UNIT:
                yield item["linkId"], extension["valueCoding"]["code"]
        yield from _units(item)
