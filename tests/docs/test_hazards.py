"""The hazard log names controls that exist."""

import re

import pytest

HAZARD = re.compile(r"^### (H\d+)\. ", re.MULTILINE)


@pytest.fixture(scope="module")
def log(repository):
    return (repository / "docs" / "instrument-hazards.md").read_text()


def test_every_test_that_the_log_names_exists(log, repository):
    named = set(re.findall(r"`(test_\w+)`", log))
    sources = [path.read_text() for path in repository.glob("tests/**/test_*.py")]
    defined = {name for source in sources for name in re.findall(r"def (test_\w+)", source)}
    assert len(named) > 40
    assert sorted(named - defined) == []


def test_every_hazard_has_cause_effect_control_and_residual_risk(log):
    entries = HAZARD.split(log.partition("\n## Before use in care")[0])[1:]
    numbers, texts = entries[::2], entries[1::2]
    assert numbers == [f"H{number}" for number in range(1, len(numbers) + 1)]
    for number, text in zip(numbers, texts, strict=True):
        for part in ("Cause", "Effect", "Control", "Residual"):
            assert text.count(f"- **{part}**: ") == 1, (number, part)


def test_every_anchor_of_the_pages_is_a_hazard(log, repository):
    headings = re.findall(r"^### (.+)$", log, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    used = {
        anchor
        for page in repository.glob("docs/instruments/*.md")
        for anchor in re.findall(r"instrument-hazards\.md#([\w-]+)", page.read_text())
    }
    assert used
    assert sorted(used - anchors) == []
