"""All jobs once over, and the daily duty of a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import structlog

from fhir_server.errors import BusinessRule
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.exchange import Server
from fhir_server.jobs.reminders import make_reminders
from fhir_server.jobs.windows import move_windows

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Done:
    """What one run changed."""

    opened: int
    """Steps whose window opened."""
    closed: int
    """Steps of patients whose window closed before they were done."""
    reminders: int
    """Communications made."""


async def run_jobs(server: Server) -> Done:
    """Do everything that is due by the server's clock. Harmless to repeat, to interrupt and to run twice at once.

    Raises BusinessRule when the search parameters that it needs are not in force.
    """
    await refresh(server)
    now = server.clock.now()
    moved = await move_windows(server, now)
    return Done(moved["requested"] + moved["active"], moved["failed"], await make_reminders(server, now.date()))


@dataclass(slots=True)
class DailyJobs:
    """Runs the jobs once at the start and once on each new day, for a server that looks now and then."""

    server: Server
    _done_for: date | None = field(default=None, init=False)
    _warned: bool = field(default=False, init=False)

    async def look(self) -> None:
        """A run that fails is made again at the next look."""
        today = self.server.clock.today()
        if today == self._done_for:
            return
        try:
            done = await run_jobs(self.server)
        except BusinessRule as error:
            if not self._warned:
                _log.warning("jobs cannot run yet", reason=str(error))
            self._warned = True
            return
        self._done_for = today
        _log.info("jobs run", opened=done.opened, closed=done.closed, reminders=done.reminders)
