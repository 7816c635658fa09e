"""The published wording of an instrument, imported by a licensee: a Questionnaire of the same items and codes.

It has the url of the shipped one, a version of its own, and is in the database only. A stored Questionnaire gets the
rules of the instrument only while nothing but its words differs: other items or codes are another form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from typing import Any

from fhir_server.instruments.calculated import CALCULATED_SCORES
from fhir_server.instruments.definition import Instrument, Wording
from fhir_server.instruments.schemas import violations

Json = dict[str, Any]

NEUTRAL = "neutral"
TAG = "imported-wording"
"""Code of the tag, in the system `<canonical base>/wording`."""
_WORDS = ("text", "prefix")
"""Elements of an item that are words, besides the displays of its options."""


class WordingError(Exception):
    """A wording cannot be imported; each complaint names its JSON path."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


def questionnaire_id(instrument_id: str, version: str) -> str:
    """The logical id of a Questionnaire of an instrument, shipped or imported."""
    return f"{instrument_id}-{version}"


def template(instrument: Instrument) -> Json:
    """A wording to be filled in: every item and option, without a word."""
    items = {item["linkId"]: _blank(item) for item in _items(instrument.questionnaire)}
    return {"title": instrument.metadata["name"], "language": "", "version": "", "items": items}


def worded_questionnaire(instrument: Instrument, wording: Json, licence: str, today: str) -> Json:
    """The Questionnaire of `wording` for the shipped `instrument`.

    Raises WordingError when an item or option lacks its words, or one is unknown.
    """
    complaints = violations("wording.schema.json", wording)
    if not complaints:
        complaints = list(_complaints(instrument, wording, licence))
    if complaints:
        raise WordingError(complaints)
    version = f"{instrument.version.removesuffix(f'-{NEUTRAL}')}-{wording['version']}"
    made = deepcopy(instrument.questionnaire)
    for item in _items(made):
        words = wording["items"][item["linkId"]]
        item["text"] = words["text"]
        item.pop("prefix", None)
        for coding in _codings(item):
            coding["display"] = words["options"][coding["code"]]
    holder = instrument.metadata["licence"]["holder"]
    made.pop("publisher", None)
    return made | {
        "id": questionnaire_id(instrument.id, version),
        "meta": {"tag": [{"system": f"{instrument.canonical_base}/wording", "code": TAG}]},
        "language": wording["language"],
        "version": version,
        "name": made["name"].removesuffix("Neutral") + "".join(map(str.capitalize, _parts(wording["version"]))),
        "title": wording["title"],
        "derivedFrom": [instrument.canonical],
        "experimental": False,
        "date": today,
        "description": f"Wording imported here under a licence; items, codes and rules are those of "
        f"{instrument.canonical}.",
        "copyright": f"{licence}{'' if licence.endswith('.') else '.'} Rights holder as known here: {holder}",
    }


def worded(instrument: Instrument, stored: Json) -> Instrument:
    """`instrument` answered on the `stored` Questionnaire: the same rules, another version.

    Raises WordingError when that is no imported wording, or its items or codes are others.
    """
    complaints = list(_differences(instrument, stored))
    if complaints:
        raise WordingError(complaints)
    content = {element: value for element, value in stored.items() if element != "meta"}
    told = json.dumps(content, sort_keys=True, default=str, ensure_ascii=False)
    return replace(
        instrument,
        version=stored["version"],
        questionnaire=stored,
        checksum=sha256(f"{instrument.checksum} {told}".encode()).hexdigest(),
        wording=Wording(stored["version"], stored["title"], stored["language"]),
    )


def _complaints(instrument: Instrument, wording: Json, licence: str) -> Iterator[str]:
    if not licence.strip():
        yield "the text of the licence is empty: say by whom and for what the wording is licensed"
    if wording["version"].endswith(NEUTRAL):
        yield f"$.version: {wording['version']} ends as the versions of our own labels do; name the published form"
    asked = {item["linkId"]: item for item in _items(instrument.questionnaire)}
    yield from (f"$.items.{link_id}: {instrument.id} has no such item" for link_id in wording["items"].keys() - asked)
    for link_id, item in asked.items():
        given = wording["items"].get(link_id)
        if given is None:
            yield f"$.items.{link_id}: the wording of this item lacks"
        else:
            yield from _option_complaints(f"$.items.{link_id}.options", item, given.get("options", {}))
    if all(_unchanged(item, wording["items"].get(link_id, {})) for link_id, item in asked.items()):
        yield "$.items: these are the neutral labels, not the published wording"


def _option_complaints(path: str, item: Json, given: Json) -> Iterator[str]:
    codes = [coding["code"] for coding in _codings(item)]
    yield from (f"{path}.{code}: the wording of this answer lacks" for code in codes if code not in given)
    yield from (f"{path}.{code}: the item has no such answer" for code in given if code not in codes)


def _unchanged(item: Json, given: Json) -> bool:
    displays = {coding["code"]: coding.get("display") for coding in _codings(item)}
    return bool(given.get("text") == item.get("text") and given.get("options", {}) == displays)


def _differences(instrument: Instrument, stored: Json) -> Iterator[str]:
    tags = [(tag.get("system"), tag.get("code")) for tag in stored.get("meta", {}).get("tag", ())]
    if (f"{instrument.canonical_base}/wording", TAG) not in tags or stored.get("experimental") is not False:
        yield "it is no imported wording (fhir-server instruments wording import)"
    yield from (f"it has no {element}" for element in ("title", "language", "copyright") if element not in stored)
    if stored.get("url") != instrument.url:
        yield f"its url is {stored.get('url')}"
    if str(stored.get("version", "")).endswith(NEUTRAL):
        yield "its version is one of our own labels"
    ours, theirs = _structure(instrument.questionnaire), _structure(stored)
    for link_id in ours.keys() | theirs.keys():
        if ours.get(link_id) != theirs.get(link_id):
            yield f"item {link_id} is not the one the rules are of"


def _structure(questionnaire: Json) -> dict[str, Any]:
    """Each item by linkId, without words; with its place."""
    return {item["linkId"]: _wordless(item) for item in _items(questionnaire)}


def _wordless(item: Json) -> Json:
    bare: Json = {element: value for element, value in item.items() if element not in (*_WORDS, "_text", "_prefix")}
    if "item" in bare:
        bare["item"] = [below["linkId"] for below in bare["item"]]
    if "answerOption" in bare:
        bare["answerOption"] = [_wordless_option(option) for option in bare["answerOption"]]
    return bare


def _wordless_option(option: Json) -> Json:
    if "valueCoding" not in option:
        return option
    coding = {name: value for name, value in option["valueCoding"].items() if name not in ("display", "_display")}
    return {**option, "valueCoding": coding}


def _items(parent: Json) -> Iterator[Json]:
    """Those of the published form: not the calculated scores, which may be written anew."""
    for item in parent.get("item", ()):
        if item["linkId"] != CALCULATED_SCORES:
            yield item
            yield from _items(item)


def _codings(item: Json) -> list[Json]:
    return [option["valueCoding"] for option in item.get("answerOption", ()) if "valueCoding" in option]


def _blank(item: Json) -> Json:
    codes = [coding["code"] for coding in _codings(item)]
    return {"text": "", "options": dict.fromkeys(codes, "")} if codes else {"text": ""}


def _parts(label: str) -> list[str]:
    return label.replace(".", "-").split("-")
