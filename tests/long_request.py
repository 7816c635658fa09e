"""Waiting for a long request (R4 async.html), as a client does."""

from __future__ import annotations

import time

import httpx

WAIT_SECONDS = 300
PAUSE_SECONDS = 0.02


def ended(http: httpx.Client, address: str, status: int = 200) -> httpx.Response:
    """What is answered at its address once it has ended."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (answer := http.get(address)).status_code == httpx.codes.ACCEPTED:
        assert answer.headers["X-Progress"]
        assert int(answer.headers["Retry-After"]) > 0
        assert time.monotonic() < deadline, answer.text
        time.sleep(PAUSE_SECONDS)
    assert answer.status_code == status, answer.text
    return answer
