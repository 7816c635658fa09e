"""PostgreSQL connections: pinned ones with prepared statements, handed out last-in first-out without a reset query."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import asyncpg

from fhir_server.errors import Overloaded, StorageFull, TooCostly, too_costly
from fhir_server.storage.sql.dialect import TAKES_TOO_LONG, TOO_LONG, WAITED_TOO_LONG

CONNECT_SECONDS = 5.0
STATEMENT_CACHE = 1000

ERRORS: tuple[type[BaseException], ...] = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, asyncio.TimeoutError
)  # fmt: skip

SESSION = {
    # Plans must not depend on how the database was set up.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # A plan made while a table was small would go on scanning it when it is not.
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "application_name": "fhir-server",
    "timezone": "UTC",
}


async def connect(url: str, *, seconds: float | None = None) -> asyncpg.Connection:
    """`seconds`: the statement timeout. Raises `Overloaded` when the database cannot be reached."""
    settings = dict(SESSION)
    if seconds is not None:
        settings["statement_timeout"] = str(int(seconds * 1000))
    try:
        return await asyncpg.connect(
            url, server_settings=settings, statement_cache_size=STATEMENT_CACHE, timeout=CONNECT_SECONDS
        )
    except ERRORS as error:
        raise translate(error) from error


LIMITS = (asyncpg.StatementTooComplexError, asyncpg.TooManyColumnsError, asyncpg.TooManyArgumentsError)


def translate(error: BaseException) -> Exception:
    """A driver's error as the caller should see it."""
    if isinstance(error, asyncpg.QueryCanceledError):
        return TooCostly(TAKES_TOO_LONG)
    if isinstance(error, LIMITS) or "query arguments cannot exceed" in str(error):
        return too_costly(TOO_LONG)
    if isinstance(error, asyncpg.DiskFullError):
        return StorageFull("The database's disk is full: nothing was written.")
    away = (
        asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError, asyncpg.TooManyConnectionsError, asyncpg.InterfaceError,
        asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError,
        asyncpg.InternalClientError, OSError, asyncio.TimeoutError,
    )  # fmt: skip
    if isinstance(error, away):
        return Overloaded("The database is not reachable just now; try again.")
    return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)


class PostgresqlSession:
    """Reads over a small set of connections; a broken one is dropped and the next read connects anew."""

    postgresql = True

    def __init__(self, url: str, *, seconds: float, size: int) -> None:
        self._url = url
        self._seconds = seconds
        self._free = size
        self._idle: deque[asyncpg.Connection] = deque()
        self._waiting: deque[asyncio.Future[asyncpg.Connection | None]] = deque()

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        connection = await self._take()
        try:
            rows: Sequence[Sequence[Any]] = await connection.fetch(sql, *parameters)
        except ERRORS as error:
            raise translate(error) from error
        finally:
            self._give_back(connection)
        return rows

    async def _take(self) -> asyncpg.Connection:
        """A connection, in the order of asking. Raises `Overloaded` for who would wait longer than a search may run."""
        while True:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
                self._free += 1
            if self._free > 0:
                return await self._connect()
            if (passed := await self._wait()) is not None:
                return passed

    async def _wait(self) -> asyncpg.Connection | None:
        """The connection of somebody who has finished; None when there is room for a new one."""
        turn: asyncio.Future[asyncpg.Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._seconds):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._pass_on(turn.result())  # given to one that has gone
            if isinstance(error, TimeoutError):
                raise Overloaded(WAITED_TOO_LONG) from None
            raise

    async def _connect(self) -> asyncpg.Connection:
        self._free -= 1
        try:
            return await connect(self._url, seconds=self._seconds)
        except BaseException:
            self._pass_on(None)
            raise

    def _give_back(self, connection: asyncpg.Connection) -> None:
        self._pass_on(None if connection.is_closed() else connection)

    def _pass_on(self, connection: asyncpg.Connection | None) -> None:
        """To whoever has waited longest, so that nobody who asks later is served before; None: room for a new one."""
        if connection is None:
            self._free += 1
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()
