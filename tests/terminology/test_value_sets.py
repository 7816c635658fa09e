"""The content of a value set by the rules of R4 valueset.html, on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.terminology.reader import StoreReader
from fhir_server.terminology.refusal import Unanswerable
from fhir_server.terminology.service import Terminology
from tests.terminology.conftest import Put
from tests.terminology.content import S, V, code_system, concept, filtered, listing, rule, value_set

BASE = "https://here.example.org/fhir"
ANIMALS = code_system(
    concept("animal", concept("dog", concept("poodle")), concept("cat", status="retired")),
    concept("plant", concept("rose", inactive=True), colour=("green", "red")),
    property=[
        {"code": "colour", "type": "code"},
        {"code": "status", "uri": "http://hl7.org/fhir/concept-properties#status", "type": "code"},
        {"code": "inactive", "uri": "http://hl7.org/fhir/concept-properties#inactive", "type": "boolean"},
        {"code": "unused", "type": "string"},
    ],
)
ALL = {"animal", "dog", "poodle", "cat", "plant", "rose"}


class Asked:
    def __init__(self, put: Put, terminology: Terminology, reader: StoreReader) -> None:
        self.put = put
        self._terminology = terminology
        self._reader = reader

    async def codes(self, named: str = V) -> set[str]:
        return {code for _, code in await self._terminology.expand(named, self._reader, base_url=BASE)}

    async def refused(self, named: str = V) -> Unanswerable:
        with pytest.raises(Unanswerable) as refusal:
            await self._terminology.expand(named, self._reader, base_url=BASE)
        return refusal.value

    async def warnings(self, named: str = V) -> str:
        return " ".join((await self._terminology.expand(named, self._reader)).warnings)


@pytest.fixture
def asked(put: Put, terminology: Terminology, reader: StoreReader) -> Asked:
    return Asked(put, terminology, reader)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        # R4 valueset-filter-operator.html, operator by operator
        ([rule("=", "green", "colour")], {"plant"}),
        ([rule("=", "red", "colour")], {"plant"}),
        ([rule("=", "blue", "colour")], set()),
        ([rule("=", "dog")], {"dog"}),
        ([rule("=", "dog", "code")], {"dog"}),
        ([rule("in", "dog,rose,unknown")], {"dog", "rose"}),
        ([rule("in", "dog, rose")], {"dog", "rose"}),
        ([rule("not-in", "dog,rose")], ALL - {"dog", "rose"}),
        ([rule("in", "red,blue", "colour")], {"plant"}),
        ([rule("not-in", "red", "colour")], ALL - {"plant"}),
        ([rule("exists", "true", "colour")], {"plant"}),
        ([rule("exists", "false", "colour")], ALL - {"plant"}),
        ([rule("exists", "true", "unused")], set()),
        ([rule("is-a", "animal")], {"animal", "dog", "poodle", "cat"}),
        ([rule("descendent-of", "animal")], {"dog", "poodle", "cat"}),
        ([rule("is-not-a", "animal")], {"plant", "rose"}),
        ([rule("generalizes", "poodle")], {"poodle", "dog", "animal"}),
        # codesystem.html#hierarchy: nesting and the properties parent and child say the same
        ([rule("=", "animal", "parent")], {"dog", "cat"}),
        ([rule("=", "poodle", "child")], {"dog"}),
        ([rule("exists", "false", "parent")], {"animal", "plant"}),
        ([rule("exists", "false", "child")], {"poodle", "cat", "rose"}),
        # concept-properties: false is the default of inactive
        ([rule("=", "false", "inactive")], ALL - {"rose"}),
        ([rule("=", "true", "inactive")], {"rose"}),
        # compose.include.filter: "If multiple filters are specified, they SHALL all be true"
        ([rule("is-a", "animal"), rule("exists", "true", "child")], {"animal", "dog"}),
        ([rule("regex", "[dr]o.*")], {"dog", "rose"}),
        ([rule("regex", "o")], set()),
        ([rule("regex", "^dog|rose$")], {"dog", "rose"}),
        ([rule("regex", ".*(ee|e)n", "colour")], {"plant"}),
    ],
)
async def test_a_filter_selects(asked: Asked, rules: list[dict[str, str]], expected: set[str]) -> None:
    await asked.put(ANIMALS, value_set(filtered(*rules)))
    assert await asked.codes() == expected


@pytest.mark.parametrize(
    ("rules", "code", "named"),
    [
        ([rule("is-a", "unicorn")], "not-found", "unicorn"),
        ([rule("=", "x", "smell")], "not-supported", "smell"),
        ([rule("is-a", "green", "colour")], "not-supported", "colour"),
        ([rule("exists", "yes", "colour")], "invalid", "yes"),
        ([rule("regex", "(a")], "invalid", "(a"),
        ([rule("regex", "(?=a)a")], "invalid", "(?=a)"),
        ([rule("regex", r"(a)\1")], "invalid", "(a)"),
    ],
)
async def test_a_filter_that_cannot_be_answered_is_refused(
    asked: Asked, rules: list[dict[str, str]], code: str, named: str
) -> None:
    await asked.put(ANIMALS, value_set(filtered(*rules)))
    refusal = await asked.refused()
    assert refusal.status == 400
    assert refusal.issues[0].code == code
    assert named in str(refusal)


async def test_a_regex_from_outside_takes_no_exponential_time(asked: Asked) -> None:
    await asked.put(code_system(concept("a" * 60)), value_set(filtered(rule("regex", "(a+)+b"))))
    assert await asked.codes() == set()


@pytest.mark.parametrize(
    ("includes", "more", "expected"),
    [
        ([{"system": S}], {}, ALL),
        ([listing("dog"), listing("rose")], {}, {"dog", "rose"}),
        # "Codes are 'selected' for inclusion if they are in all the referenced value sets"
        ([{"valueSet": ["http://example.org/pets", "http://example.org/dogs"]}], {}, {"poodle"}),
        ([{"valueSet": ["http://example.org/pets"]}, {"valueSet": ["http://example.org/dogs"]}], {},
         {"cat", "poodle", "dog"}),
        # "... if they are selected by the code system selection and if they are in all the referenced value sets"
        ([filtered(rule("is-a", "dog"), valueSet=["http://example.org/pets"])], {}, {"poodle"}),
        ([{"system": "http://example.org/other", "concept": [{"code": "cat"}], "valueSet": ["http://example.org/pets"]}],
         {}, set()),
        # "codes in the exclude statements are never in the value set"
        ([{"system": S}], {"exclude": [filtered(rule("is-a", "animal"))]}, {"plant", "rose"}),
        ([{"system": S}], {"exclude": [{"valueSet": ["http://example.org/pets"]}]}, ALL - {"cat", "poodle"}),
        ([{"system": S}], {"exclude": [listing("dog", system="http://example.org/other")]}, ALL),
        # compose.inactive
        ([{"system": S}], {"inactive": False}, ALL - {"cat", "rose"}),
        ([{"system": S}], {"inactive": True}, ALL),
        ([listing("cat", "dog")], {"inactive": False}, {"dog"}),
        # valueset.html#expansion: "check that they are valid"
        ([listing("dog", "unicorn")], {}, {"dog"}),
    ],
)  # fmt: skip
async def test_a_definition_selects(
    asked: Asked, includes: list[dict[str, Any]], more: dict[str, Any], expected: set[str]
) -> None:
    pets = value_set(listing("cat", "poodle"), id="pets", url="http://example.org/pets")
    dogs = value_set(filtered(rule("is-a", "dog")), id="dogs", url="http://example.org/dogs")
    await asked.put(ANIMALS, pets, dogs, value_set(*includes, **more))
    assert await asked.codes() == expected


async def test_listed_codes_need_no_code_system(asked: Asked) -> None:
    await asked.put(value_set(listing("1", "2", system="http://loinc.org")))
    assert await asked.codes() == {"1", "2"}
    await asked.put(code_system(url="http://loinc.org", content="not-present"))
    assert await asked.codes() == {"1", "2"}


@pytest.mark.parametrize("content", ["not-present", "example", "supplement"])
async def test_a_system_without_its_content_is_refused(asked: Asked, content: str) -> None:
    """R4 codesystem-content-mode.html: such a resource does not say which codes there are."""
    await asked.put(code_system(*ANIMALS["concept"], content=content), value_set({"system": S}))
    refusal = await asked.refused()
    assert refusal.issues[0].code == "not-supported"
    assert S in str(refusal)
    assert content in str(refusal)


async def test_a_fragment_is_used_and_said_to_be(asked: Asked) -> None:
    """R4 valueset.html#expansion: the use of a fragment is to be recorded."""
    await asked.put(code_system(concept("a"), content="fragment"), value_set({"system": S}))
    assert await asked.codes() == {"a"}
    assert "fragment" in await asked.warnings()


