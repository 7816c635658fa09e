"""above, below and subsumes (R4 codesystem.html#subsumption, search.html#token), on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.terminology.reader import StoreReader
from fhir_server.terminology.refusal import Unanswerable
from fhir_server.terminology.service import Terminology
from tests.terminology.conftest import Put
from tests.terminology.content import S, code_system, concept

PARENT = [{"code": "up", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"}]


async def below(terminology: Terminology, reader: StoreReader, code: str, system: str | None = S) -> set[str]:
    return {found for _, found in await terminology.below(system, code, reader)}


async def above(terminology: Terminology, reader: StoreReader, code: str) -> set[str]:
    return {found for _, found in await terminology.above(S, code, reader)}


@pytest.mark.parametrize(
    "diamond",
    [
        # the same relations by nesting with a second parent as a property, by parent, by child, by a property's uri
        code_system(concept("a", concept("b", concept("d", parent="c")), concept("c"))),
        code_system(concept("a"), concept("b", parent="a"), concept("c", parent="a"), concept("d", parent=("b", "c"))),
        code_system(concept("a", child=("b", "c")), concept("b", child="d"), concept("c", child="d"), concept("d")),
        code_system(concept("a"), concept("b", up="a"), concept("c", up="a"), concept("d", up=("b", "c")),
                    property=PARENT),
        code_system(concept("a"), concept("b", subsumedBy="a"), concept("c", subsumedBy="a"),
                    concept("d", subsumedBy=("b", "c")), hierarchyMeaning=None),
    ],
)  # fmt: skip
async def test_more_than_one_parent(
    put: Put, terminology: Terminology, reader: StoreReader, diamond: dict[str, Any]
) -> None:
    """R4 codesystem.html#hierarchy: the same result for nesting and for properties."""
    await put(diamond)
    assert await below(terminology, reader, "a") == {"a", "b", "c", "d"}
    assert await below(terminology, reader, "c") == {"c", "d"}
    assert await below(terminology, reader, "d") == {"d"}
    assert await above(terminology, reader, "d") == {"a", "b", "c", "d"}
    assert await above(terminology, reader, "b") == {"a", "b"}


async def test_a_cycle_ends(put: Put, terminology: Terminology, reader: StoreReader) -> None:
    await put(code_system(concept("a", parent="c"), concept("b", parent="a"), concept("c", parent=("b", "c"))))
    assert await below(terminology, reader, "b") == {"a", "b", "c"}
    assert await above(terminology, reader, "b") == {"a", "b", "c"}


@pytest.mark.parametrize("meaning", [None, "part-of", "grouped-by", "classified-with"])
async def test_a_hierarchy_that_is_not_is_a_subsumes_nothing(
    put: Put, terminology: Terminology, reader: StoreReader, meaning: str | None
) -> None:
    """R4 codesystem.html#subsumption: the features of subsumption need hierarchyMeaning to be is-a."""
    await put(code_system(concept("hand", concept("finger")), hierarchyMeaning=meaning))
    with pytest.raises(Unanswerable, match="hierarchyMeaning") as refusal:
        await terminology.below(S, "hand", reader)
    assert refusal.value.issues[0].code == "not-supported"


async def test_a_code_system_without_a_hierarchy_has_the_code_alone(
    put: Put, terminology: Terminology, reader: StoreReader
) -> None:
    await put(code_system(concept("a"), concept("b"), hierarchyMeaning=None))
    assert await below(terminology, reader, "a") == await above(terminology, reader, "a") == {"a"}


async def test_without_a_system_every_code_system_with_the_code_counts(
    put: Put, terminology: Terminology, reader: StoreReader
) -> None:
    """R4 search.html#token: `code:below=126851005`."""
    other = "http://example.org/other"
    await put(
        code_system(concept("a", concept("b"))),
        code_system(concept("x", concept("a", concept("c"))), id="o", url=other),
        code_system(concept("unrelated"), id="u", url="http://example.org/unrelated"),
        code_system(id="n", url="http://loinc.org", content="not-present"),
    )
    assert set(await terminology.below(None, "a", reader)) == {(S, "a"), (S, "b"), (other, "a"), (other, "c")}
    assert set(await terminology.above(None, "c", reader)) == {(other, "x"), (other, "a"), (other, "c")}
    with pytest.raises(Unanswerable, match="No stored code system has the code 'nowhere'"):
        await terminology.below(None, "nowhere", reader)
    await put(code_system(concept("a", concept("d")), id="p", url="http://example.org/parts", hierarchyMeaning=None))
    found = await terminology.below(None, "a", reader)
    assert ("http://example.org/parts", "a") in found
    assert ("http://example.org/parts", "d") not in found
    assert "hierarchyMeaning" in found.warnings[0]


async def test_what_is_not_stored_is_refused(put: Put, terminology: Terminology, reader: StoreReader) -> None:
    with pytest.raises(Unanswerable, match=r"http://loinc\.org is not stored") as refusal:
        await terminology.below("http://loinc.org", "1-8", reader)
    assert refusal.value.issues[0].code == "not-found"
    await put(code_system(concept("a")))
    with pytest.raises(Unanswerable, match="has no code 'b'"):
        await terminology.below(S, "b", reader)


async def test_case_counts_unless_the_code_system_says_otherwise(
    put: Put, terminology: Terminology, reader: StoreReader
) -> None:
    """R4 codesystem-definitions.html#CodeSystem.caseSensitive"""
    await put(code_system(concept("A", concept("B")), caseSensitive=False))
    assert await below(terminology, reader, "a") == {"A", "B"}
    await put(code_system(concept("A", concept("B")), caseSensitive=True))
    with pytest.raises(Unanswerable, match="has no code 'a'"):
        await terminology.below(S, "a", reader)


async def test_a_fragment_answers_with_a_warning(put: Put, terminology: Terminology, reader: StoreReader) -> None:
    await put(code_system(concept("a", concept("b"), parent="outside"), content="fragment"))
    found = await terminology.below(S, "a", reader)
    assert set(found) == {(S, "a"), (S, "b")}
    assert "fragment" in found.warnings[0]


async def test_subsumes_says_what_a_is_to_b(put: Put, terminology: Terminology, reader: StoreReader) -> None:
    """R4 codesystem-operation-subsumes.html: the four outcomes."""
    await put(code_system(concept("a", concept("b", concept("c"))), concept("d")))
    for pair, outcome in {"ac": "subsumes", "ca": "subsumed-by", "bb": "equivalent", "ad": "not-subsumed"}.items():
        assert await terminology.subsumes(S, pair[0], pair[1], reader) == outcome


async def test_tokens_are_those_of_the_index(put: Put, terminology: Terminology, reader: StoreReader) -> None:
    from fhir_server.model.identity import token

    await put(code_system(concept("a", concept("b"))))
    found = await terminology.below(S, "a", reader)
    assert found.tokens == tuple(sorted((token(S, "a"), token(S, "b"))))
    assert found.pairs == ((S, "a"), (S, "b"))
