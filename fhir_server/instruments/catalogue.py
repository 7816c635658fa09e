"""The instruments that are shipped, found by id and by the canonical a response names."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from fhir_server import content_files
from fhir_server.errors import BusinessRule
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.loading import load_instruments


class Catalogue:
    """Several versions of a questionnaire may be here; the newest shipped one is used to explain a refusal."""

    def __init__(self, instruments: list[Instrument]) -> None:
        self.instruments = tuple(instruments)
        self._by_canonical = {instrument.canonical: instrument for instrument in instruments}
        self._by_url = {instrument.url: instrument for instrument in instruments}

    def of_questionnaire(self, canonical: str) -> Instrument:
        """The instrument whose Questionnaire is `canonical` (url|version).

        An unknown version gives the instrument of the same url, whose scorer says what is wrong with it.
        Raises BusinessRule (422) for an unknown url.
        """
        found = self._by_canonical.get(canonical) or self._by_url.get(canonical.partition("|")[0])
        if found is None:
            known = ", ".join(sorted(self._by_canonical))
            raise BusinessRule(
                f"There is no scoring definition for questionnaire {canonical!r}. Known: {known}.",
                code="not-found",
                expression="QuestionnaireResponse.questionnaire",
            )
        return found


@lru_cache(maxsize=4)
def shipped(canonical_base: str) -> Catalogue:
    """The catalogue of the packaged instruments under `canonical_base`."""
    return Catalogue(load_instruments(Path(content_files.root()) / "questionnaires", canonical_base))