async def test_what_is_not_stored_is_named(asked: Asked) -> None:
    refusal = await asked.refused("http://example.org/none|2")
    assert (refusal.issues[0].code, "http://example.org/none|2" in str(refusal)) == ("not-found", True)
    await asked.put(value_set({"system": S, "version": "7"}))
    refusal = await asked.refused()
    assert (refusal.issues[0].code, f"{S}|7" in str(refusal)) == ("not-found", True)
    await asked.put(value_set({"valueSet": ["http://example.org/none"]}))
    refusal = await asked.refused()
    assert (refusal.issues[0].code, "http://example.org/none" in str(refusal)) == ("not-found", True)


async def test_a_value_set_that_draws_on_itself_is_refused(asked: Asked) -> None:
    await asked.put(
        value_set({"valueSet": ["http://example.org/b"]}, id="a"),
        value_set({"valueSet": ["http://example.org/c"]}, id="b", url="http://example.org/b"),
        value_set({"valueSet": [V]}, id="c", url="http://example.org/c"),
    )
    refusal = await asked.refused()
    assert refusal.issues[0].code == "not-supported"
    assert "draws on itself" in str(refusal)


async def test_a_value_set_imported_by_many_is_no_burden(asked: Asked) -> None:
    """Each level imports the next twice: 2 to the 20th paths, 20 value sets."""
    levels = [
        value_set(
            {"valueSet": [f"http://example.org/l{n + 1}"]},
            {"valueSet": [f"http://example.org/l{n + 1}"]},
            listing(f"c{n}"),
            exclude=[{"valueSet": [f"http://example.org/l{n + 1}"], **listing("none")}],
            id=f"l{n}",
            url=f"http://example.org/l{n}",
        )
        for n in range(20)
    ]
    await asked.put(*levels, value_set(listing("c20"), id="l20", url="http://example.org/l20"))
    assert await asked.codes("http://example.org/l0") == {f"c{n}" for n in range(21)}


