"""Questionnaires made ready for checking responses, and which of them each canonical means, as this process knows."""

from __future__ import annotations

import time

from fhir_server.terminology.cache import Cache
from fhir_server.validation.form import Form

KEPT_BYTES = 50_000_000
"""What the compiled Questionnaires may take, by estimate."""
FRESH_SECONDS = 1.0
"""How long another process's change of a Questionnaire may go unseen."""
MOST_CANONICALS = 10_000


class KnownForms:
    """One per process. What a canonical means is looked up again after a second, and after each write here of a
    Questionnaire."""

    def __init__(self) -> None:
        self.compiled = Cache(KEPT_BYTES)
        """By version stored, whose content never changes."""
        self._meant: dict[str, tuple[float, Form | None]] = {}

    def meant(self, canonical: str) -> tuple[Form | None] | None:
        """The form, or None for a Questionnaire that is not here, in a tuple; None when it is to be looked up."""
        found = self._meant.get(canonical)
        return (found[1],) if found is not None and found[0] > time.monotonic() else None

    def learn(self, canonical: str, form: Form | None) -> None:
        if len(self._meant) >= MOST_CANONICALS:
            self._meant.clear()
        self._meant[canonical] = (time.monotonic() + FRESH_SECONDS, form)

    def written(self, resource_type: str) -> None:
        """Something of the type is written, deleted or purged: if a Questionnaire, look up anew."""
        if resource_type == "Questionnaire":
            self._meant.clear()
