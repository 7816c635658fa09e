"""Group commit: works that wait together are run one after another in one database transaction.

Durability costs one flush per group, not per work (docs/decisions/0005). The order of works, of their seqs
and of commits is the same, on PostgreSQL over all workers, because a group holds the clock row to its end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from fhir_server.errors import Overloaded, StorageFull
from fhir_server.storage.base import Transaction
from fhir_server.storage.scope import Scope
from fhir_server.storage.sql.transaction import SqlTransaction

Work = Callable[[Transaction], Awaitable[Any]]
_Member = tuple[Scope, Work, asyncio.Future[Any]]

GROUP_LIMIT = 64
"""Most works in one group: bounds how long the first waits for the last."""


class Engine(Protocol):
    """What a database does for the group writer."""

    errors: tuple[type[BaseException], ...]
    """What its driver raises."""

    async def begin(self) -> SqlTransaction: ...
    async def commit(self, transaction: SqlTransaction) -> None: ...
    async def rollback(self) -> None:
        """Never raises: a connection that cannot roll back is thrown away."""
        ...

    def translate(self, error: BaseException) -> Exception:
        """The driver's error as the caller should see it."""
        ...


class GroupWriter:
    """Queues works and commits them in groups on the event loop."""

    def __init__(self, engine: Engine, max_pending: int) -> None:
        self._engine = engine
        self._max_pending = max_pending
        self._waiting: deque[_Member] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.group_sizes: Callable[[int], None] = lambda size: None
        """Called with the size of each committed group (metrics)."""

    async def write(self, scope: Scope, work: Work) -> Any:
        """Durable when this returns. Raises `Overloaded` (429) when too many works wait."""
        if self._closed:
            raise Overloaded("The server is shutting down.")
        if len(self._waiting) >= self._max_pending:
            raise Overloaded("Too many writes are waiting; try again.", status=429)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((scope, work, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await future

    async def close(self) -> None:
        """Finish what waits; later works are refused."""
        self._closed = True
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(GROUP_LIMIT, len(self._waiting)))]
                try:
                    await self._commit([member for member in group if not member[2].cancelled()])
                except Exception as error:
                    _settle(group, error)
                except BaseException:
                    # Cancelled from outside, with the event loop: nobody is left waiting for ever.
                    _settle([*group, *self._waiting], Overloaded("The writer was stopped; try again."))
                    self._waiting.clear()
                    raise
        finally:
            self._task = None

    async def _commit(self, group: list[_Member]) -> None:
        try:
            transaction = await self._engine.begin()
            answers = [await self._run_one(transaction, scope, work) for scope, work, _ in group]
            await self._engine.commit(transaction)
        except Exception as error:
            await self._engine.rollback()
            await self._settle_failed(group, error)
            return
        self.group_sizes(len(group))
        for (_, _, future), (result, refusal) in zip(group, answers, strict=True):
            if future.cancelled():
                continue
            if refusal is not None:
                future.set_exception(refusal)
            else:
                future.set_result(result)

    async def _run_one(self, transaction: SqlTransaction, scope: Scope, work: Work) -> tuple[Any, Exception | None]:
        transaction.start_work(scope)
        try:
            result = await work(transaction)
        except self._engine.errors:
            raise
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            await transaction.undo_work()
            return None, Overloaded("The work was cancelled; try again.")
        except Exception as refusal:
            await transaction.undo_work()
            return None, refusal
        await transaction.keep_work()
        return result, None

    async def _settle_failed(self, group: list[_Member], error: Exception) -> None:
        """The database refused the group: whoever caused it fails alone, so each is tried by itself."""
        failure = self._engine.translate(error) if isinstance(error, self._engine.errors) else error
        if len(group) > 1 and not isinstance(failure, (Overloaded, StorageFull)):
            for member in group:
                await self._commit([member])
            return
        _settle(group, failure)


def _settle(group: list[_Member], failure: Exception) -> None:
    for _, _, future in group:
        if not future.done():
            future.set_exception(failure)
