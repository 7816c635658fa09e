"""docs/pathways.md, for clinicians: every shipped pathway step by step, from the folders of profiles/pathways.

    python -m tools.pathway_pages

The same folders always give the same bytes; tests/content/test_pathway_pages.py compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tools.instrument_pages.markdown import table, text
from tools.pathway_pages.shipped import Json, Shipped
from tools.pathway_pages.steps import rows
from tools.pathway_pages.words import form_lines, resource_lines

ROOT = Path(__file__).parent.parent.parent
PLACE = "docs/pathways.md"
_HEAD = ("No.", "Step", "When", "Who", "Only if", "Basis")

INTRODUCTION = """\
# Pathways, step by step

Written by `python -m tools.pathway_pages` from `profiles/pathways`, `questionnaires` and `terminology`; a test
compares.

**All of this is a sample.** It shows what the software can do. No step, day, window or text here is clinical advice,
and none has been approved by a clinician: `experimental` is set on everything, and reviewers and dates of review are
invented. A service that uses a pathway reviews every line of it first.

## What the facts rest on

- **Read at the source:** NICE quality standard 33 (rheumatoid arthritis, 2020), its page of quality statements and
  statement 2. Steps that rest on it say so under the table of their pathway; how a window is laid around such a limit
  is ours.
- **Named, not opened:** the paper on STarT Back behind the three risk groups. What each score rests on is said on
  [its own page](instruments/README.md).
- **From memory, or chosen as samples:** everything else. That is every other day and window, the list of red flags,
  which questionnaire is asked when, and which treatment follows which answer. Where an outcome is compared with the one
  at baseline, it is a plain comparison: no published threshold of change is used, and none was made up. The codes of
  SNOMED CT on resources were seen in public data, and not looked up in an edition.

## How to read it

- *When* is counted from an event in the patient's course, or from the step before. A window has whole days, both ends
  included. A patient's step that is not done in its window is missed; a step of staff stays open and is overdue.
- *Only if* is looked at once, on the day the step gets its date. Where it does not hold, the patient does not have the
  step. Where answers that it needs are missing, it does not hold, unless it says so.
- A step that waits for a step that was missed waits on: somebody has to decide.
- *Basis*: **sample**, or the number of the source below the table.
- Patients can answer on paper, by phone or through somebody they trust as well.
"""


def generated(root: Path = ROOT) -> str:
    """The text of the page."""
    shipped = Shipped(root)
    lines = [INTRODUCTION]
    for plan in shipped.plans():
        lines += _pathway(shipped, plan)
    lines += ["## What patients read", "", *resource_lines(shipped), "## What the forms ask", "", *form_lines(shipped)]
    return text(lines)


def _pathway(shipped: Shipped, plan: Json) -> Iterator[str]:
    sources: list[str] = []
    steps = list(rows(shipped, plan, sources))
    yield f"## {plan['title']}"
    yield ""
    yield f"`{plan['id']}`. {plan['description']}"
    yield ""
    if "purpose" in plan:
        yield f"*What for:* {plan['purpose']}"
        yield ""
    yield f"*Events, as they are dated:* {'; '.join(shipped.events(plan))}."
    yield ""
    for goal in plan.get("goal", ()):
        yield f"*Goal, to be agreed with the patient:* {goal['description']['text']}."
        yield ""
    yield from table(_HEAD, steps)
    yield ""
    for number, source in enumerate(sources, 1):
        yield f"{number}. {source}"
    if sources:
        yield ""


def main() -> None:
    (ROOT / PLACE).write_text(generated(), encoding="utf-8")
