"""Part of a file by its bytes (RFC 9110 section 14.1.2 and 14.2)."""

from __future__ import annotations

import pytest

from fhir_server.errors import FhirError
from fhir_server.interactions.byte_range import byte_range


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-499", (0, 500)),
        ("bytes=500-999", (500, 1000)),
        ("bytes=-500", (500, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("bytes=900-", (900, 1000)),
        ("bytes=0-0", (0, 1)),
        ("bytes=900-5000", (900, 1000)),
        ("bytes= 1-2", (1, 3)),
        ("bytes=2-1", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        (f"bytes={'9' * 40}-", None),
    ],
)
def test_a_range_of_a_thousand_bytes(header: str | None, part: tuple[int, int] | None) -> None:
    assert byte_range(header, 1000) == part


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0"])
def test_what_begins_beyond_the_end_is_not_satisfiable(header: str) -> None:
    with pytest.raises(FhirError) as refusal:
        byte_range(header, 1000)
    assert (refusal.value.status, refusal.value.headers) == (416, {"Content-Range": "bytes */1000"})
