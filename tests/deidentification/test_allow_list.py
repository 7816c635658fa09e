"""The allow-list, read against R4's structure: each element of each type is kept or has a reason why it is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fhir_server import spec
from fhir_server.deidentification.allow_list import allow_list, allowed_types

ALLOWED = allow_list()
LEAVES = {"Coding", "Reference", "Extension", "Quantity", "Age", "Count", "Distance", "Duration", "Meta"}
"""Datatypes whose texts are let through only as code says: tests/deidentification/test_deidentifier.py."""
FREE_TEXT = {"string", "markdown", "xhtml", "uri", "url", "id", "oid", "uuid", "base64Binary"}
NAMED = {"birthDate=year", "deceased=month", "item.linkId=name"}
ANYWHERE = ("id", "extension", "modifierExtension")
OF_RESOURCES = ("meta", "implicitRules", "language", "text", "contained")


def elements(type_name: str) -> Iterator[tuple[str, spec.Element]]:
    """Below the type, choices without their mark; those that every type has are reviewed once."""
    common = (*ANYWHERE, *OF_RESOURCES) if spec.structure(type_name).kind == "resource" else ANYWHERE
    for path, element in spec.structure(type_name).elements.items():
        name = path.partition(".")[2].replace("[x]", "")
        if name and name.rpartition(".")[2] not in ANYWHERE and name not in common:
            yield name, element


def reviewed(type_name: str) -> tuple[set[str], dict[str, str]]:
    """Names that are kept, and those that are dropped with their reason."""
    one = ALLOWED.types[type_name]
    return set(one.rules), {name: reason for reason, names in one.drop.items() for name in names}


TYPES = sorted(set(ALLOWED.types) - {"Element", "BackboneElement", "DomainResource"})


@pytest.mark.parametrize("type_name", TYPES)
def test_every_element_is_kept_or_dropped_for_a_reason(type_name: str) -> None:
    kept, dropped = reviewed(type_name)
    assert kept.isdisjoint(dropped)
    unreviewed = []
    for name, element in elements(type_name):
        below_dropped = any(name.startswith(f"{one}.") for one in dropped)
        by_datatype = bool(element.types) and set(element.types) <= set(ALLOWED.dropped_types)
        if name not in kept and not (name in dropped or below_dropped or by_datatype):
            unreviewed.append(name)
    assert unreviewed == []
    assert set(dropped.values()) <= set(ALLOWED.reasons)


@pytest.mark.parametrize("type_name", TYPES)
def test_nothing_is_named_that_r4_does_not_have(type_name: str) -> None:
    kept, dropped = reviewed(type_name)
    assert kept | set(dropped) <= {name for name, _ in elements(type_name)} | set(ANYWHERE)


@pytest.mark.parametrize("type_name", sorted(set(TYPES) - LEAVES))
def test_no_free_text_is_kept_as_it_is(type_name: str) -> None:
    """Of a code, only what a required binding lists."""
    for name, element in elements(type_name):
        if name not in ALLOWED.types[type_name].allow:
            continue
        assert not element.types or not set(element.types) <= FREE_TEXT, name
        if element.types == ("code",):
            assert element.binding is not None, name
            assert spec.codes(element.binding), name
    assert {one for one in ALLOWED.types[type_name].allow if "=" in one} <= NAMED


def test_what_every_type_has_is_reviewed_too() -> None:
    kept, dropped = reviewed("DomainResource")
    assert kept | set(dropped) == {*ANYWHERE, *OF_RESOURCES}
    assert (reviewed("Element")[0], set(reviewed("Element")[1])) == ({"extension"}, {"id"})


def test_datatypes_are_either_kept_or_dropped() -> None:
    """Every datatype that a kept element may have."""
    assert set(ALLOWED.dropped_types).isdisjoint(ALLOWED.types)
    assert set(ALLOWED.dropped_types.values()) <= set(ALLOWED.reasons)
    complex_types = {
        one
        for name in TYPES
        for _, element in elements(name)
        for one in element.types
        if spec.is_type(one)
        and spec.structure(one).kind == "complex-type"
        and one not in ("BackboneElement", "Element")
    }
    assert complex_types <= set(ALLOWED.dropped_types) | set(ALLOWED.types)


def test_the_types_are_those_of_care() -> None:
    """None of those that hold content, definitions or what somebody did with the server."""
    assert len(allowed_types()) == 35
    assert allowed_types().isdisjoint(
        {"Binary", "Bundle", "AuditEvent", "Questionnaire", "Parameters", "Person", "Basic", "Media", "DomainResource"}
    )
