"""One synthetic patient and the staff around them: what they do when a day comes, drawn at random from their habits."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from tests.e2e.simulation.answering import answer
from tests.e2e.simulation.course import Course, WalkIn
from tests.e2e.simulation.referral import Referral
from tests.e2e.simulation.world import BASE, ZONE, World

Json = dict[str, Any]

SDC = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
OPEN = "requested,ready,in-progress"
HABITS = ("keen", "keen", "keen", "slow", "slow", "forgetful", "never", "paper", "carer", "carer")
FATES = ("stays",) * 12 + ("dies", "opts-out", "merges", "pauses", "returns", "withdraws")


class Person:
    """Patient `number` of a simulation, on one pathway; `forms` keeps the questionnaires of all."""

    def __init__(self, world: World, patient: Json, number: int, seed: int, pathway: str, forms: Forms) -> None:
        self.random = Random(f"{seed} {number}")
        self.world = world
        self.patient = patient
        self.reference = f"Patient/{patient['id']}"
        self.habit = self.random.choice(HABITS)
        self.fate = self.random.choice(FATES)
        self.fate_day = world.today + timedelta(days=self.random.randint(30, 300))
        self.arrival = world.today + timedelta(days=self.random.randint(0, 60))
        self.forms = forms
        self.carer: str | None = None
        self.course: Course = (
            WalkIn(world, self.random, self.reference, pathway)
            if number % 10 == 9
            else Referral(world, self.random, self.reference, number, pathway)
        )
        self.is_here = False
        self.is_gone = False
        self._answered: list[Json] = []

    def act(self) -> None:
        """One day of theirs."""
        if self.world.today < self.arrival or self.is_gone:
            return
        if not self.is_here:
            self._arrive()
        elif self.fate != "stays" and self.world.today >= self.fate_day:
            self._meet_fate()
        else:
            self.course.act()
            if self.course.accepted and self.random.random() < 0.7:
                self._live_with_the_plan()

    def _arrive(self) -> None:
        self.world.request("PUT", self.reference, self.patient)
        if self.habit == "carer":
            carer = {
                "resourceType": "RelatedPerson",
                "id": f"{self.patient['id']}-carer",
                "active": True,
                "patient": {"reference": self.reference},
            }
            self.carer = f"RelatedPerson/{carer['id']}"
            self.world.request("PUT", self.carer, carer)
        self.course.begin()
        self.is_here = True

    # What becomes of them

    def _meet_fate(self) -> None:
        fate, self.fate = self.fate, "stays"
        if fate == "dies":
            died = {**self.world.read(self.reference), "deceasedDateTime": self.world.today.isoformat()}
            self.world.request("PUT", self.reference, died)
        elif fate == "merges":
            self._merge()
        elif fate == "opts-out":
            self._consent("pathway")
            self.course.opted_out = True
        elif fate == "pauses":
            self._consent("reminders")
        elif fate == "withdraws":
            self.course.leave()
        elif fate == "returns":
            self.course.move_anchor(back=True)
        self.is_gone = fate in ("dies", "merges")

    def _merge(self) -> None:
        """A40: the record is replaced by another one of the same person."""
        other = {**self.patient, "id": f"{self.patient['id']}-kept"}
        other.pop("identifier", None)
        self.world.request("PUT", f"Patient/{other['id']}", other)
        link = [{"type": "replaced-by", "other": {"reference": f"Patient/{other['id']}"}}]
        merged = {**self.world.read(self.reference), "active": False, "link": link}
        self.world.request("PUT", self.reference, merged)

    def _consent(self, category: str) -> None:
        self.world.request("POST", "Consent", consent(self.world, self.reference, category))

    # Steps

    def _live_with_the_plan(self) -> None:
        tasks, appointments, requests = self.world.batch(
            f"Task?patient={self.reference}&status={OPEN}&based-on:missing=false",
            f"Appointment?patient={self.reference}&status=proposed,booked",
            f"ServiceRequest?patient={self.reference}&status=active&intent=plan",
        )
        for task in tasks:
            if task.get("owner", {}).get("reference") == self.reference:
                self._patient_step(task)
            elif self.random.random() < 0.4:
                self._finish_staff_task(task)
        for appointment in appointments:
            self._appointment(appointment)
        for request in requests:
            if self.random.random() < 0.1:
                self._put({**request, "status": "completed"})
        if self.random.random() < 0.05:
            self.course.move_anchor()
        if self._answered and self.random.random() < 0.05:
            self._amend()
        if self.random.random() < 0.1:
            self._answer_late()
        if self.random.random() < 0.1:
            self.world.read(f"{self.reference}/$timeline")

    def _patient_step(self, task: Json) -> None:
        chance = {"keen": 0.9, "slow": 0.4, "forgetful": 0.15, "never": 0.0, "paper": 0.6, "carer": 0.8}[self.habit]
        if self.random.random() >= chance:
            return
        whim = self.random.random()
        if whim < 0.04:
            self._put({**task, "status": "rejected", "statusReason": _reason("declined")})
        elif whim < 0.1 and task["status"] == "requested":
            self._put({**task, "status": "ready"})
        elif canonical := input_of(task, "questionnaire"):
            self._answer(task, canonical)
        elif input_of(task, "resource"):
            self.world.request("POST", "Communication", viewing(self.world, self.reference, task))

    def _answer(self, task: Json, canonical: str) -> None:
        response = self._response(task, canonical)
        if task["status"] == "in-progress":
            self._resume(task, response)
        elif self.habit != "paper" and self.random.random() < 0.2:
            self.world.request("POST", "QuestionnaireResponse", {**response, "status": "in-progress"})
        else:
            stored = self.world.request("POST", "QuestionnaireResponse", response).json()
            self._answered.append(stored)
            if self.random.random() < 0.1 and self.habit != "paper":
                self.world.request("POST", "QuestionnaireResponse", response)

    def _resume(self, task: Json, response: Json) -> None:
        """Finish what was saved, on another device."""
        saved = self.world.search("QuestionnaireResponse", patient=self.reference, status="in-progress")
        for one in saved:
            if _task(one) == f"Task/{task['id']}":
                done = {**one, "status": "completed", "authored": self.world.now.isoformat(), "item": response["item"]}
                self._answered.append(self._put(done))
                return

    def _response(self, task: Json, canonical: str) -> Json:
        mode = {"paper": "paper", "carer": "proxy"}.get(self.habit, "app")
        form = self.forms.read(canonical)
        leave_out = self.random.choice((0.0, 0.0, 0.0, 0.05, 0.5))
        return response_to(
            self.world,
            form,
            self.reference,
            None if self.habit == "paper" else f"Task/{task['id']}",
            mode,
            source={"reference": self.carer or self.reference},
            item=answer(form, self.random, leave_out=leave_out),
        )

    def _answer_late(self) -> None:
        """A step that was missed is answered all the same."""
        if self.habit in ("never", "paper"):
            return
        missed = self.world.search("Task", patient=self.reference, status="failed", **{"output__missing": "true"})
        for task in missed[:1]:
            if canonical := input_of(task, "questionnaire"):
                self.world.request("POST", "QuestionnaireResponse", self._response(task, canonical))

    def _amend(self) -> None:
        response = self.world.read(f"QuestionnaireResponse/{self.random.choice(self._answered)['id']}")
        form = self.forms.read(response["questionnaire"])
        self._put({**response, "status": "amended", "item": answer(form, self.random)})

    def _finish_staff_task(self, task: Json) -> None:
        moment = self.world.now.isoformat()
        self._put({**task, "status": "completed", "executionPeriod": {"start": moment, "end": moment}})

    # Appointments of the plan

    def _appointment(self, appointment: Json) -> None:
        period = next(iter(appointment.get("requestedPeriod", ())), None)
        if appointment["status"] == "proposed":
            if period and date.fromisoformat(period["end"]) >= self.world.today and self.random.random() < 0.3:
                self._book(appointment, date.fromisoformat(period["start"]))
        elif datetime.fromisoformat(appointment["start"]).date() <= self.world.today:
            self._put({**appointment, "status": self.random.choice(("fulfilled", "fulfilled", "fulfilled", "noshow"))})
        elif self.random.random() < 0.1:
            self._book(appointment, datetime.fromisoformat(appointment["start"]).date() + timedelta(days=7))
        elif self.random.random() < 0.05:
            self._put({**appointment, "status": "cancelled", "cancelationReason": {"text": "The patient cannot come."}})

    def _book(self, appointment: Json, earliest: date) -> None:
        """In a free slot when there is one; a slot that somebody else has is refused."""
        start = datetime.combine(max(earliest, self.world.today + timedelta(days=1)), time(10), ZONE)
        booked = {**appointment, "status": "booked"}
        times = {"start": start.isoformat(), "end": (start + timedelta(minutes=30)).isoformat()}
        free = self.world.search("Slot", status="free", start=f"ge{start.date()}")
        taken = self.world.search("Slot", status="busy", start=f"ge{self.world.today}")
        mine = {one["reference"] for one in appointment.get("slot", ())}
        others = [slot for slot in taken if f"Slot/{slot['id']}" not in mine]
        if others and self.random.random() < 0.2:
            self._put({**booked, **_in_slot(self.random.choice(others))}, expect=(409,))
        if free and self.random.random() < 0.6:
            self._put({**booked, **_in_slot(self.random.choice(free))})
        else:
            booked.pop("slot", None)
            self._put({**booked, **times})

    def _put(self, resource: Json, expect: tuple[int, ...] = (200,)) -> Json:
        etag = f'W/"{resource["meta"]["versionId"]}"'
        path = f"{resource['resourceType']}/{resource['id']}"
        stored: Json = self.world.request("PUT", path, resource, expect=expect, if_match=etag).json()
        return stored


class Forms:
    """The questionnaires as the server has them, each read once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read: dict[str, Json] = {}

    def read(self, canonical: str) -> Json:
        if canonical not in self._read:
            url, _, version = canonical.partition("|")
            criteria = {"url": url, **({"version": version} if version else {})}
            self._read[canonical] = self._world.search("Questionnaire", **criteria)[0]
        return self._read[canonical]


