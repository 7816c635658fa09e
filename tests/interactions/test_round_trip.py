"""What is accepted comes back as it was sent: R4 http.html#create and #read, json.html, datatypes.html#decimal.

R4 lets the server set `id`, `meta.versionId` and `meta.lastUpdated` (resource.html#Meta). Nothing else may change.
"""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interactions.conftest import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBER = "@number "
"""Begins a string that stands for a number written as the rest of it: Python's json would write its own form."""


def written(resource: dict[str, Any], layout: dict[str, Any]) -> bytes:
    return re.sub(f'"{NUMBER}([^"]*)"', r"\1", json.dumps(resource, **layout)).encode()


def facts(body: bytes) -> Any:
    """The JSON with the order of its keys, and each number as its digits and exponent: 1.10 is not 1.1."""

    def number(text: str) -> tuple[Any, ...]:
        return ("number", *Decimal(text).as_tuple())

    return json.loads(body, object_pairs_hook=lambda pairs: pairs, parse_float=number, parse_int=number)


def without_server_set(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """`pairs` of a resource without what the server sets."""
    kept = []
    for key, value in pairs:
        own = [pair for pair in value if pair[0] not in ("versionId", "lastUpdated")] if key == "meta" else value
        if key != "id" and own != []:
            kept.append((key, own))
    return kept


# What R4 datatypes.html allows.
characters = st.characters(exclude_categories=["Cs", "Cc", "Z"])
texts = st.builds(
    lambda first, rest: first + rest,
    characters,
    st.text(characters | st.sampled_from(' \n\t\r\u00a0\u2028"\\/<&é\u0301😀ש'), max_size=12),
)
codes = st.from_regex(r"[a-z0-9]{1,8}( [a-z0-9]{1,4})?", fullmatch=True)
urls = st.from_regex(r"(http://example\.org/|urn:x:)[a-zA-Z0-9/._-]{1,20}", fullmatch=True)
decimals = st.one_of(
    st.sampled_from(
        ["1.10", "0.0", "-0.00", "100", "1E3", "1.0e-5", "0.10E+2", "-12.50", "0.0000001", "9999999999999999.99", "0"]
    ),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6).map(
        "{:f}".format
    ),
).map(lambda text: NUMBER + text)
dates = st.dates(min_value=date(1000, 1, 1)).map(date.isoformat)
partial_dates = st.builds(lambda date, length: date[:length], dates, st.sampled_from([4, 7, 10]))
moments = st.builds(
    lambda date, time, zone: f"{date}T{time}{zone}",
    dates,
    st.sampled_from(["00:00:00", "23:59:59.999", "12:30:00.10", "08:00:00.123456"]),
    st.sampled_from(["Z", "+05:30", "-11:00", "+00:00"]),
)


def elements(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of these, at least one, in any order."""
    some = st.fixed_dictionaries({}, optional=strategies).filter(bool)
    return some.flatmap(lambda chosen: st.permutations(list(chosen.items())).map(dict))


extensions = st.lists(
    st.one_of(
        st.fixed_dictionaries({"url": urls, "valueString": texts}),
        st.fixed_dictionaries({"url": urls, "valueDecimal": decimals}),
        st.fixed_dictionaries({"valueBoolean": st.booleans(), "url": urls}),
        st.fixed_dictionaries({"url": urls, "valueDateTime": partial_dates | moments}),
        st.fixed_dictionaries({"url": urls, "extension": st.just([{"url": "a", "valueInteger": -1}])}),
    ),
    min_size=1,
    max_size=2,
)
primitive_extras = st.one_of(
    st.fixed_dictionaries({"extension": extensions}),
    # Not an id alone: the value beside it may be missing (ele-1).
    st.fixed_dictionaries({"id": codes.map(lambda code: code.replace(" ", "-")), "extension": extensions}),
)


def sequence(item: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(item, min_size=1, max_size=2)


codings = elements(system=urls, code=codes, display=texts, _display=primitive_extras, userSelected=st.booleans())
concepts = elements(coding=sequence(codings), text=texts, extension=extensions)
quantities = elements(value=decimals, _value=primitive_extras, unit=texts, system=urls)
given_names = st.sampled_from(
    [
        {"given": ["Ann", "Bo"]},
        {"given": ["Ann", None], "_given": [None, {"extension": [{"url": "urn:x:masked", "valueCode": "masked"}]}]},
        {"_given": [{"id": "g1", "extension": [{"url": "urn:x:masked", "valueCode": "masked"}]}]},
        {"_given": [{"id": "g1"}, None], "given": ["Ann", "Bo"]},
    ]
)
names = st.builds(
    lambda name, given_part: {**name, **given_part},
    elements(family=texts, _family=primitive_extras, text=texts, use=st.sampled_from(["official", "usual"])),
    given_names,
)
identifiers = elements(system=urls, value=texts, period=elements(start=partial_dates), _value=primitive_extras)
narratives = texts.map(
    lambda text: {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>'
        + text.replace("&", "&amp;").replace("<", "&lt;").replace("\r", " ")
        + "</p></div>",
    }
)
metas = elements(tag=sequence(codings), profile=sequence(urls), source=urls, versionId=st.just("77"))
common = {"text": narratives, "extension": extensions, "meta": metas, "language": st.just("en-GB"), "id": st.just("x")}

patients = elements(
    **common,
    active=st.booleans(),
    _active=primitive_extras,
    name=sequence(names),
    identifier=sequence(identifiers),
    birthDate=partial_dates,
    _birthDate=primitive_extras,
    deceasedDateTime=partial_dates | moments,
    multipleBirthInteger=st.integers(-(2**31), 2**31 - 1),
    photo=sequence(elements(contentType=st.just("image/png"), data=st.just("aGk="), title=texts)),
    maritalStatus=concepts,
).map(lambda some: {"resourceType": "Patient", **some})
cared_for = patients.map(
    lambda one: {
        **one,
        "managingOrganization": {"reference": "#org"},
        "contained": [{"resourceType": "Organization", "id": "org", "name": "Clinic", "_name": {"id": "n"}}],
    }
)
observations = st.builds(
    lambda some, code: {**some, "resourceType": "Observation", "status": "final", "code": code},
    elements(
        **common,
        valueQuantity=quantities,
        effectiveDateTime=partial_dates | moments,
        issued=moments,
        component=sequence(st.fixed_dictionaries({"code": concepts, "valueQuantity": quantities})),
        referenceRange=sequence(elements(low=quantities, high=quantities, text=texts)),
        note=sequence(st.fixed_dictionaries({"text": texts})),
    ),
    concepts,
)
basics = st.builds(
    lambda some, code: {"resourceType": "Basic", **some, "code": code},
    elements(**common, identifier=sequence(identifiers), created=partial_dates, _created=primitive_extras),
    concepts,
)
layouts = st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 1])})


@settings(max_examples=60, deadline=None)
@given(resource=st.one_of(patients, cared_for, observations, basics), layout=layouts)
async def test_what_is_created_is_read(client: Client, resource: dict[str, Any], layout: dict[str, Any]) -> None:
    sent = written(resource, layout)
    created = await client.post(resource["resourceType"], sent)
    assert created.status == 201, created.body
    wanted = without_server_set([pair for pair in facts(sent) if pair[0] != "resourceType"])
    place = f"{resource['resourceType']}/{created.id}"
    read, version = await client.get(place), await client.get(f"{place}/_history/1")
    for answer in (created, read, version):
        first, *rest = facts(answer.body)
        assert first == ("resourceType", resource["resourceType"])
        assert without_server_set(rest) == wanted
    assert created.body == read.body == version.body
