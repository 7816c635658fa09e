"""The referral of the tour: the transaction of examples/referral.json, with a letter as a scanner makes it."""

from __future__ import annotations

import json
import random
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
PATIENT_NUMBER = "9990000018"
"""In the range for tests; 9*10 + 9*9 + 9*8 + 1*2 = 245, and 11 - 245 % 11 = 8."""


def bundle(letter: bytes | None = None) -> dict[str, Any]:
    """Patient and Practitioner are created unless they are there, the Organization updated, the rest created."""
    referral: dict[str, Any] = json.loads((EXAMPLES / "referral.json").read_text())
    if letter is not None:
        of_type = {entry["resource"]["resourceType"]: entry["resource"] for entry in referral["entry"]}
        of_type["Binary"]["data"] = b64encode(letter).decode()
        of_type["DocumentReference"]["content"][0]["attachment"]["size"] = len(letter)
    return referral


def response(instrument: str, levels: list[int | None], patient: str) -> dict[str, Any]:
    """The example's response with these answers; None leaves an item out."""
    answered: dict[str, Any] = json.loads((EXAMPLES / f"{instrument}-response.json").read_text())
    answered["subject"]["reference"] = patient
    items = zip(answered["item"], levels, strict=True)
    answered["item"] = [item for item, level in items if level is not None]
    for item, level in zip(answered["item"], [level for level in levels if level is not None], strict=True):
        item["answer"][0]["valueCoding"]["code"] = str(level)
    return answered


def pdf(size: int) -> bytes:
    """A PDF of at least `size` bytes: one page with a sentence and an image of noise."""
    width = 1200
    height = size // (width * 3) + 1
    noise = zlib.compress(random.Random(1).randbytes(width * height * 3), 1)
    text = b"BT /F1 18 Tf 60 780 Td (Referral for knee pain, invented patient) Tj ET q 480 0 0 600 60 120 cm /I Do Q"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> /XObject << /I 6 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8"
        b" /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (width, height, len(noise), noise),
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(out))
    return bytes(out) + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + trailer
