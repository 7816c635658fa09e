"""How far a load is, in a file of its own: given again, the load goes on from there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fhir_server.bulk.source import START, Place
from fhir_server.errors import FhirError


class _State(msgspec.Struct, frozen=True):
    files: list[tuple[str, int]]
    """Path and bytes of each."""
    place: Place


class LoadState:
    """`file` None: nothing is kept."""

    def __init__(self, file: Path | None, files: Sequence[Path]) -> None:
        """Raises FhirError when the state is of a load of other files, or is no state."""
        self._file = file
        self._files = [(str(one), one.stat().st_size) for one in files]
        self.place = START
        if file is not None and file.exists():
            self.place = self._read(file)

    def _read(self, file: Path) -> Place:
        try:
            state = msgspec.json.decode(file.read_bytes(), type=_State)
        except msgspec.DecodeError as error:
            raise FhirError(f"{file} does not tell how far a load is.") from error
        if state.files != self._files:
            raise FhirError(f"{file} is of a load of other files, or they have changed: remove it to load them all.")
        return state.place

    def keep(self, place: Place) -> None:
        """Whole or not at all: a load may be killed here."""
        if self._file is not None:
            fresh = self._file.with_name(f"{self._file.name}.new")
            fresh.write_bytes(msgspec.json.encode(_State(self._files, place)))
            os.replace(fresh, self._file)

    def end(self) -> None:
        """Everything was read."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
