"""What workflow takes as now: the system's clock, or an instant in a file that a simulation moves (setting `clock`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from fhir_server.model.dates import zone
from fhir_server.model.instant import moment_of
from fhir_server.settings import Settings


@dataclass(frozen=True, slots=True)
class Clock:
    """Plans, steps, referrals and jobs are dated by it; `meta.lastUpdated` never is."""

    time_zone: str
    file: Path | None = None
    """Holds one instant (ISO 8601 with an offset), read at each use; None: the system's clock."""

    def now(self) -> datetime:
        """In the server's time zone. Raises OSError or ValueError when the file holds no instant."""
        if self.file is None:
            return datetime.now(zone(self.time_zone))
        return moment_of(self.file.read_text(encoding="utf-8")).astimezone(zone(self.time_zone))

    def today(self) -> date:
        return self.now().date()


def clock_of(settings: Settings) -> Clock:
    return Clock(settings.time_zone, Path(settings.clock) if settings.clock else None)
