"""Rows that wait to be sent to the database together, and the connection that sends them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol


@dataclass(slots=True)
class Pending:
    """Rows waiting to be sent, per table, in the tables' column order."""

    version: list[tuple[Any, ...]] = field(default_factory=list)
    number: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    text: list[tuple[int, int, str, int, int]] = field(default_factory=list)
    composite: list[tuple[int, int, int, int, int, str, int]] = field(default_factory=list)
    feature: list[tuple[int, list[int]]] = field(default_factory=list)
    token: list[tuple[int, str, str]] = field(default_factory=list)
    superseded: list[tuple[int, int, int]] = field(default_factory=list)
    blob: list[tuple[int, int, int, str]] = field(default_factory=list)
    blob_chunk: list[tuple[int, int, bytes]] = field(default_factory=list)
    stat: list[tuple[int, int, int]] = field(default_factory=list)
    """(type, change of count, width of the primary date in ms)"""

    def mark(self) -> tuple[int, ...]:
        return tuple(len(getattr(self, name)) for name in _TABLES)

    def cut(self, mark: Sequence[int]) -> None:
        for name, length in zip(_TABLES, mark, strict=True):
            del getattr(self, name)[length:]

    def split(self, mark: Sequence[int]) -> Pending:
        """Take out and return the rows before `mark`."""
        head = Pending()
        for name, length in zip(_TABLES, mark, strict=True):
            rows = getattr(self, name)
            setattr(head, name, rows[:length])
            del rows[:length]
        return head

    def stats(self) -> dict[int, tuple[int, int]]:
        """`stat` summed per type: (change of count, widest)."""
        sums: dict[int, tuple[int, int]] = {}
        for number, change, width in self.stat:
            count, widest = sums.get(number, (0, 0))
            sums[number] = (count + change, max(widest, width))
        return sums


_TABLES = tuple(f.name for f in fields(Pending))


class Connection(Protocol):
    """The writer's database connection, inside its transaction."""

    postgresql: bool

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]: ...
    async def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute and return the number of rows touched."""
        ...

    async def send(self, pending: Pending) -> None:
        """Insert all rows of `pending` (token: those not there yet; stat: added to the counters)."""
        ...
