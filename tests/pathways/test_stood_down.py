"""A step that is not to be done any more says why, in the element its type has for it."""

from datetime import datetime

import pytest

from fhir_server.pathways.replan import Moment, stood_down
from tests.pathways.workflow import BASE, appointment, request, seen, why

NOW = Moment(datetime.fromisoformat("2026-03-02T09:00:00+00:00"), BASE)


@pytest.mark.parametrize(
    ("step", "status", "element", "expected"),
    [
        (seen(), "cancelled", "statusReason", why("died")),
        (appointment(), "cancelled", "cancelationReason", why("died")),
        (
            request(),
            "revoked",
            "extension",
            [
                *request()["extension"],
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/request-statusReason",
                    "valueCodeableConcept": why("died"),
                },
            ],
        ),
    ],
)
def test_the_reason_is_kept(step, status, element, expected):
    """R4 extension-request-statusreason.html: ServiceRequest has no element for the reason of its status."""
    ended = stood_down(step, "died", NOW)
    assert (ended["status"], ended[element]) == (status, expected)
    assert stood_down(ended, "died", NOW)[element] == expected
