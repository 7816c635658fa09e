"""What a patient has refused (Consent.provision.type deny), by category (CodeSystem msk-consent-category)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from fhir_server.model.dates import period_of

Json = dict[str, Any]
PATHWAY, REMINDERS = "pathway", "reminders"


def categories_of(consent: Json, canonical_base: str) -> set[str]:
    system = f"{canonical_base}/CodeSystem/msk-consent-category"
    return {
        str(coding.get("code"))
        for category in consent.get("category", ())
        for coding in category.get("coding", ())
        if coding.get("system") == system
    }


def is_denial(consent: Json) -> bool:
    """Whether the Consent refuses (R4 consent.html: what is not active says nothing)."""
    return consent.get("status") == "active" and consent.get("provision", {}).get("type") == "deny"


def is_of(consent: Json, today: date, time_zone: str) -> bool:
    """Whether what the Consent says holds on `today` (R4 consent.html: provision.period)."""
    return holds(consent.get("provision", {}).get("period", {}), today, time_zone)


def holds(period: Json, today: date, time_zone: str) -> bool:
    """Whether a Period, open where it has no side, is about any of `today`."""
    first, last = (period_of(str(period.get(side, "")), time_zone) for side in ("start", "end"))
    day = period_of(today.isoformat(), time_zone)
    assert day is not None
    return (first is None or first[0] <= day[1]) and (last is None or last[1] >= day[0])


def denied(consents: Iterable[Json], canonical_base: str, today: date, time_zone: str) -> set[str]:
    """The categories that one patient's `consents` refuse on `today`: of several about one, the last given counts."""
    active = [one for one in consents if one.get("status") == "active" and is_of(one, today, time_zone)]
    active.sort(key=lambda one: _given(one, time_zone))
    last = {category: one for one in active for category in categories_of(one, canonical_base)}
    return {category for category, one in last.items() if is_denial(one)}


def _given(consent: Json, time_zone: str) -> tuple[int, bool]:
    """Of two of one moment the refusal comes last, so that it counts."""
    period = period_of(consent.get("dateTime") or "", time_zone)
    return period[0] if period else 0, is_denial(consent)