def response_to(world: World, form: Json, patient: str, task: str | None, mode: str = "app", **elements: Any) -> Json:
    """A completed response; without `task` the server has to find the step it answers."""
    extension = [{"url": f"{BASE}/StructureDefinition/msk-entry-mode", "valueCode": mode}]
    if task is not None:
        extension.append({"url": f"{BASE}/StructureDefinition/msk-task", "valueReference": {"reference": task}})
    return {
        "resourceType": "QuestionnaireResponse",
        "extension": extension,
        "questionnaire": f"{form['url']}|{form['version']}",
        "status": "completed",
        "subject": {"reference": patient},
        "authored": world.now.isoformat(),
        "source": {"reference": patient},
        **elements,
    }


def viewing(world: World, patient: str, task: Json) -> Json:
    """The patient has seen what the step shows."""
    category = {"system": f"{BASE}/CodeSystem/msk-communication-category", "code": "resource-viewed"}
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [category]}],
        "subject": {"reference": patient},
        "about": [{"reference": f"Task/{task['id']}"}],
        "received": world.now.isoformat(),
    }


def consent(world: World, patient: str, category: str) -> Json:
    """The patient denies something."""
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [scope]},
        "category": [{"coding": [{"system": f"{BASE}/CodeSystem/msk-consent-category", "code": category}]}],
        "patient": {"reference": patient},
        "policyRule": {"text": "The patient's own choice."},
        "dateTime": world.now.isoformat(),
        "provision": {"type": "deny"},
    }


def _in_slot(slot: Json) -> Json:
    return {"slot": [{"reference": f"Slot/{slot['id']}"}], "start": slot["start"], "end": slot["end"]}


def _reason(code: str) -> Json:
    return {"coding": [{"system": f"{BASE}/CodeSystem/msk-step-reason", "code": code}]}


def input_of(task: Json, code: str) -> str | None:
    """The canonical that the Task's input of this kind names."""
    for given in task.get("input", ()):
        if any(coding.get("code") == code for coding in given["type"].get("coding", ())):
            return str(given.get("valueCanonical"))
    return None


def _task(response: Json) -> str | None:
    for extension in response.get("extension", ()):
        if extension["url"] == f"{BASE}/StructureDefinition/msk-task":
            return str(extension["valueReference"]["reference"])
    return None