async def test_imports_without_end_are_refused(asked: Asked) -> None:
    chain = [
        value_set({"valueSet": [f"http://example.org/l{n + 1}"]}, id=f"l{n}", url=f"http://example.org/l{n}")
        for n in range(40)
    ]
    await asked.put(*chain)
    assert (await asked.refused("http://example.org/l0")).issues[0].code == "too-costly"


def expansion(*contains: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"timestamp": "2026-01-01T00:00:00Z", "contains": list(contains), **more}


async def test_a_stored_expansion_without_a_definition_is_the_value_set(asked: Asked) -> None:
    """R4 valueset.html#expansion; abstract entries group, and are searched by."""
    nested = {"system": S, "code": "b", "abstract": True, "contains": [{"system": S, "code": "c"}]}
    grouping = {"abstract": True, "display": "group", "contains": [{"system": S, "code": "d"}]}
    await asked.put(value_set(expansion=expansion({"system": S, "code": "a"}, nested, grouping, total=5)))
    assert await asked.codes() == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    "partly",
    [
        {"offset": 10},
        {"total": 7},
        {"parameter": [{"name": "filter", "valueString": "x"}]},
        {"parameter": [{"name": "activeOnly", "valueBoolean": True}]},
        {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/valueset-toocostly", "valueBoolean": True}]},
    ],
)
async def test_a_part_of_an_expansion_is_not_the_value_set(asked: Asked, partly: dict[str, Any]) -> None:
    await asked.put(value_set(expansion=expansion({"system": S, "code": "a"}, **partly)))
    assert (await asked.refused()).issues[0].code == "not-found"


