"""The instruments that are shipped, by id and by the canonical a response names; each is read when first needed.

A response may name a wording that a licensee imported (instruments/wording.py): which Questionnaire that is is said
here, the caller fetches it, and `worded` gives the instrument with that wording.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path

from fhir_server import content_files
from fhir_server.errors import BusinessRule
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.loading import load_instrument
from fhir_server.instruments.wording import WordingError, questionnaire_id, worded
from fhir_server.model.json import parse

_WORDINGS = 256
"""Imported wordings that are kept ready."""


class Catalogue:
    """The folders of `questionnaires/` that have a scoring definition; a folder is named as its instrument."""

    def __init__(self, root: Path, canonical_base: str) -> None:
        self.ids = tuple(sorted(path.parent.name for path in root.glob("*/scoring.json")))
        self._root = root
        self._canonical_base = canonical_base
        self._loaded: dict[str, Instrument] = {}
        self._worded: OrderedDict[bytes, Instrument] = OrderedDict()

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

    def wording_id(self, canonical: str) -> str | None:
        """The logical id of the imported Questionnaire that `canonical` names, if that is not a shipped one.

        Raises BusinessRule as `of_questionnaire` does.
        """
        instrument = self.of_questionnaire(canonical)
        version = canonical.partition("|")[2]
        return None if version in ("", instrument.version) else questionnaire_id(instrument.id, version)

    def worded(self, canonical: str, stored: bytes) -> Instrument:
        """The instrument answered on the `stored` Questionnaire (its body), found under `wording_id`.

        Raises BusinessRule (422) when it is no wording of the instrument, or its items or codes are others.
        """
        instrument = self._worded.get(stored)
        if instrument is None:
            shipped_one = self.of_questionnaire(canonical)
            try:
                instrument = worded(shipped_one, parse(stored, max_depth=sys.maxsize))
            except WordingError as error:
                raise BusinessRule(
                    f"The stored Questionnaire {canonical} cannot be scored by the rules of {shipped_one.canonical}: "
                    f"{'; '.join(error.complaints)}.",
                    expression="QuestionnaireResponse.questionnaire",
                ) from error
            self._worded[stored] = instrument
            if len(self._worded) > _WORDINGS:
                self._worded.popitem(last=False)
        return instrument


@lru_cache(maxsize=4)
def shipped(canonical_base: str) -> Catalogue:
    """The catalogue of the packaged instruments under `canonical_base`."""
    return Catalogue(Path(content_files.root()) / "questionnaires", canonical_base)
