"""The texts that patients read, and what the forms that are not scored ask."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator

from tools.instrument_pages.markdown import table
from tools.pathway_pages.shipped import COLLECT_WITH, Json, Shipped, extension, part

_TYPES = {
    "boolean": "yes or no",
    "text": "free text",
    "string": "a line of text",
    "integer": "a number",
    "date": "a date",
    "display": "shown",
}


def resource_lines(shipped: Shipped) -> Iterator[str]:
    """Every resource with its words, as they are."""
    for library in shipped.of("Library"):
        coproduced = extension(library, "msk-coproduction")
        topics = [shipped.display("msk-self-care", one["coding"][0]["code"]) for one in library.get("topic", ())]
        yield f"### {library['title']} (`{library['id']}`)"
        yield ""
        yield (
            f"For: {', '.join(_contexts(library, 'focus'))}. Supported self-care: {', '.join(topics) or 'no'}. "
            f"Reviewed {library['lastReviewDate']} by: {library['reviewer'][0]['name']}; "
            f"{part(coproduced, 'group')['valueString']}. To be reviewed again by {library['effectivePeriod']['end']}."
        )
        yield ""
        for line in b64decode(library["content"][0]["data"]).decode().rstrip().splitlines():
            yield f"> {_without_heading(line)}".rstrip()
        yield ""


def _contexts(library: Json, code: str) -> list[str]:
    return [one["valueCodeableConcept"]["text"] for one in library["useContext"] if one["code"]["code"] == code]


def _without_heading(line: str) -> str:
    """The page has headings of its own."""
    return f"**{line[2:]}**" if line.startswith("# ") else line


def form_lines(shipped: Shipped) -> Iterator[str]:
    """The forms of our own that steps ask; instruments have their own pages."""
    asked = {
        one["valueCanonical"]
        for activity in shipped.of("ActivityDefinition")
        for one in activity.get("extension", ())
        if one["url"] == COLLECT_WITH
    }
    forms = [form for form in shipped.of("Questionnaire") if f"{form['url']}|{form['version']}" in asked]
    yield "Instruments with a score have [pages of their own](instruments/README.md)."
    yield ""
    for form in forms:
        if "copyright" in form:
            continue
        yield f"### {form['title'].removesuffix(', neutral labels')} (`{form['id']}`)"
        yield ""
        yield form["description"].partition("published wording. ")[2] or form["description"]
        yield ""
        yield from table(("Item", "Answer"), ((item["text"], _answer(item)) for item in form["item"]))
        yield ""


def _answer(item: Json) -> str:
    if "answerOption" in item:
        return "; ".join(option["valueCoding"]["display"] for option in item["answerOption"])
    required = ", required" if item.get("required") else ""
    return f"{_TYPES[item['type']]}{required}"
