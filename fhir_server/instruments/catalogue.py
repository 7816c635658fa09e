"""The instruments that are shipped, by id and by the canonical a response names; each is read when first needed."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from fhir_server import content_files
from fhir_server.errors import BusinessRule
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.loading import load_instrument


class Catalogue:
    """The folders of `questionnaires/` that have a scoring definition; a folder is named as its instrument."""

    def __init__(self, root: Path, canonical_base: str) -> None:
        self.ids = tuple(sorted(path.parent.name for path in root.glob("*/scoring.json")))
        self._root = root
        self._canonical_base = canonical_base
        self._loaded: dict[str, Instrument] = {}

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All, by id. Reading them takes some seconds the first time."""
        return tuple(self.instrument(instrument_id) for instrument_id in self.ids)

    def instrument(self, instrument_id: str) -> Instrument:
        """The instrument of a known id. Raises DefinitionError when its definition cannot be used."""
        if instrument_id not in self._loaded:
            self._loaded[instrument_id] = load_instrument(self._root / instrument_id, self._canonical_base)
        return self._loaded[instrument_id]

    def of_questionnaire(self, canonical: str) -> Instrument:
        """The instrument whose Questionnaire is `canonical` (url|version).

        An unknown version gives the instrument of the same url, whose scorer says what is wrong with it.
        Raises BusinessRule (422) for an unknown url.
        """
        base, _, instrument_id = canonical.partition("|")[0].rpartition("/Questionnaire/")
        if base == self._canonical_base and instrument_id in self.ids:
            return self.instrument(instrument_id)
        raise BusinessRule(
            f"There is no scoring definition for questionnaire {canonical!r}. Known below "
            f"{self._canonical_base}/Questionnaire/: {', '.join(self.ids)}.",
            code="not-found",
            expression="QuestionnaireResponse.questionnaire",
        )


@lru_cache(maxsize=4)
def shipped(canonical_base: str) -> Catalogue:
    """The catalogue of the packaged instruments under `canonical_base`."""
    return Catalogue(Path(content_files.root()) / "questionnaires", canonical_base)
