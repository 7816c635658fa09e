"""The referral of the tour: a transaction Bundle as a referring practice would send it, letter included."""

from __future__ import annotations

import random
import zlib
from base64 import b64encode
from typing import Any

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
ODS_CODE = "https://fhir.nhs.uk/Id/ods-organization-code"
UBRN = "https://fhir.nhs.uk/Id/UBRN"
GMC = "https://fhir.hl7.org.uk/Id/gmc-number"
PATIENT_NUMBER = "9990000018"
"""In the range for tests; 9*10 + 9*9 + 9*8 + 1*2 = 245, and 11 - 245 % 11 = 8."""

PATIENT, PRACTITIONER, REQUEST, TASK, BINARY, LETTER = (
    f"urn:uuid:5f0c3c1e-0000-4000-8000-00000000000{number}" for number in range(1, 7)
)
ORGANIZATION = "urn:uuid:5f0c3c1e-0000-4000-8000-000000000007"


def pdf(size: int) -> bytes:
    """A PDF of at least `size` bytes: one page with a sentence and an image of noise, as a scanner makes it."""
    width = 1200
    height = size // (width * 3) + 1
    noise = random.Random(1).randbytes(width * height * 3)
    text = b"BT /F1 18 Tf 60 780 Td (Referral for knee pain, invented patient) Tj ET q 480 0 0 600 60 120 cm /I Do Q"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> /XObject << /I 6 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        _image(width, height, zlib.compress(noise, 1)),
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(out))
    return bytes(out) + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + trailer


def _image(width: int, height: int, data: bytes) -> bytes:
    return (
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8"
        b" /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (width, height, len(data), data)
    )


def bundle(letter: bytes) -> dict[str, Any]:
    """Patient and Practitioner are created unless they are there, the Organization updated, the rest created."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            _entry(PATIENT, _patient(), "POST", "Patient", ifNoneExist=f"identifier={NHS_NUMBER}|{PATIENT_NUMBER}"),
            _entry(PRACTITIONER, _practitioner(), "POST", "Practitioner", ifNoneExist=f"identifier={GMC}|9999999"),
            _entry(ORGANIZATION, _organization(), "PUT", f"Organization?identifier={ODS_CODE}|X9999"),
            _entry(REQUEST, _service_request(), "POST", "ServiceRequest"),
            _entry(TASK, _task(), "POST", "Task"),
            _entry(BINARY, _binary(letter), "POST", "Binary"),
            _entry(LETTER, _document_reference(len(letter)), "POST", "DocumentReference"),
        ],
    }


def _entry(url: str, resource: dict[str, Any], method: str, target: str, **condition: str) -> dict[str, Any]:
    return {"fullUrl": url, "resource": resource, "request": {"method": method, "url": target, **condition}}


def _patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": NHS_NUMBER, "value": PATIENT_NUMBER}],
        "name": [{"family": "Nuñez-O’Brien", "given": ["Siân"]}],
        "gender": "female",
        "birthDate": "1957-03-09",
        "managingOrganization": {"reference": ORGANIZATION},
    }


def _practitioner() -> dict[str, Any]:
    return {
        "resourceType": "Practitioner",
        "identifier": [{"system": GMC, "value": "9999999"}],
        "name": [{"family": "Wójcik", "given": ["Małgorzata"], "prefix": ["Dr"]}],
    }


def _organization() -> dict[str, Any]:
    return {
        "resourceType": "Organization",
        "identifier": [{"system": ODS_CODE, "value": "X9999"}],
        "name": "Hallam Vale Medical Centre",
    }


def _service_request() -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": UBRN, "value": "000000000001"}],
        "status": "active",
        "intent": "order",
        "priority": "routine",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "183545006"}]},
        "subject": {"reference": PATIENT},
        "authoredOn": "2026-02-02",
        "requester": {"reference": PRACTITIONER},
        "reasonCode": [{"coding": [{"system": "http://snomed.info/sct", "code": "239873007"}]}],
        "supportingInfo": [{"reference": LETTER}],
    }


def _task() -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"text": "Triage referral"},
        "focus": {"reference": REQUEST},
        "for": {"reference": PATIENT},
        "authoredOn": "2026-02-02T09:30:00Z",
        "requester": {"reference": ORGANIZATION},
    }


def _binary(letter: bytes) -> dict[str, Any]:
    return {
        "resourceType": "Binary",
        "contentType": "application/pdf",
        "securityContext": {"reference": PATIENT},
        "data": b64encode(letter).decode(),
    }


def _document_reference(size: int) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"text": "Referral letter"},
        "subject": {"reference": PATIENT},
        "author": [{"reference": PRACTITIONER}],
        "content": [{"attachment": {"contentType": "application/pdf", "url": BINARY, "size": size}}],
    }