async def test_a_stored_expansion_stands_in_when_the_definition_cannot_be_followed(asked: Asked) -> None:
    """A SNOMED CT value set as published: its definition needs SNOMED CT, its expansion does not."""
    snomed = "http://snomed.info/sct"
    published = filtered(rule("is-a", "64572001"), system=snomed)
    await asked.put(value_set(published, expansion=expansion({"system": snomed, "code": "239873007"})))
    assert await asked.codes() == {"239873007"}
    assert "stored expansion" in await asked.warnings()
    await asked.put(code_system(concept("64572001"), url=snomed))
    assert await asked.codes() == {"64572001"}
    await asked.put(
        value_set({"valueSet": ["http://example.org/none"]}, expansion=expansion({"system": S, "code": "a"}))
    )
    assert await asked.codes() == {"a"}


async def test_names_of_a_value_set(asked: Asked) -> None:
    """R4 search.html#token: a literal where it can be one, else logical."""
    await asked.put(value_set(listing("a"), version="1"))
    for name in (V, f"{V}|1", "ValueSet/vs", f"{BASE}/ValueSet/vs"):
        assert await asked.codes(name) == {"a"}
    await asked.put(value_set(listing("b"), id="x", url=f"{BASE}/ValueSet/elsewhere"))
    assert await asked.codes(f"{BASE}/ValueSet/elsewhere") == {"b"}
    for name, code in (("ValueSet/none", "not-found"), (f"{V}|2", "not-found"), ("#x", "not-supported"),
                       ("ValueSet/vs/_history/1", "not-supported"), ("CodeSystem/vs", "not-found")):  # fmt: skip
        assert (await asked.refused(name)).issues[0].code == code


async def test_a_long_canonical_is_compared_whole(asked: Asked) -> None:
    """Index rows hold the start of a long url and a hash."""
    url = "http://example.org/" + "x" * 500
    await asked.put(value_set(listing("a"), url=url))
    assert await asked.codes(url) == {"a"}
    assert (await asked.refused(url + "y")).issues[0].code == "not-found"


async def test_value_sets_that_r4_binds_are_known(asked: Asked) -> None:
    """R4 valueset-administrative-gender.html; a stored one of the same url counts before it."""
    name = "http://hl7.org/fhir/ValueSet/administrative-gender"
    for one in (name, f"{name}|4.0.1"):
        assert await asked.codes(one) == {"male", "female", "other", "unknown"}
    assert (await asked.refused(f"{name}|3.0.2")).issues[0].code == "not-found"
    await asked.put(
        value_set({"valueSet": [name]}, exclude=[listing("other", system="http://hl7.org/fhir/administrative-gender")])
    )
    assert await asked.codes() == {"male", "female", "unknown"}
    await asked.put(value_set(listing("x"), url=name))
    assert await asked.codes(name) == {"x"}


async def test_value_sets_that_snomed_ct_implies(asked: Asked) -> None:
    """R4 search.html#token, snomedct.html: `?fhir_vs=isa/[code]`."""
    sct = "http://snomed.info/sct"
    edition = f"{sct}/900000000000207008/version/20260701"
    await asked.put(code_system(concept("1", concept("2", concept("3"))), url=sct, version=edition, content="fragment"))
    assert await asked.codes(f"{sct}?fhir_vs=isa/2") == {"2", "3"}
    assert await asked.codes(f"{sct}?fhir_vs") == {"1", "2", "3"}
    assert await asked.codes(f"{edition}?fhir_vs=isa/3") == {"3"}
    assert (await asked.refused(f"{sct}?fhir_vs=refset/2")).issues[0].code == "not-found"


async def test_members_are_asked_with_and_without_a_system(
    put: Put, terminology: Terminology, reader: StoreReader
) -> None:
    await put(value_set(listing("a")))
    assert await terminology.member(V, S, "a", reader)
    assert await terminology.member(V, None, "a", reader)
    assert not await terminology.member(V, "http://example.org/other", "a", reader)
    assert not await terminology.member(V, None, "A", reader)
