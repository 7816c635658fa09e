"""References are found in stored bytes (R4 references.html#literal)."""

from __future__ import annotations

import msgspec
import pytest

from fhir_server.operations.references import questionnaires, targets


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        ({"subject": {"reference": "Patient/p-1.x"}}, [("Patient", "p-1.x")]),
        ({"subject": {"reference": "Patient/1/_history/2"}}, [("Patient", "1")]),
        (
            {"performer": [{"reference": "Practitioner/1"}, {"reference": "PractitionerRole/2"}]},
            [("Practitioner", "1"), ("PractitionerRole", "2")],
        ),
        ({"photo": [{"contentType": "image/png", "url": "Binary/b"}]}, [("Binary", "b")]),
        ({"extension": [{"url": "urn:x", "valueReference": {"reference": "Location/l"}}]}, [("Location", "l")]),
        ({"link": [{"url": "Patient/1"}]}, []),
        ({"subject": {"reference": "#contained"}}, []),
        ({"subject": {"reference": "https://elsewhere.example/fhir/Patient/1"}}, []),
        ({"subject": {"display": '"reference":"Patient/1"'}}, []),
        ({"subject": {"display": "Patient/1"}}, []),
    ],
)
def test_targets(resource: dict[str, object], found: list[tuple[str, str]]) -> None:
    assert list(targets(msgspec.json.encode(resource))) == found


def test_questionnaires() -> None:
    body = msgspec.json.encode(
        {"questionnaire": "https://x.example/Questionnaire/oks|1.0", "text": '"questionnaire":"no"'}
    )
    assert list(questionnaires(body)) == ["https://x.example/Questionnaire/oks|1.0"]
