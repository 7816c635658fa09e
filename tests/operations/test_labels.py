"""Meta labels are sets: resource-operation-meta-add.html and -meta-delete.html, R4 resource.html#Meta."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.operations import labels

VIP = {"system": "urn:x", "code": "vip"}
VIP_AGAIN = {"system": "urn:x", "code": "vip", "display": "Very important", "version": "2"}
BARE = {"code": "vip"}


@pytest.mark.parametrize(
    ("meta", "given", "result"),
    [
        ({}, {"tag": [VIP]}, {"tag": [VIP]}),
        ({"tag": [VIP]}, {"tag": [VIP_AGAIN]}, {"tag": [VIP]}),
        ({"tag": [VIP]}, {"tag": [BARE, BARE]}, {"tag": [VIP, BARE]}),
        ({"tag": [VIP]}, {"security": [VIP]}, {"tag": [VIP], "security": [VIP]}),
        ({"profile": ["urn:a"]}, {"profile": ["urn:a", "urn:a|1"]}, {"profile": ["urn:a", "urn:a|1"]}),
        ({"versionId": "1"}, {"versionId": "9", "source": "urn:s"}, {"versionId": "1"}),
        (
            {"profile": ["urn:a"], "_profile": [{"id": "p"}]},
            {"profile": ["urn:b"]},
            {"profile": ["urn:a", "urn:b"], "_profile": [{"id": "p"}, None]},
        ),
    ],
)
def test_add(meta: dict[str, Any], given: dict[str, Any], result: dict[str, Any]) -> None:
    assert labels.add(meta, given) == result


@pytest.mark.parametrize(
    ("meta", "given", "result"),
    [
        ({"tag": [VIP]}, {"tag": [VIP_AGAIN]}, {}),
        ({"tag": [VIP]}, {"tag": [BARE]}, {"tag": [VIP]}),
        ({"tag": [VIP, BARE], "security": [VIP]}, {"tag": [VIP]}, {"tag": [BARE], "security": [VIP]}),
        ({}, {"profile": ["urn:a"]}, {}),
        ({"profile": ["urn:a", "urn:a|1"]}, {"profile": ["urn:a"]}, {"profile": ["urn:a|1"]}),
        (
            {"profile": ["urn:a", "urn:b"], "_profile": [None, {"id": "p"}]},
            {"profile": ["urn:a"]},
            {"profile": ["urn:b"], "_profile": [{"id": "p"}]},
        ),
        (
            {"profile": ["urn:a", "urn:b"], "_profile": [{"id": "p"}, None]},
            {"profile": ["urn:a"]},
            {"profile": ["urn:b"]},
        ),
    ],
)
def test_remove(meta: dict[str, Any], given: dict[str, Any], result: dict[str, Any]) -> None:
    assert labels.remove(meta, given) == result


def test_the_given_metas_stay_as_they_are() -> None:
    meta, given = {"tag": [VIP]}, {"tag": [BARE]}
    labels.add(meta, given)
    labels.remove(meta, meta)
    assert (meta, given) == ({"tag": [VIP]}, {"tag": [BARE]})
