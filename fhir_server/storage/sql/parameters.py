"""The table of custom search parameters: what a stored SearchParameter changes in it, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from fhir_server.errors import Conflict
from fhir_server.storage.codes import TYPE_NUMBERS
from fhir_server.storage.parameters import FIRST_CUSTOM, ParameterDefinition, ParameterSet, Plan, StoredParameter
from fhir_server.storage.sql import jobs
from fhir_server.storage.sql.dialect import Session, positional

if TYPE_CHECKING:
    from fhir_server.storage.sql.pending import Connection

COLUMNS = "p.number, p.definition, p.source, p.state"
CLEARING_PAUSE_SECONDS = 10
"""Before the rows of a retired parameter go: by then no process searches by it (REGISTRY_SECONDS)."""


async def read(session: Session) -> ParameterSet:
    clock = await session.fetch("SELECT c.epoch, c.extraction FROM clock c", ())
    rows = await session.fetch(f"SELECT {COLUMNS} FROM parameter p WHERE p.state <> 'cleared' ORDER BY p.number", ())
    return ParameterSet(clock[0][0], clock[0][1], tuple(map(_stored, rows)))


def _stored(row: Sequence[Any]) -> StoredParameter:
    number, definition, source, state = row
    return StoredParameter(number, msgspec.json.decode(bytes(definition), type=ParameterDefinition), source, state)


@dataclass(frozen=True, slots=True)
class Defined:
    """What a SearchParameter changed."""

    changed: bool
    """Whether the set is another one now."""
    build: Plan | None = None
    """What has to be built before the new ones are searched."""


async def define(connection: Connection, source: str, wanted: Iterable[ParameterDefinition], now: int) -> Defined:
    """Make `wanted` the parameters of the SearchParameter `source`.

    A definition that is new gets a number of its own and is built beside the one it replaces, which is searched until
    then. Raises Conflict when another SearchParameter defines the same code for the same type.
    """
    rows = await connection.fetch(f"SELECT {COLUMNS} FROM parameter p WHERE p.state IN ('building', 'complete')", ())
    live = list(map(_stored, rows))
    others = {_key(one.definition): one.source for one in live if one.source != source}
    own = [one for one in live if one.source == source]
    retired = {one.number for one in own}
    added: list[ParameterDefinition] = []
    changed = False
    for definition in wanted:
        if (holder := others.get(_key(definition))) is not None:
            raise Conflict(
                f"'{definition.code}' of {definition.resource_type} is defined by SearchParameter/{holder}: change that"
                " one, or give this one another code.",
                expression="SearchParameter.code",
            )
        before = [one for one in own if _key(one.definition) == _key(definition)]
        same = [one for one in before if _meaning(one.definition) == _meaning(definition)]
        if same:
            retired.discard(same[-1].number)
            changed |= await _rename(connection, same[-1], definition)
            continue
        added.append(definition)
        # What is searched stays so until the new one is complete.
        retired.difference_update(one.number for one in before if one.state == "complete")
    numbers = await _add(connection, source, added)
    await retire(connection, sorted(retired), now)
    types = tuple(TYPE_NUMBERS[kind] for one in added for kind in (one.resource_type, f"#{one.resource_type}"))
    return Defined(changed or bool(numbers or retired), Plan(types=types, numbers=numbers) if numbers else None)


def _key(definition: ParameterDefinition) -> tuple[str, str]:
    return definition.resource_type, definition.code


def _meaning(definition: ParameterDefinition) -> ParameterDefinition:
    """What its rows depend on: all but the url."""
    return msgspec.structs.replace(definition, url="")


async def _rename(connection: Connection, stored: StoredParameter, definition: ParameterDefinition) -> bool:
    if stored.definition == definition:
        return False
    sql = positional("UPDATE parameter SET definition = ? WHERE number = ?", connection.postgresql)
    await connection.run(sql, (msgspec.json.encode(definition), stored.number))
    return True


async def _add(connection: Connection, source: str, added: Sequence[ParameterDefinition]) -> tuple[int, ...]:
    if not added:
        return ()
    highest = (await connection.fetch("SELECT max(p.number) FROM parameter p", ()))[0][0]
    first = max(FIRST_CUSTOM, (highest or 0) + 1)
    sql = positional(
        "INSERT INTO parameter (number, type, code, source, state, definition) VALUES (?, ?, ?, ?, 'building', ?)",
        connection.postgresql,
    )
    for number, one in enumerate(added, first):
        encoded = msgspec.json.encode(one)
        await connection.run(sql, (number, TYPE_NUMBERS[one.resource_type], one.code, source, encoded))
    return tuple(range(first, first + len(added)))


async def build(connection: Connection, plans: Iterable[Plan], now: int) -> None:
    """Search by new parameters at once when there is nothing they could find, else have jobs build them.

    To be called when the work has written all it writes: its own resources may lack the rows. Parameters of the same
    types are built together, in one pass.
    """
    numbers: dict[tuple[int, ...], list[int]] = {}
    for plan in plans:
        numbers.setdefault(plan.types, []).extend(plan.numbers)
    counts = await connection.fetch("SELECT s.type, s.count FROM type_stat s", ())
    stored = {number for number, count in counts if count}
    for types, together in numbers.items():
        if stored.isdisjoint(types):
            await complete(connection, together, now)
        else:
            await jobs.add(connection, "build", Plan(types=types, numbers=tuple(together)), now)


async def retire(connection: Connection, numbers: Sequence[int], now: int) -> None:
    """Neither written nor searched from now on; a job clears the rows."""
    sql = positional("UPDATE parameter SET state = 'retired' WHERE number = ?", connection.postgresql)
    for number in numbers:
        await connection.run(sql, (number,))
    if numbers:
        due = now + CLEARING_PAUSE_SECONDS * 1_000_000
        await jobs.add(connection, "clear", Plan(numbers=tuple(numbers)), now, due=due)


async def complete(connection: Connection, numbers: Iterable[int], now: int) -> None:
    """The parameters are searched from now on, and what they replace no longer is."""
    replaced = []
    for number in numbers:
        own = await connection.fetch(
            positional(
                "SELECT p.type, p.code, p.source FROM parameter p WHERE p.number = ? AND p.state = 'building'",
                connection.postgresql,
            ),
            (number,),
        )
        if not own:
            continue  # retired meanwhile
        older = positional(
            "SELECT p.number FROM parameter p"
            " WHERE p.type = ? AND p.code = ? AND p.source = ? AND p.state = 'complete'",
            connection.postgresql,
        )
        replaced += [row[0] for row in await connection.fetch(older, tuple(own[0]))]
        sql = positional("UPDATE parameter SET state = 'complete' WHERE number = ?", connection.postgresql)
        await connection.run(sql, (number,))
    await retire(connection, replaced, now)


async def forget(connection: Connection, numbers: Iterable[int]) -> None:
    """No rows of these retired parameters are left."""
    sql = positional("UPDATE parameter SET state = 'cleared' WHERE number = ?", connection.postgresql)
    for number in numbers:
        await connection.run(sql, (number,))


def building(stored: ParameterSet) -> dict[int, str]:
    """Number -> resource type of the parameters that are not searched yet."""
    return {one.number: one.definition.resource_type for one in stored.parameters if one.state == "building"}
