"""One referral on its way, moved by staff who mostly do what the state allows, and now and then what it does not."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from random import Random
from typing import Any

from tests.e2e.simulation.course import Course
from tests.e2e.simulation.world import BASE, SERVICES, ZONE, World

Json = dict[str, Any]

CATEGORY = [
    {
        "coding": [
            {"system": "https://fhir.nhs.uk/CodeSystem/message-category-servicerequest", "code": "referral"},
            {"system": f"{BASE}/CodeSystem/msk-request-category", "code": "referral"},
        ]
    }
]
UBRN = "https://fhir.nhs.uk/Id/UBRN"

NEXT: dict[str, tuple[tuple[str, ...], ...]] = {
    "submitted": (("start-triage",),),
    "in-triage": (("accept",),) * 6 + (("redirect",), ("more-info",), ("reject",), ("advice",)),
    "more-info": (("start-triage",),) * 3 + (("reject",),),
    "accepted": (("book",), ("book",), ("waitlist",)),
    "waitlisted": (("book",),),
    "booked": (("attended",),) * 4 + (("dna",), ("cancelled-patient",), ("cancelled-provider",)),
    "attended": (("book",), ("book",), ("discharge",)),
    "dna": (("book",), ("book",), ("discharge",)),
    "cancelled-patient": (("book",), ("book",), ("discharge",)),
    "cancelled-provider": (("book",),),
    "redirected": (("accept",),),
}
"""What staff do in each state; chances by repetition."""
ENDED = frozenset(("rejected", "advice", "discharged", "withdrawn", "discarded"))


class Referral(Course):
    """The master ServiceRequest of one patient."""

    def __init__(self, world: World, random: Random, patient: str, number: int, pathway: str) -> None:
        super().__init__(world, random, patient, pathway)
        self.ubrn = f"{number:012d}"
        self.request: Json = {}

    def begin(self) -> None:
        self.authored = self.world.today - timedelta(days=self.random.randint(0, 6))
        referral = {
            "resourceType": "ServiceRequest",
            "identifier": [{"system": UBRN, "value": self.ubrn}],
            "status": "draft",
            "intent": "order",
            "category": CATEGORY,
            "priority": self.random.choice(("routine", "routine", "urgent")),
            "subject": {"reference": self.patient},
            "authoredOn": self.authored.isoformat(),
            "requester": {"reference": "Organization/practice"},
            "reasonCode": [{"text": self.pathway}],
        }
        if self.random.random() < 0.5:
            self.world.call("ServiceRequest/$submit", {"name": "referral", "resource": referral})
        else:
            draft = self.world.request("POST", "ServiceRequest", referral).json()
            self.world.call(f"ServiceRequest/{draft['id']}/$submit", if_match=f'W/"{draft["meta"]["versionId"]}"')
        self._look()
        assert self.state == "submitted"

    @property
    def state(self) -> str:
        return _extension(self.request, "msk-referral-state")

    @property
    def is_over(self) -> bool:
        """Redirected to another provider, it is over too."""
        return self.state in ENDED or self.request["status"] == "revoked"

    def act(self) -> None:
        """A step of the way, perhaps; sometimes a mistake, which changes nothing."""
        self._look()
        if self.random.random() < 0.05:
            self._misuse()
        if not self.is_over and self.random.random() < 0.5:
            self.do(*self.random.choice(NEXT[self.state]))
        elif self.state == "discharged" and self.random.random() < 0.02:
            self._call("reopen")

    def leave(self) -> None:
        self._look()
        if self.state in ("submitted", "in-triage", "more-info", "accepted", "waitlisted"):
            self._call("withdraw", {"name": "reason", "valueString": "The patient no longer wants it."})

    def finish(self) -> None:
        """At the end of the year everybody still on the way is seen and discharged."""
        self._look()
        for _ in range(8):
            if self.is_over:
                return
            if self.state in ("attended", "dna", "cancelled-patient"):
                self.do("discharge")
            else:
                self.do(NEXT[self.state][0][0])

    def _look(self) -> None:
        (self.request,) = self.world.search("ServiceRequest", identifier=f"{UBRN}|{self.ubrn}")

    def do(self, what: str) -> None:
        if what == "accept":
            self._accept()
        elif what == "redirect" and self.random.random() < 0.6:
            service = f"HealthcareService/{self.random.choice(SERVICES)}"
            self._call("triage", {"name": "outcome", "valueCode": what}, {"name": "service", "valueString": service})
        elif what in ("redirect", "more-info", "reject", "advice"):
            reason = {"name": "reason", "valueString": f"{what}: a sample reason."}
            self._call("triage", {"name": "outcome", "valueCode": what}, reason)
        elif what == "book":
            appointment = self.world.request("POST", "Appointment", self._appointment()).json()
            self._call("book", {"name": "appointment", "valueString": f"Appointment/{appointment['id']}"})
        elif what in ("attended", "dna", "cancelled-patient", "cancelled-provider"):
            self._call("attend", {"name": "outcome", "valueCode": what}, *self._decided(what), *self._appointments())
        elif what == "discharge":
            self._call("discharge", {"name": "reason", "valueString": "Treatment is complete."})
        else:
            self._call(what)

    def _accept(self) -> None:
        """With a plan; without one for somebody who wants none."""
        services = self.random.sample(SERVICES, self.random.randint(1, 2))
        outcome = [
            {"name": "outcome", "valueCode": "accept"},
            *({"name": "service", "valueString": f"HealthcareService/{one}"} for one in services),
        ]
        plan = [
            {"name": "pathway", "valueCanonical": f"{BASE}/PlanDefinition/{self.pathway}|1.0.0"},
            {"name": "laterality", "valueCode": self.side},
        ]
        if self.opted_out:
            self.world.call(f"{self._path}/$triage", *outcome, *plan, expect=(422,), if_match=self._etag)
            self._call("triage", *outcome)
        else:
            self._call("triage", *outcome, *plan)
            self.accepted = True

    def _decided(self, what: str) -> list[Json]:
        """A first treatment, or active monitoring, stops the clock; it may be told to run on."""
        if what != "attended" or self._clock_has_stopped() or self.random.random() < 0.5:
            return []
        return [{"name": "rtt", "valueCode": self.random.choice(("20", "30", "31", "32"))}]

    def _clock_has_stopped(self) -> bool:
        (episode,) = self.world.search("EpisodeOfCare", **{"incoming-referral": f"ServiceRequest/{self.request['id']}"})
        for extension in episode["extension"]:
            if extension["url"] == f"{BASE}/StructureDefinition/msk-rtt":
                return any(part["url"] == "stop" for part in extension["extension"])
        return True

    def _appointments(self) -> list[Json]:
        """The one that was booked last, mostly."""
        booked = self.world.search(
            "Appointment", **{"based-on": f"ServiceRequest/{self.request['id']}", "status": "booked"}
        )
        if not booked or self.random.random() < 0.2:
            return []
        return [{"name": "appointment", "valueString": f"Appointment/{booked[0]['id']}"}]

    def _appointment(self) -> Json:
        start = datetime.combine(self.world.today + timedelta(days=self.random.randint(1, 20)), time(11), ZONE)
        return {
            "resourceType": "Appointment",
            "status": "booked",
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=30)).isoformat(),
            "participant": [{"actor": {"reference": self.patient}, "status": "accepted"}],
        }

    def _call(self, code: str, *given: Json) -> None:
        """A move, with the ETag of what was read."""
        moved = self.world.call(f"{self._path}/${code}", *given, if_match=self._etag).json()
        self.request = moved["entry"][0]["resource"]

    def _misuse(self) -> None:
        """A move without If-Match, with a stale one, and one that the state does not allow."""
        before = self.request["meta"]["versionId"]
        reopen = f"{self._path}/$reopen"
        self.world.call(reopen, expect=(400,))
        if before != "1":
            self.world.call(reopen, expect=(412,), if_match='W/"1"')
        if self.state != "discharged":
            outcome = self.world.call(reopen, expect=(422,), if_match=self._etag).json()
            assert outcome["issue"][0]["code"] == "business-rule", outcome
        self._look()
        assert self.request["meta"]["versionId"] == before

    @property
    def _path(self) -> str:
        return f"ServiceRequest/{self.request['id']}"

    @property
    def _etag(self) -> str:
        return f'W/"{self.request["meta"]["versionId"]}"'


def _extension(resource: Json, name: str) -> str:
    for extension in resource.get("extension", ()):
        if extension["url"] == f"{BASE}/StructureDefinition/{name}":
            return next(str(value) for key, value in extension.items() if key.startswith("value"))
    return ""
