"""What a bulk import is to fetch and store: plain data, kept with its job."""

from __future__ import annotations

import msgspec

KIND = "import"
"""Of the long request (storage/async_jobs.py)."""


class Input(msgspec.Struct, frozen=True):
    """One file."""

    resource_type: str
    """Of all that is in it."""
    url: str
    """As it was given."""
    binary: tuple[str, int] | None = None
    """The file is the content of this Binary: its id and version."""


class Plan(msgspec.Struct, frozen=True):
    inputs: tuple[Input, ...]
    source: str = ""
    """Base URL of the server that the resources come from."""
