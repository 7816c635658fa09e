"""Modifiers of tokens and references (R4 search.html#modifiers, #token, #reference)."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.interactions.conftest import Client, Json, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODES = "http://test.example/modifiers"
TAG = {"meta": {"tag": [{"system": CODES, "code": "modifiers"}]}}


def condition(logical_id: str, *, code: str = "", display: str = "", text: str = "", **elements: object) -> Json:
    coding = {"system": CODES, "code": code} | ({"display": display} if display else {})
    concept: Json = ({"coding": [coding]} if code else {}) | ({"text": text} if text else {})
    subject = {"subject": {"reference": "Patient/modifiers-1"}}
    return (
        {"resourceType": "Condition", "id": logical_id}
        | TAG
        | subject
        | ({"code": concept} if concept else {})
        | elements
    )


async def find(client: Client, search: str) -> list[str]:
    answer = await client.get(f"{search}&_tag={CODES}|modifiers", prefer="handling=strict")
    assert answer.status == 200, answer.body
    return sorted(answer.ids)


async def refusal(client: Client, search: str) -> tuple[int, str]:
    answer = await client.get(search)
    return answer.status, answer.issue["code"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(client: Client) -> Client:
    system = {
        "resourceType": "CodeSystem",
        "id": "modifiers-system",
        "url": CODES,
        "status": "active",
        "content": "complete",
        "hierarchyMeaning": "is-a",
        "concept": [
            {"code": "pain", "concept": [{"code": "back", "concept": [{"code": "low-back"}]}, {"code": "knee"}]},
            {"code": "gout"},
        ],
    }
    spine = {
        "resourceType": "ValueSet",
        "id": "modifiers-spine",
        "url": "http://test.example/ValueSet/spine",
        "status": "active",
        "compose": {"include": [{"system": CODES, "filter": [{"property": "concept", "op": "is-a", "value": "back"}]}]},
    }
    identifier = {
        "type": {"coding": [{"system": "urn:types", "code": "MR"}], "text": "Medical record"},
        "system": "urn:hospital",
        "value": "446053",
    }
    for resource in (
        system,
        spine,
        patient("modifiers-1", identifier=[identifier], **TAG),
        patient("modifiers-2", identifier=[{"system": "urn:hospital", "value": "446053"}], **TAG),
        condition("modifiers-back", code="back", display="Back pain"),
        condition("modifiers-low", code="low-back", text="Pain, low in the back"),
        condition("modifiers-knee", code="knee", display="Knee pain"),
        condition("modifiers-bare"),
        condition("modifiers-words", text="Knee trouble"),
        condition("modifiers-named", subject={"identifier": {"system": "urn:nhs", "value": "9990000018"}}),
        condition("modifiers-shown", subject={"display": "Somebody"}),
        condition("modifiers-group", subject={"reference": "Group/modifiers-1"}),
    ):
        await client.stored(resource)
    return client


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Condition?code:text=knee", ["knee", "words"]),
        ("Condition?_content=trouble", ["words"]),
        ("Condition?_content=KNEE pain", ["knee"]),
        ("Condition?_content=somebody,trouble", ["shown", "words"]),
        ("Condition?_content=modifiers", []),  # an id and a code, no text
        ("Condition?_text=trouble", []),
        ("Condition?code:text=KNEE%20p", ["knee"]),
        ("Condition?code:text=pain", ["low"]),  # starts with, as a string does
        ("Condition?code:text=back,knee%20t", ["back", "words"]),
        ("Condition?code:below=http://test.example/modifiers|back", ["back", "low"]),
        ("Condition?code:below=pain", ["back", "knee", "low"]),
        ("Condition?code:above=http://test.example/modifiers|low-back", ["back", "low"]),
        ("Condition?code:in=http://test.example/ValueSet/spine", ["back", "low"]),
        ("Condition?code:in=ValueSet/modifiers-spine", ["back", "low"]),
        (
            "Condition?code:not-in=http://test.example/ValueSet/spine",
            ["bare", "group", "knee", "named", "shown", "words"],
        ),
        ("Condition?code:not=knee&code:missing=false", ["back", "low", "words"]),
        ("Condition?code:missing=true", ["bare", "group", "named", "shown"]),
        ("Condition?subject:missing=true", []),
        ("Condition?patient:missing=true", ["group", "named", "shown"]),
        ("Condition?subject:Patient=modifiers-1", ["back", "bare", "knee", "low", "words"]),
        ("Condition?subject:Group=modifiers-1", ["group"]),
        ("Condition?subject:Patient=Patient/modifiers-1&code=knee", ["knee"]),
        ("Condition?subject:identifier=urn:nhs|9990000018", ["named"]),
        ("Condition?subject:identifier=9990000018", ["named"]),
        ("Condition?subject:identifier=urn:nhs|", ["named"]),
        ("Condition?subject:identifier=|9990000018", []),
        ("Condition?subject:Patient.identifier:of-type=urn:types|MR|446053&code=knee", ["knee"]),
        ("Patient?identifier:of-type=urn:types|MR|446053", ["1"]),
        ("Patient?identifier:of-type=urn:types|MR|446054", []),
        ("Patient?identifier:of-type=urn:types|PI|446053", []),
        ("Patient?identifier:text=medical", ["1"]),
        ("Patient?_has:Condition:patient:code:below=back", ["1"]),
        ("Condition?_filter=code eq http://test.example/modifiers|knee", ["knee"]),
        ("Condition?_filter=code ss back and not (code eq back)", ["low"]),
        ("Condition?_filter=subject:Patient.identifier eq 446053 and code pr true", ["back", "knee", "low", "words"]),
        ("Condition?_filter=(code eq knee or code eq back) and patient re Patient/modifiers-1", ["back", "knee"]),
        ("Condition?_filter=code pr false and patient pr true", ["bare"]),
    ],
)
async def test_finds(stored: Client, search: str, found: list[str]) -> None:
    assert await find(stored, search) == [f"modifiers-{name}" for name in found]


@pytest.mark.parametrize(
    ("search", "code"),
    [
        ("Condition?code:in=http://test.example/ValueSet/none", "not-found"),
        ("Condition?code:below=http://test.example/none|x", "not-found"),
        ("Condition?code:below=http://test.example/modifiers|", "invalid"),
        ("Patient?identifier:of-type=urn:types|MR", "invalid"),
        ("Patient?identifier:of-type=446053", "invalid"),
        ("Patient?identifier:in=http://test.example/ValueSet/spine", "not-supported"),
        ("Condition?subject:Patient=Group/modifiers-1", "invalid"),
        ("Condition?subject:Medication=1", "not-supported"),
        ("Condition?subject:exact=1", "not-supported"),
    ],
)
async def test_refuses(stored: Client, search: str, code: str) -> None:
    assert await refusal(stored, search) == (400, code)


async def test_ten_thousand_codes_of_a_value_set(stored: Client) -> None:
    """R4 search.html#token: `:in` a value set far larger than what is stored."""
    concepts = [{"code": f"c{n}"} for n in range(10_000)]
    many = {
        "resourceType": "CodeSystem",
        "id": "modifiers-many",
        "url": "http://test.example/many",
        "status": "active",
        "content": "complete",
        "concept": [*concepts, {"code": "pain"}],
    }
    include = [{"system": "http://test.example/many"}, {"system": CODES, "concept": [{"code": "knee"}]}]
    value_set = {
        "resourceType": "ValueSet",
        "id": "modifiers-all",
        "url": "http://test.example/ValueSet/many",
        "status": "active",
        "compose": {"include": include},
    }
    await stored.stored(many)
    await stored.stored(value_set)
    assert await find(stored, "Condition?code:in=http://test.example/ValueSet/many") == ["modifiers-knee"]
