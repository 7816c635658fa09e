"""The two checks hold the same resources valid: the specification's examples with one spot changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.validation import issues
from fhir_server.validation.fast import Doubt, check
from fhir_server.validation.walker import all_issues
from tests.r4_examples import example, example_texts

SMALL = sorted(file for file, text in example_texts().items() if len(text) < 4000)
EXTENSION = {"url": "http://example.org/e", "valueCode": "x"}
VALUES: list[Any] = [
    None, True, 0, 1, -1, 2**31, Decimal("1.0"), Decimal("1e-9"), "", " ", "x", "a b", "a\u0001", "final", "male",
    "2024", "2024-02-30", "2024-02-29", "2024-01-01T00:00:00Z", "10:00:00", "Patient/p", "Device/d", "#p",
    "urn:oid:1.2", "é",
    "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", '<div xmlns="http://www.w3.org/1999/xhtml">x</div>', "<div>",
    [], {}, [None], [{}], [[]], {"id": "x"}, {"extension": [EXTENSION]}, {"extension": []}, EXTENSION, [EXTENSION],
    {"reference": "Patient/p"}, {"text": "x"}, {"value": 1}, {"start": "2024"}, {"resourceType": "Patient"},
    {"resourceType": "Patient", "contained": []}, {"resourceType": "Patient", "meta": {"versionId": "1"}},
    {"resourceType": "Bundle", "type": "collection"}, {"resourceType": "HumanName"}, {"resourceType": {}},
]  # fmt: skip
KEYS = [
    "id", "_id", "extension", "modifierExtension", "resourceType", "_resourceType", "contained", "meta", "language",
    "_language", "text", "div", "_div", "status", "_status", "value", "valueString", "_valueString", "valueQuantity",
    "_valueBoolean", "effectiveDateTime", "_effectiveInstant", "deceasedBoolean", "given", "_given", "name", "_name",
    "", "_", "__id", "url", "reference", "identifier", "period", "code", "subject", "type", "\u00e9",
]  # fmt: skip

Json = dict[str, Any]


def holders(content: Any) -> Iterator[Any]:
    """Every object and array of `content`, the outermost first."""
    yield content
    for item in list(content.values() if isinstance(content, dict) else content):
        if isinstance(item, dict | list):
            yield from holders(item)


@st.composite
def mutated(draw: st.DrawFn) -> Json:
    resource = example(draw(st.sampled_from(SMALL)))
    holder = draw(st.sampled_from(list(holders(resource))))
    value = copy.deepcopy(draw(st.sampled_from(VALUES)))
    spots = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    change = draw(st.sampled_from(["replace", "remove", "add", "move", "wrap", "beside", "repeat"]))
    if not spots or change == "add":
        if isinstance(holder, dict):
            holder[draw(st.sampled_from(KEYS))] = value
        else:
            holder.append(value)
        return resource
    spot = draw(st.sampled_from(spots))
    if change == "replace":
        holder[spot] = value
    elif change == "remove":
        del holder[spot]
    elif change == "wrap":
        holder[spot] = [holder[spot]]
    elif change == "repeat" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[spot]))
    elif isinstance(holder, dict):
        key = f"_{spot}" if change == "beside" else draw(st.sampled_from(KEYS))
        holder[key] = holder.pop(spot) if change == "move" else value
    return resource


@st.composite
def twice_chosen(draw: st.DrawFn) -> Json:
    """A choice with one type and the extension of another: valueQuantity beside _valueBoolean."""
    resource = example(draw(st.sampled_from(CHOOSING)))
    holder, name = draw(st.sampled_from([(h, name) for h in holders(resource) for name in chosen(h)]))
    other = draw(st.sampled_from(["Boolean", "String", "DateTime", "Integer", "Age"]))
    holder[f"_{name}{other}"] = {"extension": [EXTENSION]}
    return resource


def chosen(holder: Any) -> Iterator[str]:
    for key in holder if isinstance(holder, dict) else ():
        name = next((name for name in CHOICES if key.startswith(name) and key != name), None)
        if name is not None:
            yield name


CHOICES = ("deceased", "effective", "multipleBirth", "occurrence", "onset", "performed", "value")
CHOOSING = [file for file in SMALL if any(any(chosen(holder)) for holder in holders(example(file)))]


def passes(resource: Json) -> bool:
    try:
        check(resource)
    except (Doubt, KeyError):
        return False
    return True


def has_underscored_key(content: Any) -> bool:
    return any(key.startswith("_") for holder in holders(content) if isinstance(holder, dict) for key in holder)


@given(mutated() | twice_chosen())
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_fast_check_passes_what_the_full_one_finds_valid(resource: Json) -> None:
    before = json.dumps(resource, default=str)
    found = all_issues(resource)
    if passes(resource):
        assert found == []
    else:
        # Extensions of primitives in their rarer places are left to the full check.
        assert found or has_underscored_key(resource)
    assert issues(resource) == found
    assert json.dumps(resource, default=str) == before


@given(mutated())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_issue_is_at_or_below_the_resource(resource: Json) -> None:
    named = resource.get("resourceType")
    starts = (f"{named}.", "Resource.")
    for issue in all_issues(resource):
        assert issue.code
        assert issue.diagnostics
        assert f"{issue.expression}.".startswith(starts)
