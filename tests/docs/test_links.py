"""Links between the documents lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_to_files(document):
    broken = [target for target in LINK.findall(document.read_text()) if not (document.parent / target).exists()]
    assert broken == []


def test_paths_named_in_the_sources_exist():
    named = {
        path
        for source in ROOT.glob("fhir_server/**/*.py")
        for path in re.findall(r"\bdocs/[\w/-]+\.md", source.read_text())
    }
    assert named
    assert sorted(path for path in named if not (ROOT / path).exists()) == []
