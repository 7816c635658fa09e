"""One synthetic patient's record, event by event; every reference points to a resource made earlier."""

from __future__ import annotations

from random import Random
from typing import Any

from fhir_server.synthetic.directory import Directory
from fhir_server.synthetic.parts import LAST_DAY, Json, moment, narrative, reference


class Record:
    """The state of a record while its events are made: who it is about, when it is now, what there is to refer to."""

    __slots__ = (
        "_made", "_step", "clinician", "conditions", "directory", "minutes", "number", "patient", "practice", "prefix",
        "questionnaires_answered", "random", "referral", "service", "who",
    )  # fmt: skip

    patient: Json
    referral: Json

    def __init__(self, seed: int, number: int, directory: Directory, size: int) -> None:
        self.random = Random(seed * 1_000_003 + number)
        self.number = number
        self.prefix = f"s{seed}-{number}"
        self.directory = directory
        self.practice = self.random.choice(directory.practices)
        self.service = self.random.choice(directory.services)
        self.clinician = self.random.choice(directory.practitioners)
        self.conditions: list[Json] = []
        self.questionnaires_answered = 0
        self.who: Json = {}
        start = self.random.randrange(0, LAST_DAY - 120) * 1440 + self.random.randrange(8 * 60, 18 * 60)
        self.minutes = float(start)
        self._step = (LAST_DAY * 1440 - start) / size
        self._made = 0

    def advance(self) -> str:
        """Move on to the next event; its date and time."""
        self.minutes += self.random.random() * self._step
        return moment(self.minutes)

    def now(self) -> str:
        return moment(self.minutes)

    def resource(self, resource_type: str, sentence: str, **elements: Any) -> Json:
        """A resource of this record with its id and narrative."""
        self._made += 1
        return {
            "resourceType": resource_type,
            "id": f"{self.prefix}-{self._made}",
            "text": narrative(sentence),
            **elements,
        }

    def about(self) -> Json:
        """The reference to the patient."""
        return dict(self.who)

    def by(self) -> Json:
        """A reference to whoever acts now: mostly the patient's own clinician."""
        if self.random.random() < 0.8:
            return reference(self.clinician)
        return reference(self.random.choice(self.directory.practitioners))
